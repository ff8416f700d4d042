import { bucketOf } from './bucketing.js'
import { murmur3 } from './murmur3.js'

/** The identifier of a guild or a user: a string, or a BigInt or a safe integer that is read as its decimal digits. */
export type Id = string | number | bigint

/** Facts about whoever asks, by name. */
export type Attributes = Readonly<Record<string, unknown>>

/**
 * For whom a flag is asked.
 *
 * @remarks
 * A chat library's own object, such as a discord.js interaction, is refused by the compiler: it may have a `guildId`
 * but keeps its user elsewhere, so half of it would be lost without a word.
 */
export interface FlagContext {
  /** The community that the bot serves: a Discord guild, a Telegram group, a Slack workspace. `null` counts as absent. */
  readonly guildId?: Id | null | undefined
  /** The person. `null` counts as absent. */
  readonly userId?: Id | null | undefined
  /** Facts that targeting rules ask for: texts, numbers, truths and dates. Others count as absent. */
  readonly attributes?: Attributes | undefined
  /** Refused: pass `{ guildId, userId }`, not the object of a chat library. */
  readonly client?: never
  /** Refused: pass `{ guildId, userId }`, not the object of a chat library. */
  readonly id?: never
  /** Refused: pass `{ guildId, userId }`, not the object of a chat library. */
  readonly user?: never
}

/** A guild, as the target of an override. */
export interface GuildTarget {
  /** The guild's id. */
  readonly guildId: Id
  /** An override is for one of the two. */
  readonly userId?: undefined
}

/** A user, as the target of an override. */
export interface UserTarget {
  /** The user's id. */
  readonly userId: Id
  /** An override is for one of the two. */
  readonly guildId?: undefined
}

/** For whom an override is: one guild or one user. */
export type OverrideTarget = GuildTarget | UserTarget

/** What a percentage is a share of. */
export type BucketBy = 'guild' | 'user'

/** A context with its ids checked, and each hashed at most once. */
export class Subject {
  readonly guildId: string | undefined
  readonly userId: string | undefined
  readonly attributes: Attributes | undefined
  #guildHash: number | undefined
  #userHash: number | undefined

  constructor(context: FlagContext | undefined) {
    this.guildId = guildIdOf(context)
    this.userId = userIdOf(context)
    this.attributes = context?.attributes
  }

  /** The hash of the id that counts; `undefined` without one. */
  idHash(by: BucketBy): number | undefined {
    if (by === 'guild' && this.guildId !== undefined) return (this.#guildHash ??= murmur3(this.guildId))
    return this.userId === undefined ? undefined : (this.#userHash ??= murmur3(this.userId))
  }

  /** Where this subject stands in the order of a salt; `undefined` without an id. */
  bucket(by: BucketBy, saltHash: number): number | undefined {
    const idHash = this.idHash(by)
    return idHash === undefined ? undefined : bucketOf(idHash, saltHash)
  }
}

/** The guild of a context. @throws TypeError, RangeError as {@link idText} does, or when it is no context */
export function guildIdOf(context: FlagContext | undefined): string | undefined {
  if (context === undefined) return undefined
  if (typeof context !== 'object' || context === null) refuseContext(context)
  const id = context.guildId
  if (id === undefined) return undefined
  return typeof id === 'string' && id.length > 0 ? id : idText(id, 'guildId')
}

/** The user of a context. @throws TypeError, RangeError as {@link idText} does */
export function userIdOf(context: FlagContext | undefined): string | undefined {
  const id = context?.userId
  if (id === undefined) return undefined
  return typeof id === 'string' && id.length > 0 ? id : idText(id, 'userId')
}

// What is rare stands apart: the compiler then takes what is left into the function that asks.
function refuseContext(context: unknown): never {
  throw new TypeError(`A context is { guildId?, userId? }, not ${describe(context)}`)
}

/**
 * @throws TypeError when it is no id at all
 * @throws RangeError when it is a number that may have lost digits
 */
export function idText(id: Id | null | undefined, field: 'guildId' | 'userId'): string | undefined {
  if (typeof id === 'string' && id !== '') return id
  if (id === undefined || id === null) return undefined
  if (typeof id === 'bigint') return String(id)
  if (typeof id === 'number') {
    if (Number.isSafeInteger(id)) return String(id)
    throw new RangeError(`${field} ${id} is a number that cannot hold every digit of an id; pass a string or a BigInt`)
  }
  throw new TypeError(`${field} must be a string, a BigInt or a whole number, not ${describe(id)}`)
}

function describe(value: unknown): string {
  if (value === '') return 'an empty string'
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`
}
