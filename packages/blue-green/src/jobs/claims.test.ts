import { describe, expect, it } from 'vitest'
import type { JobStore } from '../jobs.js'
import { everyMinute, JobFleet, minutesOf } from '../test-support/job-fleet.js'

describe('jobs of a bot of several processes', () => {
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
    const bot = new JobFleet()
    const { clock, store } = bot.fleet
    await bot.begin({ digest: everyMinute }, { store: deafToItsClaim(store) })
    await clock.advance(63_000)
    expect(minutesOf(bot)).toEqual(['1 v1'])
    expect(bot.told.map(({ to, attempt }) => `${to} ${attempt}`)).toEqual(['ran 1'])
  })

  it('are given back by one who stops before it has heard of its claim', async () => {
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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
})
