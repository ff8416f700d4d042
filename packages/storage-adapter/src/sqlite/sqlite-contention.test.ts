import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type * as drivers from './sqlite-driver.js'
import type { SqliteDatabase } from './sqlite-driver.js'
import { SqliteStorage } from '../sqlite.js'
import { outputOf, startChild } from '../test-support/child.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'

interface Calls {
  /** How long each call of SQLite took that was refused because of a lock, in milliseconds. */
  refusedMs: number[]
}
const calls = vi.hoisted((): Calls => ({ refusedMs: [] }))

// The real driver, with a stopwatch.
vi.mock('./sqlite-driver.js', async (original) => {
  const driver = await original<typeof drivers>()
  const timed = <A extends unknown[], R>(call: (...parameters: A) => R) => {
    return (...parameters: A): R => {
      const startedMs = performance.now()
      try {
        return call(...parameters)
      } catch (error) {
        if (driver.failureOf(error) === 'busy') calls.refusedMs.push(performance.now() - startedMs)
        throw error
      }
    }
  }
  const withStopwatch = (database: SqliteDatabase): SqliteDatabase => ({
    exec: timed((sql) => database.exec(sql)),
    prepare: timed((sql) => {
      const statement = database.prepare(sql)
      return {
        run: timed((...values) => statement.run(...values)),
        get: timed((...values) => statement.get(...values)),
        all: timed((...values) => statement.all(...values)),
        iterate: timed((...values) => statement.iterate(...values)),
      }
    }),
    close: () => database.close(),
  })
  return {
    ...driver,
    findDriver: (wanted: Parameters<typeof driver.findDriver>[0]) => {
      const found = driver.findDriver(wanted)
      return { ...found, open: (path: string) => withStopwatch(found.open(path)) }
    },
  }
})

describeSqlite('SqliteStorage beside other processes', () => {
  let directory: string
  let path: string
  let storage: SqliteStorage

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-contention-'))
    path = join(directory, 'bot.db')
    storage = new SqliteStorage({ path })
    await storage.start()
    calls.refusedMs = []
  })
  afterEach(async () => {
    await storage.stop()
    await rm(directory, { recursive: true })
  })

  it('reads many records as of one moment, whatever another process writes', async () => {
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`)
    const numbers = storage.collection<number>('numbers')
    await numbers.setMany(keys.map((key) => [key, 0]))
    const child = startChild('sqlite-batch-child.ts', path, '300', String(keys.length))
    const ended = outputOf(child)
    let isRunning = true
    void ended.then(() => (isRunning = false))
    const seen = new Set<number>()
    while (isRunning) {
      const values = new Set((await numbers.getMany(keys)).values())
      expect(values.size).toBe(1)
      for (const value of values) seen.add(value)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await ended).toMatchObject({ code: 0, stderr: '' })
    expect(seen.size).toBeGreaterThan(10)
  }, 30_000)

  /** Most, and not all: this process may itself be kept waiting for a processor, by whatever else the machine does. */
  function expectShortRefusals(): void {
    const ordered = calls.refusedMs.sort((a, b) => a - b)
    expect(ordered[Math.floor(ordered.length * 0.9)] ?? 0).toBeLessThan(20)
  }

  it('reads on, and asks again in short turns, while one of them holds the lock for a second', async () => {
    const child = startChild('sqlite-lock-child.ts', path, '1000')
    const ended = outputOf(child)
    await once(child.stdout ?? child, 'data')
    let isDone = false
    const write = storage
      .collection('notes')
      .set('a', 1)
      .finally(() => (isDone = true))
    let reads = 0
    while (!isDone) {
      await storage.collection('notes').get('a')
      reads++
      await new Promise(setImmediate)
    }
    await write
    expect(await ended).toMatchObject({ code: 0, stderr: '' })
    expect(calls.refusedMs.length).toBeGreaterThan(5)
    expectShortRefusals()
    expect(reads).toBeGreaterThan(calls.refusedMs.length)
    expect(storage.metrics().gauges['busy.waits']).toBeGreaterThan(5)
  })

  it('gets its turn while one of them writes without a pause, and neither loses a write', async () => {
    const hammering = outputOf(startChild('sqlite-writer-child.ts', path, 'theirs', '500'))
    let isOver = false
    void hammering.finally(() => (isOver = true))
    let mine = 0
    while (!isOver) {
      await storage.collection('numbers').set(`mine:${mine++}`, mine)
      // A write that succeeds at once gives nobody else a turn.
      await new Promise(setImmediate)
    }
    expect(await hammering).toMatchObject({ code: 0, stderr: '' })
    expectShortRefusals()
    expect(await storage.collection('numbers').count({ prefix: 'theirs:' })).toBe(450)
    expect(await storage.collection('numbers').count({ prefix: 'mine:' })).toBe(mine)
  })
})
