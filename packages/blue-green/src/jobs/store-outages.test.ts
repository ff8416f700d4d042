import { describe, expect, it } from 'vitest'
import { Jobs, type JobRun } from '../jobs.js'
import { Fleet } from '../test-support/fleet.js'
import { everyMinute, inTheMiddle, JobFleet, minutesOf } from '../test-support/job-fleet.js'

describe('jobs of a bot of several processes', () => {
  it('do not begin while the store is out, and then once', async () => {
    const bot = new JobFleet()
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
    const bot = new JobFleet()
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
})
