import { basename, dirname } from 'node:path'
import { CorruptError, UnavailableError } from '../errors.js'
import { replaceFile, type FileIdentity, type FileOps } from '../file/file-ops.js'

/** What a database consists of. The database itself is last: while it is there, the rest may not have been moved. */
const PARTS = ['-wal', '-shm', ''] as const

/** What stands beside the place of a database that was set aside. */
interface Marker {
  readonly format: 'evenkeel-quarantine'
  readonly formatVersion: 1
  /** The name that the damaged database was given. */
  readonly movedTo: string
  /** What was found wrong. */
  readonly why: string
  /** Whether all parts have been moved. */
  readonly isMoved: boolean
  /** Tells the damaged database from one that is put in its place. */
  readonly dev: number
  readonly ino: number
}

/**
 * Sets a damaged database aside, and sees to it that no empty one takes its place.
 *
 * First a marker is written that makes every later open refuse, then the parts are moved. So a crash at any step leaves
 * a database that is refused, and the next open finishes the move. The marker goes when somebody has put another
 * database at the path.
 */
export class SqliteQuarantine {
  readonly #files: FileOps
  readonly #path: string

  constructor(files: FileOps, path: string) {
    this.#files = files
    this.#path = path
  }

  /** @throws CorruptError while a database that was set aside has no successor */
  async refuseIfSetAside(): Promise<void> {
    const marker = await this.#read()
    if (marker === undefined) return
    const found = this.#files.identify(this.#path)
    if (found !== undefined && (marker.isMoved || !isSame(found, marker))) return this.#forget()
    if (!marker.isMoved) await this.#move(marker)
    throw this.#refusal(marker)
  }

  /**
   * Nobody of this process may have it open.
   *
   * @param now - in epoch milliseconds; becomes part of the name
   * @returns the error that says where it is
   * @throws UnavailableError when another one was put in its place meanwhile, which stays there
   */
  async setAside(damaged: FileIdentity, problems: readonly string[], now: number): Promise<CorruptError> {
    // Another process may have been faster.
    await this.refuseIfSetAside()
    const stamp = new Date(now).toISOString().replaceAll(':', '-')
    const marker: Marker = {
      format: 'evenkeel-quarantine',
      formatVersion: 1,
      movedTo: `${basename(this.#path)}.quarantine-${stamp}`,
      why: problems[0] ?? 'damaged',
      isMoved: false,
      dev: damaged.dev,
      ino: damaged.ino,
    }
    await this.#write(marker)
    await this.#move(marker)
    return this.#refusal(marker)
  }

  /** @throws UnavailableError when another database was put in its place */
  async #move(marker: Marker): Promise<void> {
    for (const part of PARTS) {
      const found = this.#files.identify(this.#path)
      if (found !== undefined && !isSame(found, marker)) {
        await this.#forget()
        throw new UnavailableError(`${this.#path} was replaced while what stood there was set aside; open it again`)
      }
      const from = `${this.#path}${part}`
      if (this.#files.identify(from) === undefined) continue
      await this.#files.rename(from, `${dirname(this.#path)}/${marker.movedTo}${part}`)
    }
    await this.#files.syncDirectory(dirname(this.#path))
    await this.#write({ ...marker, isMoved: true })
  }

  /** There is a successor. */
  async #forget(): Promise<void> {
    await this.#files.remove(this.#markerPath)
    await this.#files.syncDirectory(dirname(this.#path))
  }

  #refusal({ movedTo, why }: Marker): CorruptError {
    return new CorruptError(`${dirname(this.#path)}/${movedTo}`, `is what was ${this.#path} (${why})`, 'no', {
      remedy: `put a backup at ${this.#path}, or delete ${this.#markerPath} to begin with an empty database`,
    })
  }

  async #read(): Promise<Marker | undefined> {
    const content = await this.#files.read(this.#markerPath)
    return content && (JSON.parse(content.toString('utf8')) as Marker)
  }

  async #write(marker: Marker): Promise<void> {
    const content = Buffer.from(`${JSON.stringify(marker, null, 2)}\n`)
    await replaceFile(this.#files, dirname(this.#path), basename(this.#markerPath), [content])
  }

  get #markerPath(): string {
    return `${this.#path}.quarantined`
  }
}

function isSame(a: FileIdentity, b: Pick<FileIdentity, 'dev' | 'ino'>): boolean {
  return a.ino === b.ino && a.dev === b.dev
}
