import { isRollingBack, runningIn, type State } from './transitions.js'

/** A bucket is any 32-bit number. */
const buckets = 2 ** 32

/** What `versionFor` needs, worked out once per transition instead of once per event. */
export interface Route {
  readonly blue: string
  readonly green: string
  readonly threshold: number
  readonly saltHash: number
  /** Who is on green whatever the threshold; undefined for nobody. */
  readonly first: ReadonlySet<string> | undefined
}

/** Where events go in a state. */
export function routeOf(state: State): Route {
  const running = runningIn(state)
  if (running === undefined) return makeRoute(state.active, state.active, 0, '')
  const { from, to, percentage, salt, first, step } = running
  const isFirst = step >= 0 && !isRollingBack(running)
  return makeRoute(from, to, percentage, salt, isFirst ? first : [])
}

/** 0 is nobody and 100 everybody, exactly: no bucket is below 0, and every bucket is below 2^32. */
export function makeRoute(
  blue: string,
  green: string,
  percentage: number,
  salt: string,
  first: readonly string[] = [],
): Route {
  const threshold = (percentage / 100) * buckets
  return { blue, green, threshold, saltHash: hash(salt), first: first.length === 0 ? undefined : new Set(first) }
}

/**
 * Who serves an event: sticky, salted, and monotone in the percentage.
 *
 * A unit (a guild, or the user of a direct message) has one bucket for the whole deployment, and is on green while its
 * bucket lies below the threshold. A higher percentage is a higher threshold, so it only ever adds. An event that
 * belongs to no unit cannot be sticky, so it stays on blue until green has everybody.
 */
export function versionFor(route: Route, unitId: string | undefined): string {
  if (route.first !== undefined && unitId !== undefined && route.first.has(unitId)) return route.green
  if (route.threshold === 0) return route.blue
  if (route.threshold === buckets) return route.green
  if (unitId === undefined) return route.blue
  return bucketOf(unitId, route.saltHash) < route.threshold ? route.green : route.blue
}

/** The bucket of a unit; `saltHash` is `hash(salt)`, so that each deployment draws its early guilds anew. */
export function bucketOf(unitId: string, saltHash: number): number {
  return mix(hash(unitId) ^ saltHash)
}

/**
 * FNV-1a in 32 bits, fed UTF-16 code units, so that any string has a hash, lone surrogates too.
 *
 * @see http://www.isthe.com/chongo/tech/comp/fnv/ for the offset basis and the prime
 */
export function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h >>> 0
}

/**
 * The finalizer of MurmurHash3 (fmix32): every bit of the input changes every bit of the output with even odds, which
 * FNV alone does not do for ids that differ only in their last digits.
 *
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */
function mix(input: number): number {
  let h = input
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
