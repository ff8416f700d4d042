import type { Table } from './records.js'

/** How an event came: what tells later who may have begun it, where no claim does. */
export interface Arrival {
  /** On the wall clock, by which claims expire. */
  readonly cameAt: number
  /** The same on the monotonic one, which stands still with its machine. */
  readonly cameMs: number
  /** For how long it may have waited before it came, in ms: in the session, while the connection was down. */
  readonly lateByMs: number
  /** What was so when it was sent, or before; for what came while this process was taken for dead, what was so before that. */
  readonly since: Table
  /** Who may have got it, too, unless `wasOut`. */
  readonly members: readonly string[]
  /** Whether it came while this process was taken for dead, or before. */
  readonly wasOut: boolean
}

/** An event that came to this process, and does not run here, and may have to. */
export interface Kept extends Arrival {
  readonly eventId: string
  /** The guild, or the user of a direct message. */
  readonly unitId: string | undefined
  /** The flow that it belongs to. */
  readonly pin: string | undefined
  readonly event: never
  /** Since when it has waited as it does now. */
  readonly arrivedMs: number
  /** Not before that it is begun here. */
  readonly heldUntilMs: number
  /**
   * Whether it was for this process when it was sent, and had been for a while. Otherwise the one before may have begun it, and only the
   * store can tell.
   */
  readonly isOwn: boolean
  /** Whether nobody begins it without a claim, as all who might do so knew when it came. That holds whatever becomes of its flow. */
  readonly needsClaim: boolean
  /** Settles what `handle` returned. */
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
  /**
   * `waiting`: another process should claim it. `claiming`: this one does. `stalled`: this one goes on with it when the store is back,
   * or the others count it in again. `theirs`: another one has it. It is gone from here once it runs here, or is known to be done.
   */
  state: 'waiting' | 'claiming' | 'stalled' | 'theirs'
  /** Who has claimed it; this process, too, where it may have. */
  by: string | undefined
  /** Who had claimed it before this process did. */
  former: string | undefined
  /** Set once it waits for those who may have begun it without a claim to give a sign of life, or to be found dead: until when at most. */
  readonly doubtedUntilMs: number | undefined
  /** Whether it may wait for them at all: not once room must be made. */
  mayWait: boolean
}
