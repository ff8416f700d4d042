import { createHash } from 'node:crypto'
import { canonicalJson } from '../migration/canonical.js'
import { differencesText, maxNamed, rowMark, type Difference, type RowMark } from '../migration/snapshot.js'
import type { ArchivedRow } from './archive.js'

/** How many rows there were, and which, as one hash. It remembers none of them. */
export class RowSum {
  readonly #hash = createHash('sha256')
  #rows = 0

  get rows(): number {
    return this.#rows
  }

  /** SHA-256 of the rows so far, in their order, in hex. */
  get hash(): string {
    return this.#hash.copy().digest('hex')
  }

  add({ collection, key, value, expiresAt }: ArchivedRow): RowMark {
    const mark = rowMark(key, canonicalJson(value), expiresAt)
    this.#hash.update(`${JSON.stringify(collection)}${mark.hash}`)
    this.#rows++
    return mark
  }
}

/** What passed by, and has to be found again. It remembers a hash of each row, not the row. */
export class RowLedger {
  readonly #collections = new Map<string, Map<string, RowMark>>()
  readonly #sum = new RowSum()
  #isWhole = false

  /** How many rows have passed by. */
  get rows(): number {
    return this.#sum.rows
  }

  /** Whether those who took the rows have come to their end. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** SHA-256 of the rows so far, in their order, in hex. */
  get hash(): string {
    return this.#sum.hash
  }

  /** Passes rows on, and remembers them. */
  async *passing(rows: AsyncIterable<ArchivedRow>, passed?: (rows: number) => void): AsyncGenerator<ArchivedRow> {
    for await (const row of rows) {
      const marks = this.#collections.get(row.collection) ?? new Map<string, RowMark>()
      this.#collections.set(row.collection, marks)
      marks.set(row.key, this.#sum.add(row))
      yield row
      passed?.(this.rows)
    }
    this.#isWhole = true
  }

  /**
   * How rows differ from those that passed by, as a clause; `undefined` when not at all. A row that has expired meanwhile is missing
   * by right. The ledger is used up by that, so that it needs less and less memory.
   *
   * @param now - epoch ms, asked for when all rows are read
   */
  async differencesIn(
    rows: AsyncIterable<ArchivedRow>,
    now: () => number,
    compared?: (rows: number) => void,
  ): Promise<string | undefined> {
    const first: Difference[] = []
    let [count, seen] = [0, 0]
    const note = (collection: string, key: string, what: Difference['what']): void => {
      count++
      if (first.length < maxNamed) first.push({ collection, key, what })
    }
    for await (const { collection, key, value, expiresAt } of rows) {
      const expected = this.#collections.get(collection)?.get(key)
      if (expected === undefined) note(collection, key, 'added')
      else if (expected.hash !== rowMark(key, canonicalJson(value), expiresAt).hash) note(collection, key, 'changed')
      this.#collections.get(collection)?.delete(key)
      compared?.(++seen)
    }
    const at = now()
    for (const [collection, marks] of this.#collections) {
      for (const [key, { expiresAt }] of marks) {
        if (expiresAt === undefined || expiresAt > at) note(collection, key, 'removed')
      }
    }
    return count === 0 ? undefined : differencesText({ count, first, collections: new Map() })
  }
}
