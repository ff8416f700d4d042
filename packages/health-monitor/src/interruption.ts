import type { Clock } from './ports.js'
import type { ShutdownCause } from './shutdown.js'

/** The little of `process` that is needed. */
export interface HostProcess {
  /** Begins to listen to a signal. */
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  /** Begins to listen to errors that nobody caught. */
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown
  /** Ceases to listen to a signal. */
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  /** Ceases to listen to errors. */
  off(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown
  /** Ends the process; asked only with the option `exit`. */
  exit?(code: number): unknown
}

/** What may call for the end. */
export interface Calls {
  readonly signals: readonly NodeJS.Signals[]
  readonly abort: AbortSignal | undefined
  readonly catchCrashes: boolean
}

/**
 * A terminal sends Ctrl-C to every process in it, and runners such as tsx send it on to their children: one key, and the
 * same signal twice within milliseconds. Nobody presses twice so fast.
 */
const ECHO_MS = 500

const CRASHES = ['uncaughtException', 'unhandledRejection'] as const

/** Hears the first and the second call to end. */
export class Interruption {
  /** Resolves at the first call. */
  readonly first: Promise<undefined>
  /** Resolves at the second. */
  readonly second: Promise<undefined>
  cause: ShutdownCause | undefined
  /** What crashed first, if anything did. */
  crash: { readonly error: unknown } | undefined
  readonly #host: HostProcess
  readonly #calls: Calls
  readonly #clock: Clock
  readonly #onLateCrash: (error: unknown) => void
  #firstMs = 0
  #announceFirst!: (nothing: undefined) => void
  #announceSecond!: (nothing: undefined) => void

  /** @param onLateCrash - takes what is thrown while everything ends already */
  constructor(host: HostProcess, calls: Calls, clock: Clock, onLateCrash: (error: unknown) => void) {
    this.first = new Promise((resolve) => (this.#announceFirst = resolve))
    this.second = new Promise((resolve) => (this.#announceSecond = resolve))
    this.#host = host
    this.#calls = calls
    this.#clock = clock
    this.#onLateCrash = onLateCrash
    for (const signal of calls.signals) host.on(signal, this.#call)
    if (calls.catchCrashes) for (const event of CRASHES) host.on(event, this.#onCrash)
    calls.abort?.addEventListener('abort', this.#onAbort)
    if (calls.abort?.aborted === true) this.#call('abort')
  }

  close(): void {
    for (const signal of this.#calls.signals) this.#host.off(signal, this.#call)
    if (this.#calls.catchCrashes) for (const event of CRASHES) this.#host.off(event, this.#onCrash)
    this.#calls.abort?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.#call('abort')

  readonly #onCrash = (error: unknown): void => {
    this.crash ??= { error }
    // One that comes while everything ends is part of the same mess, and must not cost the others their time.
    if (this.cause === undefined) this.#call('crash')
    else this.#onLateCrash(error)
  }

  readonly #call = (cause: ShutdownCause): void => {
    const nowMs = this.#clock.monotonic()
    if (this.cause !== undefined) {
      if (nowMs - this.#firstMs >= ECHO_MS) this.#announceSecond(undefined)
      return
    }
    this.cause = cause
    this.#firstMs = nowMs
    this.#announceFirst(undefined)
  }
}
