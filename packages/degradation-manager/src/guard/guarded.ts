import type { Feature } from '../features.js'
import type { AnyFunction } from '../with-signal.js'
import { guardSettings, type GuardOptions } from './guard-options.js'
import { asOutcome, Guard, plainValue, type Gate } from './guard.js'
import type { DrillReport, GuardStats, Outcome } from './outcomes.js'

/** A guarded function: used like the one that it guards. One that was synchronous becomes asynchronous. */
export type Guarded<Fn extends AnyFunction> = (ReturnType<Fn> extends Promise<unknown>
  ? Fn
  : (this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => Promise<Awaited<ReturnType<Fn>>>) &
  GuardFace<Fn>

/** What a guarded function has beside being a function. */
export interface GuardFace<Fn extends AnyFunction> {
  /** Calls likewise, and tells whether a fallback served, and why. */
  readonly outcome: (this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => Promise<Outcome<Awaited<ReturnType<Fn>>>>
  /** Runs every fallback with these arguments, throws away what it answers, and tells which of them work. */
  readonly drill: (this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => Promise<DrillReport>
  /** What became of its calls so far. */
  readonly stats: GuardStats
}

/** Where a guarded function keeps its guard. */
const guardOf = Symbol('guard')

/** What a guarded function is made as, before it has a face. */
type Bare = ((this: unknown, ...args: unknown[]) => Promise<unknown>) & { readonly [guardOf]?: Guard }

/**
 * What all guarded functions have. Each makes its own `outcome` and `drill` when they are first asked for: as properties
 * that each function is given, they would weigh more than the guard. What `bind` makes of one inherits this, and has none
 * of it.
 */
const face = Object.create(Function.prototype, {
  outcome: {
    get(this: Bare) {
      const guard = this[guardOf]
      if (guard === undefined) return undefined
      return keep(this, 'outcome', function outcome(this: unknown, ...args: unknown[]) {
        return guard.call(this, args, asOutcome)
      })
    },
  },
  drill: {
    get(this: Bare) {
      const guard = this[guardOf]
      if (guard === undefined) return undefined
      return keep(this, 'drill', function drill(this: unknown, ...args: unknown[]) {
        return guard.drill(this, args)
      })
    },
  },
  stats: {
    get(this: Bare) {
      return this[guardOf]?.stats
    },
  },
}) as object

function keep<Value>(holder: Bare, name: keyof GuardFace<AnyFunction>, value: Value): Value {
  if (Object.isExtensible(holder)) Object.defineProperty(holder, name, { value })
  return value
}

/** Makes a guarded function of a guard. */
export function guarded<Fn extends AnyFunction>(
  gate: Gate,
  feature: Feature,
  fn: Fn,
  options: GuardOptions<Fn>,
): Guarded<Fn> {
  const guard = new Guard(gate, feature, fn, guardSettings(feature.name, fn, options))
  const name = String(fn.name)
  // A function that is made under its name is lighter than one that is given it later.
  const { [name]: call } = {
    [name]: function (this: unknown, ...args: unknown[]): Promise<unknown> {
      return guard.call(this, args, plainValue)
    },
  }
  Object.setPrototypeOf(call, face)
  Object.defineProperty(call, guardOf, { value: guard })
  return call as unknown as Guarded<Fn>
}
