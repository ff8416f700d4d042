import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storageContract } from '../contract.js'
import {
  BusyError,
  ConflictError,
  CorruptError,
  DriverError,
  FormatError,
  LockedError,
  UnavailableError,
} from '../errors.js'
import type { Clock } from '../ports.js'
import { findDriver } from './sqlite-driver.js'
import { decodeError, encodeError } from './sqlite-worker-messages.js'
import type { Notice } from '../storage.js'
import { SqliteStorage } from '../sqlite.js'
import { outputOf, startChild } from '../test-support/child.js'
import { describeSqlite } from '../test-support/sqlite-describe.js'
import { buildWorkerFile } from '../test-support/sqlite-worker-file.js'

let directory: string
/** The program of the thread, which crashes when it is told to. */
let workerFile: string
let count = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-worker-'))
  const program = await buildWorkerFile(directory)
  workerFile = join(directory, 'crashing-worker.mjs')
  await writeFile(
    workerFile,
    `import { parentPort } from 'node:worker_threads'
     import ${JSON.stringify(pathToFileURL(program).href)}
     parentPort.on('message', (requests) => {
       if (JSON.stringify(requests).includes('crash now')) throw new Error('an accident')
     })`,
  )
})
afterAll(() => rm(directory, { recursive: true }))

function open(clock?: Clock): SqliteStorage {
  return new SqliteStorage({ path: join(directory, `${count}.db`), worker: true, clock }, { workerFile })
}

storageContract(
  {
    name: 'SqliteStorage in a worker thread',
    create: (clock) => {
      count++
      return open(clock)
    },
    reopen: open,
    join: open,
  },
  { describe: describeSqlite, it },
)

describeSqlite('SqliteStorage in a worker thread', () => {
  let storage: SqliteStorage

  beforeEach(async () => {
    count++
    storage = open()
    await storage.collection('notes').set('a', 1)
  })
  afterEach(() => storage.stop())

  const notes = () => storage.collection('notes')

  it('rejects what was under way when the thread crashes, tells it, and starts another', async () => {
    const events: string[] = []
    storage.on('change', ({ from, to }) => events.push(`${from} ${to}`))
    const wake = storage.collection('notes').watch()[Symbol.asyncIterator]()
    await wake.next()
    const write = notes().set('b', 'crash now')
    const read = notes().get('a')
    await expect(write).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'unknown' })
    await expect(read).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    expect(await notes().get('a')).toBe(1)
    await notes().set('c', 3)
    expect(events).toEqual(['up down', 'down up'])
    const heard = new Set<string>()
    while (!heard.has('c')) {
      const notice = (await wake.next()) as IteratorYieldResult<Notice<unknown>>
      if (notice.value.type !== 'reset') heard.add(notice.value.key)
    }
    await wake.return?.()
  })

  it('takes a lost database for lost, also in another thread', async () => {
    const path = join(directory, `${count}.db`)
    await expect(notes().set('b', 'crash now')).rejects.toMatchObject({ applied: 'unknown' })
    await rename(path, `${path}.moved`)
    await expect(notes().get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    await rename(`${path}.moved`, path)
    expect(await notes().get('a')).toBe(1)
  })

  it('waits for a lock no longer than it may', async () => {
    await storage.stop()
    const path = join(directory, `${count}.db`)
    storage = new SqliteStorage({ path, worker: true, busyTimeoutMs: 50 }, { workerFile })
    await storage.start()
    const other = findDriver('auto').open(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(notes().set('b', 2)).rejects.toMatchObject({ code: 'STORAGE_BUSY', applied: 'no' })
    expect(await notes().get('a')).toBe(1)
    other.exec('ROLLBACK')
    other.close()
    expect(storage.metrics().gauges['busy.waits']).toBeGreaterThan(0)
    await notes().set('b', 2)
  })

  it('ends a check whose signal aborts', async () => {
    const controller = new AbortController()
    const check = storage.check({ signal: controller.signal })
    controller.abort()
    await expect(check).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('lets the process end when nobody waits for an answer', async () => {
    const path = join(directory, `${count}.db`)
    const child = startChild('sqlite-idle-child.ts', path, workerFile)
    expect(await outputOf(child)).toEqual({ code: 0, stdout: 'written\n', stderr: '' })
    expect(await notes().get('idle')).toBe(true)
  })

  it('commits together what comes together', async () => {
    await Promise.all(Array.from({ length: 100 }, (_, i) => notes().set(`k${i}`, i)))
    expect(await notes().count({ prefix: 'k' })).toBe(100)
  })
})

describe('an error between threads', () => {
  it.each([
    new ConflictError('notes', 'a', 'v1', undefined),
    new UnavailableError('gone', 'unknown', { cause: new Error('why') }),
    new BusyError('bot.db', 12),
    new CorruptError('bot.db', 'is damaged'),
    new DriverError('none'),
    new FormatError('bot.db', '2', '1'),
    new LockedError('bot.db', 7, 0),
    new TypeError('wrong'),
  ])('arrives as it was: $name', (error) => {
    const arrived = decodeError(structuredClone(encodeError(error)))
    expect(arrived).toMatchObject({ ...error })
    expect(arrived.message).toBe(error.message)
    expect(arrived.name).toBe(error.name)
    if (error.name !== 'TypeError') expect(arrived).toBeInstanceOf(error.constructor)
  })
})
