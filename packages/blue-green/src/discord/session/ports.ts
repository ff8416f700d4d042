import type { GatewayDispatch } from '../context-of.js'

/** A session with Discord, as `@discordjs/ws` has it. */
export interface SessionInfo {
  /** Which session. */
  readonly sessionId: string
  /** Where it is resumed. */
  readonly resumeURL: string
  /** The number from which on events are sent again. */
  readonly sequence: number
  /** Which shard it is of. */
  readonly shardId: number
  /** How many shards the bot had when it identified. */
  readonly shardCount: number
}

/** A `WebSocketManager` of `@discordjs/ws`, as far as it is used. */
export interface GatewayManager {
  /** Calls the listener on each event of the gateway. */
  on(
    event: 'dispatch',
    listener: (payload: {
      /** The event. */
      readonly data: GatewayDispatch
      /** Whose it is. */
      readonly shardId: number
    }) => void,
  ): unknown
  /** Opens the connections; resolves when all sessions are ready or resumed. */
  connect(): Promise<void>
  /** Closes the connections, with a code that leaves the sessions alive. */
  destroy(options: {
    /** The code. */
    readonly code: number
    /** In words. */
    readonly reason: string
  }): PromiseLike<void> | void
}
