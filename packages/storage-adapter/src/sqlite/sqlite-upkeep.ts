import type { SqliteChangeLog } from './sqlite-change-log.js'
import type { SqliteStatements } from './sqlite-statements.js'

/** After so many written changes, old rows are removed, in the transaction that is under way. */
const EVERY = 500

/**
 * Removes what nobody needs any more, seldom and in small steps, so that no write has to wait long for it. Twice as much
 * is removed as was written, so it keeps up also when several processes write.
 */
export class SqliteUpkeep {
  readonly #statements: SqliteStatements
  readonly #log: SqliteChangeLog
  /** The first write of a process removes something too, as it may never make as many. */
  #written = EVERY

  constructor(statements: SqliteStatements, log: SqliteChangeLog) {
    this.#statements = statements
    this.#log = log
  }

  /** @param written - how many changes the transaction makes */
  run(now: number, written: number): void {
    this.#written += written
    if (this.#written < EVERY) return
    this.#statements.sweep(now, 2 * this.#written)
    this.#log.prune(2 * this.#written)
    this.#written = 0
  }
}
