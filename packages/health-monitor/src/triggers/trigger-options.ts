import type { HealthStatus } from '../check-result.js'
import { requireKnown, requireMilliseconds } from '../options.js'

/** What a trigger's action is told. */
export interface TriggerContext {
  /** The status that called for it, or the latest that is known. */
  readonly status: HealthStatus
  /** That status' reason, in one line. */
  readonly why: string
  /** Aborts at the deadline, or when the trigger is taken off or the monitor stops. */
  readonly signal: AbortSignal
}

/** When to act, and how. */
export interface TriggerOptions<Name extends string = string> {
  /** Whose status: a check's name, or `health` for the whole. */
  readonly component: Name | 'health'
  /** At which status: `degraded` means degraded or worse. `unknown` neither begins nor ends anything. */
  readonly is: 'degraded' | 'down'
  /** What to do, once. It should be harmless when it has been done already. */
  run(context: TriggerContext): unknown
  /** What to do once it is over. */
  whenOver?(context: TriggerContext): unknown
  /** What to call it in news; the component and its status unless you say otherwise. */
  readonly name?: string
  /**
   * Milliseconds for which it must be so first, beyond the confirmation that every status has had.
   *
   * @defaultValue 0
   */
  readonly forMs?: number
  /**
   * Milliseconds for which it must be over before it counts as over.
   *
   * @defaultValue 0
   */
  readonly overForMs?: number
  /**
   * Milliseconds after which an attempt has failed and is aborted.
   *
   * @defaultValue 30_000
   */
  readonly timeoutMs?: number
  /**
   * How many attempts to make, at least 1.
   *
   * @defaultValue 5
   */
  readonly attempts?: number
  /**
   * Milliseconds to the second attempt; each further one waits twice as long, at most a minute. The same between the runs
   * of one hour.
   *
   * @defaultValue 1_000
   */
  readonly retryMs?: number
  /**
   * How many times an hour the action may run, at least 1. Attempts at the same occasion count once.
   *
   * @defaultValue 6
   */
  readonly maxRunsPerHour?: number
}

/** What a trigger uses when its options leave it open. */
export const triggerDefaults: Required<Omit<TriggerOptions, 'component' | 'is' | 'run' | 'whenOver' | 'name'>> = {
  forMs: 0,
  overForMs: 0,
  timeoutMs: 30_000,
  attempts: 5,
  retryMs: 1_000,
  // Two actions that undo one another would go on for ever; so they do it six times, in half a minute.
  maxRunsPerHour: 6,
}

/** A trigger's options, complete and valid. */
export type ResolvedTrigger = Required<Omit<TriggerOptions, 'whenOver'>> & Pick<TriggerOptions, 'whenOver'>

/** @throws TypeError or RangeError when one does not exist or is out of range */
export function resolveTrigger(options: TriggerOptions, components: readonly string[]): ResolvedTrigger {
  const where = 'HealthMonitor.when'
  requireKnown(where, options, [...Object.keys(triggerDefaults), 'component', 'is', 'run', 'whenOver', 'name'])
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const name = `${options.component} ${options.is}`
  const merged = { ...triggerDefaults, name, ...(given as unknown as TriggerOptions) }
  if (!components.includes(merged.component)) {
    const known = components.join(', ')
    throw new TypeError(`${where}: there is no component ${JSON.stringify(merged.component)}; there are: ${known}`)
  }
  if (!['degraded', 'down'].includes(merged.is)) throw new TypeError(`${where}: is must be 'degraded' or 'down'`)
  if (typeof merged.run !== 'function') throw new TypeError(`${where}: run must be a function`)
  if (merged.whenOver !== undefined && typeof merged.whenOver !== 'function') {
    throw new TypeError(`${where}: whenOver must be a function`)
  }
  if (typeof merged.name !== 'string' || merged.name === '') throw new TypeError(`${where}: name must be a string`)
  for (const option of ['forMs', 'overForMs'] as const) requireMilliseconds(`${where}: ${option}`, merged[option], 0)
  for (const option of ['timeoutMs', 'retryMs'] as const) requireMilliseconds(`${where}: ${option}`, merged[option], 1)
  for (const option of ['attempts', 'maxRunsPerHour'] as const) {
    if (!Number.isInteger(merged[option]) || merged[option] < 1) {
      throw new RangeError(`${where}: ${option} must be a whole number from 1, not ${merged[option]}`)
    }
  }
  return merged
}
