import { ConflictError, StorageTimeoutError, UnavailableError, type Applied } from '../errors.js'
import type { Clock } from '../ports.js'
import type { Storage } from '../storage.js'
import { holdProcess } from '../system-clock.js'

/** Codes that say that nothing got through. */
const REFUSED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
/** Codes that say that the primary is out of reach, but perhaps only since it took the write. */
const BROKEN = new Set(['STORAGE_UNAVAILABLE', 'STORAGE_CORRUPT', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'])

/** Codes by which a database says that it is there, but that the tables are not (PostgreSQL). */
const EMPTY = new Set(['42P01', '3F000', '42883', '42703'])

interface PrimaryOptions {
  readonly primary: Storage
  readonly timeoutMs: number
  readonly clock: Clock
}

/** The primary, with a deadline on every call, and a judgement whether it is down. */
export class Primary {
  readonly #storage: Storage
  readonly #timeoutMs: number
  readonly #clock: Clock
  readonly #onDown: (why: string) => void
  /** Lets go of each call under way. */
  readonly #abandon = new Set<(why: string) => void>()
  #suspicion: Promise<void> | undefined

  /** @param onDown - called when the primary is found to be down, after the call that found it has ended */
  constructor({ primary, timeoutMs, clock }: PrimaryOptions, onDown: (why: string) => void) {
    this.#storage = primary
    this.#timeoutMs = timeoutMs
    this.#clock = clock
    this.#onDown = onDown
  }

  /**
   * Calls the primary.
   *
   * @param timeoutMs - how long it may take while the primary answers otherwise
   * @throws UnavailableError when it is down; StorageTimeoutError when it is alive but slow; else what it throws
   */
  call<T>(
    kind: 'read' | 'write',
    run: (storage: Storage) => Promise<T>,
    timeoutMs: number = this.#timeoutMs,
  ): Promise<T> {
    const onLoss: Applied = kind === 'write' ? 'unknown' : 'no'
    return new Promise((resolve, reject) => {
      const settle = (how: () => void): void => {
        if (!this.#abandon.delete(abandon)) return
        letGo()
        stopSuspecting()
        stopWaiting()
        how()
      }
      const abandon = (why: string): void => settle(() => reject(new UnavailableError(why, onLoss)))
      const giveUp = (): void => settle(() => reject(new StorageTimeoutError(timeoutMs, onLoss)))
      const letGo = holdProcess()
      this.#abandon.add(abandon)
      let stopSuspecting = (): void => undefined
      const suspectLater = (): void => {
        stopSuspecting = this.#clock.after(this.#timeoutMs / 2, () => void this.#suspect().then(suspectAgain))
      }
      // A call that may take longer than the others must not wait so much longer for a primary that has gone.
      const suspectAgain = (): void => {
        if (timeoutMs > this.#timeoutMs && this.#abandon.has(abandon)) suspectLater()
      }
      suspectLater()
      // When the suspicion proves right, every call is abandoned before this one gives up.
      const stopWaiting = this.#clock.after(timeoutMs, () => void (this.#suspicion ?? Promise.resolve()).then(giveUp))
      invoke(run, this.#storage).then(
        (value) => settle(() => resolve(value)),
        (error: unknown) =>
          settle(() => {
            const failure = translate(error, onLoss)
            reject(failure)
            if (failure instanceof UnavailableError) this.#onDown(failure.message)
          }),
      )
    })
  }

  /** Starts the primary, unless it is, and asks for its health. */
  async probe(timeoutMs: number = this.#timeoutMs): Promise<void> {
    await this.#within(timeoutMs, async (signal) => {
      await this.#storage.start()
      await this.#storage.health({ signal })
    })
  }

  async stop(): Promise<void> {
    const letGo = holdProcess()
    try {
      await this.#within(this.#timeoutMs, () => this.#storage.stop())
    } finally {
      letGo()
    }
  }

  /** A late answer may only mean load. A failed probe means more. */
  #suspect(): Promise<void> {
    this.#suspicion ??= this.probe(this.#timeoutMs / 2)
      .catch((error: unknown) => {
        // Contention is a sign of life.
        if (codeOf(error) === 'STORAGE_BUSY') return
        const why = messageOf(error)
        // Nobody waits any longer for a primary that answers nothing.
        for (const abandon of [...this.#abandon]) abandon(why)
        this.#onDown(why)
      })
      .finally(() => (this.#suspicion = undefined))
    return this.#suspicion
  }

  #within(timeoutMs: number, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const controller = new AbortController()
      const cancel = this.#clock.after(timeoutMs, () => {
        const error = new UnavailableError(`The primary did not answer a probe within ${timeoutMs} ms`)
        controller.abort(error)
        reject(error)
      })
      run(controller.signal)
        .then(resolve, (error: unknown) => reject(translate(error, 'no')))
        .finally(cancel)
    })
  }
}

/** A primary may also throw before it returns a promise. */
async function invoke<T>(run: (storage: Storage) => Promise<T>, storage: Storage): Promise<T> {
  return run(storage)
}

/** What the primary threw, as one of our errors: it may come from another copy of this package, or from a driver. */
function translate(error: unknown, onLoss: Applied): Error {
  const code = codeOf(error)
  const message = messageOf(error)
  if (code === 'STORAGE_CONFLICT') {
    const { collection, key, expected, found } = error as ConflictError
    return new ConflictError(collection, key, expected, found)
  }
  if (REFUSED.has(code)) return new UnavailableError(message, 'no', { cause: error })
  if (BROKEN.has(code)) return new UnavailableError(message, appliedOf(error) ?? onLoss, { cause: error })
  return error instanceof Error ? error : new Error(message, { cause: error })
}

/** Whether the primary answered that all that was kept in it is gone. */
export function isEmptied(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: unknown }
  return EMPTY.has(codeOf(error)) || (cause !== undefined && isEmptied(cause))
}

/** Whether a rejected write may have taken effect. Whoever does not say so did not rule it out. */
export function mayBeApplied(error: unknown): boolean {
  return appliedOf(error) !== 'no'
}

function appliedOf(error: unknown): Applied | undefined {
  const { applied } = (error ?? {}) as { applied?: unknown }
  return applied === 'no' || applied === 'unknown' ? applied : undefined
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
