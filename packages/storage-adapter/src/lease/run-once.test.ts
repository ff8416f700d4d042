import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { runOnce, type JobRun, type RunOnceOptions, type RunOutcome } from '../lease.js'
import { MemoryStorage } from '../memory-storage.js'

const LEASE_MS = 900

describe('runOnce', () => {
  let storage: MemoryStorage
  let faulty: FaultyStorage<MemoryStorage>
  let clock: FakeClock

  beforeEach(() => {
    clock = new FakeClock()
    storage = new MemoryStorage({ clock })
    faulty = new FaultyStorage(storage)
  })

  /** A caller in a process of its own. */
  function call<T>(owner: string, run: (job: JobRun) => T | Promise<T>, options: Partial<RunOnceOptions<T>> = {}) {
    const store = storage.collection('evenkeel')
    return runOnce({ store, id: 'report', leaseMs: LEASE_MS, scope: 'process', owner, clock, run, ...options })
  }

  /** A job that ends when it is told to. */
  function longJob() {
    let finish: (value: string) => void = () => undefined
    let fail: (error: Error) => void = () => undefined
    const runs: JobRun[] = []
    const run = (job: JobRun): Promise<string> => {
      runs.push(job)
      return new Promise((resolve, reject) => {
        finish = resolve
        fail = reject
      })
    }
    return { run, runs, finish: (value: string) => finish(value), fail: (error: Error) => fail(error) }
  }

  it('runs a job for one caller, and tells all others that it was done', async () => {
    const outcomes = await Promise.all(['a', 'b', 'c'].map((owner) => call(owner, () => owner)))
    const ran = outcomes.filter(({ status }) => status === 'ran')
    expect(ran).toHaveLength(1)
    const by = (ran[0] as Extract<RunOutcome<string>, { status: 'ran' }>).value
    expect(await call('d', () => 'twice')).toEqual({ status: 'done', by, at: clock.now(), attempt: 1 })
  })

  it('tells that it is under way, or waits until it is done', async () => {
    const job = longJob()
    const first = call('a', job.run)
    await clock.advance(0)
    expect(await call('b', () => 'twice')).toEqual({ status: 'running', by: 'a' })
    const waiting = call('b', () => 'twice', { waitMs: 100_000 })
    await clock.advance(LEASE_MS * 10)
    job.finish('12 pages')
    await clock.advance(LEASE_MS / 6)
    expect(await first).toEqual({ status: 'ran', value: '12 pages', attempt: 1 })
    expect(await waiting).toMatchObject({ status: 'done', by: 'a', attempt: 1 })
    expect(clock.pending).toBe(0)
  })

  it('rejects with what the job rejects with, and runs it again for the next caller', async () => {
    const fail = () => {
      throw new Error('out of paper')
    }
    await expect(call('a', fail)).rejects.toThrow('out of paper')
    await expect(call('a', fail)).rejects.toThrow('out of paper')
    expect(await call('b', ({ attempt }) => attempt)).toEqual({ status: 'ran', value: 3, attempt: 3 })
    expect(clock.pending).toBe(0)
  })

  it('runs again what a dead process began, for whoever waits, and says so', async () => {
    const dead = new FakeClock()
    void call('a', longJob().run, { clock: dead })
    await clock.advance(0)
    const second = call('b', ({ attempt, token }) => ({ attempt, token }), { waitMs: LEASE_MS * 2 })
    await clock.advance(LEASE_MS * 1.5)
    expect(await second).toEqual({ status: 'ran', value: { attempt: 2, token: 2 }, attempt: 2 })
  })

  it('lets nobody write, nor finish, who was taken over from', async () => {
    const frozen = new FakeClock()
    const job = longJob()
    const first = call('a', job.run, { clock: frozen }).catch((error: unknown) => error)
    await clock.advance(0)
    const second = call('b', () => 'mine', { waitMs: LEASE_MS * 2 })
    await clock.advance(LEASE_MS * 1.5)
    await second
    const fence = (job.runs[0] as JobRun).fence()
    await expect(
      storage.batch([fence, { type: 'set', collection: 'pages', key: '1', value: 'a' }]),
    ).rejects.toMatchObject({ code: 'STORAGE_CONFLICT' })
    job.finish('too late')
    await frozen.advance(0)
    expect(await first).toMatchObject({ code: 'STORAGE_LEASE_LOST', token: 1, applied: 'unknown' })
    expect(await call('c', () => 'twice')).toMatchObject({ status: 'done', by: 'b', attempt: 2 })
  })

  it('tries to write down that it is done for as long as the lease lasts', async () => {
    const run = () => {
      faulty.down()
      return 'done'
    }
    const outcome = call('a', run, { store: faulty.storage.collection('evenkeel') })
    await clock.advance(LEASE_MS * 0.7)
    faulty.up()
    await clock.advance(LEASE_MS)
    expect(await outcome).toMatchObject({ status: 'ran' })
  })

  it('says so when it cannot be written down that it is done', async () => {
    const run = () => faulty.down()
    const outcome = call('a', run, { store: faulty.storage.collection('evenkeel') }).catch((error: unknown) => error)
    await clock.advance(LEASE_MS * 2)
    expect(await outcome).toMatchObject({ code: 'STORAGE_LEASE_LOST', applied: 'unknown', retryable: true })
    expect(String(await outcome)).toContain('may run again')
  })

  it('is done even when the store said that writing it down failed, but did it', async () => {
    const run = () => faulty.failNext(1, new Error('the connection broke'), { when: 'after' })
    const outcome = call('a', run, { store: faulty.storage.collection('evenkeel') })
    await clock.advance(LEASE_MS)
    expect(await outcome).toMatchObject({ status: 'ran' })
  })

  it('asks the job to end when its signal aborts, and leaves it to the next caller at once', async () => {
    const control = new AbortController()
    const run = ({ signal }: JobRun) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    const first = call('a', run, { signal: control.signal }).catch((error: unknown) => error)
    await clock.advance(0)
    control.abort(new Error('closing time'))
    expect(await first).toMatchObject({ message: 'closing time' })
    expect(await call('b', () => 'done')).toMatchObject({ status: 'ran', attempt: 2 })
  })

  it('tells the job when its lease is lost', async () => {
    const job = longJob()
    const first = call('a', job.run, { store: faulty.storage.collection('evenkeel') }).catch((error: unknown) => error)
    await clock.advance(0)
    faulty.down()
    await clock.advance(LEASE_MS)
    expect(job.runs[0]?.signal.reason).toMatchObject({ code: 'STORAGE_LEASE_LOST' })
    job.fail(new Error('stopped'))
    expect(await first).toMatchObject({ message: 'stopped' })
  })

  it('counts no attempt that it did not begin, because beginning took too long', async () => {
    const store = storage.collection('evenkeel')
    let isSlow = true
    const slow: RunOnceOptions<number>['store'] = {
      name: store.name,
      scope: store.scope,
      entry: (key) => store.entry(key),
      compareAndSet: async (key, version, value) => {
        if (isSlow && key === 'run/report') await clock.advance(LEASE_MS * 0.95)
        isSlow &&= key !== 'run/report'
        return store.compareAndSet(key, version, value)
      },
      set: (key, value, options) => store.set(key, value, options),
    }
    expect(await call('a', () => 1, { store: slow })).toMatchObject({ status: 'running' })
    expect(await call('b', ({ attempt }) => attempt)).toEqual({ status: 'ran', value: 1, attempt: 1 })
    expect(clock.pending).toBe(0)
  })

  it('is done when the event loop was blocked for longer than the lease, and nobody else has begun', async () => {
    // Time passes, and no timer runs.
    let blockedMs = 0
    const blockable: RunOnceOptions<number>['clock'] = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + blockedMs,
      after: (ms, run) => clock.after(ms, run),
    }
    const blocking = ({ attempt }: JobRun): number => {
      blockedMs += 2 * LEASE_MS
      return attempt
    }
    expect(await call('a', blocking, { clock: blockable })).toEqual({ status: 'ran', value: 1, attempt: 1 })
    expect(await call('a', blocking, { clock: blockable })).toMatchObject({ status: 'done' })
  })

  it('lets no wall clock end the lease of a run that goes on', async () => {
    const job = longJob()
    const retainMs = 10 * LEASE_MS
    const first = call('a', job.run, { retainMs })
    await clock.advance(0)
    clock.jump(2 * retainMs)
    expect(await call('b', () => 'twice', { retainMs })).toMatchObject({ status: 'running' })
    job.finish('once')
    await clock.advance(LEASE_MS / 6)
    expect(await first).toMatchObject({ status: 'ran', value: 'once' })
  })

  it('forgets after the time that it was told to remember, and leaves nothing behind', async () => {
    const retainMs = 10 * LEASE_MS
    await call('a', () => 1, { retainMs })
    await clock.advance(retainMs - 1)
    expect(await call('b', () => 2, { retainMs })).toMatchObject({ status: 'done' })
    await clock.advance(1)
    expect(await storage.collection('evenkeel').count()).toBe(0)
    expect(await call('b', () => 2, { retainMs })).toMatchObject({ status: 'ran', attempt: 1 })
  })

  it.each<[string, object]>([
    ['no function', { run: 7 }],
    ['a retention that a run could outlive', { retainMs: LEASE_MS }],
    ['a store of too small a scope', { scope: undefined }],
    ['an endless wait', { waitMs: Infinity }],
    ['an unknown option', { ids: 1 }],
  ])('refuses %s', async (_, wrong) => {
    await expect(call('a', () => 1, wrong)).rejects.toThrow(/must|needs|may be|has no option/)
  })
})
