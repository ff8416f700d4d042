import { randomBytes } from 'node:crypto'
import { afterRunning } from '../deadline.js'
import { SpoolFormatError, SpoolLockedError } from '../errors.js'
import type { SpoolRecord } from '../ledger.js'
import type { Clock } from '../ports.js'
import { AppendFile, makeDirectory, readIfThere, replaceFile } from './durable-files.js'
import { decodeLines, encodeLine, FORMAT_VERSION, HEADER } from './spool-lines.js'
import { SpoolLock } from './spool-lock.js'

const NAME = 'spool.jsonl'
/** The file is written anew when it is longer than this, and than twice what it began with. */
const COMPACT_BYTES = 1_000_000
/** So long after a failure the disk is tried again; then twice as long each time, up to the other. */
const RETRY_MS = 2_000
const MAX_RETRY_MS = 60_000
/** A disk that takes longer than this is waited for no more: people are told, and that it was slow is told too. */
const PATIENCE_MS = 5_000

/** Where something was written. */
export type Kept = 'disk' | 'memory'

/** What an earlier process left. */
export interface Found {
  readonly records: readonly SpoolRecord[]
  /** How many lines were not what was written. */
  readonly damaged: number
  /** Where they were set aside. */
  readonly quarantine: string | undefined
  /** Who wrote the file last, as it called itself. */
  readonly writer: string | undefined
}

const NOTHING: Found = { records: [], damaged: 0, quarantine: undefined, writer: undefined }

/** How the spool is, for those who want to know. */
export interface SpoolState {
  readonly kept: Kept
  readonly reason: string
}

/**
 * The file in which everything stands that is not settled. It is only appended to, each line with its checksum, and
 * synced before anybody is promised anything. Now and then it is written anew, without what is settled.
 *
 * When the disk fails or is full everything stays in memory, which is said loudly, and the file is tried again.
 */
export class Spool {
  readonly #directory: string
  readonly #writer: string
  readonly #clock: Clock
  readonly #everything: () => Iterable<SpoolRecord>
  readonly #onState: (state: SpoolState) => void
  readonly #onFound: (found: Found) => void
  #lock: SpoolLock | undefined
  #file: AppendFile | undefined
  #compactAt = COMPACT_BYTES
  #buffer: SpoolRecord[] = []
  #waiters: ((kept: Kept) => void)[] = []
  #writing: Promise<Kept> | undefined
  #failure: string | undefined
  /** A new file is being made after a failure; what comes in meanwhile is not in it, and is appended then. */
  #recovering: Promise<void> | undefined
  /** What an earlier process left has been read, so the file may be replaced. */
  #isRead = false
  #retryMs = RETRY_MS
  #cancelRetry: () => void = () => undefined
  #isOpen = false
  /** The disk does not answer. */
  #isHung = false

  /**
   * @param writer - what the file says of who wrote it
   * @param everything - the records of all that is not settled, for a new file
   * @param onState - told when the disk fails, and when it works again
   * @param onFound - handed what an earlier process left when that can be read only after the beginning
   */
  constructor(
    directory: string,
    writer: string,
    clock: Clock,
    everything: () => Iterable<SpoolRecord>,
    onState: (state: SpoolState) => void,
    onFound: (found: Found) => void,
  ) {
    this.#directory = directory
    this.#writer = writer
    this.#clock = clock
    this.#everything = everything
    this.#onState = onState
    this.#onFound = onFound
  }

  get state(): SpoolState {
    const trouble = this.#failure ?? (this.#isHung ? 'the disk does not answer' : undefined)
    if (trouble !== undefined) {
      return { kept: 'memory', reason: `${trouble}; what is pending is in memory only, and a crash would lose it` }
    }
    return { kept: 'disk', reason: this.#isOpen ? 'ok' : 'not started' }
  }

  /**
   * Takes the directory and reads what is there. A disk that does not let us is as one that fails later: it is tried
   * again, and until then there is nothing.
   *
   * @throws SpoolLockedError when another process has it
   * @throws SpoolFormatError when a newer version wrote it
   */
  async open(): Promise<Found> {
    try {
      return await this.#take()
    } catch (error) {
      if (error instanceof SpoolLockedError || error instanceof SpoolFormatError) throw error
      this.#fail(error)
      return NOTHING
    }
  }

  /** Begins to write, with a file of what is there now. */
  async begin(): Promise<void> {
    this.#isOpen = true
    if (this.#failure !== undefined) return
    this.#compactAt = 0
    this.#pump()
    await this.#writing
  }

  /** Writes it down, soon. */
  append(record: SpoolRecord): void {
    // The file that is made when the disk works again is made of everything.
    if (this.#failure !== undefined && this.#recovering === undefined) return
    this.#buffer.push(record)
    if (this.#isOpen) this.#pump()
  }

  /** Resolves when all that was appended so far is on the disk, or when that cannot be. */
  sync(): Promise<Kept> {
    if (this.#failure !== undefined) return Promise.resolve('memory')
    if (this.#buffer.length === 0)
      return this.#writing === undefined ? Promise.resolve('disk') : this.#patiently(this.#writing)
    return this.#patiently(new Promise((resolve) => this.#waiters.push(resolve)))
  }

  /** Writes what is left, and lets go. Resolves whether it could. */
  async close(): Promise<Kept> {
    this.#cancelRetry()
    if (this.#failure !== undefined) await this.#patiently(this.#retry().then(() => this.state.kept))
    if (this.#isOpen && this.#buffer.length > 0) this.#pump()
    const kept = await this.sync()
    this.#isOpen = false
    this.#cancelRetry()
    const gone = this.#letGo()
    // A disk that hangs would hold up whoever stops us.
    if (this.#isHung) return 'memory'
    await gone
    return kept
  }

  /** Not before a write that is under way has ended: nobody else may write meanwhile. */
  async #letGo(): Promise<void> {
    await this.#writing
    await this.#recovering
    await this.#file?.close().catch(() => undefined)
    this.#file = undefined
    await this.#lock?.release().catch(() => undefined)
  }

  async #take(): Promise<Found> {
    await makeDirectory(this.#directory)
    const lock = await SpoolLock.acquire(this.#directory, this.#clock.now())
    try {
      const found = await this.#read()
      this.#lock = lock
      this.#isRead = true
      return found
    } catch (error) {
      await lock.release().catch(() => undefined)
      throw error
    }
  }

  async #read(): Promise<Found> {
    const path = `${this.#directory}/${NAME}`
    const { bodies, damaged, torn } = decodeLines((await readIfThere(path)) ?? Buffer.alloc(0))
    const records: SpoolRecord[] = []
    let writer: string | undefined
    for (const body of bodies) {
      const { formatVersion } = body as { formatVersion?: number }
      if (formatVersion === undefined) records.push(body as SpoolRecord)
      else if (formatVersion > FORMAT_VERSION) throw new SpoolFormatError(path, formatVersion, FORMAT_VERSION)
      else writer = (body as { writer?: string }).writer
    }
    if (damaged.length === 0) return { records, damaged: 0, quarantine: undefined, writer }
    // Only a copy: the file itself is replaced by one without the damage when the spool begins.
    const name = `quarantine-${new Date(this.#clock.now()).toISOString().replaceAll(':', '-')}-${randomBytes(3).toString('hex')}.jsonl`
    await replaceFile(this.#directory, name, [...damaged, torn])
    return { records, damaged: damaged.length, quarantine: `${this.#directory}/${name}`, writer }
  }

  #pump(): void {
    if (this.#writing !== undefined || this.#recovering !== undefined) return
    // All that comes in during this turn of the event loop is written and synced together.
    this.#writing = Promise.resolve()
      .then(() => this.#writeOnce())
      .then((kept) => {
        this.#writing = undefined
        if (this.#isOpen && this.#buffer.length > 0) this.#pump()
        return kept
      })
  }

  async #writeOnce(): Promise<Kept> {
    const records = this.#buffer
    const waiters = this.#waiters
    this.#buffer = []
    this.#waiters = []
    let kept: Kept = 'disk'
    try {
      if (this.#failure !== undefined) kept = 'memory'
      else if (this.#file === undefined || this.#file.length > this.#compactAt) await this.#writeAnew()
      else await this.#append(this.#file, records)
    } catch (error) {
      kept = 'memory'
      this.#fail(error)
    }
    for (const resolve of waiters) resolve(kept)
    return kept
  }

  async #append(file: AppendFile, records: readonly SpoolRecord[]): Promise<void> {
    if (this.#lock?.isOurs !== true) throw new Error('another process has taken the spool over')
    file.write(Buffer.concat(records.map(encodeLine)))
    await file.sync()
  }

  /** The new file holds everything, so also what was to be appended. */
  async #writeAnew(): Promise<void> {
    const lines = [encodeLine({ ...HEADER, writer: this.#writer }), ...[...this.#everything()].map(encodeLine)]
    this.#buffer = []
    if (this.#lock?.isOurs !== true) throw new Error('another process has taken the spool over')
    await this.#file?.close().catch(() => undefined)
    this.#file = undefined
    await replaceFile(this.#directory, NAME, [Buffer.concat(lines)])
    this.#file = await AppendFile.open(`${this.#directory}/${NAME}`)
    this.#compactAt = Math.max(COMPACT_BYTES, 2 * this.#file.length)
  }

  #fail(error: unknown): void {
    const { code, message } = error as { code?: unknown; message?: unknown }
    const isNew = this.#failure === undefined
    this.#failure = `the spool cannot be written (${String(code ?? message)})`
    this.#buffer = []
    for (const resolve of this.#waiters.splice(0)) resolve('memory')
    this.#cancelRetry = this.#clock.after(this.#retryMs, () => void this.#retry())
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2)
    if (isNew && this.#isOpen) this.#onState(this.state)
  }

  /** One at a time: two would write the same file. */
  #retry(): Promise<void> {
    if (!this.#isOpen || this.#failure === undefined) return Promise.resolve()
    this.#recovering ??= this.#recover().finally(() => {
      this.#recovering = undefined
      if (this.#isOpen && this.#buffer.length > 0) this.#pump()
    })
    return this.#recovering
  }

  /** What is half written is never appended to: it is written anew. */
  async #recover(): Promise<void> {
    this.#cancelRetry()
    await this.#file?.close().catch(() => undefined)
    this.#file = undefined
    try {
      if (!this.#isRead) this.#onFound(await this.#take())
      else if (this.#lock?.isGone !== false) {
        await makeDirectory(this.#directory)
        this.#lock = await SpoolLock.acquire(this.#directory, this.#clock.now())
      }
      await this.#writeAnew()
      this.#failure = undefined
      this.#retryMs = RETRY_MS
      this.#onState(this.state)
    } catch (error) {
      this.#fail(error)
    }
  }

  #patiently(done: Promise<Kept>): Promise<Kept> {
    return new Promise((resolve) => {
      const cancel = afterRunning(this.#clock, PATIENCE_MS, () => {
        this.#setHung(true)
        resolve('memory')
      })
      void done.then((kept) => {
        cancel()
        this.#setHung(false)
        resolve(kept)
      })
    })
  }

  #setHung(isHung: boolean): void {
    if (this.#isHung === isHung) return
    this.#isHung = isHung
    this.#onState(this.state)
  }
}
