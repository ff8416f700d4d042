import type { FlagStore } from './ports.js'
import { plain } from './runtime-state.js'
import { placeOfKey, readOverride, type OverridePlace, type OverrideUntil } from './stored-override.js'

/** So many are written at a time. */
const atOnce = 100

interface Pending {
  readonly until: OverrideUntil | undefined
  /** What was there when it was set, and what has been tried since: anything else is somebody else's, and newer. */
  readonly known: Set<string | undefined>
  /** It was tried in vain. */
  isLate: boolean
  /** Somebody else wrote the same record meanwhile. */
  isCrossed: boolean
}

/** An override that somebody else has set is to take effect here. */
export type Adopt = (place: OverridePlace, until: OverrideUntil | undefined) => void

/** Overrides that hold here and are not yet known to be stored. */
export class PendingOverrides {
  readonly #byKey = new Map<string, Pending>()

  get size(): number {
    return this.#byKey.size
  }

  has(key: string): boolean {
    return this.#byKey.has(key)
  }

  entries(): Iterable<readonly [key: string, pending: { readonly until: OverrideUntil | undefined }]> {
    return this.#byKey
  }

  /** @param before - what was there before it was set here */
  set(key: string, until: OverrideUntil | undefined, before: OverrideUntil | undefined): void {
    const old = this.#byKey.get(key)
    const known = new Set([...(old?.known ?? [before?.override.id]), until?.override.id])
    this.#byKey.set(key, { until, known, isLate: old?.isLate ?? false, isCrossed: old?.isCrossed ?? false })
  }

  /** @returns whether one of ours waits, which a notice of somebody else's must not undo here */
  cross(key: string): boolean {
    const pending = this.#byKey.get(key)
    if (pending !== undefined) pending.isCrossed = true
    return pending !== undefined
  }

  /** What is still here was tried in vain. */
  fail(): void {
    for (const pending of this.#byKey.values()) pending.isLate = true
  }

  /** Stores all of them, together, so that a store that commits in groups can. */
  async store(store: FlagStore, within: <T>(work: () => Promise<T>) => Promise<T>, adopt: Adopt): Promise<void> {
    while (this.#byKey.size > 0) {
      const some = [...this.#byKey].slice(0, atOnce)
      await within(() => Promise.all(some.map(([key, pending]) => this.#storeOne(store, key, pending, adopt))))
    }
  }

  async #storeOne(store: FlagStore, key: string, pending: Pending, adopt: Adopt): Promise<void> {
    const { until, known, isLate } = pending
    const found = isLate ? await store.entry(key) : undefined
    const isNewer = isLate && !known.has(readOverride(found)?.override.id)
    if (!isNewer) {
      const condition = isLate ? (found === undefined ? { ifAbsent: true } : { ifVersion: found.version }) : {}
      await (until === undefined
        ? store.delete(key, isLate && found !== undefined ? { ifVersion: found.version } : {})
        : store.set(key, plain(until.override), { expiresAt: until.expiresAt, ...condition }))
    }
    // It may have been set here once more meanwhile.
    if (this.#byKey.get(key) !== pending) return
    this.#byKey.delete(key)
    const place = placeOfKey(key)
    if (place !== undefined && (isNewer || pending.isCrossed)) adopt(place, readOverride(await store.entry(key)))
  }
}
