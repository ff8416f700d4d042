import type { FlagStore, StoredValue } from './ports.js'
import { plain } from './runtime-json.js'
import { inPlaceOf, placeOfKey, readOverride, type OverridePlace, type OverrideUntil } from './stored-override.js'

/** So many are written at a time. */
const atOnce = 100
/** So often one is tried anew at once when others are faster. */
const maxRaces = 20

interface Pending {
  readonly until: OverrideUntil | undefined
  /** What was there when it was set, and what has been tried since: anything else is somebody else's, and newer. */
  readonly known: Set<string | undefined>
  /** It was tried in vain, and whoever asked for it knows. */
  isLate: boolean
  /** A write of it was begun, so others may have seen it though no answer came. */
  wasSent: boolean
  readonly settle: () => void
  readonly fail: (error: Error) => void
}

/** An override that somebody else has set is to take effect here. */
export type Adopt = (place: OverridePlace, until: OverrideUntil | undefined) => void

/** What became of some overrides. */
export interface StoredOverrides {
  /** Tells those who asked for what is stored. */
  readonly done: readonly (() => void)[]
  /** The first error of a store that may work later. */
  readonly failure: { readonly error: unknown } | undefined
}

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

  /** @param before - what was there before it was set here @returns when it is stored, or makes way for a newer one */
  set(key: string, until: OverrideUntil | undefined, before: OverrideUntil | undefined): Promise<void> {
    const old = this.#byKey.get(key)
    const known = new Set([...(old?.known ?? [before?.override.id]), until?.override.id])
    return new Promise((resolve, reject) => {
      // Whoever asked for the one before has got what was asked for: something newer.
      const settle = (): void => (old?.settle(), resolve())
      const fail = (error: Error): void => (old?.fail(error), reject(error))
      this.#byKey.set(key, { until, known, isLate: false, wasSent: false, settle, fail })
    })
  }

  /** What is still here was tried in vain. */
  fail(error: Error): void {
    for (const pending of this.#byKey.values()) {
      if (!pending.isLate) pending.fail(error)
      pending.isLate = true
    }
  }

  /**
   * Stores all of them, together, so that a store that commits in groups can. One that can never be stored harms no other.
   *
   * @returns how to tell those who asked for what is stored now, and the first error of a store that may work later
   */
  async store(
    store: FlagStore,
    within: <T>(work: () => Promise<T>) => Promise<T>,
    adopt: Adopt,
  ): Promise<StoredOverrides> {
    const done: (() => void)[] = []
    const some = [...this.#byKey].slice(0, atOnce)
    const results = await Promise.allSettled(
      some.map(async ([key, pending]) => {
        const attempt = { isOver: false }
        const newer = await within(() => storeOne(store, key, pending, attempt)).finally(() => (attempt.isOver = true))
        done.push(pending.settle)
        // It may have been set here once more meanwhile.
        if (this.#byKey.get(key) !== pending) return
        this.#byKey.delete(key)
        const place = placeOfKey(key)
        if (newer !== undefined && place !== undefined) adopt(place, newer.until)
      }),
    )
    let failure: StoredOverrides['failure']
    for (const [i, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      const [key, pending] = some[i] as [string, Pending]
      if (isTemporary(result.reason)) failure ??= { error: result.reason }
      else {
        pending.fail(result.reason as Error)
        if (this.#byKey.get(key) === pending) this.#byKey.delete(key)
      }
    }
    return { done, failure }
  }
}

function isTemporary(error: unknown): boolean {
  const isWrong = error instanceof TypeError || error instanceof RangeError
  return !isWrong && (error as { retryable?: unknown } | null)?.retryable !== false
}

/**
 * Every write depends on what was read before: one that a dead connection has kept, and that comes through later, finds
 * another version.
 *
 * @returns what somebody else has set, and is newer
 */
async function storeOne(
  store: FlagStore,
  key: string,
  pending: Pending,
  attempt: { readonly isOver: boolean },
): Promise<{ readonly until: OverrideUntil | undefined } | undefined> {
  for (let race = 0; ; race++) {
    const found = await store.entry(key)
    const there = readOverride(found)
    // An attempt that was given up may go on when the store wakes up: it must not write what is older by then.
    if (attempt.isOver) return undefined
    if (isSuperseded(pending, there)) return { until: there }
    pending.wasSent = true
    try {
      await write(store, key, pending.until, found)
      return undefined
    } catch (error) {
      if (!isConflict(error) || race >= maxRaces || attempt.isOver) throw error
    }
  }
}

/** Whether somebody else has changed it since. What switches off gives way only to those who could know of it. */
function isSuperseded({ until, known, isLate, wasSent }: Pending, there: OverrideUntil | undefined): boolean {
  if (!isLate || known.has(there?.override.id)) return false
  if (until?.override.value !== false) return true
  // Was it removed by somebody who had seen it, or before it came through? The first is likelier.
  if (there === undefined) return wasSent
  if (there.override.seen?.includes(until.override.id) === true) return true
  return there.override.value === false && (there.expiresAt ?? Infinity) >= (until.expiresAt ?? Infinity)
}

async function write(
  store: FlagStore,
  key: string,
  until: OverrideUntil | undefined,
  found: StoredValue | undefined,
): Promise<void> {
  if (until === undefined) {
    if (found !== undefined) await store.delete(key, { ifVersion: found.version })
    return
  }
  const condition = found === undefined ? { ifAbsent: true } : { ifVersion: found.version }
  const override = inPlaceOf(readOverride(found)?.override, until.override)
  await store.set(key, plain(override), { expiresAt: until.expiresAt, ...condition })
}

function isConflict(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'STORAGE_CONFLICT'
}
