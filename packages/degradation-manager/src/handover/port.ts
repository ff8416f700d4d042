/** What a hand-over of one event comes with. */
export interface TakeOptions {
  /** The event's id: what was taken under the same key before is not done again. */
  readonly key: string
  /** Aborted when nobody waits for the answer any more. The event may be taken all the same. */
  readonly signal: AbortSignal
}

/**
 * Whoever takes events over from this bot: another bot, another process of this one, a queue. A port: `httpTaker` makes
 * one, and so can you.
 *
 * @typeParam Event - what is handed over; whatever crosses to another process must be plain data
 * @typeParam Answer - what it answers
 */
export interface EventTaker<Event, Answer = unknown> {
  /** What to call it in errors and events. */
  readonly name: string
  /**
   * Hands one event over.
   *
   * @returns what it answered; resolving means that the event is in its hands
   * @throws an error whose `applied` is `'no'` when it has not taken the event, and `'unknown'` when nobody knows
   */
  take(event: Event, options: TakeOptions): Promise<Answer>
  /**
   * Whether it would take an event, found out without handing one over; rejects when it would not. Drills ask this.
   *
   * @param options - `signal` is aborted when nobody waits any more
   */
  check(options: Pick<TakeOptions, 'signal'>): Promise<unknown>
}
