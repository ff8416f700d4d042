/** An event of discord.js as {@link forwardEvents} hands it on: a name, what its listeners get, and how long an answer may take. */
export interface AnyDiscordEvent {
  /** As discord.js calls it: `interactionCreate`. */
  readonly name: string
  /** What its listeners get. */
  readonly args: readonly unknown[]
  /** When it came to this process, in epoch ms. */
  readonly receivedAt: number
  /**
   * How much is left of the time in which Discord takes an answer, in ms, at this moment; 0 when it is over, `Infinity` for an event that is
   * not an interaction. `forwardEvents` sees to it.
   */
  readonly remainingMs?: (() => number) | undefined
}

/**
 * The events of a client by name, with the types of its listeners:
 * `DiscordEvent<ClientEvents, 'interactionCreate' | 'messageCreate'>`.
 */
export type DiscordEvent<Events, Name extends keyof Events & string> = {
  [Each in Name]: {
    /** As discord.js calls it. */
    readonly name: Each
    /** What its listeners get. */
    readonly args: Events[Each] extends readonly unknown[] ? Events[Each] : never
    /** When it came to this process, in epoch ms. */
    readonly receivedAt: number
    /** How much is left of the time in which Discord takes an answer, in ms; `Infinity` where there is no such time. */
    readonly remainingMs: () => number
  }
}[Name]
