import { type HealthStatus, oneLine } from '../check-result.js'
import { sentence } from '../events.js'
import type { Clock } from '../ports.js'
import { Action } from './action.js'
import type { TriggerNews, TriggerState } from './trigger-news.js'
import type { ResolvedTrigger } from './trigger-options.js'

/** A trigger that has been set. */
export interface TriggerHandle {
  /** What it is called in news. */
  readonly name: string
  /** How it is. */
  readonly state: TriggerState
  /** Takes it off: nothing is done any more, and what is under way is told to end. */
  off(): void
}

const HOUR_MS = 3_600_000
const MAX_RETRY_MS = 60_000

type Seen = { readonly status: HealthStatus; readonly reason: string }

/** What a trigger lives in. */
interface TriggerHost {
  /** How its component is. */
  look(): Seen
  /** Takes its news. */
  tell(news: TriggerNews): void
  /** It has been taken off. */
  forget(): void
  /** Every trigger that is set, this one too. */
  readonly all: Iterable<Trigger>
}

/** What its action has done to the world, and nobody has undone; `unclear`: perhaps, or half. */
type Effect = 'none' | 'done' | 'unclear'

/**
 * Acts once when a status is reached, and once when that is over. An action never runs while it runs already, and never
 * again before what called for it was over: so one that causes what it is called for runs once.
 */
export class Trigger implements TriggerHandle {
  readonly name: string
  readonly #options: ResolvedTrigger
  readonly #clock: Clock
  readonly #host: TriggerHost
  readonly #action: Action
  /** When its action ran in the last hour, monotonic ms. */
  #runs: number[] = []
  #state: TriggerState = 'waiting'
  #effect: Effect = 'none'
  /** Nothing more is done before it was over. */
  #isGivenUp = false
  /** What it is about to do, or is doing. */
  #intent: 'run' | 'whenOver' | undefined
  /** How its component was when that was last known. */
  #seen: Seen = { status: 'unknown', reason: '' }
  #isActing = false
  #cancel = (): void => {}
  /** Of what was begun before it was suspended, nothing counts. */
  #life = 0

  constructor(options: ResolvedTrigger, clock: Clock, host: TriggerHost) {
    this.name = oneLine(options.name)
    this.#options = options
    this.#clock = clock
    this.#host = host
    this.#action = new Action(clock, options.timeoutMs)
  }

  get state(): TriggerState {
    return this.#state
  }

  /** The status may have changed. */
  follow(): void {
    // Whatever happens while it acts is looked at when it has acted.
    if (this.#isActing) return
    if (!this.#isKnown()) return
    const { status } = this.#seen
    const isSo = status === 'down' || (status === 'degraded' && this.#options.is === 'degraded')
    const intent = this.#wanted(isSo)
    if (intent === this.#intent) return
    this.#cancel()
    this.#intent = intent
    // It was over before the action succeeded, or before there was room for it.
    if (intent === undefined) return this.#calm()
    this.#wait(intent === 'run' ? this.#options.forMs : this.#options.overForMs, () => this.#begin(intent))
  }

  /** Nothing is done until it is to follow again. */
  suspend(): void {
    this.#life++
    this.#cancel()
    this.#action.abort()
    this.#intent = undefined
    this.#isActing = false
    this.#calm()
  }

  off(): void {
    this.#host.forget()
    this.suspend()
  }

  /** How often its action ran in the hour before `nowMs`. */
  runsBefore(nowMs: number): number {
    return this.#runs.filter((ranMs) => nowMs - ranMs < HOUR_MS).length
  }

  #isKnown(): boolean {
    const seen = this.#host.look()
    if (seen.status === 'unknown') return false
    this.#seen = seen
    return true
  }

  #wanted(isSo: boolean): 'run' | 'whenOver' | undefined {
    if (isSo) return this.#effect === 'done' || this.#isGivenUp ? undefined : 'run'
    return this.#effect === 'none' && !this.#isGivenUp ? undefined : 'whenOver'
  }

  #calm(): void {
    if (this.#state === 'failing' || this.#state === 'held back') this.#state = 'waiting'
  }

  #wait(ms: number, then: () => void): void {
    if (ms > 0) this.#cancel = this.#clock.after(ms, then)
    else then()
  }

  #begin(intent: 'run' | 'whenOver'): void {
    if (intent === 'run') return this.#beginRun()
    this.#isGivenUp = false
    if (this.#options.whenOver === undefined || this.#effect === 'none') return this.#settle('none', 'waiting')
    void this.#attempt(intent, 1)
  }

  /** Not before its time: two triggers that undo one another must not do so as fast as they can. */
  #beginRun(): void {
    const nowMs = this.#clock.monotonic()
    this.#runs = this.#runs.filter((ranMs) => nowMs - ranMs < HOUR_MS)
    const { maxRunsPerHour } = this.#options
    const lastMs = this.#runs.at(-1)
    let waitMs = lastMs === undefined ? 0 : lastMs + this.#backOffMs(this.#runs.length) - nowMs
    if (this.#runs.length >= maxRunsPerHour) {
      waitMs = this.#runs[0]! + HOUR_MS - nowMs
      this.#holdBack(nowMs)
    }
    if (waitMs > 0) return this.#wait(waitMs, () => this.#beginRun())
    this.#runs.push(nowMs)
    void this.#attempt('run', 1)
  }

  #holdBack(nowMs: number): void {
    if (this.#state === 'held back') return
    const { component, maxRunsPerHour } = this.#options
    const { status, reason } = this.#seen
    const others = [...this.#host.all]
      .map((other) => ({ other, runs: other.runsBefore(nowMs) }))
      .filter(({ other, runs }) => other !== this && runs > 0)
      .map(({ other, runs }) => `; meanwhile "${other.name}" ran ${runs} times`)
    const why = `${component} is ${status} again, after ${maxRunsPerHour} runs within an hour${others.join('')}: ${reason}`
    this.#become('held back', why, `Trigger "${this.name}" is held back: ${why}`)
  }

  /** How long to wait after so many tries, or runs. */
  #backOffMs(tries: number): number {
    return Math.min(MAX_RETRY_MS, this.#options.retryMs * 2 ** (tries - 1))
  }

  async #attempt(intent: 'run' | 'whenOver', attempt: number): Promise<void> {
    const life = this.#life
    this.#isKnown()
    const { status, reason: why } = this.#seen
    const before = this.#effect
    this.#effect = 'unclear'
    this.#isActing = true
    const failure = await this.#action.run((signal) => this.#options[intent]?.({ status, why, signal }))
    if (life !== this.#life) return
    this.#isActing = false
    const what = intent === 'run' ? 'its action' : 'undoing its action'
    if (failure === undefined) {
      const { component } = this.#options
      const done = intent === 'run' ? 'ran its action' : 'undid its action'
      return this.#settle(intent === 'run' ? 'done' : 'none', intent === 'run' ? 'done' : 'waiting', () => [
        why,
        `Trigger "${this.name}" ${done}: ${component} is ${status} (${why})`,
      ])
    }
    const { why: problem, isUnclear } = failure
    // What failed at once has done nothing; of what has begun to be undone, nobody knows.
    if (intent === 'run' && !isUnclear) this.#effect = before
    if (attempt < this.#options.attempts) {
      const delayMs = this.#backOffMs(attempt)
      const again = `is tried again in ${delayMs / 1_000} s`
      this.#cancel = this.#clock.after(delayMs, () => void this.#attempt(intent, attempt + 1))
      if (attempt === 1) {
        this.#become('failing', problem, `Trigger "${this.name}": ${what} failed and ${again}: ${problem}`)
      }
      return this.follow()
    }
    this.#isGivenUp = intent === 'run'
    this.#settle(intent === 'run' ? this.#effect : 'none', 'failed', () => [
      problem,
      `Trigger "${this.name}": ${what} was given up after ${attempt} attempts: ${problem}`,
    ])
  }

  #settle(effect: Effect, state: TriggerState, news?: () => [why: string, message: string]): void {
    this.#effect = effect
    this.#intent = undefined
    if (news === undefined) this.#state = state
    else this.#become(state, ...news())
    this.follow()
  }

  #become(to: TriggerState, why: string, text: string): void {
    const from = this.#state
    this.#state = to
    const severity = to === 'failed' ? 'CRITICAL' : to === 'done' || to === 'waiting' ? 'INFO' : 'WARNING'
    this.#host.tell({
      what: this.name,
      from,
      to,
      at: this.#clock.now(),
      why,
      severity,
      message: sentence(oneLine(text)),
    })
  }
}
