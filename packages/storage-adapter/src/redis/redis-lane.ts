/** A write on its way. */
export interface Write {
  /** Sends it by the name of its script, or with the script itself. */
  readonly send: (withScript: boolean) => void
  /** It was not applied, and must not be any more, as a later one that it meets was. */
  readonly drop: () => void
  /** Whether the order of the two matters. */
  readonly meets: (other: Write) => boolean
}

/**
 * Keeps writes in the order in which they were given, also when the server has forgotten their script. Writes are sent
 * without waiting for each other, so by the time one is refused for that, others may be on their way, and may be taken:
 * another process may have brought the script meanwhile.
 */
export class RedisLane {
  /** How many were sent and not answered yet. */
  #sent = 0
  /** Those that were refused, until all that was sent is answered. */
  #refused: Write[] = []
  /** Those that came meanwhile. */
  #held: Write[] = []

  add(write: Write): void {
    if (this.#isHolding) {
      this.#held.push(write)
      return
    }
    this.#sent++
    write.send(false)
  }

  /** The server has dealt with it, or the connection is lost. */
  answered(write: Write): void {
    this.#sent--
    if (!this.#isHolding) return
    const isOvertaken = (earlier: Write): boolean => earlier.meets(write)
    for (const earlier of this.#refused.filter(isOvertaken)) earlier.drop()
    this.#refused = this.#refused.filter((earlier) => !isOvertaken(earlier))
    this.#goOn()
  }

  /** The server does not know its script. */
  refused(write: Write): void {
    this.#sent--
    this.#refused.push(write)
    this.#goOn()
  }

  get #isHolding(): boolean {
    return this.#refused.length > 0 || this.#held.length > 0
  }

  #goOn(): void {
    if (this.#sent > 0) return
    const refused = this.#refused
    const held = this.#held
    this.#refused = []
    this.#held = []
    this.#sent = refused.length
    for (const write of refused) write.send(true)
    for (const write of held) this.add(write)
  }
}
