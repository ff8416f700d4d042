import type { Admission } from '../admission/admission.js'
import { ShedError } from '../errors.js'
import type { Callable } from '../with-signal.js'
import type { Deadline, Deadlines } from './deadlines.js'
import type { FallbackStep } from './fallback.js'
import { isThenable } from './thenable.js'

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
 * @param options - how long it is waited for, asked only when there is something to wait for
 * @returns what it gives, or a promise of it
 * @throws ShedError when it serves as many as it may
 */
export function serve(
  step: FallbackStep,
  self: unknown,
  args: unknown[],
  options: (timeoutMs: number | undefined) => ServeOptions,
): unknown {
  const { admission, signalled } = step
  if (admission !== undefined && !admission.tryEnter()) {
    throw new ShedError(step.name, `${admission.name} serves ${admission.inFlight} calls already`, undefined, '')
  }
  const placeMs = admission?.startedMs() ?? 0
  const controller = signalled === undefined ? undefined : new AbortController()
  let result: unknown
  try {
    result =
      signalled !== undefined && controller !== undefined
        ? signalled.call(self, controller.signal, ...args)
        : (step.serve as Callable).apply(self, args)
    if (isThenable(result)) return inTime(result, { ...options(step.timeoutMs), admission, placeMs, controller })
  } catch (error) {
    admission?.leave(placeMs, true)
    throw error
  }
  admission?.leave(placeMs, false)
  return result
}

interface Bounds extends ServeOptions {
  readonly admission: Admission | undefined
  readonly placeMs: number
  readonly controller: AbortController | undefined
}

/** Settles as the fallback does, or rejects when its time is up. What comes later is dropped, an error too. */
function inTime(result: PromiseLike<unknown>, bounds: Bounds): Promise<unknown> {
  const { admission, placeMs, controller, deadlines, untilMs, timeoutMs } = bounds
  return new Promise((resolve, reject) => {
    let end = (): void => {
      deadlines?.remove(deadline)
      admission?.leave(placeMs, false)
    }
    const deadline: Deadline = {
      untilMs,
      previous: undefined,
      next: undefined,
      expire() {
        const overdue = admission?.overdue(placeMs)
        end = () => overdue?.end()
        const error = bounds.error()
        reject(error)
        controller?.abort(error)
      },
    }
    deadlines?.add(deadline, timeoutMs)
    void Promise.resolve(result).then(
      (value) => {
        end()
        resolve(value)
      },
      (error: Error) => {
        end()
        reject(error)
      },
    )
  })
}
