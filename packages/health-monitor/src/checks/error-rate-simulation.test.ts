import { describe, expect, it } from 'vitest'
import { countCalls, nightAndDay, WeekClock } from '../test-support/bot-traffic.js'
import { errorRateCheck } from './error-rate-check.js'
import type { Verdict } from './verdict.js'

interface Bot {
  readonly seed: number
  readonly callsPerHour: (hours: number) => number
  readonly failing: (hours: number, random: () => number) => number
}

const { signal } = new AbortController()

/** Looks once a minute, for so many hours; tells what it said, minute by minute. */
function* watch({ seed, callsPerHour, failing }: Bot, hours: number): Generator<Verdict & { hours: number }> {
  const clock = new WeekClock()
  const calls = countCalls(seed, 2)
  const check = errorRateCheck(
    () => ({ calls: (calls.counts[0] ?? 0) + (calls.counts[1] ?? 0), failures: calls.counts[1] ?? 0 }),
    { clock },
  )
  for (let minute = 0; minute <= hours * 60; minute++) {
    yield { ...(check(signal) as Verdict), hours: clock.hours }
    const share = failing(clock.hours, calls.random)
    calls.minute(callsPerHour(clock.hours), [1 - share, share])
    clock.pass(60_000)
  }
}

/** Minutes from the change until it is told; `Infinity` when it never is. */
function minutesToTell(bot: Bot, changeAtHours: number, hours: number): number {
  for (const { status, hours: now } of watch(bot, hours)) {
    if (status === 'up') continue
    if (now < changeAtHours) throw new Error(`told at ${now} h, before anything had changed`)
    return Math.round((now - changeAtHours) * 60)
  }
  return Infinity
}

function tellsAnything(bot: Bot, hours: number): boolean {
  for (const { status } of watch(bot, hours)) if (status !== 'up') return true
  return false
}

const WEEK = 7 * 24
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

describe('when nothing changes', () => {
  it.each([
    ['200 calls an hour, 3 % failing', nightAndDay(200), () => 0.03],
    ['2,000 calls an hour, 3 % failing', nightAndDay(2_000), () => 0.03],
    ['2,000 calls an hour, 20 % failing', nightAndDay(2_000), () => 0.2],
    // All of a minute's failures come at once, in one minute of five.
    ['errors in bunches', nightAndDay(1_000), (_: number, random: () => number) => (random() < 0.2 ? 0.15 : 0)],
  ])('tells nothing in any of 40 weeks: %s', (_what, callsPerHour, failing) => {
    let weeks = 0
    for (let seed = 1; seed <= 40; seed++) if (tellsAnything({ seed, callsPerHour, failing }, WEEK)) weeks++
    expect(weeks).toBe(0)
  })

  it('takes a slow drift along: from 3 % to 4 % in a week', () => {
    const failing = (hours: number): number => 0.03 + (0.01 * hours) / WEEK
    let weeks = 0
    for (let seed = 1; seed <= 20; seed++) {
      if (tellsAnything({ seed, callsPerHour: nightAndDay(2_000), failing }, WEEK)) weeks++
    }
    expect(weeks).toBe(0)
  })
})

describe('when twice as many calls fail', () => {
  it.each([
    { callsPerHour: 1_000, share: 0.03, within: 120 },
    { callsPerHour: 4_000, share: 0.03, within: 40 },
    // Of an hour's calls, 20 % more fail only after twelve minutes.
    { callsPerHour: 4_000, share: 0.1, within: 25 },
    { callsPerHour: 20_000, share: 0.03, within: 20 },
    { callsPerHour: 20_000, share: 0.1, within: 20 },
  ])('it is told: $callsPerHour calls an hour, $share failing', ({ callsPerHour, share, within }) => {
    const minutes = Array.from({ length: 15 }, (_, seed) => {
      const failing = (hours: number): number => (hours < 24 ? share : 2 * share)
      return minutesToTell({ seed, callsPerHour: () => callsPerHour, failing }, 24, 28)
    })
    console.log(`${callsPerHour} calls/h, ${share * 100} % -> ${share * 200} %: median ${median(minutes)} min`)
    expect(median(minutes)).toBeLessThanOrEqual(within)
  })
})

describe('an outage', () => {
  it('of half an hour is told within minutes at night, and over soon after it has ended', () => {
    const failing = (hours: number): number => (hours >= 24 && hours < 24.5 ? 0.9 : 0.01)
    const told = [...watch({ seed: 1, callsPerHour: () => 600, failing }, 30)].filter(({ status }) => status !== 'up')
    expect((told[0]?.hours ?? Infinity) - 24).toBeLessThan(5 / 60)
    expect(told.some(({ status }) => status === 'down')).toBe(true)
    expect((told.at(-1)?.hours ?? Infinity) - 24.5).toBeLessThan(15 / 60)
    // Once told, it does not flap.
    expect(told).toHaveLength(Math.round(((told.at(-1)?.hours ?? 0) - (told[0]?.hours ?? 0)) * 60) + 1)
  })

  it.each([2, 8])('of %i hours is not what is usual afterwards: twice as many failures are told as ever', (lasts) => {
    const minutes = Array.from({ length: 5 }, (_, seed) => {
      const failing = (hours: number): number => {
        if (hours >= 24 && hours < 24 + lasts) return 0.9
        return hours >= 27 + lasts ? 0.06 : 0.03
      }
      const seen = [...watch({ seed, callsPerHour: () => 4_000, failing }, 30 + lasts)]
      const told = seen.find(({ status, hours }) => hours >= 27 + lasts && status !== 'up')
      return Math.round(((told?.hours ?? Infinity) - 27 - lasts) * 60)
    })
    expect(median(minutes)).toBeLessThanOrEqual(40)
  })

  it('that the bot begins with is not what is usual afterwards', () => {
    const failing = (hours: number): number => (hours < 0.75 ? 0.9 : hours >= 6 ? 0.12 : 0.03)
    const seen = [...watch({ seed: 1, callsPerHour: () => 4_000, failing }, 8)]
    expect(seen.filter(({ status, hours }) => hours > 1.5 && hours < 6 && status !== 'up')).toEqual([])
    expect(seen.find(({ status, hours }) => hours >= 6 && status !== 'up')?.hours).toBeLessThan(6.5)
  })

  it('that stays is told for hours, and becomes usual after a day', () => {
    const failing = (hours: number): number => (hours >= 24 ? 0.1 : 0.03)
    const seen = [...watch({ seed: 1, callsPerHour: () => 4_000, failing }, 96)]
    const told = seen.filter(({ status }) => status !== 'up')
    const lastedHours = (told.at(-1)?.hours ?? 0) - (told[0]?.hours ?? 0)
    console.log(`3 % -> 10 % for good is told for ${lastedHours.toFixed(1)} h`)
    expect(lastedHours).toBeGreaterThan(8)
    expect(lastedHours).toBeLessThan(60)
    const flips = seen.filter(({ status }, minute) => status !== (seen[minute - 1]?.status ?? 'up')).length
    expect(flips).toBeLessThanOrEqual(4)
  })
})
