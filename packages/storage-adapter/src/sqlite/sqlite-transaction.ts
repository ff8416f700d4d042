import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.js'

/** The statements that begin and end a transaction, prepared once. */
export class SqliteTransaction {
  readonly #begin: SqliteStatement
  readonly #commit: SqliteStatement
  readonly #rollback: SqliteStatement
  readonly #mark: SqliteStatement
  readonly #undo: SqliteStatement
  readonly #release: SqliteStatement

  constructor(database: SqliteDatabase) {
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
    this.#mark = database.prepare('SAVEPOINT caller')
    this.#undo = database.prepare('ROLLBACK TO caller')
    this.#release = database.prepare('RELEASE caller')
  }

  /** Takes the write lock. */
  begin(): void {
    this.#begin.run()
  }

  /** Makes everything durable. */
  commit(): void {
    this.#commit.run()
  }

  /** Runs a part that takes effect whole or, when it throws, not at all. */
  part(run: () => void): void {
    this.#mark.run()
    try {
      run()
    } catch (error) {
      // Throws when SQLite has given up the whole transaction, as it does on some errors of the disk.
      this.#undo.run()
      this.#release.run()
      throw error
    }
    this.#release.run()
  }

  /** Undoes everything, if there is still something to be undone. */
  rollBack(): void {
    try {
      this.#rollback.run()
    } catch {
      // SQLite has rolled back by itself, or the handle is beyond use; it is closed in either case.
    }
  }
}
