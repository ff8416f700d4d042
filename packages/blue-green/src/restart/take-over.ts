import { shown } from '../checked-options.js'
import { readFirst, type Id } from '../context.js'
import { TakeOverError } from './errors.js'
import type { Table } from './records.js'
import { successorOf, withOwner, withShare } from './table.js'

/** How to wait, and why. */
export interface TakeOverOptions {
  /** For the events `change` of all processes, as a clause; 1,000 characters of it are kept. */
  readonly why?: string | undefined
  /** How long it waits for the others to agree, in ms; three leases unless given. The store has its own time to answer. */
  readonly timeoutMs?: number | undefined
  /**
   * A share of the guilds alone, in percent: the others stay with the owner. A higher one only ever adds guilds; 100, which is so unless
   * given, makes this process the owner, and 0 gives all to the other one.
   */
  readonly percentage?: number | undefined
  /**
   * Guilds, and users of direct messages, that are in the share whatever its percentage: your own test guild. 1,000 at most. Wants a
   * `percentage` beside it, 0 for these alone. Unless given,
   * those stay that this process has by name, until it gives all back.
   */
  readonly first?: readonly Id[] | undefined
}

/** What a call of `takeOver` wants. */
export interface Asked {
  /** Everything, nothing any more, or a share; `first` is `undefined` where it is to stay as it is. */
  readonly part: 'all' | 'none' | { readonly percentage: number; readonly first: readonly string[] | undefined }
  readonly why: string | null
  /** Whether it had everything when it was called. */
  readonly isOwner: boolean
}

/**
 * What a call wants, of a process that has everything (`isOwner`) or has not.
 *
 * @throws RangeError or TypeError that names the option and its value
 */
export function readAsked(options: TakeOverOptions, isOwner: boolean): Asked {
  return { part: readPart(options), why: readWhy(options.why), isOwner }
}

function readPart({ percentage: given, first }: TakeOverOptions): Asked['part'] {
  // Everything, as without both, would be more than was asked for.
  if (first !== undefined && given === undefined) {
    throw new TypeError('first needs a percentage beside it; 0 takes these guilds alone')
  }
  const percentage = given ?? 100
  if (typeof percentage !== 'number' || !(percentage >= 0 && percentage <= 100)) {
    throw new RangeError(`percentage must be a number from 0 to 100, not ${shown(percentage)}`)
  }
  const ids = first === undefined ? undefined : readFirst(first)
  if (percentage === 100) return 'all'
  return percentage === 0 && (ids ?? []).length === 0 ? 'none' : { percentage, first: ids }
}

function readWhy(why: unknown): string | null {
  if (why === undefined) return null
  if (typeof why !== 'string') throw new TypeError(`why must be a string, not a ${typeof why}`)
  return why
}

/**
 * The table as this process asks for it; the same one where there is nothing to do, or it is out.
 *
 * @throws {@link TakeOverError} where it cannot be so
 */
export function takenOver(table: Table, id: string, version: string, { part, why, isOwner }: Asked): Table {
  const { owner, share, members } = table
  if (members[id] === undefined) return table
  if (part === 'all') return owner === id && share === null ? table : withOwner(table, id, why)
  if (owner === id && part === 'none') {
    const heir = successorOf(table, id)
    if (heir === undefined) throw nobodyReady(version)
    return withOwner(table, heir, why)
  }
  if (owner === id) {
    if (isOwner) throw ownsAlready(version)
    // It was made the owner in this moment, which is more than it asked for.
    return table
  }
  if (part === 'none') return share?.to === id ? withShare(table, null, why) : table
  if (share !== null && share.to !== id) throw sharedAlready(version, members[share.to]?.version ?? share.to)
  return withShare(table, { to: id, percentage: part.percentage, first: part.first ?? share?.first ?? [] }, why)
}

/** The table without what a process has, where someone else can have that. */
export function handedOver(table: Table, id: string): Table {
  if (table.share?.to === id) return withShare(table, null)
  const heir = table.owner === id ? successorOf(table, id) : undefined
  return heir === undefined ? table : withOwner(table, heir)
}

/** Nobody knows how it went. */
export function missed(version: string, why: string): TakeOverError {
  const remedy = 'Whoever owns the events serves; look at status, or call takeOver() again'
  return new TakeOverError(version, why, remedy, 'unknown')
}

/** Nobody was asked. */
export function out(version: string): TakeOverError {
  const why = 'the others have taken it for dead, and it is not back yet'
  return new TakeOverError(version, why, 'It comes back by itself when the store answers; call takeOver() then')
}

function ownsAlready(version: string): TakeOverError {
  const why = 'it owns the events already, and another process takes a share of them'
  return new TakeOverError(version, why, 'Call takeOver({ percentage }) in that one')
}

function nobodyReady(version: string): TakeOverError {
  const why = 'it is to give the events away, and nobody else is ready'
  return new TakeOverError(version, why, 'It serves on; call takeOver() in the process that is to have them')
}

function sharedAlready(version: string, holder: string): TakeOverError {
  const remedy =
    'Let it give that back first, by takeOver({ percentage: 0 }) there; if it has died, call again in a moment'
  return new TakeOverError(version, `version "${holder}" has a share already, and only one process may`, remedy)
}
