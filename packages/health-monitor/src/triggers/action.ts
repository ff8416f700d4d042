import { describeFailure } from '../check-result.js'
import { afterRunning } from '../deadline.js'
import type { Clock } from '../ports.js'

/** Why an attempt did not go well. */
interface Failure {
  /** In one line. */
  readonly why: string
  /** It did not end in time: what it was to do may have been done, or may be done yet. */
  readonly isUnclear: boolean
}

/** Runs an action with a deadline, and never twice at once. */
export class Action {
  readonly #clock: Clock
  readonly #timeoutMs: number
  #controller: AbortController | undefined

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** @returns what went wrong; `undefined` when it went well. Never rejects. */
  run(act: (signal: AbortSignal) => unknown): Promise<Failure | undefined> {
    if (this.#controller !== undefined) {
      return Promise.resolve({ why: `an earlier attempt has not ended after ${this.#timeoutMs} ms`, isUnclear: true })
    }
    const controller = new AbortController()
    this.#controller = controller
    return new Promise((resolve) => {
      const cancel = afterRunning(this.#clock, this.#timeoutMs, () => {
        const why = `no end within ${this.#timeoutMs} ms`
        resolve({ why, isUnclear: true })
        controller.abort(new Error(why))
      })
      const end = (failure: Failure | undefined): void => {
        cancel()
        this.#controller = undefined
        resolve(failure)
      }
      // What it throws at once counts like what it rejects with.
      new Promise((settle) => settle(act(controller.signal))).then(
        () => end(undefined),
        (error: unknown) => end({ why: describeFailure(error), isUnclear: false }),
      )
      controller.signal.addEventListener('abort', cancel)
    })
  }

  /** Tells the one that is under way to end. */
  abort(): void {
    this.#controller?.abort(new Error('The trigger was taken off, or the monitor stopped'))
  }
}
