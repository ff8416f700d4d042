import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Backend, Mutation, Range } from './backend.js'
import { BackendStorage } from './backend-storage.js'
import { storageContract } from './contract.js'
import type { Clock } from './ports.js'
import type { ChangePage, LoggedChange } from './storage.js'
import { judge, Tables } from './tables.js'

type Fault = 'none' | 'shows batches by half' | 'forgets the names of batches' | 'loses its log'

/** What several storages share. */
class SharedRecords {
  readonly tables = new Tables()
  readonly changes: LoggedChange[] = []
  readonly wakes = new Set<() => void>()
  /** The commits, one after another. */
  last: Promise<unknown> = Promise.resolve()
  /** Which log it is. */
  history = 1
}

/** A small backend with one fault. */
class FaultyBackend implements Backend {
  readonly scope = 'machine'
  readonly #records: SharedRecords
  readonly #fault: Fault
  readonly log = {
    changes: (cursor: string | undefined, limit: number) => this.#changes(cursor, limit),
    onHint: (wake: () => void) => {
      this.#records.wakes.add(wake)
      return () => void this.#records.wakes.delete(wake)
    },
  }

  constructor(records: SharedRecords, fault: Fault) {
    this.#records = records
    this.#fault = fault
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  async read(collection: string, keys: readonly string[], now: number) {
    return this.#records.tables.read(collection, keys, now)
  }

  async page(collection: string, range: Range, now: number) {
    return this.#records.tables.page(collection, range, now)
  }

  async count(collection: string, prefix: string, now: number) {
    return this.#records.tables.count(collection, prefix, now)
  }

  async collections(now: number) {
    return this.#records.tables.collections(now)
  }

  async health() {
    return { status: 'up', reason: 'it is in memory' } as const
  }

  commit(mutations: readonly Mutation[], now: number): Promise<'primary'> {
    const { tables, changes, wakes, last } = this.#records
    const commit = last.then(async () => {
      judge(mutations, tables, now)
      for (const mutation of mutations) {
        if (this.#fault === 'shows batches by half') await nextTurn()
        tables.apply(mutation)
        if (mutation.type === 'check') continue
        const { type, collection, version } = mutation
        changes.push({ type, collection, key: mutation.type === 'clear' ? '' : mutation.key, version })
      }
      for (const wake of wakes) wake()
      return 'primary' as const
    })
    this.#records.last = commit.catch(() => undefined)
    return commit
  }

  async #changes(cursor: string | undefined, limit: number): Promise<ChangePage> {
    const { changes, history } = this.#records
    const [, of, place] = /^(\d+)\.(\d+)$/.exec(cursor ?? '') ?? []
    const from = Number(place)
    if (Number(of) !== history || !(from <= changes.length)) {
      return { changes: [], cursor: `${history}.${changes.length}`, isReset: cursor !== undefined }
    }
    const page = changes.slice(from, from + limit)
    return { changes: page, cursor: `${history}.${from + page.length}`, isReset: false }
  }
}

/** Runs the contract on a backend with the fault, and says which tests fail. */
async function failuresOf(fault: Fault): Promise<string[]> {
  let records = new SharedRecords()
  const make = (clock: Clock) => new BackendStorage(new FaultyBackend(records, fault), { clock })
  const tests: { name: string; test: () => Promise<void> }[] = []
  const runner = {
    describe: (_: string, declare: () => void) => declare(),
    it: (name: string, test: () => Promise<void>) => void tests.push({ name, test }),
  }
  const create = (clock: Clock) => {
    records = new SharedRecords()
    return make(clock)
  }
  const reopen = (clock: Clock) => {
    if (fault === 'forgets the names of batches') {
      records.tables.apply({ type: 'clear', collection: '$once', version: 'none' })
    }
    if (fault === 'loses its log') {
      records.changes.length = 0
      records.history++
    }
    return make(clock)
  }
  storageContract({ name: fault, create, reopen, join: make }, runner)
  const failures: string[] = []
  for (const { name, test } of tests) await test().catch(() => failures.push(name))
  return failures
}

describe('the storage contract', () => {
  it.each<[Fault, string[]]>([
    ['none', []],
    [
      'shows batches by half',
      [
        'shows those who read meanwhile a batch whole or not at all',
        'sees a batch of another storage whole or not at all',
      ],
    ],
    ['forgets the names of batches', ['commits a named batch once, also when it is opened again']],
    ['loses its log', ['keeps the log of changes when it is opened again']],
  ])('tells what is wrong with a backend: %s', async (fault, expected) => {
    expect(await failuresOf(fault)).toEqual(expected)
  })
})
