import { quoteName } from './postgres-schema.js'
import type { PostgresConnection, PostgresPool } from './postgres-pool.js'
import type { Clock } from '../ports.js'

/** The pause before a listening connection that was lost is made anew, in milliseconds. */
const RECONNECT_MS = 500

/** How long the server may take to listen, in milliseconds. */
const LISTEN_MS = 5_000

/** At most so often other processes are told, in milliseconds: NOTIFY takes a lock that the whole server has once. */
const NOTIFY_MS = 20

/**
 * Wakes those who wait for changes, here and in other processes. It only hints: what is lost is found by whoever looks
 * at the log now and then.
 *
 * The log is written with the data, but NOTIFY is sent after the commit, in a transaction of its own: inside it would
 * let only one transaction of the whole server commit at a time.
 */
export class PostgresHints {
  readonly #pool: PostgresPool
  /** The name of the schema is that of the channel too. */
  readonly #schema: string
  readonly #clock: Clock
  readonly #wakes = new Set<() => void>()
  #isOpen = false
  #listening: PostgresConnection | undefined
  #isConnecting = false
  #cancelReconnect: () => void = () => undefined
  #cancelPause: (() => void) | undefined
  #isNews = false
  #telling: Promise<void> | undefined

  constructor(pool: PostgresPool, schema: string, clock: Clock) {
    this.#pool = pool
    this.#schema = schema
    this.#clock = clock
  }

  open(): void {
    this.#isOpen = true
    this.#attend()
  }

  /** Tells others of the last changes, and listens no more. */
  async close(): Promise<void> {
    this.#isOpen = false
    this.#attend()
    this.#cancelPause?.()
    this.#cancelPause = undefined
    await this.#telling
    if (this.#isNews) await this.#notify()
  }

  /** @returns ends it */
  add(wake: () => void): () => void {
    // Another function for each caller, as the same one may be given twice.
    const own = (): void => wake()
    this.#wakes.add(own)
    this.#attend()
    return () => {
      this.#wakes.delete(own)
      this.#attend()
    }
  }

  wake(): void {
    for (const wake of this.#wakes) wake()
  }

  /** There are new changes of this process. */
  tell(): void {
    this.wake()
    this.#isNews = true
    if (this.#cancelPause === undefined) this.#tellOthers()
  }

  #tellOthers(): void {
    if (!this.#isNews || !this.#isOpen) return
    this.#cancelPause = this.#clock.after(NOTIFY_MS, () => {
      this.#cancelPause = undefined
      this.#tellOthers()
    })
    const earlier = this.#telling ?? Promise.resolve()
    const telling = earlier.then(() => this.#notify())
    this.#telling = telling
    void telling.then(() => {
      if (this.#telling === telling) this.#telling = undefined
    })
  }

  async #notify(): Promise<void> {
    this.#isNews = false
    try {
      await this.#pool.run({ text: `NOTIFY ${quoteName(this.#schema)}` }, 'read')
    } catch {
      // They find it in the log.
    }
  }

  get #isWanted(): boolean {
    return this.#isOpen && this.#wakes.size > 0 && this.#pool.canConnect
  }

  /** Listens when there is somebody to wake, and only then. */
  #attend(): void {
    if (this.#isWanted && this.#listening === undefined && !this.#isConnecting) void this.#listen()
    if (this.#isWanted) return
    this.#cancelReconnect()
    this.#listening?.end()
    this.#listening = undefined
  }

  async #listen(): Promise<void> {
    this.#isConnecting = true
    this.#cancelReconnect()
    let connection: PostgresConnection | undefined
    try {
      connection = await this.#pool.connect()
      const own = connection
      let isLost = false
      const lose = (): void => {
        // It may be lost with the answer in the same breath.
        isLost = true
        if (this.#listening !== own) return
        this.#listening = undefined
        own.end()
        this.#reconnect()
      }
      own.client.on('error', lose)
      own.client.on('end', lose)
      own.client.on('notification', () => this.wake())
      const cancel = this.#clock.after(LISTEN_MS, () => own.end())
      await own.client.query({ text: `LISTEN ${quoteName(this.#schema)}` }).finally(cancel)
      if (isLost) own.end()
      else this.#listening = own
      // What happened while nobody listened.
      this.wake()
    } catch {
      connection?.end()
    }
    this.#isConnecting = false
    // Never at once, or a server that is down would be asked without end.
    if (this.#listening === undefined) this.#reconnect()
    else this.#attend()
  }

  #reconnect(): void {
    this.#cancelReconnect()
    if (this.#isWanted) this.#cancelReconnect = this.#clock.after(RECONNECT_MS, () => this.#attend())
  }
}
