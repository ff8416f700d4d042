/** As much of a client of discord.js as {@link isConnected} looks at. */
export interface ConnectedClient {
  /** Whether it has logged in, and is not destroyed. */
  isReady(): boolean
  /** Its gateway. */
  readonly ws: ConnectedGateway
  /** Its guilds, which say by which shard their events come. */
  readonly guilds?: ConnectedGuilds
}

/** The guilds of a client of discord.js. */
export interface ConnectedGuilds {
  /** Those that it knows, each by its id. */
  readonly cache: ReadonlyMap<string, ConnectedGuild>
}

/** A guild of a client of discord.js. */
export interface ConnectedGuild {
  /** The number of the shard by which its events come. */
  readonly shardId: number
}

/** The gateway of a client of discord.js. */
export interface ConnectedGateway {
  /** Its connections, each by the number of its shard. */
  readonly shards: ReadonlyMap<number, ConnectedShard>
}

/** One connection of a client of discord.js. */
export interface ConnectedShard {
  /** Of the `Status` of discord.js; 0 is ready. */
  readonly status: number
}

/** Of `Status` of discord.js 14: connecting, reconnecting, identifying, resuming. The others have nothing to come, or nothing that ever comes. */
const onTheWay: ReadonlySet<number> = new Set([1, 2, 7, 8])

/**
 * Whether a client has got what Discord has sent so far: all its shards are connected, or that of one guild, and what they had missed has been replayed to
 * them. For the option `isConnected` of a `GaplessRestart`.
 *
 * *Gotchas*: a connection that is dead looks well until discord.js has noticed: two heartbeats without an answer, and 30 s for a farewell, some two minutes.
 *
 * @param client - a client of discord.js 14
 * @param guildId - asks for the shard of a guild alone; for all where the client does not know it, as in direct messages
 * @returns `false` while a shard is on its way back; `true` before the login and after `destroy()`, and of a shard that Discord does not let in again,
 * for there nothing comes
 *
 * @example
 * ```ts
 * import { isConnected } from '@evenkeel/blue-green/discord'
 *
 * const shards = new Map([
 *   [0, { status: 0 }],
 *   [1, { status: 0 }],
 * ])
 * const client = { isReady: () => true, ws: { shards } } // new Client({ intents }), once it is ready
 * console.log(isConnected(client)) // => true
 * shards.set(1, { status: 8 }) // resuming
 * console.log(isConnected(client)) // => false
 * console.log(isConnected({ ...client, guilds: { cache: new Map([['7', { shardId: 0 }]]) } }, '7')) // => true
 * ```
 */
export function isConnected(client: ConnectedClient, guildId?: string): boolean {
  if (!client.isReady()) return true
  const { shards } = client.ws
  const one = guildId === undefined ? undefined : shards.get(client.guilds?.cache.get(guildId)?.shardId ?? -1)
  const asked = one === undefined ? [...shards.values()] : [one]
  return asked.every(({ status }) => !onTheWay.has(status))
}
