import { messageOf } from '../bounded.js'
import { checksumOf } from '../checksum.js'
import { withDeadline } from '../deadline.js'
import { StoreUnavailableError } from '../errors.js'
import type { Clock, StateStore } from '../ports.js'
import type { StoredEvidence } from './evidence.js'

const format = 2

/** The evidence as it stands in the store. */
interface EvidenceRecord {
  readonly format: typeof format
  /** The fencing token of the controller that wrote it. */
  readonly epoch: number
  readonly evidence: StoredEvidence
  readonly checksum: string
}

/** Where the evidence is kept: beside the record, whole after each window. So a restart neither resets nor doubles it. */
export class EvidenceShelf {
  readonly #store: StateStore
  readonly #key: string
  readonly #clock: Clock
  readonly #timeoutMs: number
  #version: string | undefined
  #isFenced = false

  constructor(store: StateStore, key: string, clock: Clock, timeoutMs: number) {
    this.#store = store
    this.#key = key
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /**
   * What is there; `undefined` for nothing, and a clause where it cannot be used. Whoever reads it has taken over: it is theirs to write.
   *
   * @throws StoreUnavailableError when the store does not answer: to begin without evidence that is there would reset it
   */
  async read(): Promise<StoredEvidence | string | undefined> {
    const found = await this.#ask('Reading', () => this.#store.entry(this.#key))
    this.#version = found?.version
    this.#isFenced = false
    return found && readEvidence(found.value)
  }

  /** @throws StoreUnavailableError when it is not known whether it was written; the next write is over it */
  async write(epoch: number, evidence: StoredEvidence): Promise<void> {
    // As JSON, so that nothing changes any more while it is being written.
    const record = JSON.parse(JSON.stringify({ format, epoch, evidence })) as Omit<EvidenceRecord, 'checksum'>
    const whole: EvidenceRecord = { ...record, checksum: checksumOf(record) }
    for (let attempt = 0; attempt < 2 && !this.#isFenced; attempt++) {
      const written = await this.#ask('Writing', () => this.#store.compareAndSet(this.#key, this.#version, whole))
      if (written !== undefined) {
        this.#version = written.version
        return
      }
      const found = await this.#ask('Reading', () => this.#store.entry(this.#key))
      this.#version = found?.version
      // A later controller owns it, with the record.
      this.#isFenced = ((found?.value as EvidenceRecord | undefined)?.epoch ?? 0) > epoch
    }
  }

  async #ask<T>(what: string, run: () => Promise<T>): Promise<T> {
    const timedOut = (): Error => new Error(`no answer within ${this.#timeoutMs} ms`)
    try {
      return await withDeadline(run, this.#timeoutMs, this.#clock, timedOut)
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(messageOf(error))
      throw new StoreUnavailableError(`${what} the evidence under "${this.#key}" failed`, 'unknown', cause)
    }
  }
}

function readEvidence(value: unknown): StoredEvidence | string {
  if (typeof value !== 'object' || value === null) return 'it is none'
  const { checksum, ...rest } = value as Omit<EvidenceRecord, 'format'> & { readonly format: unknown }
  if (rest.format !== format && rest.format !== 1) {
    return `it has format ${String(rest.format)}, and this release reads format ${format}`
  }
  if (checksum !== checksumOf(rest)) return 'it is damaged: its checksum differs'
  // The first format had memory by colour, of one deployment: of no use to the next.
  return rest.format === 1 ? { ...rest.evidence, memory: {} } : rest.evidence
}
