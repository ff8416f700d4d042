import { describeFailure } from '../check-result.js'
import { afterRunning } from '../deadline.js'
import type { Clock } from '../ports.js'

/** Runs an action with a deadline, and never twice at once. */
export class Action {
  readonly #clock: Clock
  readonly #timeoutMs: number
  #controller: AbortController | undefined

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** @returns what went wrong, in one line; `undefined` when it went well. Never rejects. */
  run(act: (signal: AbortSignal) => unknown): Promise<string | undefined> {
    if (this.#controller !== undefined) {
      return Promise.resolve(`an earlier attempt has not ended after ${this.#timeoutMs} ms`)
    }
    const controller = new AbortController()
    this.#controller = controller
    return new Promise((resolve) => {
      const cancel = afterRunning(this.#clock, this.#timeoutMs, () => {
        const why = `no end within ${this.#timeoutMs} ms`
        resolve(why)
        controller.abort(new Error(why))
      })
      const end = (why: string | undefined): void => {
        cancel()
        this.#controller = undefined
        resolve(why)
      }
      // What it throws at once counts like what it rejects with.
      new Promise((settle) => settle(act(controller.signal))).then(
        () => end(undefined),
        (error: unknown) => end(describeFailure(error)),
      )
      controller.signal.addEventListener('abort', cancel)
    })
  }

  /** Tells the one that is under way to end. */
  abort(): void {
    this.#controller?.abort(new Error('The trigger was taken off, or the monitor stopped'))
  }
}
