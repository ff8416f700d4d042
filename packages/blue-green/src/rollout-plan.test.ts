import { describe, expect, it } from 'vitest'
import { fromRolloutPlan, type RolloutPlan } from './rollout-plan.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { TestBot } from './test-support/test-bot.js'

const hour = 3_600_000
const phase = (percentage: number, hours: number, targetGuilds: readonly string[] = []): RolloutPlan['phases'][0] => {
  return { name: `to ${percentage} %`, percentage, targetGuilds, durationMs: hours * hour }
}

describe('a deployment by a rollout plan', () => {
  it('has a step for each phase, with its own time, and the target guilds from the first one on', () => {
    const phases = [phase(0, 24, ['7']), phase(5, 48, ['7']), phase(100, 2, ['7'])]
    expect(fromRolloutPlan({ phases, triggers: {} }).deploy).toEqual({
      percentages: [0, 5, 100],
      stepMs: [24 * hour, 48 * hour, 2 * hour],
      first: ['7'],
    })
  })

  it('makes one step of phases of the same percentage, as long as both', () => {
    const phases = [phase(5, 1), phase(5, 2), phase(100, 3)]
    expect(fromRolloutPlan({ phases, triggers: {} }).deploy).toMatchObject({
      percentages: [5, 100],
      stepMs: [3 * hour, 3 * hour],
    })
  })

  it('is refused where a later phase adds target guilds, which would have green too early', () => {
    const phases = [phase(5, 1, ['7']), phase(100, 1, ['7', '8'])]
    expect(() => fromRolloutPlan({ phases, triggers: {} })).toThrow(
      'Phase "to 100 %" adds the target guild "8"; name it in the first phase',
    )
  })

  it('judges what the plan names, and nothing else', () => {
    const judgeOf = (triggers: RolloutPlan['triggers']): unknown => fromRolloutPlan({ phases: [], triggers }).judge
    expect(judgeOf({})).toBeUndefined()
    expect(judgeOf({ userReports: undefined })).toBeUndefined()
    const rest = { errorRateIncrease: false, responseTimeIncrease: false }
    expect(judgeOf({ userReports: 5 })).toEqual({ ...rest, userReports: 5 })
    expect(judgeOf({ errorRateIncrease: 0.2, userReports: undefined })).toEqual({ ...rest, errorRateIncrease: 0.2 })
    const all = { errorRateIncrease: 0.2, responseTimeIncrease: 0.5, userReports: 5, memoryIncrease: 0.3, connectionFailures: 3, queryTimeouts: 4 } // prettier-ignore
    expect(judgeOf(all)).toEqual(all)
  })

  it('is refused with an absolute limit, and does not end below 100 %, each where it is said', async () => {
    const limited = fromRolloutPlan({ phases: [phase(100, 1)], triggers: { maxErrorRatio: 0.05 } as object })
    expect(() => new TestBot(new FaultyStore(), { judge: limited.judge })).toThrow('judge has no maxErrorRatio')
    const half = fromRolloutPlan({ phases: [phase(50, 1)], triggers: {} })
    await expect(new TestBot().blueGreen.deploy('v2', half.deploy)).rejects.toThrow('the last must be 100')
  })
})
