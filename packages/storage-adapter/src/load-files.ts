import { CorruptError, FormatError } from './errors.js'
import type { Announce, StorageEvents } from './events.js'
import { replaceFile, type FileOps } from './file-ops.js'
import { encodeHeader, FORMAT_VERSION, readLines, toMutation, type Header, type Line } from './journal.js'
import { Tables } from './tables.js'

/** Everything up to its sequence. */
export const SNAPSHOT = 'snapshot.jsonl'
/** The commits after the snapshot. */
export const JOURNAL = 'journal.jsonl'

/** What was found on disk. */
export interface Loaded {
  readonly tables: Tables
  /** Of the last commit. */
  readonly sequence: number
  /** Of the journal, up to its last whole line. */
  readonly length: number
  /** What a crash left behind the last whole line. */
  readonly tornBytes: number
  /** The files hold damage, which has been set aside, and must be written anew. */
  readonly mustRewrite: boolean
  /** What to tell once the storage is open. */
  readonly news: readonly ((announce: Announce<StorageEvents>) => void)[]
}

interface Damage {
  readonly bytes: Buffer[]
  missing: number
}

/**
 * Reads both files.
 *
 * A commit that a crash cut short is left out: nobody was told that it is done. A damaged line is set aside in a file
 * of its own, and told, and the rest is used. A file whose beginning cannot be read, or that is missing, is refused:
 * an empty storage in its place would hide the loss of everything.
 */
export async function loadFiles(files: FileOps, directory: string, now: number): Promise<Loaded> {
  const tables = new Tables()
  const damage: Damage = { bytes: [], missing: 0 }
  const journalPath = `${directory}/${JOURNAL}`
  const snapshot = await files.read(`${directory}/${SNAPSHOT}`)
  let journal = await files.read(journalPath)
  if (journal === undefined) {
    if (snapshot !== undefined) throw new CorruptError(journalPath, 'is missing beside its snapshot')
    journal = encodeHeader({ format: 'evenkeel-journal', formatVersion: FORMAT_VERSION, sequence: 0 })
    await replaceFile(files, directory, JOURNAL, [journal])
  }
  const base = snapshot === undefined ? 0 : loadSnapshot(`${directory}/${SNAPSHOT}`, snapshot, tables, damage)
  const { sequence, length } = loadJournal(journalPath, journal, base, tables, damage)
  const isDamaged = damage.bytes.length > 0 || damage.missing > 0
  const tornBytes = journal.length - length
  const news: Loaded['news'][number][] = []
  if (tornBytes > 0) news.push((announce) => tellTorn(announce, journalPath, tornBytes))
  if (isDamaged) {
    const name = `quarantine-${new Date(now).toISOString().replaceAll(':', '-')}.jsonl`
    await replaceFile(files, directory, name, damage.bytes)
    news.push((announce) => tellDamage(announce, `${directory}/${name}`, Math.max(damage.missing, damage.bytes.length)))
  }
  return { tables, sequence, length, tornBytes, mustRewrite: isDamaged, news }
}

function loadSnapshot(path: string, bytes: Buffer, tables: Tables, damage: Damage): number {
  const { header, lines } = readHeader(path, bytes, 'evenkeel-snapshot')
  let records = 0
  for (const line of lines) {
    if (line.kind === 'commit') {
      for (const change of line.changes) tables.apply(toMutation(change))
      records++
    } else if (line.kind !== 'header') {
      damage.bytes.push(bytes.subarray(line.start, line.end))
    }
  }
  damage.missing += Math.max(0, (header.records ?? 0) - records)
  return header.sequence
}

function loadJournal(
  path: string,
  bytes: Buffer,
  base: number,
  tables: Tables,
  damage: Damage,
): { sequence: number; length: number } {
  const { header, lines, end } = readHeader(path, bytes, 'evenkeel-journal')
  if (header.sequence > base) {
    throw new CorruptError(path, `begins after commit ${header.sequence}, but its snapshot ends with ${base}`)
  }
  let sequence = header.sequence
  let length = end
  for (const line of lines) {
    if (line.kind === 'commit') {
      damage.missing += Math.max(0, line.sequence - sequence - 1)
      sequence = line.sequence
      // A crash between the two files of a compaction leaves commits that are in the snapshot already.
      if (sequence > base) for (const change of line.changes) tables.apply(toMutation(change))
    } else if (line.kind === 'damaged') {
      damage.bytes.push(bytes.subarray(line.start, line.end))
    }
    if (line.kind !== 'torn') length = line.end
  }
  return { sequence: Math.max(sequence, base), length }
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

function tellTorn(announce: Announce<StorageEvents>, path: string, bytes: number): void {
  const why = 'a crash cut the last write short'
  const message = `${path} ended within a commit that was never acknowledged; its ${bytes} bytes were cut off.`
  announce('repaired', { what: 'file', from: 'torn', to: 'whole', why, severity: 'INFO', message })
}

function tellDamage(announce: Announce<StorageEvents>, path: string, records: number): void {
  announce('quarantined', {
    what: 'file',
    from: 'damaged',
    to: 'whole',
    why: 'the checksums of some records did not match, or records were missing',
    severity: 'CRITICAL',
    message: `${records} damaged or missing records are not in the storage; what is left of them is in ${path}.`,
    path,
    records,
  })
}
