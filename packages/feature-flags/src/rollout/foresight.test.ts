import { describe, expect, it } from 'vitest'
import { hour, World, type Process } from '../test-support/rollout-bot.js'
import { checkPlan } from './check-plan.js'
import { RolloutJudge } from './rollout-judge.js'

const minute = 60_000

/** A world whose judge foresees as a real one. */
function foreseeingWorld(): World {
  const world = new World()
  const phases = [
    { name: 'testers', percentage: 0, targetGuilds: ['7'], durationMs: hour },
    { name: 'canary', percentage: 10, durationMs: hour },
    { name: 'half', percentage: 50, durationMs: 48 * hour },
  ]
  const real = new RolloutJudge({ plan: checkPlan({ phases }), by: 'guild', random: () => 0.5 })
  world.judge.powers = (traffic) => real.powers(traffic)
  return world
}

async function serve({ flags }: Process, world: World, minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i++) {
    for (let call = 0; call < 200; call++) flags.ran('off', call % 50 === 0, String(call))
    await world.clock.advance(minute)
  }
}

describe('what the evidence of a rollout will show', () => {
  it('is told once, after an hour of traffic, and is part of the status from then on', async () => {
    const world = foreseeingWorld()
    const process = world.process()
    const told = (): unknown[] => process.news.filter(({ aspect }) => aspect === 'power')
    await process.rollout.start()
    await serve(process, world, 59)
    expect([told(), process.rollout.status.power]).toEqual([[], undefined])
    await serve(process, world, 62)
    expect(told()).toMatchObject([
      {
        what: 'newSearch',
        from: 'unknown',
        to: 'insufficient',
        severity: 'WARNING',
        traffic: { errorRatio: 0.02, guilds: 200 },
      },
    ])
    expect(process.rollout.status.power).toMatch(
      /^with 200 calls a minute, of which 2 % fail, what can be seen is, in "canary" \(10 %, 1h\): twice the errors in about 1h1m, 20 % more in about 3d20h; "half" \(50 %, 2d\): twice the errors in about 25m, 20 % more in about 1d2h$/,
    )
    await process.rollout.stop()
  })

  it('is told at the start where the traffic is known from before', async () => {
    const world = foreseeingWorld()
    const first = world.process({ version: 'v1' })
    await first.rollout.start()
    await serve(first, world, 65)
    await first.rollout.abort({ why: 'not today' })
    await first.rollout.stop()
    const second = world.process({ version: 'v2' })
    await second.rollout.start()
    expect(second.news.map(({ aspect }) => aspect)).toContain('power')
    expect(second.rollout.status.power).toMatch(/^with 200 calls a minute/)
    await second.rollout.stop()
  })

  it('is part of the status of whoever takes over, and not told again', async () => {
    const world = foreseeingWorld()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    await second.rollout.start()
    await serve(first, world, 65)
    first.kill()
    await world.clock.advance(2 * minute)
    expect(second.rollout.status).toMatchObject({ controller: 'DRIVING' })
    expect(second.rollout.status.power).toMatch(/^with 200 calls a minute/)
    expect(second.news.map(({ aspect }) => aspect)).not.toContain('power')
    await second.rollout.stop()
  })
})
