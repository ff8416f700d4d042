import { checkPlan } from '../rollout/check-plan.js'
import type { RolloutPlan } from '../rollout/plan.js'
import { RolloutJudge, type RolloutInterval } from '../rollout/rollout-judge.js'
import type { GuildCounts, TallyDifference, TimedCall } from '../rollout/tally.js'

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const sevenPhases = [1, 5, 10, 25, 50, 75, 100]
const HOUR_MS = 3_600_000

const planOf = (percentages: readonly number[], hours: number): RolloutPlan =>
  checkPlan({
    phases: percentages.map((percentage) => ({ name: `${percentage} %`, percentage, durationMs: hours * HOUR_MS })),
  })

/** How a bot behaves, and from which phase on the new path is worse. */
export interface Story {
  readonly by: 'guild' | 'user'
  /** The phases, seven by default, and how many hours each takes, one by default. */
  readonly percentages?: readonly number[]
  readonly hours?: number
  /** So many times as many errors on the new path, and so many times as slow. */
  readonly errors: number
  readonly slowness: number
  readonly fromPhase?: number
  /** Some guilds always fail, and each is fast or slow in its own way. */
  readonly guilds?: number
  /** Intervals before the first phase, in which nobody has the flag on. */
  readonly before?: number
  /** So many times as many errors on both paths, by the hour of the rollout; before it the hour is negative. */
  readonly platform?: (hour: number) => number
  /** So many times as many calls, by the hour of the rollout. */
  readonly traffic?: (hour: number) => number
  /** By user: so many of a hundred always fail, and call ten times as often as others. */
  readonly broken?: number
}

const INTERVALS = 8
const INTERVAL_MS = HOUR_MS / INTERVALS
const CALLS = 1_500
const USERS = 2_000

/** Tells a whole rollout; ends when it is rolled back. */
export function tell(
  random: () => number,
  story: Story,
): { readonly action: string; readonly phase: number; readonly why: string } {
  const { by, errors, slowness, fromPhase = 0, before = 0, guilds = 120, percentages = sevenPhases, hours = 1 } = story
  const judge = new RolloutJudge({ plan: planOf(percentages, hours), by, random })
  const community = Array.from({ length: guilds }, (_, i) => {
    return {
      id: `guild ${i}`,
      weight: 1 / (i + 5),
      place: random() * 100,
      speed: Math.exp(0.5 * normal(random)),
      fails: random() < 0.03,
    }
  })
  const places = Array.from({ length: USERS }, () => random() * 100)
  const names = places.map((_, user) => `user ${user}`)
  const weights = community.reduce((sum, { weight }) => sum + weight, 0)
  let state = judge.start()
  for (let step = -before; step < percentages.length * hours * INTERVALS; step++) {
    const phase = Math.max(0, Math.floor(step / (hours * INTERVALS)))
    const percentage = step < 0 ? 0 : (percentages[phase] ?? 100)
    const isWorse = step >= 0 && phase >= fromPhase
    const hour = step / INTERVALS
    const all = CALLS * (story.traffic?.(hour) ?? 1)
    const path = (isGreen: boolean, calls: number, ratio: number, speed: number) => {
      const worse = (isGreen && isWorse ? errors : 1) * (story.platform?.(hour) ?? 1)
      const slow = isGreen && isWorse ? slowness : 1
      const failures = Math.min(calls, poisson(random, calls * Math.min(1, ratio * worse)))
      const took = (): number => 100 * speed * slow * Math.exp(0.8 * normal(random))
      return { calls, failures, took }
    }
    const interval = (process: TallyDifference): RolloutInterval => ({
      tookMs: INTERVAL_MS,
      phase,
      processes: [process],
    })
    const process = by === 'user' ? userProcess() : guildProcess()
    state = judge.observe(state, interval(process))
    const verdict = judge.judge(state)
    if (verdict.action !== 'CONTINUE') return { ...verdict, phase }

    function userProcess(): TallyDifference {
      const counts = { green: { calls: 0, failures: 0, reports: 0 }, blue: { calls: 0, failures: 0, reports: 0 } }
      const rows = new Map<string, [number, number, number, number]>()
      const latencies: { green: TimedCall[]; blue: TimedCall[] } = { green: [], blue: [] }
      for (let call = poisson(random, all); call > 0; call--) {
        const user = Math.floor(random() * USERS)
        const isBroken = user < (USERS * (story.broken ?? 0)) / 100
        const isGreen = (places[user] ?? 0) < percentage
        const [side, at] = isGreen ? (['green', 0] as const) : (['blue', 2] as const)
        const calls = isBroken ? 10 : 1
        const { failures, took } = path(isGreen, calls, isBroken ? 1 : 0.01, 1)
        counts[side].calls += calls
        counts[side].failures += failures
        const name = names[user] ?? ''
        const row = rows.get(name) ?? [0, 0, 0, 0]
        row[at] += calls
        row[at + 1]! += failures
        rows.set(name, row)
        if (latencies[side].length < 48) latencies[side].push([took(), name])
      }
      return { ...counts, guilds: Object.fromEntries(rows), latencies }
    }

    function guildProcess(): TallyDifference {
      const counts = { green: { calls: 0, failures: 0, reports: 0 }, blue: { calls: 0, failures: 0, reports: 0 } }
      const rows: [string, GuildCounts][] = []
      const latencies: { green: TimedCall[]; blue: TimedCall[] } = { green: [], blue: [] }
      for (const { id, weight, place, speed, fails } of community) {
        const isGreen = place < percentage
        const side = isGreen ? 'green' : 'blue'
        const calls = poisson(random, (all * weight) / weights)
        if (calls === 0) continue
        const { failures, took } = path(isGreen, calls, fails ? 0.25 : 0.01, speed)
        counts[side].calls += calls
        counts[side].failures += failures
        rows.push([id, isGreen ? [calls, failures, 0, 0] : [0, 0, calls, failures]])
        latencies[side].push([took(), id])
      }
      return { ...counts, guilds: Object.fromEntries(rows), latencies }
    }
  }
  return { action: 'CONTINUE', why: '', phase: percentages.length }
}

function poisson(random: () => number, mean: number): number {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)))
  const limit = Math.exp(-mean)
  let count = 0
  for (let product = random(); product > limit; product *= random()) count++
  return count
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
