import { fdatasync, statSync, writeSync } from 'node:fs'
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** An open file. Writes name their position, so that a failed one can be written over. */
export interface OpenFile {
  /**
   * Hands some of the bytes to the operating system and says how many, as `pwrite` does. At once: they only go to its
   * cache, which takes less time than the way to another thread and back.
   */
  write(bytes: Uint8Array, position: number): number
  truncate(length: number): Promise<void>
  /** Waits until the content is on the disk. */
  datasync(): Promise<void>
  close(): Promise<void>
}

/** Which file it is, whatever its path is now. */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
  readonly size: number
  /** When its content last changed, in epoch milliseconds; of a directory, which names it has. */
  readonly changedMs: number
}

/** The few things done to files, so that a test can let each of them fail. */
export interface FileOps {
  /** Makes a directory, and those that lead to it, durable. */
  makeDirectory(path: string): Promise<void>
  /** @returns the content, or `undefined` when there is no such file */
  read(path: string): Promise<Buffer | undefined>
  /** @param flags - `wx` creates, and fails when it exists; `w` creates or empties; `r+` opens what exists */
  open(path: string, flags: 'wx' | 'w' | 'r+'): Promise<OpenFile>
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, and fails when that exists. */
  link(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes creations and renames in a directory durable. */
  syncDirectory(path: string): Promise<void>
  /** @returns which file is at the path now, or `undefined` */
  identify(path: string): FileIdentity | undefined
}

/** The files of the machine. */
export const nodeFiles: FileOps = {
  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true })
    if (first === undefined) return
    // It is told as it was asked for, which may be relative.
    const { length } = resolve(first)
    for (let made = resolve(path); made.length >= length; made = dirname(made)) {
      await this.syncDirectory(dirname(made))
    }
  },
  async read(path) {
    return unlessMissing(readFile(path))
  },
  async open(path, flags) {
    const handle = await open(path, flags)
    return {
      write: (bytes, position) => writeSync(handle.fd, bytes, 0, bytes.length, position),
      truncate: (length) => handle.truncate(length),
      // The same as `handle.datasync`, with fewer detours: every commit waits for it.
      datasync: () =>
        new Promise((resolve, reject) => {
          fdatasync(handle.fd, (error) => (error === null ? resolve() : reject(error)))
        }),
      close: () => handle.close(),
    }
  },
  rename,
  link,
  async remove(path) {
    await unlessMissing(unlink(path))
  },
  async syncDirectory(path) {
    // Windows cannot open a directory, and needs no sync of it.
    if (process.platform === 'win32') return
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  identify(path) {
    try {
      // Every write of SQLite waits for this, and an error would be made only to be caught.
      const stats = statSync(path, { throwIfNoEntry: false })
      return stats && { dev: stats.dev, ino: stats.ino, size: stats.size, changedMs: stats.mtimeMs }
    } catch (error) {
      // ENOTDIR: a file lies where its directory was, so it is not there either.
      if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
      throw error
    }
  },
}

/** Writes all bytes: the operating system may take fewer than it is given, above all on a full disk. */
export function writeFully(file: OpenFile, bytes: Uint8Array, position: number): void {
  let written = 0
  while (written < bytes.length) {
    const count = file.write(bytes.subarray(written), position + written)
    if (count <= 0) throw new Error(`Only ${written} of ${bytes.length} bytes were written`)
    written += count
  }
}

/**
 * Puts a file in place, whole and durable, or leaves what was there: temporary file, sync, rename, sync of the
 * directory.
 *
 * Each chunk is synced before the next one is asked for. That lets others take their turn, of the event loop and of the
 * disk, which would have to write everything at once otherwise.
 *
 * @param confirm - called before the file takes its place, and throws when it must not
 * @returns the length of the file
 */
export async function replaceFile(
  files: FileOps,
  directory: string,
  name: string,
  chunks: Iterable<Uint8Array>,
  confirm: () => void = () => undefined,
): Promise<number> {
  const temporary = `${directory}/${name}.tmp`
  const file = await files.open(temporary, 'w')
  let position = 0
  try {
    for (const chunk of chunks) {
      writeFully(file, chunk, position)
      position += chunk.length
      await file.datasync()
    }
  } finally {
    await file.close()
  }
  confirm()
  await files.rename(temporary, `${directory}/${name}`)
  await files.syncDirectory(directory)
  return position
}

/** Resolves `undefined` instead of rejecting because a file does not exist. */
async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
