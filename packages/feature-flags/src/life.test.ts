import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { FeatureFlags, type FeatureFlagsOptions, type FlagChange, type FlagExpiry, type FlagSource } from './index.js'
import { HandSource } from './test-support/hand-source.js'

const why = 'a test'
const guildId = '81384788765712384'
const declared = { a: { percentage: 50 } } as const

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

/** Flags over a store that can be broken. */
function make(options: Partial<FeatureFlagsOptions<typeof declared>> = {}, storage?: MemoryStorage) {
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock()
  const faulty = new FaultyStorage(storage ?? new MemoryStorage({ clock }), { clock })
  const store = faulty.storage.collection('evenkeel')
  const flags = new FeatureFlags({ flags: declared, environment: {}, clock, store, ...options })
  const changes: FlagChange[] = []
  flags.on('change', (change) => changes.push(change))
  running.push(flags)
  return { clock, faulty, flags, changes }
}

/** A source whose first document comes, or fails to, when a test says so. */
class SlowSource implements FlagSource {
  readonly name = 'slow.json'
  readonly #starts: { apply(document: unknown): void; resolve: () => void; reject: (error: Error) => void }[] = []

  start(feed: { apply(document: unknown): void }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#starts.push({ apply: (document) => feed.apply(document), resolve, reject })
    })
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts.length
  }

  /** Hands over a document at the n-th start. */
  bring(n: number, percentage: number): void {
    this.#starts[n]?.apply({ flags: { a: { percentage } } })
    this.#starts[n]?.resolve()
  }

  fail(n: number): void {
    this.#starts[n]?.reject(new Error('no such file'))
  }
}

async function settle(clock: FakeClock): Promise<void> {
  for (let i = 0; i < 20; i++) await clock.advance(0)
}

describe('flags that are started and stopped', () => {
  it('follow nothing when they are stopped while they start', async () => {
    const { clock, flags } = make()
    const started = flags.start()
    await flags.stop()
    await started
    await settle(clock)
    expect(flags.feed).toBe('none')
    expect(clock.pending).toBe(0)
  })

  it('do not wait for a source that says nothing when they are stopped', async () => {
    const source = new SlowSource()
    const { clock, flags } = make({ sources: [source] })
    const started = flags.start()
    await settle(clock)
    await flags.stop()
    await started
    source.bring(0, 80)
    await settle(clock)
    expect([flags.status('a').percentage, flags.feed, clock.pending]).toEqual([50, 'none', 0])
  })

  it('live when they are stopped while they start, and started again', async () => {
    const { clock, flags } = make()
    const first = flags.start()
    await flags.stop()
    await flags.start()
    await first
    await settle(clock)
    expect(flags.feed).toBe('live')
  })

  it('live when they are started again before they have stopped', async () => {
    const { clock, flags } = make()
    await flags.start()
    const stopped = flags.stop()
    const started = flags.start()
    await Promise.all([stopped, started])
    await settle(clock)
    expect(flags.feed).toBe('live')
    await flags.stop()
    expect(clock.pending).toBe(0)
  })

  it('are not stopped by an earlier start that fails late', async () => {
    const source = new SlowSource()
    const { clock, flags } = make({ sources: [source] })
    const first = flags.start()
    await settle(clock)
    await flags.stop()
    const second = flags.start()
    await settle(clock)
    source.fail(0)
    source.bring(1, 70)
    await Promise.all([first, second])
    await settle(clock)
    expect([source.starts, flags.status('a').percentage, flags.feed]).toEqual([2, 70, 'live'])
  })

  it('can be started again after a start that failed', async () => {
    const source = new SlowSource()
    const { clock, flags } = make({ sources: [source] })
    const first = flags.start()
    await settle(clock)
    source.fail(0)
    await expect(first).rejects.toThrow('no such file')
    expect(clock.pending).toBe(0)
    const second = flags.start()
    await settle(clock)
    source.bring(1, 70)
    await second
    expect(flags.status('a').percentage).toBe(70)
  })

  it('are started once, however often that is asked for', async () => {
    const source = new SlowSource()
    const { clock, flags } = make({ sources: [source] })
    const starts = [flags.start(), flags.start()]
    await settle(clock)
    source.bring(0, 70)
    await Promise.all(starts)
    await flags.start()
    expect(source.starts).toBe(1)
  })

  it('name the source that has no document in time', async () => {
    const source = new SlowSource()
    const { clock, flags } = make({ sources: [new HandSource({ flags: {} }), source], startTimeoutMs: 300 })
    const started = flags.start().catch((error: unknown) => error)
    await settle(clock)
    await clock.advance(300)
    expect(await started).toMatchObject({
      code: 'FLAG_DOCUMENT',
      source: 'slow.json',
      message: 'slow.json: it gave no document within 300 ms',
    })
    expect(clock.pending).toBe(0)
  })

  it('give up a source that neither starts nor stops', async () => {
    const hung = (): Promise<void> => new Promise(() => undefined)
    const { clock, flags } = make({ sources: [{ name: 'hung', start: hung, stop: hung }], startTimeoutMs: 300 })
    const started = flags.start().catch((error: unknown) => error)
    await settle(clock)
    await clock.advance(300)
    await settle(clock)
    await clock.advance(300)
    expect(String(await started)).toContain('hung: it gave no document within 300 ms')
    running.length = 0
  })
})

describe('flags whose store says nothing at the start', () => {
  it('are stale, and say so', async () => {
    const { clock, faulty, flags, changes } = make({ startTimeoutMs: 500 })
    faulty.hang()
    const started = flags.start()
    await settle(clock)
    await clock.advance(500)
    await started
    expect(flags.feed).toBe('stale')
    await clock.advance(10_000)
    expect(changes.map(({ aspect, to }) => [aspect, to])).toEqual([['feed', 'stale']])
    faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    expect(flags.feed).toBe('live')
  })

  it('tell of no override that was there before, when they reach it later', async () => {
    const clock = new FakeClock()
    const storage = new MemoryStorage({ clock })
    const other = make({ clock }, storage)
    await other.flags.override('a', { guildId }, true, { why })
    const { faulty, flags, changes } = make({ clock, startTimeoutMs: 500 }, storage)
    faulty.down()
    await flags.start()
    expect(flags.feed).toBe('stale')
    faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    expect(flags.status('a').guildOverrides).toBe(1)
    expect(changes.map(({ aspect }) => aspect)).toEqual(['feed', 'feed'])
    await other.flags.override('a', { guildId: '7' }, true, { why })
    await settle(clock)
    expect(changes.map(({ aspect }) => aspect)).toEqual(['feed', 'feed', 'override'])
  })
})

describe('a flag whose time is over', () => {
  it('is told again when its time was extended and is over again', async () => {
    const clock = new FakeClock(Date.parse('2026-01-01'))
    const dayMs = 86_400_000
    const until = (day: number): object => ({ flags: { a: { expiresAt: Date.parse('2026-01-01') + day * dayMs } } })
    const source = new HandSource(until(1))
    const { flags } = make({ clock, sources: [source] })
    const expired: FlagExpiry[] = []
    flags.on('expired', (expiry) => expired.push(expiry))
    await flags.start()
    await clock.advance(2 * dayMs)
    expect(expired).toHaveLength(1)
    source.say(until(3))
    await clock.advance(60_000)
    expect(expired).toHaveLength(1)
    await clock.advance(dayMs)
    expect(expired.map(({ message }) => message)).toEqual([
      'Flag "a" is still there, and its time was over on 2026-01-02',
      'Flag "a" is still there, and its time was over on 2026-01-04',
    ])
  })
})

describe('an override for a time', () => {
  const over = 'The override of "a" for guild 81384788765712384 is removed: its time is over'

  it.each([['with a store'], ['without one']])(
    'that runs out while the flags are stopped holds until they start, and ends then at once and with news, %s',
    async (which) => {
      const { clock, flags, changes } = make(which === 'with a store' ? {} : { store: undefined as never })
      await flags.start()
      await flags.setPercentage('a', 0, { why })
      await flags.override('a', { guildId }, true, { why, forMs: 60_000 })
      await flags.stop()
      await clock.advance(120_000)
      expect([flags.isEnabled('a', { guildId }), clock.pending]).toEqual([true, 0])
      const started = flags.start()
      await settle(clock)
      await started
      expect(flags.isEnabled('a', { guildId })).toBe(false)
      expect(changes.map(({ message }) => message).filter((message) => message === over)).toHaveLength(1)
    },
  )

  it('that ran out while the flags were stopped is over before sources and store are read', async () => {
    const source = new SlowSource()
    const { clock, flags } = make({ sources: [source] })
    await flags.setPercentage('a', 0, { why })
    await flags.override('a', { guildId }, true, { why, forMs: 60_000 })
    await flags.stop()
    await clock.advance(120_000)
    const started = flags.start()
    await Promise.resolve()
    expect(source.starts).toBe(0)
    for (let i = 0; i < 10; i++) await Promise.resolve()
    expect([source.starts, flags.isEnabled('a', { guildId })]).toEqual([1, false])
    source.bring(0, 0)
    await started
  })
})
