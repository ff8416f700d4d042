import type { FileJournal } from './file-journal.js'
import { replaceFile, type FileOps } from './file-ops.js'
import { encodeEnd, encodeHeader, encodeRecord, FORMAT_VERSION } from './journal.js'
import { JOURNAL, SNAPSHOT } from './load-files.js'
import type { Tables } from '../tables.js'

/** How much of a snapshot is put together in one turn of the event loop. */
const CHUNK = { records: 500, bytes: 262_144 } as const

/**
 * Replaces a long journal by a snapshot and a short one, while commits go on.
 *
 * From its beginning every commit goes to both journals, and the old one alone makes it durable. Meanwhile the snapshot
 * is written from records that change under it. That is no harm: whatever has changed since the beginning is in both
 * journals, and is replayed over the snapshot. The snapshot takes its place first, so a crash at any point leaves a
 * snapshot with a journal that reaches back to where it begins.
 */
export class FileCompaction {
  readonly #files: FileOps
  readonly #path: string
  readonly #sequence: number
  readonly #journal: FileJournal
  readonly #maxBytes: number
  /** Set when it was given up, or failed. */
  #failure: Error | undefined
  /** Settles, and never rejects, when the snapshot is in its place or will not be. */
  #writing: Promise<unknown> = Promise.resolve()

  /**
   * @param files - where everything is
   * @param path - the directory
   * @param journal - a new one under the temporary name, which nobody has written to
   * @param sequence - the last commit, which is in the tables, as are all before it; the caller adds those that follow
   * @param maxBytes - a longer snapshot could not be read again, and is given up
   */
  constructor(files: FileOps, path: string, journal: FileJournal, sequence: number, maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#files = files
    this.#path = path
    this.#journal = journal
    this.#sequence = sequence
    this.add(this.#header('evenkeel-journal'))
  }

  /** Takes the lines of commits that are durable in the old journal. */
  add(lines: Buffer): void {
    if (this.#failure !== undefined) return
    try {
      this.#journal.write(lines)
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
    }
  }

  /**
   * Writes the snapshot and puts it in its place.
   *
   * @param confirm - throws when the files are not ours any more
   * @returns the length of the snapshot
   */
  async writeSnapshot(tables: Tables, confirm: () => void): Promise<number> {
    const writing = replaceFile(this.#files, this.#path, SNAPSHOT, this.#snapshot(tables), confirm)
    this.#writing = writing.catch(() => undefined)
    return writing
  }

  /** Makes durable what the new journal holds. */
  async syncJournal(): Promise<void> {
    this.#throwIfFailed()
    await this.#journal.sync()
  }

  /** Puts the new journal in the place of the old one. Nothing may be committed since it was synced. */
  async replaceJournal(): Promise<FileJournal> {
    this.#throwIfFailed()
    await this.#files.rename(`${this.#path}/${JOURNAL}.tmp`, `${this.#path}/${JOURNAL}`)
    await this.#files.syncDirectory(this.#path)
    return this.#journal
  }

  /** Gives it up, and resolves when it writes no more. */
  async abandon(): Promise<void> {
    this.#failure ??= new Error('The compaction was given up')
    await this.#writing
    await this.#journal.close().catch(() => undefined)
  }

  *#snapshot(tables: Tables): Generator<Buffer, void, undefined> {
    let records = 0
    let bytes = 0
    let total = 0
    let lines = [this.#header('evenkeel-snapshot')]
    for (const record of tables.all()) {
      const line = encodeRecord(this.#sequence, record)
      lines.push(line)
      records++
      bytes += line.length
      total += line.length
      if (total > this.#maxBytes)
        throw new Error(`A snapshot of more than ${this.#maxBytes} bytes cannot be read again`)
      if (lines.length < CHUNK.records && bytes < CHUNK.bytes) continue
      yield Buffer.concat(lines)
      this.#throwIfFailed()
      lines = []
      bytes = 0
    }
    yield Buffer.concat([...lines, encodeEnd(records)])
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #header(format: 'evenkeel-journal' | 'evenkeel-snapshot'): Buffer {
    return encodeHeader({ format, formatVersion: FORMAT_VERSION, sequence: this.#sequence })
  }
}
