import type { EventContext } from '../context.js'
import { systemClock } from '../system-clock.js'
import type { AnyDiscordEvent } from './discord-event.js'

/** What an event of Discord is about: what `BlueGreen` and `GaplessRestart` want of `context`, and when it came. */
export interface DiscordContext extends EventContext {
  /** The kind and the id, such as `interactionCreate:1043`; `null` where Discord gives nothing that tells two events apart. */
  readonly eventId: string | null
  /** The guild; `null` in direct messages. */
  readonly guildId: string | null
  /** Who did it, where the event says so. */
  readonly userId: string | null
  /** When it came to this process, in epoch ms. */
  readonly receivedAt: number
}

/** An interaction of discord.js, passed whole: the one kind of object that comes only once. */
export interface WholeInteraction {
  /** Its id. */
  readonly id: string
  /** What it is answered with; no other object of Discord has one. */
  readonly token: string
  /** The guild; `null` in direct messages. */
  readonly guildId: string | null
  /** Who used the command or the component. */
  readonly user: {
    /** The id of the user. */
    readonly id: string
  }
}

/** An event as the gateway sends it: the `data` of the `dispatch` event of `@discordjs/ws`. */
export interface GatewayDispatch {
  /** The name, such as `INTERACTION_CREATE`. */
  readonly t: string
  /** The number in the session. */
  readonly s: number
  /** What it says. */
  readonly d: unknown
}

/** The few fields that are read, of whatever kind of object. */
interface Fields {
  readonly id?: string | null
  readonly code?: string | null
  readonly guildId?: string | null
  readonly guild?: Fields | null
  readonly user?: Fields | null
  readonly author?: Fields | null
  readonly member?: Fields | null
  readonly message?: Fields | null
  readonly userId?: string | null
  readonly editedTimestamp?: number | null
  readonly joinedTimestamp?: number | null
  readonly pinned?: boolean | null
  readonly embeds?: readonly unknown[] | null
}

type Text = string | null | undefined

const byId = ({ id }: Fields): Text => id

/** So soon after the edit an update is the edit, or what Discord made of it; later a message is pinned, and pinned no more. */
const editMs = 30_000

/**
 * What tells an event from all others of its kind.
 *
 * @remarks
 * Two rules. What can be undone and done again within minutes has no key: reactions, bans, leaving, voice. And only what Discord sends
 * counts, never what a process happens to have cached, for two processes have not cached the same.
 */
const keys: Readonly<Record<string, (subject: Fields, receivedAt: number) => Text | 0 | false>> = {
  interactionCreate: byId,
  messageCreate: byId,
  // Without a moment it was not edited, but pinned, or its links were looked up; long after an edit, so it was too.
  messageUpdate: ({ id, editedTimestamp, pinned, embeds }, receivedAt) =>
    editedTimestamp &&
    Math.abs(receivedAt - editedTimestamp) <= editMs &&
    `${id}:${editedTimestamp}:${Number(pinned ?? false)}:${embeds?.length ?? 0}`,
  messageDelete: byId,
  guildMemberAdd: (member) =>
    member.joinedTimestamp && `${guildOf(member)}:${userOf(member)}:${member.joinedTimestamp}`,
  guildAuditLogEntryCreate: byId,
  guildScheduledEventCreate: byId,
  guildScheduledEventDelete: byId,
  channelCreate: byId,
  channelDelete: byId,
  threadCreate: byId,
  threadDelete: byId,
  inviteCreate: ({ code }) => code,
  entitlementCreate: byId,
  entitlementDelete: byId,
}

/**
 * What an event of discord.js is about, for the `context` of a `BlueGreen` or a `GaplessRestart`.
 *
 * @remarks
 * The same event gets the same id in each process, and two events never get the same: the deletion of a message is not the message. Where
 * Discord gives nothing that tells two events apart (a reaction that was taken away and is given once more), `eventId` is `null`.
 *
 * @param event - what {@link forwardEvents} hands on, or an interaction itself
 * @returns picked fields, never the event
 * @throws TypeError when it is neither
 *
 * @example
 * ```ts
 * import { contextOf } from '@evenkeel/blue-green/discord'
 *
 * const interaction = { id: '1043', token: 'secret', guildId: '81384788765712384', user: { id: '53908099506183680' } }
 * console.log(contextOf(interaction).eventId) // => interactionCreate:1043
 * const message = { id: '1043', guildId: null, author: { id: '53908099506183680' } }
 * console.log(contextOf({ name: 'messageDelete', args: [message], receivedAt: 0 }).eventId) // => messageDelete:1043
 * ```
 */
export function contextOf<Event extends AnyDiscordEvent | WholeInteraction>(event: Event): DiscordContext {
  const { name, args, receivedAt, token } = Object(event) as Partial<AnyDiscordEvent & WholeInteraction>
  if (typeof name === 'string' && Array.isArray(args)) return pick(name, args, receivedAt ?? systemClock.now())
  if (typeof token === 'string') return pick('interactionCreate', [event], systemClock.now())
  throw new TypeError(
    'contextOf takes an interaction, or what forwardEvents hands on: any other object of discord.js comes more than once',
  )
}

/**
 * The same for an event as the gateway sends it, with the same ids: for an owner on `@discordjs/ws`.
 *
 * @param dispatch - the `data` of a `dispatch` event
 * @returns picked fields
 *
 * @example
 * ```ts
 * import { contextOfDispatch } from '@evenkeel/blue-green/discord'
 *
 * const dispatch = { t: 'MESSAGE_DELETE', s: 7, d: { id: '1043', channel_id: '3', guild_id: '81384788765712384' } }
 * console.log(contextOfDispatch(dispatch).eventId) // => messageDelete:1043
 * ```
 */
export function contextOfDispatch({ t, d }: GatewayDispatch): DiscordContext {
  const fields = camelCased(d)
  return pick(camelCase(t), [fields, fields], systemClock.now())
}

function pick(name: string, args: readonly unknown[], receivedAt: number): DiscordContext {
  const [first, second] = [Object(args[0]) as Fields, Object(args[1]) as Fields]
  // These listeners get what it was before, and then what it is.
  const subject = /Update$/.test(name) && args[1] ? second : first
  const key = Object.hasOwn(keys, name) ? keys[name]?.(subject, receivedAt) : undefined
  return {
    eventId: key ? `${name}:${key}` : null,
    // The listeners of an audit log get the guild itself as the second argument.
    guildId: guildOf(subject) ?? (name === 'guildAuditLogEntryCreate' ? second.id : undefined) ?? null,
    // Those of a reaction get the user so, and those of a voice state a thing whose id is that of the user.
    userId: userOf(subject) ?? (/^(messageReaction|voiceState)/.test(name) ? second.id : undefined) ?? null,
    receivedAt,
  }
}

function guildOf({ guildId, guild, message }: Fields): Text {
  return guildId ?? guild?.id ?? message?.guildId
}

function userOf({ userId, user, author, member }: Fields): Text {
  return userId ?? user?.id ?? author?.id ?? member?.user?.id
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** The names that discord.js has for them. */
function camelCased(data: unknown): Fields {
  const given = Object(data) as Record<string, unknown>
  const renamed = Object.fromEntries(Object.entries(given).map(([name, value]) => [camelCase(name), value]))
  const at = (value: unknown): number | null => (typeof value === 'string' ? Date.parse(value) : null)
  return { ...renamed, editedTimestamp: at(given['edited_timestamp']), joinedTimestamp: at(given['joined_at']) }
}
