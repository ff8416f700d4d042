import { UnavailableError } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import { describeOutage } from '../outage.js'
import { RedisConnection, type ConnectionOptions } from './redis-connection.js'
import { checkFacts } from './redis-server-facts.js'

/** Why the server cannot be used, and whether only a write can tell that it can again. */
interface Failure {
  readonly isOfWrites: boolean
}

/**
 * The one connection that all commands share: made at first use, replaced when it is lost, and judged by what comes of
 * its commands.
 */
export class RedisLink {
  readonly #options: ConnectionOptions
  readonly #onReplaced: (connection: RedisConnection) => Promise<void>
  #announce: Announce<StorageEvents> = () => undefined
  #isClosed = true
  #connection: RedisConnection | undefined
  #connecting: Promise<RedisConnection> | undefined
  #doubt: Promise<void> | undefined
  #connects = 0
  #failure: Failure | undefined

  /** @param onReplaced - looks at the server behind a connection that was made for a lost one */
  constructor(options: ConnectionOptions, onReplaced: (connection: RedisConnection) => Promise<void>) {
    this.#options = options
    this.#onReplaced = onReplaced
  }

  /** The connection, unless there is none, or it is lost, which may not have been told yet. */
  get ready(): RedisConnection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined
  }

  /** How many connections there have been. */
  get connects(): number {
    return this.#connects
  }

  /** From now on the server may be connected to. */
  open(announce: Announce<StorageEvents>): void {
    this.#announce = announce
    this.#isClosed = false
  }

  /** Lets what is under way end, within its deadlines. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#connecting?.catch(() => undefined)
    await this.#doubt
    await this.#connection?.idle()
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  /**
   * Connects, unless that is under way.
   *
   * @throws UnavailableError when the server is out of reach, or unfit
   */
  connect(): Promise<RedisConnection> {
    if (this.#isClosed) {
      return Promise.reject(new UnavailableError(`${this.#options.source.label} was let go; call start() first`))
    }
    this.#connecting ??= this.#dial()
      .then(
        (connection) => this.#adopt(connection),
        (error: unknown) => {
          this.fail(error)
          throw error
        },
      )
      .finally(() => (this.#connecting = undefined))
    return this.#connecting
  }

  /** A command showed that the server cannot be used, or that it takes no writes. */
  fail(error: unknown, { isOfWrites }: Failure = { isOfWrites: false }): void {
    const isNews = this.#failure === undefined
    this.#failure = { isOfWrites }
    if (!isNews) return
    const why = error instanceof Error ? error.message : String(error)
    const message = describeOutage(this.#options.source.label, error)
    this.#announce('change', { what: 'redis', from: 'up', to: 'down', why, severity: 'CRITICAL', message })
  }

  /** A command succeeded, so the server can be used; that it takes writes only a write shows. */
  succeed(isWrite: boolean): void {
    if (this.#failure === undefined || (this.#failure.isOfWrites && !isWrite)) return
    this.#failure = undefined
    const why = isWrite ? 'a write succeeded' : 'it answers'
    const message = `${this.#options.source.label} can be used again.`
    this.#announce('change', { what: 'redis', from: 'down', to: 'up', why, severity: 'INFO', message })
  }

  /** Its server is the primary no longer: the next use looks for the one that is. */
  leave(connection: RedisConnection): void {
    if (this.#connection === connection) this.#connection = undefined
    void connection.idle().then(() => connection.close())
  }

  /** A connection to a server that is fit for us. */
  #dial(): Promise<RedisConnection> {
    return RedisConnection.open(this.#options, {
      prepare: async (connection) => checkFacts(this.#options.source.label, await connection.readFacts()),
      onEnd: (connection) => this.#lose(connection),
      onOverdue: (connection) => this.#suspect(connection),
    })
  }

  #adopt(connection: RedisConnection): RedisConnection {
    this.#connection = connection
    this.#connects++
    return connection
  }

  /** A server that closes idle connections is not down, so this is no news before a new connection has failed. */
  #lose(connection: RedisConnection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    if (this.#isClosed) return
    const replace = async (): Promise<void> => {
      await this.#onReplaced(await this.connect())
      this.succeed(false)
    }
    // What failed was told; the next use tries again.
    replace().catch(() => undefined)
  }

  /**
   * Finds out whether the server is slow or the connection is dead. As long as the server answers nobody, the connection
   * is kept: when the server goes on, it then does first what was sent first, so no write that was given up as unknown
   * comes after a later one.
   */
  #suspect(connection: RedisConnection): void {
    if (this.#isClosed || this.#connection !== connection) return
    const { replies } = connection
    const look = async (): Promise<void> => {
      const fresh = await this.#dial()
      if (this.#isClosed || this.#connection !== connection || connection.replies !== replies) {
        fresh.close()
        return
      }
      this.#adopt(fresh)
      connection.close()
    }
    this.#doubt ??= look()
      .catch((error: unknown) => this.fail(error))
      .finally(() => (this.#doubt = undefined))
  }
}
