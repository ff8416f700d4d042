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

/** What its action has done to the world, and nobody has undone. */
type Effect = 'none' | 'done' | 'given up' | 'half undone'

/**
 * Acts once when a status is reached, and once when that is over. An action never runs while it runs already, and never
 * again before what called for it was over: so one that causes what it is called for runs once.
 */
export class Trigger implements TriggerHandle {
  readonly name: string
  readonly #options: ResolvedTrigger
  readonly #clock: Clock
  readonly #look: () => Seen
  readonly #tell: (news: TriggerNews) => void
  readonly #forget: () => void
  readonly #action: Action
  /** When its action ran in the last hour, monotonic ms. */
  #runs: number[] = []
  #state: TriggerState = 'waiting'
  #effect: Effect = 'none'
  /** What it is about to do, or is doing. */
  #intent: 'run' | 'whenOver' | undefined
  #isActing = false
  #cancel = (): void => {}
  /** Of what was begun before it was suspended, nothing counts. */
  #life = 0

  constructor(
    options: ResolvedTrigger,
    clock: Clock,
    look: () => Seen,
    tell: (news: TriggerNews) => void,
    forget: () => void,
  ) {
    this.name = oneLine(options.name)
    this.#options = options
    this.#clock = clock
    this.#look = look
    this.#tell = tell
    this.#forget = forget
    this.#action = new Action(clock, options.timeoutMs)
  }

  get state(): TriggerState {
    return this.#state
  }

  /** The status may have changed. */
  follow(): void {
    // Whatever happens while it acts is looked at when it has acted.
    if (this.#isActing) return
    const { status } = this.#look()
    if (status === 'unknown') return
    const isSo = status === 'down' || (status === 'degraded' && this.#options.is === 'degraded')
    const intent = this.#wanted(isSo)
    if (intent === this.#intent) return
    this.#cancel()
    this.#intent = intent
    // It was over before the action succeeded, or before there was room for it.
    if (intent === undefined && (this.#state === 'failing' || this.#state === 'held back')) this.#state = 'waiting'
    if (intent === undefined) return
    this.#wait(intent === 'run' ? this.#options.forMs : this.#options.overForMs, () => this.#begin(intent))
  }

  /** Nothing is done until it is to follow again. */
  suspend(): void {
    this.#life++
    this.#cancel()
    this.#action.abort()
    this.#intent = undefined
    this.#isActing = false
  }

  off(): void {
    this.#forget()
    this.suspend()
  }

  #wanted(isSo: boolean): 'run' | 'whenOver' | undefined {
    if (isSo) return this.#effect === 'none' || this.#effect === 'half undone' ? 'run' : undefined
    return this.#effect === 'none' ? undefined : 'whenOver'
  }

  #wait(ms: number, then: () => void): void {
    if (ms > 0) this.#cancel = this.#clock.after(ms, then)
    else then()
  }

  #begin(intent: 'run' | 'whenOver'): void {
    if (intent === 'whenOver') {
      const isToUndo = this.#options.whenOver !== undefined && this.#effect !== 'given up'
      if (!isToUndo) return this.#settle('none', 'waiting')
      this.#effect = 'half undone'
      return void this.#attempt(intent, 1)
    }
    const nowMs = this.#clock.monotonic()
    this.#runs = this.#runs.filter((ranMs) => nowMs - ranMs < HOUR_MS)
    const { maxRunsPerHour } = this.#options
    if (this.#runs.length < maxRunsPerHour) {
      this.#runs.push(nowMs)
      return void this.#attempt(intent, 1)
    }
    const { status, reason } = this.#look()
    if (this.#state !== 'held back') {
      const why = `${this.#options.component} is ${status} again, after ${maxRunsPerHour} runs within an hour: ${reason}`
      this.#become('held back', why, `Trigger "${this.name}" is held back: ${why}`)
    }
    this.#wait(this.#runs[0]! + HOUR_MS - nowMs, () => this.#begin(intent))
  }

  async #attempt(intent: 'run' | 'whenOver', attempt: number): Promise<void> {
    const life = this.#life
    const { status, reason: why } = this.#look()
    this.#isActing = true
    const problem = await this.#action.run((signal) => this.#options[intent]?.({ status, why, signal }))
    if (life !== this.#life) return
    this.#isActing = false
    const what = intent === 'run' ? 'its action' : 'undoing its action'
    if (problem === undefined) {
      const { component } = this.#options
      const done = intent === 'run' ? 'ran its action' : 'undid its action'
      this.#settle(intent === 'run' ? 'done' : 'none', intent === 'run' ? 'done' : 'waiting', () => [
        why,
        `Trigger "${this.name}" ${done}: ${component} is ${status} (${why})`,
      ])
    } else if (attempt < this.#options.attempts) {
      const delayMs = Math.min(MAX_RETRY_MS, this.#options.retryMs * 2 ** (attempt - 1))
      const again = `is tried again in ${delayMs / 1_000} s`
      this.#cancel = this.#clock.after(delayMs, () => void this.#attempt(intent, attempt + 1))
      if (attempt === 1) {
        this.#become('failing', problem, `Trigger "${this.name}": ${what} failed and ${again}: ${problem}`)
      }
      this.follow()
    } else {
      this.#settle(intent === 'run' ? 'given up' : 'none', 'failed', () => [
        problem,
        `Trigger "${this.name}": ${what} was given up after ${attempt} attempts: ${problem}`,
      ])
    }
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
    this.#tell({ what: this.name, from, to, at: this.#clock.now(), why, severity, message: sentence(oneLine(text)) })
  }
}
