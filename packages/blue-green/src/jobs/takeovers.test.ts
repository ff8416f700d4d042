import { describe, expect, it } from 'vitest'
import type { JobStore } from '../jobs.js'
import type { FleetProcess } from '../test-support/fleet.js'
import { everyMinute, inTheMiddle, JobFleet, minutesOf } from '../test-support/job-fleet.js'

describe('jobs of a bot of several processes', () => {
  it('are taken up when their process died in the middle', async () => {
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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
      const bot = new JobFleet()
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
    const bot = new JobFleet()
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
})
