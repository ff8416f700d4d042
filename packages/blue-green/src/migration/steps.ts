import { messageOf, runBounded } from '../bounded.js'
import type { Clock } from '../ports.js'

/** What became of a step. `skipped` says why in `why`, and is no failure. */
export type StepOutcome = 'passed' | 'failed' | 'skipped'

/** One step of a validation or a rehearsal. */
export interface StepReport {
  /** Which. */
  readonly name: string
  /** What became of it. */
  readonly outcome: StepOutcome
  /** What was found, as a clause. */
  readonly why: string
  /** How long it took, in ms. */
  readonly tookMs: number
}

/** How far it is. */
export interface Progress {
  /** The step that is under way. */
  readonly step: string
  /** How much of it is done. */
  readonly done: number
  /** Of how much; `undefined` where that is not known. */
  readonly total: number | undefined
}

/** How the whole ended. */
export type RunOutcome = 'PASSED' | 'FAILED' | 'CANCELLED'

/** Tells how far a step is. */
export type Tick = (done: number, total?: number) => void

/** Runs steps one after the other, each with its deadline, and remembers what became of them. */
export class Steps {
  readonly reports: StepReport[] = []
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #timeoutMs: number
  readonly #tell: (progress: Progress) => void

  constructor(clock: Clock, signal: AbortSignal, timeoutMs: number, tell: (progress: Progress) => void) {
    this.#clock = clock
    this.#signal = signal
    this.#timeoutMs = timeoutMs
    this.#tell = tell
  }

  get outcome(): RunOutcome {
    if (this.#signal.aborted) return 'CANCELLED'
    return this.reports.some(({ outcome }) => outcome === 'failed') ? 'FAILED' : 'PASSED'
  }

  /**
   * Runs one. It passes with the clause that it resolves with, and fails with what it throws.
   *
   * @returns whether it passed
   */
  async run(name: string, step: (signal: AbortSignal, tick: Tick) => Promise<string>): Promise<boolean> {
    if (this.#signal.aborted) return this.skip(name, 'cancelled')
    const beganMs = this.#clock.monotonic()
    const tick: Tick = (done, total) => this.#tell({ step: name, done, total })
    tick(0)
    const end = (outcome: StepOutcome, why: string): boolean => {
      this.reports.push({ name, outcome, why, tookMs: this.#clock.monotonic() - beganMs })
      return outcome === 'passed'
    }
    try {
      return end('passed', await runBounded((signal) => step(signal, tick), this.#timeoutMs, this.#clock, this.#signal))
    } catch (error) {
      return this.#signal.aborted ? end('skipped', 'cancelled') : end('failed', messageOf(error))
    }
  }

  /** @returns false */
  skip(name: string, why: string): boolean {
    this.reports.push({ name, outcome: 'skipped', why, tookMs: 0 })
    return false
  }
}
