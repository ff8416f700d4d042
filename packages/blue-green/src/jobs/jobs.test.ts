import { describe, expect, it } from 'vitest'
import { Fleet } from '../test-support/fleet.js'
import { JobFleet } from '../test-support/job-fleet.js'

const everyMinute = { everyMs: 60_000, effects: 'keyed' } as const

function newFleet(): JobFleet {
  return new JobFleet(new Fleet())
}

describe('jobs of a bot of several processes', () => {
  it('run once for each due time, in the process that owns the bot', async () => {
    const bot = newFleet()
    const { clock } = bot.fleet
    const first = await bot.begin({ digest: everyMinute })
    await clock.advance(150_000)
    const second = bot.begin({ digest: everyMinute })
    await clock.advance(200_000)
    const startAt = Date.UTC(2026, 0, 1)
    expect(bot.runs.map(({ scheduledAt }) => (scheduledAt - startAt) / 60_000)).toEqual([1, 2, 3, 4, 5])
    const by = bot.runs.map((run) => (run.by === first ? 'first' : 'second'))
    expect(by).toEqual(['first', 'first', 'second', 'second', 'second'])
    expect(bot.runs.every(({ at, scheduledAt }) => at - scheduledAt < 1_000)).toBe(true)
    expect(bot.runs[4]?.epoch).toBeGreaterThan(bot.runs[0]?.epoch ?? Infinity)
    expect(bot.jobs.get(first)?.status).toMatchObject({ role: 'standby', version: undefined })
    expect(bot.jobs.get(await second)?.status).toMatchObject({ role: 'owner', version: 'v2' })
  })
})
