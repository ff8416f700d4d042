interface Entry {
  readonly ms: number
  readonly key: string
}

/** So many entries that mean nothing any more are borne before the heap is cleared of them. */
const MAX_STALE = 1_000

/**
 * When which key is to be looked at: earliest first, in a binary heap. A key that is put off is not moved; whoever is
 * handed it looks whether it is due, and notes it again when it is not.
 */
export class DueTimes {
  #heap: Entry[] = []
  readonly #noted = new Map<string, number>()

  /** When the first is to be looked at; `Infinity` when none is. */
  get nextMs(): number {
    this.#dropStale()
    return this.#heap[0]?.ms ?? Infinity
  }

  /** It is to be looked at then at the latest. */
  note(key: string, ms: number): void {
    if (ms >= (this.#noted.get(key) ?? Infinity)) return
    this.#noted.set(key, ms)
    this.#push({ ms, key })
    if (this.#heap.length > 2 * this.#noted.size + MAX_STALE) this.#rebuild()
  }

  delete(key: string): void {
    this.#noted.delete(key)
  }

  /** Hands out what is to be looked at until then, once. */
  take(untilMs: number): string[] {
    const keys: string[] = []
    while (this.nextMs <= untilMs) {
      const { key } = this.#pop()
      this.#noted.delete(key)
      keys.push(key)
    }
    return keys
  }

  clear(): void {
    this.#heap = []
    this.#noted.clear()
  }

  #dropStale(): void {
    for (let first = this.#heap[0]; first !== undefined && !this.#isValid(first); first = this.#heap[0]) this.#pop()
  }

  #isValid({ ms, key }: Entry): boolean {
    return this.#noted.get(key) === ms
  }

  /** A sorted list is a heap. */
  #rebuild(): void {
    this.#heap = [...this.#noted].map(([key, ms]) => ({ ms, key })).sort((one, other) => one.ms - other.ms)
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    for (let up = (at - 1) >> 1; at > 0; up = (at - 1) >> 1) {
      const parent = heap[up]
      if (parent === undefined || parent.ms <= entry.ms) break
      heap[at] = parent
      at = up
    }
    heap[at] = entry
  }

  #pop(): Entry {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) throw new RangeError('Nothing is due')
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      const [left, right] = [heap[down], heap[down + 1]]
      if (left === undefined) break
      let least = left
      if (right !== undefined && right.ms < left.ms) {
        least = right
        down++
      }
      if (least.ms >= last.ms) break
      heap[at] = least
      at = down
    }
    heap[at] = last
    return first
  }
}
