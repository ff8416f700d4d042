import type { Labels, Severity } from './alert.js'
import { fingerprintOf } from './fingerprint.js'
import type { Kept } from './spool/spool.js'
import type { AlertState } from './transitions.js'

/** What a {@link RaisedAlert} asks. */
export interface RaisedAlertHost {
  state(key: string): AlertState | undefined
  resolve(key: string, message: string | undefined): boolean
  stored(): Promise<Kept>
}

/** An alert that was raised. It follows the alert, however often it is raised. */
export class RaisedAlert {
  /** Its name. */
  readonly name: string
  /** What it is about. */
  readonly labels: Labels
  readonly #key: string
  readonly #host: RaisedAlertHost

  /** @internal */
  constructor(taken: { key: string; name: string; labels: Labels }, host: RaisedAlertHost) {
    this.name = taken.name
    this.labels = taken.labels
    this.#key = taken.key
    this.#host = host
  }

  /** Made from the name and the labels: the same for the same alert, after a restart too. */
  get fingerprint(): string {
    return fingerprintOf(this.#key)
  }

  /** Whether it has begun and not ended. */
  get isFiring(): boolean {
    return this.#host.state(this.#key)?.status === 'firing'
  }

  /** How often it has happened since it began; 0 when it is not known any more. */
  get count(): number {
    return this.#host.state(this.#key)?.count ?? 0
  }

  /** The worst severity since it began; `undefined` when it is not known any more. */
  get severity(): Severity | undefined {
    return this.#host.state(this.#key)?.severity
  }

  /**
   * Ends it.
   *
   * @param message - what people are told; without it, what it last said
   * @returns whether it had begun
   */
  resolve(message?: string): boolean {
    return this.#host.resolve(this.#key, message)
  }

  /**
   * Waits until it is certain that it is not lost.
   *
   * @returns `disk` when it survives a crash; `memory` when there is no disk, or it does not work
   */
  stored(): Promise<'disk' | 'memory'> {
    return this.#host.stored()
  }
}
