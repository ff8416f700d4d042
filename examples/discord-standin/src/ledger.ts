/** The options of a slash command, by name. */
export type CommandOptions = Readonly<Record<string, string | number | boolean>>

/** Everything the stand-in saw, as plain JSON. All times are epoch ms of one clock that never goes back. */
export interface Ledger {
  /** When this was written. */
  readonly now: number
  /** One for each command that a member ran and each button that one pressed, oldest first. */
  readonly events: readonly LedgerEvent[]
  /** One for each message created in a channel; answers to commands and presses are not among them. */
  readonly messages: readonly LedgerMessage[]
  /** One for each message that was asked for again and, thanks to its enforced nonce, not created again. */
  readonly repeatedNonces: readonly RepeatedNonce[]
  /** REST answers counted by status (`'200'`, `'429'`), and calls left without one: `hung` and `reset`. */
  readonly rest: Readonly<Record<string, number>>
  readonly gateway: LedgerGateway
}

/** A command or a press, and what became of it. */
export interface LedgerEvent {
  /** The interaction's id. */
  readonly id: string
  readonly guildId: string
  readonly channelId: string
  readonly userId: string
  /** The command that was run; absent when a button was pressed. */
  readonly command?: string
  /** The button that was pressed; absent when a command was run. */
  readonly press?: LedgerPress
  /** Of the command; empty for a press. */
  readonly options: CommandOptions
  readonly sentAt: number
  /**
   * How often it was written to a bot's socket: once for each session, once more for each replay and duplicate. Zero
   * means that no bot ever got it: there was no session, or its session ended before it came back.
   */
  readonly deliveries: number
  /** When it was first written to a socket. */
  readonly deliveredAt?: number
  /** Every attempt to answer first, the refused ones too. */
  readonly attempts: readonly LedgerAttempt[]
  /** When an answer or a deferral was accepted. */
  readonly acknowledgedAt?: number
  /** Whether it was a deferral. */
  readonly deferred?: boolean
  /** When the member could read the answer. */
  readonly answeredAt?: number
  /**
   * What the member reads: the accepted answer, or what replaced the deferral; later edits change it. Of a press, that is a new message, or
   * the one with the button as it was changed.
   */
  readonly answer?: string
  /** The message that says so. */
  readonly messageId?: string
  /** Whether only that member can see the answer. */
  readonly ephemeral?: boolean
  readonly followUps: readonly LedgerFollowUp[]
}

/** Which button was pressed. */
export interface LedgerPress {
  /** The message that it is on. */
  readonly messageId: string
  readonly customId: string
}

/** One call of the interaction's callback. */
export interface LedgerAttempt {
  readonly at: number
  /**
   * `4` answers with a message, `5` defers. Of a press, `7` changes the message with the button, `6` defers that. `0` when the request named
   * none.
   */
  readonly type: number
  /** The HTTP status given: 200 or 204 when accepted. */
  readonly status: number
  /** Discord's error code when it was refused: 10062 too late, 40060 already acknowledged. */
  readonly code?: number
  readonly content?: string
  readonly ephemeral?: boolean
}

/** A message that the bot added to its answer. */
export interface LedgerFollowUp {
  readonly id: string
  readonly at: number
  readonly content: string
  readonly ephemeral: boolean
}

/** A message that the bot created in a channel. */
export interface LedgerMessage {
  readonly id: string
  readonly channelId: string
  readonly guildId: string
  readonly content: string
  readonly nonce?: string
  readonly at: number
}

/** A message asked for again. */
export interface RepeatedNonce {
  readonly at: number
  readonly nonce: string
  /** The message that was created the first time, and was given back. */
  readonly messageId: string
  readonly channelId: string
}

/** What happened at the gateway. */
export interface LedgerGateway {
  readonly identifies: number
  readonly resumes: number
  /** Sessions that a bot asked to resume and could not. */
  readonly refusedResumes: number
  /** Connections turned away by the fault `refuse-gateway`. */
  readonly refusedConnections: number
  /** Ended connections counted by close code; 1006 is one that broke. */
  readonly closes: Readonly<Record<string, number>>
  /** Sessions now connected. */
  readonly connected: number
}

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] }

/** An event still being written. */
export type EventRecord = Writable<LedgerEvent>

/** Writes the ledger. Grows for as long as the stand-in runs: it is evidence, and none of it is thrown away. */
export class LedgerKeeper {
  readonly #now: () => number
  readonly #events: EventRecord[] = []
  readonly #messages: LedgerMessage[] = []
  readonly #repeatedNonces: RepeatedNonce[] = []
  readonly #rest = new Map<string, number>()
  readonly #closes = new Map<string, number>()
  identifies = 0
  resumes = 0
  refusedResumes = 0
  refusedConnections = 0

  constructor(now: () => number) {
    this.#now = now
  }

  event(
    sent: Pick<EventRecord, 'id' | 'guildId' | 'channelId' | 'userId' | 'command' | 'press' | 'options' | 'sentAt'>,
  ): EventRecord {
    const record: EventRecord = { ...sent, deliveries: 0, attempts: [], followUps: [] }
    this.#events.push(record)
    return record
  }

  /** It was written to a socket. */
  delivered(event: EventRecord): void {
    event.deliveries++
    event.deliveredAt ??= this.#now()
  }

  /** The bot created a message. */
  message(created: LedgerMessage): void {
    this.#messages.push(created)
  }

  /** The bot asked for a message again. */
  repeatedNonce(repeated: RepeatedNonce): void {
    this.#repeatedNonces.push(repeated)
  }

  /** A REST call ended. */
  rest(outcome: string): void {
    this.#rest.set(outcome, (this.#rest.get(outcome) ?? 0) + 1)
  }

  /** A gateway connection ended. */
  closed(code: number): void {
    this.#closes.set(String(code), (this.#closes.get(String(code)) ?? 0) + 1)
  }

  /**
   * The ledger as it stands.
   *
   * @param sinceMs - epoch ms: events and messages from then on; the counts are always of the whole
   */
  read(connected: number, sinceMs = 0): Ledger {
    return {
      now: this.#now(),
      // What is listed in an event is never changed, only the event itself and its lists.
      events: this.#events
        .filter((event) => event.sentAt >= sinceMs)
        .map((event) => ({ ...event, attempts: [...event.attempts], followUps: [...event.followUps] })),
      messages: this.#messages.filter((message) => message.at >= sinceMs),
      repeatedNonces: this.#repeatedNonces.filter((repeated) => repeated.at >= sinceMs),
      rest: Object.fromEntries(this.#rest),
      gateway: {
        identifies: this.identifies,
        resumes: this.resumes,
        refusedResumes: this.refusedResumes,
        refusedConnections: this.refusedConnections,
        closes: Object.fromEntries(this.#closes),
        connected,
      },
    }
  }
}
