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

  /** A run was given up and has not ended. Until it does, no other begins: hung checks must not pile up. */
  get isHung(): boolean {
    return this.#run?.isJudged === true
  }

  /** Runs the check, or joins the run that has not ended yet. Never rejects. */
  run(): Promise<CheckResult> {
    if (this.#run !== undefined) return this.#run.verdict
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
    }
    // Before the check is called: it may ask for itself.
    this.#run = run
    const cancelDeadline = afterRunning(this.#clock, this.#timeoutMs, () => {
      const error = new CheckTimeoutError(this.#name, this.#timeoutMs)
      run.judge({ status: 'down', reason: error.message })
      run.abort(error)
    })
    void runCheck(this.#check, controller.signal).then((result) => {
      this.#run = undefined
      run.judge(result)
    })
    return run.verdict
  }

  /** Gives up the run that is under way: it says nothing about the component. */
  abandon(): void {
    const run = this.#run
    if (run === undefined || run.isJudged) return
    const error = new CheckAbandonedError(this.#name)
    run.judge({ status: 'unknown', reason: error.message })
    run.abort(error)
  }
}
