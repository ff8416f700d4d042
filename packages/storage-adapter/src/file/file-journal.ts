import { writeFully, type FileOps, type OpenFile } from './file-ops.js'
import { BLANK } from './journal.js'

/** So many bytes are filled with blanks at a time. */
const STEP = 65_536

/**
 * An open journal that is only appended to.
 *
 * It is filled up with blanks ahead of what is written. A sync of bytes that lie within the file need not write how long
 * the file is, about a quarter of the work on common file systems; and what lies within it fits, however full the disk.
 */
export class FileJournal {
  readonly #file: OpenFile
  /** Up to where it was written. */
  #written: number
  /** Up to where it was written when it was last synced. */
  #length: number
  /** The length of the file, of which the rest is blank. */
  #filled: number

  /**
   * @param file - the file, open for writing
   * @param length - up to where it is used
   * @param size - how long it is; what lies behind `length` is blank
   */
  constructor(file: OpenFile, length: number, size: number) {
    this.#file = file
    this.#written = length
    this.#length = length
    this.#filled = size
  }

  /** Makes a new one, which is not durable before it is synced. */
  static async create(files: FileOps, path: string): Promise<FileJournal> {
    return new FileJournal(await files.open(path, 'w'), 0, 0)
  }

  /** Up to where it was synced, in bytes. */
  get length(): number {
    return this.#length
  }

  /** Appends, which is durable after the next {@link FileJournal.sync}. */
  write(bytes: Buffer): void {
    writeFully(this.#file, bytes, this.#written)
    this.#written += bytes.length
    if (this.#written > this.#filled) this.#filled = this.#written + this.#fill()
  }

  /** Waits until all that was written is on the disk. */
  async sync(): Promise<void> {
    const written = this.#written
    await this.#file.datasync()
    this.#length = written
  }

  /** Takes back what was written after the last sync, and clears away what lies behind it. */
  async cut(): Promise<void> {
    this.#written = this.#length
    this.#filled = this.#length
    await this.#file.truncate(this.#length)
    await this.#file.datasync()
  }

  /** Lets go. The blanks go too: they are of no use to a person who looks at the file or copies it. */
  async close(isOwn = true): Promise<void> {
    // Where that fails the next process finds them, and uses them.
    if (isOwn && this.#filled > this.#written) await this.#file.truncate(this.#written).catch(() => undefined)
    await this.#file.close()
  }

  /** Fills up as much as the disk has room for, and says how much. */
  #fill(): number {
    try {
      return this.#file.write(Buffer.alloc(STEP - (this.#written % STEP), BLANK), this.#written)
    } catch {
      // The next line will say so, when there is no room for it either.
      return 0
    }
  }
}
