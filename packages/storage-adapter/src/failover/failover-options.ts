import { checkKey } from '../keys.js'
import type { Merge, Merges } from './merge.js'
import { checkNumber, checkOptions, checkPath } from '../options.js'
import { refuseReserved } from '../mutations.js'
import type { Clock } from '../ports.js'
import type { Storage } from '../storage.js'
import { systemClock } from '../system-clock.js'

/** The options of a `FailoverStorage`. */
export interface FailoverStorageOptions {
  /** Where records live. It is started and stopped with the wrapper. */
  readonly primary: Storage
  /** The directory of the local copy and of the journal. It belongs to this process alone. */
  readonly path: string
  /**
   * How many processes write to the primary.
   *
   * `one`: the local copy is all that there is to know, so it judges conditions during an outage, too. A second writer
   * that claims the primary fences the first. `many`: the copy follows the primary's log of changes; in an outage a
   * write with a condition (`ifVersion`, `ifAbsent`, `update`, `once`) rejects, and one without is journaled.
   */
  readonly writers: 'one' | 'many'
  /**
   * The collections of which a local copy is kept, which is held in memory and on disk. In an outage all others can be
   * neither read nor written: without a copy nothing tells what a write replaced.
   *
   * @defaultValue 'all'
   */
  readonly mirror?: 'all' | readonly string[] | undefined
  /**
   * By collection: makes one value of two, when a record that was written in the outage was also changed on the primary.
   * Without it, and when it throws, the batch goes to `conflicts()`.
   *
   * @defaultValue none
   */
  readonly merge?: Readonly<Record<string, Merge>> | undefined
  /**
   * With `writers: 'many'`, how often the primary's log of changes is followed, in milliseconds.
   *
   * @defaultValue 250
   */
  readonly mirrorIntervalMs?: number | undefined
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
  Record<'timeoutMs' | 'probeIntervalMs' | 'steadyProbes' | 'cooldownMs' | 'mirrorIntervalMs', number>
> = {
  timeoutMs: 1_000,
  probeIntervalMs: 1_000,
  steadyProbes: 3,
  cooldownMs: 10_000,
  mirrorIntervalMs: 250,
}

/** The options, complete. */
export type CheckedOptions = {
  readonly [Name in Exclude<keyof FailoverStorageOptions, 'merge'>]-?: NonNullable<FailoverStorageOptions[Name]>
} & { readonly merge: Merges }

const KNOWN = ['primary', 'path', 'writers', 'mirror', 'merge', 'clock', ...Object.keys(failoverDefaults)]

/**
 * Completes the options.
 *
 * @throws TypeError or RangeError when one is wrong
 */
export function checkFailoverOptions(options: FailoverStorageOptions): CheckedOptions {
  checkOptions('FailoverStorage', options, KNOWN)
  const { primary, path, writers, mirror = 'all', merge = {}, clock = systemClock } = options
  const numbers = { ...failoverDefaults, ...dropUndefined(options) }
  const { timeoutMs, probeIntervalMs, steadyProbes, cooldownMs, mirrorIntervalMs } = numbers
  if (typeof (primary as Partial<Storage> | undefined)?.batch !== 'function') {
    throw new TypeError('primary must be a storage, such as new SqliteStorage({ path })')
  }
  checkPath('FailoverStorage', path)
  if (writers !== 'one' && writers !== 'many') {
    throw new TypeError(`writers must be 'one' or 'many', not ${String(writers)}`)
  }
  checkMirror(mirror)
  const merges = checkMerge(merge, mirror)
  checkNumber('timeoutMs', timeoutMs, 1)
  checkNumber('probeIntervalMs', probeIntervalMs, 1)
  checkNumber('steadyProbes', steadyProbes, 1)
  checkNumber('cooldownMs', cooldownMs, 0)
  checkNumber('mirrorIntervalMs', mirrorIntervalMs, 1)
  const waits = { timeoutMs, probeIntervalMs, steadyProbes, cooldownMs, mirrorIntervalMs }
  return { primary, path, writers, mirror, merge: merges, ...waits, clock }
}

function checkMirror(mirror: unknown): void {
  if (mirror === 'all') return
  if (!Array.isArray(mirror)) throw new TypeError(`mirror must be 'all' or a list of names, not ${String(mirror)}`)
  for (const name of mirror) {
    checkKey(name, 'name of a collection in mirror')
    refuseReserved(name)
  }
}

function checkMerge(merge: Readonly<Record<string, unknown>>, mirror: 'all' | readonly string[]): Merges {
  const merges = new Map<string, Merge>()
  for (const [name, each] of Object.entries(merge)) {
    if (typeof each !== 'function') throw new TypeError(`merge.${name} must be a function, not ${typeof each}`)
    if (mirror !== 'all' && !mirror.includes(name)) {
      throw new TypeError(`merge.${name} is never called, as mirror does not name ${name}; add it there`)
    }
    merges.set(name, each as Merge)
  }
  return merges
}

/** `undefined` given for an option means its default. */
function dropUndefined(options: FailoverStorageOptions): FailoverStorageOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
