import { setImmediate as nextTurn } from 'node:timers/promises'
import { CorruptError, FormatError } from '../errors.js'
import { replaceFile, type FileOps } from './file-ops.js'
import { encodeHeader, FORMAT_VERSION, readLines, toMutation, type Header, type Line } from './journal.js'
import { Tables } from '../tables.js'

/** Everything up to its sequence. */
export const SNAPSHOT = 'snapshot.jsonl'
/** The commits after the snapshot. */
export const JOURNAL = 'journal.jsonl'

/** So many lines are read in one turn of the event loop. */
const LINES = 500

/** What was found on disk. */
export interface Loaded {
  readonly tables: Tables
  /** Of the last commit. */
  readonly sequence: number
  /** Of the journal, up to its last whole line. */
  readonly length: number
  /** Of the journal, with what is behind its last whole line. */
  readonly journalBytes: number
  readonly snapshotBytes: number
  /** What a crash left behind the last whole line; empty when that is blank. */
  readonly torn: Buffer
  readonly damage: readonly Damage[]
  /** How many records are known to be missing. */
  readonly missing: number
}

/** A line that a crash does not explain. */
interface Damage {
  readonly path: string
  /** Where in the file it begins. */
  readonly at: number
  readonly bytes: Buffer
}

const NOTHING = Buffer.alloc(0)

type CommitLine = Extract<Line, { kind: 'commit' }>

/** What to read, and when to give up. */
interface LoadOptions {
  /** Read the journal up to here only. */
  readonly end?: number | undefined
  /** The last process that had the files closed them, so there is nothing that a crash would explain. */
  readonly isClean?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads both files, and changes neither.
 *
 * Commits that a crash cut short are left out: nobody was told that they are done. Damaged lines are left out too, and
 * told, and the rest is used. A file whose beginning cannot be read, or that is missing, is refused: an empty storage in
 * its place would hide the loss of everything.
 *
 * @returns `undefined` when there is neither file
 */
export async function loadFiles(
  files: FileOps,
  directory: string,
  { end, isClean = false, signal }: LoadOptions = {},
): Promise<Loaded | undefined> {
  const snapshot = await files.read(`${directory}/${SNAPSHOT}`)
  const journal = await files.read(`${directory}/${JOURNAL}`)
  if (journal === undefined && snapshot === undefined) return undefined
  const loader = new Loader(signal)
  if (journal === undefined) throw new CorruptError(`${directory}/${JOURNAL}`, 'is missing beside its snapshot')
  if (snapshot !== undefined) await loader.loadSnapshot(`${directory}/${SNAPSHOT}`, snapshot)
  const used = journal.subarray(0, end)
  const { length, isTorn } = await loader.loadJournal(`${directory}/${JOURNAL}`, used, isClean)
  const { tables, sequence, damage, missing } = loader
  return {
    tables,
    sequence,
    length,
    journalBytes: journal.length,
    snapshotBytes: snapshot?.length ?? 0,
    torn: isTorn ? used.subarray(length) : NOTHING,
    damage,
    missing,
  }
}

/** Makes the files of an empty storage. */
export async function createFiles(files: FileOps, directory: string): Promise<Loaded> {
  const header = encodeHeader({ format: 'evenkeel-journal', formatVersion: FORMAT_VERSION, sequence: 0 })
  await replaceFile(files, directory, JOURNAL, [header])
  const { length } = header
  const nothing = { sequence: 0, snapshotBytes: 0, torn: NOTHING, damage: [], missing: 0 }
  return { tables: new Tables(), length, journalBytes: length, ...nothing }
}

class Loader {
  readonly tables = new Tables()
  readonly damage: Damage[] = []
  missing = 0
  /** Of the last commit that was read. */
  sequence = 0
  readonly #signal: AbortSignal | undefined

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  async loadSnapshot(path: string, bytes: Buffer): Promise<void> {
    const { header, lines } = readHeader(path, bytes, 'evenkeel-snapshot')
    this.sequence = header.sequence
    let missing: number | undefined
    let records = 0
    let isEndDamaged = false
    await this.#forEach(lines, (line) => {
      isEndDamaged = line.kind === 'damaged' || (line.kind === 'torn' && looksLikeEnd(bytes, line))
      if (line.kind === 'commit') {
        this.#apply(line)
        records++
      } else if (line.kind === 'end') {
        missing = line.records - records
      } else if (line.kind !== 'header') {
        this.#addDamage(path, bytes, line)
      }
    })
    // It appeared whole, and no crash cuts it. How much is gone cannot be told from what is left.
    if (missing === undefined && !isEndDamaged) throw new CorruptError(path, 'lacks its end')
    this.missing += Math.max(0, missing ?? 1)
  }

  /**
   * @returns up to where the journal is whole, and whether a crash left something behind that
   */
  async loadJournal(path: string, bytes: Buffer, isClean: boolean): Promise<{ length: number; isTorn: boolean }> {
    const { header, lines, end } = readHeader(path, bytes, 'evenkeel-journal')
    const base = this.sequence
    if (header.sequence > base) {
      throw new CorruptError(path, `begins after commit ${header.sequence}, but its snapshot ends with ${base}`)
    }
    this.sequence = header.sequence
    let length = end
    let doubt: Doubt | undefined
    await this.#forEach(lines, (line) => {
      if (line.kind === 'free') return
      if (line.kind === 'torn' || line.kind === 'damaged') {
        doubt ??= { after: this.sequence, faults: [], commits: [] }
        doubt.faults.push(line)
        return
      }
      if (line.kind === 'commit' && doubt !== undefined && (line.group ?? line.sequence) <= doubt.after + 1) {
        doubt.commits.push(line)
        return
      }
      if (doubt !== undefined) this.#settle(path, bytes, doubt, base)
      doubt = undefined
      if (line.kind === 'commit') this.#replay(line, base)
      length = line.end
    })
    const last: Doubt | undefined = doubt
    const isTorn = !isClean && last?.faults.every(({ kind }) => kind === 'torn') === true
    if (last !== undefined && !isTorn) {
      this.#settle(path, bytes, last, base)
      length = bytes.length
    }
    this.sequence = Math.max(this.sequence, base)
    return { length, isTorn }
  }

  /** What a crash does not explain is damage. */
  #settle(path: string, bytes: Buffer, { faults, commits }: Doubt, base: number): void {
    for (const fault of faults) this.#addDamage(path, bytes, fault)
    for (const commit of commits) this.#replay(commit, base)
  }

  #replay(line: CommitLine, base: number): void {
    this.missing += Math.max(0, line.sequence - this.sequence - 1)
    this.sequence = line.sequence
    // A crash between the two files of a compaction leaves commits that are in the snapshot already.
    if (line.sequence > base) this.#apply(line)
  }

  #apply({ changes }: CommitLine): void {
    for (const change of changes) this.tables.apply(toMutation(change))
  }

  #addDamage(path: string, bytes: Buffer, { start, end }: { start: number; end: number }): void {
    this.damage.push({ path, at: start, bytes: bytes.subarray(start, end) })
  }

  async #forEach(lines: Iterable<Line>, use: (line: Line) => void): Promise<void> {
    let count = 0
    for (const line of lines) {
      use(line)
      if (++count % LINES === 0) await nextTurn()
      this.#signal?.throwIfAborted()
    }
  }
}

/** Whether it is the last line of a snapshot, which has lost its line break or a part of its number. */
function looksLikeEnd(bytes: Buffer, { start, end }: { start: number; end: number }): boolean {
  return /^[^,]*,"records":/.test(bytes.toString('latin1', start, Math.min(end, start + 64)))
}

/**
 * Lines that cannot be read, and those after them that were written in the same go. When others follow, the go had been
 * synced, and it is damage; when none do, it may be what a crash left.
 */
interface Doubt {
  /** The last commit before. */
  readonly after: number
  readonly faults: Extract<Line, { start: number }>[]
  readonly commits: CommitLine[]
}

function readHeader(
  path: string,
  bytes: Buffer,
  format: Header['format'],
): { header: Header; lines: Iterable<Line>; end: number } {
  const lines = readLines(bytes)
  const first = lines.next()
  if (first.done === true || first.value.kind !== 'header') throw new CorruptError(path, 'has an unreadable beginning')
  const { header, end } = first.value
  if (header.format !== format) throw new CorruptError(path, `holds ${header.format} instead of ${format}`)
  if (header.formatVersion !== FORMAT_VERSION) {
    throw new FormatError(path, String(header.formatVersion), String(FORMAT_VERSION))
  }
  return { header, lines, end }
}
