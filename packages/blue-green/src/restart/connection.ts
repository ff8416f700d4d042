import type { Clock } from '../ports.js'
import { warn } from '../warn.js'

/** What a {@link Connection} is made of. */
export interface ConnectionSettings {
  readonly isConnected: (unitId?: string) => boolean
  readonly clock: Clock
  /** For how long it must have been up until what had been missed is here. */
  readonly graceMs: number
}

/**
 * The connection to the platform, by what its user says of it.
 *
 * @remarks
 * While it is down, what the platform sends waits in the session of this process. Nobody tells of that, so it is looked at with each sign of
 * life, and while something waits for it. A client may say that it is up right before it passes on the last of what it had missed.
 */
export class Connection {
  readonly #settings: ConnectionSettings
  /** When it was first seen up since it was down; `undefined` while it is down. */
  #upSinceMs: number | undefined = -Infinity
  /** When it was last seen down. */
  #downMs = -Infinity
  #isGivenUp = false
  #hasWarned = false

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
  }

  /** Asks whether it is up. */
  look(): void {
    const nowMs = this.#settings.clock.monotonic()
    if (!this.#ask()) {
      this.#upSinceMs = undefined
      this.#downMs = nowMs
      return
    }
    this.#upSinceMs ??= nowMs
    if (nowMs - this.#upSinceMs >= this.#settings.graceMs) this.#isGivenUp = false
  }

  /** Asks for how long it has been up, in ms; 0 while it is down. */
  upForMs(): number {
    this.look()
    return this.#upSinceMs === undefined ? 0 : this.#settings.clock.monotonic() - this.#upSinceMs
  }

  /** Asks whether what it had missed has come. */
  isSettled(): boolean {
    return this.upForMs() >= this.#settings.graceMs
  }

  /**
   * Asks whether an event of a guild that comes now may have waited for it. While one of several connections is down, what comes by the others is as
   * new as ever, as far as the user can tell them apart.
   */
  mayHaveKept(unitId: string | undefined): boolean {
    this.look()
    return this.#upSinceMs === undefined ? !this.#ask(unitId) : !this.isSettled()
  }

  /** Asks whether somebody who goes is to wait for it. */
  isAwaited(): boolean {
    return !this.isSettled() && !this.#isGivenUp
  }

  /** Whether it was seen down since then, and somebody who goes is to look after what had waited in the session. */
  wasCutOffSince(sinceMs: number): boolean {
    return !this.#isGivenUp && this.#downMs >= sinceMs
  }

  /** It has been waited for in vain, and is not any more until what it had missed has come. */
  giveUp(): void {
    this.#isGivenUp = true
  }

  /** Of one who does not say it, it is taken to be up: nobody may wait in vain. */
  #ask(unitId?: string): boolean {
    try {
      const is: unknown = this.#settings.isConnected(unitId)
      if (typeof is === 'boolean') return is
      throw new TypeError(`isConnected must return true or false, not ${typeof is}`)
    } catch (error) {
      if (!this.#hasWarned)
        warn('EVENKEEL_IS_CONNECTED', 'isConnected failed, and the connection is taken to be up', error)
      this.#hasWarned = true
      return true
    }
  }
}
