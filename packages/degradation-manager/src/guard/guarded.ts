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

/** Makes a guarded function of a guard. */
export function guarded<Fn extends AnyFunction>(
  gate: Gate,
  feature: Feature,
  fn: Fn,
  options: GuardOptions<Fn>,
): Guarded<Fn> {
  const guard = new Guard(gate, feature, fn, guardSettings(feature.name, fn, options))
  function call(this: unknown, ...args: unknown[]): Promise<unknown> {
    return guard.call(this, args, plainValue)
  }
  function outcome(this: unknown, ...args: unknown[]): Promise<unknown> {
    return guard.call(this, args, asOutcome)
  }
  function drill(this: unknown, ...args: unknown[]): Promise<DrillReport> {
    return guard.drill(this, args)
  }
  Object.defineProperties(call, {
    name: { value: fn.name, configurable: true },
    outcome: { value: outcome },
    drill: { value: drill },
    stats: { get: () => guard.stats },
  })
  return call as unknown as Guarded<Fn>
}
