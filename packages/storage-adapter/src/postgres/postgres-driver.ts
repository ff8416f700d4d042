import { createRequire } from 'node:module'
import { DriverError } from '../errors.js'

/** What the server gave back. */
export interface PostgresResult {
  /** The rows, by name of column. */
  readonly rows: readonly unknown[]
  /** How many rows were given or written. */
  readonly rowCount: number | null
}

/** A statement; one that has a name is prepared once for each connection. */
export interface PostgresQuery {
  /** Its name, under which the connection keeps it prepared. */
  readonly name?: string | undefined
  /** The SQL. */
  readonly text: string
  /** What stands for `$1`, `$2` and so on. */
  readonly values?: unknown[]
}

/** A connection of the package pg, as far as it is used. */
export interface PostgresClient {
  /** Runs a statement. */
  query(query: PostgresQuery): Promise<PostgresResult>
  /** Listens to the connection. */
  on(event: 'error' | 'end' | 'notification', listener: () => void): unknown
  /** Stops listening to the connection. */
  removeListener(event: 'error' | 'end' | 'notification', listener: () => void): unknown
}

/** A connection that a pool lent. */
export interface PostgresPoolClient extends PostgresClient {
  /**
   * Gives it back.
   *
   * @param destroy - `true` ends the connection instead of keeping it
   */
  release(destroy?: boolean): void
}

/** A `Pool` of the package pg, as far as it is used. */
export interface PostgresPoolLike {
  /** Lends a connection, sooner or later. */
  connect(): Promise<PostgresPoolClient>
  /** Ends all connections. */
  end(): Promise<void>
  /** Listens to the pool. */
  on(event: 'error', listener: () => void): unknown
  /** Stops listening to the pool. */
  removeListener(event: 'error', listener: () => void): unknown
  /** How many connections there are. */
  readonly totalCount: number
  /** How many of them are idle. */
  readonly idleCount: number
  /** How many callers wait for one. */
  readonly waitingCount: number
  /** How it makes connections: a watch takes one of its own. Without it, watches hear of nothing sooner than by polling. */
  readonly Client?: object | undefined
  /** What it makes them from, and how many at most. */
  readonly options?:
    | {
        /** How many connections at most. */
        readonly max?: number | undefined
      }
    | undefined
}

/** A connection that is opened and ended by hand. */
export interface PostgresOwnClient extends PostgresClient {
  /** How it proves who it is: asked for when the server wants it. */
  password: unknown
  connect(): Promise<unknown>
  connect(callback: (error: unknown) => void): void
  query(query: PostgresQuery): Promise<PostgresResult>
  query(query: PostgresQuery, callback: Callback<PostgresResult>): void
  end(): Promise<void>
  unref(): void
}

/** How pg answers who wants no promise. */
export type Callback<T> = (error: unknown, answer: T) => void

/** A connection of a pool that is known to be one of pg. */
export interface PostgresOwnPoolClient extends PostgresPoolClient {
  query(query: PostgresQuery): Promise<PostgresResult>
  query(query: PostgresQuery, callback: Callback<PostgresResult>): void
}

/** A pool that is known to be one of pg. */
export interface PostgresOwnPool extends PostgresPoolLike {
  connect(): Promise<PostgresOwnPoolClient>
  connect(callback: Callback<PostgresOwnPoolClient>): void
}

type Config = Readonly<Record<string, unknown>>

/** The package pg, as far as it is used. */
export interface PostgresDriver {
  readonly Pool: new (config: Config) => PostgresOwnPool
  readonly Client: new (config: Config) => PostgresOwnClient
}

/**
 * Loads the package pg.
 *
 * @throws DriverError that names the command to run
 */
export function loadPostgresDriver(): PostgresDriver {
  // The one of the two that exists tells where this file is.
  const require = createRequire(typeof __filename === 'string' ? __filename : import.meta.url)
  try {
    return require('pg') as PostgresDriver
  } catch (cause) {
    throw new DriverError('PostgresStorage needs the package pg, which cannot be loaded; run: npm install pg', {
      cause,
    })
  }
}
