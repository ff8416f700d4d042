import { findCatastrophe, type Sides } from '@evenkeel/canary-judge'
import { addTimes, adjustSpeeds, learnSpeeds, noTimes, relativeLatencies } from './guild-speeds.js'
import { failingGuilds, noGuilds, watchGuilds } from './guild-watch.js'
import { addToHour, amount, type DatabaseCounts, type RecentHour } from './recent-hour.js'
import type { NamedSample, PlanMetrics } from './rollout-judge-metrics.js'
import type { RolloutInterval, RolloutJudgeState } from './rollout-judge-state.js'
import type { TallyDifference } from './tally.js'
import { addToWorst } from './worst-guilds.js'

const noCalls = { calls: 0, failures: 0, worst: {} }

/** Nothing has happened yet. */
export function startState(metrics: PlanMetrics): RolloutJudgeState {
  return {
    format: 1,
    elapsedMs: 0,
    phase: 0,
    begun: 1,
    whole: metrics.start(),
    sincePhase: metrics.start(),
    memory: null,
    hour: [],
    guilds: noGuilds,
    speeds: {},
    timed: noTimes,
    green: noCalls,
    blue: { calls: 0, failures: 0 },
    compared: {},
    catastrophe: null,
  }
}

/** Adds what happened since. */
export function observeInterval(
  metrics: PlanMetrics,
  state: RolloutJudgeState,
  interval: RolloutInterval,
): RolloutJudgeState {
  const { plan, by, names, errors } = metrics
  const { processes, memory = [], database = {}, satisfaction, restarts, storage } = interval
  const elapsedMs = state.elapsedMs + amount(interval.tookMs)
  const isOther = interval.phase !== state.phase && plan.phases[interval.phase] !== undefined
  const phase = isOther ? interval.phase : state.phase
  const begun = state.begun + (isOther ? 1 : 0)
  const chosen = by === 'guild' ? (plan.phases[phase]?.targetGuilds ?? []) : []
  const { watch: guilds, samples: ofGuilds } = watchGuilds(state.guilds, { nowMs: elapsedMs, begun, chosen }, processes)
  const apart = 'green' in database ? database : undefined
  const hour = addToHour(
    state.hour,
    elapsedMs,
    { processes, database: apart === undefined ? (database as DatabaseCounts) : {}, satisfaction },
    plan.triggers,
  )
  // With everybody on the new path there is nobody to compare with, and at any time nothing that the plan does not name.
  const isWithBlue = plan.phases[phase]?.percentage !== 100
  const isTimed = by === 'guild' && isWithBlue && names.includes('latency')
  const timed = isTimed ? addTimes(state.timed, processes) : noTimes
  const samples: NamedSample[] = [
    ...(by === 'user' ? processes.map(timesOf) : []),
    ...(ofGuilds === undefined ? [] : [['latency', relativeLatencies(state.speeds, timed)] as const]),
    ...rareEvents(elapsedMs, interval, apart, hour),
  ]
  const ofWhole = ofGuilds === undefined ? samples : [...samples, [errors, ofGuilds.whole] as const]
  const ofPhase = ofGuilds === undefined ? samples : [...samples, [errors, ofGuilds.sincePhase] as const]
  const speeds = ofGuilds === undefined ? state.speeds : adjustSpeeds(state.speeds, timed)
  const catastrophe = findCatastrophe({ ...failingGuilds(guilds), restarts: amount(restarts), storage })
  const green = isOther ? noCalls : state.green
  return {
    format: 1,
    elapsedMs,
    phase,
    begun,
    whole: metrics.observe(state.whole, ofWhole),
    sincePhase: metrics.observe(isOther ? metrics.start() : state.sincePhase, ofPhase),
    memory: metrics.observeMemory(state.memory, memory),
    hour,
    guilds,
    speeds: isTimed ? learnSpeeds(speeds, processes) : speeds,
    timed: ofGuilds === undefined ? timed : noTimes,
    green: {
      calls: green.calls + total(processes, 'green', 'calls'),
      failures: green.failures + total(processes, 'green', 'failures'),
      worst: addToWorst(green.worst, processes),
    },
    blue: isWithBlue
      ? {
          calls: state.blue.calls + total(processes, 'blue', 'calls'),
          failures: state.blue.failures + total(processes, 'blue', 'failures'),
        }
      : state.blue,
    compared: countCompared(metrics, isOther ? {} : state.compared, ofPhase),
    catastrophe: catastrophe?.replace(/\.$/, '') ?? null,
  }
}

function countCompared(
  { names }: PlanMetrics,
  compared: RolloutJudgeState['compared'],
  samples: readonly NamedSample[],
): RolloutJudgeState['compared'] {
  const next = { ...compared }
  for (const [name, sample] of samples) {
    if (names.includes(name) && hasBoth(sample)) next[name] = (next[name] ?? 0) + 1
  }
  return next
}

/** By user, calls of one process's interval are compared: those of different users are independent. */
function timesOf({ latencies: { green, blue } }: TallyDifference): NamedSample {
  return ['latency', { green: green.map(([ms]) => ms), blue: blue.map(([ms]) => ms) }]
}

/** Whether a sample has something of both paths to compare. */
function hasBoth(sample: object): boolean {
  const sides = sample as Partial<Sides<readonly number[] | { readonly expected?: number; readonly users?: number }>>
  return [sides.green, sides.blue].every((side) => {
    const weight = Array.isArray(side)
      ? side.length
      : ((side as { expected?: number; users?: number }).expected ?? (side as { users?: number }).users)
    return (weight ?? 0) > 0
  })
}

/** What is too rare to be counted by guild: reports, and failures of the database beside the calls of each path. */
function rareEvents(
  atMs: number,
  { processes, users }: RolloutInterval,
  database: Sides<DatabaseCounts> | undefined,
  hour: RecentHour,
): NamedSample[] {
  const calls: Sides<number> = {
    green: hour.reduce((sum, slot) => sum + slot.calls, 0),
    blue: hour.reduce((sum, slot) => sum + slot.blueCalls, 0),
  }
  const sample = (green: number, blue: number, of: Sides<number>): object => {
    return { atMs, green: { reports: green, users: of.green }, blue: { reports: blue, users: of.blue } }
  }
  const reports = sample(total(processes, 'green', 'reports'), total(processes, 'blue', 'reports'), users ?? calls)
  if (database === undefined) return [['reports', reports]]
  const { green, blue } = database
  return [
    ['reports', reports],
    ['connection failures', sample(amount(green.connectionFailures), amount(blue.connectionFailures), calls)],
    ['query timeouts', sample(amount(green.queryTimeouts), amount(blue.queryTimeouts), calls)],
  ]
}

function total(
  processes: readonly TallyDifference[],
  side: 'green' | 'blue',
  field: 'calls' | 'failures' | 'reports',
): number {
  return processes.reduce((sum, each) => sum + amount(each[side][field]), 0)
}
