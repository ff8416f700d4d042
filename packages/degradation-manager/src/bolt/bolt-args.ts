/** What a listener or a middleware of Bolt gets, as far as the gate needs it. What Bolt does not give may be missing. */
export interface BoltArgs {
  /** What Slack has sent. */
  readonly body: object
  /** Tells Slack that it has arrived; with something to show, for a slash command. */
  readonly ack?: ((response: never) => Promise<void>) | undefined
  /** Says something where the command was given. */
  readonly respond?: ((message: never) => Promise<unknown>) | undefined
  /** Says something in the channel. */
  readonly say?: ((message: never) => Promise<unknown>) | undefined
  /** The Web API, to show a form where there is no other way to answer, as after a shortcut. */
  readonly client?: object | undefined
  /** Goes on to whoever is next. */
  readonly next: () => Promise<void> | void
}

/** What is read from a body, where it has it. */
export interface SlackBody {
  readonly type?: unknown
  readonly command?: unknown
  readonly team_id?: unknown
  readonly team?: unknown
  readonly user_id?: unknown
  readonly user?: unknown
  readonly event?: unknown
  readonly view?: unknown
  readonly trigger_id?: unknown
}

/** Takes what Slack takes: the types of Bolt allow each kind of listener another answer. */
export type Answer = (response?: unknown) => Promise<unknown>

/** The text of an `id` field, or of a field that is the id. */
export function idOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  const { id } = (typeof value === 'object' && value !== null ? value : {}) as { id?: unknown }
  return typeof id === 'string' ? id : undefined
}
