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
  /** How often in a row it has opened without being closed in between. */
  #opens = 0

  /** Trial calls, or those of the ramp, that are under way. */
  #inFlight = 0
  #succeeded = 0
  #lastTrialMs = 0

  /** How many at once the ramp lets through. */
  #cap = 0
  #capHit = false
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
    const { hold } = this
    if (hold !== undefined) {
      if (nowMs < hold.untilMs) return hold.state === 'open' ? REFUSED : UNCOUNTED
      this.release('the time for which it was held by hand is over')
    }
    if (this.state === 'open' && nowMs >= this.#openUntilMs) this.#tryAgain()
    if (this.state === 'recovering') this.#climb(nowMs)
    switch (this.state) {
      case 'closed':
        return this.generation
      case 'open':
        return REFUSED
      case 'half-open':
        return this.#enterTrial(nowMs)
      case 'recovering':
        return this.#enterRamp()
    }
  }

  /** A call has ended. `isFailed` undefined: that says nothing about what was called. */
  exit(permit: number, isFailed: boolean | undefined, isSlow: boolean, nowMs: number): void {
    if (permit !== this.generation) return
    this.#inFlight--
    if (isFailed === undefined) return
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
    const forMs = Math.min(maxOpenMs, openMs * 2 ** Math.min(this.#opens, 30)) * (1 + JITTER * random())
    this.#opens++
    this.#openUntilMs = nowMs + forMs
    this.#become('open', `${why}; it tries again in ${Math.ceil(forMs)} ms`)
  }

  #tryAgain(): void {
    this.#become('half-open', `it was open for long enough; ${this.#settings.trialCalls} calls are tried`)
  }

  #enterTrial(nowMs: number): number {
    if (this.#inFlight + this.#succeeded < this.#settings.trialCalls) {
      this.#inFlight++
      this.#lastTrialMs = nowMs
      return this.generation
    }
    // A trial that never ends would keep it half-open for ever.
    if (nowMs - this.#lastTrialMs >= this.#settings.openMs) {
      this.#open(nowMs, `trial calls did not end within ${this.#settings.openMs} ms`)
    }
    return REFUSED
  }

  #judgeTrial(isFailed: boolean, isSlow: boolean, nowMs: number): void {
    if (isFailed || isSlow) return this.#open(nowMs, `a trial call ${isFailed ? 'failed' : 'was slow'}`)
    this.#succeeded++
    const { trialCalls, rampMs } = this.#settings
    if (this.#succeeded < trialCalls) return
    this.#cap = 2 * trialCalls
    this.#capHit = false
    this.#doublings = 0
    this.#stepEndsMs = nowMs + rampMs
    this.#become('recovering', `${trialCalls} trial calls went well; up to ${this.#cap} at once are let through`)
  }

  #enterRamp(): number {
    if (this.#inFlight >= this.#cap) {
      this.#capHit = true
      return REFUSED
    }
    this.#inFlight++
    return this.generation
  }

  /** The ramp is over when a whole step went by in which nobody was refused. */
  #climb(nowMs: number): void {
    if (nowMs < this.#stepEndsMs) return
    if (!this.#capHit || this.#doublings >= MAX_DOUBLINGS) {
      this.#become('closed', 'all that was asked for went well')
      return
    }
    this.#doublings++
    this.#cap *= 2
    this.#capHit = false
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
