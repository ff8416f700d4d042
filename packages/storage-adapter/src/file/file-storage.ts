import { BackendStorage, type BackendStorageOptions } from '../backend-storage.js'
import { FileBackend } from './file-backend.js'
import { nodeFiles } from './file-ops.js'
import { checkNumber, checkOptions, checkPath } from '../options.js'
import { systemClock } from '../system-clock.js'

/** The options of a {@link FileStorage}. */
export interface FileStorageOptions extends BackendStorageOptions {
  /** The directory of the files; it is made when it is not there. */
  readonly path: string
  /**
   * How long the journal may grow, in bytes, before a snapshot replaces it.
   *
   * @defaultValue 4_000_000
   */
  readonly compactBytes?: number | undefined
}

/** The defaults of a {@link FileStorage}. */
export const fileDefaults: Readonly<Record<'compactBytes', number>> = { compactBytes: 4_000_000 }

/**
 * Keeps records in files that a person can read, for one process, without any native module.
 *
 * Everything is in memory too, so it fits what fits there. A write is acknowledged when it is on the disk.
 *
 * @example
 * ```ts
 * import { FileStorage } from '@evenkeel/storage-adapter'
 *
 * const storage = new FileStorage({ path: 'data/notes' })
 * const notes = storage.collection<{ text: string }>('notes')
 * await notes.set('7:1', { text: 'tea' })
 * console.log(await notes.get('7:1')) // => { text: 'tea' }
 * await storage.stop()
 * ```
 */
export class FileStorage extends BackendStorage {
  /**
   * @param options - where, and when to compact
   * @throws TypeError or RangeError when an option is wrong
   */
  constructor(options: FileStorageOptions) {
    checkOptions('FileStorage', options, ['path', 'compactBytes', 'clock'])
    const { path, compactBytes = fileDefaults.compactBytes, clock = systemClock } = options
    checkPath('FileStorage', path)
    checkNumber('compactBytes', compactBytes, 1)
    super(new FileBackend({ path, compactBytes, clock, files: nodeFiles }), { clock })
  }
}
