import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
import { DirectoryLock } from './directory-lock.js'
import { UnavailableError } from './errors.js'
import type { Announce, StorageEvents } from './events.js'
import { replaceFile, writeFully, type FileOps, type OpenFile } from './file-ops.js'
import { encodeCommit, encodeHeader, encodeRecord, FORMAT_VERSION } from './journal.js'
import { loadFiles, JOURNAL, SNAPSHOT } from './load-files.js'
import type { Clock } from './ports.js'
import type { Kept, Scope, StorageHealth } from './storage.js'
import { Staging, Tables } from './tables.js'

/** One write of the disk takes at most this many commits, so that the first of them need not wait for the last. */
const MAX_GROUP = 1_000

/** How much of a snapshot is put together in memory before it is written. */
const CHUNK_RECORDS = 500

interface Commit {
  readonly mutations: readonly Mutation[]
  readonly now: number
  readonly resolve: (kept: Kept) => void
  readonly reject: (error: unknown) => void
}

/** What a {@link FileBackend} works with. */
export interface FileBackendOptions {
  readonly path: string
  readonly compactBytes: number
  readonly clock: Clock
  readonly files: FileOps
}

/**
 * Records in memory, and on disk a journal that is appended to before anything is acknowledged.
 *
 * Commits that arrive while the disk is busy share the next write and its sync (group commit). When the journal has
 * grown enough, a snapshot of everything replaces it (compaction).
 */
export class FileBackend implements Backend {
  readonly scope: Scope = 'process'
  readonly #options: FileBackendOptions
  #tables = new Tables()
  #lock: DirectoryLock | undefined
  #journal: OpenFile | undefined
  /** The length of the journal up to its last whole commit. */
  #length = 0
  /** The length at which the journal is replaced by a snapshot. */
  #compactAt = 0
  #sequence = 0
  /** What is in the journal file is not known, so both files must be written anew before the next commit. */
  #isDoubtful = false
  #queue: Commit[] = []
  #flushing: Promise<void> | undefined
  #announce: Announce<StorageEvents> = () => undefined
  #failure: string | undefined

  constructor(options: FileBackendOptions) {
    this.#options = options
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    const { path, files, clock } = this.#options
    this.#announce = announce
    await files.makeDirectory(path)
    // An attempt to open that failed may have kept it.
    if (this.#lock?.confirm() !== true) this.#lock = await DirectoryLock.acquire(files, path, clock.now())
    try {
      // A rename that the last process did not get to sync must not be undone later.
      await files.syncDirectory(path)
      const loaded = await loadFiles(files, path, clock.now())
      this.#tables = loaded.tables
      this.#sequence = loaded.sequence
      this.#length = loaded.length
      this.#compactAt = this.#options.compactBytes
      this.#isDoubtful = false
      if (loaded.mustRewrite || this.#lock.isSeized) {
        await this.#rewrite()
      } else {
        this.#journal = await files.open(`${path}/${JOURNAL}`, 'r+')
        if (loaded.tornBytes > 0) await this.#cut(this.#journal)
      }
      for (const tell of loaded.news) tell(announce)
    } catch (error) {
      await this.close().catch(() => undefined)
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#flushing
    await this.#letGo()
    await this.#lock?.release()
    this.#lock = undefined
  }

  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    return this.#tables.read(collection, keys, now)
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    return this.#tables.page(collection, range, now)
  }

  async count(collection: string, prefix: string, now: number): Promise<number> {
    return this.#tables.count(collection, prefix, now)
  }

  async collections(now: number): Promise<string[]> {
    return this.#tables.collections(now)
  }

  async health(): Promise<StorageHealth> {
    this.#confirmLock('no')
    // Nothing but a write tells whether writing works again.
    if (this.#failure !== undefined) await this.commit([], this.#options.clock.now())
    return { status: 'up', reason: `${this.#options.path} is open.` }
  }

  commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ mutations, now, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  async #flush(): Promise<void> {
    // Whoever commits in this same turn of the event loop joins the first group.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, MAX_GROUP)
      try {
        await this.#commitGroup(group)
        this.#recover()
      } catch (error) {
        this.#fail(error)
        for (const { reject } of group) reject(error)
      }
    }
    // In the same turn as the last look at the queue: a commit that comes now must find nobody flushing.
    this.#flushing = undefined
  }

  async #commitGroup(group: readonly Commit[]): Promise<void> {
    this.#confirmLock('no')
    if (this.#isDoubtful) await this.#orUnavailable('no', () => this.#rewrite())
    const staging = new Staging(this.#tables)
    const lines: Buffer[] = []
    const settle: (() => void)[] = []
    const accepted: Commit[] = []
    for (const commit of group) {
      try {
        staging.stage(commit.mutations, commit.now)
        lines.push(encodeCommit(this.#sequence + lines.length + 1, commit.mutations))
        accepted.push(commit)
        settle.push(() => commit.resolve('primary'))
      } catch (error) {
        // Told only when the group is on disk: the neighbour that this one lost against must have won.
        settle.push(() => commit.reject(error))
      }
    }
    if (lines.length > 0) await this.#append(Buffer.concat(lines))
    this.#confirmLock('unknown')
    this.#sequence += lines.length
    for (const { mutations, now } of accepted) {
      for (const mutation of mutations) this.#tables.apply(mutation)
      this.#tables.sweep(now)
    }
    for (const each of settle) each()
    if (this.#length > this.#compactAt) await this.#compact()
  }

  async #append(bytes: Buffer): Promise<void> {
    const journal = this.#journal
    if (journal === undefined) throw new UnavailableError(`${this.#options.path} is closed`)
    try {
      await writeFully(journal, bytes, this.#length)
    } catch (error) {
      // Nothing of it may come back at the next start, so it is cut off before anybody is told.
      const isCut = await this.#cut(journal).then(
        () => true,
        () => false,
      )
      this.#isDoubtful = !isCut
      throw unavailable(this.#options.path, error, isCut ? 'no' : 'unknown')
    }
    try {
      await journal.datasync()
    } catch (error) {
      // After a failed sync the system may have dropped what was not written. Syncing again proves nothing.
      this.#isDoubtful = true
      throw unavailable(this.#options.path, error, 'unknown')
    }
    this.#length += bytes.length
  }

  async #cut(journal: OpenFile): Promise<void> {
    await journal.truncate(this.#length)
    await journal.datasync()
  }

  async #compact(): Promise<void> {
    try {
      await this.#rewrite()
    } catch {
      // The commits are safe in the journal that there is; it may grow until the next attempt.
      this.#compactAt = this.#length * 2
    }
  }

  /** Writes a snapshot of everything, then an empty journal. A crash in between leaves commits that are in both. */
  async #rewrite(): Promise<void> {
    const { path, files } = this.#options
    const head = { formatVersion: FORMAT_VERSION, sequence: this.#sequence }
    const snapshotBytes = await replaceFile(files, path, SNAPSHOT, this.#snapshot())
    // From here on the open journal may be one that has no name any more.
    this.#isDoubtful = true
    const journal = encodeHeader({ format: 'evenkeel-journal', ...head })
    await replaceFile(files, path, JOURNAL, [journal])
    await this.#letGo()
    this.#journal = await files.open(`${path}/${JOURNAL}`, 'r+')
    this.#length = journal.length
    // A large store is written anew less often.
    this.#compactAt = Math.max(this.#options.compactBytes, snapshotBytes)
    this.#isDoubtful = false
  }

  *#snapshot(): Generator<Buffer, void, undefined> {
    const sequence = this.#sequence
    const records = this.#tables.size
    yield encodeHeader({ format: 'evenkeel-snapshot', formatVersion: FORMAT_VERSION, sequence, records })
    let lines: Buffer[] = []
    for (const record of this.#tables.all()) {
      if (lines.push(encodeRecord(sequence, record)) < CHUNK_RECORDS) continue
      yield Buffer.concat(lines)
      lines = []
    }
    yield Buffer.concat(lines)
  }

  async #letGo(): Promise<void> {
    const journal = this.#journal
    this.#journal = undefined
    await journal?.close().catch(() => undefined)
  }

  #confirmLock(applied: 'no' | 'unknown'): void {
    if (this.#lock?.confirm() === true) return
    throw new UnavailableError(
      `${this.#options.path} was moved, deleted, or taken over by another process; stop this one or put it back`,
      applied,
    )
  }

  async #orUnavailable(applied: 'no' | 'unknown', task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (error) {
      throw unavailable(this.#options.path, error, applied)
    }
  }

  #fail(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    const from = this.#failure === undefined ? 'up' : 'down'
    this.#failure = why
    if (from === 'down') return
    const message = `The files at ${this.#options.path} cannot be written: ${why}.`
    this.#announce('change', { what: 'file', from, to: 'down', why, severity: 'CRITICAL', message })
  }

  #recover(): void {
    if (this.#failure === undefined) return
    const why = 'a write succeeded'
    this.#failure = undefined
    const message = `The files at ${this.#options.path} can be written again.`
    this.#announce('change', { what: 'file', from: 'down', to: 'up', why, severity: 'INFO', message })
  }
}

function unavailable(path: string, cause: unknown, applied: 'no' | 'unknown'): UnavailableError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new UnavailableError(`${path} cannot be written (${why}); free space or repair the disk`, applied, { cause })
}
