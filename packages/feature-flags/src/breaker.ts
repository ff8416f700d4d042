import type { Limits } from './options.js'

/** The window is counted in as many slices, and moves on by one of them. */
const slots = 10

/** A call of the new path that is under way. */
export interface Attempt {
  readonly isTrial: boolean
  /** Results of calls that began in an earlier period say nothing about this one. */
  readonly period: number
}

/**
 * Counts the failures of one flag's new path and says when it falls back, when it is tried again and when it is well
 * (a circuit breaker with time-sliced counts). Knows no clock: every method is told the elapsed milliseconds.
 *
 * There is no timer. Whether a trial is due is decided when the next call comes, and a trial that begins counts as
 * failed until it succeeds, so one that never settles blocks nothing.
 */
export class Breaker {
  readonly #limits: Limits
  readonly #calls = new Array<number>(slots).fill(0)
  readonly #failures = new Array<number>(slots).fill(0)
  #slice = 0
  #period = 0
  #isBack = false
  #retryAtMs = 0
  #delayMs = 0
  #trials = 0
  #recoveredAtMs = -Infinity

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** When the next trial may begin, in the same elapsed milliseconds; `undefined` while the flag has not fallen back. */
  get retryAtMs(): number | undefined {
    return this.#isBack ? this.#retryAtMs : undefined
  }

  /** A call of the new path begins. */
  begin(): Attempt {
    return { isTrial: false, period: this.#period }
  }

  /** The one call begins that tries a fallen-back flag again. */
  beginTrial(nowMs: number): Attempt {
    this.#delayMs = Math.min(this.#delayMs * 2, this.#limits.maxRetryDelayMs)
    this.#retryAtMs = nowMs + this.#delayMs
    this.#trials += 1
    return { isTrial: true, period: this.#period }
  }

  /** @returns whether this was the trial that brings the flag back */
  succeeded(attempt: Attempt, nowMs: number): boolean {
    if (!this.#counts(attempt)) return false
    if (attempt.isTrial) {
      this.reset()
      this.#recoveredAtMs = nowMs
      return true
    }
    this.#slideTo(nowMs)
    this.#add(this.#calls)
    return false
  }

  /** @returns what made the flag fall back, if this failure did */
  failed(attempt: Attempt, nowMs: number): { calls: number; failures: number } | undefined {
    if (!this.#counts(attempt)) return undefined
    if (attempt.isTrial) {
      this.#retryAtMs = nowMs + this.#delayMs
      return undefined
    }
    this.#slideTo(nowMs)
    this.#add(this.#calls)
    this.#add(this.#failures)
    const calls = sum(this.#calls)
    const failures = sum(this.#failures)
    if (failures < this.#limits.failureThreshold || failures < calls * this.#limits.failureRatio) return undefined
    this.#fallBack(nowMs)
    return { calls, failures }
  }

  /**
   * Falls back because others did. With another number of trials than before, one of them tries right now: whoever comes
   * after it waits.
   */
  hold(trials: number, nowMs: number): void {
    if (this.#isBack && trials <= this.#trials) return
    if (!this.#isBack) this.#fallBack(nowMs)
    this.#trials = trials
    this.#delayMs = Math.min(this.#limits.retryDelayMs * 2 ** trials, this.#limits.maxRetryDelayMs)
    this.#retryAtMs = nowMs + this.#delayMs
  }

  /** Is well again because others found it so. */
  letGo(): void {
    if (this.#isBack) this.reset()
  }

  /** Starts afresh, as if nothing had ever failed. Results of calls that are under way no longer count. */
  reset(): void {
    this.#period++
    this.#isBack = false
    this.#trials = 0
    this.#recoveredAtMs = -Infinity
    this.#calls.fill(0)
    this.#failures.fill(0)
  }

  /** A call that began before a turn says nothing about the time after it; nor does one whose caller held an old answer. */
  #counts(attempt: Attempt): boolean {
    return attempt.period === this.#period && attempt.isTrial === this.#isBack
  }

  #fallBack(nowMs: number): void {
    // After a relapse the delay goes on from where it was, or a flag that always fails soon after its trial would be
    // tried at the first pace for ever.
    const isRelapse = nowMs - this.#recoveredAtMs < this.#delayMs
    this.reset()
    this.#isBack = true
    if (!isRelapse) this.#delayMs = this.#limits.retryDelayMs
    this.#retryAtMs = nowMs + this.#delayMs
  }

  #slideTo(nowMs: number): void {
    const slice = Math.floor(nowMs / (this.#limits.failureWindowMs / slots))
    const passed = Math.min(slice - this.#slice, slots)
    for (let i = 1; i <= passed; i++) {
      this.#calls[(this.#slice + i) % slots] = 0
      this.#failures[(this.#slice + i) % slots] = 0
    }
    this.#slice = slice
  }

  #add(counts: number[]): void {
    const slot = this.#slice % slots
    counts[slot] = (counts[slot] ?? 0) + 1
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}
