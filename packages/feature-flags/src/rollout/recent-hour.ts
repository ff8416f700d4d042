import type { BucketBy } from '../context.js'
import type { RollbackTriggers } from './plan.js'
import type { TallyDifference } from './tally.js'
import { addToWorst, joinWorst, withoutWorst, type WorstGuilds } from './worst-guilds.js'

/** Failures of the database in an interval. */
export interface DatabaseCounts {
  /** Connections that could not be had. */
  readonly connectionFailures?: number | undefined
  /** Queries that took longer than they may. */
  readonly queryTimeouts?: number | undefined
}

/** What happened in five minutes. Plain numbers: kept as JSON. */
export interface HourSlot {
  /** When they began, in milliseconds since the rollout has been watched. */
  readonly startedMs: number
  /** Calls of the new path. */
  readonly calls: number
  /** Those that failed. */
  readonly failures: number
  /** Calls of the old path. */
  readonly blueCalls: number
  /** Those that failed. */
  readonly blueFailures: number
  /** Calls of the new path of which the latency was kept. */
  readonly timed: number
  /** Those that took longer than they may. */
  readonly slow: number
  /** The guilds, or users, in which the new path failed most often. */
  readonly failing: WorstGuilds
  /** Connections that could not be had, on nobody knows which path. */
  readonly connectionFailures: number
  /** Queries that timed out, on nobody knows which path. */
  readonly queryTimeouts: number
  /** The sum of what users said. */
  readonly satisfaction: number
  /** How often that was given. */
  readonly answers: number
}

/** What absolute limits are compared with: the last hour. */
export type RecentHour = readonly HourSlot[]

const SLOT_MS = 300_000
const HOUR_MS = 3_600_000
/** As with catastrophes: two guilds may have broken their own settings. */
const GUILDS = 3

/** What is added to the last hour. */
export interface HourSample {
  readonly processes: readonly TallyDifference[]
  readonly database: DatabaseCounts
  readonly satisfaction: number | undefined
}

/** Adds what happened until `nowMs`, and forgets what is more than an hour ago. */
export function addToHour(hour: RecentHour, nowMs: number, sample: HourSample, triggers: RollbackTriggers): RecentHour {
  const startedMs = Math.floor(nowMs / SLOT_MS) * SLOT_MS
  const kept = hour.filter((slot) => slot.startedMs > nowMs - HOUR_MS && slot.startedMs !== startedMs)
  let slot = hour.find((each) => each.startedMs === startedMs) ?? emptySlot(startedMs)
  const { maxResponseTimeMs = Infinity } = triggers
  slot = { ...slot, failing: addToWorst(slot.failing, sample.processes) }
  for (const { green, blue, latencies } of sample.processes) {
    slot = {
      ...slot,
      calls: slot.calls + green.calls,
      failures: slot.failures + Math.min(green.failures, green.calls),
      blueCalls: slot.blueCalls + blue.calls,
      blueFailures: slot.blueFailures + Math.min(blue.failures, blue.calls),
      timed: slot.timed + latencies.green.length,
      slow: slot.slow + latencies.green.filter(([tookMs]) => tookMs > maxResponseTimeMs).length,
    }
  }
  const { satisfaction } = sample
  const isAnswer = satisfaction !== undefined && Number.isFinite(satisfaction)
  return [
    ...kept,
    {
      ...slot,
      connectionFailures: slot.connectionFailures + amount(sample.database.connectionFailures),
      queryTimeouts: slot.queryTimeouts + amount(sample.database.queryTimeouts),
      satisfaction: slot.satisfaction + (isAnswer ? satisfaction : 0),
      answers: slot.answers + (isAnswer ? 1 : 0),
    },
  ]
}

/** What a limit says, with the reason. */
export interface LimitVerdict {
  readonly action: 'PAUSE' | 'ROLLBACK'
  readonly why: string
  /** Names the limit. */
  readonly cause: string
}

/** Finds absolute limits that are passed, the worst first. */
export function findPassedLimits(hour: RecentHour, triggers: RollbackTriggers, by: BucketBy): readonly LimitVerdict[] {
  const found = [
    passedErrors(hour, triggers.maxErrorRatio, by),
    passedTime(hour, triggers.maxResponseTimeMs),
    passedSatisfaction(hour, triggers.minSatisfaction),
    passedCount(sum(hour, 'connectionFailures'), triggers.connectionFailures, 'connections to the database failed'),
    passedCount(sum(hour, 'queryTimeouts'), triggers.queryTimeouts, 'queries of the database timed out'),
  ]
  return found.filter((verdict) => verdict !== undefined)
}

function passedErrors(hour: RecentHour, limit: number | undefined, by: BucketBy): LimitVerdict | undefined {
  const [calls, failures] = [sum(hour, 'calls'), sum(hour, 'failures')]
  if (limit === undefined || !isAbove(failures, calls, limit)) return undefined
  const cause = 'error ratio'
  const why = `${failures} of ${calls} calls failed within an hour, more than the ${percent(limit)} that are allowed`
  const [blueCalls, blueFailures] = [sum(hour, 'blueCalls'), sum(hour, 'blueFailures')]
  if (blueCalls > 0 && blueFailures / blueCalls > limit) {
    return { action: 'PAUSE', why: `${why}, but so did ${blueFailures} of ${blueCalls} of the old path`, cause }
  }
  const worst = joinWorst(hour.map(({ failing }) => failing))
  const count = Object.keys(worst).length
  if (count < GUILDS) {
    const whom = `${by === 'guild' ? 'in' : 'for'} ${count === 1 ? `one ${by}` : `${count} ${by}s`}`
    return { action: 'PAUSE', why: `${why}, but ${whom} alone`, cause }
  }
  const [otherCalls, otherFailures] = withoutWorst(calls, failures, worst)
  if (!isAbove(otherFailures, otherCalls, limit)) {
    return { action: 'PAUSE', why: `${why}, but not beyond doubt without the two worst ${by}s`, cause }
  }
  return { action: 'ROLLBACK', why, cause }
}

function passedTime(hour: RecentHour, limit: number | undefined): LimitVerdict | undefined {
  const [timed, slow] = [sum(hour, 'timed'), sum(hour, 'slow')]
  // The 95th percentile is above the limit when more than a twentieth is.
  if (limit === undefined || !isAbove(slow, timed, 0.05)) return undefined
  return {
    action: 'PAUSE',
    why: `${slow} of ${timed} calls took longer than ${limit} ms within an hour`,
    cause: 'response time',
  }
}

function passedSatisfaction(hour: RecentHour, limit: number | undefined): LimitVerdict | undefined {
  const answers = sum(hour, 'answers')
  const mean = sum(hour, 'satisfaction') / answers
  if (limit === undefined || answers === 0 || mean >= limit) return undefined
  return {
    action: 'PAUSE',
    why: `satisfaction is ${Number(mean.toPrecision(3))}, below ${limit}`,
    cause: 'satisfaction',
  }
}

function passedCount(count: number, limit: number | undefined, what: string): LimitVerdict | undefined {
  if (limit === undefined || count <= limit) return undefined
  return { action: 'PAUSE', why: `${count} ${what} within an hour, and nobody knows on which path`, cause: what }
}

/** The chance to be this far above a limit that is kept is one in a million at most: it is looked at very often. */
const ENOUGH = Math.log(1e6)

/** Whether so many events out of so many show that their share is above a limit (Chernoff's bound, 1952). */
export function isAbove(events: number, all: number, limit: number): boolean {
  const share = events / all
  if (!(share > limit)) return false
  const rest = 1 - share
  const divergence = share * Math.log(share / limit) + (rest === 0 ? 0 : rest * Math.log(rest / (1 - limit)))
  return all * divergence >= ENOUGH
}

function emptySlot(startedMs: number): HourSlot {
  return {
    startedMs,
    calls: 0,
    failures: 0,
    blueCalls: 0,
    blueFailures: 0,
    timed: 0,
    slow: 0,
    failing: {},
    connectionFailures: 0,
    queryTimeouts: 0,
    satisfaction: 0,
    answers: 0,
  }
}

function sum(hour: RecentHour, field: Exclude<keyof HourSlot, 'failing'>): number {
  return hour.reduce((total, slot) => total + slot[field], 0)
}

/** A count that makes sense, or none. */
export function amount(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) && value > 0 ? value : 0
}

function percent(ratio: number): string {
  return `${Number((ratio * 100).toPrecision(3))} %`
}
