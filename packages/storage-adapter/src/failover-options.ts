import { checkNumber, checkOptions, checkPath } from './options.js'
import type { Clock } from './ports.js'
import type { Storage } from './storage.js'
import { systemClock } from './system-clock.js'

/** The options of a `FailoverStorage`. */
export interface FailoverStorageOptions {
  /** Where records live. It is started and stopped with the wrapper. */
  readonly primary: Storage
  /** The directory of the local copy and of the journal. It belongs to this process alone. */
  readonly path: string
  /**
   * How many processes write to the primary. Only with one can the local copy judge a condition during an outage; a
   * second writer that claims the primary fences the first.
   */
  readonly writers: 'one'
  /**
   * How long the primary may take to answer, in milliseconds. At half of it a probe begins; only when that fails too
   * is the primary taken to be down.
   *
   * @defaultValue 1_000
   */
  readonly timeoutMs?: number | undefined
  /**
   * How often a primary that is down is asked whether it is back, in milliseconds.
   *
   * @defaultValue 1_000
   */
  readonly probeIntervalMs?: number | undefined
  /**
   * How many probes in a row must succeed before the journal is replayed.
   *
   * @defaultValue 3
   */
  readonly steadyProbes?: number | undefined
  /**
   * How long the fallback serves at least, in milliseconds, so that a flapping primary does not make it come and go.
   *
   * @defaultValue 10_000
   */
  readonly cooldownMs?: number | undefined
  /** The time, for tests. */
  readonly clock?: Clock | undefined
}

/** The defaults of a `FailoverStorage`. */
export const failoverDefaults: Readonly<
  Record<'timeoutMs' | 'probeIntervalMs' | 'steadyProbes' | 'cooldownMs', number>
> = {
  timeoutMs: 1_000,
  probeIntervalMs: 1_000,
  steadyProbes: 3,
  cooldownMs: 10_000,
}

/** The options, complete. */
export type CheckedOptions = {
  readonly [Name in keyof FailoverStorageOptions]-?: NonNullable<FailoverStorageOptions[Name]>
}

const KNOWN = ['primary', 'path', 'writers', 'clock', ...Object.keys(failoverDefaults)]

/**
 * Completes the options.
 *
 * @throws TypeError or RangeError when one is wrong
 */
export function checkFailoverOptions(options: FailoverStorageOptions): CheckedOptions {
  checkOptions('FailoverStorage', options, KNOWN)
  const { primary, path, writers, clock = systemClock } = options
  const { timeoutMs, probeIntervalMs, steadyProbes, cooldownMs } = { ...failoverDefaults, ...dropUndefined(options) }
  if (typeof (primary as Partial<Storage> | undefined)?.batch !== 'function') {
    throw new TypeError('primary must be a storage, such as new SqliteStorage({ path })')
  }
  checkPath('FailoverStorage', path)
  if (writers !== 'one') throw new TypeError(`writers must be 'one', not ${String(writers)}`)
  checkNumber('timeoutMs', timeoutMs, 1)
  checkNumber('probeIntervalMs', probeIntervalMs, 1)
  checkNumber('steadyProbes', steadyProbes, 1)
  checkNumber('cooldownMs', cooldownMs, 0)
  return { primary, path, writers, timeoutMs, probeIntervalMs, steadyProbes, cooldownMs, clock }
}

/** `undefined` given for an option means its default. */
function dropUndefined(options: FailoverStorageOptions): FailoverStorageOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
