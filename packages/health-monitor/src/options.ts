import type { HealthCheck } from './check-result.js'
import { WHOLE } from './events.js'
import type { LoopWatchOptions } from './loop-watch.js'
import type { Clock } from './ports.js'

/** How one component is watched. */
export interface CheckOptions<Name extends string = string> {
  /** Looks at the component; see {@link HealthCheck}. */
  readonly check: HealthCheck
  /**
   * Whether the bot is of no use without this component: then its being down takes the whole down.
   *
   * @defaultValue `true`
   */
  readonly critical?: boolean
  /**
   * Milliseconds from the end of one run to the beginning of the next, while nothing changes; rounded to a whole second,
   * or to a tenth of an interval below ten seconds.
   *
   * @defaultValue 10_000
   */
  readonly intervalMs?: number
  /**
   * Milliseconds after which a run counts as failed and its signal aborts. Time in which the event loop was blocked
   * does not count.
   *
   * @defaultValue 5_000
   */
  readonly timeoutMs?: number
  /**
   * How many results in a row, at least 1, must be worse than the status before it becomes worse.
   *
   * @defaultValue 4
   */
  readonly failuresToDown?: number
  /**
   * How many results in a row, at least 1, must be better than the status before it becomes better.
   *
   * @defaultValue 4
   */
  readonly successesToUp?: number
  /**
   * Milliseconds to the first look after a result that contradicts the status. Each further look waits twice as long,
   * and none longer than `intervalMs`.
   *
   * @defaultValue 2_000
   */
  readonly recheckMs?: number
  /**
   * Milliseconds after which a status without a new result is `unknown`. More than `intervalMs + timeoutMs`.
   *
   * Without it: three intervals and the deadline, so 35_000 with the other defaults.
   */
  readonly maxAgeMs?: number
  /**
   * The names of the checks without which this one cannot succeed. While one of them is down, at any depth, this one is
   * not run and not judged: it is `unknown`, and only the root of the trouble is news.
   *
   * @defaultValue `[]`
   */
  readonly dependsOn?: readonly Name[]
}

/** A check's options, complete and valid. */
export type ResolvedCheck<Name extends string> = Required<CheckOptions<Name>>

/** What a {@link HealthMonitor} is made of. */
export interface HealthMonitorOptions<Name extends string> {
  /** The components by name. `health` is taken: it is the name of the whole. */
  readonly checks: Readonly<Record<Name, CheckOptions<NoInfer<Name>>>>
  /** How the event loop is watched; `false` for not at all, as with a clock of its own. */
  readonly loop?: LoopWatchOptions | false
  /** The clock to live by; the machine's unless a test brings another. */
  readonly clock?: Clock
  /** A number from 0 to 1, below 1: spreads the looks of many checks. `Math.random` unless a test brings another. */
  readonly random?: () => number
}

/** What a check gets when its options leave it open. */
export const checkDefaults: Required<Omit<CheckOptions, 'check' | 'maxAgeMs' | 'dependsOn'>> = {
  critical: true,
  intervalMs: 10_000,
  timeoutMs: 5_000,
  // Four results over 2 + 4 + 8 s: a component that fails one look in twenty at random changes its status once in ten
  // days, and an outage is still seen after 19 s on average, sooner than by three looks 10 s apart.
  failuresToDown: 4,
  successesToUp: 4,
  recheckMs: 2_000,
}

const CHECK_OPTIONS = [...Object.keys(checkDefaults), 'check', 'maxAgeMs', 'dependsOn']

/**
 * An option that is ignored is a promise broken in silence.
 *
 * @throws TypeError when `options` is no object, or has an option that is none of `known`
 */
export function requireKnown(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${where} takes an object of options`)
  const stranger = Object.keys(options).find((option) => !known.includes(option))
  if (stranger !== undefined) {
    throw new TypeError(`${where} has no option "${stranger}"; there are ${known.join(', ')}`)
  }
}

/**
 * @throws TypeError when `value` is no number
 * @throws RangeError when it is below `least`, or no finite number
 */
export function requireMilliseconds(option: string, value: unknown, least: number): void {
  if (typeof value !== 'number') throw new TypeError(`${option} must be milliseconds, not ${describe(value)}`)
  if (!(value >= least) || !Number.isFinite(value)) {
    throw new RangeError(`${option} must be milliseconds from ${least}, not ${value}`)
  }
}

/** The checks by name, with options as the monitor uses them: complete and valid. */
export function resolveChecks<Name extends string>(options: HealthMonitorOptions<Name>): [Name, ResolvedCheck<Name>][] {
  const checks = (options as Partial<typeof options> | undefined)?.checks
  if (typeof checks !== 'object' || checks === null || Array.isArray(checks)) {
    throw new TypeError('HealthMonitor: give { checks: { name: { check } } }')
  }
  requireKnown('HealthMonitor', options, ['checks', 'loop', 'clock', 'random'])
  return (Object.entries(checks) as [Name, CheckOptions<Name>][]).map(([name, check]) => [
    name,
    resolveCheck(name, check),
  ])
}

function resolveCheck<Name extends string>(name: Name, options: CheckOptions<Name>): ResolvedCheck<Name> {
  const where = `checks[${JSON.stringify(name)}]`
  if (name === '') throw new TypeError('HealthMonitor: a check has the empty name; name what it looks at')
  if (name === WHOLE)
    throw new TypeError(`HealthMonitor: "${WHOLE}" is the name of the whole; name the check otherwise`)
  if (typeof options !== 'object' || options === null || typeof options.check !== 'function') {
    throw new TypeError(`HealthMonitor: ${where} must be { check: function, ... }`)
  }
  requireKnown(`HealthMonitor: ${where}`, options, CHECK_OPTIONS)
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const merged = { ...checkDefaults, dependsOn: [], ...(given as unknown as CheckOptions<Name>) }
  if (typeof merged.critical !== 'boolean')
    throw new TypeError(`HealthMonitor: ${where}.critical must be true or false`)
  if (!Array.isArray(merged.dependsOn)) {
    throw new TypeError(`HealthMonitor: ${where}.dependsOn must be a list of names of checks`)
  }
  for (const option of ['intervalMs', 'timeoutMs', 'recheckMs'] as const) {
    requirePositive(`${where}.${option}`, merged[option], 'milliseconds above 0')
  }
  for (const option of ['failuresToDown', 'successesToUp'] as const) {
    requirePositive(`${where}.${option}`, merged[option], 'a whole number from 1')
    if (!Number.isInteger(merged[option])) {
      throw new RangeError(`HealthMonitor: ${where}.${option} must be a whole number from 1, not ${merged[option]}`)
    }
  }
  const maxAgeMs = merged.maxAgeMs ?? 3 * merged.intervalMs + merged.timeoutMs
  requirePositive(`${where}.maxAgeMs`, maxAgeMs, 'milliseconds above 0')
  if (maxAgeMs <= merged.intervalMs + merged.timeoutMs) {
    throw new RangeError(
      `HealthMonitor: ${where}.maxAgeMs is ${maxAgeMs}, so a healthy component would turn unknown between two runs; ` +
        `give more than intervalMs + timeoutMs (${merged.intervalMs + merged.timeoutMs})`,
    )
  }
  return { ...merged, maxAgeMs }
}

function requirePositive(option: string, value: unknown, what: string): void {
  if (typeof value !== 'number') throw new TypeError(`HealthMonitor: ${option} must be ${what}, not ${describe(value)}`)
  if (!(value > 0) || !Number.isFinite(value))
    throw new RangeError(`HealthMonitor: ${option} must be ${what}, not ${value}`)
}

function describe(value: unknown): string {
  return value === null ? 'null' : `a ${typeof value}`
}
