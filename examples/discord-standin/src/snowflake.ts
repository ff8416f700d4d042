/** Discord counts time from the first second of 2015. */
const discordEpochMs = 1_420_070_400_000
const idsPerMs = 4_096

/**
 * The snowflake of an instant.
 *
 * @param atMs - epoch ms; fractions are dropped
 * @param low - the low 22 bits: worker, process and counter
 * @see https://discord.com/developers/docs/reference#snowflakes
 */
export function snowflakeAt(atMs: number, low: number): string {
  return ((BigInt(Math.floor(atMs) - discordEpochMs) << 22n) | BigInt(low)).toString()
}

/** Gives out snowflakes that rise strictly, at most 4,096 of them for each millisecond, as one Discord worker does. */
export class SnowflakeSource {
  #atMs = 0
  #count = 0

  /** @param nowMs - epoch ms; when it has gone back, or this millisecond is used up, the last one or the next is taken */
  next(nowMs: number): string {
    const atMs = Math.max(Math.floor(nowMs), this.#atMs)
    if (atMs > this.#atMs) this.#start(atMs)
    else if (this.#count === idsPerMs) this.#start(atMs + 1)
    return snowflakeAt(this.#atMs, this.#count++)
  }

  #start(atMs: number): void {
    this.#atMs = atMs
    this.#count = 0
  }
}
