/** As much of a client of discord.js as {@link isConnected} looks at. */
export interface ConnectedClient {
  /** Whether it has logged in, and is not destroyed. */
  isReady(): boolean
  /** Its gateway. */
  readonly ws: ConnectedGateway
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
 * Whether a client has got what Discord has sent so far: all its shards are connected, and what they had missed has been replayed to
 * them. For the option `isConnected` of a `GaplessRestart`.
 *
 * *Gotchas*: a connection that is dead looks well until discord.js has noticed: two heartbeats without an answer, and 30 s for a farewell, some two minutes.
 *
 * @param client - a client of discord.js 14
 * @returns `false` while a shard is on its way back; `true` before the login and after `destroy()`, and of a shard that Discord does not let in again,
 * for there nothing comes
 *
 * @example
 * ```ts
 * import { isConnected } from '@evenkeel/blue-green/discord'
 *
 * const shards = new Map([[0, { status: 0 }]])
 * const client = { isReady: () => true, ws: { shards } } // new Client({ intents }), once it is ready
 * console.log(isConnected(client)) // => true
 * shards.set(0, { status: 8 }) // resuming
 * console.log(isConnected(client)) // => false
 * ```
 */
export function isConnected(client: ConnectedClient): boolean {
  return !client.isReady() || [...client.ws.shards.values()].every(({ status }) => !onTheWay.has(status))
}
