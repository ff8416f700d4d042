/** How a stand-in is made. */
export interface StandinOptions {
  /** How many guilds the bot is in. */
  readonly guilds?: number
  /** What HELLO tells; Discord itself says 41,250. */
  readonly heartbeatIntervalMs?: number
  /** Ids of guilds and people, and the order of traffic, are the same for the same seed. */
  readonly seed?: number
  /** How late the first answer to a command or a press may come. */
  readonly ackDeadlineMs?: number
  /** The port to listen on, always on 127.0.0.1; `0` takes a free one. */
  readonly port?: number
}

/** What holds unless told otherwise. */
export const standinDefaults: Required<StandinOptions> = {
  guilds: 10,
  heartbeatIntervalMs: 5_000,
  seed: 1,
  ackDeadlineMs: 3_000,
  port: 0,
}

/**
 * Fills in the defaults.
 *
 * @throws RangeError when a number makes no sense
 */
export function settle(options: StandinOptions): Required<StandinOptions> {
  const settled = { ...standinDefaults, ...options }
  validate(settled)
  return settled
}

function validate({ guilds, heartbeatIntervalMs, ackDeadlineMs, seed, port }: Required<StandinOptions>): void {
  if (!Number.isInteger(guilds) || guilds < 1)
    throw new RangeError(`guilds must be a whole number above 0, not ${guilds}`)
  if (!Number.isInteger(seed)) throw new RangeError(`seed must be a whole number, not ${seed}`)
  if (!(heartbeatIntervalMs > 0))
    throw new RangeError(`heartbeatIntervalMs must be above 0, not ${heartbeatIntervalMs}`)
  if (!(ackDeadlineMs > 0)) throw new RangeError(`ackDeadlineMs must be above 0, not ${ackDeadlineMs}`)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new RangeError(`port must be 0 to 65535, not ${port}`)
}
