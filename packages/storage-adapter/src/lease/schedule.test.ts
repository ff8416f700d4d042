import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Schedule, type Job, type ScheduleOptions } from '../lease.js'
import { MemoryStorage } from '../memory-storage.js'

const LEASE_MS = 900
const HOUR = 3_600_000
const START = Date.UTC(2026, 10, 20, 8, 30)

describe('Schedule', () => {
  let storage: MemoryStorage
  let faulty: FaultyStorage<MemoryStorage>
  let clock: FakeClock
  let runs: string[]

  beforeEach(() => {
    clock = new FakeClock(START)
    storage = new MemoryStorage()
    faulty = new FaultyStorage(storage)
    runs = []
  })

  /** Writes down which process ran for which due time. */
  function noting(owner: string): Job['run'] {
    return ({ dueAt, attempt }) => {
      runs.push(`${owner} ${new Date(dueAt).toISOString().slice(8, 16)} #${attempt}`)
    }
  }

  /** The schedule of a process of its own. */
  async function started(owner: string, job: Partial<Job> = {}, options: Partial<ScheduleOptions> = {}) {
    const schedule = new Schedule({
      store: faulty.storage.collection('evenkeel'),
      scope: 'process',
      leaseMs: LEASE_MS,
      owner,
      clock,
      jobs: { report: { everyMs: HOUR, run: noting(owner), ...job } },
      ...options,
    })
    await schedule.start()
    await clock.advance(0)
    return schedule
  }

  /** A job that ends when it is told to. */
  function longJob() {
    let finish: () => void = () => undefined
    const signals: AbortSignal[] = []
    const run: Job['run'] = ({ signal }) => {
      signals.push(signal)
      return new Promise<void>((resolve) => (finish = resolve))
    }
    return { run, signals, finish: () => finish() }
  }

  it('runs each due time in one process, at the time', async () => {
    const schedules = [await started('a'), await started('b'), await started('c')]
    await clock.advance(HOUR / 2 - 1)
    expect(runs).toEqual([])
    await clock.advance(1)
    expect(runs.map((run) => run.slice(2))).toEqual(['20T09:00 #1'])
    await clock.advance(3 * HOUR)
    expect(runs.map((run) => run.slice(2))).toEqual(['20T09:00 #1', '20T10:00 #1', '20T11:00 #1', '20T12:00 #1'])
    for (const schedule of schedules) await schedule.stop()
    expect(clock.pending).toBe(0)
  })

  it('runs a due time once in two processes whose clocks differ by more than the period', async () => {
    const due: number[] = []
    const late: ScheduleOptions['clock'] = {
      now: () => clock.now() - 3 * HOUR,
      monotonic: () => clock.monotonic(),
      after: (ms, run) => clock.after(ms, run),
    }
    const job: Partial<Job> = {
      run: ({ dueAt }) => {
        due.push(dueAt)
        // Rather than for ever.
        if (due.length > 100) throw new Error('again and again')
      },
    }
    const schedules = [await started('a', job), await started('b', job, { clock: late })]
    await clock.advance(2 * HOUR)
    expect(due.length).toBeGreaterThan(0)
    expect(new Set(due).size).toBe(due.length)
    for (const schedule of schedules) await schedule.stop()
  })

  it('runs once a day at a time in UTC', async () => {
    const schedule = await started('a', { everyMs: undefined, dailyAt: '07:15' })
    await clock.advance(48 * HOUR)
    expect(runs).toEqual(['a 21T07:15 #1', 'a 22T07:15 #1'])
    await schedule.stop()
  })

  it('runs once for all that was missed while nobody was there', async () => {
    await (await started('a')).stop()
    await clock.advance(5 * HOUR)
    const schedule = await started('b')
    expect(runs).toEqual(['b 20T13:00 #1'])
    await schedule.stop()
  })

  it('skips what was missed when told to, and says so', async () => {
    await (await started('a')).stop()
    await clock.advance(5 * HOUR)
    const schedule = new Schedule({
      store: storage.collection('evenkeel'),
      scope: 'process',
      clock,
      missed: 'skip',
      jobs: { report: { everyMs: HOUR, run: noting('b') } },
    })
    const skipped: string[] = []
    schedule.on('skipped', ({ message }) => skipped.push(message))
    await schedule.start()
    await clock.advance(HOUR)
    expect(runs).toEqual(['b 20T14:00 #1'])
    expect(skipped).toEqual([
      'The job "report", due at 2026-11-20T13:00:00.000Z, went from WAITING to SKIPPED: ' +
        'it was due 1800000 ms ago, and missed runs are skipped.',
    ])
    await schedule.stop()
  })

  it('never overlaps runs: what became due meanwhile is run once, after it', async () => {
    const job = longJob()
    const first = await started('a', { everyMs: 60_000, run: job.run })
    await clock.advance(60_000)
    const second = await started('b', { everyMs: 60_000 })
    await clock.advance(150_000)
    expect([job.signals.length, runs]).toEqual([1, []])
    const draining = first.drain()
    job.finish()
    await draining
    await clock.advance(LEASE_MS / 6)
    expect([job.signals.length, runs]).toEqual([1, ['b 20T08:33 #1']])
    await Promise.all([first.stop(), second.stop()])
  })

  it('runs again elsewhere what a dead process began, but not without end', async () => {
    for (const owner of ['a', 'b', 'c']) {
      const itsOwn = new FakeClock(START + HOUR / 2 - 1_000)
      await started(owner, { run: longJob().run }, { clock: itsOwn })
      await itsOwn.advance(2_000)
      await itsOwn.advance(LEASE_MS * 2) // until the one before may be taken over from
    }
    const events: string[] = []
    clock.jump(HOUR / 2)
    const schedule = new Schedule({
      store: storage.collection('evenkeel'),
      scope: 'process',
      leaseMs: LEASE_MS,
      clock,
      jobs: { report: { everyMs: HOUR, run: noting('d') } },
    })
    schedule.on('skipped', ({ why }) => events.push(why))
    await schedule.start()
    await clock.advance(LEASE_MS * 2)
    expect(events).toEqual(['it was begun 3 times, and each time the process ended in the middle'])
    expect(runs).toEqual([])
    await clock.advance(HOUR)
    expect(runs).toEqual(['d 20T10:00 #1'])
    await schedule.stop()
  })

  it('tells that a job failed, and runs it when it is due next', async () => {
    const failures: unknown[] = []
    let count = 0
    const run = () => {
      if (++count === 1) throw new Error('out of paper')
    }
    const schedule = await started('a', { run })
    schedule.on('failed', ({ job, error, severity, message }) => failures.push([job, error, severity, message]))
    await clock.advance(HOUR)
    expect(count).toBe(1)
    expect(failures).toEqual([
      [
        'report',
        new Error('out of paper'),
        'WARNING',
        'The job "report", due at 2026-11-20T09:00:00.000Z, went from RUNNING to FAILED: out of paper.',
      ],
    ])
    await clock.advance(HOUR)
    expect(count).toBe(2)
    await schedule.stop()
  })

  it('goes on when the store was out of reach at a due time, and tells of it once', async () => {
    const schedule = await started('a')
    const changes: string[] = []
    schedule.on('change', ({ from, to }) => changes.push(`${from} ${to}`))
    faulty.down()
    await clock.advance(HOUR)
    expect(runs).toEqual([])
    faulty.up()
    await clock.advance(1_000)
    expect(runs).toEqual(['a 20T09:00 #1'])
    expect(changes).toEqual(['WAITING UNREACHABLE', 'UNREACHABLE WAITING', 'WAITING RUNNING', 'RUNNING DONE'])
    await schedule.stop()
  })

  it('rejects the start while the store is out of reach, and can be started later', async () => {
    faulty.down()
    const options = { store: faulty.storage.collection('evenkeel'), scope: 'process', clock } as const
    const schedule = new Schedule({ ...options, jobs: { report: { everyMs: HOUR, run: noting('a') } } })
    await expect(schedule.start()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(clock.pending).toBe(0)
    faulty.up()
    await schedule.start()
    await clock.advance(HOUR)
    expect(runs).toHaveLength(1)
    await schedule.stop()
  })

  describe('when the wall clock is set', () => {
    it('back, it repeats nothing', async () => {
      const schedule = await started('a')
      await clock.advance(HOUR / 2)
      clock.jump(-HOUR / 2)
      await clock.advance(HOUR - 1_000)
      expect(runs).toEqual(['a 20T09:00 #1'])
      await clock.advance(1_000 + HOUR / 2)
      expect(runs).toEqual(['a 20T09:00 #1', 'a 20T10:00 #1'])
      await schedule.stop()
    })

    it('forward, it runs what became due by that, once and soon', async () => {
      const schedule = await started('a')
      clock.jump(5 * HOUR)
      await clock.advance(30_000)
      expect(runs).toEqual(['a 20T13:00 #1'])
      await schedule.stop()
    })

    it('far ahead and back again, it does not wait for the years between', async () => {
      const schedule = await started('a')
      clock.jump(10_000 * HOUR)
      await clock.advance(30_000)
      clock.jump(-10_000 * HOUR)
      await clock.advance(2 * HOUR)
      expect(runs.slice(1)).toEqual(['a 20T09:00 #1', 'a 20T10:00 #1'])
      await schedule.stop()
    })
  })

  describe('when it is stopped', () => {
    it('lets a running job end', async () => {
      const job = longJob()
      const schedule = await started('a', { run: job.run })
      await clock.advance(HOUR / 2)
      const stopping = schedule.stop()
      await clock.advance(4_999)
      expect(job.signals[0]?.aborted).toBe(false)
      job.finish()
      await clock.advance(0)
      await stopping
      expect(await storage.collection('evenkeel').get('job/report')).toMatchObject({ run: { state: 'done' } })
    })

    it('asks one to end that takes too long, and another process goes on at once', async () => {
      const run: Job['run'] = ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      const schedule = await started('a', { run })
      await clock.advance(HOUR / 2)
      const other = await started('b')
      const stopping = schedule.stop()
      await clock.advance(5_000)
      await stopping
      await clock.advance(LEASE_MS / 6)
      expect(runs).toEqual(['b 20T09:00 #2'])
      await other.stop()
    })

    it('keeps the lease of a job that ignores its signal, so that no other overlaps it', async () => {
      const job = longJob()
      const schedule = await started('a', { run: job.run })
      await clock.advance(HOUR / 2)
      const other = await started('b')
      const stopping = schedule.stop()
      await clock.advance(5_000 + LEASE_MS)
      await stopping
      await clock.advance(LEASE_MS * 5)
      expect(runs).toEqual([])
      job.finish()
      await clock.advance(HOUR / 2)
      await other.stop()
    })

    it('does not overlap a job that ignores its signal when it is started again', async () => {
      const job = longJob()
      const schedule = await started('a', { run: job.run })
      await clock.advance(HOUR / 2)
      const stopping = schedule.stop()
      await clock.advance(5_000 + LEASE_MS)
      await stopping
      await schedule.start()
      await clock.advance(LEASE_MS * 5)
      expect(job.signals).toHaveLength(1)
      job.finish()
      await clock.advance(HOUR)
      expect(job.signals).toHaveLength(2)
      job.finish()
      await schedule.stop()
    })

    it('has one life when it is started twice meanwhile', async () => {
      const schedule = await started('a')
      void schedule.stop()
      const starting = [schedule.start(), schedule.start()]
      await clock.advance(0)
      await Promise.all(starting)
      const stopping = schedule.stop()
      await clock.advance(0)
      await stopping
      await clock.advance(3 * HOUR)
      expect(runs).toEqual([])
      expect(clock.pending).toBe(0)
    })

    it('begins nothing that it was about to take when it was drained', async () => {
      const collection = storage.collection('evenkeel')
      let held: Promise<void> | undefined
      let letGo = (): void => undefined
      const store: ScheduleOptions['store'] = {
        name: collection.name,
        scope: collection.scope,
        entry: async (key) => {
          await held
          return collection.entry(key)
        },
        compareAndSet: (key, version, value) => collection.compareAndSet(key, version, value),
        set: (key, value, options) => collection.set(key, value, options),
      }
      const schedule = await started('a', {}, { store })
      held = new Promise((resolve) => (letGo = resolve))
      await clock.advance(HOUR / 2)
      const draining = schedule.drain()
      held = undefined
      letGo()
      await clock.advance(1_000)
      await draining
      expect(runs).toEqual([])
      await schedule.stop()
      expect(clock.pending).toBe(0)
    })

    it('begins nothing more, and may be started again', async () => {
      const schedule = await started('a')
      await schedule.drain()
      await schedule.stop()
      await schedule.stop()
      await clock.advance(2 * HOUR)
      expect(runs).toEqual([])
      await schedule.start()
      await clock.advance(0)
      expect(runs).toEqual(['a 20T10:00 #1'])
      await schedule.stop()
      expect(clock.pending).toBe(0)
    })
  })

  it.each<[string, object]>([
    ['no jobs', { jobs: {} }],
    ['a job without a time', { jobs: { a: { run: () => 1 } } }],
    ['a job with two times', { jobs: { a: { everyMs: 1_000, dailyAt: '09:00', run: () => 1 } } }],
    ['a job without a function', { jobs: { a: { everyMs: 1_000 } } }],
    ['a job that is due too often', { jobs: { a: { everyMs: 1, run: () => 1 } } }],
    ['an unknown option of a job', { jobs: { a: { cron: '* * * * *', run: () => 1 } } }],
    ['an unknown policy', { missed: 'all' }],
    ['an unknown option', { job: {} }],
    ['a store of too small a scope', { scope: 'cluster' }],
  ])('refuses %s', (_, wrong) => {
    const options = { store: storage.collection('evenkeel'), jobs: { a: { everyMs: 1_000, run: () => 1 } } }
    expect(() => new Schedule({ scope: 'process', ...options, ...wrong })).toThrow(/must|needs|has no option/)
  })
})
