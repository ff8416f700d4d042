import { randomBytes } from 'node:crypto'
import { LockedError, UnavailableError } from '../errors.js'
import { writeFully, type FileIdentity, type FileOps, type OpenFile } from './file-ops.js'
import { identifySelf, isAlive, type ProcessIdentity } from './process-identity.js'

interface LockContent extends ProcessIdentity {
  readonly since: number
}

/** What stood in the way of a lock. */
interface Found {
  leftBy: { pid: number; since: number } | undefined
}

/**
 * Keeps a directory for one process.
 *
 * Node has no lock that the operating system releases with the process, so this one is a file, and a crash leaves it
 * behind. It is taken over when its process is gone for certain, and also when it belongs to another container, where
 * nobody can tell. Whoever loses it that way notices at the next write: {@link DirectoryLock.confirm}.
 */
export class DirectoryLock {
  /** Who had it and did not let go: a process that was killed, or a machine that lost power. */
  readonly leftBy: { readonly pid: number; readonly since: number } | undefined
  readonly #files: FileOps
  readonly #path: string
  readonly #identity: FileIdentity
  /** Kept open, so that the number of its inode is given to no other file while this one is confirmed by it. */
  readonly #file: OpenFile

  private constructor(files: FileOps, path: string, file: OpenFile, identity: FileIdentity, found: Found) {
    this.#file = file
    this.#files = files
    this.#path = path
    this.#identity = identity
    this.leftBy = found.leftBy
  }

  /**
   * Takes the directory.
   *
   * @throws LockedError when another process has it
   */
  static async acquire(files: FileOps, directory: string, now: number): Promise<DirectoryLock> {
    const path = `${directory}/lock`
    const draft = `${path}.${randomBytes(6).toString('hex')}`
    const file = await write(files, draft, { ...identifySelf(), since: now })
    const identity = files.identify(draft)
    if (identity === undefined) throw new UnavailableError(`${draft} vanished while it was made; start again`)
    const found: Found = { leftBy: undefined }
    try {
      // Once more after a stale lock was removed; whoever is faster then has won.
      for (let attempt = 1; !(await linkUnlessTaken(files, draft, path)); attempt++) {
        const seen = files.identify(path)
        const owner = parse(await files.read(path))
        const isOwned = owner === undefined ? false : isAlive(owner)
        if (owner !== undefined && (isOwned === true || attempt > 2)) {
          throw new LockedError(directory, owner.pid, owner.since)
        }
        // A lock that a power cut left unreadable had an owner too.
        found.leftBy = { pid: owner?.pid ?? 0, since: owner?.since ?? 0 }
        await removeStale(files, path, seen)
      }
    } catch (error) {
      await file.close()
      throw error
    } finally {
      // One that stays is litter, not an error.
      await files.remove(draft).catch(() => undefined)
    }
    return new DirectoryLock(files, path, file, identity, found)
  }

  /** Whether the directory is still there and still ours. */
  confirm(): boolean {
    const identity = this.#files.identify(this.#path)
    return identity?.ino === this.#identity.ino && identity.dev === this.#identity.dev
  }

  /**
   * Lets go, unless somebody else has taken over.
   *
   * @param isCertain - whether all that the files hold is durable; otherwise a lock of nobody stays, which says so to
   * whoever comes next
   */
  async release(isCertain = true): Promise<void> {
    try {
      if (!this.confirm()) return
      if (isCertain) await this.#files.remove(this.#path)
      else await this.#file.truncate(0)
    } finally {
      await this.#file.close()
    }
  }
}

async function write(files: FileOps, path: string, content: LockContent): Promise<OpenFile> {
  const file = await files.open(path, 'wx')
  try {
    writeFully(file, Buffer.from(JSON.stringify(content)), 0)
  } catch (error) {
    await file.close()
    // On a full disk each attempt would leave another one.
    await files.remove(path).catch(() => undefined)
    throw error
  }
  return file
}

/** The lock appears with its content, so nobody mistakes one in the making for a stale one. */
async function linkUnlessTaken(files: FileOps, draft: string, path: string): Promise<boolean> {
  try {
    await files.link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** A rename takes a lock away from under all who want to remove it, except one. */
async function removeStale(files: FileOps, path: string, stale: FileIdentity | undefined): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await files.rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  // A faster one had removed it, and this is its own: back with it, and look again.
  const { ino, changedMs } = files.identify(aside) ?? {}
  if (ino !== stale?.ino || changedMs !== stale?.changedMs) await files.link(aside, path).catch(() => undefined)
  await files.remove(aside)
}

/** A lock that a crash of the machine left unreadable is stale. */
function parse(bytes: Buffer | undefined): LockContent | undefined {
  try {
    const content = JSON.parse(bytes?.toString() ?? '') as LockContent
    return Number.isInteger(content.pid) && Number.isFinite(content.since) ? content : undefined
  } catch {
    return undefined
  }
}
