import { requireKnown, requireMethods } from '../checked-options.js'
import { NotIsolatedError } from '../migration/errors.js'
import type { ReadableStorage, WritableStorage } from '../migration/ports.js'
import { rowsOf } from '../migration/snapshot.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { readsWithin, storageWithin } from './answering.js'
import type { Archive, ArchivedRow, KeptBackup } from './archive.js'
import { BackupDamagedError, EmptyBackupError, NotEmptyError } from './errors.js'
import { teller, type BackupProgress } from './progress.js'
import { requireEmpty, writeInto } from './restore-backup.js'
import { RowLedger } from './row-ledger.js'
import { reasonOf } from './until-aborted.js'

/** What {@link storageBackup} backs up, and where. */
export interface StorageBackupOptions {
  /** What to back up. It is only read. */
  readonly source: ReadableStorage
  /** Where to keep it. */
  readonly archive: Archive
  /**
   * Makes an empty store, into which each backup is restored to prove that it can be: `() => new MemoryStorage()`. It is called before
   * anything is read, and the store is stopped in the end; one that holds something is refused, and let be.
   */
  readonly scratch: () => WritableStorage
  /**
   * Collections that are not backed up. Name the one in which the `BlueGreen` keeps its state: a store restored with it would go on with
   * the deployment before which the backup was made.
   *
   * Names in a list must be collections that hold a record now: any other one may be misspelt, and what it was to leave out would be in the
   * backup. A `BlueGreen` has written to its store before it asks for a backup, so that name may stand here from the first deployment on.
   * For a collection that may be empty, such as one of sessions, give a function: `(name) => name === 'sessions'`. It is not checked.
   *
   * @defaultValue `[]`
   */
  readonly leaveOut?: readonly string[] | ((collection: string) => boolean) | undefined
  /**
   * Whether a backup without a row is one. Otherwise it is refused: a store that holds nothing is more often a wrong path than a new bot.
   *
   * @defaultValue `false`
   */
  readonly allowEmpty?: boolean | undefined
  /** Told how far it is, every 500 rows. Nothing waits for it, and that it throws or rejects is not heard of. */
  readonly onProgress?: ((progress: BackupProgress) => unknown) | undefined
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
 * What it returns rejects with {@link NotIsolatedError} when `scratch` gives the source, {@link NotEmptyError} when that store holds
 * something, a TypeError when it is no store, {@link EmptyBackupError} when there is no row, a RangeError when `leaveOut` names a collection
 * that is not there, and {@link BackupDamagedError} when the backup is not what was read, or not all of it. But for the last one, nothing is
 * kept, unless somebody fills the scratch store meanwhile.
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
  requireKnown('storageBackup', options, [
    ...['source', 'archive', 'scratch', 'leaveOut', 'allowEmpty', 'onProgress', 'clock'],
  ])
  const { source, archive, scratch, allowEmpty = false, onProgress, clock = systemClock } = options
  const leaveOut = readLeaveOut(options.leaveOut ?? [])
  if (typeof allowEmpty !== 'boolean') throw new TypeError('storageBackup: allowEmpty must be true or false')
  requireMethods('source', source, ['collection', 'collections'])
  requireMethods('archive', archive, ['write', 'read'])
  requireMethods('scratch', { scratch }, ['scratch'])
  requireMethods('clock', clock, ['now'])
  if (onProgress !== undefined) requireMethods('onProgress', options, ['onProgress'])
  return async ({ deploymentId, signal }) => {
    if (signal.aborted) throw reasonOf(signal)
    const made = scratch()
    // It would be stopped in the end, and the bot with it.
    if ((made as unknown) === source) throw new NotIsolatedError('it is the source itself', 'scratch')
    requireStore(made)
    return withScratch(storageWithin(made, signal), async (into) => {
      const all = readsWithin(source, signal)
      if (typeof leaveOut !== 'function') requireThere(leaveOut, await all.collections())
      const reads = without(all, leaveOut)
      const rowsToKeep = (): AsyncIterable<ArchivedRow> => rowsOrRefusal(all, reads, allowEmpty, signal)
      const name = nameOf(deploymentId, clock.now())
      const { id, bytes, ledger } = await keep(rowsToKeep, archive, name, signal, onProgress)
      const { rows, hash } = ledger
      const differences = await differencesOnceRestored(ledger, archive, id, into, signal, onProgress)
      if (differences !== undefined) throw new BackupDamagedError(id, differences)
      return { id, rows, hash, ...(bytes === undefined ? {} : { bytes }) }
    })
  }
}

/** @throws TypeError */
function requireStore(made: unknown): void {
  if (made instanceof Promise) {
    made.catch(() => undefined)
    const remedy = 'leave out async, and await nothing there; a storage opens when it is used'
    throw new TypeError(`scratch must give a store at once, not a promise of one: ${remedy}`)
  }
  requireMethods('what scratch made', made as object, ['collection', 'collections', 'batch'])
}

/** Stops the store in the end, if it was found empty. One that holds something is somebody else's. */
async function withScratch<T>(into: WritableStorage, use: (into: WritableStorage) => Promise<T>): Promise<T> {
  await requireEmpty(into)
  let isOurs = true
  try {
    return await use(into)
  } catch (error) {
    if (error instanceof NotEmptyError) isOurs = false
    throw error
  } finally {
    if (isOurs) await into.stop?.()
  }
}

/** Reads the store into the archive, under a name that is not taken. */
async function keep(
  rowsToKeep: () => AsyncIterable<ArchivedRow>,
  archive: Archive,
  name: string,
  signal: AbortSignal,
  onProgress: ((progress: BackupProgress) => unknown) | undefined,
): Promise<{ id: string; bytes: number | undefined; ledger: RowLedger }> {
  for (let attempt = 1; ; attempt++) {
    const id = attempt === 1 ? name : `${name}-${attempt}`
    const ledger = new RowLedger()
    try {
      const rows = ledger.passing(rowsToKeep(), teller('reading', onProgress))
      // One who writes JavaScript may give nothing.
      const { bytes } = Object(await archive.write(id, rows, signal)) as KeptBackup
      if (ledger.isWhole) return { id, bytes, ledger }
      await rows.return(undefined)
      throw new BackupDamagedError(id, `the archive took ${ledger.rows} rows, and left those that follow`)
    } catch (error) {
      const { code } = Object(error) as { code?: unknown }
      // Two backups in one millisecond; more than a few are another fault.
      if (code !== 'EEXIST' || attempt === 10) throw error
    }
  }
}

/** Throws in place of an end without a row, so that an archive keeps nothing. @throws {@link EmptyBackupError} */
async function* rowsOrRefusal(
  all: ReadableStorage,
  reads: ReadableStorage,
  allowEmpty: boolean,
  signal: AbortSignal,
): AsyncGenerator<ArchivedRow> {
  let isEmpty = true
  for await (const row of rowsOf(reads, signal)) {
    isEmpty = false
    yield row
  }
  if (isEmpty && !allowEmpty) throw new EmptyBackupError((await all.collections()).sort())
}

/** Restores a backup into a store that is thrown away, and says what is otherwise in it. */
async function differencesOnceRestored(
  ledger: RowLedger,
  archive: Archive,
  id: string,
  into: WritableStorage,
  signal: AbortSignal,
  onProgress: ((progress: BackupProgress) => unknown) | undefined,
): Promise<string | undefined> {
  await writeInto(into, archive, id, signal, onProgress)
  // Expiry is told by the clock of the scratch store, which is that of the machine.
  const now = (): number => systemClock.now()
  return ledger.differencesIn(rowsOf(into, signal), now, teller('comparing', onProgress))
}

type LeaveOut = NonNullable<StorageBackupOptions['leaveOut']>

function without(source: ReadableStorage, leaveOut: LeaveOut): ReadableStorage {
  const isLeftOut = typeof leaveOut === 'function' ? leaveOut : (name: string) => leaveOut.includes(name)
  return {
    collection: (name) => source.collection(name),
    collections: async () => (await source.collections()).filter((name) => !isLeftOut(name)),
  }
}

/** Of a store that holds nothing at all, no name is wrong. @throws RangeError */
function requireThere(leftOut: readonly string[], held: readonly string[]): void {
  const name = leftOut.find((each) => !held.includes(each))
  if (name === undefined || held.length === 0) return
  const named = [...held].sort().slice(0, 20).join(', ')
  throw new RangeError(
    `storageBackup: leaveOut names ${JSON.stringify(name)}, and the source has no such collection; it has ${named}. ` +
      `If it is one that may be empty, give a function: leaveOut: (name) => name === ${JSON.stringify(name)}`,
  )
}

/** Sorts by time, and is a file name everywhere. */
function nameOf(deploymentId: string, now: number): string {
  const time = new Date(now).toISOString().replace(/[:.]/g, '-')
  return `${time}-${deploymentId.replace(/[^\w.-]/g, '_').slice(0, 80)}`
}

function readLeaveOut(leaveOut: unknown): LeaveOut {
  if (typeof leaveOut === 'function') return leaveOut as LeaveOut
  if (Array.isArray(leaveOut) && leaveOut.every((name) => typeof name === 'string')) return leaveOut
  throw new TypeError('storageBackup: leaveOut must be a list of names of collections, or a function of one')
}
