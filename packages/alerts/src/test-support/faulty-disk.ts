import fs from 'node:fs'
import promises, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/**
 * What is about to be done to the disk. Throwing lets it fail; a promise holds a sync up.
 *
 * @param half - does half of a write
 */
export type OnStep = (what: string, half?: () => void) => Promise<void> | undefined

/** How many of the watched steps are under way. */
let underWay = 0

/** Waits until the disk has done what it was told to, for tests whose clock does not move by itself. */
export async function diskIsIdle(): Promise<void> {
  for (let quietTurns = 0; quietTurns < 10; quietTurns = underWay === 0 ? quietTurns + 1 : 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/**
 * Puts a look-out before every step that this process takes on the disk: the real functions of `node:fs` are called
 * through it. Only for a process of its own, or a test that undoes it.
 *
 * @returns undoes it
 */
export function watchDisk(onStep: OnStep): () => void {
  const real = { writeSync: fs.writeSync, fdatasync: fs.fdatasync }
  const { open, rename, link, unlink, mkdir } = promises
  const watched =
    <Rest extends readonly unknown[], Result>(what: string, run: (...rest: Rest) => Promise<Result>) =>
    async (...rest: Rest): Promise<Result> => {
      void onStep(`${what} ${String(rest[0])}`)
      underWay++
      return run(...rest).finally(() => underWay--)
    }
  const writeSync = (fd: number, bytes: Uint8Array | string, ...rest: number[]): number => {
    const write = real.writeSync as (fd: number, bytes: Uint8Array | string, ...rest: number[]) => number
    if (fd > 2) {
      void onStep('write', () => {
        if (typeof bytes === 'string') write(fd, bytes.slice(0, bytes.length / 2))
        else write(fd, bytes, rest[0] ?? 0, Math.floor(bytes.length / 2))
      })
    }
    return write(fd, bytes, ...rest)
  }
  const fdatasync = (fd: number, done: (error: Error | null) => void): void => {
    let held: Promise<void> | undefined
    try {
      held = onStep('fdatasync')
    } catch (error) {
      done(error as Error)
      return
    }
    const sync = (): void => {
      underWay++
      real.fdatasync(fd, (error) => {
        underWay--
        done(error)
      })
    }
    if (held === undefined) sync()
    else void held.then(sync)
  }
  Object.assign(fs, { writeSync, fdatasync })
  Object.assign(promises, {
    open: watched('open', async (...rest: Parameters<typeof open>): Promise<FileHandle> => open(...rest)),
    rename: watched('rename', rename),
    link: watched('link', link),
    unlink: watched('unlink', unlink),
    mkdir: watched('mkdir', mkdir as (...rest: readonly unknown[]) => Promise<string | undefined>),
  })
  syncBuiltinESMExports()
  return () => {
    Object.assign(fs, real)
    Object.assign(promises, { open, rename, link, unlink, mkdir })
    syncBuiltinESMExports()
  }
}
