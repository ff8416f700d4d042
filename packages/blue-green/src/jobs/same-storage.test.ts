import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FailoverStorage, FileStorage, MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { describe, expect, it } from 'vitest'
import { Jobs, type JobRun, type JobStorage, type JobStore } from '../jobs.js'
import { Fleet } from '../test-support/fleet.js'
import { everyMinute } from '../test-support/job-fleet.js'

describe('the storage of jobs', () => {
  /** Jobs that keep what has run in one place, and commit to another, which may be the same. */
  async function keptIn(store: JobStore, storage: JobStorage) {
    const fleet = new Fleet()
    const process = fleet.process()
    await process.restart.start()
    const job = { ...everyMinute, effects: 'stored', run: ({ commit }: JobRun) => commit([]) } as const
    const jobs = new Jobs({ jobs: { digest: job }, owner: process.restart, store, storage, scope: 'process', clock: process.clock }) // prettier-ignore
    return { jobs, clock: fleet.clock }
  }

  function open(memory: MemoryStorage): JobStorage {
    return { batch: (operations) => memory.batch(operations) }
  }

  it('must be that of the store, or no commit would be taken: start() says so', async () => {
    const [one, other] = [new MemoryStorage(), new MemoryStorage()]
    // A bot that has run before in each of them is no excuse.
    for (const used of [one, other]) {
      const { jobs } = await keptIn(used.collection('evenkeel'), open(used))
      await jobs.start()
      await jobs.stop()
    }
    const { jobs, clock } = await keptIn(one.collection('evenkeel'), open(other))
    const failure: unknown = await jobs.start().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(TypeError)
    expect((failure as Error).message).toContain('give storage and storage.collection("evenkeel") of one object')
    expect(jobs.status.role).toBe('stopped')
    await clock.advance(120_000)
    expect(jobs.status.jobs.size).toBe(0)
    const fresh = await keptIn(new MemoryStorage().collection('evenkeel'), open(new MemoryStorage()))
    await expect(fresh.jobs.start()).rejects.toThrow('storage is not the one')
  })

  it.each([
    ['file', (folder: string) => new FileStorage({ path: join(folder, 'file') })],
    ['SQLite', (folder: string) => new SqliteStorage({ path: join(folder, 'bot.db') })],
    ['fail-over', (folder: string) => new FailoverStorage({ primary: new MemoryStorage(), path: join(folder, 'failover'), writers: 'one' })], // prettier-ignore
  ])('may be a %s storage, and is told from another one', async (_, make) => {
    const folders = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'evenkeel-jobs-')))
    const [one, other] = folders.map((folder): Storage => make(folder)) as [Storage, Storage]
    for (const storage of [one, other]) {
      const { jobs } = await keptIn(storage.collection('evenkeel'), storage)
      await jobs.start()
      await jobs.stop()
    }
    const { jobs } = await keptIn(one.collection('evenkeel'), other)
    await expect(jobs.start()).rejects.toThrow('storage is not the one')
    await Promise.all([one.stop(), other.stop()])
    for (const folder of folders) rmSync(folder, { recursive: true })
  })

  it('is looked at by two that begin at once', async () => {
    const memory = new MemoryStorage()
    const both = await Promise.all([1, 2].map(() => keptIn(memory.collection('evenkeel'), open(memory))))
    await Promise.all(both.map(({ jobs }) => jobs.start()))
    expect(await memory.collection('evenkeel').get('job-storage:bot')).toEqual({ format: 1 })
    await Promise.all(both.map(({ jobs }) => jobs.stop()))
  })

  it('is not judged by a look during which somebody else writes', async () => {
    const memory = new MemoryStorage()
    const notes = memory.collection('evenkeel')
    let writes = 0
    const storage: JobStorage = {
      batch: async (operations) => {
        for await (const { key, value } of notes.scan()) if ((writes += 1) <= 2) await notes.set(key, value)
        return open(memory).batch(operations)
      },
    }
    const { jobs } = await keptIn(notes, storage)
    await jobs.start()
    expect(writes).toBe(3)
    await jobs.stop()
  })

  it.each([
    ['batches reject', () => Promise.reject(new Error('connection refused'))],
    ['batches hang', () => new Promise<never>(() => undefined)],
  ])('does not hold up start() while %s', async (_, batch) => {
    const memory = new MemoryStorage()
    const { jobs, clock } = await keptIn(memory.collection('evenkeel'), { batch })
    const started = jobs.start()
    await clock.advance(2_000)
    await started
    expect(jobs.status.role).toBe('owner')
    await jobs.stop()
  })

  it('does not hold up start() while the store takes no writes', async () => {
    const memory = new MemoryStorage()
    const inner = memory.collection('evenkeel')
    const readOnly: JobStore = {
      name: 'evenkeel',
      scope: inner.scope,
      entry: (key) => inner.entry(key),
      compareAndSet: () => Promise.reject(new Error('read-only')),
    }
    const { jobs } = await keptIn(readOnly, open(memory))
    await jobs.start()
    await jobs.stop()
  })
})
