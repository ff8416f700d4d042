import type { Limit } from './limit.js'

/** The range that a limit stays in. */
export interface LimitRange {
  /** Where it begins. */
  readonly initialLimit: number
  /** Never below. */
  readonly minLimit: number
  /** Never above. */
  readonly maxLimit: number
}

/** What is going on beside a call that has ended. */
export interface Surroundings {
  /** Whether somebody waits for a place. */
  readonly isWaiting: boolean
  /** Whether one of those who wait must not wait: then nothing is tried that would cost a place. */
  readonly isUrgent: boolean
}

/** Calls are let in by the limit itself, or by a little more or less of it to see what that does. */
type Phase = 'base' | 'up' | 'down'

/** What was seen in a phase: by Little's law (1961), the mean time of a call is the area under the calls in flight, by the calls. */
interface Seen {
  areaMs: number
  calls: number
}

/** So much more, or less, is tried. */
const UP = 1.4
const DOWN = 0.6
/**
 * The elasticity of the time that a call takes, in the number of calls at once: 0 when there is room for more, 1 when all
 * of what is added waits. In between lies the knee.
 */
const KNEE = 0.5
/** A difference counts when it is so many of its own standard errors away from the knee. */
const SURE = 1.5
/** So small a standard error means that it lies at the knee: then more is taken, and less is not. */
const PRECISE = 0.15
/** A phase takes so many calls at least. */
const LEAST_CALLS = 6
/** The limit itself holds for so many rounds between two trials, and for fewer while it moves. */
const ROUNDS = 6
const ROUNDS_WHILE_MOVING = 2
/** Time between two trials with less, in ms: it costs some throughput. It grows while they show nothing. */
const FIRST_DOWN_MS = 500
const SOON_DOWN_MS = 200
const MAX_DOWN_MS = 2_000
/** Calls that take so much longer than when all was well ask for a trial with less at once. */
const SLOW = 1.3
/** What a single call may weigh in the running variance. */
const MAX_DEVIATION = 4

/**
 * Finds out how many calls at once do the most good, and goes on doing so.
 *
 * It compares, in turns of a few calls each, how long calls take at the limit, at a little more and at a little less. Where
 * a little more makes them no slower there is room; where a little less makes them faster in the same measure, all that is
 * taken away was only waiting. Since both sides of a comparison lie milliseconds apart, there is no "best time ever" that
 * grows stale: a backend that becomes three times as slow is as good a yardstick as before.
 *
 * Pure: time comes with each call.
 */
export class ConcurrencyLimit implements Limit {
  readonly isTimed = true
  readonly #range: LimitRange
  #base: number
  #limit: number
  #phase: Phase = 'base'
  /** The first calls of a phase have seen the last one. */
  #isSettling = true
  #phaseMs = 0
  #seen: Seen = { areaMs: 0, calls: 0 }
  #total: Record<Phase, Seen> = nothingSeen()
  /** A comparison that was not clear yet is gone on with. */
  #again: 'up' | 'down' | undefined

  #lastMs = 0
  #inFlight = 0
  #peak = 0
  #tookMs = 0
  /** Running variance of the time of a call, relative to it. */
  #variance = 0.05
  /** The time of a call when a trial last showed that all was well; 0 when that is not known. */
  #calmMs = 0
  #grown = 0
  #nextDownMs = 0
  #downWaitMs = FIRST_DOWN_MS

  constructor(range: LimitRange) {
    this.#range = range
    this.#base = range.initialLimit
    this.#limit = range.initialLimit
  }

  /** How many calls may be in flight now: a whole number, and with a trial under way not quite the limit. */
  get now(): number {
    return this.#limit
  }

  /** How many calls at once it takes for the best. */
  get settled(): number {
    return Math.floor(this.#base)
  }

  /** How long a call takes of late, in ms; 0 before the first. */
  get tookMs(): number {
    return this.#tookMs
  }

  /** A call has begun; `inFlight` counts it. */
  began(nowMs: number, inFlight: number): void {
    this.#advance(nowMs)
    this.#inFlight = inFlight
    if (inFlight > this.#peak) this.#peak = inFlight
  }

  /** A call has ended that says nothing about how long calls take: a mistake of the user's, say. */
  leftOut(nowMs: number, inFlight: number): void {
    this.#advance(nowMs)
    this.#inFlight = inFlight
  }

  /** A call has ended; `inFlight` does not count it any more. */
  ended(nowMs: number, tookMs: number, inFlight: number, surroundings: Surroundings): void {
    this.#advance(nowMs)
    this.#inFlight = inFlight
    this.#seen.calls++
    this.#learnTime(Math.max(tookMs, 0.01))
    if (this.#isSettling) {
      if (nowMs - this.#phaseMs < this.#tookMs && this.#seen.calls <= 3 * this.#base) return
      this.#isSettling = false
      this.#seen = { areaMs: 0, calls: 0 }
      return
    }
    if (this.#seen.calls < this.#callsNeeded()) return
    // Demand did not fill the places: then more or less of them makes no difference.
    if (this.#peak < this.#limit) return this.#startAnew(nowMs)
    const total = this.#total[this.#phase]
    total.areaMs += this.#seen.areaMs
    total.calls += this.#seen.calls
    if (this.#phase === 'base') return this.#turn(nowMs, this.#again ?? this.#nextTrial(nowMs, surroundings))
    this.#judge(nowMs, this.#phase)
    this.#turn(nowMs, 'base')
  }

  #advance(nowMs: number): void {
    this.#seen.areaMs += this.#inFlight * Math.max(0, nowMs - this.#lastMs)
    this.#lastMs = nowMs
  }

  #learnTime(tookMs: number): void {
    if (this.#tookMs === 0) {
      this.#tookMs = tookMs
      return
    }
    const weight = Math.max(0.02, 1 / (4 * this.#base + 8))
    const deviation = Math.min(MAX_DEVIATION, tookMs / this.#tookMs - 1)
    this.#tookMs *= 1 + weight * deviation
    this.#variance += weight * (Math.min(MAX_DEVIATION, deviation * deviation) - this.#variance)
  }

  #callsNeeded(): number {
    if (this.#phase !== 'base') return Math.max(LEAST_CALLS, this.#limit)
    return Math.max(LEAST_CALLS, this.#base * (this.#calmMs === 0 ? ROUNDS_WHILE_MOVING : ROUNDS))
  }

  #nextTrial(nowMs: number, { isUrgent }: Surroundings): 'up' | 'down' {
    if (this.settled <= this.#range.minLimit) return 'up'
    if (this.settled >= this.#range.maxLimit) return 'down'
    const isSlow = this.#calmMs > 0 && this.#tookMs > SLOW * this.#calmMs
    const dueMs = isUrgent ? this.#nextDownMs + 2 * this.#downWaitMs : this.#nextDownMs
    return isSlow || nowMs >= dueMs ? 'down' : 'up'
  }

  #turn(nowMs: number, phase: Phase): void {
    const { minLimit, maxLimit } = this.#range
    const base = this.settled
    this.#phase = phase
    this.#isSettling = true
    this.#phaseMs = nowMs
    this.#seen = { areaMs: 0, calls: 0 }
    this.#peak = 0
    if (phase === 'base') this.#limit = base
    else if (phase === 'up') this.#limit = Math.min(maxLimit, Math.max(base + 1, Math.round(base * UP)))
    else this.#limit = Math.max(minLimit, Math.min(base - 1, Math.round(base * DOWN)))
  }

  #startAnew(nowMs: number): void {
    this.#forget()
    this.#turn(nowMs, 'base')
  }

  #forget(): void {
    this.#total = nothingSeen()
    this.#again = undefined
  }

  #judge(nowMs: number, trial: 'up' | 'down'): void {
    const [base, other] = [this.#total.base, this.#total[trial]]
    const step = Math.log(this.#limit / this.settled)
    if (step === 0 || base.calls === 0 || other.areaMs === 0 || base.areaMs === 0) return this.#forget()
    const slower = Math.log(other.areaMs / other.calls / (base.areaMs / base.calls))
    const elasticity = slower / step
    const error = Math.sqrt((this.#variance + 0.002) * (1 / base.calls + 1 / other.calls)) / Math.abs(step)
    const isClear = Math.abs(elasticity - KNEE) > SURE * error
    if (!isClear && error >= PRECISE) {
      this.#again = trial
      return
    }
    if (trial === 'up') this.#judgeMore(nowMs, elasticity < KNEE)
    else this.#judgeLess(nowMs, isClear && elasticity > KNEE, elasticity, slower)
    this.#forget()
  }

  #judgeMore(nowMs: number, isRoom: boolean): void {
    if (!isRoom) {
      this.#grown = 0
      if (this.#calmMs === 0) this.#calmMs = this.#tookMs
      return
    }
    this.#grown++
    const next = this.#grown >= 2 ? this.#limit : Math.max(this.settled + 1, this.#base * 1.15)
    this.#base = Math.min(this.#range.maxLimit, next)
    this.#nextDownMs = Math.max(this.#nextDownMs, nowMs + SOON_DOWN_MS)
    this.#calmMs = 0
  }

  #judgeLess(nowMs: number, isTooMuch: boolean, elasticity: number, slower: number): void {
    if (!isTooMuch) {
      this.#downWaitMs = Math.min(MAX_DOWN_MS, this.#downWaitMs * 2)
      this.#nextDownMs = nowMs + this.#downWaitMs
      this.#calmMs = this.#tookMs
      return
    }
    // All of it waited: take all of it away. A part: take that part.
    const next = elasticity > 0.85 ? this.#limit : this.#base * Math.exp(slower)
    this.#base = Math.max(this.#range.minLimit, Math.min(this.#base, next))
    this.#grown = 0
    this.#calmMs = 0
    this.#nextDownMs = nowMs
    this.#downWaitMs = SOON_DOWN_MS
  }
}

function nothingSeen(): Record<Phase, Seen> {
  return { base: { areaMs: 0, calls: 0 }, up: { areaMs: 0, calls: 0 }, down: { areaMs: 0, calls: 0 } }
}
