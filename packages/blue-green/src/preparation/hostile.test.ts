import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryStorage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type Archive,
  type ArchivedRow,
  CheckFailedError,
  diskSpaceCheck,
  environmentCheck,
  fileArchive,
  fromHealthCheck,
  identifyBudgetCheck,
  pathsCheck,
  permissionsCheck,
  type ReadableStorage,
  restoreBackup,
  storageBackup,
  storageCheck,
  type WritableStorage,
} from '../preparation.js'
import { bundleChild } from '../test-support/bundle-child.js'

const never = new AbortController().signal
const hang = (): Promise<never> => new Promise(() => undefined)
const scratch = (): MemoryStorage => new MemoryStorage()

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-hostile-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function withNotes(count: number): Promise<MemoryStorage> {
  const source = new MemoryStorage()
  for (let i = 0; i < count; i++) await source.collection('notes').set(`n${i}`, `tea ${i}`)
  return source
}

describe('a check', () => {
  it.each([
    ['storageCheck, whose write hangs', storageCheck({ set: hang, get: () => 1, delete: () => 1 })],
    ['storageCheck, whose read hangs', storageCheck({ set: () => 1, get: hang, delete: () => 1 })],
    ['storageCheck, which hangs altogether', storageCheck({ set: hang, get: hang, delete: hang })],
    ['permissionsCheck', permissionsCheck(hang)],
    ['identifyBudgetCheck', identifyBudgetCheck(hang, { shards: 1 })],
    ['fromHealthCheck', fromHealthCheck(hang)],
  ])('%s ends when its time is up, whatever it asks', async (_, check) => {
    const stop = new AbortController()
    const outcome = check({ signal: stop.signal })
    stop.abort(new Error('too late'))
    await expect(outcome).rejects.toThrow('too late')
  })

  it('leaves no probe behind when a write arrives after all', async () => {
    const map = new Map<string, string>()
    let arrive!: () => void
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    let deleted!: () => void
    const gone = new Promise<void>((resolve) => (deleted = resolve))
    const set = async (key: string, value: string): Promise<void> => {
      await arrived
      map.set(key, value)
    }
    const remove = (key: string): void => {
      if (map.delete(key)) deleted()
    }
    const stop = new AbortController()
    const outcome = storageCheck({ set, get: (key) => map.get(key), delete: remove })({ signal: stop.signal })
    stop.abort(new Error('too late'))
    await expect(outcome).rejects.toThrow('too late')
    arrive()
    await gone
    expect(map.size).toBe(0)
  })

  it('tells what failed first, also where the clean-up throws at once', async () => {
    const broken = {
      set: () => Promise.reject(new Error('the disk is gone')),
      get: () => undefined,
      delete: () => {
        throw new Error('and so is the rest')
      },
    }
    await expect(storageCheck(broken)({ signal: never })).rejects.toThrow('the disk is gone')
  })

  it.each([
    ['a storage', storageCheck({ set: () => Promise.reject(new Error('no')), get: () => 1, delete: () => 1 })],
    ['a disk', diskSpaceCheck('/no/such/folder', { minFreeBytes: 1 })],
    ['permissions', permissionsCheck(() => Promise.reject(new Error('no')))],
    ['Discord', identifyBudgetCheck(() => Promise.reject(new Error('no')), { shards: 1 })],
    ['a check of health-monitor', fromHealthCheck(() => Promise.reject(new Error('no')))],
  ])('of %s rejects with CheckFailedError, whatever was thrown at it', async (_, check) => {
    const thrown = await check({ signal: never }).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(CheckFailedError)
    expect((thrown as Error).cause).toBeInstanceOf(Error)
  })

  it('never repeats a secret that was given in the place of a rule', () => {
    expect(() => environmentCheck({ DISCORD_TOKEN: 'hunter2-hunter2' as never })).toThrow(
      'DISCORD_TOKEN must be true or a pattern, not a string',
    )
  })

  it.runIf(existsSync('/proc/self/comm'))('sees that a file may be written and its folder not', async () => {
    // Also for root: under /proc no file can be made.
    await expect(pathsCheck({ write: ['/proc/self/comm'] })({ signal: never })).rejects.toMatchObject({
      code: 'CHECK_FAILED',
    })
  })
})

describe('a backup', () => {
  it.each(['collections', 'scan', 'batch', 'stop'])(
    'ends when its time is up although %s() hangs, and leaves nothing half written',
    async (what) => {
      const stop = new AbortController()
      const hangs = (): Promise<never> => {
        setImmediate(() => stop.abort(new Error('too late')))
        return hang()
      }
      const inner = await withNotes(3)
      const source: ReadableStorage = {
        collections: () => (what === 'collections' ? hangs() : inner.collections()),
        collection: (name) => ({
          get: hang,
          async *scan() {
            yield* inner.collection(name).scan()
            if (what === 'scan') await hangs()
          },
        }),
      }
      const copy = new MemoryStorage()
      const into: WritableStorage = {
        collections: () => copy.collections(),
        collection: (name) => copy.collection(name),
        batch: (operations) => (what === 'batch' ? hangs() : copy.batch(operations)),
        stop: () => (what === 'stop' ? hangs() : copy.stop()),
      }
      const backup = storageBackup({ source, archive: fileArchive(folder), scratch: () => into })
      await expect(backup({ deploymentId: 'd', signal: stop.signal })).rejects.toThrow('too late')
      expect(readdirSync(folder).filter((name) => !name.endsWith('-d.jsonl'))).toEqual([])
    },
  )

  it('can be read by its owner alone, and so can the folder that it makes', async () => {
    const into = join(folder, 'made', 'here')
    const { id } = await storageBackup({ source: await withNotes(1), archive: fileArchive(into), scratch })({
      deploymentId: 'd',
      signal: never,
    })
    expect(statSync(join(into, `${id}.jsonl`)).mode & 0o777).toBe(0o600)
    expect(statSync(into).mode & 0o777).toBe(0o700)
  })

  it('removes what killed runs left a day ago, and nothing that may still be written', async () => {
    const [old, young, other] = [
      '.8a6f1c1e-0000-4000-8000-000000000001.part',
      '.8a6f1c1e-0000-4000-8000-000000000002.part',
      'mine.part',
    ]
    for (const name of [old, young, other]) writeFileSync(join(folder, name), 'x')
    const twoDaysAgo = Date.now() / 1_000 - 2 * 86_400
    for (const name of [old, other]) utimesSync(join(folder, name), twoDaysAgo, twoDaysAgo)
    mkdirSync(join(folder, '.folder.part'))
    const { id } = await storageBackup({ source: await withNotes(1), archive: fileArchive(folder), scratch })({
      deploymentId: 'd',
      signal: never,
    })
    expect(readdirSync(folder).sort()).toEqual([young, '.folder.part', `${id}.jsonl`, other].sort())
  })

  it('lets others run while it reads and compares a store that answers at once', async () => {
    const source = await withNotes(3_000)
    let [turns, isDone] = [0, false]
    const turn = (): void => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    const kept: { collection: string; key: string; value: unknown }[] = []
    const archive: Archive = {
      async write(_, rows) {
        for await (const row of rows) kept.push(row)
        return {}
      },
      async *read() {
        yield* kept
      },
    }
    setImmediate(turn)
    await storageBackup({ source, archive, scratch })({ deploymentId: 'd', signal: never })
    isDone = true
    expect(turns).toBeGreaterThanOrEqual(55)
  })

  it('tells how far it is, and a listener that throws is no reason to fail', async () => {
    const told: string[] = []
    const { rows } = await storageBackup({
      source: await withNotes(1_200),
      archive: fileArchive(folder),
      scratch,
      onProgress: ({ step, rows: done }) => {
        told.push(`${step} ${done}`)
        throw new Error('listener')
      },
    })({ deploymentId: 'd', signal: never })
    expect(rows).toBe(1_200)
    expect(told).toEqual([
      'reading 500',
      'reading 1000',
      'restoring 500',
      'restoring 1000',
      'restoring 1200',
      'comparing 500',
      'comparing 1000',
    ])
  })

  it.each(['backup', 'restore'])('is not ended, nor the process, by a listener that rejects (%s)', async (what) => {
    const unhandled: unknown[] = []
    const note = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', note)
    const archive = fileArchive(folder)
    const onProgress = (): Promise<void> => Promise.reject(new Error('the channel is gone'))
    const { id } = await storageBackup({
      source: await withNotes(500),
      archive,
      scratch,
      onProgress: what === 'backup' ? onProgress : undefined,
    })({ deploymentId: 'd', signal: never })
    if (what === 'restore') await restoreBackup({ archive, id, into: new MemoryStorage(), onProgress })
    // Node tells of a rejection when the turn is over in which nobody took it.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })

  it('leaves out what it is told to, such as the state of the deployment', async () => {
    const source = await withNotes(1)
    await source.collection('evenkeel').set('bot', 'a deployment runs')
    const archive = fileArchive(folder)
    const made = await storageBackup({ source, archive, scratch, leaveOut: ['evenkeel'] })({
      deploymentId: 'd',
      signal: never,
    })
    const into = new MemoryStorage()
    await restoreBackup({ archive, id: made.id, into })
    expect(await into.collections()).toEqual(['notes'])
    expect(() => storageBackup({ source, archive, scratch, leaveOut: 'evenkeel' as never })).toThrow(TypeError)
  })

  it('is whole while others write: each row as it was at some moment of the backup', async () => {
    const source = new SqliteStorage({ path: join(folder, 'bot.db') })
    const counters = source.collection<number>('counters')
    await source.batch(
      Array.from({ length: 2_000 }, (_, i) => ({
        type: 'set' as const,
        collection: 'counters',
        key: `c${i}`,
        value: 0,
      })),
    )
    let isDone = false
    const writing = (async (): Promise<void> => {
      for (let i = 1; !isDone; i++) {
        await counters.set(`c${(i * 7) % 2_000}`, i)
        await counters.set(`new${i % 50}`, i)
        await counters.delete(`new${(i + 25) % 50}`)
      }
    })()
    const archive = fileArchive(join(folder, 'backups'))
    const made = await storageBackup({ source, archive, scratch })({ deploymentId: 'd', signal: never })
    isDone = true
    await writing
    const into = new SqliteStorage({ path: join(folder, 'restored.db') })
    await restoreBackup({ archive, id: made.id, into })
    expect(await into.collection('counters').count()).toBe(made.rows)
    for (let i = 0; i < 2_000; i++) expect(await into.collection('counters').has(`c${i}`)).toBe(true)
    await Promise.all([source.stop(), into.stop()])
  })

  it('is not one when any byte of it is missing or another one', async () => {
    const source = await withNotes(2)
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source, archive, scratch })({ deploymentId: 'd', signal: never })
    const path = join(folder, `${id}.jsonl`)
    const whole = readFileSync(path)
    const refuses = async (bytes: Buffer): Promise<void> => {
      writeFileSync(path, bytes)
      const into = new MemoryStorage()
      await expect(restoreBackup({ archive, id, into })).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
      expect(await into.collections()).toEqual([])
    }
    // All but the last line feed, which says nothing.
    for (let length = 0; length < whole.length - 1; length++) await refuses(whole.subarray(0, length))
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole)
      flipped[at]! ^= 1 << (at % 8)
      await refuses(flipped)
    }
    writeFileSync(path, whole)
    expect(await restoreBackup({ archive, id, into: new MemoryStorage() })).toBe(2)
  })

  it('that is damaged only at its end writes nothing, however many rows come before', async () => {
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source: await withNotes(1_200), archive, scratch })({
      deploymentId: 'd',
      signal: never,
    })
    const path = join(folder, `${id}.jsonl`)
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, lines.slice(0, -2).join('\n'))
    const into = new MemoryStorage()
    await expect(restoreBackup({ archive, id, into })).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
    expect(await into.collections()).toEqual([])
  })

  it('is refused when it has no line feeds at all, before it fills the memory', async () => {
    writeFileSync(join(folder, 'x.jsonl'), 'a'.repeat(70 * 1024 * 1024))
    const into = new MemoryStorage()
    await expect(restoreBackup({ archive: fileArchive(folder), id: 'x', into })).rejects.toThrow('longer than')
  })

  it.runIf(process.platform === 'linux')('that does not fit on the disk fails, and leaves nothing', async () => {
    using child = bundleChild('full-disk-child.ts')
    // The limit of the size of a file stands for the end of the disk; its signal is ignored, so that the write fails instead.
    const run = spawn('sh', ['-c', `trap '' XFSZ; ulimit -f 300; exec "$0" "$@"`, process.execPath, child.file, folder])
    let said = ''
    run.stdout.on('data', (data) => (said += String(data)))
    await new Promise((resolve) => run.once('close', resolve))
    expect(said).toBe('EFBIG\n')
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('restoring', () => {
  it('works long after the sessions of then have expired', async () => {
    const clock = new FakeClock()
    const source = new MemoryStorage({ clock })
    await source.collection('sessions').set('s', 1, { ttlMs: 1_000 })
    await source.collection('notes').set('n', 1)
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source, archive, scratch: () => new MemoryStorage({ clock }) })({
      deploymentId: 'd',
      signal: never,
    })
    const into = new SqliteStorage({ path: join(folder, 'later.db') })
    expect(await restoreBackup({ archive, id, into })).toBe(2)
    expect(await into.collections()).toEqual(['notes'])
    await into.stop()
  })

  it('reads back what it wrote, and does not believe a store that says that all is well', async () => {
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source: await withNotes(3), archive, scratch })({
      deploymentId: 'd',
      signal: never,
    })
    const inner = new MemoryStorage()
    const forgetful: WritableStorage = {
      collections: () => inner.collections(),
      collection: (name) => inner.collection(name),
      batch: (operations) => inner.batch(operations.slice(1)),
    }
    const thrown = await restoreBackup({ archive, id, into: forgetful }).catch((error: unknown) => error)
    expect(thrown).toMatchObject({ name: 'RestoreMismatchError', code: 'RESTORE_MISMATCH', applied: 'yes', id })
    expect((thrown as Error).message).toContain('1 row differs: notes/n0 removed')
  })

  it.each([
    ['less', (rows: ArchivedRow[]) => rows.slice(0, 3), 'it has 10 rows, and had 3 when it was read again'],
    [
      'other rows',
      (rows: ArchivedRow[]) => rows.map((row) => ({ ...row, value: 'pea' })),
      'other rows when it was read again',
    ],
  ])('does not take %s for the whole when the archive is read for the second time', async (_, second, why) => {
    const rows = Array.from({ length: 10 }, (_, i) => ({ collection: 'notes', key: `n${i}`, value: i }))
    let reads = 0
    const archive: Archive = {
      write: () => Promise.reject(new Error('read-only')),
      // Its connection ends early, and says nothing.
      async *read() {
        yield* ++reads === 1 ? rows : second(rows)
      },
    }
    const thrown: unknown = await restoreBackup({ archive, id: 'x', into: new MemoryStorage() }).catch(
      (error: unknown) => error,
    )
    expect(thrown).toMatchObject({ code: 'BACKUP_DAMAGED', id: 'x', applied: 'unknown' })
    expect((thrown as Error).message).toContain(why)
  })

  it('refuses options that are none', async () => {
    const archive = fileArchive(folder)
    const into = new MemoryStorage()
    await expect(restoreBackup({ archive, id: 'x', into, force: true } as never)).rejects.toThrow('no option "force"')
    await expect(restoreBackup({ archive, id: 7 as never, into })).rejects.toThrow(TypeError)
    await expect(restoreBackup({ archive, id: 'x', into: {} as never })).rejects.toThrow('into.collection')
    await expect(restoreBackup({ archive, id: 'x', into, onProgress: 1 as never })).rejects.toThrow('onProgress')
  })
})
