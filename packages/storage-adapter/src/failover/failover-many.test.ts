import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { FailoverStorageOptions } from './failover-options.js'
import { FailoverStorage } from './failover-storage.js'
import { MemoryStorage } from '../memory-storage.js'
import type { Notice, Storage } from '../storage.js'
import { CrashFiles } from '../test-support/crash-files.js'

const UNAVAILABLE = { code: 'STORAGE_UNAVAILABLE', applied: 'no' }

/** One of several processes on one primary. */
class Writer {
  readonly files = new CrashFiles()
  readonly faulty: FaultyStorage<Storage>
  readonly #clock: FakeClock
  readonly #options: Partial<FailoverStorageOptions>
  storage: FailoverStorage

  constructor(inner: Storage, clock: FakeClock, options: Partial<FailoverStorageOptions> = {}) {
    this.#clock = clock
    this.#options = options
    this.faulty = new FaultyStorage(unstoppable(inner), { clock })
    this.storage = this.#make()
  }

  get notes() {
    return this.storage.collection<unknown>('notes')
  }

  async begin(): Promise<void> {
    await this.storage.start()
    await this.#clock.advance(0)
  }

  async recover(): Promise<void> {
    this.faulty.up()
    await this.#clock.advance(20_000)
  }

  restart(): void {
    this.files.reboot('kill')
    this.storage = this.#make()
  }

  #make(): FailoverStorage {
    const primary = this.faulty.storage
    return new FailoverStorage(
      { primary, path: '/local', writers: 'many', clock: this.#clock, ...this.#options },
      this.files,
    )
  }
}

/** The database goes on when one of its clients stops. */
function unstoppable(inner: Storage): Storage {
  return new Proxy(inner, {
    get: (target, name) => {
      if (name === 'stop') return async () => undefined
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

describe("FailoverStorage with writers: 'many'", () => {
  let clock: FakeClock
  let inner: MemoryStorage
  let a: Writer
  let b: Writer

  beforeEach(async () => {
    clock = new FakeClock()
    inner = new MemoryStorage({ clock })
    await inner.collection('notes').set('old', 0)
    a = new Writer(inner, clock)
    b = new Writer(inner, clock)
    await a.begin()
    await b.begin()
  })

  it('fences nobody', async () => {
    expect((await a.notes.set('a', 1)).kept).toBe('primary')
    expect((await b.notes.set('b', 1)).kept).toBe('primary')
    expect((await a.notes.set('a', 2)).kept).toBe('primary')
    expect((await a.storage.health()).status).toBe('up')
  })

  it('follows what others write and delete, and serves it in an outage', async () => {
    await a.notes.set('shared', 1)
    await b.notes.set('shared', 2)
    await b.notes.set('gone', 1)
    await clock.advance(300)
    await b.notes.delete('gone')
    await b.storage.collection('new').set('k', 1)
    await clock.advance(300)
    a.faulty.down()
    expect(await a.notes.get('shared')).toBe(2)
    expect(await a.notes.has('gone')).toBe(false)
    expect(await a.storage.collection('new').get('k')).toBe(1)
    await b.storage.collection('new').clear()
    expect(await a.storage.collection('new').get('k')).toBe(1)
    await a.recover()
    a.faulty.down()
    expect(await a.storage.collection('new').count()).toBe(0)
  })

  it('says how fresh the copy is', async () => {
    await clock.advance(1_000)
    expect(a.storage.state.mirror).toMatchObject({ status: 'fresh', covered: 'all' })
    expect(a.storage.state.mirror.lagMs).toBeLessThanOrEqual(250)
    a.faulty.down()
    await a.notes.get('old')
    await clock.advance(5_000)
    expect(a.storage.state.mirror.lagMs).toBeGreaterThanOrEqual(5_000)
    expect(a.storage.metrics().gauges).toMatchObject({
      'failover.failovers': 1,
      'journal.length': 0,
      'mirror.lagMs': a.storage.state.mirror.lagMs,
    })
  })

  it('tells its watchers what others do, also what they did in the outage', async () => {
    const seen: string[] = []
    const end = new AbortController()
    const watch = (async () => {
      for await (const notice of a.notes.watch({ signal: end.signal })) seen.push(tell(notice))
    })()
    await clock.advance(0)
    await b.notes.set('k', 1)
    await clock.advance(1_000)
    a.faulty.down()
    await a.notes.set('mine', 1)
    await clock.advance(1_000)
    await b.notes.set('k', 2)
    await b.notes.delete('old')
    await a.recover()
    expect(seen).toEqual(['reset start', 'set k 1', 'set mine 1', 'set k 2', 'delete old'])
    end.abort()
    await watch
  })

  it('judges no condition in an outage, says why, and journals what has none', async () => {
    const before = await a.notes.entry('old')
    a.faulty.down()
    await expect(a.notes.set('new', 1, { ifAbsent: true })).rejects.toMatchObject(UNAVAILABLE)
    await expect(a.notes.set('old', 1, { ifVersion: before?.version })).rejects.toThrow(/condition.*try again/)
    await expect(a.notes.compareAndSet('old', before?.version, 1)).rejects.toMatchObject(UNAVAILABLE)
    await expect(a.notes.update('old', (value) => value)).rejects.toMatchObject(UNAVAILABLE)
    const check = { type: 'check', collection: 'notes', key: 'old', ifAbsent: true } as const
    await expect(a.storage.batch([check])).rejects.toMatchObject(UNAVAILABLE)
    const named = a.storage.batch([{ type: 'set', collection: 'notes', key: 'x', value: 1 }], { once: 'event' })
    await expect(named).rejects.toMatchObject(UNAVAILABLE)
    expect(a.storage.state.journalLength).toBe(0)
    expect((await a.notes.set('blind', 1)).kept).toBe('journal')
    await a.notes.delete('old')
    await a.recover()
    expect(a.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
    expect(await b.notes.get('blind')).toBe(1)
    expect(await b.notes.has('old')).toBe(false)
  })

  it('keeps what both changed as a conflict, and what only one changed stands', async () => {
    a.faulty.down()
    await a.notes.set('old', 'a')
    await a.notes.set('apart', 'a')
    await b.notes.set('old', 'b')
    await b.notes.set('elsewhere', 'b')
    await a.recover()
    expect(a.storage.state).toMatchObject({ on: 'primary', conflicts: 1 })
    expect(await a.notes.getMany(['old', 'apart', 'elsewhere'])).toEqual(
      new Map([
        ['old', 'b'],
        ['apart', 'a'],
        ['elsewhere', 'b'],
      ]),
    )
    a.faulty.down()
    expect(await a.notes.get('old')).toBe('b')
    expect(await a.notes.get('elsewhere')).toBe('b')
  })

  it('takes a write that another one replaced at once for replayed', async () => {
    a.faulty.down()
    await a.notes.set('old', 'a')
    const batch = inner.batch.bind(inner)
    inner.batch = async (...parameters) => {
      const receipt = await batch(...parameters)
      if (parameters[0].some((operation) => operation.type === 'set' && operation.value === 'a')) {
        inner.batch = batch
        await b.notes.set('old', 'b')
      }
      return receipt
    }
    await a.recover()
    expect(a.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
    expect(await a.notes.get('old')).toBe('b')
  })

  it("refuses a process's own frozen write that wakes up late", async () => {
    const batch = inner.batch.bind(inner)
    let wake: () => Promise<unknown> = async () => undefined
    inner.batch = (...parameters) => {
      inner.batch = batch
      wake = () => batch(...parameters)
      return new Promise(() => undefined)
    }
    const outcome = expect(a.notes.set('old', 'frozen')).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT' })
    await clock.advance(1_000)
    await outcome
    await clock.advance(2_000)
    await a.notes.set('old', 'newer')
    await expect(wake()).rejects.toMatchObject({ code: 'STORAGE_CONFLICT' })
    expect(await b.notes.get('old')).toBe('newer')
  })

  it('goes on from its cursor when it is started anew, and compares all only when the log does not reach back', async () => {
    await clock.advance(1_000)
    a.restart()
    await b.notes.set('while away', 1)
    const before = a.faulty.calls
    await a.begin()
    expect(a.storage.state.mirror.status).toBe('fresh')
    expect(a.faulty.calls - before).toBeLessThan(15)
    a.faulty.down()
    expect(await a.notes.get('while away')).toBe(1)
    await a.recover()
    // More changes than the log remembers.
    const many = Array.from({ length: 30_000 }, (_, i) => [`k${i % 3_000}`, i] as const)
    a.faulty.down()
    await a.notes.get('old')
    for (let i = 0; i < many.length; i += 1_000) await b.notes.setMany(many.slice(i, i + 1_000))
    await a.recover()
    for (let i = 0; i < 100 && a.storage.state.mirror.status === 'copying'; i++) await clock.advance(1_000)
    expect(a.storage.state).toMatchObject({ on: 'primary', diverged: undefined, mirror: { status: 'fresh' } })
    a.faulty.down()
    expect(await a.notes.get('k2999')).toBe(29_999)
  })

  it('converges, whoever writes what in which order', async () => {
    for (let round = 0; round < 60; round++) {
      const key = `k${round % 5}`
      const writes = [a.notes.set(key, `a${round}`), b.notes.set(key, `b${round}`)]
      if (round % 3 === 0) writes.push(b.notes.delete(key), a.notes.set(key, `a${round} again`))
      await clock.advance(round % 7 === 0 ? 250 : 3)
      await Promise.all(writes)
    }
    await clock.advance(1_000)
    a.faulty.down()
    b.faulty.down()
    for (let i = 0; i < 5; i++) {
      const there = await inner.collection('notes').get(`k${i}`)
      expect(await a.notes.get(`k${i}`)).toEqual(there)
      expect(await b.notes.get(`k${i}`)).toEqual(there)
    }
  })
})

function tell(notice: Notice<unknown>): string {
  if (notice.type === 'reset') return `reset ${notice.why}`
  return notice.type === 'set' ? `set ${notice.key} ${String(notice.value)}` : `delete ${notice.key}`
}

describe('FailoverStorage with merge', () => {
  const sum = (base: unknown, mine: unknown, theirs: unknown): unknown =>
    Number(theirs ?? 0) + Number(mine ?? 0) - Number(base ?? 0)
  let clock: FakeClock
  let inner: MemoryStorage

  beforeEach(() => {
    clock = new FakeClock()
    inner = new MemoryStorage({ clock })
  })

  async function begin(merge: FailoverStorageOptions['merge']): Promise<Writer> {
    await inner.collection('notes').set('count', 10)
    const writer = new Writer(inner, clock, { writers: 'one', merge })
    await writer.begin()
    return writer
  }

  it('makes one value of both, for each of several writes in the outage', async () => {
    const writer = await begin({ notes: sum })
    writer.faulty.down()
    await writer.notes.update('count', (value) => (value as number) + 1)
    await writer.notes.update('count', (value) => (value as number) + 1)
    await inner.collection('notes').set('count', 15)
    await writer.notes.set('born here', 2)
    await inner.collection('notes').set('born here', 3)
    await writer.recover()
    expect(writer.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
    expect(await writer.notes.get('count')).toBe(17)
    expect(await writer.notes.get('born here')).toBe(5)
    writer.faulty.down()
    expect(await writer.notes.get('count')).toBe(17)
  })

  it('is not asked when nobody else changed the record', async () => {
    const asked: unknown[] = []
    const writer = await begin({ notes: (...values) => asked.push(values) })
    writer.faulty.down()
    await writer.notes.set('count', 11)
    await writer.recover()
    expect(asked).toEqual([])
  })

  it.each<[string, () => unknown]>([
    ['throws', () => { throw new Error('no idea') }], // prettier-ignore
    ['returns nothing', () => undefined],
    ['returns what cannot be kept', () => new Date()],
    ['returns a promise', async () => 1],
  ])('leaves it to a person when it %s', async (_, merge) => {
    const writer = await begin({ notes: merge })
    writer.faulty.down()
    await writer.notes.set('count', 11)
    await inner.collection('notes').set('count', 15)
    await writer.recover()
    expect(writer.storage.state).toMatchObject({ on: 'primary', conflicts: 1 })
    expect(await writer.notes.get('count')).toBe(15)
    expect(await writer.storage.conflicts()).toMatchObject([{ changes: [{ value: 11, baseValue: 10 }] }])
  })

  it('tries again when the primary changes while it merges', async () => {
    let visits = 0
    const writer = await begin({
      notes: (base, mine, theirs) => {
        if (visits++ === 0) void inner.collection('notes').set('count', 20)
        return sum(base, mine, theirs)
      },
    })
    writer.faulty.down()
    await writer.notes.set('count', 11)
    await inner.collection('notes').set('count', 15)
    await writer.recover()
    expect(visits).toBe(2)
    expect(await writer.notes.get('count')).toBe(21)
  })
})

describe('FailoverStorage that mirrors some collections', () => {
  it('serves those in an outage, and rejects reads and writes of all others', async () => {
    const clock = new FakeClock()
    const inner = new MemoryStorage({ clock })
    await inner.collection('notes').set('k', 1)
    await inner.collection('logs').set('k', 1)
    const writer = new Writer(inner, clock, { writers: 'one', mirror: ['notes'] })
    await writer.begin()
    const logs = writer.storage.collection('logs')
    expect((await logs.set('l', 1)).kept).toBe('primary')
    expect(writer.storage.state.mirror).toMatchObject({ status: 'fresh', covered: ['notes'] })
    writer.faulty.down()
    expect(await writer.notes.get('k')).toBe(1)
    await expect(logs.get('k')).rejects.toThrow(/"logs" is not copied, as the option mirror says/)
    await expect(logs.get('nothing')).rejects.toMatchObject(UNAVAILABLE)
    await expect(logs.set('k', 2)).rejects.toMatchObject(UNAVAILABLE)
    await expect(writer.storage.collections()).rejects.toMatchObject(UNAVAILABLE)
    expect((await writer.notes.set('k', 2)).kept).toBe('journal')
    await writer.recover()
    expect(writer.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
    expect(await logs.get('l')).toBe(1)
  })

  it('takes nothing for complete that was not copied for a while', async () => {
    const clock = new FakeClock()
    const inner = new MemoryStorage({ clock })
    const files = new CrashFiles()
    const open = async (
      mirror: 'all' | readonly string[],
    ): Promise<{ storage: FailoverStorage; faulty: FaultyStorage<Storage> }> => {
      files.reboot('kill')
      const faulty = new FaultyStorage(unstoppable(inner), { clock })
      const storage = new FailoverStorage(
        { primary: faulty.storage, path: '/local', writers: 'one', mirror, clock },
        files,
      )
      await storage.start()
      return { storage, faulty }
    }
    const first = await open('all')
    await first.storage.collection('logs').set('k', 1)
    await clock.advance(0)
    await first.storage.stop()
    const second = await open(['notes'])
    await clock.advance(0)
    await second.storage.collection('logs').set('k', 2)
    await second.storage.stop()
    const third = await open('all')
    third.faulty.down()
    await expect(third.storage.collection('logs').get('k')).rejects.toMatchObject(UNAVAILABLE)
  })

  it.each([
    ['no list', { mirror: 'notes' as never }],
    ['a name of our own', { mirror: ['$once'] }],
    ['a merge that is no function', { merge: { notes: 5 as never } }],
    ['a merge of what is not copied', { mirror: ['a'], merge: { b: () => 1 } }],
  ])('refuses %s', (_, options) => {
    const primary = new MemoryStorage()
    expect(() => new FailoverStorage({ primary, path: '/x', writers: 'one', ...options })).toThrow(TypeError)
  })
})
