import { randomBytes } from 'node:crypto'
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { link, rename } from 'node:fs/promises'
import { SpoolLockedError } from '../errors.js'
import { readIfThere, removeIfThere } from './durable-files.js'
import { identifySelf, isAlive, type ProcessIdentity } from './process-identity.js'

interface LockContent extends ProcessIdentity {
  readonly since: number
}

/**
 * Keeps a spool for one process.
 *
 * Node has no lock that the operating system releases with the process, so this one is a file, and a crash leaves it
 * behind. It is taken over when its process is gone for certain, or belongs to another container, where nobody can tell.
 */
export class SpoolLock {
  readonly #path: string
  readonly #inode: number

  private constructor(path: string, inode: number) {
    this.#path = path
    this.#inode = inode
  }

  /**
   * Takes the directory.
   *
   * @throws SpoolLockedError when another process has it
   */
  static async acquire(directory: string, now: number): Promise<SpoolLock> {
    const path = `${directory}/lock`
    const draft = `${path}.${randomBytes(6).toString('hex')}`
    const content: LockContent = { ...identifySelf(), since: now }
    try {
      writeDraft(draft, JSON.stringify(content))
      const inode = statSync(draft).ino
      // Once more after a stale lock was removed; whoever is faster then has won.
      for (let attempt = 1; !(await linkUnlessTaken(draft, path)); attempt++) {
        const stale = inodeOf(path)
        const owner = parse(await readIfThere(path))
        if (owner !== undefined && (isAlive(owner) === true || attempt > 2)) {
          throw new SpoolLockedError(directory, owner.pid, owner.since)
        }
        await removeStale(path, stale)
      }
      return new SpoolLock(path, inode)
    } finally {
      // One that stays is litter, not an error.
      await removeIfThere(draft).catch(() => undefined)
    }
  }

  /** Whether the directory is still ours. */
  get isOurs(): boolean {
    return inodeOf(this.#path) === this.#inode
  }

  /** Whether somebody removed it, with its directory perhaps. */
  get isGone(): boolean {
    return inodeOf(this.#path) === undefined
  }

  /** Lets go, unless somebody else has taken over. */
  async release(): Promise<void> {
    if (this.isOurs) await removeIfThere(this.#path)
  }
}

/** All of it: half a lock would be taken for a stale one. */
function writeDraft(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let written = 0; written < bytes.length;) {
      const count = writeSync(fd, bytes, written, bytes.length - written)
      if (count <= 0) throw new Error('the lock could not be written')
      written += count
    }
  } finally {
    closeSync(fd)
  }
}

/** The lock appears with its content, so nobody mistakes one in the making for a stale one. */
async function linkUnlessTaken(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** A rename takes a lock away from under all who want to remove it, except one. */
async function removeStale(path: string, stale: number | undefined): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  // A faster one had removed it, and this is its own: back with it, and look again.
  if (inodeOf(aside) !== stale) await link(aside, path).catch(() => undefined)
  await removeIfThere(aside)
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.ino
  } catch {
    // A file lies where its directory was.
    return undefined
  }
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
