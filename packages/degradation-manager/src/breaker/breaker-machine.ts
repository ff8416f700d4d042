import type { BreakerSettings } from './breaker-options.js'
import { CountWindow, TimeWindow, type Window } from './windows.js'

/**
 * `closed`: everything passes. `open`: nothing does. `half-open`: a few trial calls do. `recovering`: more and more do.
 */
export type BreakerState = 'closed' | 'open' | 'half-open' | 'recovering'

/** The call is not to be made. */
export const REFUSED = -1
/** The call is to be made, and how it ends is not looked at. */
const UNCOUNTED = -2

/** A state that a person chose. */
export interface Hold {
  readonly state: 'open' | 'closed'
  readonly why: string
  /** Monotonic ms; `Infinity` for no end. */
  readonly untilMs: number
}

/** Up to so much longer by chance, as a share. */
const JITTER = 0.2
/** After so many doublings the ramp is over, whatever the demand. */
const MAX_DOUBLINGS = 10

/**
 * All that a circuit breaker decides. Pure: time and chance come from the settings' functions, and what happened is told to
 * one function. Whoever enters gets a permit, and how the call ended counts only while that permit's generation lasts: a
 * call that was begun before the last change says nothing about now.
 */
export class BreakerMachine {
  state: BreakerState = 'closed'
  hold: Hold | undefined
  /** Whether there is nothing to be looked at when a call comes: closed, and nobody holds it. */
  isQuiet = true

  /** The permit of those who enter while it is quiet. */
  generation = 0

  readonly window: Window
  readonly #settings: BreakerSettings
  readonly #told: (from: BreakerState, to: BreakerState, why: string) => void
  #openUntilMs = 0
  /** How long it was open last, which is also how long it waits for what it then lets through. */
  #patienceMs = 0
  /** How often in a row it has opened without being closed in between. */
  #opens = 0

  /** Trial calls, or those of the ramp, that are under way. */
  #inFlight = 0
  #succeeded = 0
  #lastBegunMs = 0

  /** How many at once the ramp lets through. */
  #cap = 0
  #capHit = false
  #hasEnded = false
  #doublings = 0
  #stepEndsMs = 0

  constructor(settings: BreakerSettings, told: (from: BreakerState, to: BreakerState, why: string) => void) {
    this.#settings = settings
    this.#told = told
    const { windowCalls, windowMs } = settings
    this.window = windowMs === undefined ? new CountWindow(windowCalls) : new TimeWindow(windowMs)
  }

  /** A permit for one call; its end must be told to {@link BreakerMachine.exit}. */
  enter(nowMs: number): number {
    if (this.hold !== undefined && nowMs >= this.hold.untilMs) {
      this.release('the time for which it was held by hand is over')
    }
    // Whoever is told of a change may hold it by hand.
    if (this.hold === undefined && this.state === 'open' && nowMs >= this.#openUntilMs) this.#tryAgain()
    if (this.hold === undefined && this.state === 'recovering') this.#climb(nowMs)
    if (this.hold !== undefined) return this.hold.state === 'open' ? REFUSED : UNCOUNTED
    switch (this.state) {
      case 'closed':
        return this.generation
      case 'open':
        return REFUSED
      case 'half-open':
        return this.#enterTrial(nowMs)
      case 'recovering':
        return this.#enterRamp(nowMs)
    }
  }

  /** A call has ended. `isFailed` undefined: that says nothing about what was called. */
  exit(permit: number, isFailed: boolean | undefined, isSlow: boolean, nowMs: number): void {
    if (permit !== this.generation) return
    this.#inFlight--
    if (isFailed === undefined) return
    this.#hasEnded = true
    if (this.state === 'half-open') this.#judgeTrial(isFailed, isSlow, nowMs)
    else this.#judge(isFailed, isSlow, nowMs)
  }

  /** How long until it tries again, in ms; undefined when a person holds it open without an end. */
  retryAfterMs(nowMs: number): number | undefined {
    if (this.hold?.state === 'open') return this.hold.untilMs === Infinity ? undefined : this.hold.untilMs - nowMs
    if (this.state === 'open') return Math.max(1, this.#openUntilMs - nowMs)
    return this.#settings.rampMs
  }

  /** A person decides. What was under way is not counted any more. */
  holdAs(hold: Hold): void {
    this.hold = hold
    this.generation++
    this.isQuiet = false
  }

  /** Decides by itself again, closed. */
  release(why: string): void {
    if (this.hold === undefined) return
    const from = this.hold.state
    this.hold = undefined
    this.state = from
    this.#become('closed', why)
  }

  #become(to: BreakerState, why: string): void {
    const from = this.state
    this.state = to
    this.generation++
    this.#inFlight = 0
    this.#succeeded = 0
    this.window.clear()
    if (to === 'closed') this.#opens = 0
    this.isQuiet = to === 'closed'
    if (from !== to) this.#told(from, to, why)
  }

  #open(nowMs: number, why: string): void {
    const { openMs, maxOpenMs, random } = this.#settings
    this.#patienceMs = Math.min(maxOpenMs, openMs * 2 ** Math.min(this.#opens, 30))
    const forMs = this.#patienceMs * (1 + JITTER * random())
    this.#opens++
    this.#openUntilMs = nowMs + forMs
    this.#become('open', `${why}; it tries again in ${Math.ceil(forMs)} ms`)
  }

  #tryAgain(): void {
    this.#become('half-open', `it was open for long enough; ${this.#settings.trialCalls} calls are tried`)
  }

  #enterTrial(nowMs: number): number {
    if (this.#inFlight + this.#succeeded < this.#settings.trialCalls) return this.#begin(nowMs)
    this.#openWhenStuck(nowMs, 'trial calls')
    return REFUSED
  }

  #begin(nowMs: number): number {
    this.#inFlight++
    this.#lastBegunMs = nowMs
    return this.generation
  }

  /** Calls that never end would keep it half-open, or on its way back, for ever. */
  #openWhenStuck(nowMs: number, what: string): void {
    const patienceMs = this.#patienceMs
    if (nowMs - this.#lastBegunMs >= patienceMs) this.#open(nowMs, `${what} did not end within ${patienceMs} ms`)
  }

  #judgeTrial(isFailed: boolean, isSlow: boolean, nowMs: number): void {
    if (isFailed || isSlow) return this.#open(nowMs, `a trial call ${isFailed ? 'failed' : 'was slow'}`)
    this.#succeeded++
    const { trialCalls } = this.#settings
    if (this.#succeeded < trialCalls) return
    this.#cap = 2 * trialCalls
    this.#doublings = 0
    this.#startStep(nowMs)
    this.#become('recovering', `${trialCalls} trial calls went well; up to ${this.#cap} at once are let through`)
  }

  #enterRamp(nowMs: number): number {
    if (this.#inFlight < this.#cap) return this.#begin(nowMs)
    this.#capHit = true
    this.#openWhenStuck(nowMs, 'calls')
    return REFUSED
  }

  /**
   * The ramp is over when a whole step went by in which nobody was refused. A step in which calls went on and none of them
   * ended says nothing.
   */
  #climb(nowMs: number): void {
    if (nowMs < this.#stepEndsMs || (!this.#hasEnded && this.#inFlight > 0)) return
    if (!this.#capHit || this.#doublings >= MAX_DOUBLINGS) {
      this.#become('closed', 'all that was asked for went well')
      return
    }
    this.#doublings++
    this.#cap *= 2
    this.#startStep(nowMs)
  }

  #startStep(nowMs: number): void {
    this.#capHit = false
    this.#hasEnded = false
    this.#stepEndsMs = nowMs + this.#settings.rampMs
  }

  #judge(isFailed: boolean, isSlow: boolean, nowMs: number): void {
    const { window } = this
    window.record(isFailed, isSlow, nowMs)
    if (!isFailed && !isSlow) return
    window.forget(nowMs)
    const { minCalls, failureRatio, slowRatio, slowCallMs, trialCalls } = this.#settings
    const { calls, failures, slow } = window
    // While it recovers, little is enough to see that it was too early.
    if (calls < (this.state === 'recovering' ? Math.min(minCalls, 2 * trialCalls) : minCalls)) return
    if (failures >= failureRatio * calls) this.#open(nowMs, `${failures} of ${calls} calls failed`)
    else if (slow > 0 && slow >= slowRatio * calls) {
      this.#open(nowMs, `${slow} of ${calls} calls took ${slowCallMs} ms or longer`)
    }
  }
}
