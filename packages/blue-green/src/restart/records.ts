import { StateFormatError } from '../errors.js'

/** One process of the bot, as the others see it. Plain JSON. */
export interface Member {
  readonly version: string
  /** Goes up with each sign of life. */
  readonly beat: number
  /** The newest epoch by which this process acts. */
  readonly acked: number
  /** Whether it may be given the events: it has said so by taking over once. */
  readonly isReady: boolean
  /** The keys of the flows that stay with it, whoever owns the events; absent while nobody else is there, or it has none. */
  readonly pins?: readonly string[]
  /** The epoch from which on they are all there, or more. */
  readonly pinsEpoch?: number
}

/** A part of the guilds that another process has in the owner's place. Plain JSON. */
export interface Share {
  /** Who has it; also the salt that says which guilds are in it. */
  readonly to: string
  /** From 0 up to but not including 100. */
  readonly percentage: number
  /** Guilds, and users of direct messages, that are in it whatever the percentage. */
  readonly first: readonly string[]
}

/** Who has which guilds, from an epoch on. Plain JSON. */
export interface Holding {
  readonly owner: string | null
  readonly share: Share | null
  /** The epoch of this change of owner or share. */
  readonly ownerEpoch: number
}

/** Who is there, and who owns the events: the one record by which the processes agree. Plain JSON. */
export interface Table extends Holding {
  readonly format: 1
  /** Goes up whenever someone comes, goes, or takes over. */
  readonly epoch: number
  /** What was so before, oldest first: whatever a member may still act by that has not acknowledged the last change. */
  readonly past: readonly Holding[]
  /** Why the last change of owner or share was made, if someone has said so. */
  readonly why: string | null
  readonly members: Readonly<Record<string, Member>>
  /** Those who went by themselves, the last of them: nobody has to finish what they began. */
  readonly left: readonly string[]
  /** Those who were taken for dead, the last of them. */
  readonly died: readonly string[]
  /**
   * The epoch at which a process last said that it handles events without claims, as it is alone, or that it has done so, as the store was
   * out; 0 where none has.
   */
  readonly quietEpoch: number
}

/** That a process handles an event, or has. Plain JSON. */
export interface ClaimRecord {
  readonly format: 1
  readonly by: string
  /** 1, or 2 when the first process died with it. */
  readonly attempt: number
  readonly done: boolean
}

export const noTable: Table = {
  format: 1,
  epoch: 0,
  owner: null,
  share: null,
  ownerEpoch: 0,
  past: [],
  why: null,
  members: {},
  left: [],
  died: [],
  quietEpoch: 0,
}

/** @throws {@link StateFormatError} when it was written by a newer release, or by something else */
export function readTable(key: string, value: unknown): Table {
  const { format, epoch, past, why, members, left, died, quietEpoch } = Object(value) as Partial<Table>
  const isOurs =
    format === 1 &&
    isWhole(epoch) &&
    isHolding(value) &&
    Array.isArray(past) &&
    past.every(isHolding) &&
    (why === null || typeof why === 'string') &&
    Array.isArray(left) &&
    Array.isArray(died) &&
    isWhole(quietEpoch) &&
    typeof members === 'object' &&
    members !== null &&
    Object.values(members).every(isMember)
  if (!isOurs) throw malformed(key, format)
  return value as Table
}

function isMember(value: unknown): boolean {
  const { version, beat, acked, isReady, pins = [], pinsEpoch = 0 } = Object(value) as Partial<Member>
  return (
    typeof version === 'string' &&
    isWhole(beat) &&
    isWhole(acked) &&
    typeof isReady === 'boolean' &&
    Array.isArray(pins) &&
    pins.every((key) => typeof key === 'string') &&
    isWhole(pinsEpoch)
  )
}

function isWhole(given: unknown): boolean {
  return Number.isSafeInteger(given)
}

function isHolding(value: unknown): boolean {
  const { owner, share, ownerEpoch } = Object(value) as Partial<Holding>
  return (owner === null || typeof owner === 'string') && (share === null || isShare(share)) && isWhole(ownerEpoch)
}

function isShare(share: Share | undefined): boolean {
  const { to, percentage, first } = Object(share) as Partial<Share>
  return (
    typeof to === 'string' &&
    typeof percentage === 'number' &&
    percentage >= 0 &&
    percentage < 100 &&
    Array.isArray(first)
  )
}

/** @throws {@link StateFormatError} when it was written by a newer release, or by something else */
export function readClaim(key: string, value: unknown): ClaimRecord {
  const { format, by, attempt, done } = Object(value) as Partial<ClaimRecord>
  const isOurs = format === 1 && typeof by === 'string' && Number.isSafeInteger(attempt) && typeof done === 'boolean'
  if (!isOurs) throw malformed(key, format)
  return value as ClaimRecord
}

function malformed(key: string, format: unknown): StateFormatError {
  const found = typeof format === 'number' ? format : undefined
  const why = found === 1 ? 'a field is missing or malformed' : `it has format ${String(format)}`
  return new StateFormatError(key, found, 1, why)
}
