import { LockedError } from '../errors.js'
import { replaceFile, type FileOps } from '../file/file-ops.js'
import { basename, dirname } from 'node:path'
import { identifySelf, isAlive, type ProcessIdentity } from '../file/process-identity.js'

interface Owner extends ProcessIdentity {
  /** Since when, in epoch milliseconds. */
  readonly since: number
  /** What its SQLite is. */
  readonly sqlite: string
}

/**
 * Says beside a database which process keeps it to itself. It is no lock: that one is SQLite's own, and ends with the
 * process. It only lets others name who has it.
 */
export class SqliteOwner {
  readonly #files: FileOps
  readonly #path: string

  /** @param path - of the database */
  constructor(files: FileOps, path: string) {
    this.#files = files
    this.#path = path
  }

  async write(since: number, sqlite: string): Promise<void> {
    const owner: Owner = { ...identifySelf(), since, sqlite }
    await replaceFile(this.#files, dirname(this.#path), basename(this.#mark), [Buffer.from(JSON.stringify(owner))])
  }

  remove(): Promise<void> {
    return this.#files.remove(this.#mark)
  }

  /** @throws LockedError when a process keeps the database to itself */
  async refuseIfKept(): Promise<void> {
    const owner = parseOwner(await this.#files.read(this.#mark))
    if (owner === undefined || isAlive(owner) === false) return
    throw new LockedError(
      this.#path,
      owner.pid,
      owner.since,
      `its SQLite ${owner.sqlite} may corrupt a database that several share, so it lets nobody in: ` +
        'give it Node 22.23, Node 24 or better-sqlite3@12, or stop it',
    )
  }

  get #mark(): string {
    return `${this.#path}-owner`
  }
}

function parseOwner(content: Buffer | undefined): Owner | undefined {
  try {
    return content && (JSON.parse(content.toString('utf8')) as Owner)
  } catch {
    // Another file that happens to have this name says nothing about a process.
    return undefined
  }
}
