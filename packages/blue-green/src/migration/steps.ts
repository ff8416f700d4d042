import { runBounded } from '../bounded.js'
import type { Clock } from '../ports.js'
import { type NameOf, NotIsolatedError, toldOf } from './errors.js'

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
  /**
   * What the step failed with, told once, when it has failed: with its stack and its `cause`. Of the clean-up, once for each thing that is
   * left. It is for who runs it, since its message may have data and keys of the source in it where that of the report has not.
   */
  readonly error?: unknown
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
  readonly #nameOf: NameOf
  #isCut = false

  /** @param nameOf - how the reports call a row */
  constructor(
    clock: Clock,
    signal: AbortSignal,
    timeoutMs: number,
    tell: (progress: Progress) => void,
    nameOf: NameOf = (key) => key,
  ) {
    this.#clock = clock
    this.#signal = signal
    this.#timeoutMs = timeoutMs
    this.#tell = tell
    this.#nameOf = nameOf
  }

  /** What failed, failed, also when the rest was cancelled. */
  get outcome(): RunOutcome {
    if (this.reports.some(({ outcome }) => outcome === 'failed')) return 'FAILED'
    return this.#isCut ? 'CANCELLED' : 'PASSED'
  }

  /**
   * Runs one. It passes with the clause that it resolves with, and fails with what it throws.
   *
   * @returns whether it passed
   * @throws {@link NotIsolatedError} from the step, since nothing may follow on that
   */
  async run(name: string, step: (signal: AbortSignal, tick: Tick) => Promise<string>): Promise<boolean> {
    if (this.#signal.aborted) return this.#cut(name, 0)
    const beganMs = this.#clock.monotonic()
    let last: Progress = { step: name, done: 0, total: undefined }
    const tick: Tick = (done, total) => this.#tell((last = { step: name, done, total }))
    tick(0)
    const end = (outcome: StepOutcome, why: string): boolean => {
      this.reports.push({ name, outcome, why, tookMs: this.#clock.monotonic() - beganMs })
      return outcome === 'passed'
    }
    try {
      return end('passed', await runBounded((signal) => step(signal, tick), this.#timeoutMs, this.#clock, this.#signal))
    } catch (error) {
      if (error instanceof NotIsolatedError) throw error
      if (this.#signal.aborted) return this.#cut(name, this.#clock.monotonic() - beganMs)
      this.#tell({ ...last, error })
      return end('failed', toldOf(error, this.#nameOf))
    }
  }

  /** Runs the clean-up, also when all else was cancelled. It has a deadline of its own. @returns what is left, as clauses */
  async cleanUp(run: () => Promise<readonly Error[]>): Promise<readonly string[]> {
    const [name, beganMs] = ['clean-up', this.#clock.monotonic()]
    const begun: Progress = { step: name, done: 0, total: undefined }
    this.#tell(begun)
    const errors = await run()
    for (const error of errors) this.#tell({ ...begun, error })
    const left = errors.map(({ message }) => message)
    const [outcome, why] =
      left.length === 0 ? (['passed', 'nothing is left'] as const) : (['failed', left.join('; ')] as const)
    this.reports.push({ name, outcome, why, tookMs: this.#clock.monotonic() - beganMs })
    return left
  }

  /** Whether a step of this name has passed. */
  hasPassed(name: string): boolean {
    return this.reports.some((report) => report.name === name && report.outcome === 'passed')
  }

  /** @returns false */
  skip(name: string, why: string): boolean {
    this.reports.push({ name, outcome: 'skipped', why, tookMs: 0 })
    return false
  }

  #cut(name: string, tookMs: number): false {
    this.#isCut = true
    this.reports.push({ name, outcome: 'skipped', why: 'cancelled', tookMs })
    return false
  }
}
