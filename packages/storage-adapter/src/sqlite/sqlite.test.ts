import { FakeClock } from '@evenkeel/testing'
import {
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BackendStorage } from '../backend-storage.js'
import { FailoverStorage } from '../failover/failover-storage.js'
import { nodeFiles, type FileOps } from '../file/file-ops.js'
import type * as drivers from './sqlite-driver.js'
import type { Clock } from '../ports.js'
import { checkBetterSqlite, failureOf, findDriver, type SqliteDatabase } from './sqlite-driver.js'
import { SqliteBackend } from './sqlite-backend.js'
import { SqliteStorage } from '../sqlite.js'
import { systemClock } from '../system-clock.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

const GONE = { code: 'STORAGE_UNAVAILABLE' }
interface Faults {
  failOn?: string | undefined
  failValue?: string | undefined
}
const faults = vi.hoisted((): Faults => ({}))

// The real driver, except for one statement that a test may let fail.
vi.mock('./sqlite-driver.js', async (original) => {
  const driver = await original<typeof drivers>()
  return {
    ...driver,
    findDriver: (wanted: Parameters<typeof driver.findDriver>[0]) => {
      const found = driver.findDriver(wanted)
      return { ...found, open: (path: string) => withFaults(found.open(path)) }
    },
  }
  function withFaults(database: SqliteDatabase): SqliteDatabase {
    return {
      exec: (sql) => database.exec(sql),
      prepare: (sql) => {
        const statement = database.prepare(sql)
        return {
          get: (...values) => statement.get(...values),
          all: (...values) => statement.all(...values),
          iterate: (...values) => statement.iterate(...values),
          run: (...values) => {
            if (sql === faults.failOn) {
              faults.failOn = undefined
              throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR' })
            }
            if (faults.failValue === undefined || !values.includes(faults.failValue)) return statement.run(...values)
            throw Object.assign(new Error('string or blob too big'), { code: 'SQLITE_TOOBIG' })
          },
        }
      },
      close: () => database.close(),
    }
  }
})

describeSqlite('SqliteStorage', () => {
  let directory: string
  let path: string
  let storage: BackendStorage
  let skippedMs = 0
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skippedMs }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-'))
    path = join(directory, 'bot.db')
    storage = new SqliteStorage({ path, clock })
    await storage.collection('notes').set('a', 1)
    // As in a directory in which nothing has changed for long: then it is looked at instead of the files.
    await utimes(directory, 1, 1)
    await storage.collection('notes').set('a', 1)
  })
  afterEach(async () => {
    await storage.stop()
    await rm(directory, { recursive: true })
  })

  const notes = () => storage.collection('notes')

  /** Reads look at the path every 100 ms only. */
  function lookAgain(): void {
    skippedMs += 100
  }

  async function readAnew(key: string): Promise<unknown> {
    const other = new SqliteStorage({ path })
    const value = await other.collection('notes').get(key)
    await other.stop()
    return value
  }

  describe('when its file is not where it was', () => {
    it.each<[string, (moved: string) => Promise<void>]>([
      ['moved', (moved) => rename(path, moved)],
      ['deleted', () => unlink(path)],
      ['emptied', () => truncate(path)],
    ])('rejects reads and writes while it is %s', async (_, lose) => {
      await lose(join(directory, 'moved.db'))
      lookAgain()
      await expect(notes().set('b', 2)).rejects.toMatchObject({ applied: 'no' })
      await expect(notes().get('a')).rejects.toMatchObject({ applied: 'no' })
      await expect(storage.health()).rejects.toMatchObject({ applied: 'no' })
    })

    it('notices that too when its path is a link into another directory', async () => {
      await storage.stop()
      const elsewhere = join(directory, 'elsewhere')
      await mkdir(elsewhere)
      await rename(path, join(elsewhere, 'bot.db'))
      await symlink(join(elsewhere, 'bot.db'), path)
      await utimes(directory, 1, 1)
      await storage.start()
      await notes().set('b', 2)
      await rename(join(elsewhere, 'bot.db'), join(elsewhere, 'moved.db'))
      await expect(notes().set('c', 3)).rejects.toMatchObject({ ...GONE, applied: 'no' })
    })

    it('goes on when it is back, with all that was acknowledged', async () => {
      const moved = join(directory, 'moved.db')
      await rename(path, moved)
      await expect(notes().set('b', 2)).rejects.toMatchObject(GONE)
      await rename(moved, path)
      await notes().set('c', 3)
      expect([...(await notes().getMany(['a', 'b', 'c'])).keys()]).toEqual(['a', 'c'])
    })

    it('leaves the file whole that was moved away without its log', async () => {
      const moved = join(directory, 'moved.db')
      await rename(path, moved)
      lookAgain()
      await expect(notes().get('a')).rejects.toMatchObject(GONE)
      const other = new SqliteStorage({ path: moved })
      expect(await other.collection('notes').get('a')).toBe(1)
      await other.stop()
    })

    it('never makes a new database in the place of a lost one', async () => {
      await unlink(path)
      await expect(notes().set('b', 2)).rejects.toMatchObject(GONE)
      await expect(notes().set('b', 2)).rejects.toMatchObject(GONE)
      await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' })
    })

    it('uses another database that takes its place, and keeps the old log out of it', async () => {
      const other = new SqliteStorage({ path: join(directory, 'other.db') })
      await other.collection('notes').set('other', 1)
      await other.stop()
      await rename(join(directory, 'other.db'), path)
      lookAgain()
      await expect(notes().get('a')).rejects.toMatchObject(GONE)
      expect(await notes().get('other')).toBe(1)
      expect(await notes().get('a')).toBeUndefined()
    })

    it('says that a write is unknown when the file goes between the commit and its acknowledgement', async () => {
      let isGone = false
      const files: FileOps = { ...nodeFiles, identify: (at) => (isGone ? undefined : nodeFiles.identify(at)) }
      await storage.stop()
      const backend = new SqliteBackend({ path, driver: 'auto', busyTimeoutMs: 100, clock: systemClock, files })
      storage = new BackendStorage(backend)
      await storage.start()
      const write = notes().set('b', 2)
      // The first look at the directory is made before the transaction; the next one after it.
      let looks = 0
      files.identify = (at) => {
        if (at === directory) isGone ||= ++looks > 1
        const found = nodeFiles.identify(at)
        if (!isGone || found === undefined) return found
        return at === directory ? { ...found, changedMs: 0 } : undefined
      }
      await expect(write).rejects.toMatchObject({ ...GONE, applied: 'unknown' })
    })

    it('tells when it is gone and when it is back', async () => {
      const events: string[] = []
      storage.on('change', ({ from, to }) => events.push(`${from} ${to}`))
      await rename(path, `${path}.moved`)
      lookAgain()
      await expect(notes().get('a')).rejects.toMatchObject(GONE)
      await expect(notes().set('a', 2)).rejects.toMatchObject(GONE)
      await rename(`${path}.moved`, path)
      expect((await storage.health()).status).toBe('up')
      expect(events).toEqual(['up down', 'down up'])
    })
  })

  describe('when its file is not a database', () => {
    it.each([
      ['text', Buffer.from('this is not a database, but it is long enough to look like one'.repeat(20))],
      ['empty', Buffer.alloc(0)],
    ])('refuses one that is %s, and leaves it as it is', async (_, content) => {
      const other = join(directory, 'other.db')
      await writeFile(other, content)
      const broken = new SqliteStorage({ path: other })
      await expect(broken.start()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT', applied: 'no' })
      await expect(broken.collection('notes').set('a', 1)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
      expect(await readFile(other)).toEqual(content)
      await broken.stop()
    })

    it('refuses the database of another program, and one of a newer version', async () => {
      const database = findDriver('auto').open(join(directory, 'foreign.db'))
      database.exec('CREATE TABLE theirs (x)')
      database.close()
      const foreign = new SqliteStorage({ path: join(directory, 'foreign.db') })
      await expect(foreign.start()).rejects.toMatchObject({ code: 'STORAGE_FORMAT' })
      await storage.stop()
      const newer = findDriver('auto').open(path)
      newer.exec('PRAGMA user_version = 2')
      newer.close()
      await expect(storage.start()).rejects.toMatchObject({ code: 'STORAGE_FORMAT', found: '2', supported: '1' })
    })
  })

  describe('when another connection has the lock', () => {
    it('waits without blocking the event loop, and then writes', async () => {
      const other = findDriver('auto').open(path)
      other.exec('BEGIN IMMEDIATE')
      const write = notes().set('b', 2)
      let turns = 0
      await new Promise<void>((resolve) => {
        const turn = (): void => void (++turns < 50 ? setImmediate(turn) : resolve())
        turn()
      })
      expect(await notes().get('a')).toBe(1)
      other.exec('COMMIT')
      other.close()
      await write
      expect(await notes().get('b')).toBe(2)
    })

    it('gives up all who have waited so long, also those for whom the transaction had no room', async () => {
      const clock = new FakeClock()
      const impatient = new SqliteStorage({ path, clock, busyTimeoutMs: 100 })
      await impatient.start()
      const other = findDriver('auto').open(path)
      other.exec('BEGIN IMMEDIATE')
      const settled: string[] = []
      const writes = Array.from({ length: 1_000 }, (_, i) => impatient.collection('notes').set(`k${i}`, i))
      for (const write of writes) write.catch((error: { code: string }) => settled.push(error.code))
      await clock.advance(200)
      expect(settled.length).toBe(1_000)
      expect(new Set(settled)).toEqual(new Set(['STORAGE_BUSY']))
      other.exec('ROLLBACK')
      other.close()
      await impatient.collection('notes').set('b', 3)
      expect(await impatient.collection('notes').count({ prefix: 'k' })).toBe(0)
      await impatient.stop()
    })

    it('gives up as busy, not as unavailable, and nothing was written', async () => {
      const clock = new FakeClock()
      const impatient = new SqliteStorage({ path, clock, busyTimeoutMs: 100 })
      await impatient.start()
      const other = findDriver('auto').open(path)
      other.exec('BEGIN IMMEDIATE')
      const outcome = expect(impatient.collection('notes').set('b', 2)).rejects.toMatchObject({
        code: 'STORAGE_BUSY',
        applied: 'no',
        retryable: true,
      })
      await clock.advance(200)
      await outcome
      other.exec('ROLLBACK')
      other.close()
      expect(await notes().has('b')).toBe(false)
      await impatient.stop()
    })
  })

  it('lets others have their turn while one write after another is awaited', async () => {
    let turns = 0
    let isOver = false
    const turn = (): void => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    for (let i = 0; i < 500; i++) {
      skippedMs += 1
      await notes().set(`k${i}`, i)
    }
    isOver = true
    expect(turns).toBeGreaterThanOrEqual(45)
  })

  it('says how long its log is and how much waits', async () => {
    const writes = Promise.all([notes().set('b', 2), notes().set('c', 3)])
    expect(storage.metrics().gauges['queue.length']).toBe(2)
    await writes
    const { gauges } = storage.metrics()
    expect(gauges).toEqual({ 'wal.bytes': expect.any(Number) as unknown, 'queue.length': 0, 'busy.waits': 0 })
    expect(gauges['wal.bytes']).toBeGreaterThan(4_096)
  })

  it('is read in pages of so many characters, however few records they hold', async () => {
    const long = 'x'.repeat(3_000_000)
    for (const key of ['b', 'c', 'd', 'e', 'f']) await notes().set(key, long)
    const { count } = storage.metrics().operations.scan
    const keys: string[] = []
    for await (const { key } of notes().scan()) keys.push(key)
    expect(keys).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    // The first three records of 3 MB fill a page.
    expect(storage.metrics().operations.scan.count - count).toBe(2)
    const backwards: string[] = []
    for await (const { key } of notes().scan({ reverse: true, limit: 4 })) backwards.push(key)
    expect(backwards).toEqual(['f', 'e', 'd', 'c'])
  })

  describe('when a statement fails', () => {
    it('rejects all whose commit failed as unknown, opens anew and goes on', async () => {
      faults.failOn = 'COMMIT'
      const outcomes = await Promise.allSettled([notes().set('b', 2), notes().set('c', 3)])
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { ...GONE, applied: 'unknown' } })
      }
      await notes().set('d', 4)
      expect(await readAnew('d')).toBe(4)
    })

    it('undoes the whole batch that it is part of, and harms no neighbour', async () => {
      faults.failValue = JSON.stringify('too big')
      const outcomes = await Promise.allSettled([
        notes().set('b', 2),
        notes().setMany([
          ['half', 1],
          ['other half', 'too big'],
        ]),
        notes().set('c', 3),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect(outcomes[1]).toMatchObject({ reason: { ...GONE, applied: 'no' } })
      expect([...(await notes().getMany(['b', 'half', 'other half', 'c'])).keys()]).toEqual(['b', 'c'])
    })

    it('rejects a value that is too big, alone or in a batch, and stays up', async () => {
      const events: string[] = []
      storage.on('change', ({ to }) => events.push(to))
      faults.failValue = JSON.stringify('too big')
      await expect(notes().set('b', 'too big')).rejects.toMatchObject({ applied: 'no' })
      const batch = notes().setMany([
        ['c', 1],
        ['d', 'too big'],
      ])
      await expect(batch).rejects.toMatchObject({ applied: 'no' })
      expect([...(await notes().getMany(['b', 'c', 'd'])).keys()]).toEqual([])
      expect(events).toEqual([])
    })

    it.each(['BEGIN IMMEDIATE', 'SAVEPOINT caller'])(
      'rejects as not applied when it is before the commit: %s',
      async (sql) => {
        faults.failOn = sql
        // Only a batch that shares the transaction has a savepoint.
        const other = expect(notes().set('c', 2)).rejects.toMatchObject({ ...GONE, applied: 'no' })
        const write = notes().setMany([
          ['b', 2],
          ['d', 2],
        ])
        await expect(write).rejects.toMatchObject({ ...GONE, applied: 'no' })
        await other
        expect(await readAnew('b')).toBeUndefined()
        await notes().set('b', 3)
        expect(await readAnew('b')).toBe(3)
      },
    )
  })

  it('fails over when its file is deleted under it, and does not return to an empty one', async () => {
    const failover = new FailoverStorage({
      primary: storage,
      path: join(directory, 'failover'),
      writers: 'one',
      probeIntervalMs: 1,
      steadyProbes: 1,
      cooldownMs: 0,
    })
    const mirrored = new Promise<void>((resolve) =>
      failover.on('change', ({ what, to }) => what === 'mirror' && to === 'fresh' && resolve()),
    )
    const diverged = new Promise((resolve) => failover.once('diverged', resolve))
    await failover.start()
    await mirrored
    await copyFile(path, `${path}.backup`)
    await unlink(path)
    const mine = failover.collection('notes')
    expect(await mine.set('b', 2)).toMatchObject({ kept: 'journal' })
    expect(await mine.get('a')).toBe(1)
    const empty = new SqliteStorage({ path })
    await empty.start()
    await empty.stop()
    await diverged
    expect(failover.state).toMatchObject({ on: 'fallback', journalLength: 1 })
    await failover.stop()
  })
})

describe('the choice of a driver', () => {
  it('refuses a better-sqlite3 that would crash this Node, before it is loaded', () => {
    expect(() => checkBetterSqlite('13.2.0', '9')).toThrow(/better-sqlite3 13.2.0 would crash .* npm install/)
    expect(() => checkBetterSqlite('13.0.0', undefined)).toThrow()
    expect(() => checkBetterSqlite('13.2.0', '10')).not.toThrow()
    expect(() => checkBetterSqlite('12.11.1', '9')).not.toThrow()
  })

  it.skipIf('getBuiltinModule' in process && process.getBuiltinModule('node:sqlite') !== undefined)(
    'names the command when the wanted driver is not there',
    () => {
      expect(() => findDriver('node:sqlite')).toThrow(/npm install better-sqlite3@12/)
    },
  )

  it.each([
    [{ code: 'SQLITE_BUSY_SNAPSHOT' }, 'busy'],
    [{ code: 'ERR_SQLITE_ERROR', errcode: 5 }, 'busy'],
    [{ code: 'SQLITE_NOTADB' }, 'corrupt'],
    [{ code: 'ERR_SQLITE_ERROR', errcode: 267 }, 'corrupt'],
    [{ code: 'SQLITE_FULL' }, 'other'],
    [undefined, 'other'],
  ])('understands %o of either driver', (error, kind) => {
    expect(failureOf(error)).toBe(kind)
  })

  it.each([{ path: '' }, { path: 'x', driver: 'sqlite3' as never }, { path: 'x', busyTimeoutMs: -1 }])(
    'refuses %o at once',
    (options) => {
      expect(() => new SqliteStorage(options)).toThrow(/must be|needs/)
    },
  )
})
