import { randomBytes } from 'node:crypto'
import type { ChangeLog, Mutation } from './backend.js'
import type { ChangePage, LoggedChange } from './storage.js'

/** How many changes are remembered, unless told otherwise. */
const CAPACITY = 10_000

/**
 * The log of changes of a storage that only this process writes to, in memory. It begins when somebody first asks, so
 * that a storage that nobody watches pays nothing.
 */
export class RecentChanges implements ChangeLog {
  /** Tells cursors of this log from those of an earlier process. */
  readonly #id = randomBytes(9).toString('base64url')
  readonly #capacity: number
  readonly #wakes = new Set<() => void>()
  #isAsked = false
  /** The number of the first change that is remembered. */
  #first = 0
  #changes: LoggedChange[] = []

  /** @param capacity - how many changes are remembered at least; at most twice as many are */
  constructor(capacity: number = CAPACITY) {
    this.#capacity = capacity
  }

  /** Remembers what was done, or may have been done: whoever hears of it looks at the record itself. */
  add(mutations: readonly Mutation[]): void {
    if (!this.#isAsked) return
    for (const mutation of mutations) {
      const { type, collection } = mutation
      if (type === 'check') continue
      this.#changes.push({ type, collection, key: type === 'clear' ? '' : mutation.key, version: mutation.version })
    }
    this.#forget()
    for (const wake of this.#wakes) wake()
  }

  async changes(cursor: string | undefined, limit: number): Promise<ChangePage> {
    this.#isAsked = true
    const end = this.#first + this.#changes.length
    if (cursor === undefined) return { changes: [], cursor: this.#cursor(end), isReset: false }
    const [id, from] = parse(cursor)
    if (id !== this.#id || !Number.isInteger(from) || from < this.#first || from > end) {
      return { changes: [], cursor: this.#cursor(end), isReset: true }
    }
    const changes = this.#changes.slice(from - this.#first, from - this.#first + limit)
    return { changes, cursor: this.#cursor(from + changes.length), isReset: false }
  }

  onHint(wake: () => void): () => void {
    // Another function for each caller, as the same one may be given twice.
    const own = (): void => wake()
    this.#wakes.add(own)
    return () => this.#wakes.delete(own)
  }

  /** Seldom and many at once, because moving what stays costs as much each time. */
  #forget(): void {
    const excess = this.#changes.length - this.#capacity
    if (excess < this.#capacity) return
    this.#changes.splice(0, excess)
    this.#first += excess
  }

  #cursor(at: number): string {
    return `${this.#id}.${at}`
  }
}

function parse(cursor: string): [id: string, at: number] {
  const dot = cursor.lastIndexOf('.')
  return [cursor.slice(0, dot), Number(cursor.slice(dot + 1))]
}
