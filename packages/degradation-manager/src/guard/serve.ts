import type { Admission } from '../admission/admission.js'
import { ShedError } from '../errors.js'
import type { Callable } from '../with-signal.js'
import type { Deadline, Deadlines } from './deadlines.js'
import type { FallbackStep } from './fallback.js'
import { markHeld, type HeldPlace } from './held-places.js'
import { follow, isThenable } from './thenable.js'

/** How long a fallback is waited for. */
export interface ServeOptions {
  readonly untilMs: number
  readonly timeoutMs: number
  /** No deadline when undefined. */
  readonly deadlines: Deadlines | undefined
  /** What to reject with when the time is up. */
  error(): Error
}

/**
 * Runs one fallback, within its bounds.
 *
 * @param signal - the caller's: what is under way is not waited for any more when it aborts
 * @param options - how long it is waited for, asked only when there is something to wait for
 * @returns what it gives, or a promise of it
 * @throws ShedError when it serves as many as it may
 */
export function serve(
  step: FallbackStep,
  self: unknown,
  args: unknown[],
  signal: AbortSignal | undefined,
  options: (timeoutMs: number | undefined) => ServeOptions,
): unknown {
  const { admission, signalled } = step
  if (admission !== undefined && !admission.tryEnter()) {
    throw new ShedError(step.name, `${admission.name} serves ${admission.inFlight} calls already`, undefined, '')
  }
  const placeMs = admission?.startedMs() ?? 0
  const controller = signalled === undefined ? undefined : new AbortController()
  const held = controller === undefined ? undefined : markHeld(controller.signal, signal, admission)
  let result: unknown
  try {
    result =
      signalled !== undefined && controller !== undefined
        ? signalled.call(self, controller.signal, ...args)
        : (step.serve as Callable).apply(self, args)
    if (isThenable(result)) {
      return inTime(result, { ...options(step.timeoutMs), admission, placeMs, controller, held, signal })
    }
  } catch (error) {
    giveBack(admission, placeMs, held, true)
    throw error
  }
  giveBack(admission, placeMs, held, false)
  return result
}

function giveBack(
  admission: Admission | undefined,
  placeMs: number,
  held: HeldPlace | undefined,
  isIgnored: boolean,
): void {
  if (held !== undefined) held.isHeld = false
  admission?.leave(placeMs, isIgnored)
}

interface Bounds extends ServeOptions {
  readonly admission: Admission | undefined
  readonly placeMs: number
  readonly controller: AbortController | undefined
  readonly held: HeldPlace | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Settles as the fallback does, or rejects when its time is up or the caller has gone. What comes later is dropped, an
 * error too.
 */
function inTime(result: PromiseLike<unknown>, bounds: Bounds): Promise<unknown> {
  const { admission, placeMs, controller, held, signal, deadlines, untilMs } = bounds
  return new Promise((resolve, reject) => {
    const stopWaiting = (): void => {
      deadlines?.remove(deadline)
      signal?.removeEventListener('abort', onAbort)
    }
    let end = (): void => {
      stopWaiting()
      giveBack(admission, placeMs, held, false)
    }
    const giveUp = (error: Error): void => {
      stopWaiting()
      const overdue = admission?.overdue(placeMs)
      end = () => {
        if (held !== undefined) held.isHeld = false
        overdue?.end()
      }
      reject(error)
      controller?.abort(error)
    }
    // Whatever the caller gave as the reason.
    const onAbort = (): void => giveUp(signal?.reason as Error)
    const deadline: Deadline = {
      untilMs,
      previous: undefined,
      next: undefined,
      expire: () => giveUp(bounds.error()),
    }
    deadlines?.add(deadline)
    signal?.addEventListener('abort', onAbort, { once: true })
    void follow(
      Promise.resolve(result),
      (value) => {
        end()
        resolve(value)
      },
      (error) => {
        end()
        // Whatever the fallback threw.
        const thrown = error as Error
        reject(thrown)
      },
    )
    // It may have ended the call itself.
    if (signal?.aborted === true) onAbort()
  })
}
