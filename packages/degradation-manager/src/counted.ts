import type { Feature } from './features.js'
import { signalTaker, withSignal, type AnyFunction, type Callable } from './with-signal.js'

/**
 * The same function, whose calls are counted while they are under way: until the work has really ended, whatever became
 * of its caller.
 */
export function counted(feature: Feature, fn: AnyFunction): AnyFunction {
  const marked = signalTaker(fn)
  return marked === undefined ? counting(feature, fn as Callable) : withSignal(counting(feature, marked))
}

function counting(feature: Feature, call: Callable): Callable {
  const end = (): void => {
    feature.inFlight -= 1
  }
  return function (this: unknown, ...args: unknown[]): unknown {
    feature.inFlight += 1
    let result: unknown
    try {
      result = call.apply(this, args)
    } catch (error) {
      end()
      throw error
    }
    // Of a promise that is no real one `then` may be called once only: a query that begins then would begin twice.
    const settled = Promise.resolve(result)
    void settled.then(end, end)
    return settled
  }
}
