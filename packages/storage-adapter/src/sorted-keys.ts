import { compareKeys, endOfPrefix } from './keys.js'
import type { Range } from './backend.js'

/** As many new keys are put in their places one by one; more are sorted together. */
const FEW = 32

/** A set of keys that can be walked in order. Sorting is put off until somebody walks. */
export class SortedKeys {
  #sorted: string[] = []
  readonly #added = new Set<string>()

  /** @param key - one that is not in the set */
  add(key: string): void {
    this.#added.add(key)
  }

  /** @param key - one that is in the set */
  delete(key: string): void {
    if (this.#added.delete(key)) return
    this.#sorted.splice(lowerBound(this.#sorted, key), 1)
  }

  clear(): void {
    this.#sorted = []
    this.#added.clear()
  }

  /** The keys in the range, in its direction. */
  *walk({ prefix = '', after, before, reverse = false }: Omit<Range, 'limit'>): Generator<string, void, undefined> {
    const keys = this.#sort()
    const beyond = prefix === '' ? undefined : endOfPrefix(prefix)
    let first = prefix === '' ? 0 : lowerBound(keys, prefix)
    if (after !== undefined) first = Math.max(first, upperBound(keys, after))
    let end = beyond === undefined ? keys.length : lowerBound(keys, beyond)
    if (before !== undefined) end = Math.min(end, lowerBound(keys, before))
    if (reverse) for (let i = end - 1; i >= first; i--) yield keys[i] ?? ''
    else for (let i = first; i < end; i++) yield keys[i] ?? ''
  }

  #sort(): readonly string[] {
    if (this.#added.size > FEW) {
      // Nearly sorted input is what the engine's merge sort is best at.
      this.#sorted = [...this.#sorted, ...[...this.#added].sort(compareKeys)].sort(compareKeys)
    } else {
      for (const key of this.#added) this.#sorted.splice(lowerBound(this.#sorted, key), 0, key)
    }
    this.#added.clear()
    return this.#sorted
  }
}

/** Where the first key that is not below `key` stands. */
function lowerBound(keys: readonly string[], key: string): number {
  return partition(keys, (other) => compareKeys(other, key) < 0)
}

/** Where the first key above `key` stands. */
function upperBound(keys: readonly string[], key: string): number {
  return partition(keys, (other) => compareKeys(other, key) <= 0)
}

function partition(keys: readonly string[], isBefore: (key: string) => boolean): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(keys[middle] ?? '')) low = middle + 1
    else high = middle
  }
  return low
}
