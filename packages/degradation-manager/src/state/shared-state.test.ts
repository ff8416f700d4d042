import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  DegradationManager,
  memoryState,
  ModeStoreError,
  StateFormatError,
  type DegradationChange,
  type DegradationManagerOptions,
  type Mode,
} from '../index.js'
import { StandInStore } from '../test-support/stand-in-store.js'

const key = 'modes/bot/override'
let clock: FakeClock
let store: StandInStore
let told: DegradationChange[]

const shard = (options: Partial<DegradationManagerOptions<'remind', Mode, string, 'load'>> = {}) => {
  const modes = new DegradationManager<'remind', Mode, string, 'load'>({
    clock,
    store,
    features: { remind: {} },
    ...options,
  })
  modes.on('change', (change) => told.push(change))
  return modes
}
const started = async (options: Parameters<typeof shard>[0] = {}) => {
  const modes = shard(options)
  await modes.start()
  return modes
}

beforeEach(() => {
  clock = new FakeClock()
  store = new StandInStore()
  told = []
})

describe('a mode set by hand', () => {
  it('is followed by every shard within a second, with who and why, and so is its end', async () => {
    const [one, other] = [await started(), await started()]
    await one.setMode('MAINTENANCE', { why: 'moving hosts', by: 'ada' })
    await clock.advance(1_000)
    expect([other.mode, other.override]).toEqual([
      'MAINTENANCE',
      { mode: 'MAINTENANCE', why: 'moving hosts', by: 'ada', expiresAt: undefined },
    ])
    await other.clearMode({ why: 'moved' })
    await clock.advance(1_000)
    expect([one.mode, one.override]).toEqual(['FULL', undefined])
    expect(told.map(({ why }) => why)).toEqual([
      'set by hand by ada: moving hosts',
      'set by hand by ada: moving hosts',
      'handed back to the rules: moved',
      'handed back to the rules: moved',
    ])
    await Promise.all([one.stop(), other.stop()])
    expect(clock.pending).toBe(0)
  })

  it('outlives the process, and ends when it was to end', async () => {
    const one = await started()
    await one.setMode('DEGRADED', { why: 'a quiet night', forMs: 60_000 })
    await one.stop()
    await clock.advance(20_000)
    const next = await started()
    expect([next.mode, next.override?.expiresAt]).toEqual(['DEGRADED', clock.now() + 40_000])
    await clock.advance(39_999)
    expect(next.mode).toBe('DEGRADED')
    await clock.advance(1)
    expect(next.mode).toBe('FULL')
  })

  it('is gone after a restart when its time ran out meanwhile, without a word', async () => {
    const one = await started()
    await one.setMode('DEGRADED', { why: 'a quiet night', forMs: 60_000 })
    await one.stop()
    told = []
    await clock.advance(60_000)
    expect([(await started()).mode, told]).toEqual(['FULL', []])
  })

  it.each([-3_600_000, 3_600_000])('lasts no longer than it said, whatever the wall clock: %i', async (jumpMs) => {
    const one = await started()
    await one.setMode('DEGRADED', { why: 'a quiet night', forMs: 60_000 })
    clock.jump(jumpMs)
    await clock.advance(59_999)
    expect(one.mode).toBe('DEGRADED')
    await clock.advance(1)
    expect(one.mode).toBe('FULL')
    await one.stop()

    await one.setMode('DEGRADED', { why: 'again', forMs: 60_000 })
    clock.jump(-3_600_000)
    const next = await started()
    await clock.advance(60_000)
    expect(next.mode).toBe('FULL')
  })

  it.each([-3_600_000, 3_600_000])('is followed by a shard whose wall clock is off by %i ms', async (offMs) => {
    const crooked = {
      now: () => clock.now() + offMs,
      monotonic: () => clock.monotonic(),
      after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
    }
    const [one, other] = [await started(), await started({ clock: crooked })]
    await one.setMode('DEGRADED', { why: 'a quiet night', forMs: 60_000 })
    await clock.advance(1_000)
    expect(other.mode).toBe('DEGRADED')
    await clock.advance(57_000)
    expect(other.mode).toBe('DEGRADED')
    await clock.advance(3_000)
    expect(other.mode).toBe('FULL')
  })

  it('before start is stored too, and the last of two shards that set at once stands on both', async () => {
    const [one, other] = [shard(), shard()]
    await Promise.all([one.setMode('DEGRADED', { why: 'one' }), other.setMode('MAINTENANCE', { why: 'other' })])
    await Promise.all([one.start(), other.start()])
    await clock.advance(1_000)
    expect(one.mode).toBe(other.mode)
    expect(one.override).toEqual(other.override)
  })

  it('is followed at once where the store tells of changes, and seldom asked for then', async () => {
    const wake = new Set<() => void>()
    const telling = Object.assign(store, {
      async *watch({ signal }: { readonly prefix: string; readonly signal: AbortSignal }) {
        const notices: string[] = ['reset']
        let next: () => void = () => undefined
        wake.add(() => (notices.push('set'), next()))
        signal.addEventListener('abort', () => next())
        while (!signal.aborted) {
          const notice = notices.shift()
          if (notice === undefined) await new Promise<void>((resolve) => (next = resolve))
          else yield notice
        }
      },
    })
    const [one, other] = [await started({ store: telling }), await started({ store: telling })]
    await clock.advance(5_000)
    store.calls = 0
    await clock.advance(10_000)
    expect(store.calls).toBeLessThanOrEqual(6)
    await one.setMode('DEGRADED', { why: 'a test' })
    wake.forEach((run) => run())
    await clock.advance(0)
    expect(other.mode).toBe('DEGRADED')
    await Promise.all([one.stop(), other.stop()])
    expect(clock.pending).toBe(0)
  })
})

describe('a store that is gone', () => {
  it('changes nothing, and is told once', async () => {
    const modes = await started()
    await modes.setMode('DEGRADED', { why: 'a quiet night' })
    told = []
    store.fault = 'hung'
    await clock.advance(60_000)
    expect(modes.mode).toBe('DEGRADED')
    store.fault = 'refused'
    await clock.advance(60_000)
    store.fault = 'none'
    await clock.advance(1_000)
    expect(modes.mode).toBe('DEGRADED')
    expect(told).toMatchObject([
      { what: 'store', from: 'reachable', to: 'unreachable', severity: 'WARNING', why: 'no answer within 2000 ms' },
      { what: 'store', from: 'unreachable', to: 'reachable', severity: 'INFO' },
    ])
  })

  it.each(['refused', 'hung'] as const)('is no reason not to start: %s', async (fault) => {
    store.fault = fault
    const starting = started()
    await clock.advance(2_000)
    const modes = await starting
    expect([modes.mode, told]).toMatchObject(['FULL', [{ what: 'store', to: 'unreachable' }]])
    store.fault = 'none'
    await shard().setMode('DEGRADED', { why: 'elsewhere' })
    await clock.advance(1_000)
    expect(modes.mode).toBe('DEGRADED')
    await modes.stop()
    expect(clock.pending).toBe(0)
  })

  it('keeps nobody from setting a mode: it holds here, is said not to be stored, and is stored later', async () => {
    const [one, other] = [await started(), await started()]
    store.fault = 'refused'
    await expect(one.setMode('MAINTENANCE', { why: 'the database is gone' })).rejects.toThrow(ModeStoreError)
    expect([one.mode, other.mode]).toEqual(['MAINTENANCE', 'FULL'])
    await clock.advance(10_000)
    store.fault = 'none'
    await clock.advance(1_500)
    expect(other.mode).toBe('MAINTENANCE')
  })

  it('that was written although its answer was lost is not written twice', async () => {
    const [one, other] = [await started(), await started()]
    store.fault = 'answer lost'
    // The write is not reached: reading fails first. Let it through, and lose the answer of the write alone.
    const entry = store.entry.bind(store)
    store.entry = (name) => store.inner.entry(name)
    await expect(one.setMode('DEGRADED', { why: 'a test' })).rejects.toMatchObject({ applied: 'unknown' })
    store.entry = entry
    store.fault = 'none'
    told = []
    await clock.advance(2_000)
    expect([one.mode, other.mode]).toEqual(['DEGRADED', 'DEGRADED'])
    expect(told.filter(({ what }) => what !== 'store')).toHaveLength(1)
    expect((await store.inner.entry(key))?.value).toMatchObject({ epoch: 1 })
  })

  it('meanwhile used by another: what was done there last stands, once it is seen again', async () => {
    const one = await started()
    await one.setMode('DEGRADED', { why: 'first' })
    store.fault = 'refused'
    await one.setMode('MAINTENANCE', { why: 'behind the outage' }).catch(() => undefined)
    const reachable = new DegradationManager({
      clock,
      features: { remind: {} },
      store: store.inner,
      scope: 'process',
    })
    await reachable.setMode('FULL', { why: 'on the other side' })
    store.fault = 'none'
    await clock.advance(1_000)
    expect(one.override).toMatchObject({ mode: 'FULL', why: 'on the other side' })
  })

  it('and has lost everything is given it again', async () => {
    const one = await started()
    await one.setMode('DEGRADED', { why: 'a test' })
    store.forget()
    await clock.advance(1_000)
    expect((await started()).mode).toBe('DEGRADED')
  })

  it('does not keep stop waiting for longer than an answer may take', async () => {
    const modes = await started()
    store.fault = 'hung'
    const setting = modes.setMode('DEGRADED', { why: 'a test' }).catch((error: unknown) => error)
    let isStopped = false
    void modes.stop().then(() => (isStopped = true))
    await clock.advance(8_000)
    expect(isStopped).toBe(true)
    expect(await setting).toBeInstanceOf(ModeStoreError)
    expect(clock.pending).toBe(0)
  })
})

describe('what is stored', () => {
  it('of a newer format is refused with both versions named, and left as it is', async () => {
    await store.put(key, { format: 7 })
    const modes = shard()
    const refused = await modes.start().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StateFormatError)
    expect(refused).toMatchObject({ code: 'STATE_FORMAT', found: 7, supported: 1 })
    expect(String(refused)).toMatch(/has format 7, and this release reads format 1/)
    expect(clock.pending).toBe(0)
    await expect(modes.setMode('DEGRADED', { why: 'a test' })).rejects.toThrow(StateFormatError)
    expect(modes.mode).toBe('DEGRADED')
    expect((await store.inner.entry(key))?.value).toEqual({ format: 7 })
  })

  it('turning newer while it is followed moves nothing, and is told', async () => {
    const modes = await started()
    await modes.setMode('DEGRADED', { why: 'a test' })
    told = []
    await store.put(key, { format: 7 })
    await clock.advance(2_000)
    expect(modes.mode).toBe('DEGRADED')
    expect(told).toMatchObject([
      { what: 'store', to: 'unreachable', why: expect.stringContaining('format 7') as string },
    ])
  })

  it.each([null, 5, 'FULL', {}, { format: 1 }, { format: 1, epoch: 'x' }])(
    'by someone else is refused: %j',
    async (value) => {
      await store.put(key, value)
      await expect(shard().start()).rejects.toThrow(StateFormatError)
    },
  )

  it('as a mode that is not known here moves nothing, and is told', async () => {
    const other = new DegradationManager({
      clock,
      store,
      modes: ['FULL', 'READ_ONLY', 'MAINTENANCE'],
      features: { remind: {} },
    })
    await other.setMode('READ_ONLY', { why: 'a test' })
    const modes = await started()
    expect([modes.mode, told.at(-1)?.why]).toEqual([
      'FULL',
      'it says READ_ONLY, set by hand (a test), and modes has only FULL, DEGRADED, MAINTENANCE',
    ])
    await other.clearMode({ why: 'over' })
    await clock.advance(1_000)
    expect(told.at(-1)).toMatchObject({ what: 'store', to: 'reachable' })
  })

  it('is of one bot: another name sees nothing of it', async () => {
    await shard({ name: 'one' }).setMode('DEGRADED', { why: 'a test' })
    expect((await started({ name: 'other' })).mode).toBe('FULL')
  })

  it('is left alone by a dry run, which follows it nevertheless', async () => {
    const dry = await started({ dryRun: true })
    await dry.setMode('MAINTENANCE', { why: 'to see' })
    expect(await store.inner.entry(key)).toBeUndefined()
    await shard().setMode('DEGRADED', { why: 'a test' })
    await clock.advance(1_000)
    expect([dry.mode, dry.decidedMode]).toEqual(['FULL', 'DEGRADED'])
  })
})

describe('a store of too small a reach', () => {
  it.each<[string, object, RegExp]>([
    ['for one process, unsaid', { store: memoryState() }, /serves one process.*scope: 'process'/],
    ['for one process, with others', { store: memoryState(), scope: 'cluster' }, /only within one process; pass/],
    ['that is none', { store: new Map() }, /store must have entry and compareAndSet/],
    ['of no reach', { store: { ...memoryState(), scope: 'galaxy' } }, /store.scope is 'galaxy'/],
    ['asked for what is none', { store: memoryState(), scope: 'galaxy' }, /scope is 'galaxy'/],
    ['asked for without one', { store: undefined, scope: 'cluster' }, /pass the store as well/],
    ['without a name', { name: '' }, /name is ''/],
    ['without time', { storeTimeoutMs: 0 }, /storeTimeoutMs is 0/],
  ])('is refused: %s', (_name, options, message) => {
    expect(() => shard(options)).toThrow(message)
  })
})

describe('a shared rule', () => {
  const watching = async (shared: boolean) => {
    const loads = [0, 0]
    const shards = await Promise.all(
      loads.map((_, index) =>
        started({
          pressures: { load: () => loads[index] ?? 0 },
          rules: [{ pressure: 'load', enter: 0.9, leave: 0.5, mode: 'DEGRADED', shared }],
        }),
      ),
    )
    return { loads, one: shards[0]!, other: shards[1]! }
  }

  it('counts for all shards, one that does not for its own alone', async () => {
    const { loads, one, other } = await watching(true)
    loads[0] = 1
    await clock.advance(2_000)
    expect([one.mode, other.mode]).toEqual(['DEGRADED', 'DEGRADED'])
    expect(other.explain('remind').why).toContain('another process: pressure "load" is 1')
    await clock.advance(600_000)
    expect(other.mode).toBe('DEGRADED')
    loads[0] = 0
    await clock.advance(32_000)
    expect([one.mode, other.mode]).toEqual(['FULL', 'FULL'])

    const alone = await watching(false)
    alone.loads[0] = 1
    await clock.advance(2_000)
    expect([alone.one.mode, alone.other.mode]).toEqual(['DEGRADED', 'FULL'])
  })

  it('is withdrawn by a shard that stops, and forgotten of one that was killed', async () => {
    const { loads, one, other } = await watching(true)
    loads[0] = 1
    await clock.advance(2_000)
    await one.stop()
    await clock.advance(32_000)
    expect(other.mode).toBe('FULL')

    await store.put('modes/bot/asks', { format: 1, asks: { killed: { mode: 'MAINTENANCE', why: 'a test', beat: 3 } } })
    await clock.advance(1_000)
    expect(other.mode).toBe('MAINTENANCE')
    // It came back right after a recovery, so each of the two steps is waited for twice as long.
    await clock.advance(20_000 + 2 * 60_000 + 1_000)
    expect(other.mode).toBe('FULL')
  })

  it('goes on holding while the store is gone', async () => {
    const { loads, other } = await watching(true)
    loads[0] = 1
    await clock.advance(2_000)
    store.fault = 'refused'
    await clock.advance(600_000)
    expect(other.mode).toBe('DEGRADED')
    store.fault = 'none'
    await clock.advance(120_000)
    expect(other.mode).toBe('DEGRADED')
  })

  it('needs a store', () => {
    const rules = [{ pressure: 'cpu', enter: 0.9, leave: 0.7, mode: 'DEGRADED', shared: true }] as const
    expect(() => new DegradationManager({ features: {}, rules })).toThrow(/nothing to share it through/)
  })
})

describe('laws', () => {
  it('all shards agree within a second once the store answers, and nobody sees an older deed after a newer one', async () => {
    const deed = fc.record({
      by: fc.nat({ max: 2 }),
      mode: fc.constantFrom<Mode | undefined>('FULL', 'DEGRADED', 'MAINTENANCE', undefined),
      forMs: fc.option(fc.integer({ min: 1, max: 20_000 }), { nil: undefined }),
      waitMs: fc.nat({ max: 5_000 }),
      fault: fc.constantFrom<StandInStore['fault']>('none', 'none', 'refused', 'hung', 'answer lost'),
      jumpMs: fc.integer({ min: -3_600_000, max: 3_600_000 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(deed, { maxLength: 10 }), async (life) => {
        clock = new FakeClock()
        store = new StandInStore()
        const shards = [await started(), await started(), await started()]
        for (const { by, mode, forMs, waitMs, fault, jumpMs } of life) {
          store.fault = fault
          clock.jump(jumpMs)
          const how = { why: 'a test', ...(forMs === undefined ? {} : { forMs }) }
          const doing = mode === undefined ? shards[by]?.clearMode({ why: 'over' }) : shards[by]?.setMode(mode, how)
          doing?.catch(() => undefined)
          await clock.advance(waitMs)
        }
        store.fault = 'none'
        // Whatever hangs has its deadline first.
        await clock.advance(10_000)
        expect(new Set(shards.map(({ override }) => override?.mode)).size).toBe(1)
        await clock.advance(30_000)
        await Promise.all(shards.map((modes) => modes.stop()))
        expect(clock.pending).toBe(0)
      }),
      { numRuns: 40, seed: 20_261_128 },
    )
  })
})
