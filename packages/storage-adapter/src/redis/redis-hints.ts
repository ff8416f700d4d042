import type { Clock } from '../ports.js'
import type { RedisConnection } from './redis-connection.js'

/** How long to wait before a lost subscription is begun anew, in milliseconds. */
const RETRY_MS = 500

/** What {@link RedisHints} works with. */
export interface HintsOptions {
  readonly clock: Clock
  readonly channel: string
  /** Connects. */
  dial(onEnd: (connection: RedisConnection) => void): Promise<RedisConnection>
}

/**
 * Wakes who waits for changes, by a subscription on a connection of its own that exists only while somebody waits.
 * Messages are lost with a connection, so whoever waits is also woken when it is lost and when there is a new one.
 */
export class RedisHints {
  readonly #options: HintsOptions
  readonly #wakes = new Set<() => void>()
  #connection: RedisConnection | undefined
  #connecting: Promise<void> | undefined
  #cancelRetry: () => void = () => undefined
  #isOpen = false

  constructor(options: HintsOptions) {
    this.#options = options
  }

  /** Whether hints come now. */
  get isSubscribed(): boolean {
    return this.#connection?.isOpen === true
  }

  add(wake: () => void): () => void {
    // Another function for each caller, as the same one may be given twice.
    const own = (): void => wake()
    this.#wakes.add(own)
    this.#begin()
    return () => {
      this.#wakes.delete(own)
      if (this.#wakes.size === 0) this.#end()
    }
  }

  /** From now on the server may be connected to. */
  open(): void {
    this.#isOpen = true
    this.#begin()
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#end()
    await this.#connecting
  }

  #begin(): void {
    if (!this.#isNeeded || this.#connection !== undefined || this.#connecting !== undefined) return
    this.#cancelRetry()
    this.#connecting = this.#subscribe().then(
      () => void (this.#connecting = undefined),
      () => {
        this.#connecting = undefined
        this.#retry()
      },
    )
  }

  get #isNeeded(): boolean {
    return this.#isOpen && this.#wakes.size > 0
  }

  async #subscribe(): Promise<void> {
    const connection = await this.#options.dial((ended) => this.#lose(ended))
    try {
      await connection.subscribe(this.#options.channel, () => this.#wakeAll())
    } catch (error) {
      connection.close()
      throw error
    }
    if (!this.#isNeeded) {
      connection.close()
      return
    }
    this.#connection = connection
    // What happened before the subscription began was told to nobody.
    this.#wakeAll()
    if (!connection.isOpen) this.#lose(connection)
  }

  #lose(connection: RedisConnection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#wakeAll()
    this.#retry()
  }

  #retry(): void {
    this.#cancelRetry()
    if (this.#isNeeded) this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => this.#begin())
  }

  #end(): void {
    this.#cancelRetry()
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  #wakeAll(): void {
    for (const wake of this.#wakes) wake()
  }
}
