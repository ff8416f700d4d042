import { requireKnown, requireMethods } from '../checked-options.js'
import type { WritableStorage } from '../migration/ports.js'
import { rowsOf, writeRows } from '../migration/snapshot.js'
import { systemClock } from '../system-clock.js'
import { storageWithin } from './answering.js'
import type { Archive } from './archive.js'
import { BackupDamagedError, NotEmptyError, RestoreMismatchError } from './errors.js'
import { teller, type BackupProgress } from './progress.js'
import { RowLedger, RowSum } from './row-ledger.js'
import { reasonOf } from './until-aborted.js'

/** What {@link restoreBackup} restores, and where. */
export interface RestoreBackupOptions {
  /** Where the backup is kept. */
  readonly archive: Archive
  /** Its name: `deployment.status.backup.id`, or one of the files of {@link fileArchive} without `.jsonl`. */
  readonly id: string
  /** An empty store. */
  readonly into: WritableStorage
  /** Ends it early. Part of the backup may be written then. */
  readonly signal?: AbortSignal | undefined
  /** Told how far it is, every 500 rows. Nothing waits for it, and that it throws or rejects is not heard of. */
  readonly onProgress?: ((progress: BackupProgress) => unknown) | undefined
}

/**
 * Writes a backup into an empty store, and reads the store again to see that it has all of it. The backup is read to its end before
 * the first row is written, so a damaged one writes nothing.
 *
 * @remarks
 * *Gotchas*: it is not one transaction. When it fails in the middle, throw that store away. Rows that have expired since the backup was
 * made are not there any more, as if it had never been.
 *
 * @returns how many rows were written
 * @throws {@link NotEmptyError} when the store holds something
 * @throws {@link BackupDamagedError} when the backup is not what was written, or the archive does not give it twice
 * @throws {@link RestoreMismatchError} when the store is not what was written into it
 * @throws TypeError when an option is wrong
 *
 * @example
 * ```ts
 * import { mkdtemp } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { fileArchive, restoreBackup, storageBackup } from '@evenkeel/blue-green/preparation'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const source = new MemoryStorage()
 * await source.collection<string>('notes').set('1', 'tea')
 * const archive = fileArchive(await mkdtemp(join(tmpdir(), 'backups-')))
 * const backup = storageBackup({ source, archive, scratch: () => new MemoryStorage() })
 * const { id } = await backup({ deploymentId: 'v2', signal: AbortSignal.timeout(5_000) })
 *
 * const into = new MemoryStorage()
 * console.log(await restoreBackup({ archive, id, into })) // => 1
 * console.log(await into.collection('notes').get('1')) // => tea
 * ```
 */
export async function restoreBackup(options: RestoreBackupOptions): Promise<number> {
  requireKnown('restoreBackup', options, ['archive', 'id', 'into', 'signal', 'onProgress'])
  const { archive, id, into, signal = new AbortController().signal, onProgress } = options
  requireMethods('archive', archive, ['read'])
  requireMethods('into', into, ['collection', 'collections', 'batch'])
  if (onProgress !== undefined) requireMethods('onProgress', options, ['onProgress'])
  if (typeof id !== 'string') throw new TypeError(`restoreBackup: id must be the name of a backup, not a ${typeof id}`)
  const ledger = new RowLedger()
  const store = storageWithin(into, signal)
  const rows = await writeInto(store, archive, id, signal, onProgress, ledger)
  const found = rowsOf(store, signal)
  const differences = await ledger.differencesIn(found, () => systemClock.now(), teller('comparing', onProgress))
  if (differences !== undefined) throw new RestoreMismatchError(id, differences)
  return rows
}

/** @throws {@link NotEmptyError} */
export async function requireEmpty(into: WritableStorage): Promise<void> {
  const held = await into.collections()
  if (held.length > 0) throw new NotEmptyError('The store to restore into', held)
}

/**
 * Writes the whole of a backup, or nothing of a damaged one.
 *
 * @param ledger - remembers the rows as they were written, which must be those that were read before
 * @returns how many rows
 * @throws {@link BackupDamagedError} when they are not; they are written then
 */
export async function writeInto(
  into: WritableStorage,
  archive: Archive,
  id: string,
  signal: AbortSignal,
  onProgress: ((progress: BackupProgress) => unknown) | undefined,
  ledger?: RowLedger,
): Promise<number> {
  if (signal.aborted) throw reasonOf(signal)
  await requireEmpty(into)
  const first = ledger && new RowSum()
  for await (const row of archive.read(id, signal)) {
    if (signal.aborted) throw reasonOf(signal)
    first?.add(row)
  }
  const rows = archive.read(id, signal)
  const written = await writeRows(into, ledger?.passing(rows) ?? rows, signal, teller('restoring', onProgress, 1))
  if (first?.rows !== ledger?.rows) {
    throw new BackupDamagedError(id, `it has ${first?.rows} rows, and had ${ledger?.rows} when it was read again`)
  }
  if (first?.hash !== ledger?.hash) throw new BackupDamagedError(id, 'it had other rows when it was read again')
  return written
}
