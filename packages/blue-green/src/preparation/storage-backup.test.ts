import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStorage, MemoryStorage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type Archive,
  type ArchivedRow,
  BackupDamagedError,
  EmptyBackupError,
  fileArchive,
  restoreBackup,
  storageBackup,
} from '../preparation.js'

const signal = new AbortController().signal
const now = Date.UTC(2026, 10, 29, 1, 2, 3, 45)
const clock = { now: () => now }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-backup-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function filled<S extends MemoryStorage | FileStorage | SqliteStorage>(storage: S): Promise<S> {
  const notes = storage.collection('notes')
  // All that a line of JSON has been known to break at.
  await notes.set('__proto__', { text: 'a\u2028b\u2029c\nd\re\u0000f', list: [1, null, { constructor: '🦊' }] })
  await notes.set('n̄', 'NFD')
  await notes.set('%_*', -0.5)
  const many = Array.from({ length: 700 }, (_, i) => [`r${i}`, { i, text: 'x'.repeat(700) }] as const)
  await storage.collection('reminders').setMany(many)
  await storage.collection('sessions').set('s', 1, { expiresAt: Date.now() + 3_600_000 })
  return storage
}

async function rowsIn(storage: MemoryStorage | FileStorage | SqliteStorage): Promise<unknown[]> {
  const rows: unknown[] = []
  for (const name of (await storage.collections()).sort()) {
    for await (const { key, value, expiresAt } of storage.collection(name).scan())
      rows.push([name, key, value, expiresAt])
  }
  return rows
}

describe('storageBackup', () => {
  it.each([
    [
      'file',
      'SQLite',
      () => new FileStorage({ path: join(folder, 'from') }),
      () => new SqliteStorage({ path: join(folder, 'into.db') }),
    ],
    [
      'SQLite',
      'file',
      () => new SqliteStorage({ path: join(folder, 'from.db') }),
      () => new FileStorage({ path: join(folder, 'into') }),
    ],
  ])(
    'keeps everything of a %s storage, and restores it into a %s storage',
    async (_from, _into, makeSource, makeTarget) => {
      const [source, into] = [await filled(makeSource()), makeTarget()]
      const archive = fileArchive(join(folder, 'backups'))
      const backup = storageBackup({ source, archive, scratch: () => new MemoryStorage(), clock })
      const made = await backup({ deploymentId: 'v2/../x', signal })
      expect(made.id).toBe('2026-11-29T01-02-03-045Z-v2_.._x')
      expect(made.rows).toBe(704)
      expect(made.bytes).toBe(statSync(join(folder, 'backups', `${made.id}.jsonl`)).size)
      expect(await restoreBackup({ archive, id: made.id, into })).toBe(704)
      expect(await rowsIn(into)).toEqual(await rowsIn(source))
      expect(readdirSync(join(folder, 'backups'))).toEqual([`${made.id}.jsonl`])
      await Promise.all([source.stop(), into.stop()])
    },
  )

  it('never overwrites one, also in the same millisecond', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', 'first')
    const backup = storageBackup({ source, archive: fileArchive(folder), scratch: () => new MemoryStorage(), clock })
    const first = await backup({ deploymentId: 'd', signal })
    const text = readFileSync(join(folder, `${first.id}.jsonl`), 'utf8')
    await source.collection('notes').set('1', 'second')
    const second = await backup({ deploymentId: 'd', signal })
    expect(second.id).toBe(`${first.id}-2`)
    expect(second.hash).not.toBe(first.hash)
    expect(readFileSync(join(folder, `${first.id}.jsonl`), 'utf8')).toBe(text)
  })

  it.each([
    ['a row less', (lines: string[]) => lines.splice(1, 1)],
    ['no end', (lines: string[]) => lines.splice(-2)],
    ['half a line', (lines: string[]) => (lines[1] = lines[1]!.slice(0, 9))],
    ['another letter', (lines: string[]) => (lines[1] = lines[1]!.replace('tea', 'pea'))],
    ['something after its end', (lines: string[]) => lines.splice(-1, 1, '["notes","9","x"]')],
    ['a newer format', (lines: string[]) => (lines[0] = '{"evenkeelBackup":2}')],
  ])('refuses to restore a file with %s, and writes nothing', async (_, damage) => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', 'tea')
    await source.collection('notes').set('2', 'milk')
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source, archive, scratch: () => new MemoryStorage() })({
      deploymentId: 'd',
      signal,
    })
    const path = join(folder, `${id}.jsonl`)
    const lines = readFileSync(path, 'utf8').split('\n')
    damage(lines)
    writeFileSync(path, lines.join('\n'))
    const into = new MemoryStorage()
    await expect(restoreBackup({ archive, id, into })).rejects.toMatchObject({ code: 'BACKUP_DAMAGED', id })
    expect(await into.collections()).toEqual([])
  })

  it('does not believe an archive that says that all is well', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', { text: 'tea' })
    const kept: { collection: string; key: string; value: unknown }[] = []
    const forgetful: Archive = {
      write: async (_, rows) => {
        for await (const row of rows) kept.push({ ...row, value: { text: 'pea' } })
        return {}
      },
      async *read() {
        yield* kept
      },
    }
    const backup = storageBackup({ source, archive: forgetful, scratch: () => new MemoryStorage() })
    const error = await backup({ deploymentId: 'd', signal }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(BackupDamagedError)
    expect((error as Error).message).toContain('1 row differs: notes/1 changed')
  })

  it.each([0, 3, 10])('is none when the archive took only %d rows of more', async (taken) => {
    const source = new MemoryStorage()
    for (let i = 0; i < 11; i++) await source.collection('notes').set(`n${i}`, i)
    const kept: ArchivedRow[] = []
    const hasty: Archive = {
      async write(_, rows) {
        const iterator = rows[Symbol.asyncIterator]()
        while (kept.length < taken) kept.push(((await iterator.next()) as IteratorYieldResult<ArchivedRow>).value)
        return {}
      },
      async *read() {
        yield* kept
      },
    }
    const backup = storageBackup({ source, archive: hasty, scratch: () => new MemoryStorage(), clock })
    const error: unknown = await backup({ deploymentId: 'd', signal }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'BACKUP_DAMAGED', id: '2026-11-29T01-02-03-045Z-d' })
    expect((error as Error).message).toContain(`the archive took ${taken} rows, and left those that follow`)
  })

  it('takes an archive that does not say how large a backup is', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', 'tea')
    const kept: ArchivedRow[] = []
    const silent = {
      async write(_: string, rows: AsyncIterable<ArchivedRow>) {
        for await (const row of rows) kept.push(row)
      },
      async *read() {
        yield* kept
      },
    }
    const backup = storageBackup({ source, archive: silent as never, scratch: () => new MemoryStorage(), clock })
    expect(await backup({ deploymentId: 'd', signal })).toEqual({
      id: '2026-11-29T01-02-03-045Z-d',
      rows: 1,
      hash: expect.stringMatching(/^[\da-f]{64}$/) as unknown,
    })
  })

  it('keeps -0, which JSON.stringify makes 0', async () => {
    const source = new MemoryStorage()
    const balances = { of: [-0, 0, -0.5], '-0': { deep: -0, text: '-0' } }
    await source.collection('notes').set('1', -0)
    await source.collection('notes').set('2', balances)
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source, archive, scratch: () => new MemoryStorage() })({
      deploymentId: 'd',
      signal,
    })
    const into = new MemoryStorage()
    await restoreBackup({ archive, id, into })
    // toBe and toEqual tell -0 from 0.
    expect(await into.collection('notes').get('1')).toBe(-0)
    expect(await into.collection('notes').get('2')).toEqual(balances)
    expect(Object.keys((await into.collection('notes').get('2')) as object)).toEqual(['of', '-0'])
  })

  it('is not one when the store that it is restored into makes 0 of -0', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', -0)
    class Positive extends MemoryStorage {
      override batch(operations: Parameters<MemoryStorage['batch']>[0]): ReturnType<MemoryStorage['batch']> {
        return super.batch(JSON.parse(JSON.stringify(operations)) as typeof operations)
      }
    }
    const backup = storageBackup({ source, archive: fileArchive(folder), scratch: () => new Positive() })
    await expect(backup({ deploymentId: 'd', signal })).rejects.toThrow('1 row differs: notes/1 changed')
  })

  it('lets go of the scratch store, and keeps nothing, when it is told to end', async () => {
    const source = await filled(new MemoryStorage())
    const stop = new AbortController()
    let [isStopped, reads] = [false, 0]
    const scratch = (): MemoryStorage => {
      const storage = new MemoryStorage()
      const inner = storage.stop.bind(storage)
      storage.stop = () => ((isStopped = true), inner())
      return storage
    }
    const archive = fileArchive(folder)
    const slow: Archive = {
      write: (name, rows, signal) => archive.write(name, rows, signal),
      async *read(name, signal) {
        for await (const row of archive.read(name, signal)) {
          if (++reads === 10) stop.abort(new Error('cancelled'))
          yield row
        }
      },
    }
    const backup = storageBackup({ source, archive: slow, scratch })
    await expect(backup({ deploymentId: 'd', signal: stop.signal })).rejects.toThrow('cancelled')
    expect(isStopped).toBe(true)
    await expect(
      storageBackup({ source, archive: fileArchive(join(folder, 'none')), scratch })({
        deploymentId: 'd',
        signal: stop.signal,
      }),
    ).rejects.toThrow('cancelled')
    expect(existsSync(join(folder, 'none'))).toBe(false)
  })

  it('refuses the source itself as scratch, before it keeps anything, and leaves it as it is', async () => {
    const source = new SqliteStorage({ path: join(folder, 'bot.db') })
    await source.collection('notes').set('1', 'tea')
    const archive = fileArchive(join(folder, 'backups'))
    const backup = storageBackup({ source, archive, scratch: () => source })
    const error: unknown = await backup({ deploymentId: 'd', signal }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'NotIsolatedError', code: 'NOT_ISOLATED', applied: 'no' })
    expect((error as Error).message).toContain('`scratch`')
    expect(existsSync(join(folder, 'backups'))).toBe(false)
    // A store that was stopped refuses this.
    expect(await source.collection('notes').get('1')).toBe('tea')
    await source.stop()
  })

  it.each([
    [
      'a promise of a store',
      async () => new MemoryStorage(),
      /scratch must give a store at once, not a promise of one.*await/,
    ],
    ['no store', () => ({}), /what scratch made\.collection must be a function/],
    ['nothing', () => undefined, /what scratch made\.collection must be a function/],
  ])('says what scratch must make when it makes %s', async (_, scratch, message) => {
    const source = await filled(new MemoryStorage())
    const backup = storageBackup({ source, archive: fileArchive(join(folder, 'none')), scratch: scratch as never })
    const error: unknown = await backup({ deploymentId: 'd', signal }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toMatch(message)
    expect(existsSync(join(folder, 'none'))).toBe(false)
  })

  it("does not stop a scratch store that holds something, which is somebody else's", async () => {
    const source = await filled(new MemoryStorage())
    const inUse = new SqliteStorage({ path: join(folder, 'in-use.db') })
    await inUse.collection('notes').set('1', 'tea')
    const backup = storageBackup({ source, archive: fileArchive(join(folder, 'backups')), scratch: () => inUse })
    await expect(backup({ deploymentId: 'd', signal })).rejects.toMatchObject({ code: 'NOT_EMPTY' })
    expect(existsSync(join(folder, 'backups'))).toBe(false)
    expect(await inUse.collection('notes').get('1')).toBe('tea')
    await inUse.stop()
  })

  it('does not stop a scratch store that somebody else begins to use meanwhile', async () => {
    const source = await filled(new MemoryStorage())
    const inUse = new SqliteStorage({ path: join(folder, 'in-use.db') })
    const inner = fileArchive(folder)
    const archive: Archive = {
      async write(name, rows, stop) {
        await inUse.collection('notes').set('1', 'tea')
        return inner.write(name, rows, stop)
      },
      read: (name, stop) => inner.read(name, stop),
    }
    const backup = storageBackup({ source, archive, scratch: () => inUse })
    await expect(backup({ deploymentId: 'd', signal })).rejects.toMatchObject({ code: 'NOT_EMPTY' })
    expect(await inUse.collection('notes').get('1')).toBe('tea')
    await inUse.stop()
  })

  it('stops the scratch store when the source fails', async () => {
    const source = await filled(new MemoryStorage())
    let isStopped = false
    const scratch = (): MemoryStorage => {
      const storage = new MemoryStorage()
      storage.stop = async () => void (isStopped = true)
      return storage
    }
    const broken: Archive = { write: () => Promise.reject(new Error('no bucket')), read: () => [] as never }
    await expect(storageBackup({ source, archive: broken, scratch })({ deploymentId: 'd', signal })).rejects.toThrow(
      'no bucket',
    )
    expect(isStopped).toBe(true)
  })

  it('is none when it has no row, unless that is allowed: the path may be a wrong one', async () => {
    const source = new MemoryStorage()
    const archive = fileArchive(folder)
    const options = { source, archive, scratch: () => new MemoryStorage() }
    const error: unknown = await storageBackup(options)({ deploymentId: 'd', signal }).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(EmptyBackupError)
    expect(error).toMatchObject({ name: 'EmptyBackupError', code: 'EMPTY_BACKUP', applied: 'no', leftOut: [] })
    expect((error as Error).message).toContain('allowEmpty: true')
    // Nor is one whose rows are all left out.
    await source.collection('evenkeel').set('bot', 1)
    const leftOut = storageBackup({ ...options, leaveOut: ['evenkeel'] })({ deploymentId: 'd', signal })
    await expect(leftOut).rejects.toMatchObject({ code: 'EMPTY_BACKUP', leftOut: ['evenkeel'] })
    expect(readdirSync(folder)).toEqual([])
    const allowed = storageBackup({ ...options, leaveOut: ['evenkeel'], allowEmpty: true })
    const { id, rows } = await allowed({ deploymentId: 'd', signal })
    expect(rows).toBe(0)
    expect(await restoreBackup({ archive, id, into: new MemoryStorage() })).toBe(0)
  })

  it('does not take a name to leave out that names nothing, for it may be misspelt', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', 'tea')
    await source.collection('evenkeel').set('bot', 1)
    const options = { source, archive: fileArchive(folder), scratch: () => new MemoryStorage() }
    const misspelt = storageBackup({ ...options, leaveOut: ['evenkel', 'notes'] })({ deploymentId: 'd', signal })
    await expect(misspelt).rejects.toThrow(
      'storageBackup: leaveOut names "evenkel", and the source has no such collection; it has evenkeel, notes.',
    )
    await expect(misspelt).rejects.toThrow(RangeError)
    expect(readdirSync(folder)).toEqual([])
    // Of an empty source that is not what is wrong.
    const empty = storageBackup({ ...options, source: new MemoryStorage(), leaveOut: ['evenkeel'] })
    await expect(empty({ deploymentId: 'd', signal })).rejects.toMatchObject({ code: 'EMPTY_BACKUP' })
  })

  it('leaves out by a function what is not always there', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', 'tea')
    const asked: string[] = []
    const backup = storageBackup({
      source,
      archive: fileArchive(folder),
      scratch: () => new MemoryStorage(),
      leaveOut: (name) => asked.push(name) > 0 && ['evenkeel', 'sessions'].includes(name),
    })
    expect((await backup({ deploymentId: 'd', signal })).rows).toBe(1)
    await source.collection('sessions').set('s', 1)
    expect((await backup({ deploymentId: 'e', signal })).rows).toBe(1)
    expect(new Set(asked)).toEqual(new Set(['notes', 'sessions']))
  })

  it('restores into an empty store only', async () => {
    const source = new MemoryStorage()
    await source.collection('notes').set('1', 'tea')
    const archive = fileArchive(folder)
    const { id } = await storageBackup({ source, archive, scratch: () => new MemoryStorage() })({
      deploymentId: 'd',
      signal,
    })
    await expect(restoreBackup({ archive, id, into: source })).rejects.toMatchObject({
      code: 'NOT_EMPTY',
      applied: 'no',
    })
  })

  it('refuses options and names that are none', async () => {
    const [source, archive, scratch] = [new MemoryStorage(), fileArchive(folder), () => new MemoryStorage()]
    expect(() => storageBackup({ source, archive, scratch, folder } as never)).toThrow('no option "folder"')
    expect(() => storageBackup({ source: new Map() as never, archive, scratch })).toThrow('source.collection')
    expect(() => storageBackup({ source, archive: {} as never, scratch })).toThrow('archive.write')
    expect(() => storageBackup({ source, archive, scratch, allowEmpty: 1 as never })).toThrow('allowEmpty')
    expect(() => storageBackup({ source, archive, scratch, leaveOut: [1] as never })).toThrow('leaveOut')
    expect(() => storageBackup({ source, archive, scratch, onProgress: 1 as never })).toThrow('onProgress')
    expect(() => storageBackup({ source, archive, scratch, clock: {} as never })).toThrow('clock.now')
    expect(() => fileArchive('')).toThrow(TypeError)
    await expect(restoreBackup({ archive, id: '../x', into: source })).rejects.toThrow('A backup is named by')
  })
})
