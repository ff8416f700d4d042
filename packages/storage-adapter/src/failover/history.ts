import { originOf } from '../versions.js'

/*
 * A primary may come back with less history: an older backup of itself, or a replica that had not received the last
 * writes. It has the right id, so what tells is whether the last writes that it acknowledged are there. The trail names
 * them. It is kept beside the copy, in the same commit, and costs the primary nothing.
 */

/** How many writes the trail names: more than one, because somebody else may have changed the last of them since. */
const LENGTH = 4

/** A write that the primary acknowledged. */
export interface TrailEntry {
  readonly collection: string
  readonly key: string
  /** The version of the write, or of the delete. */
  readonly version: string
  readonly isDelete: boolean
  /** The version that was there before; `null` for nothing. */
  readonly before: string | null
  readonly expiresAt?: number | undefined
}

/** A change, as far as it matters here. */
export interface TrailChange {
  readonly type: 'put' | 'set' | 'delete' | 'clear' | 'check'
  readonly collection: string
  readonly key?: string
}

/**
 * The trail after a commit.
 *
 * @param changes - all that it changed, whoever did: what the trail says about these records holds no more
 * @param entry - the last of our own writes in it
 */
export function extendTrail(
  trail: readonly TrailEntry[],
  changes: readonly TrailChange[],
  entry: TrailEntry | undefined,
): readonly TrailEntry[] {
  const isOver = ({ collection, key }: TrailEntry): boolean =>
    changes.some((change) => change.collection === collection && (change.type === 'clear' || change.key === key))
  const others = trail.length > 0 && trail.some(isOver) ? trail.filter((each) => !isOver(each)) : trail
  return entry === undefined ? others : [...others, entry].slice(-LENGTH)
}

/**
 * Whether the last writes are missing. A history is cut at one point, so the newest write of which anything can be said
 * decides.
 *
 * @param found - for each entry of the trail, the version that the primary has; `null` for nothing, `undefined` when it
 *   proves nothing
 */
export function isCutShort(
  trail: readonly TrailEntry[],
  found: readonly (string | null | undefined)[],
  now: number,
): boolean {
  for (let i = trail.length - 1; i >= 0; i--) {
    const entry = trail[i] as TrailEntry
    const sign = signOf(entry, found[i], now)
    if (sign !== undefined) return sign === 'missing'
  }
  return false
}

function signOf(
  { version, isDelete, before, expiresAt }: TrailEntry,
  found: string | null | undefined,
  now: number,
): 'present' | 'missing' | undefined {
  if (found === undefined || (expiresAt !== undefined && expiresAt <= now)) return undefined
  if (found === (isDelete ? null : version)) return 'present'
  if (found === before) return 'missing'
  // Whoever wrote something else did so later, unless it is of our own past.
  return found !== null && isOlder(found, version) ? 'missing' : undefined
}

/** Whether one version was made before another by the same process: those count. */
function isOlder(version: string, than: string): boolean {
  if (originOf(version) !== originOf(than)) return false
  return countOf(version) < countOf(than)
}

function countOf(version: string): number {
  return parseInt(version.slice(version.indexOf('.') + 1), 36)
}
