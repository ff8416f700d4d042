import { describe, expect, it } from 'vitest'
import { FaultyStore } from './test-support/faulty-store.js'
import { TestBot } from './test-support/test-bot.js'

const plan = { percentages: [10, 50, 100], stepMs: [1_000, 5_000, 2_000] }

describe('steps with times of their own', () => {
  it('last as long as the list says, each of them', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.status).toMatchObject({ percentage: 10, stepMs: 1_000 })
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ percentage: 50, stepMs: 5_000 })
    await bot.clock.advance(4_999)
    expect(deployment.status.percentage).toBe(50)
    await bot.clock.advance(1)
    expect(deployment.status).toMatchObject({ percentage: 100, stepMs: 2_000 })
    await bot.clock.advance(2_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect(deployment.report().plan?.stepMs).toEqual([1_000, 5_000, 2_000])
  })

  it('go on with them after a crash', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_000)
    bot.crash()
    const next = new TestBot(new FaultyStore(bot.store.inner))
    await next.blueGreen.start()
    expect(next.blueGreen.deployment?.status).toMatchObject({ percentage: 50, stepMs: 5_000 })
    await next.clock.advance(5_000)
    expect(next.blueGreen.deployment?.status).toMatchObject({ percentage: 100, stepMs: 2_000 })
  })

  it('stand in the dry run and in the forecast', async () => {
    const bot = new TestBot(new FaultyStore(), { judge: { windowMs: 2_000, responseTimeIncrease: false } })
    await bot.blueGreen.start()
    const { steps, atLeastMs, forecast } = await bot.blueGreen.dryRun('v2', plan)
    expect(atLeastMs).toBe(8_000)
    expect(steps.filter(({ atLeastMs: lasts }) => lasts > 0)).toMatchObject([
      { percentage: 10, beginsAfterMs: 0, atLeastMs: 1_000 },
      { percentage: 50, beginsAfterMs: 1_000, atLeastMs: 5_000 },
      { percentage: 100, beginsAfterMs: 6_000, atLeastMs: 2_000 },
    ])
    expect(forecast.message).toContain('Steps of 1000 ms end within one window (2000 ms)')
    for (let window = 0; window < 6; window++) {
      await bot.guildsOn('v1')
      await bot.clock.advance(2_000)
    }
    const known = await bot.blueGreen.dryRun('v2', plan)
    expect(known.forecast.steps).toMatchObject([
      { percentage: 10, stepMs: 1_000 },
      { percentage: 50, stepMs: 5_000 },
    ])
  })

  it.each<[readonly number[], string]>([
    [[1_000, 2_000], 'stepMs has 2 durations for the 3 of percentages'],
    [[], 'stepMs has 0 durations'],
    [[1_000, 0, 1_000], 'stepMs[1] must be milliseconds above 0'],
    [[1_000, NaN, 1_000], 'stepMs[1] must be milliseconds above 0'],
  ])('are refused when they are %j', async (stepMs, message) => {
    await expect(new TestBot().blueGreen.deploy('v2', { ...plan, stepMs })).rejects.toThrow(message)
  })
})
