import type { LeaseRecord, Versioned } from './lease-records.js'

/**
 * The part of a term that its holder gives away, so that it stops believing before anybody may take over, although two
 * clocks never run at quite the same speed.
 */
const MARGIN_RATIO = 0.1

/** Renewed at this part of the lease, so that one renewal may fail, and the next, before the term ends. */
const RENEWAL_RATIO = 1 / 3

/** A renewal that failed is tried again after this part of the lease. */
const RETRY_RATIO = 1 / 12

/** Whoever waits for a lease looks this often, as a part of the lease. */
const LOOK_RATIO = 1 / 6

/** The longest time between two looks, in milliseconds: a lease that was given back should not stay free for long. */
const MAX_LOOK_MS = 1_000

/** What follows from the length of a lease. All in milliseconds. */
export interface LeaseTiming {
  /** How long a holder believes, from the moment at which it began a write that was confirmed. */
  readonly beliefMs: number
  readonly renewalMs: number
  readonly retryMs: number
  readonly lookMs: number
}

export function timingOf(leaseMs: number): LeaseTiming {
  return {
    beliefMs: leaseMs * (1 - MARGIN_RATIO),
    renewalMs: leaseMs * RENEWAL_RATIO,
    retryMs: leaseMs * RETRY_RATIO,
    lookMs: Math.min(leaseMs * LOOK_RATIO, MAX_LOOK_MS),
  }
}

/** The version that a challenger saw last, and since when, on its own monotonic clock. */
export interface Sighting {
  readonly version: string
  readonly sinceMs: number
}

/**
 * What a challenger knows after another look.
 *
 * @param nowMs - when the look had ended: the record may be that old, and must not be taken for older
 */
export function see(before: Sighting | undefined, version: string | undefined, nowMs: number): Sighting | undefined {
  if (version === undefined) return undefined
  return before?.version === version ? before : { version, sinceMs: nowMs }
}

/**
 * How long a challenger has to wait before it may take the lease: 0 for "take it now".
 *
 * The longer of the two leases counts, as the holder believes by its own. Whoever finds its own earlier term, which it
 * knows to be over, need not wait.
 *
 * @param holder - who the challenger is
 */
export function waitBeforeTaking(
  lease: Versioned<LeaseRecord> | undefined,
  { holder, leaseMs }: { readonly holder: string; readonly leaseMs: number },
  sighting: Sighting | undefined,
  nowMs: number,
): number {
  if (lease === undefined || lease.value.holder === null || lease.value.holder === holder) return 0
  if (sighting?.version !== lease.version) return Math.max(leaseMs, lease.value.leaseMs)
  return Math.max(0, sighting.sinceMs + Math.max(leaseMs, lease.value.leaseMs) - nowMs)
}

/** A token greater than all that were given before, even if one of the two records was removed by hand. */
export function nextToken(...before: readonly (Versioned<{ readonly token: number }> | undefined)[]): number {
  return 1 + Math.max(0, ...before.map((record) => record?.value.token ?? 0))
}
