import type { Fault } from './faults.js'
import type { CommandOptions, Ledger } from './ledger.js'
import type { StandinGuild } from './world.js'

/** What a stand-in does, in this process ({@link DiscordStandin}) or in its own (`startStandin`). */
export interface Standin {
  /** The bot token to log in with. */
  readonly token: string
  /** The address for discord.js: `new Client({ rest: { api: standin.api } })`. */
  readonly api: string
  /** The guilds that the bot is in. */
  readonly guilds: readonly StandinGuild[]

  /**
   * Lets a member run a slash command.
   *
   * @returns the event's id, as soon as it was dispatched
   */
  command(request: CommandRequest): Promise<{ id: string }>

  /**
   * Lets a member press a button of a message that the bot sent.
   *
   * @returns the event's id, as soon as it was dispatched
   * @throws RangeError when there is no such message, it has no such button, that is disabled, or the member does not see it
   */
  press(request: PressRequest): Promise<{ id: string }>

  /** Lets a member run a slash command, or press a button, and waits for the answer, or for giving up on it. */
  ask(request: AskRequest): Promise<Answer>

  /** Starts a steady stream of commands from random guilds and members, in place of the one before. */
  traffic(plan: TrafficPlan): Promise<void>

  /**
   * Makes something go wrong.
   *
   * @returns the fault's id, to clear it by
   */
  inject(fault: Fault): Promise<{ id: string }>

  /**
   * Ends a fault that lasts; one that is over already is no mistake.
   *
   * @param id - all faults when absent
   */
  clear(id?: string): Promise<void>

  /** Everything seen so far. */
  ledger(query?: LedgerQuery): Promise<Ledger>

  /** Breaks every connection and stops listening, for good. May be called twice. */
  stop(): Promise<void>
}

/** A slash command to run. */
export interface CommandRequest {
  /** A random guild when absent. */
  readonly guildId?: string
  /** A random member of the guild when absent; anyone may be named. */
  readonly userId?: string
  /** `remind`, or `remind add` for a subcommand. */
  readonly name: string
  /** `{id}` in a string is replaced by the event's id. */
  readonly options?: CommandOptions
}

/** A button to press. */
export interface PressRequest {
  /** The message that it is on: `messageId` of an answer, or an id of `ledger.messages`. */
  readonly messageId: string
  readonly customId: string
  /** A random member of the guild when absent, or the one who alone sees the message; anyone may be named who sees it. */
  readonly userId?: string
}

/** A slash command to run or a button to press, and how long to wait for the answer. */
export type AskRequest = (CommandRequest | PressRequest) & {
  /** How long to wait for the answer after a deferral, in ms; 15,000 unless told otherwise. */
  readonly timeoutMs?: number
}

/** What the member saw. */
export interface Answer {
  readonly id: string
  /** `false`: "The application did not respond", or the deferral was never followed by an answer. */
  readonly answered: boolean
  /** The answer's text, `null` without an answer. */
  readonly content: string | null
  /** The message that says so, to press a button of; `null` without an answer. */
  readonly messageId: string | null
  readonly ephemeral: boolean
  /** Whether the bot deferred first. */
  readonly deferred: boolean
  /** From the command or the press to the answer, or to giving up. */
  readonly latencyMs: number
}

/** A stream of commands. */
export interface TrafficPlan {
  /** Commands per second, on average and without drift; `0` stops the stream. */
  readonly perSecond: number
  /** The commands to choose from. */
  readonly mix: readonly TrafficCommand[]
  /** How many arrive at the same moment, at the same average rate; 1 unless told otherwise. */
  readonly burst?: number
}

/** One kind of command in the stream. */
export interface TrafficCommand {
  readonly name: string
  /** Its share of the traffic, relative to the other weights. */
  readonly weight: number
  readonly options?: CommandOptions
}

/** Which part of the ledger. */
export interface LedgerQuery {
  /** Epoch ms: only events and messages from then on. */
  readonly since?: number
}
