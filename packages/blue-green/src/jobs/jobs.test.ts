import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FailoverStorage, FileStorage, MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { describe, expect, it } from 'vitest'
import { BlueGreen, memoryState } from '../index.js'
import {
  Jobs,
  type JobOperation,
  type JobOptions,
  type JobRun,
  type JobsOptions,
  type JobStorage,
  type JobStore,
} from '../jobs.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'
import { JobFleet } from '../test-support/job-fleet.js'
import { plan, TestBot } from '../test-support/test-bot.js'

const startAt = Date.UTC(2026, 0, 1)
const everyMinute = { everyMs: 60_000, effects: 'keyed' } as const

function newFleet(): JobFleet {
  return new JobFleet(new Fleet())
}

/** The due times of all runs, in minutes, and who ran them. */
function minutesOf(bot: JobFleet): string[] {
  return bot.runs.map(({ scheduledAt, attempt, by }) => {
    return `${(scheduledAt - startAt) / 60_000} ${by.version}${attempt > 1 ? ` again` : ''}`
  })
}

/** Somebody whose run is under way: it was due at the first minute, and works for ten. */
async function inTheMiddle(effects: JobOptions['effects'], bot: JobFleet, more = {}): Promise<FleetProcess> {
  bot.workMs = () => 600_000
  const first = await bot.begin({ digest: { ...everyMinute, effects, ...more } })
  await bot.fleet.clock.advance(65_000)
  bot.workMs = () => 0
  return first
}

describe('jobs of a bot of several processes', () => {
  it('run once for each due time, in the process that owns the bot', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    const first = await bot.begin({ digest: everyMinute })
    await clock.advance(150_000)
    const second = bot.begin({ digest: everyMinute })
    await clock.advance(200_000)
    expect(minutesOf(bot)).toEqual(['1 v1', '2 v1', '3 v2', '4 v2', '5 v2'])
    expect(bot.runs.every(({ at, scheduledAt }) => at - scheduledAt < 1_000)).toBe(true)
    expect(bot.runs[4]?.epoch).toBeGreaterThan(bot.runs[0]?.epoch ?? Infinity)
    expect(bot.jobs.get(first)?.status).toMatchObject({ role: 'standby', version: undefined })
    expect(bot.jobs.get(await second)?.status).toMatchObject({ role: 'owner', version: 'v2' })
  })

  it('go back with the events when the old process takes them back', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    const first = await bot.begin({ digest: everyMinute })
    await clock.advance(70_000)
    void bot.begin({ digest: everyMinute })
    await clock.advance(60_000)
    void first.restart.takeOver()
    await clock.advance(60_000)
    expect(minutesOf(bot)).toEqual(['1 v1', '2 v2', '3 v1'])
    expect(bot.changes).toEqual(['v1 owner nobody here > v1', 'v1 owner v1 > nobody here', 'v2 owner nobody here > v2', 'v2 owner v2 > nobody here', 'v1 owner nobody here > v1']) // prettier-ignore
  })

  it('end where they began, and the next run waits for them', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    const first = await inTheMiddle('keyed', bot)
    void bot.begin({ digest: everyMinute })
    await clock.advance(60_000)
    const second = bot.fleet.processes[1] as FleetProcess
    expect(bot.jobs.get(second)?.status.jobs.get('digest')).toMatchObject({ state: 'elsewhere', nextAt: undefined })
    expect(bot.jobs.get(first)?.status.jobs.get('digest')).toMatchObject({ state: 'running' })
    await clock.advance(600_000)
    expect(minutesOf(bot)).toEqual(['1 v1', '11 v2', '12 v2'])
    expect(bot.told.map(({ to }) => to)).toEqual(['ran', 'ran', 'ran'])
  })

  it('are taken up when their process died in the middle', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    const first = await inTheMiddle('keyed', bot)
    void bot.begin({ digest: everyMinute })
    await clock.advance(5_000)
    first.kill()
    await clock.advance(14_000)
    expect(minutesOf(bot)).toEqual(['1 v1'])
    await clock.advance(6_000)
    expect(minutesOf(bot)).toEqual(['1 v1', '1 v2 again'])
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)).toEqual(['repeated 2', 'ran 2'])
    await clock.advance(60_000)
    expect(minutesOf(bot).slice(2)).toEqual(['2 v2'])
  })

  it('are reported, and not run again, where that was declared', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    const first = await inTheMiddle('atMostOnce', bot)
    void bot.begin({ digest: { ...everyMinute, effects: 'atMostOnce' } })
    await clock.advance(5_000)
    first.kill()
    await clock.advance(80_000)
    expect(minutesOf(bot)).toEqual(['1 v1', '2 v2'])
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)).toEqual(['unfinished 1', 'ran 1'])
  })

  it('are given up when every process dies with them', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    let dying = await inTheMiddle('keyed', bot, { maxAttempts: 2 })
    for (let i = 0; i < 2; i++) {
      bot.workMs = () => 600_000
      void bot.begin({ digest: { ...everyMinute, maxAttempts: 2 } })
      await clock.advance(5_000)
      dying.kill()
      await clock.advance(40_000)
      dying = bot.fleet.processes.at(-1) as FleetProcess
    }
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)).toEqual(['repeated 2', 'unfinished 2'])
  })

  it('are for the next one at once when a process stops in the middle', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    bot.workMs = () => 600_000
    const first = await bot.begin({ digest: everyMinute }, { drainMs: 1_000 })
    await clock.advance(65_000)
    bot.workMs = () => 0
    void bot.begin({ digest: everyMinute })
    await clock.advance(3_000)
    void bot.end(first)
    await clock.advance(5_000)
    // Its run ignores the signal, so it is not over yet.
    expect(minutesOf(bot)).toEqual(['1 v1'])
    expect(bot.jobs.get(first)?.status.role).toBe('draining')
  })

  it('give up what they run when the signal asks them to, and begin nothing more', async () => {
    const fleet = new Fleet()
    const process = fleet.process()
    const reasons: unknown[] = []
    const run = ({ signal, attempt }: JobRun): unknown => {
      if (attempt > 1) return undefined
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push((signal.reason as Error).message)
          reject(signal.reason as Error)
        })
      })
    }
    const make = (one: FleetProcess): Jobs =>
      new Jobs({ jobs: { digest: { ...everyMinute, run } }, owner: one.restart, store: one.store, scope: 'process', clock: one.clock, drainMs: 1_000 }) // prettier-ignore
    await process.restart.start()
    const jobs = make(process)
    await jobs.start()
    await fleet.clock.advance(61_000)
    const stopped = jobs.stop()
    await fleet.clock.advance(2_000)
    await stopped
    expect(reasons).toEqual([`The process that runs bot:digest:${startAt + 60_000} stops`])
    expect(jobs.status.jobs.get('digest')).toMatchObject({ state: 'stopped', failed: 1 })
    const again = make(process)
    const told: string[] = []
    again.on('repeated', ({ message }) => told.push(message))
    await again.start()
    await fleet.clock.advance(1_000)
    expect(told).toEqual(['Job "digest", due at 2026-01-01T00:01:00.000Z, runs for the 2. time: its process stopped in the middle.']) // prettier-ignore
    await again.stop()
    await process.restart.stop()
    expect(fleet.clock.pending).toBe(0)
  })

  it('do not begin while the store is out, and then once', async () => {
    const bot = newFleet()
    const { clock, store } = bot.fleet
    const first = await bot.begin({ digest: everyMinute })
    await clock.advance(50_000)
    store.isDown = true
    await clock.advance(200_000)
    expect(bot.runs).toEqual([])
    expect(bot.jobs.get(first)?.status.store).toBe('down')
    store.isDown = false
    await clock.advance(3_000)
    expect(minutesOf(bot)).toEqual(['4 v1'])
    expect(bot.changes.slice(1)).toEqual(['v1 store up > down', 'v1 store down > up'])
  })

  it('abort a run of which they cannot be sure any more', async () => {
    const bot = newFleet()
    const first = await inTheMiddle('keyed', bot)
    first.isCutOff = true
    void bot.begin({ digest: everyMinute })
    await bot.fleet.clock.advance(40_000)
    expect(minutesOf(bot)).toEqual(['1 v1', '1 v2 again'])
    first.isCutOff = false
    await bot.fleet.clock.advance(600_000)
    const told = bot.told.filter(({ by }) => by === first)
    expect(told.map(({ to }) => to)).toEqual(['failed'])
  })

  /** The store of a process that stands still in the very moment in which an answer is on its way to it. */
  function standingStill(process: FleetProcess, store: JobStore, isThen: (key: string, value: unknown) => boolean) {
    const answered = async <T>(key: string, value: unknown, answer: T): Promise<T> => {
      if (isThen(key, value)) process.freeze()
      await process.whenAwake()
      return answer
    }
    return {
      scope: store.scope,
      entry: async (key: string) => answered(key, undefined, await store.entry(key)),
      compareAndSet: async (key: string, expected: string | undefined, value: unknown) =>
        answered(key, value, await store.compareAndSet(key, expected, value)),
    }
  }

  it.each([0, 500, 1_000, 1_500, 2_000])(
    'are not taken from one who lives by one who slept over an answer (%d ms)',
    async (ms) => {
      const bot = newFleet()
      const { clock, store } = bot.fleet
      await inTheMiddle('keyed', bot)
      const second = bot.fleet.process()
      let isArmed = false
      const sleepy = standingStill(second, store, (key) => isArmed && key.startsWith('job-beat:') && !(isArmed = false))
      void bot.begin({ digest: everyMinute }, { store: sleepy, storeTimeoutMs: 120_000 }, second)
      await clock.advance(10_000 + ms)
      isArmed = true
      await clock.advance(60_000)
      second.thaw()
      await clock.advance(1_000)
      expect(minutesOf(bot)).toEqual(['1 v1'])
    },
  )

  it('are not begun by one who slept between the claim and the run', async () => {
    const bot = newFleet()
    const { clock, store } = bot.fleet
    const first = bot.fleet.process()
    let isArmed = true
    const isClaim = (value: unknown): boolean => (value as { run?: object | null } | undefined)?.run != null
    const sleepy = standingStill(first, store, (_, value) => isArmed && isClaim(value) && !(isArmed = false))
    void bot.begin({ digest: everyMinute }, { store: sleepy, storeTimeoutMs: 120_000 }, first)
    await clock.advance(50_000)
    void bot.begin({ digest: everyMinute })
    await clock.advance(5_000)
    void first.restart.takeOver()
    await clock.advance(40_000)
    expect(minutesOf(bot)).toEqual(['1 v2 again'])
    first.thaw()
    await clock.advance(5_000)
    expect(minutesOf(bot)).toEqual(['1 v2 again'])
    expect(bot.told.map(({ by, to }) => `${by.version} ${to}`)).toEqual(['v2 repeated', 'v2 ran', 'v1 failed'])
  })

  /** The store of a process that hears nothing of a claim that has landed. */
  function deafToItsClaim(store: JobStore): JobStore {
    let isDeaf = true
    return {
      scope: store.scope,
      entry: (key) => store.entry(key),
      compareAndSet: async (key, expected, value) => {
        const written = await store.compareAndSet(key, expected, value)
        const isClaim = (value as { run?: { state: string } | null }).run?.state === 'running'
        if (isDeaf && isClaim && !(isDeaf = false)) throw new Error('the connection was lost')
        return written
      },
    }
  }

  it('run, once and untold, when the claim has landed without an answer', async () => {
    const bot = newFleet()
    const { clock, store } = bot.fleet
    await bot.begin({ digest: everyMinute }, { store: deafToItsClaim(store) })
    await clock.advance(63_000)
    expect(minutesOf(bot)).toEqual(['1 v1'])
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)).toEqual(['ran 1'])
  })

  it('are given back by one who stops before it has heard of its claim', async () => {
    const bot = newFleet()
    const { clock, store } = bot.fleet
    const first = await bot.begin({ digest: everyMinute }, { store: deafToItsClaim(store) })
    await clock.advance(60_100)
    expect(bot.runs).toEqual([])
    void bot.end(first)
    await clock.advance(1_000)
    void bot.begin({ digest: everyMinute })
    await clock.advance(5_000)
    expect(minutesOf(bot)).toEqual(['1 v2'])
    expect(bot.told.map(({ to }) => to)).toEqual(['ran'])
  })

  it('begin none after stop(), also when the store was out while one was about to begin', async () => {
    const bot = newFleet()
    const { clock, store } = bot.fleet
    const inner = deafToItsClaim(store)
    let isOut = false
    let isClaimed = false
    const reach = async <T>(key: string, ask: () => Promise<T>): Promise<T> => {
      if (isOut && key.startsWith('job')) throw new Error('connection refused')
      return ask()
    }
    const first = await bot.begin({ digest: { ...everyMinute, effects: 'atMostOnce' } }, {
      store: {
        scope: store.scope,
        // It answers the look that finds the claim, and is out when that is to be confirmed.
        entry: async (key) => {
          const found = await reach(key, () => inner.entry(key))
          if (isClaimed) isOut = true
          return found
        },
        compareAndSet: (key, expected, value) =>
          reach(key, () => inner.compareAndSet(key, expected, value)).catch((error: unknown) => {
            isClaimed = true
            throw error
          }),
      },
    }) // prettier-ignore
    await clock.advance(65_000)
    expect(bot.jobs.get(first)?.status.jobs.get('digest')?.state).toBe('running')
    const stopped = bot.end(first)
    await clock.advance(90_000)
    await stopped
    isClaimed = isOut = false
    await clock.advance(5_000)
    expect(bot.runs).toEqual([])
    expect(bot.told).toEqual([])
    // It was never begun, so the next owner begins it, although its effects are atMostOnce.
    void bot.begin({ digest: { ...everyMinute, effects: 'atMostOnce' } })
    await clock.advance(1_000)
    expect(minutesOf(bot)[0]).toBe('1 v2')
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)[0]).toBe('ran 1')
  })

  it('begin none whose claim is answered after drain() was called', async () => {
    const bot = newFleet()
    const { clock, store } = bot.fleet
    let answer!: () => void
    const isClaim = (value: unknown): boolean => (value as { run?: { state: string } | null }).run?.state === 'running'
    const slow: JobStore = {
      scope: store.scope,
      entry: (key) => store.entry(key),
      compareAndSet: async (key, expected, value) => {
        const written = await store.compareAndSet(key, expected, value)
        if (isClaim(value)) await new Promise<void>((resolve) => (answer = resolve))
        return written
      },
    }
    const first = await bot.begin({ digest: everyMinute }, { store: slow })
    await clock.advance(60_000)
    const drained = bot.jobs.get(first)?.drain()
    answer()
    await clock.advance(1_000)
    expect(await drained).toEqual({ drained: true, running: [] })
    expect(bot.runs).toEqual([])
    void bot.begin({ digest: everyMinute })
    await clock.advance(3_000)
    expect(minutesOf(bot)).toEqual(['1 v2'])
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)).toEqual(['ran 1'])
  })

  it('begin once more when the store was out for so long that they were asked to end', async () => {
    const fleet = new Fleet()
    const process = fleet.process()
    const attempts: string[] = []
    const run = ({ signal, attempt }: JobRun): unknown => {
      attempts.push(`${attempt}`)
      if (attempt > 1) return undefined
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          attempts.push((signal.reason as { code: string }).code)
          reject(signal.reason as Error)
        })
      })
    }
    const jobs = new Jobs({ jobs: { digest: { ...everyMinute, run } }, owner: process.restart, store: process.store, scope: 'process', clock: process.clock }) // prettier-ignore
    const told: string[] = []
    for (const event of ['ran', 'failed', 'repeated'] as const) jobs.on(event, ({ to }) => told.push(to))
    await process.restart.start()
    await jobs.start()
    await fleet.clock.advance(61_000)
    fleet.store.isDown = true
    await fleet.clock.advance(15_000)
    expect(attempts).toEqual(['1', 'JOB_LOST'])
    fleet.store.isDown = false
    await fleet.clock.advance(5_000)
    expect(attempts).toEqual(['1', 'JOB_LOST', '2'])
    expect(told).toEqual(['failed', 'repeated', 'ran'])
    await jobs.stop()
    await process.restart.stop()
    expect(fleet.clock.pending).toBe(0)
  })

  it('belong to the later owner of two that believe to be one', async () => {
    const store = memoryState()
    const [first, second] = [
      new TestBot(new FaultyStore(store), { lookMs: 600_000 }),
      new TestBot(new FaultyStore(store)),
    ]
    const ran: string[] = []
    const make = (bot: TestBot, who: string): Jobs =>
      new Jobs({ jobs: { digest: { ...everyMinute, run: () => ran.push(who) } }, owner: bot.blueGreen, store, clock: bot.clock }) // prettier-ignore
    const jobs = [make(first, 'first'), make(second, 'second')] as const
    const changes: string[] = []
    jobs[0].on('change', ({ what, to, severity }) => changes.push(`${what} ${to} ${severity}`))
    await first.blueGreen.start()
    await jobs[0].start()
    await second.blueGreen.start()
    await jobs[1].start()
    // The first one has not heard of the second, and still believes that it drives.
    for (let i = 0; i < 125; i++) {
      await first.clock.advance(1_000)
      await second.clock.advance(1_000)
    }
    expect(first.blueGreen.status.controller).toBe('DRIVING')
    expect(ran).toEqual(['second', 'second'])
    expect(changes).toEqual(['owner v1 INFO', 'fence on CRITICAL'])
    expect(jobs[0].status.jobs.get('digest')?.state).toBe('fenced')
  })
})

describe('jobs of one process with two versions', () => {
  it('run by the active version, and by no other one', async () => {
    const bot = new TestBot()
    const ran: string[] = []
    const jobs = new Jobs({
      jobs: {
        tick: { everyMs: 100, effects: 'atLeastOnce', run: ({ version, epoch }) => ran.push(`${version} ${epoch}`) },
      },
      owner: bot.blueGreen,
      store: bot.store.inner,
      clock: bot.clock,
    })
    await jobs.start()
    await bot.clock.advance(1_000)
    expect([ran.length, jobs.status.role]).toEqual([0, 'standby'])
    await bot.blueGreen.start()
    await bot.clock.advance(1_000)
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(3_500)
    expect(bot.blueGreen.status.deployment?.percentage).toBe(100)
    expect(new Set(ran)).toEqual(new Set(['v1 1']))
    await bot.clock.advance(1_000)
    expect(bot.blueGreen.status.active).toBe('v2')
    expect([...new Set(ran)]).toEqual(['v1 1', 'v2 1'])
    expect(ran.length).toBe(55)
    await jobs.stop()
    await bot.blueGreen.stop()
    expect(bot.clock.pending).toBe(0)
  })
})

describe('a run', () => {
  const storage = new MemoryStorage()
  let names = 0

  /** One process that owns the bot, with its effects in the same storage. */
  async function alone(
    run: (run: JobRun) => unknown,
    more: Partial<JobOptions> = {},
    options: Partial<JobsOptions> = {},
  ) {
    const name = `bot-${(names += 1)}`
    const fleet = new Fleet()
    const process = fleet.process()
    await process.restart.start()
    const jobs = new Jobs({
      jobs: { digest: { ...everyMinute, ...more, run } },
      owner: process.restart,
      store: storage.collection('evenkeel'),
      storage,
      name,
      scope: 'process',
      clock: process.clock,
      ...options,
    })
    const told: string[] = []
    for (const event of ['ran', 'failed', 'repeated', 'unfinished', 'skipped'] as const) {
      jobs.on(event, ({ to, why }) => told.push(`${to}: ${why}`))
    }
    jobs.on('change', ({ what, to, why }) => told.push(`${what} ${to}: ${why}`))
    await jobs.start()
    told.length = 0
    return { ...fleet, fleet, process, clock: fleet.clock, jobs, told, name, key: `job:${name}:digest` }
  }

  /** A way to the storage that can be out, and on which a batch may fare as a test wants. */
  function wired() {
    const inner = storage.collection('evenkeel')
    const apply = (operations: readonly JobOperation[]): Promise<unknown> => storage.batch(operations)
    const wire = { isDown: false, apply, batch: apply }
    const reach = async <T>(ask: () => Promise<T>): Promise<T> => {
      if (wire.isDown) throw new Error('connection refused')
      return ask()
    }
    const store: JobStore = {
      name: 'evenkeel',
      scope: inner.scope,
      entry: (key) => reach(() => inner.entry(key)),
      compareAndSet: (key, expected, value) => reach(() => inner.compareAndSet(key, expected, value)),
    }
    return {
      wire,
      options: { store, storage: { batch: (operations: readonly JobOperation[]) => wire.batch(operations) } },
    }
  }

  function note(key: string): JobOperation {
    return { type: 'set', collection: 'notes', key, value: 'tea' }
  }

  it('commits its effects and its end in one batch', async () => {
    const notes = storage.collection('notes')
    const seen: JobRun[] = []
    const bot = await alone(async (run) => {
      seen.push(run)
      await run.commit([{ type: 'set', collection: 'notes', key: run.runId, value: 'tea' }])
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(60_000)
    const runId = `${bot.name}:digest:${startAt + 60_000}`
    expect(seen.map(({ signal: _, commit: _c, fence: _f, ...run }) => run)).toEqual([
      {
        job: 'digest',
        runId,
        scheduledAt: startAt + 60_000,
        attempt: 1,
        epoch: bot.process.restart.status.epoch,
        version: 'v1',
      },
    ])
    expect(await notes.get(runId)).toBe('tea')
    expect(bot.told).toEqual(['ran: it has ended well'])
    await bot.clock.advance(60_000)
    expect(seen.length).toBe(2)
    await expect(seen[0]?.commit([])).rejects.toThrow('commit() was called before, and has written')
    await bot.jobs.stop()
  })

  it('that commits twice fails, for the second commit writes nothing', async () => {
    const bot = await alone(async ({ commit }) => {
      await commit([note('twice: first')])
      await commit([note('twice: second')])
    }, { effects: 'stored' }) // prettier-ignore
    const errors: unknown[] = []
    bot.jobs.on('failed', ({ error }) => errors.push(error))
    await bot.clock.advance(60_000)
    expect(bot.told).toEqual([expect.stringMatching(/^failed: commit\(\) was called before, and has written.*in one call, last/)]) // prettier-ignore
    expect(errors).toEqual([expect.any(TypeError)])
    expect(await storage.collection('notes').get('twice: first')).toBe('tea')
    expect(await storage.collection('notes').get('twice: second')).toBeUndefined()
    await bot.jobs.stop()
  })

  it('that commits twice at once is told which of both was written', async () => {
    const bot = await alone(async ({ commit }) => {
      const both = ['at once: first', 'at once: second'].map((key) => commit([note(key)]))
      outcomes.push(...(await Promise.allSettled(both)))
    }, { effects: 'stored' }) // prettier-ignore
    const outcomes: PromiseSettledResult<void>[] = []
    await bot.clock.advance(60_000)
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: undefined },
      { status: 'rejected', reason: expect.any(TypeError) as unknown },
    ])
    expect(await storage.collection('notes').get('at once: first')).toBe('tea')
    expect(await storage.collection('notes').get('at once: second')).toBeUndefined()
    await bot.jobs.stop()
  })

  it('can commit nothing after its end', async () => {
    let commit!: JobRun['commit']
    const bot = await alone((run) => void (commit = run.commit), { effects: 'stored' })
    await bot.clock.advance(60_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
    await expect(commit([note('too late')])).rejects.toThrow('commit() was called after the run had ended')
    expect(await storage.collection('notes').get('too late')).toBeUndefined()
    await bot.jobs.stop()
  })

  it('waits for a commit that was not awaited, and has failed when that has', async () => {
    const { wire, options } = wired()
    const bot = await alone(({ commit }) => void commit([note('not awaited')]), { effects: 'stored' }, options)
    wire.batch = async (operations) => {
      await new Promise<void>((resolve) => bot.clock.after(1_000, resolve))
      return wire.apply(operations)
    }
    await bot.clock.advance(62_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
    expect(await storage.collection('notes').get('not awaited')).toBe('tea')
    wire.batch = () => Promise.reject(Object.assign(new Error('read-only'), { applied: 'no' }))
    await bot.clock.advance(60_000)
    expect(bot.told.slice(1)).toEqual(['failed: read-only'])
    await bot.jobs.stop()
  })

  it('may commit again what is known not to be written', async () => {
    const bot = await alone(async ({ commit }) => {
      const condition = { type: 'check', collection: 'notes', key: 'absent', ifVersion: 'none' } as const
      await commit([note('again'), condition]).catch(() => commit([note('again')]))
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(60_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
    expect(await storage.collection('notes').get('again')).toBe('tea')
    await bot.jobs.stop()
  })

  it('has run when its commit was applied without an answer, by a store that is then out', async () => {
    const caught: unknown[] = []
    const { wire, options } = wired()
    const bot = await alone(async ({ commit }) => {
      await commit([note('unanswered')]).catch(async (error: unknown) => {
        caught.push(error)
        await commit([note('unanswered')]).catch((again: unknown) => caught.push(again))
        throw error
      })
    }, { effects: 'stored' }, options) // prettier-ignore
    wire.batch = async (operations) => {
      await wire.apply(operations)
      wire.isDown = true
      throw new Error('the connection was lost')
    }
    await bot.clock.advance(62_000)
    expect(bot.told).toEqual([])
    wire.isDown = false
    await bot.clock.advance(10_000)
    expect(caught).toEqual([
      expect.objectContaining({ code: 'STORE_UNAVAILABLE', applied: 'unknown' }),
      expect.objectContaining({ message: expect.stringContaining('may have written') as unknown }),
    ])
    expect(bot.told.filter((line) => !line.startsWith('store'))).toEqual(['ran: it has ended well'])
    expect(await storage.collection('notes').get('unanswered')).toBe('tea')
    await bot.jobs.stop()
  })

  it.each([true, false])(
    'has run when its commit was applied after its deadline (store out then: %s)',
    async (isOut) => {
      const { wire, options } = wired()
      const caught: unknown[] = []
      const key = `late, ${isOut}`
      const bot = await alone(async ({ commit }) => {
      await commit([note(key)]).catch(async (error: unknown) => {
        caught.push(error)
        // The job does a little before it rejects, and the batch lands.
        await new Promise<void>((resolve) => bot.clock.after(500, resolve))
        throw error
      })
    }, { effects: 'stored' }, options) // prettier-ignore
      let land!: () => Promise<unknown>
      wire.batch = (operations) => {
        land = () => wire.apply(operations)
        return new Promise(() => undefined)
      }
      await bot.clock.advance(61_000)
      wire.isDown = isOut
      await bot.clock.advance(1_200)
      await land()
      wire.isDown = false
      await bot.clock.advance(5_000)
      expect(caught).toEqual([expect.objectContaining({ code: 'STORE_UNAVAILABLE', applied: 'unknown' })])
      expect(bot.told.filter((line) => !line.startsWith('store'))).toEqual(['ran: it has ended well'])
      await bot.jobs.stop()
    },
  )

  it('has run when it goes on after its commit, while the next owner begins the next one', async () => {
    const fleet = new Fleet()
    const name = `bot-${(names += 1)}`
    const told: string[] = []
    const aborted: boolean[] = []
    const begin = async (): Promise<void> => {
      const process = fleet.process()
      const run = async ({ runId, signal, commit }: JobRun): Promise<void> => {
        await commit([note(runId)])
        await new Promise<void>((resolve) => fleet.clock.after(70_000, resolve))
        aborted.push(signal.aborted)
      }
      const jobs = new Jobs({ jobs: { digest: { ...everyMinute, effects: 'stored', run } }, owner: process.restart, store: storage.collection('evenkeel'), storage, name, scope: 'process', clock: process.clock }) // prettier-ignore
      for (const event of ['ran', 'failed'] as const) jobs.on(event, ({ to, why }) => told.push(`${process.version} ${to}: ${why}`)) // prettier-ignore
      await process.restart.start()
      process.isLoggedIn = true
      await jobs.start()
      await process.restart.takeOver()
    }
    await begin()
    await fleet.clock.advance(65_000)
    void begin()
    await fleet.clock.advance(70_000)
    expect(told).toEqual(['v1 ran: it has ended well'])
    expect(aborted).toEqual([false])
    expect(await storage.collection('notes').has(`${name}:digest:${startAt + 120_000}`)).toBe(true)
  })

  /** Another process, which owns the bot by now, has found the run ended, and begun the one after it. */
  async function beginTheNextElsewhere(key: string): Promise<void> {
    const store = storage.collection('evenkeel')
    const record = (await store.get(key)) as { run: { scheduledAt: number } }
    const next = { id: 'another', by: 'another', state: 'running', scheduledAt: record.run.scheduledAt + 60_000 }
    await store.set(key, { ...record, run: { ...record.run, ...next } })
  }

  it('has run when its commit was applied without an answer, and the next one is begun elsewhere', async () => {
    const { wire, options } = wired()
    const bot = await alone(({ commit }) => commit([note('next')]), { effects: 'stored' }, options)
    wire.batch = async (operations) => {
      await wire.apply(operations)
      await beginTheNextElsewhere(bot.key)
      throw new Error('the connection was lost')
    }
    await bot.clock.advance(62_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
  })

  it('is lost when its commit was refused, and the next one is begun elsewhere', async () => {
    const errors: unknown[] = []
    const bot = await alone(async ({ commit }) => {
      await beginTheNextElsewhere(bot.key)
      await commit([note('refused')])
    }, { effects: 'stored' }) // prettier-ignore
    bot.jobs.on('failed', ({ error }) => errors.push(error))
    await bot.clock.advance(62_000)
    expect(errors).toEqual([expect.objectContaining({ code: 'JOB_LOST' })])
    expect(await storage.collection('notes').get('refused')).toBeUndefined()
  })

  it('has run when its end was written without an answer, and the next one is begun elsewhere', async () => {
    const { options } = wired()
    const { store } = options
    const deaf: JobStore = {
      ...store,
      compareAndSet: async (key, expected, value) => {
        const written = await store.compareAndSet(key, expected, value)
        if ((value as { run?: { state: string } | null }).run?.state !== 'done') return written
        await beginTheNextElsewhere(key)
        throw new Error('the connection was lost')
      },
    }
    const bot = await alone(() => undefined, {}, { ...options, store: deaf })
    await bot.clock.advance(65_000)
    expect(bot.told).toEqual(['ran: it has ended well'])
  })

  it('that has committed and then rejects is told as failed, and does not run again', async () => {
    let runs = 0
    const bot = await alone(async ({ commit }) => {
      runs += 1
      await commit([note('committed')])
      throw new Error('no network')
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(90_000)
    expect([runs, bot.told]).toEqual([1, ['failed: no network']])
    await bot.jobs.stop()
  })

  it('has an id that no run of another bot in the same storage has', async () => {
    const fleet = new Fleet()
    const process = fleet.process()
    await process.restart.start()
    // The last two are one when they are only joined by colons.
    const bots = [
      ['bot-a', 'digest'],
      ['bot-b', 'digest'],
      ['bot:x', 'tea'],
      ['bot', 'x:tea'],
      ['bot%3Ax', 'tea'],
    ] as const
    const shared = new MemoryStorage()
    const all = bots.map(([name, job]) => {
      const run = async ({ runId, commit }: JobRun): Promise<void> => {
        await commit([{ type: 'set', collection: 'digests', key: runId, value: name }])
      }
      return new Jobs({
        jobs: { [job]: { everyMs: 60_000, effects: 'stored', run } },
        owner: process.restart,
        store: shared.collection('evenkeel'),
        storage: shared,
        name,
        scope: 'process',
        clock: process.clock,
      })
    })
    await Promise.all(all.map((jobs) => jobs.start()))
    await fleet.clock.advance(60_000)
    const effects: [string, unknown][] = []
    for await (const { key, value } of shared.collection('digests').scan()) effects.push([key, value])
    const at = startAt + 60_000
    expect(effects.sort()).toEqual([
      [`bot%253Ax:tea:${at}`, 'bot%3Ax'],
      [`bot%3Ax:tea:${at}`, 'bot:x'],
      [`bot-a:digest:${at}`, 'bot-a'],
      [`bot-b:digest:${at}`, 'bot-b'],
      [`bot:x%3Atea:${at}`, 'bot'],
    ])
    await Promise.all(all.map((jobs) => jobs.stop()))
  })

  it('commits nothing when another process has begun it meanwhile', async () => {
    const caught: unknown[] = []
    const bot = await alone(async ({ commit, fence }) => {
      const check = fence()
      const store = storage.collection('evenkeel')
      const found = await store.entry(bot.key)
      const value = found?.value as { run: { id: string } }
      await store.set(bot.key, { ...value, run: { ...value.run, id: 'another', by: 'another' } })
      await commit([{ type: 'set', collection: 'notes', key: 'never', value: 1 }]).catch((error: unknown) => caught.push(error)) // prettier-ignore
      await storage.batch([check as never]).catch((error: unknown) => caught.push(error))
    }, { effects: 'stored' }) // prettier-ignore
    await bot.clock.advance(60_000)
    expect(caught).toEqual([
      expect.objectContaining({ code: 'JOB_LOST', runId: `${bot.name}:digest:${startAt + 60_000}` }),
      expect.objectContaining({ code: 'STORAGE_CONFLICT' }),
    ])
    expect(await storage.collection('notes').get('never')).toBeUndefined()
    expect(bot.told).toEqual([expect.stringContaining(`failed: Run ${bot.name}:digest:`)])
    await bot.jobs.stop()
  })

  it('tells what a batch of its own was refused for', async () => {
    const bot = await alone(async ({ commit }) => {
      await commit([{ type: 'check', collection: 'notes', key: 'absent', ifVersion: 'none' }])
    }, { effects: 'stored' }) // prettier-ignore
    const errors: unknown[] = []
    bot.jobs.on('failed', ({ error }) => errors.push(error))
    await bot.clock.advance(60_000)
    expect(errors).toEqual([expect.objectContaining({ code: 'STORAGE_CONFLICT' })])
    await bot.jobs.stop()
  })

  it('that fails comes again when it is due next', async () => {
    let runs = 0
    const bot = await alone(() => {
      runs += 1
      throw new Error('no network')
    })
    await bot.clock.advance(90_000)
    expect([runs, bot.told]).toEqual([1, ['failed: no network']])
    await bot.clock.advance(30_000)
    expect(runs).toBe(2)
    await bot.jobs.stop()
  })

  it('that takes too long is asked to end, and keeps its turn until it does', async () => {
    const aborted: boolean[] = []
    const bot = await alone(
      ({ signal }) =>
        new Promise<void>((resolve) =>
          bot.clock.after(150_000, () => {
            aborted.push(signal.aborted)
            resolve()
          }),
        ),
      { timeoutMs: 50_000 },
    )
    await bot.clock.advance(60_000)
    await bot.clock.advance(140_000)
    expect(bot.told).toEqual([`job overrunning: the run of 2026-01-01T00:01:00.000Z has taken 50000 ms`])
    await bot.clock.advance(20_000)
    expect(aborted).toEqual([true])
    void bot.jobs.stop()
    await bot.clock.advance(200_000)
  })

  it('is skipped where what came meanwhile is not wanted', async () => {
    const due: number[] = []
    const bot = await alone(
      ({ scheduledAt }) => {
        due.push((scheduledAt - startAt) / 60_000)
        return new Promise<void>((resolve) => bot.clock.after(90_000, resolve))
      },
      { overlap: 'skip' },
    )
    await bot.clock.advance(300_000)
    expect(due).toEqual([1, 3, 5])
    expect(bot.told.filter((line) => line.startsWith('skipped'))).toEqual(Array(2).fill('skipped: the run before it had not ended when it was due')) // prettier-ignore
    void bot.jobs.stop()
    await bot.clock.advance(100_000)
  })

  it('comes once when the clock leaps forward, and not again when it goes back', async () => {
    const due: number[] = []
    const bot = await alone(({ scheduledAt }) => due.push((scheduledAt - startAt) / 60_000))
    await bot.clock.advance(125_000)
    bot.clock.jump(3_600_000)
    await bot.clock.advance(5_000)
    expect(due).toEqual([1, 2, 62])
    bot.clock.jump(-3_600_000)
    await bot.clock.advance(5_000)
    expect(due).toEqual([1, 2, 62])
    await bot.clock.advance(120_000)
    expect(due).toEqual([1, 2, 62, 3, 4])
    bot.clock.jump(-180_000)
    await bot.clock.advance(180_000)
    expect(due).toEqual([1, 2, 62, 3, 4])
    await bot.clock.advance(62 * 60_000)
    expect(new Set(due).size).toBe(due.length)
    expect(due.slice(5, 8)).toEqual([5, 6, 7])
    expect(due.at(-1)).toBeGreaterThan(64)
    expect(bot.told.filter((line) => line.startsWith('clock'))).toHaveLength(2)
    await bot.jobs.stop()
  })

  it('is not due while its function fails, and says so once', async () => {
    let isBroken = false
    const due: number[] = []
    const nextAt = (at: number): number => {
      if (isBroken) throw new Error('no such time zone')
      return (Math.floor(at / 60_000) + 1) * 60_000
    }
    const bot = await alone(({ scheduledAt }) => due.push((scheduledAt - startAt) / 60_000), { everyMs: undefined, nextAt }) // prettier-ignore
    await bot.clock.advance(60_000)
    isBroken = true
    await bot.clock.advance(300_000)
    expect(due).toEqual([1])
    expect(bot.told.slice(1)).toEqual([expect.stringMatching(/^job broken: nextAt\(\d+\) must give a later time/)])
    isBroken = false
    await bot.clock.advance(60_000)
    expect(due).toEqual([1, 6, 7])
    await bot.jobs.stop()
  })

  it('survives a listener that throws', async () => {
    const bot = await alone(() => undefined)
    bot.jobs.on('ran', () => {
      throw new Error('broken listener')
    })
    await bot.clock.advance(125_000)
    expect(bot.jobs.status.jobs.get('digest')).toMatchObject({ state: 'waiting', ran: 2, nextAt: startAt + 180_000 })
    await bot.jobs.stop()
  })
})

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

describe('the options of jobs', () => {
  const blueGreen = new BlueGreen({
    versions: { v1: () => 1 },
    initial: 'v1',
    context: () => ({ eventId: null }),
    store: memoryState(),
  })
  const restart = new Fleet().process().restart
  const good = { everyMs: 1_000, effects: 'keyed', run: () => undefined } as const
  const whole = { jobs: { a: good }, owner: blueGreen, store: memoryState() }

  it.each([
    ['no jobs', { jobs: {} }, /Jobs needs jobs/],
    ['an unknown option', { every: 5 }, /Jobs has no option "every"/],
    ['an unknown option of a job', { jobs: { a: { ...good, cron: '* * * * *' } } }, /job "a" has no option "cron"/],
    ['no effects', { jobs: { a: { ...good, effects: undefined } } }, /job "a" needs effects/],
    ['neither everyMs nor nextAt', { jobs: { a: { ...good, everyMs: undefined } } }, /needs everyMs or nextAt/],
    ['both', { jobs: { a: { ...good, nextAt: () => 1 } } }, /has everyMs and nextAt.*leave one out/],
    [
      'a period that is too short',
      { jobs: { a: { ...good, everyMs: 99 } } },
      /everyMs of job "a" must be ms, at least 100/,
    ],
    ['a period that is none', { jobs: { a: { ...good, everyMs: NaN } } }, /everyMs of job "a"/],
    ['no function', { jobs: { a: { ...good, run: 'digest' } } }, /needs a function as run/],
    ['another word for missed', { jobs: { a: { ...good, missed: 'all' } } }, /missed of job "a"/],
    ['another word for overlap', { jobs: { a: { ...good, overlap: 'kill' } } }, /overlap of job "a"/],
    ['stored effects without a storage', { jobs: { a: { ...good, effects: 'stored' } } }, /needs storage/],
    ['a storage whose collection it is not', { storage: new MemoryStorage() }, /store must be a collection of storage/],
    ['a Map', { store: new Map() }, /store\.entry must be a function/],
    ['no owner', { owner: {} }, /owner must be a GaplessRestart/],
    ['a store that does not reach the other process', { owner: restart }, /store reaches one process/],
    ['a lease that is too short', { leaseMs: 1_500 }, /leaseMs must be at least twice lookMs/],
    ['an empty name', { name: '' }, /name must be a string/],
  ])('refuse %s', (_, options, message) => {
    expect(() => new Jobs({ ...whole, ...options } as never)).toThrow(message)
  })
})
