import { describe, expect, it } from 'vitest'
import { LogBuckets } from '../metrics/log-buckets.js'
import { countCalls, nightAndDay, WeekClock } from '../test-support/bot-traffic.js'
import { latencyCheck } from './latency-check.js'
import type { Verdict } from './verdict.js'

const fine = new LogBuckets(1, 60_000).bounds
const coarse = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, Infinity]
const { signal } = new AbortController()

/** The share of calls in each bucket, when half of them take up to `medianMs` and few take much longer (log-logistic). */
function spread(bounds: readonly number[], medianMs: number): number[] {
  const upTo = (ms: number): number => (ms === Infinity ? 1 : 1 / (1 + (ms / medianMs) ** -3))
  return bounds.map((bound, index) => upTo(bound) - (index === 0 ? 0 : upTo(bounds[index - 1] as number)))
}

interface Bot {
  readonly seed: number
  readonly bounds: readonly number[]
  readonly callsPerHour: (hours: number) => number
  /** By hours. */
  readonly shares: (hours: number) => readonly number[]
}

/** Looks once a minute, for so many hours; tells what it said, minute by minute. */
function* watch({ seed, bounds, callsPerHour, shares }: Bot, hours: number): Generator<Verdict & { hours: number }> {
  const clock = new WeekClock()
  const { counts, minute } = countCalls(seed, bounds.length)
  const check = latencyCheck(() => ({ bounds, counts }), { clock })
  for (let minutes = 0; minutes <= hours * 60; minutes++) {
    yield { ...(check(signal) as Verdict), hours: clock.hours }
    minute(callsPerHour(clock.hours), shares(clock.hours))
    clock.pass(60_000)
  }
}

/** Minutes from the change at 24 h until it is told; `Infinity` when it never is. */
function minutesToTell(bot: Bot): number {
  for (const { status, hours } of watch(bot, 28)) {
    if (status === 'up') continue
    if (hours < 24) throw new Error(`told at ${hours} h, before anything had changed`)
    return Math.round((hours - 24) * 60)
  }
  return Infinity
}

describe('when nothing changes', () => {
  const usual = { fine: spread(fine, 200), coarse: spread(coarse, 200) }

  it.each([
    ['many buckets', { bounds: fine, shares: () => usual.fine }, 5],
    ['few buckets', { bounds: coarse, shares: () => usual.coarse }, 15],
  ])('tells nothing: %s', (_what, { bounds, shares }, weeks) => {
    let told = 0
    for (let seed = 1; seed <= weeks; seed++) {
      for (const { status } of watch({ seed, bounds, shares, callsPerHour: nightAndDay(1_000) }, 7 * 24)) {
        if (status !== 'up') told++
      }
    }
    expect(told).toBe(0)
  })

  it('takes a slow drift along: a third slower in a week', () => {
    const byHour = Array.from({ length: 7 * 24 + 1 }, (_, hour) => spread(coarse, 200 * (1 + hour / 3 / 168)))
    const shares = (hours: number): number[] => byHour[Math.floor(hours)] as number[]
    let told = 0
    for (let seed = 1; seed <= 10; seed++) {
      for (const { status } of watch({ seed, bounds: coarse, shares, callsPerHour: nightAndDay(1_000) }, 7 * 24)) {
        if (status !== 'up') told++
      }
    }
    expect(told).toBe(0)
  })
})

describe('when calls take twice as long', () => {
  it.each([
    { callsPerHour: 200, buckets: 'fine', within: 60 },
    { callsPerHour: 2_000, buckets: 'fine', within: 30 },
    { callsPerHour: 20_000, buckets: 'fine', within: 30 },
    { callsPerHour: 2_000, buckets: 'coarse', within: 60 },
  ])('it is told: $callsPerHour calls an hour, $buckets buckets', ({ callsPerHour, buckets, within }) => {
    const bounds = buckets === 'fine' ? fine : coarse
    const [before, after] = [spread(bounds, 200), spread(bounds, 400)]
    const shares = (hours: number): readonly number[] => (hours < 24 ? before : after)
    const minutes = [1, 2, 3, 4, 5].map((seed) => {
      return minutesToTell({ seed, bounds, shares, callsPerHour: () => callsPerHour })
    })
    const median = minutes.sort((a, b) => a - b)[2] as number
    console.log(`${callsPerHour} calls/h, ${buckets} buckets, twice as slow: median ${median} min`)
    expect(median).toBeLessThanOrEqual(within)
  })
})

it('tells that calls take too long for Discord within minutes, and that it is over soon after', () => {
  const [usual, slow] = [spread(fine, 200), spread(fine, 4_000)]
  const shares = (hours: number): readonly number[] => (hours >= 24 && hours < 24.5 ? slow : usual)
  const all = watch({ seed: 1, bounds: fine, shares, callsPerHour: () => 600 }, 28)
  const told = [...all].filter(({ status }) => status !== 'up')
  expect(((told[0]?.hours ?? Infinity) - 24) * 60).toBeLessThan(5)
  expect(told.some(({ status }) => status === 'down')).toBe(true)
  expect(((told.at(-1)?.hours ?? Infinity) - 24.5) * 60).toBeLessThan(15)
})
