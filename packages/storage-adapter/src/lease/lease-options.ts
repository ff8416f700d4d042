import { hostname } from 'node:os'
import { ScopeError } from '../errors.js'
import { checkKey } from '../keys.js'
import type { LeaseStore } from './lease-ports.js'
import { checkNumber } from '../options.js'
import type { Clock } from '../ports.js'
import type { Scope } from '../storage.js'
import { systemClock } from '../system-clock.js'

/** What everything that competes for a lease may be given. */
export interface CompetitorOptions {
  /**
   * How long the record of the lease must stand unchanged before another may take it over, in milliseconds, at least 50.
   * A holder renews at a third of it, and stops believing after nine tenths. Make it several times as long as the store
   * and the event loop may stall.
   *
   * @defaultValue 15_000
   */
  readonly leaseMs?: number | undefined
  /**
   * How far the agreement has to reach. A store that does not reach so far is refused. `process` is for tests, and for a
   * bot that is one process for good.
   *
   * @defaultValue 'machine'
   */
  readonly scope?: Scope | undefined
  /**
   * Who this is, for people who read records and events.
   *
   * @defaultValue `host:pid`
   */
  readonly owner?: string | undefined
  /** The time, for tests. */
  readonly clock?: Clock | undefined
}

/** The defaults of everything that competes for a lease. */
export const leaseDefaults: Readonly<Record<'leaseMs', number> & Record<'scope', Scope>> = {
  leaseMs: 15_000,
  scope: 'machine',
}

/** The names of {@link CompetitorOptions}. */
export const COMPETITOR_OPTIONS: readonly string[] = ['leaseMs', 'scope', 'owner', 'clock']

/** The options, complete. */
export type CheckedCompetitor = { readonly [Name in keyof CompetitorOptions]-?: NonNullable<CompetitorOptions[Name]> }

/** A shorter lease would be lost to any hiccup of the process. */
const MIN_LEASE_MS = 50

const REACH: Readonly<Record<Scope, number>> = { process: 0, machine: 1, cluster: 2 }

/**
 * Completes the options that all competitors share.
 *
 * @param needs - the methods that the store must have
 * @throws TypeError or RangeError when one is wrong
 * @throws {@link ScopeError} when the store does not reach far enough
 */
export function checkCompetitor(
  what: string,
  store: LeaseStore,
  options: CompetitorOptions,
  needs: readonly string[] = ['entry', 'compareAndSet'],
): CheckedCompetitor {
  const { leaseMs = leaseDefaults.leaseMs, scope = leaseDefaults.scope } = options
  const { owner = `${hostname()}:${process.pid}`, clock = systemClock } = options
  const methods = store as unknown as Readonly<Record<string, unknown>> | undefined
  if (needs.some((name) => typeof methods?.[name] !== 'function') || !Object.hasOwn(REACH, store.scope)) {
    throw new TypeError(`The store of ${what} must be a collection, such as storage.collection('evenkeel')`)
  }
  if (!Object.hasOwn(REACH, scope)) throw new TypeError(`scope must be process, machine or cluster, not ${scope}`)
  checkNumber('leaseMs', leaseMs, MIN_LEASE_MS)
  checkKey(owner, 'owner')
  if (REACH[store.scope] < REACH[scope]) throw new ScopeError(what, store.scope, scope)
  return { leaseMs, scope, owner, clock }
}

/**
 * Refuses a time to wait that has no end.
 *
 * @throws RangeError when it is no number of at least 0, and when it is infinite without a signal that could end it
 */
export function checkWait(waitMs: number, signal: AbortSignal | undefined): void {
  if (waitMs === Infinity && signal !== undefined) return
  if (waitMs === Infinity) throw new RangeError('waitMs may be Infinity only with a signal that can end the wait')
  checkNumber('waitMs', waitMs, 0)
}
