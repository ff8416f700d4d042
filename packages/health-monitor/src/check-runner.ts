import { type CheckResult, type HealthCheck, runCheck } from './check-result.js'
import { afterRunning } from './deadline.js'
import { CheckAbandonedError, CheckTimeoutError } from './errors.js'
import type { Clock } from './ports.js'

interface Run {
  readonly verdict: Promise<CheckResult>
  /** Only the first judgement counts: whatever the check says later is too late. */
  readonly judge: (result: CheckResult) => void
  readonly abort: (reason: Error) => void
  isJudged: boolean
  /** Nothing can be held against it: it was given up before its deadline. */
  isAbandoned: boolean
  /** Resolves when the check itself has ended, whatever became of the run. */
  ended: Promise<void>
}

/** Runs one check, never twice at once, and gives every run a verdict by its deadline. */
export class CheckRunner {
  readonly #name: string
  readonly #check: HealthCheck
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #onVerdict: (result: CheckResult, tookMs: number) => void
  #run: Run | undefined

  constructor(
    name: string,
    { check, timeoutMs }: { check: HealthCheck; timeoutMs: number },
    clock: Clock,
    onVerdict: (result: CheckResult, tookMs: number) => void,
  ) {
    this.#name = name
    this.#check = check
    this.#timeoutMs = timeoutMs
    this.#clock = clock
    this.#onVerdict = onVerdict
  }

  /** A run is under way that has no verdict yet. */
  get isRunning(): boolean {
    return this.#run?.isJudged === false
  }

  /** A run missed its deadline and has not ended. Until it does, no other begins: hung checks must not pile up. */
  get isHung(): boolean {
    return this.#run?.isJudged === true && !this.#run.isAbandoned
  }

  /**
   * Runs the check, or joins the run that has not ended yet. One that was abandoned is not joined but waited for, at the
   * expense of the deadline. Never rejects.
   */
  run(): Promise<CheckResult> {
    const before = this.#run
    if (before?.isAbandoned === false) return before.verdict
    const controller = new AbortController()
    const startedMs = this.#clock.monotonic()
    let resolve!: (result: CheckResult) => void
    const run: Run = {
      verdict: new Promise((settle) => (resolve = settle)),
      judge: (result) => {
        if (run.isJudged) return
        run.isJudged = true
        cancelDeadline()
        resolve(result)
        this.#onVerdict(result, this.#clock.monotonic() - startedMs)
      },
      abort: (reason) => controller.abort(reason),
      isJudged: false,
      isAbandoned: false,
      ended: Promise.resolve(),
    }
    // Before the check is called: it may ask for itself.
    this.#run = run
    const cancelDeadline = afterRunning(this.#clock, this.#timeoutMs, () => {
      const error = new CheckTimeoutError(this.#name, this.#timeoutMs)
      run.judge({ status: 'down', reason: error.message })
      run.abort(error)
    })
    const look = async (): Promise<void> => {
      if (before !== undefined) await before.ended
      const result = run.isJudged ? undefined : await runCheck(this.#check, controller.signal)
      if (this.#run === run) this.#run = undefined
      if (result !== undefined) run.judge(result)
    }
    run.ended = look()
    return run.verdict
  }

  /** Gives up the run that is under way: it says nothing about the component. */
  abandon(): void {
    const run = this.#run
    if (run === undefined || run.isJudged) return
    run.isAbandoned = true
    const error = new CheckAbandonedError(this.#name)
    run.judge({ status: 'unknown', reason: error.message })
    run.abort(error)
  }
}
