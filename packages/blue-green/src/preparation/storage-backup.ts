import { requireKnown, requireMethods } from '../checked-options.js'
import type { ReadableStorage, WritableStorage } from '../migration/ports.js'
import { rowsOf } from '../migration/snapshot.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { readsWithin, storageWithin } from './answering.js'
import type { Archive } from './archive.js'
import { BackupDamagedError } from './errors.js'
import { teller, type BackupProgress } from './progress.js'
import { writeInto } from './restore-backup.js'
import { RowLedger } from './row-ledger.js'

/** What {@link storageBackup} backs up, and where. */
export interface StorageBackupOptions {
  /** What to back up. It is only read. */
  readonly source: ReadableStorage
  /** Where to keep it. */
  readonly archive: Archive
  /** Makes an empty store, into which each backup is restored to prove that it can be: `() => new MemoryStorage()`. */
  readonly scratch: () => WritableStorage
  /**
   * Collections that are not backed up. Name the one in which the `BlueGreen` keeps its state: a store restored with it would go on with
   * the deployment before which the backup was made.
   */
  readonly leaveOut?: readonly string[] | undefined
  /** Told how far it is, every 500 rows. */
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined
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
  /** SHA-256 of its rows in the order of the store, in hex: the same for the same rows. */
  readonly hash: string
}

/**
 * Makes the `backup` of a `BlueGreen`: every record of a store, kept under a name with the time, restored into a scratch store, and
 * compared with what was read, row by row. It resolves only when all that has gone well.
 *
 * @remarks
 * *Gotchas*: a scan is no snapshot. What the bot writes while the backup is made may be in it or not, row by row; a store with
 * snapshots of its own is better backed up by these. Nothing is overwritten or deleted, also after a crash, so a second attempt
 * makes a second backup. About 200 bytes of memory are held for each row, and what the scratch
 * store takes.
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
  requireKnown('storageBackup', options, ['source', 'archive', 'scratch', 'leaveOut', 'onProgress', 'clock'])
  const { source, archive, scratch, onProgress, clock = systemClock } = options
  const leftOut = readNames(options.leaveOut ?? [])
  requireMethods('source', source, ['collection', 'collections'])
  requireMethods('archive', archive, ['write', 'read'])
  requireMethods('scratch', { scratch }, ['scratch'])
  return async ({ deploymentId, signal }) => {
    const reads = readsWithin(without(source, leftOut), signal)
    const { id, bytes, ledger } = await keep(reads, archive, nameOf(deploymentId, clock.now()), signal, onProgress)
    const { rows, hash } = ledger
    const differences = await differencesOnceRestored(ledger, archive, id, scratch, signal, onProgress)
    if (differences !== undefined) throw new BackupDamagedError(id, differences)
    return { id, rows, hash, ...(bytes === undefined ? {} : { bytes }) }
  }
}

/** Reads the store into the archive, under a name that is not taken. */
async function keep(
  source: ReadableStorage,
  archive: Archive,
  name: string,
  signal: AbortSignal,
  onProgress: ((progress: BackupProgress) => void) | undefined,
): Promise<{ id: string; bytes: number | undefined; ledger: RowLedger }> {
  for (let attempt = 1; ; attempt++) {
    const id = attempt === 1 ? name : `${name}-${attempt}`
    const ledger = new RowLedger()
    try {
      const rows = ledger.passing(rowsOf(source, signal), teller('reading', onProgress))
      const { bytes } = await archive.write(id, rows, signal)
      return { id, bytes, ledger }
    } catch (error) {
      const { code } = Object(error) as { code?: unknown }
      // Two backups in one millisecond; more than a few are another fault.
      if (code !== 'EEXIST' || attempt === 10) throw error
    }
  }
}

/** Restores a backup into a store that is thrown away, and says what is otherwise in it. */
async function differencesOnceRestored(
  ledger: RowLedger,
  archive: Archive,
  id: string,
  scratch: () => WritableStorage,
  signal: AbortSignal,
  onProgress: ((progress: BackupProgress) => void) | undefined,
): Promise<string | undefined> {
  const into = storageWithin(scratch(), signal)
  try {
    await writeInto(into, archive, id, signal, onProgress)
    // Expiry is told by the clock of the scratch store, which is that of the machine.
    const now = (): number => systemClock.now()
    return await ledger.differencesIn(rowsOf(into, signal), now, teller('comparing', onProgress))
  } finally {
    await into.stop?.()
  }
}

function without(source: ReadableStorage, leftOut: readonly string[]): ReadableStorage {
  return {
    collection: (name) => source.collection(name),
    collections: async () => (await source.collections()).filter((name) => !leftOut.includes(name)),
  }
}

/** Sorts by time, and is a file name everywhere. */
function nameOf(deploymentId: string, now: number): string {
  const time = new Date(now).toISOString().replace(/[:.]/g, '-')
  return `${time}-${deploymentId.replace(/[^\w.-]/g, '_').slice(0, 80)}`
}

function readNames(names: unknown): readonly string[] {
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  throw new TypeError('storageBackup: leaveOut must be a list of names of collections')
}
