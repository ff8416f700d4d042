import { describe, expect, it } from 'vitest'
import { memoryState } from '../index.js'
import { Jobs, type JobRun } from '../jobs.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'
import { everyMinute, inTheMiddle, JobFleet, minutesOf, startAt } from '../test-support/job-fleet.js'
import { plan, TestBot } from '../test-support/test-bot.js'

describe('jobs of a bot of several processes', () => {
  it('run once for each due time, in the process that owns the bot', async () => {
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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

  it('are for the next one at once when a process stops in the middle', async () => {
    const bot = new JobFleet()
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
