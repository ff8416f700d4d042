import { within } from '../deadline.js'
import type { LeaseSettings } from './controller-lease.js'
import { readEvidence, type Evidence, type StoredEvidence } from './evidence.js'
import { RolloutStoreError } from './rollout-errors.js'
import { FORMAT } from './shape.js'
import { messageOf } from './validation.js'

/**
 * Where the evidence of a rollout is kept: each piece under a name that nobody else ever uses and that is written once, so
 * that a driver that was fenced off can overwrite nothing.
 *
 * @remarks
 * The order is: the evidence, then the record that names it, then away with what the record named before. A crash in between
 * leaves what no record names, and the next driver removes that. A name carries the token of its driver, and nobody removes
 * what belongs to a later one.
 */
export class EvidenceShelf {
  readonly #settings: LeaseSettings
  #written = 0
  /** What no record may name any more. */
  readonly #rubbish = new Set<string>()

  readonly #named: () => string | null

  /** @param named - what the record names, as it was last seen */
  constructor(settings: LeaseSettings, named: () => string | null) {
    this.#settings = settings
    this.#named = named
  }

  /** The evidence of a name; `undefined` when it is gone. @throws RolloutStoreError, RolloutFormatError */
  async read(name: string): Promise<Evidence | undefined> {
    const found = await this.#ask('Reading', name, 'no', () => this.#settings.store.entry(name))
    return found && readEvidence(name, found.value)
  }

  /**
   * Keeps evidence together with a record.
   *
   * @param token - of the driver that the record will have
   * @param writeRecord - writes a record that names it, and says whether it did
   * @throws RolloutStoreError when it is not known whether it was written
   */
  async keep(token: number, evidence: Evidence, writeRecord: (name: string) => Promise<boolean>): Promise<boolean> {
    const { instance, store } = this.#settings
    this.#written += 1
    const name = `${this.#prefix}${token}-${instance}-${this.#written}`
    const stored: StoredEvidence = { format: FORMAT, ...evidence }
    const before = this.#named()
    this.#rubbish.add(name)
    // A store that says somebody was faster has written it before: nobody else has this name.
    await this.#ask('Writing', name, 'no', () => store.compareAndSet(name, undefined, stored))
    const isWritten = await writeRecord(name)
    if (isWritten && before !== null) this.#rubbish.add(before)
    // After a write of this process none before it, whose outcome was unknown, can land any more, and name what it carried.
    const rubbish = isWritten ? [...this.#rubbish] : [name]
    await this.#remove(rubbish.filter((each) => each !== this.#named()))
    this.#rubbish.delete(this.#named() ?? '')
    return isWritten
  }

  /** Removes what drivers up to this one have left. Only after a write of this one: see above. */
  async sweep(token: number): Promise<void> {
    const { store } = this.#settings
    const scan = store.scan?.bind(store)
    if (scan === undefined) return
    const prefix = this.#prefix
    const left = async (): Promise<string[]> => {
      const keys: string[] = []
      for await (const { key } of scan({ prefix })) keys.push(key)
      return keys.filter((key) => key !== this.#named() && Number.parseInt(key.slice(prefix.length), 10) <= token)
    }
    const keys = await this.#ask('Reading', prefix, 'no', left).catch(() => [])
    await this.#remove(keys)
  }

  get #prefix(): string {
    return `${this.#settings.key}/evidence/`
  }

  /** What stays for now does no harm. */
  async #remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const isGone = await this.#ask('Removing', name, 'unknown', async () => this.#settings.store.delete(name)).then(
        () => true,
        () => false,
      )
      if (isGone) this.#rubbish.delete(name)
      else return
    }
  }

  async #ask<T>(what: string, name: string, applied: 'no' | 'unknown', run: () => Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this.#settings
    try {
      return await within(clock, timeoutMs, 'the store', run)
    } catch (error) {
      throw new RolloutStoreError(`${what} ${name} failed: ${messageOf(error)}`, applied, error)
    }
  }
}
