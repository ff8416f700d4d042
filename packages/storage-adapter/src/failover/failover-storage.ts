import { BackendStorage } from '../backend-storage.js'
import { FailoverBackend } from './failover-backend.js'
import { checkFailoverOptions, type FailoverStorageOptions } from './failover-options.js'
import type { Conflict, FailoverEvents, FailoverState } from './failover-state.js'
import { FileBackend } from '../file/file-backend.js'
import { nodeFiles, type FileOps } from '../file/file-ops.js'
import { fileDefaults } from '../file/file-storage.js'
import { LocalStore } from './local-store.js'
import { Turns } from './turns.js'
import { ONCE_COLLECTION, refuseReserved } from '../mutations.js'
import type { Collection } from '../storage.js'

/**
 * Keeps serving while the primary is down, and loses no acknowledged write.
 *
 * While the primary is up, every record is also copied to a local directory. In an outage reads come from that copy,
 * and writes go to it and to a journal on disk. When the primary is back and steady, the journal is replayed to it in
 * order, and it serves again. A process that is killed at any point goes on where it was.
 *
 * @example
 * ```ts
 * import { FailoverStorage, MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const storage = new FailoverStorage({ primary: new MemoryStorage(), path: 'data/failover', writers: 'one' })
 * storage.on('change', ({ message }) => console.log(message))
 * const notes = storage.collection<{ text: string }>('notes')
 * const { kept } = await notes.set('7:1', { text: 'tea' })
 * console.log(kept) // 'primary', or 'journal' in an outage
 * await storage.stop()
 * ```
 */
export class FailoverStorage extends BackendStorage<FailoverEvents> {
  readonly #failover: FailoverBackend

  /**
   * @param options - the primary, the local directory, and when to switch
   * @throws TypeError or RangeError when an option is wrong
   */
  constructor(options: FailoverStorageOptions)
  /** @internal Tests bring a disk that fails. */
  constructor(options: FailoverStorageOptions, files: FileOps)
  constructor(options: FailoverStorageOptions, files: FileOps = nodeFiles) {
    const checked = checkFailoverOptions(options)
    const { path, clock, merge } = checked
    const { compactBytes } = fileDefaults
    // The names of `once` batches are always copied: without them none could be judged.
    const mirror = checked.mirror === 'all' ? 'all' : [...checked.mirror, ONCE_COLLECTION]
    const backend = new FileBackend({ path, compactBytes, clock, files })
    const turns = new Turns(clock)
    const local = new LocalStore(backend, { mirror, turns, keepsBase: (collection) => merge.has(collection) })
    const failover = new FailoverBackend(checked, local)
    super(failover, { clock })
    this.#failover = failover
  }

  /**
   * A named set of records.
   *
   * @param name - as for every storage, but not beginning with `$`
   * @throws TypeError when it does
   */
  override collection<T = unknown>(name: string): Collection<T> {
    refuseReserved(name)
    return super.collection<T>(name)
  }

  /** Where it stands, and why. */
  get state(): FailoverState {
    return this.#failover.state
  }

  /** The acknowledged batches that could not be replayed, because somebody else had changed the primary. */
  async conflicts(): Promise<Conflict[]> {
    await this.opened()
    return this.#failover.conflicts()
  }

  /**
   * Forgets a conflict that a person has dealt with.
   *
   * @param sequence - the `sequence` of the conflict
   * @returns whether there was such a conflict
   */
  async dismissConflict(sequence: number): Promise<boolean> {
    await this.opened()
    return this.#failover.dismissConflict(sequence)
  }
  /**
   * A person's decision, when `state.diverged` is set: the primary that answers is taken as it is.
   *
   * What was journaled in the outage is replayed to it where the base versions still match; all else is kept in
   * {@link FailoverStorage.conflicts}. Then the local copy is made equal to it: what only the copy had is gone. To keep
   * that, stop the bot and save the local directory first.
   *
   * @returns whether there was such a decision to make
   */
  async acceptPrimary(): Promise<boolean> {
    await this.opened()
    return this.#failover.acceptPrimary()
  }
}
