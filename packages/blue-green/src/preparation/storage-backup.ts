import { requireKnown, requireMethods } from '../checked-options.js'
import type { ReadableStorage, WritableStorage } from '../migration/ports.js'
import { compare, differencesText, extentOf, rowMark, rowsOf, snapshotOf, writeRows } from '../migration/snapshot.js'
import type { RowMark, Snapshot } from '../migration/snapshot.js'
import { canonicalJson } from '../migration/canonical.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import type { Archive, ArchivedRow } from './archive.js'
import { BackupDamagedError, NotEmptyError } from './errors.js'

/** What {@link storageBackup} backs up, and where. */
export interface StorageBackupOptions {
  /** What to back up. It is only read. */
  readonly source: ReadableStorage
  /** Where to keep it. */
  readonly archive: Archive
  /** Makes an empty store, into which each backup is restored to prove that it can be: `() => new MemoryStorage()`. */
  readonly scratch: () => WritableStorage
  /** Where the time in the name comes from. */
  readonly clock?: Pick<Clock, 'now'> | undefined
}

/** A backup that was restored, and found to be what was read. */
export interface VerifiedBackup {
  /** Its name in the archive: when it was made (UTC), and for which deployment. */
  readonly id: string
  /** How large it is, where the archive knows. */
  readonly bytes?: number | undefined
  /** How many rows it has. */
  readonly rows: number
  /** SHA-256 of its rows. */
  readonly hash: string
}

/**
 * Makes the `backup` of a `BlueGreen`: every record of a store, kept under a name with the time, restored into a scratch store, and
 * compared with what was read, row by row. It resolves only when all that has gone well.
 *
 * @remarks
 * *Gotchas*: a scan is no snapshot. What the bot writes while the backup is made may be in it or not, row by row; a store with
 * snapshots of its own is better backed up by these. Nothing is overwritten or deleted, also after a crash, so a second attempt
 * makes a second backup. About 150 bytes of memory are held for each row, and what the scratch store takes.
 *
 * @throws TypeError when an option is wrong
 *
 * @example
 * ```ts
 * import { mkdtemp } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { fileArchive, storageBackup } from '@evenkeel/blue-green/preparation'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const source = new MemoryStorage()
 * await source.collection<string>('notes').set('1', 'tea')
 * const archive = fileArchive(await mkdtemp(join(tmpdir(), 'backups-')))
 * const backup = storageBackup({ source, archive, scratch: () => new MemoryStorage() })
 * console.log((await backup({ deploymentId: 'v2', signal: AbortSignal.timeout(5_000) })).rows) // => 1
 * ```
 */
export function storageBackup(
  options: StorageBackupOptions,
): (context: { readonly deploymentId: string; readonly signal: AbortSignal }) => Promise<VerifiedBackup> {
  requireKnown('storageBackup', options, ['source', 'archive', 'scratch', 'clock'])
  const { source, archive, scratch, clock = systemClock } = options
  requireMethods('source', source, ['collection', 'collections'])
  requireMethods('archive', archive, ['write', 'read'])
  requireMethods('scratch', { scratch }, ['scratch'])
  return async ({ deploymentId, signal }) => {
    const { id, bytes, written } = await write(source, archive, nameOf(deploymentId, clock.now()), signal)
    const restored = await restoredFrom(archive, id, scratch, signal)
    // Expiry is told by the clock of the scratch store, which is that of the machine.
    const comparison = compare(written, restored, systemClock.now())
    if (comparison.count > 0) throw new BackupDamagedError(id, differencesText(comparison))
    const { rows, hash } = extentOf(written)
    return { id, rows, hash, ...(bytes === undefined ? {} : { bytes }) }
  }
}

/** What {@link restoreBackup} restores, and where. */
export interface RestoreBackupOptions {
  /** Where the backup is kept. */
  readonly archive: Archive
  /** Its name. */
  readonly id: string
  /** An empty store. */
  readonly into: WritableStorage
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes a backup into an empty store. It is read to its end before the first row is written, so a damaged one writes nothing.
 *
 * @returns how many rows were written
 * @throws {@link NotEmptyError} when the store holds something
 * @throws {@link BackupDamagedError} when the backup is not what was written
 */
export async function restoreBackup({ archive, id, into, signal }: RestoreBackupOptions): Promise<number> {
  const stop = signal ?? new AbortController().signal
  const held = await into.collections()
  if (held.length > 0) throw new NotEmptyError('The store to restore into', held)
  for await (const _ of archive.read(id, stop)) stop.throwIfAborted()
  return writeRows(into, archive.read(id, stop), stop)
}

async function write(
  source: ReadableStorage,
  archive: Archive,
  name: string,
  signal: AbortSignal,
): Promise<{ id: string; bytes: number | undefined; written: Snapshot }> {
  for (let attempt = 1; ; attempt++) {
    const id = attempt === 1 ? name : `${name}-${attempt}`
    const written = new Map<string, Map<string, RowMark>>()
    try {
      const { bytes } = await archive.write(id, marked(rowsOf(source, signal), written), signal)
      return { id, bytes, written }
    } catch (error) {
      const { code } = Object(error) as { code?: unknown }
      // Two backups in one millisecond; more than a few are another fault.
      if (code !== 'EEXIST' || attempt === 10) throw error
    }
  }
}

async function* marked(
  rows: AsyncIterable<ArchivedRow>,
  into: Map<string, Map<string, RowMark>>,
): AsyncGenerator<ArchivedRow> {
  for await (const row of rows) {
    const marks = into.get(row.collection) ?? new Map<string, RowMark>()
    into.set(row.collection, marks)
    marks.set(row.key, rowMark(row.key, canonicalJson(row.value), row.expiresAt))
    yield row
  }
}

async function restoredFrom(
  archive: Archive,
  id: string,
  scratch: () => WritableStorage,
  signal: AbortSignal,
): Promise<Snapshot> {
  const into = scratch()
  try {
    await restoreBackup({ archive, id, into, signal })
    return await snapshotOf(into, signal)
  } finally {
    await into.stop?.()
  }
}

/** Sorts by time, and is a file name everywhere. */
function nameOf(deploymentId: string, now: number): string {
  const time = new Date(now).toISOString().replace(/[:.]/g, '-')
  return `${time}-${deploymentId.replace(/[^\w.-]/g, '_').slice(0, 80)}`
}
