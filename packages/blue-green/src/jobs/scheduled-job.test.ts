import { describe, expect, it } from 'vitest'
import { startAt } from '../test-support/job-fleet.js'
import { alone } from '../test-support/lone-job.js'

describe('a run', () => {
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
