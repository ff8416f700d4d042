/**
 * What a version that is more than a function has: a process, a thread, a machine elsewhere. A lane that has these is called;
 * functions have none, for they are ready as soon as they are named, and hold nothing that could be given up.
 */
export interface LaneLife {
  /** Gets ready. Called again when it is ready already, which does nothing. */
  stage?(signal: AbortSignal): Promise<void>
  /** Is told, once and beforehand, whom to tell of its deaths, and that it is ready again by itself. */
  watch?(listener: { died(why: string): void; revived(): void }): void
  /** Gives up what it holds: no event comes any more, until it is staged again. */
  retire?(): void
}
