import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'eventemitter3'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  DegradationManager,
  ShedError,
  type ComponentReport,
  type DegradationManagerOptions,
  type FeatureState,
  type Priority,
} from './index.js'

let clock: FakeClock

beforeEach(() => {
  clock = new FakeClock()
})

type Own = 'FULL' | 'READ_ONLY' | 'ESSENTIAL' | 'MAINTENANCE'

const own = (options: Partial<DegradationManagerOptions<string, Own, string, string, string>> = {}) =>
  new DegradationManager<string, Own, string, string, string>({
    clock,
    modes: ['FULL', 'READ_ONLY', 'ESSENTIAL', 'MAINTENANCE'],
    serves: { READ_ONLY: 'optional', ESSENTIAL: 'high' },
    features: {
      remind: { priority: 'critical' },
      search: { priority: 'high' },
      notes: {},
      translate: { priority: 'optional' },
      write: { priority: 'critical', in: { READ_ONLY: 'off', MAINTENANCE: 'fallback' } },
      report: { priority: 'high', in: { READ_ONLY: { maxConcurrent: 2 } } },
    },
    ...options,
  })

describe('modes of one’s own', () => {
  it.each<[Own, Record<string, FeatureState>]>([
    ['FULL', { remind: 'on', search: 'on', notes: 'on', translate: 'on', write: 'on', report: 'on' }],
    ['READ_ONLY', { remind: 'on', search: 'on', notes: 'on', translate: 'on', write: 'off', report: 'limited' }],
    ['ESSENTIAL', { remind: 'on', search: 'on', notes: 'off', translate: 'off', write: 'off', report: 'limited' }],
    ['MAINTENANCE', { remind: 'on', search: 'off', notes: 'off', translate: 'off', write: 'fallback', report: 'off' }],
  ])('do to each feature what it says or its priority: %s', async (mode, expected) => {
    const modes = own()
    await modes.setMode(mode, { why: 'a test' })
    const states = Object.keys(expected).map((name) => [name, modes.feature(name).state])
    expect(Object.fromEntries(states)).toEqual(expected)
    for (const [name, state] of Object.entries(expected)) {
      expect(modes.allows(name)).toBe(state === 'on' || state === 'limited')
      expect(modes.feature(name).allows()).toBe(modes.allows(name))
    }
  })

  it('switch off what is optional, where nothing else is said', async () => {
    const modes = new DegradationManager({
      modes: ['FULL', 'SLOW', 'SLOWER', 'MAINTENANCE'],
      serves: { SLOW: 'high' },
      features: { notes: {}, search: { priority: 'high' }, translate: { priority: 'optional' } },
    })
    await modes.setMode('SLOWER', { why: 'a test' })
    // No more than the better one before it, which serves only what is high.
    expect([modes.allows('notes'), modes.allows('search'), modes.allows('translate')]).toEqual([false, true, false])
  })

  it('are climbed one by one', async () => {
    let isFull = true
    const modes = own({
      flags: { isEnabled: () => isFull },
      rules: [{ flag: 'slim', mode: 'MAINTENANCE' }],
      sampleMs: 500,
    })
    const seen: string[] = []
    modes.on('change', ({ to }) => seen.push(to))
    await modes.start()
    isFull = false
    await clock.advance(120_000)
    expect(seen).toEqual(['MAINTENANCE', 'ESSENTIAL', 'READ_ONLY', 'FULL'])
  })

  it('never serve more when they are worse, unless a feature says so', () => {
    const effects = fc.constantFrom<'off' | 'fallback' | { maxConcurrent: number }>('off', 'fallback', {
      maxConcurrent: 3,
    })
    const strictness = ['on', 'limited', 'fallback', 'off']
    fc.assert(
      fc.property(
        fc.constantFrom<Priority>('critical', 'high', 'normal', 'optional'),
        fc.constantFrom<Own>('READ_ONLY', 'ESSENTIAL', 'MAINTENANCE'),
        effects,
        (priority, from, effect) => {
          const modes = own({ features: { it: { priority, in: { [from]: effect } } } })
          let before = 0
          for (const mode of ['FULL', 'READ_ONLY', 'ESSENTIAL', 'MAINTENANCE'] as const) {
            void modes.setMode(mode, { why: 'a test' })
            const now = strictness.indexOf(modes.feature('it').state)
            if (mode !== from) expect(now).toBeGreaterThanOrEqual(before)
            before = now
          }
        },
      ),
      { seed: 20_261_128 },
    )
  })

  it.each<[string, object, RegExp]>([
    ['that begin elsewhere', { modes: ['DEGRADED', 'MAINTENANCE'] }, /list them best first, from FULL to MAINTENANCE/],
    ['that end elsewhere', { modes: ['FULL', 'DEGRADED'] }, /from FULL to MAINTENANCE/],
    ['that are no list', { modes: 'FULL' }, /from FULL to MAINTENANCE/],
    ['one of them twice', { modes: ['FULL', 'SLOW', 'SLOW', 'MAINTENANCE'] }, /SLOW twice/],
    ['in small letters', { modes: ['FULL', 'slow', 'MAINTENANCE'] }, /modes has 'slow'; a mode is named in capitals/],
    ['a rule for none of them', { rules: [{ flag: 'x', mode: 'SLOW' }] }, /asks for READ_ONLY or ESSENTIAL or MAINT/],
    ['what none of them serves', { serves: { SLOW: 'high' } }, /serves cannot have "SLOW"; known are READ_ONLY/],
    ['FULL not serving all', { serves: { FULL: 'high' } }, /serves cannot have "FULL"/],
    ['no priority', { serves: { READ_ONLY: 'hi' } }, /serves.READ_ONLY is 'hi'; it can be critical/],
    [
      'a worse one serving more',
      { serves: { ESSENTIAL: 'optional', READ_ONLY: 'high' } },
      /ESSENTIAL is optional, more/,
    ],
    ['an exception for none', { features: { a: { in: { SLOW: 'off' } } } }, /There is no mode SLOW/],
    ['a limit of none', { features: { a: { in: { READ_ONLY: { maxConcurrent: 0 } } } } }, /maxConcurrent is 0/],
    ['a limit of a half', { features: { a: { in: { READ_ONLY: { maxConcurrent: 1.5 } } } } }, /is 1.5; give a whole/],
    ['a misspelt limit', { features: { a: { in: { READ_ONLY: { max: 1 } } } } }, /cannot have "max"/],
    ['an effect that is none', { features: { a: { in: { READ_ONLY: null } } } }, /it can be on, off, fallback or/],
  ])('are refused: %s', (_name, options, message) => {
    expect(() => own(options)).toThrow(message)
  })
})

describe('a handle', () => {
  it('is one object per feature, whose state changes in place', async () => {
    const modes = own()
    const translate = modes.feature('translate')
    expect(modes.feature('translate')).toBe(translate)
    expect([translate.name, translate.priority, translate.allows()]).toEqual(['translate', 'optional', true])
    await modes.setMode('ESSENTIAL', { why: 'a test' })
    expect([translate.state, translate.allows()]).toEqual(['off', false])
    await modes.clearMode({ why: 'over' })
    expect([translate.state, translate.allows()]).toEqual(['on', true])
  })

  it('of what was not declared is an error', () => {
    expect(() => own().feature('translat')).toThrow('There is no feature "translat"; the features are remind, ')
  })
})

describe('a limited feature', () => {
  const limited = async () => {
    const modes = own()
    await modes.setMode('READ_ONLY', { why: 'a test' })
    const ends: (() => void)[] = []
    const report = modes.guard('report', () => new Promise<string>((resolve) => ends.push(() => resolve('made'))))
    return { modes, report, ends }
  }

  it('is served to so many calls at once, and the next is shed with the reason', async () => {
    const { modes, report, ends } = await limited()
    const calls = [report(), report()]
    expect(modes.explain('report')).toMatchObject({
      state: 'limited',
      allowed: true,
      maxConcurrent: 2,
      inFlight: 2,
      retryAfterMs: 1_000,
    })
    const error: unknown = await report().catch((refused: unknown) => refused)
    expect(error).toBeInstanceOf(ShedError)
    expect((error as ShedError).retryAfterMs).toBeGreaterThan(0)
    expect(String(error)).toContain('limited to 2 at once in READ_ONLY mode: set by hand: a test')
    ends.forEach((end) => end())
    expect(await Promise.all(calls)).toEqual(['made', 'made'])
    const again = report()
    ends.at(-1)?.()
    expect(await again).toBe('made')
    expect(modes.feature('report').inFlight).toBe(0)
  })

  it('counts calls that began before it was limited, and those that failed no longer', async () => {
    const modes = own()
    const fails = modes.guard('report', () => {
      throw new Error('no paper')
    })
    await expect(fails()).rejects.toThrow('no paper')
    let end = (): void => undefined
    const slow = modes.guard('report', () => new Promise<void>((resolve) => (end = resolve)))
    const calls = [slow(), slow().catch(() => undefined)]
    await modes.setMode('READ_ONLY', { why: 'a test' })
    await expect(slow()).rejects.toThrow('limited to 2 at once')
    end()
    await calls[1]
    expect(modes.feature('report').inFlight).toBe(1)
  })

  it('falls back when there is no room', async () => {
    const { modes } = await limited()
    const slow = modes.guard('report', () => new Promise<string>(() => undefined), { fallback: () => 'later' })
    void slow()
    void slow()
    expect((await slow.outcome()).why).toContain('limited to 2 at once')
  })
})

describe('a rule over a flag', () => {
  class StandInFlags extends EventEmitter<{ change: [] }> {
    turnedOn = new Set<string>()
    asked = 0
    isEnabled(name: string): boolean {
      this.asked += 1
      if (name === 'gone') throw new Error('there is no flag "gone"')
      return this.turnedOn.has(name)
    }
    turn(name: string, isOn: boolean): void {
      this.turnedOn[isOn ? 'add' : 'delete'](name)
      this.emit('change')
    }
  }

  const following = async (flags: StandInFlags | Pick<StandInFlags, 'isEnabled'>) => {
    const modes = new DegradationManager({
      clock,
      flags,
      features: { remind: {} },
      rules: [
        { flag: 'slim', mode: 'DEGRADED' },
        { flag: 'open', is: 'off', mode: 'MAINTENANCE' },
      ],
    })
    await modes.start()
    return modes
  }

  it('follows a source that tells of changes, and never asks it otherwise', async () => {
    const flags = new StandInFlags()
    flags.turn('open', true)
    const modes = await following(flags)
    expect([modes.mode, clock.pending]).toEqual(['FULL', 0])
    flags.turn('slim', true)
    expect([modes.mode, modes.explain('remind').demands]).toEqual([
      'DEGRADED',
      [{ mode: 'DEGRADED', why: 'flag "slim" is on' }],
    ])
    flags.turn('open', false)
    expect(modes.explain('remind').why).toContain('flag "open" is off')
    flags.turn('open', true)
    const { asked } = flags
    await clock.advance(30_000)
    expect([modes.mode, flags.asked]).toEqual(['DEGRADED', asked])
    await modes.stop()
    expect(flags.listenerCount('change')).toBe(0)
  })

  it('asks one that does not, at each sample', async () => {
    let slim = false
    const modes = await following({ isEnabled: (name) => name === 'open' || slim })
    slim = true
    await clock.advance(999)
    expect(modes.mode).toBe('FULL')
    await clock.advance(1)
    expect(modes.mode).toBe('DEGRADED')
  })

  it.each([
    ['is no flag', () => { throw new Error('unknown') }, 'unknown'], // prettier-ignore
    ['is neither', () => 'yes' as unknown as boolean, 'it is yes, neither true nor false'],
  ])('stays as it is while it %s, and tells once', async (_name, broken, why) => {
    let isEnabled: () => boolean = () => true
    const modes = await following({ isEnabled: () => isEnabled() })
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    isEnabled = broken
    await clock.advance(60_000)
    expect([modes.mode, told]).toMatchObject([
      'DEGRADED',
      [
        { what: 'flag', name: 'slim', to: 'unreadable', severity: 'WARNING', why },
        { what: 'flag', name: 'open', to: 'unreadable', severity: 'WARNING', why },
      ],
    ])
  })

  it.each<[string, object, RegExp]>([
    ['without flags', { rules: [{ flag: 'slim', mode: 'DEGRADED' }] }, /about flag "slim"; pass flags/],
    ['of no state', { rules: [{ flag: 'a', is: 'up', mode: 'DEGRADED' }], flags: { isEnabled: () => true } }, /is up;/],
    ['of flags that are none', { flags: {} }, /flags must have isEnabled/],
    ['of two things', { rules: [{ flag: 'a', pressure: 'cpu', mode: 'DEGRADED' }] }, /must name either/],
  ])('is refused %s', (_name, options, message) => {
    expect(() => new DegradationManager({ features: {}, ...options })).toThrow(message)
  })
})

describe('a rule over the whole', () => {
  class StandInHealth extends EventEmitter<{ change: [] }> {
    status: ComponentReport['status'] = 'up'
    readonly components = new Map<string, ComponentReport>([['database', { status: 'up', reason: 'fine' }]])
  }

  it('follows what the health source makes of its parts, and names those that are as bad', async () => {
    const health = new StandInHealth()
    const modes = new DegradationManager({
      clock,
      health,
      features: { remind: {} },
      rules: [{ health: 'overall', is: 'down', mode: 'MAINTENANCE' }],
    })
    await modes.start()
    health.status = 'degraded'
    health.emit('change')
    expect(modes.mode).toBe('FULL')
    health.status = 'down'
    health.components.set('database', { status: 'down', reason: 'ECONNREFUSED' })
    health.emit('change')
    expect(modes.explain('remind').why).toContain('the bot as a whole is down: database: ECONNREFUSED')
    health.status = 'unknown'
    health.emit('change')
    expect(modes.mode).toBe('MAINTENANCE')
    health.status = 'well' as 'up'
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    health.emit('change')
    expect(told).toMatchObject([{ what: 'health', name: 'overall', to: 'unreadable' }])
  })

  it('needs a source that makes something of them', () => {
    const health = { components: new Map<string, ComponentReport>(), on: () => undefined, off: () => undefined }
    const rules = [{ health: 'overall', is: 'down', mode: 'DEGRADED' }] as const
    expect(() => new DegradationManager({ features: {}, health, rules })).toThrow(/has no status; name components/)
    expect(() => new DegradationManager({ features: {}, rules })).toThrow(/the bot as a whole; pass health/)
    const misspelt = [{ health: 'all', is: 'down', mode: 'DEGRADED' }] as never
    expect(() => new DegradationManager({ features: {}, health, rules: misspelt })).toThrow(/health is 'all'/)
  })
})

describe('a dry run', () => {
  it('decides and tells, and changes nothing', async () => {
    let isSlim = false
    const modes = own({
      dryRun: true,
      flags: { isEnabled: () => isSlim },
      rules: [{ flag: 'slim', mode: 'MAINTENANCE' }],
    })
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    await modes.start()
    isSlim = true
    await clock.advance(1_000)
    expect([modes.mode, modes.decidedMode, modes.allows('translate')]).toEqual(['FULL', 'MAINTENANCE', true])
    expect(modes.explain('translate')).toMatchObject({
      allowed: true,
      mode: 'FULL',
      decidedMode: 'MAINTENANCE',
      why:
        '"translate" (optional) is on in FULL mode: ' +
        'this is a dry run, or it would be MAINTENANCE: flag "slim" is on',
    })
    await modes.setMode('READ_ONLY', { why: 'a test' })
    await modes.setMode('READ_ONLY', { why: 'again' })
    expect([modes.mode, modes.decidedMode]).toEqual(['FULL', 'READ_ONLY'])
    expect(told).toMatchObject([
      {
        what: 'mode',
        from: 'FULL',
        to: 'MAINTENANCE',
        dryRun: true,
        severity: 'INFO',
        message: 'Dry run: the mode would have gone from FULL to MAINTENANCE: flag "slim" is on.',
      },
      { what: 'mode', from: 'MAINTENANCE', to: 'READ_ONLY', dryRun: true },
      { what: 'override', dryRun: true, message: 'Dry run: the mode would stay READ_ONLY: set by hand: again.' },
    ])
  })

  it('is none otherwise, and says so', async () => {
    const modes = own()
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    await modes.setMode('READ_ONLY', { why: 'a test', by: 'ada' })
    expect([modes.mode, modes.decidedMode, modes.override?.by]).toEqual(['READ_ONLY', 'READ_ONLY', 'ada'])
    expect(told).toMatchObject([{ dryRun: false, why: 'set by hand by ada: a test' }])
    expect(() => own({ dryRun: 'yes' as never })).toThrow(/dryRun is 'yes'/)
  })
})

describe('the wall clock', () => {
  it('changes nothing, however it is moved', async () => {
    type Step = { readonly waitMs: number; readonly value: number; readonly forMs: number; readonly jumpMs: number }
    const step = fc.record<Step>({
      waitMs: fc.nat({ max: 60_000 }),
      value: fc.double({ min: 0, max: 1, noNaN: true }),
      forMs: fc.integer({ min: -100_000, max: 20_000 }),
      jumpMs: fc.integer({ min: -3_600_000, max: 3_600_000 }),
    })
    const live = async (life: readonly Step[], areJumpsMade: boolean): Promise<unknown[]> => {
      const own = new FakeClock()
      let load = 0
      const seen: unknown[] = []
      const modes = new DegradationManager({
        clock: own,
        features: { remind: {} },
        pressures: { load: () => load },
        rules: [
          { pressure: 'load', enter: 0.6, leave: 0.4, mode: 'DEGRADED' },
          { pressure: 'load', enter: 0.9, leave: 0.8, mode: 'MAINTENANCE' },
        ],
      })
      modes.on('change', ({ what, from, to, why }) => seen.push([own.monotonic(), what, from, to, why]))
      await modes.start()
      for (const { waitMs, value, forMs, jumpMs } of life) {
        if (areJumpsMade) own.jump(jumpMs)
        await own.advance(waitMs)
        load = value
        if (forMs > 0) await modes.setMode('MAINTENANCE', { why: 'a test', forMs })
      }
      await own.advance(600_000)
      await modes.stop()
      return seen
    }
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (life) => {
        expect(await live(life, true)).toEqual(await live(life, false))
      }),
      { numRuns: 20, seed: 20_261_128 },
    )
  })
})
