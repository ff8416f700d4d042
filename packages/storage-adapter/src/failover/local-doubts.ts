import type { Backend, Mutation } from '../backend.js'
import { NO_VERSION, record } from './local-journal.js'

/** Where the records in doubt are named. */
export const DOUBTS = '$doubts'

const ALL = Number.MAX_SAFE_INTEGER

/** A record of which the primary may have something else than the copy. */
export interface Doubt {
  readonly collection: string
  readonly key: string
  /** Whether it may have left the record absent. */
  readonly mayRemove?: boolean | undefined
}

/** The records in doubt. Which object stands for a record tells an old doubt from a new one about the same record. */
export class LocalDoubts {
  readonly #doubts = new Map<string, Doubt>()

  async open(backend: Backend, now: number): Promise<void> {
    this.#doubts.clear()
    for (const { key, json } of await backend.page(DOUBTS, { limit: ALL }, now)) {
      this.#doubts.set(key, JSON.parse(json) as Doubt)
    }
  }

  get size(): number {
    return this.#doubts.size
  }

  get all(): readonly Doubt[] {
    return [...this.#doubts.values()]
  }

  has(doubt: Doubt): boolean {
    return this.#doubts.has(idOf(doubt))
  }

  mayRemove(doubt: Doubt): boolean {
    return this.#doubts.get(idOf(doubt))?.mayRemove === true
  }

  /** @returns those about records that were not in doubt before, and those that say more than was noted before */
  add(doubts: readonly Doubt[]): { readonly added: Doubt[]; readonly changed: Doubt[] } {
    const added = doubts.filter((doubt) => !this.has(doubt))
    const changed = doubts.filter((doubt) => !this.has(doubt) || (doubt.mayRemove === true && !this.mayRemove(doubt)))
    for (const doubt of doubts) {
      const mayRemove = doubt.mayRemove === true || this.mayRemove(doubt)
      this.#doubts.set(idOf(doubt), Object.assign(doubt, { mayRemove }))
    }
    return { added, changed }
  }

  /** Those that nothing was added to since they were taken. */
  current(doubts: readonly Doubt[]): Doubt[] {
    return doubts.filter((doubt) => this.#doubts.get(idOf(doubt)) === doubt)
  }

  remove(doubts: readonly Doubt[]): void {
    for (const doubt of this.current(doubts)) this.#doubts.delete(idOf(doubt))
  }
}

/** Notes a doubt on disk. */
export function doubtRecord({ collection, key, mayRemove }: Doubt): Mutation {
  return record(DOUBTS, idOf({ collection, key }), { collection, key, mayRemove })
}

/** Crosses it out. */
export function doubtRemoval(doubt: Doubt): Mutation {
  return { type: 'delete', collection: DOUBTS, key: idOf(doubt), version: NO_VERSION, expected: undefined }
}

/** Names a record among those of all collections: the length tells where the collection's name ends. */
export function idOf({ collection, key }: Doubt): string {
  return `${collection.length}:${collection}${key}`
}
