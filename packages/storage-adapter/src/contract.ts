import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from './ports.js'
import type { Collection, KeyedEntry, Notice, Storage } from './storage.js'
import { holdProcess, systemClock } from './system-clock.js'

export type { Clock } from './ports.js'

/** What the suite tests. */
export interface ContractSubject {
  /** The name of the storage, for the report. */
  readonly name: string
  /**
   * Makes an empty storage for one test. The suite stops it afterwards.
   *
   * @param clock - the time by which it must judge expiry; the suite moves it
   */
  create(clock: Clock): Storage | Promise<Storage>
  /**
   * Makes another storage over the same records, after the first was stopped. Leave it out when nothing is to
   * survive that.
   */
  reopen?(clock: Clock): Storage | Promise<Storage>
  /**
   * Makes another storage over the records of the one that was made last, while that is open, as another process would.
   * Leave it out when the records belong to one process alone.
   */
  join?(clock: Clock): Storage | Promise<Storage>
}

/** The functions of the test runner. */
export interface ContractRunner {
  /** Groups tests. */
  readonly describe: (name: string, tests: () => void) => void
  /** Declares a test. */
  readonly it: (name: string, test: () => Promise<void>) => void
}

/** Keys and names that one backend or another gets wrong. */
const HOSTILE_KEYS = [
  ...[
    '__proto__',
    'constructor',
    'toString',
    'a.b',
    'a:b',
    'a/b',
    'a?q=1',
    '..',
    '%',
    '_',
    '%_',
    '*',
    '[a]',
    '?',
    '\\',
  ],
  ...['a\0b', '\0', ' ', '\n', '"', "'", ';--', 'é', 'e\u0301', '\uffff', '\u{1f600}', '\u{10ffff}'],
]

/** The longest name and the longest key, of random text: what a database can compress proves nothing about its limits. */
const LONGEST_NAME = randomBytes(375).toString('base64url')
const LONGEST_KEY = randomBytes(1_500).toString('base64url')

/** Values that must come back as they are. */
const VALUES = [
  ...[null, true, false, 0, -0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER, '', 'tea', '\0', '\ud800', '\u2028', '😀'],
  ...[
    [],
    {},
    [1, [2, [3]]],
    { a: { b: [null] }, 'c d': 'e' },
    { a: [-0, 0] },
    JSON.parse('{"__proto__":{"x":1}}') as unknown,
  ],
] as unknown[]

const circle: Record<string, unknown> = {}
circle['self'] = { circle }

/** Values that JSON would change, and the place that the error must name. */
const LOSSY: [what: string, value: unknown, place: RegExp][] = [
  ['undefined', undefined, /^value is undefined/],
  ['undefined inside', { a: [1, { b: undefined }] }, /^value\.a\[1\]\.b is undefined/],
  ['a hole', Object.assign([], { length: 1 }), /^value\[0\] is undefined/],
  ['NaN', { a: NaN }, /^value\.a is NaN/],
  ['Infinity', [Infinity], /^value\[0\] is Infinity/],
  ['a BigInt', { id: 1n }, /^value\.id is a BigInt/],
  ['a Date', { at: new Date(0) }, /^value\.at is a Date/],
  ['a Map', { m: new Map() }, /^value\.m is a Map/],
  ['a function', { f: () => 1 }, /^value\.f is a function/],
  ['toJSON', { a: { toJSON: () => 1 } }, /^value\.a has a toJSON method/],
  ['a cycle', circle, /^value\.self\.circle contains itself/],
  ['too deep', deep(501), /nested deeper than 500/],
]

/**
 * Declares the tests that every storage must pass, with the functions of any test runner.
 *
 * @example
 * ```ts
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 * import { storageContract } from '@evenkeel/storage-adapter/contract'
 *
 * // A runner of three lines; in a project, pass those of vitest, jest or node:test.
 * const tests: (() => Promise<void>)[] = []
 * const runner = { describe: (_: string, declare: () => void) => declare(), it: (_: string, test: () => Promise<void>) => tests.push(test) }
 * storageContract({ name: 'memory', create: (clock) => new MemoryStorage({ clock }) }, runner)
 * for (const test of tests) await test()
 * ```
 */
export function storageContract(subject: ContractSubject, { describe, it }: ContractRunner): void {
  const test = (name: string, body: (storage: Storage, clock: MovableClock) => Promise<void>): void =>
    it(name, async () => {
      const clock = new MovableClock()
      const storage = await subject.create(clock)
      try {
        await body(storage, clock)
      } finally {
        await storage.stop()
      }
    })

  describe(`${subject.name} keeps the storage contract`, () => {
    readingAndWriting(test)
    conditions(test)
    expiry(test)
    scanning(test)
    batches(test)
    watching(test)
    refusals(test)
    inspection(test)
    life(test)
    if (subject.join !== undefined) sharing(test, subject.join.bind(subject))
    if (subject.reopen === undefined) return
    const reopen = subject.reopen.bind(subject)
    reopening(test, reopen)
    if (subject.join !== undefined) reopeningTheLog(test, reopen)
  })
}

type Declare = (name: string, body: (storage: Storage, clock: MovableClock) => Promise<void>) => void
type Make = (clock: Clock) => Storage | Promise<Storage>

function reopening(test: Declare, reopen: Make): void {
  test('keeps values, versions and expiry when it is opened again', async (storage, clock) => {
    const notes = storage.collection('notes')
    await notes.set('a', { text: 'tea', balance: -0 }, { ttlMs: 1_000 })
    await notes.set('gone', 1)
    await notes.delete('gone')
    const before = await notes.entry('a')
    await storage.stop()
    const again = await reopen(clock)
    try {
      const collection = again.collection('notes')
      assert.deepEqual(await collection.entry('a'), before)
      assert.equal(await collection.get('gone'), undefined)
      clock.skip(1_000)
      assert.equal(await collection.get('a'), undefined)
    } finally {
      await again.stop()
    }
  })

  test('commits a named batch once, also when it is opened again', async (storage, clock) => {
    const operations = [{ type: 'set', collection: 'a', key: 'k', value: 1 }] as const
    await storage.batch(operations, { once: 'event' })
    await storage.stop()
    const again = await reopen(clock)
    try {
      assert.equal((await again.batch(operations, { once: 'event' })).applied, false)
      assert.equal((await again.batch(operations, { once: 'event 2' })).applied, true)
    } finally {
      await again.stop()
    }
  })
}

function reopeningTheLog(test: Declare, reopen: Make): void {
  test('keeps the log of changes when it is opened again', async (storage, clock) => {
    const { cursor } = await storage.changes()
    const { version } = await storage.collection('notes').set('a', 1)
    await storage.stop()
    const again = await reopen(clock)
    try {
      const { changes, isReset } = await again.changes({ since: cursor })
      assert.equal(isReset, false)
      assert.deepEqual(changes, [{ type: 'put', collection: 'notes', key: 'a', version }])
    } finally {
      await again.stop()
    }
  })
}

function readingAndWriting(test: Declare): void {
  test('reads what was written, and undefined for what was not', async (storage) => {
    const notes = storage.collection('notes')
    assert.equal(await notes.get('a'), undefined)
    assert.equal(await notes.entry('a'), undefined)
    assert.equal(await notes.has('a'), false)
    const { version } = await notes.set('a', { text: 'tea' })
    assert.deepEqual(await notes.get('a'), { text: 'tea' })
    assert.deepEqual(await notes.entry('a'), { value: { text: 'tea' }, version, expiresAt: undefined })
    assert.equal(await notes.has('a'), true)
    assert.deepEqual(await notes.getMany(['a', 'b']), new Map([['a', { text: 'tea' }]]))
    await notes.delete('a')
    assert.equal(await notes.get('a'), undefined)
    await notes.delete('a')
  })

  test('gives every write a version of its own', async (storage) => {
    const notes = storage.collection('notes')
    const receipts = [
      await notes.set('a', 1),
      await notes.set('a', 1),
      await notes.delete('a'),
      await notes.set('a', 1),
    ]
    assert.equal(new Set(receipts.map(({ version }) => version)).size, 4)
  })

  test('hands out copies', async (storage) => {
    const notes = storage.collection<{ list: number[] }>('notes')
    const mine = { list: [1] }
    await notes.set('a', mine)
    mine.list.push(2)
    const read = await notes.get('a')
    read?.list.push(3)
    assert.deepEqual(await notes.get('a'), { list: [1] })
  })

  test('keeps hostile keys and collection names apart', async (storage) => {
    for (const name of HOSTILE_KEYS) await storage.collection(name).set('k', name)
    const notes = storage.collection('notes')
    await notes.setMany(HOSTILE_KEYS.map((key) => [key, key]))
    for (const key of HOSTILE_KEYS) {
      assert.equal(await notes.get(key), key)
      assert.equal(await storage.collection(key).get('k'), key)
    }
    assert.equal(await notes.count(), HOSTILE_KEYS.length)
    assert.deepEqual((await storage.collections()).sort(), [...HOSTILE_KEYS, 'notes'].sort())
  })

  test('keeps the longest key in a collection with the longest name', async (storage) => {
    assert.deepEqual([LONGEST_NAME.length, LONGEST_KEY.length], [500, 2_000])
    const notes = storage.collection(LONGEST_NAME)
    await notes.set(LONGEST_KEY, 1)
    // With a condition, which is another way to write on some backends.
    await storage.batch([
      { type: 'check', collection: LONGEST_NAME, key: LONGEST_KEY.slice(1), ifAbsent: true },
      { type: 'set', collection: LONGEST_NAME, key: LONGEST_KEY, value: 2 },
    ])
    assert.equal(await notes.get(LONGEST_KEY), 2)
    assert.deepEqual(await storage.collections(), [LONGEST_NAME])
  })

  test('keeps every JSON value as it is', async (storage) => {
    const notes = storage.collection('notes')
    for (const [i, value] of VALUES.entries()) {
      await notes.set(`v${i}`, value)
      assert.deepEqual(await notes.get(`v${i}`), value)
    }
  })

  test('keeps a value of 16 MB', async (storage) => {
    const notes = storage.collection<string>('notes')
    const value = 'evenkeel'.repeat(2 ** 21)
    await notes.set('large', value)
    assert.equal((await notes.get('large')) === value, true)
  })

  test('clears one collection and not its neighbour with a longer name', async (storage) => {
    await storage.collection('users').setMany([
      ['a', 1],
      ['b', 2],
    ])
    await storage.collection('users2').set('a', 3)
    await storage.collection('users').clear()
    assert.equal(await storage.collection('users').count(), 0)
    assert.equal(await storage.collection('users').get('a'), undefined)
    assert.equal(await storage.collection('users2').get('a'), 3)
  })
}

function conditions(test: Declare): void {
  test('writes under a condition only when it holds', async (storage) => {
    const notes = storage.collection('notes')
    const first = await notes.set('a', 1, { ifAbsent: true })
    await rejects(notes.set('a', 2, { ifAbsent: true }), 'STORAGE_CONFLICT')
    const second = await notes.set('a', 2, { ifVersion: first.version })
    await rejects(notes.set('a', 3, { ifVersion: first.version }), 'STORAGE_CONFLICT')
    await rejects(notes.delete('a', { ifVersion: first.version }), 'STORAGE_CONFLICT')
    assert.equal(await notes.get('a'), 2)
    await notes.delete('a', { ifVersion: second.version })
    await rejects(notes.set('a', 4, { ifVersion: second.version }), 'STORAGE_CONFLICT')
    assert.equal(await notes.has('a'), false)
  })

  test('tells the loser of compareAndSet by a value', async (storage) => {
    const notes = storage.collection('notes')
    const attempts = await Promise.all([1, 2, 3].map((value) => notes.compareAndSet('a', undefined, value)))
    const won = attempts.filter((receipt) => receipt !== undefined)
    assert.equal(won.length, 1)
    assert.equal(await notes.compareAndSet('a', undefined, 9), undefined)
    assert.notEqual(await notes.compareAndSet('a', won[0]?.version, 9), undefined)
    assert.equal(await notes.get('a'), 9)
  })

  test('lets one failed condition harm no neighbour', async (storage) => {
    const notes = storage.collection<number>('notes')
    await notes.set('taken', 1)
    const results = await Promise.allSettled([
      notes.set('a', 1),
      notes.set('taken', 2, { ifAbsent: true }),
      notes.set('b', 2),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(
      [...(await notes.getMany(['a', 'b', 'taken']))],
      [
        ['a', 1],
        ['b', 2],
        ['taken', 1],
      ],
    )
  })

  test('has exactly one winner of many who saw the same version', async (storage) => {
    const notes = storage.collection<number>('notes')
    const { version } = await notes.set('a', 0)
    const attempts = Array.from({ length: 20 }, (_, i) => notes.compareAndSet('a', version, i + 1))
    const winners = (await Promise.all(attempts)).flatMap((receipt, i) => (receipt === undefined ? [] : [i + 1]))
    assert.equal(winners.length, 1)
    assert.equal(await notes.get('a'), winners[0])
  })

  test('loses no update of one key', async (storage) => {
    const scores = storage.collection<number>('scores')
    await Promise.all(Array.from({ length: 20 }, () => scores.update('a', (score) => score + 1, { initial: 0 })))
    assert.equal(await scores.get('a'), 20)
  })

  test('skips an update of an absent key, and keeps the expiry of a present one', async (storage, clock) => {
    const notes = storage.collection<{ n: number }>('notes')
    assert.equal(await notes.update('a', (note) => note), undefined)
    await notes.set('a', { n: 1 }, { ttlMs: 1_000 })
    const before = await notes.entry('a')
    const result = await notes.update('a', async ({ n }) => ({ n: n + 1 }))
    assert.deepEqual(result?.value, { n: 2 })
    assert.equal((await notes.entry('a'))?.expiresAt, before?.expiresAt)
    clock.skip(1_000)
    assert.equal(await notes.update('a', (note) => note), undefined)
  })
}

function expiry(test: Declare): void {
  test('finds what is live behind many that expired', async (storage, clock) => {
    const notes = storage.collection<number>('notes')
    const keys = Array.from({ length: 310 }, (_, i) => `k${String(i).padStart(3, '0')}`)
    const options = { expiresAt: clock.now() + 1_000 }
    await storage.batch(
      keys.map((key, value) => {
        const set = { type: 'set', collection: 'notes', key, value } as const
        return value < 300 ? { ...set, ...options } : set
      }),
    )
    clock.skip(1_000)
    const live = keys.slice(300)
    for (const reverse of [false, true]) {
      const found = (await collect(notes, { reverse, limit: 10 })).map(({ key }) => key)
      assert.deepEqual(reverse ? found.reverse() : found, live)
    }
    assert.equal(await notes.count({ prefix: 'k' }), 10)
    assert.equal(await notes.count({ prefix: 'k0' }), 0)
  })

  test('treats what expired as absent in every operation', async (storage, clock) => {
    const notes = storage.collection<number>('notes')
    const { version } = await notes.set('a', 1, { ttlMs: 1_000 })
    await notes.set('b', 2, { expiresAt: clock.now() + 5_000 })
    clock.skip(999)
    assert.equal(await notes.get('a'), 1)
    clock.skip(1)
    assert.equal(await notes.get('a'), undefined)
    assert.equal(await notes.entry('a'), undefined)
    assert.equal(await notes.has('a'), false)
    assert.equal((await notes.getMany(['a', 'b'])).size, 1)
    assert.equal(await notes.count(), 1)
    assert.deepEqual(
      (await collect(notes)).map(({ key }) => key),
      ['b'],
    )
    await rejects(notes.set('a', 2, { ifVersion: version }), 'STORAGE_CONFLICT')
    await rejects(notes.delete('a', { ifVersion: version }), 'STORAGE_CONFLICT')
    await notes.set('a', 3, { ifAbsent: true })
    assert.deepEqual(await notes.entry('a').then((entry) => entry?.expiresAt), undefined)
    clock.skip(4_000)
    assert.equal(await notes.get('b'), undefined)
    assert.equal(await notes.get('a'), 3)
  })

  test('hides a collection of which everything expired', async (storage, clock) => {
    await storage.collection('short').set('a', 1, { ttlMs: 10 })
    assert.deepEqual(await storage.collections(), ['short'])
    clock.skip(10)
    assert.deepEqual(await storage.collections(), [])
  })
}

function scanning(test: Declare): void {
  test('scans by code point, which is not the order of UTF-16', async (storage) => {
    const notes = storage.collection('notes')
    const ordered = [
      '!',
      'A',
      'a',
      'a\0',
      'aa',
      'b',
      'é',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{1f600}',
      '\u{10ffff}',
    ]
    await notes.setMany([...ordered].reverse().map((key) => [key, 1]))
    assert.deepEqual(
      (await collect(notes)).map(({ key }) => key),
      ordered,
    )
    assert.deepEqual(
      (await collect(notes, { reverse: true })).map(({ key }) => key),
      [...ordered].reverse(),
    )
    const range = await collect(notes, { after: 'aa', before: '\uffff' })
    assert.deepEqual(
      range.map(({ key }) => key),
      ['b', 'é', '\ud7ff', '\ue000'],
    )
  })

  test('takes a prefix literally', async (storage) => {
    const notes = storage.collection('notes')
    const keys = [
      '%',
      '%a',
      '*',
      'a%',
      'a%b',
      'a_',
      'ab',
      'a\uffff',
      'a\u{10ffff}',
      'a\u{10ffff}b',
      'b',
      '\u{10ffff}',
      '\u{10ffff}\u{10ffff}',
    ]
    await notes.setMany(keys.map((key) => [key, 1]))
    for (const prefix of ['%', 'a%', 'a_', 'a', '*', 'a\u{10ffff}', '\u{10ffff}']) {
      const expected = keys.filter((key) => key.startsWith(prefix))
      assert.deepEqual((await collect(notes, { prefix })).map(({ key }) => key).sort(), expected.sort())
      assert.equal(await notes.count({ prefix }), expected.length)
    }
  })

  test('scans many pages, with a limit and both ends', async (storage) => {
    const notes = storage.collection<number>('notes')
    const keys = Array.from({ length: 600 }, (_, i) => `n:${String(i).padStart(4, '0')}`)
    await notes.setMany(keys.map((key, i) => [key, i]))
    await notes.set('other', -1)
    const scan = async (options: Parameters<typeof notes.scan>[0]): Promise<number[]> =>
      (await collect(notes, { prefix: 'n:', ...options })).map(({ value }) => value)
    const all = keys.map((_, i) => i)
    assert.deepEqual(await scan({}), all)
    assert.deepEqual(await scan({ reverse: true }), [...all].reverse())
    assert.deepEqual(await scan({ limit: 300, after: 'n:0099' }), all.slice(100, 400))
    assert.deepEqual(await scan({ reverse: true, limit: 3, before: 'n:0010' }), [9, 8, 7])
    assert.deepEqual(await scan({ limit: 0 }), [])
  })

  test('lets records be deleted while it scans', async (storage) => {
    const notes = storage.collection('notes')
    await notes.setMany(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]))
    for await (const { key } of notes.scan()) await notes.delete(key)
    assert.equal(await notes.count(), 0)
  })
}

function watching(test: Declare): void {
  test('tells what happens to the records of a collection, beginning with a reset', async (storage) => {
    const notes = storage.collection<number>('notes')
    await notes.set('n:before', 0)
    await using watch = new Watched(notes.watch({ prefix: 'n:' }))
    const start = await watch.next()
    assert.deepEqual([start.type, start.type === 'reset' && start.why], ['reset', 'start'])
    await storage.collection('other').set('n:a', 1)
    await notes.set('m:a', 1)
    const { version } = await notes.set('n:a', 1, { expiresAt: 32_503_680_000_000 })
    const set = await watch.next()
    assert.deepEqual(set, {
      type: 'set',
      key: 'n:a',
      value: 1,
      version,
      expiresAt: 32_503_680_000_000,
      cursor: set.cursor,
    })
    const removed = await notes.delete('n:a')
    const deleted = await watch.next()
    assert.deepEqual(deleted, { type: 'delete', key: 'n:a', version: removed.version, cursor: deleted.cursor })
    await notes.clear()
    const cleared = await watch.next()
    assert.deepEqual(cleared, { type: 'reset', why: 'clear', cursor: cleared.cursor })
  })

  test('tells every record of a batch, and nothing of one that failed', async (storage) => {
    const notes = storage.collection<number>('notes')
    await using watch = new Watched(notes.watch())
    await watch.next()
    await rejects(notes.set('failed', 0, { ifVersion: 'none' }), 'STORAGE_CONFLICT')
    await notes.setMany(Array.from({ length: 700 }, (_, i) => [`k${i}`, i]))
    const keys = new Set<string>()
    while (keys.size < 700) {
      const notice = await watch.next()
      assert.equal(notice.type, 'set')
      if (notice.type === 'set') keys.add(notice.key)
    }
    assert.equal(keys.has('failed'), false)
  })

  test('goes on where an earlier watch ended, and tells what the record is by then', async (storage) => {
    const notes = storage.collection<number>('notes')
    const first = new Watched(notes.watch())
    const { cursor } = await first.next()
    await first[Symbol.asyncDispose]()
    await notes.set('a', 1)
    await notes.set('a', 2)
    await notes.set('b', 3)
    await notes.delete('c')
    await using second = new Watched(notes.watch({ since: cursor }))
    const notices = [await second.next(), await second.next(), await second.next()]
    assert.deepEqual(
      notices.map((notice) => (notice.type === 'set' ? [notice.key, notice.value] : notice.type)),
      [['a', 2], ['b', 3], 'delete'],
    )
    await using third = new Watched(notes.watch({ since: notices[2]?.cursor ?? '' }))
    await notes.set('d', 4)
    const next = await third.next()
    assert.equal(next.type === 'set' && next.key, 'd')
  })

  test('begins anew with a cursor that it does not know', async (storage) => {
    await using watch = new Watched(storage.collection('notes').watch({ since: 'of another log.1' }))
    const notice = await watch.next()
    assert.deepEqual(notice, { type: 'reset', why: 'gap', cursor: notice.cursor })
  })

  test('ends a watch that is let go, whose signal aborts, or whose storage stops', async (storage) => {
    const notes = storage.collection('notes')
    const letGo = new Watched(notes.watch())
    await letGo.next()
    const pending = letGo.isDone()
    await letGo[Symbol.asyncDispose]()
    assert.equal(await pending, true)

    const controller = new AbortController()
    const aborted = new Watched(notes.watch({ signal: controller.signal }))
    await aborted.next()
    controller.abort()
    assert.equal(await aborted.isDone(), true)
    assert.equal(await new Watched(notes.watch({ signal: controller.signal })).isDone(), true)

    const stopped = new Watched(notes.watch())
    await stopped.next()
    await storage.stop()
    assert.equal(await stopped.isDone(), true)
  })

  test('gives the log of all collections, page by page', async (storage) => {
    const { cursor, changes } = await storage.changes()
    assert.deepEqual(changes, [])
    const { versions } = await storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 1 },
      { type: 'delete', collection: 'b', key: 'l' },
      { type: 'clear', collection: 'c' },
    ])
    const expected = [
      { type: 'put', collection: 'a', key: 'k', version: versions[0] },
      { type: 'delete', collection: 'b', key: 'l', version: versions[1] },
      { type: 'clear', collection: 'c', key: '', version: versions[2] },
    ]
    const first = await storage.changes({ since: cursor, limit: 2 })
    const second = await storage.changes({ since: first.cursor })
    // Of one commit, the order need not be that of its operations.
    const sorted = [...first.changes, ...second.changes].sort((a, b) => (a.collection < b.collection ? -1 : 1))
    assert.deepEqual(sorted, expected)
    assert.deepEqual((await storage.changes({ since: second.cursor })).changes, [])
    await assert.rejects(storage.changes({ limit: 0 }), RangeError)
  })
}

function sharing(test: Declare, join: (clock: Clock) => Storage | Promise<Storage>): void {
  const shared = (name: string, body: (mine: Storage, theirs: Storage) => Promise<void>): void =>
    test(name, async (mine, clock) => {
      await mine.start()
      const theirs = await join(clock)
      try {
        await body(mine, theirs)
      } finally {
        await theirs.stop()
      }
    })

  shared('shares records, conditions and versions with another storage', async (mine, theirs) => {
    const { version } = await mine.collection('notes').set('a', 1)
    assert.equal((await theirs.collection('notes').entry('a'))?.version, version)
    await theirs.collection('notes').set('a', 2, { ifVersion: version })
    await rejects(mine.collection('notes').set('a', 3, { ifVersion: version }), 'STORAGE_CONFLICT')
    assert.equal(await mine.collection('notes').get('a'), 2)
  })

  shared('sees a batch of another storage whole or not at all', neverTorn)

  shared('has one winner of a key that two want', async (mine, theirs) => {
    for (let round = 0; round < 20; round++) {
      const attempts = [mine, theirs].map((storage) =>
        storage.collection('seats').compareAndSet(`${round}`, undefined, 1),
      )
      const won = (await Promise.all(attempts)).filter((receipt) => receipt !== undefined)
      assert.equal(won.length, 1)
    }
  })

  shared('loses no update of one key that two make', async (mine, theirs) => {
    const add = (storage: Storage): Promise<unknown>[] =>
      Array.from({ length: 25 }, () => storage.collection<number>('n').update('k', (n) => n + 1, { initial: 0 }))
    await Promise.all([...add(mine), ...add(theirs)])
    assert.equal(await mine.collection('n').get('k'), 50)
  })

  shared('commits a batch of one name once, whoever asks', async (mine, theirs) => {
    const operations = [{ type: 'set', collection: 'a', key: 'k', value: 1 }] as const
    const receipts = await Promise.all([mine, theirs].map((storage) => storage.batch(operations, { once: 'event' })))
    assert.deepEqual(receipts.map(({ applied }) => applied).sort(), [false, true])
  })

  shared(
    'never lets two batches both write what each made depend on the absence of the other',
    async (mine, theirs) => {
      for (let round = 0; round < 20; round++) {
        const claim = (storage: Storage, own: string, other: string): Promise<unknown> =>
          storage.batch([
            { type: 'check', collection: `duty ${round}`, key: other, ifAbsent: true },
            { type: 'set', collection: `duty ${round}`, key: own, value: 1 },
          ])
        const outcomes = await Promise.allSettled([claim(mine, 'a', 'b'), claim(theirs, 'b', 'a')])
        const kept = outcomes.filter(({ status }) => status === 'fulfilled').length
        assert.equal(await mine.collection(`duty ${round}`).count(), kept)
        assert.equal(kept <= 1, true)
      }
    },
  )

  shared('tells a watch what another storage does', async (mine, theirs) => {
    await using watch = new Watched(mine.collection<number>('notes').watch())
    await watch.next()
    const { version } = await theirs.collection('notes').set('a', 1)
    const notice = await watch.next()
    assert.deepEqual([notice.type, notice.type === 'set' && notice.version], ['set', version])
    await theirs.collection('notes').delete('a')
    assert.equal((await watch.next()).type, 'delete')
  })
}

function inspection(test: Declare): void {
  test('finds nothing wrong with what it wrote', async (storage) => {
    for (const [i, key] of HOSTILE_KEYS.entries()) await storage.collection(key).set(key, VALUES[i % VALUES.length])
    const { ok, problems, tookMs } = await storage.check()
    assert.deepEqual(problems, [])
    assert.equal(ok, true)
    assert.equal(tookMs >= 0, true)
    await assert.rejects(storage.check({ signal: AbortSignal.abort() }))
  })

  test('counts what was asked of it', async (storage) => {
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    await notes.get('a')
    await notes.getMany(['a', 'b'])
    await notes.count()
    await collect(notes)
    await rejects(notes.set('a', 2, { ifAbsent: true }), 'STORAGE_CONFLICT')
    const { operations, gauges } = storage.metrics()
    assert.deepEqual([operations.read.count, operations.count.count, operations.scan.count], [2, 1, 1])
    assert.deepEqual([operations.write.count, operations.write.errors], [2, 1])
    const { p50Ms, p95Ms, p99Ms, maxMs } = operations.write
    assert.equal(p50Ms <= p95Ms && p95Ms <= p99Ms && p99Ms <= maxMs, true)
    for (const value of Object.values(gauges)) assert.equal(Number.isFinite(value), true)
  })
}

/** Writes a batch again and again, and reads it meanwhile. */
async function neverTorn(writer: Storage, reader: Storage): Promise<void> {
  const numbers = writer.collection<number>('numbers')
  const seen = reader.collection<number>('numbers')
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
  await numbers.setMany(keys.map((key) => [key, 0]))
  for (let round = 1; round <= 10; round++) {
    let isWriting = true
    const writing = numbers.setMany(keys.map((key) => [key, round])).finally(() => (isWriting = false))
    const reading = (async (): Promise<void> => {
      while (isWriting) {
        const values = await seen.getMany(keys)
        assert.deepEqual([values.size, new Set(values.values()).size], [keys.length, 1])
        await nextTurn()
      }
    })()
    await Promise.all([writing, reading])
  }
}

function batches(test: Declare): void {
  test('commits a batch across collections whole or not at all', async (storage) => {
    const { version } = await storage.collection('a').set('k', 1)
    const receipt = await storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 2, ifVersion: version },
      { type: 'set', collection: 'b', key: 'k', value: 2, ifAbsent: true },
      { type: 'delete', collection: 'c', key: 'k' },
    ])
    assert.equal(receipt.applied, true)
    assert.equal((await storage.collection('b').entry('k'))?.version, receipt.versions[1])
    const lost = storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 3 },
      { type: 'clear', collection: 'b' },
      { type: 'set', collection: 'a', key: 'l', value: 3, ifVersion: version },
    ])
    await rejects(lost, 'STORAGE_CONFLICT')
    assert.equal(await storage.collection('a').get('k'), 2)
    assert.equal(await storage.collection('b').get('k'), 2)
  })

  test('applies the operations of a batch in their order', async (storage) => {
    const notes = storage.collection<number>('notes')
    const place = { collection: 'notes' } as const
    await notes.set('old', 0)
    await storage.batch([
      { type: 'set', ...place, key: 'a', value: 1 },
      { type: 'clear', ...place },
      { type: 'set', ...place, key: 'b', value: 2 },
      { type: 'delete', ...place, key: 'c' },
      { type: 'set', ...place, key: 'c', value: 3 },
      { type: 'set', ...place, key: 'd', value: 4 },
      { type: 'delete', ...place, key: 'd' },
    ])
    const left: unknown[] = []
    for await (const { key, value } of notes.scan()) left.push([key, value])
    assert.deepEqual(left, [
      ['b', 2],
      ['c', 3],
    ])
  })

  test('shows those who read meanwhile a batch whole or not at all', (storage) => neverTorn(storage, storage))

  test('judges all conditions of a batch before its first change', async (storage) => {
    await storage.batch([
      { type: 'set', collection: 'a', key: 'k', value: 1, ifAbsent: true },
      { type: 'set', collection: 'a', key: 'k', value: 2, ifAbsent: true },
    ])
    assert.equal(await storage.collection('a').get('k'), 2)
  })

  test('checks without writing', async (storage) => {
    const { version } = await storage.collection('lease').set('owner', 'me')
    const write = { type: 'set', collection: 'a', key: 'k', value: 1 } as const
    const check = { type: 'check', collection: 'lease', key: 'owner' } as const
    await storage.batch([{ ...check, ifVersion: version }, write])
    await rejects(storage.batch([{ ...check, ifVersion: 'other' }, write]), 'STORAGE_CONFLICT')
    await rejects(storage.batch([{ ...check, ifAbsent: true }, write]), 'STORAGE_CONFLICT')
    assert.equal((await storage.collection('lease').entry('owner'))?.version, version)
  })

  test('commits a named batch once', async (storage) => {
    const operations = [{ type: 'set', collection: 'a', key: 'k', value: 1 }] as const
    assert.equal((await storage.batch(operations, { once: 'event 1' })).applied, true)
    await storage.collection('a').delete('k')
    assert.equal((await storage.batch(operations, { once: 'event 1' })).applied, false)
    assert.equal(await storage.collection('a').has('k'), false)
    assert.equal((await storage.batch(operations, { once: 'event 2' })).applied, true)
  })

  test('does not remember the name of a batch that failed', async (storage) => {
    const operation = { type: 'set', collection: 'a', key: 'k', value: 1 } as const
    await rejects(storage.batch([{ ...operation, ifVersion: 'none' }], { once: 'event' }), 'STORAGE_CONFLICT')
    assert.equal((await storage.batch([operation], { once: 'event' })).applied, true)
  })

  test('keeps a version that it is given', async (storage) => {
    const { versions } = await storage.batch([{ type: 'set', collection: 'a', key: 'k', value: 1, version: 'mine' }])
    assert.deepEqual(versions, ['mine'])
    assert.equal((await storage.collection('a').entry('k'))?.version, 'mine')
  })

  test('takes an empty batch', async (storage) => {
    assert.deepEqual(await storage.batch([]), { applied: true, kept: 'primary', versions: [] })
  })
}

function refusals(test: Declare): void {
  for (const [what, value, place] of LOSSY) {
    test(`refuses a value that JSON would change: ${what}`, async (storage) => {
      const notes = storage.collection('notes')
      await assert.rejects(
        notes.set('a', value),
        (error: Error) => error instanceof TypeError && place.test(error.message),
      )
      assert.equal(await notes.has('a'), false)
    })
  }

  test('refuses what is no key', async (storage) => {
    const notes = storage.collection('notes')
    for (const key of ['', '\ud800', 7, null, undefined] as string[]) {
      await assert.rejects(notes.set(key, 1), TypeError)
      await assert.rejects(notes.get(key), TypeError)
    }
    await assert.rejects(notes.set('é'.repeat(1_001), 1), RangeError)
    await notes.set('é'.repeat(1_000), 1)
    assert.throws(() => storage.collection(''), TypeError)
    assert.throws(() => storage.collection('é'.repeat(251)), RangeError)
    const operation = { type: 'clear', collection: 'é'.repeat(251) } as const
    await assert.rejects(storage.batch([operation]), RangeError)
  })

  test('refuses a version that not every backend can keep', async (storage) => {
    const notes = storage.collection('notes')
    for (const version of ['a\0b', '\ud800', 7, null] as string[]) {
      await assert.rejects(notes.set('a', 1, { ifVersion: version }), TypeError)
      await assert.rejects(notes.delete('a', { ifVersion: version }), TypeError)
      await assert.rejects(notes.compareAndSet('a', version, 1), TypeError)
      for (const type of ['set', 'delete'] as const) {
        await assert.rejects(storage.batch([{ type, collection: 'notes', key: 'a', value: 1, version }]), TypeError)
      }
    }
    assert.equal(await notes.has('a'), false)
  })

  test('refuses a batch that is too large, before anything of it is sent', async (storage) => {
    const operations = Array.from({ length: 100_001 }, () => ({ type: 'clear', collection: 'notes' }) as const)
    await storage.collection('notes').set('a', 1)
    await assert.rejects(storage.batch(operations), (error: Error) => {
      return error instanceof RangeError && error.message.includes('100000')
    })
    assert.equal(await storage.collection('notes').get('a'), 1)
  })

  test('begins anew with a cursor that makes no sense, rather than rejects', async (storage) => {
    const { cursor } = await storage.changes()
    const numbers = cursor.replaceAll(/\d+/g, (number) => `${number}${'9'.repeat(30)}`)
    for (const since of ['', '\0', '.', '9'.repeat(40), `${cursor}\0`, `${cursor}\ud800`, `x${cursor}`, numbers]) {
      const page = await storage.changes({ since })
      assert.deepEqual([page.changes, page.isReset], [[], true])
    }
    for (const limit of [0, 1.5, NaN, 1e300, 10_001]) await assert.rejects(storage.changes({ limit }), RangeError)
    assert.equal((await storage.changes({ since: cursor, limit: 10_000 })).isReset, false)
  })

  test('refuses a life or a condition that makes no sense', async (storage) => {
    const notes = storage.collection('notes')
    for (const ttlMs of [0, -1, NaN, Infinity]) await assert.rejects(notes.set('a', 1, { ttlMs }), RangeError)
    await assert.rejects(notes.set('a', 1, { ttlMs: 1, expiresAt: 1 }), TypeError)
    await assert.rejects(notes.set('a', 1, { ifVersion: 'v', ifAbsent: true }), TypeError)
  })
}

function life(test: Declare): void {
  test('says that it is up, may be started and stopped twice, and rejects when stopped', async (storage) => {
    await storage.start()
    await storage.start()
    assert.equal((await storage.health()).status, 'up')
    await storage.stop()
    await storage.stop()
    await rejects(storage.collection('notes').get('a'), 'STORAGE_UNAVAILABLE')
    await rejects(storage.health(), 'STORAGE_UNAVAILABLE')
    await storage.start()
    assert.equal((await storage.health()).status, 'up')
  })

  test('keeps what was written before it was stopped and started', async (storage) => {
    await storage.collection('notes').set('a', 1)
    await storage.stop()
    await storage.start()
    assert.equal(await storage.collection('notes').get('a'), 1)
  })
}

/** The time of the machine, and as much later as a test wants. */
class MovableClock implements Clock {
  #skippedMs = 0
  readonly #startAt = Math.floor(systemClock.now())

  now(): number {
    return this.#startAt + this.#skippedMs
  }

  monotonic(): number {
    return systemClock.monotonic()
  }

  after(delayMs: number, run: () => void): () => void {
    return systemClock.after(delayMs, run)
  }

  skip(ms: number): void {
    this.#skippedMs += ms
  }
}

/** How long a test waits for a notice, in milliseconds. */
const NOTICE_MS = 10_000

/** A watch whose notices are awaited one by one, each with a deadline. */
class Watched<T> {
  readonly #notices: AsyncIterator<Notice<T>, unknown, undefined>

  constructor(watch: AsyncIterable<Notice<T>>) {
    this.#notices = watch[Symbol.asyncIterator]() as AsyncIterator<Notice<T>, unknown, undefined>
  }

  async next(): Promise<Notice<T>> {
    const { done, value } = await this.#within('no notice came')
    assert.notEqual(done, true)
    return value as Notice<T>
  }

  async isDone(): Promise<boolean> {
    return (await this.#within('the watch did not end')).done === true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#notices.return?.()
  }

  async #within(failure: string): Promise<IteratorResult<Notice<T>, unknown>> {
    let cancel = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      cancel = systemClock.after(NOTICE_MS, () => reject(new Error(`${failure} within ${NOTICE_MS} ms`)))
    })
    // A watch alone keeps no process alive, and a test runner may have nothing else to do.
    const letGo = holdProcess()
    try {
      return await Promise.race([this.#notices.next(), late])
    } finally {
      cancel()
      letGo()
    }
  }
}

async function collect<T>(
  collection: Collection<T>,
  options?: Parameters<Collection<T>['scan']>[0],
): Promise<KeyedEntry<T>[]> {
  const entries: KeyedEntry<T>[] = []
  for await (const entry of collection.scan(options)) entries.push(entry)
  return entries
}

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error: { code?: string; applied?: string }) => {
    assert.equal(error.code, code)
    assert.equal(error.applied, 'no')
    return true
  })
}

function deep(levels: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}
