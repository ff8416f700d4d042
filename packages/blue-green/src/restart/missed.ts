import type { Clock } from '../ports.js'
import type { Kept } from './kept.js'
import type { Standing } from './standing.js'
import { diedSince, isGone, othersSince, withoutTrace } from './table.js'

// Pure: what becomes of an event of which this process may have missed something, as it stood still, its clock was moved, the store was
// out, or the others went on without it. Each judges by how the event came and by where this process stands now, and changes neither.

/** What is to be done about an event. */
export type Verdict =
  /** This process claims it. */
  | { readonly kind: 'begin' }
  /** One that is dead is taken to have begun it. */
  | { readonly kind: 'repeat'; readonly by: string }
  /** A claim that is there all the same would say who has it. */
  | { readonly kind: 'look' }
  /** Someone may say so yet, and is waited for. */
  | { readonly kind: 'doubt'; readonly doubtedUntilMs: number }
  /** This process goes on with it when the store is back. */
  | { readonly kind: 'stall' }
  /** Another process has it, or looks after it. Otherwise nobody here knows who has it, and `why` is told. */
  | { readonly kind: 'drop'; readonly why?: string }

/** Says what is to be done about an event; `undefined` for nothing. */
export type Judge = (kept: Readonly<Kept>, standing: MissedStanding, settings: MissedSettings) => Verdict | undefined

/** Where this process stands, as far as a {@link Judge} has to know. */
export type MissedStanding = Pick<
  Standing,
  'isIn' | 'isStoreUp' | 'table' | 'hasClaimsSince' | 'haveCaughtUpSince' | 'hasLivedSince' | 'hasReachedStoreSince'
>

/** What it goes by besides. */
export interface MissedSettings {
  readonly id: string
  readonly clock: Clock
  readonly keepMs: number
  readonly redoMs: number
  readonly claimMs: number
  readonly storeTimeoutMs: number
}

export const storeWasOut =
  'the store was out of reach, or this process stood still, and the owner may have served without a claim meanwhile'
const hasExpired = 'it came so long ago that its claim may have expired'
const takenForDead = 'the others had taken this process for dead, and may have handled it without a claim'

/**
 * The same event from the moment on in which the others go on without this process, `id`.
 *
 * @param hasTrace - whether the claims of that time are there yet
 */
export function countedOut(kept: Readonly<Kept>, id: string, hasTrace: boolean): Kept {
  const since = hasTrace ? kept.since : withoutTrace(kept.since)
  // The others have gone on as if its flow were gone.
  const out: Kept = { ...kept, since, wasOut: true, needsClaim: false, doubtedUntilMs: undefined }
  const isUnderWay = kept.state === 'claiming' || kept.state === 'stalled'
  return isUnderWay ? { ...out, state: 'stalled', by: id } : out
}

/**
 * An event that another process should have claimed. Only one who has reached the store all the while may claim it in its place at once:
 * had the store been out, the owner may have served without a claim.
 */
export function whenDue(kept: Readonly<Kept>, standing: MissedStanding, settings: MissedSettings): Verdict {
  const { isIn, isStoreUp } = standing
  const isFresh = !kept.wasOut && kept.lateByMs === 0
  const isTraced = isFresh || standing.hasClaimsSince(kept.since)
  const isUntouched = kept.needsClaim ? isStoreUp : standing.hasReachedStoreSince(kept.cameMs - kept.lateByMs)
  const isSure = isTraced && isUntouched && kept.doubtedUntilMs === undefined && !mayHaveExpired(kept, settings)
  if (isIn && isSure) return { kind: 'begin' }
  if (isIn && isStoreUp) return { kind: 'look' }
  // Its flow stays with another process, which waits for the store, too, and may die meanwhile.
  return isIn && kept.needsClaim ? { kind: 'stall' } : whenUnknown(kept)
}

/**
 * No claim says who has it, and one that was there when it came may have begun it all the same. Who has died since is taken to have begun
 * it; who is there, or has gone, has told the others in the table if it began any without claims.
 */
export function whenUntold(kept: Readonly<Kept>, standing: MissedStanding, settings: MissedSettings): Verdict {
  const { id, keepMs, storeTimeoutMs } = settings
  const { table } = standing
  const hasClaims = standing.hasClaimsSince(kept.since)
  const isOtherThere = othersSince(table, kept.since, id).length > 0
  if (isOtherThere && !hasClaims) return whenUnknown(kept)
  // To one that was out it may have come later than to the others, which are to claim it.
  const mayBeTheirs = isOtherThere && kept.wasOut && kept.doubtedUntilMs === undefined
  // Its copy comes `keepMs` later at most, and for so long a claim is tried, before an owner serves without one.
  const servedByMs = kept.cameMs + 2 * keepMs + storeTimeoutMs
  const among = kept.wasOut ? undefined : kept.members
  if (mayBeTheirs || !standing.haveCaughtUpSince(servedByMs, among)) return whenDoubted(kept, settings)
  // Who is back again can tell what it did.
  const dead = diedSince(table, kept.since).find((one) => one !== id && table.members[one] === undefined)
  if (dead !== undefined) return { kind: 'repeat', by: dead }
  if (mayHaveExpired(kept, settings)) return giveUp(hasExpired)
  return hasClaims ? { kind: 'begin' } : whenUnknown(kept)
}

/** Nobody has claimed it, as far as the store says, although this process had tried to, or was to take it up. */
export function whenUnclaimed(kept: Readonly<Kept>, standing: MissedStanding, settings: MissedSettings): Verdict {
  // This process tried to. Either the store was out, and the owner may have served without a claim; or that takes no claims.
  const hasTried = kept.by === settings.id && !kept.needsClaim
  const isRefused = kept.doubtedUntilMs !== undefined && standing.hasReachedStoreSince(kept.arrivedMs)
  if (mayHaveExpired(kept, settings)) return giveUp(hasExpired)
  if (hasTried && isRefused) return whenUnknown(kept)
  if (kept.wasOut) return whenDue(kept, standing, settings)
  return hasTried ? whenDoubted(kept, settings) : { kind: 'begin' }
}

/** It is too old to be run once more, unless whoever has it may have died with it, and nobody knows that yet: then it stays. */
export function whenOld(kept: Readonly<Kept>, standing: MissedStanding, settings: MissedSettings): Verdict | undefined {
  const { by, arrivedMs } = kept
  const livedMs = arrivedMs + settings.redoMs
  if (by === undefined || (!isGone(standing.table, by) && standing.hasLivedSince(by, livedMs))) return { kind: 'drop' }
  return mayHaveExpired(kept, settings) ? giveUp(hasExpired) : undefined
}

/** It is not for this process any more. That is told, unless another one has it, or is there to look after it. */
export function whenLeft(kept: Readonly<Kept>, standing: MissedStanding, settings: MissedSettings): Verdict {
  if (kept.state === 'theirs') return { kind: 'drop' }
  // Whoever is there may not have got it, or leaves it to this process, of whose claim it has heard.
  if (kept.wasOut || kept.state === 'stalled' || kept.doubtedUntilMs !== undefined) return whenUnknown(kept)
  if (kept.by === settings.id)
    return giveUp('this process had claimed it, and is none of those that share the token now')
  // Someone is there who was there when it came: that one has it, or looks after it.
  if (othersSince(standing.table, kept.since, settings.id).length > 0) return { kind: 'drop' }
  return giveUp('nobody else is there any more')
}

/** Nobody here knows who has begun it. */
export function whenUnknown(kept: Readonly<Kept>): Verdict {
  return giveUp(kept.wasOut ? takenForDead : storeWasOut)
}

/** One that is there may be about to claim it, or to tell that it has served without claims, or be dead, and nobody know it yet. */
function whenDoubted(kept: Readonly<Kept>, { clock, redoMs }: MissedSettings): Verdict {
  const { mayWait, doubtedUntilMs = clock.monotonic() + redoMs } = kept
  return mayWait && clock.monotonic() < doubtedUntilMs ? { kind: 'doubt', doubtedUntilMs } : whenUnknown(kept)
}

function giveUp(why: string): Verdict {
  return { kind: 'drop', why }
}

/** Whether the store may have had a claim of it, and has it no more. */
function mayHaveExpired(kept: Readonly<Kept>, { clock, keepMs, claimMs }: MissedSettings): boolean {
  const cameAgoMs = Math.max(clock.now() - kept.cameAt, clock.monotonic() - kept.cameMs)
  return cameAgoMs + kept.lateByMs >= claimMs - 2 * keepMs
}
