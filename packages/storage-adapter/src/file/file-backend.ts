import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { CommitQueue, type WaitingCommit } from '../commit-queue.js'
import { DirectoryLock } from './directory-lock.js'
import { StorageError, UnavailableError, type Applied } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import { checkFiles, Touched } from './file-check.js'
import { FileCompaction } from './file-compaction.js'
import { FileJournal } from './file-journal.js'
import { FileNews } from './file-news.js'
import type { FileOps } from './file-ops.js'
import { keepTorn, quarantine } from './file-quarantine.js'
import { encodeCommit } from './journal.js'
import { createFiles, loadFiles, JOURNAL, SNAPSHOT } from './load-files.js'
import type { Clock } from '../ports.js'
import type { Kept, Scope, StorageHealth } from '../storage.js'
import { Staging, Tables } from '../tables.js'

/** One write of the disk takes at most this many commits, so that the first of them need not wait for the last. */
const MAX_GROUP = 1_000

/**
 * What both files together may hold, in bytes. Node reads no file beyond 2 GiB; a snapshot may be about twice as long as
 * the batches that it is made from, and must be readable too.
 */
const MAX_BYTES = 2 ** 30

/** How long a look at the lock holds good for reads, in milliseconds: to look takes longer than to read. */
const CONFIRM_MS = 100

/** What a {@link FileBackend} works with. */
export interface FileBackendOptions {
  readonly path: string
  readonly compactBytes: number
  readonly clock: Clock
  readonly files: FileOps
  /** What both files together may hold, in bytes; for tests. */
  readonly maxBytes?: number | undefined
}

/**
 * Records in memory, and on disk a journal that is appended to before anything is acknowledged.
 *
 * Commits that arrive while the disk is busy share the next write and its sync (group commit). When the journal has
 * grown enough, a snapshot of everything and a new journal replace it, while commits go on (compaction).
 */
export class FileBackend implements Backend {
  readonly scope: Scope = 'process'
  readonly #options: FileBackendOptions
  readonly #queue = new CommitQueue(MAX_GROUP, (group) => this.#writeGroup(group))
  #news: FileNews
  #tables = new Tables()
  #lock: DirectoryLock | undefined
  #journal: FileJournal | undefined
  #sequence = 0
  #snapshotBytes = 0
  /** The length at which the journal is replaced by a snapshot. */
  #compactAt = 0
  #compaction: FileCompaction | undefined
  #compacting: Promise<void> | undefined
  #compactions = 0
  /** What is in the journal file is not known, so both files must be written anew before the next commit. */
  #isDoubtful = false
  /** A write was refused because the files would become too large, and they have not been compacted since. */
  #isFull = false
  /** The checks that are under way. */
  readonly #checks = new Set<Touched>()
  #confirmedMs = -Infinity

  constructor(options: FileBackendOptions) {
    this.#options = options
    this.#news = new FileNews(options.path, () => undefined)
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    this.#news = new FileNews(this.#options.path, announce)
    try {
      await this.#open(this.#news)
    } catch (error) {
      await this.close().catch(() => undefined)
      throw error instanceof StorageError ? error : unavailable(this.#options.path, 'opened', error, 'no')
    }
  }

  async close(): Promise<void> {
    await this.#queue.flushing
    await this.#compaction?.abandon()
    await this.#compacting
    // Alone: a commit that came meanwhile would be synced into files that are being replaced.
    await this.#queue.runAlone(async () => {
      const isCertain = await this.#leaveNoDoubt()
      await this.#letGo()
      // One that cannot be given up is taken up again by whoever opens this anew.
      await this.#lock?.release(isCertain)
      this.#lock = undefined
    })
  }

  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    this.#confirmNowAndThen()
    return this.#tables.read(collection, keys, now)
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    this.#confirmNowAndThen()
    return this.#tables.page(collection, range, now)
  }

  async count(collection: string, prefix: string, now: number): Promise<number> {
    this.#confirmNowAndThen()
    return this.#tables.count(collection, prefix, now)
  }

  async collections(now: number): Promise<string[]> {
    this.#confirmNowAndThen()
    return this.#tables.collections(now)
  }

  async health(): Promise<StorageHealth> {
    this.#confirmLock('no')
    // Nothing but a write tells whether writing works again.
    if (this.#news.isDown || this.#isFull) {
      if (this.#isFull) this.#compactAt = 0
      await this.commit([], this.#options.clock.now())
    }
    return { status: 'up', reason: `${this.#options.path} is open.` }
  }

  commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    return this.#queue.add(mutations, now)
  }

  async check(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const { path, files, clock } = this.#options
    for (;;) {
      const touched = new Touched()
      this.#checks.add(touched)
      // One that ends meanwhile would exchange the files between reading the one and the other.
      await this.#compacting
      const generation = this.#compactions
      try {
        const end = this.#journal?.length
        const now = (): number => clock.now()
        const problems = await checkFiles({ files, path, end, tables: this.#tables, touched, now, signal })
        if (generation === this.#compactions) return problems
      } finally {
        this.#checks.delete(touched)
      }
    }
  }

  gauges(): Readonly<Record<string, number>> {
    return {
      'journal.bytes': this.#journal?.length ?? 0,
      'snapshot.bytes': this.#snapshotBytes,
      'queue.length': this.#queue.length,
      records: this.#tables.size,
      compactions: this.#compactions,
    }
  }

  async #open(news: FileNews): Promise<void> {
    const { path, files, clock } = this.#options
    await files.makeDirectory(path)
    // An attempt to open that failed may have kept it.
    const kept = this.#lock?.confirm() === true ? this.#lock : undefined
    const lock = kept ?? (await DirectoryLock.acquire(files, path, clock.now()))
    this.#lock = lock
    // Whoever was killed may have left what no sync has confirmed, and may still hold the file open.
    if (lock.leftBy !== undefined) this.#isDoubtful = true
    // A rename that the last process did not get to sync must not be undone later.
    await files.syncDirectory(path)
    // What a compaction that was cut short left.
    for (const name of [SNAPSHOT, JOURNAL]) await files.remove(`${path}/${name}.tmp`)
    const loaded =
      (await loadFiles(files, path, { isClean: lock.leftBy === undefined })) ?? (await createFiles(files, path))
    const aside = await quarantine(files, path, loaded, clock.now())
    const tornCopy = await keepTorn(files, path, loaded, clock.now())
    this.#tables = loaded.tables
    this.#sequence = loaded.sequence
    this.#snapshotBytes = loaded.snapshotBytes
    if (aside !== undefined || this.#isDoubtful) {
      await this.#rewrite()
    } else {
      const file = await files.open(`${path}/${JOURNAL}`, 'r+')
      this.#journal = new FileJournal(file, loaded.length, loaded.journalBytes)
      if (loaded.torn.length > 0) await this.#journal.cut()
    }
    this.#planCompaction()
    if (lock.leftBy !== undefined) news.unclean(lock.leftBy)
    if (tornCopy !== undefined) news.torn(loaded.torn.length, tornCopy)
    if (aside !== undefined) news.quarantined(aside)
  }

  /**
   * What a failed sync left must not be taken for durable by whoever opens it next.
   *
   * @returns whether nothing is in doubt
   */
  async #leaveNoDoubt(): Promise<boolean> {
    if (!this.#isDoubtful) return true
    // Without a journal it was not opened, and what is in memory is not what is in the files.
    if (this.#journal === undefined || this.#lock?.confirm() !== true) return false
    return this.#rewrite().then(
      () => true,
      () => false,
    )
  }

  async #writeGroup(group: readonly WaitingCommit[]): Promise<void> {
    try {
      await this.#commitGroup(group)
      this.#news.up()
    } catch (error) {
      this.#news.down(error)
      throw error
    }
  }

  async #commitGroup(group: readonly WaitingCommit[]): Promise<void> {
    this.#confirmLock('no')
    if (this.#isDoubtful) await this.#orUnavailable('no', () => this.#rewrite())
    const staging = new Staging(this.#tables)
    const first = this.#sequence + 1
    const lines: Buffer[] = []
    let bytes = this.#snapshotBytes + (this.#journal?.length ?? 0)
    const settle: (() => void)[] = []
    const accepted: WaitingCommit[] = []
    for (const commit of group) {
      try {
        // Before it is staged: what cannot be a line must not be what its neighbours are judged by.
        const line = toLine(first + lines.length, commit.mutations, first)
        this.#refuseTooMuch(bytes + line.length, commit)
        staging.stage(commit.mutations, commit.now)
        lines.push(line)
        bytes += line.length
        accepted.push(commit)
        settle.push(() => commit.resolve('primary'))
      } catch (error) {
        // Told only when the group is on disk: the neighbour that this one lost against must have won.
        settle.push(() => commit.reject(error))
      }
    }
    if (lines.length > 0) await this.#append(lines)
    for (const { mutations, now } of accepted) {
      for (const mutation of mutations) this.#tables.apply(mutation)
      for (const touched of this.#checks) touched.add(mutations)
      this.#tables.sweep(now)
    }
    for (const each of settle) each()
    if (accepted.length > 0) await this.#compactWhenDue()
  }

  /** Files that grow beyond what can be read again would be lost with everything in them. */
  #refuseTooMuch(bytes: number, { mutations }: WaitingCommit): void {
    const { path, maxBytes = MAX_BYTES } = this.#options
    // What makes the files shorter in the end has some room beyond.
    const isRemoval = mutations.every(({ type }) => type !== 'put')
    if (bytes <= (isRemoval ? maxBytes + maxBytes / 16 : maxBytes)) return
    this.#isFull = true
    this.#compactAt = 0
    throw new UnavailableError(
      `${path} may hold ${maxBytes} bytes and would have ${bytes}; delete records, or use SqliteStorage`,
    )
  }

  /** Makes lines durable. From there to where they are applied nothing is awaited: a compaction must see all or none. */
  async #append(lines: readonly Buffer[]): Promise<void> {
    const journal = this.#journal
    if (journal === undefined) throw new UnavailableError(`${this.#options.path} is closed`)
    const bytes = lines.length === 1 ? (lines[0] as Buffer) : Buffer.concat(lines)
    try {
      journal.write(bytes)
    } catch (error) {
      // Nothing of it may come back at the next start, so it is cut off before anybody is told.
      const isCut =
        this.#lock?.confirm() === true &&
        (await journal.cut().then(
          () => true,
          () => false,
        ))
      this.#isDoubtful = !isCut
      throw unavailable(this.#options.path, 'written', error, isCut ? 'no' : 'unknown')
    }
    // Until it is known to be as it should: a failed sync may have dropped what was not written, and syncing again proves
    // nothing; and whoever took over may have read it.
    this.#isDoubtful = true
    await this.#orUnavailable('unknown', () => journal.sync())
    this.#confirmLock('unknown')
    this.#isDoubtful = false
    this.#sequence += lines.length
    this.#compaction?.add(bytes)
  }

  async #compactWhenDue(): Promise<void> {
    const { files, path } = this.#options
    if (this.#compacting !== undefined || this.#checks.size > 0) return
    if (this.#journal === undefined || this.#journal.length <= this.#compactAt) return
    try {
      const journal = await FileJournal.create(files, `${path}/${JOURNAL}.tmp`)
      this.#compaction = this.#newCompaction(journal)
      this.#compacting = this.#compact(this.#compaction)
    } catch {
      this.#putOffCompaction()
    }
  }

  async #compact(compaction: FileCompaction): Promise<void> {
    try {
      const snapshotBytes = await compaction.writeSnapshot(this.#tables, () => this.#confirmLock('no'))
      // Once while others go on writing, so that little is left for when they have to wait.
      await compaction.syncJournal()
      await this.#queue.runAlone(() => this.#exchange(compaction, snapshotBytes))
    } catch {
      // The commits are safe in the journal that there is; it may grow until the next attempt.
      await compaction.abandon()
      this.#putOffCompaction()
    }
    this.#compaction = undefined
    this.#compacting = undefined
  }

  #newCompaction(journal: FileJournal): FileCompaction {
    const { path, files, maxBytes = MAX_BYTES } = this.#options
    // Less the header and the end.
    return new FileCompaction(files, path, journal, this.#sequence, 2 * maxBytes - 1_000)
  }

  /** Writes everything anew while nothing else is written. */
  async #rewrite(): Promise<void> {
    const { path, files } = this.#options
    await this.#compaction?.abandon()
    const journal = await FileJournal.create(files, `${path}/${JOURNAL}.tmp`)
    const compaction = this.#newCompaction(journal)
    try {
      const snapshotBytes = await compaction.writeSnapshot(this.#tables, () => this.#confirmLock('no'))
      await this.#exchange(compaction, snapshotBytes)
    } catch (error) {
      await compaction.abandon()
      throw error
    }
  }

  async #exchange(compaction: FileCompaction, snapshotBytes: number): Promise<void> {
    await compaction.syncJournal()
    this.#confirmLock('no')
    // From here on the open journal may be one that has no name any more.
    this.#isDoubtful = true
    const journal = await compaction.replaceJournal()
    this.#isDoubtful = false
    await this.#letGo()
    this.#journal = journal
    this.#snapshotBytes = snapshotBytes
    this.#compactions++
    this.#isFull = false
    this.#planCompaction()
  }

  #planCompaction(): void {
    // A large store is written anew less often.
    const { compactBytes, maxBytes = MAX_BYTES } = this.#options
    const room = Math.max(0, maxBytes - this.#snapshotBytes)
    this.#compactAt = Math.min(Math.max(compactBytes, this.#snapshotBytes), room / 2)
  }

  #putOffCompaction(): void {
    const { maxBytes = MAX_BYTES } = this.#options
    const length = this.#journal?.length ?? 0
    this.#compactAt = Math.max(this.#compactAt, Math.min(2 * length, length + maxBytes / 16))
  }

  async #letGo(): Promise<void> {
    const journal = this.#journal
    this.#journal = undefined
    // It may be the journal of another process by now, which must not be shortened.
    await journal?.close(this.#lock?.confirm() === true).catch(() => undefined)
  }

  /** What another process writes to is no longer what is in memory here. */
  #confirmNowAndThen(): void {
    const nowMs = this.#options.clock.monotonic()
    if (nowMs - this.#confirmedMs < CONFIRM_MS) return
    this.#confirmLock('no')
    this.#confirmedMs = nowMs
  }

  #confirmLock(applied: Applied): void {
    if (this.#lock === undefined) throw new UnavailableError(`${this.#options.path} is closed`, applied)
    if (this.#lock.confirm()) return
    throw new UnavailableError(
      `${this.#options.path} was moved, deleted, or taken over by another process; stop this one or put it back`,
      applied,
    )
  }

  async #orUnavailable(applied: Applied, task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (error) {
      throw unavailable(this.#options.path, 'written', error, applied)
    }
  }
}

function toLine(sequence: number, mutations: readonly Mutation[], group: number): Buffer {
  try {
    return encodeCommit(sequence, mutations, group)
  } catch (cause) {
    throw new RangeError('A commit of more than 512 MB of JSON cannot be written; split the batch', { cause })
  }
}

function unavailable(path: string, done: 'opened' | 'written', cause: unknown, applied: Applied): UnavailableError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new UnavailableError(`${path} cannot be ${done} (${why}); free space or repair the disk`, applied, { cause })
}
