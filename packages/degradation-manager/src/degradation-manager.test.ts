import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'eventemitter3'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  DegradationManager,
  type Clock,
  type ComponentReport,
  type DegradationChange,
  type DegradationManagerOptions,
  type HealthSource,
  type Mode,
} from './index.js'

/** A health source that says what the test tells it to. */
class StandInHealth extends EventEmitter<{ change: [] }> implements HealthSource<'database' | 'gateway'> {
  readonly components = new Map<'database' | 'gateway', ComponentReport>([
    ['database', { status: 'unknown', reason: 'not checked yet' }],
    ['gateway', { status: 'unknown', reason: 'not checked yet' }],
  ])

  report(name: 'database' | 'gateway', status: ComponentReport['status'], reason = 'a test'): void {
    this.components.set(name, { status, reason })
    this.emit('change')
  }
}

let clock: FakeClock
let health: StandInHealth
let load: () => number
let changes: DegradationChange[]

const options = () =>
  ({
    clock,
    health,
    features: {
      remind: { priority: 'critical' },
      search: { priority: 'high' },
      notes: {},
      translate: { priority: 'optional' },
      report: { priority: 'optional', in: { DEGRADED: 'fallback' } },
    },
    rules: [
      { component: 'database', is: 'degraded', mode: 'DEGRADED' },
      { component: 'gateway', is: 'down', mode: 'MAINTENANCE' },
      { pressure: 'load', enter: 0.9, leave: 0.7, mode: 'DEGRADED' },
    ],
    pressures: { load: () => load() },
  }) satisfies DegradationManagerOptions<string, Mode, 'database' | 'gateway', 'load'>

const started = async () => {
  const modes = new DegradationManager(options())
  modes.on('change', (change) => changes.push(change))
  await modes.start()
  return modes
}

const modeChanges = (): [Mode, Mode][] =>
  changes.flatMap((change) => (change.what === 'mode' ? [[change.from, change.to]] : []))

beforeEach(() => {
  clock = new FakeClock()
  health = new StandInHealth()
  load = () => 0.1
  changes = []
})

it('that could not start, since a source takes no listener yet, may be started again', async () => {
  class LateHealth extends StandInHealth {
    isReady = false
    override on(...args: Parameters<StandInHealth['on']>): this {
      if (!this.isReady) throw new Error('not connected')
      return super.on(...args)
    }
  }
  const late = new LateHealth()
  const modes = new DegradationManager({ ...options(), health: late })
  await expect(modes.start()).rejects.toThrow('not connected')
  late.isReady = true
  await modes.start()
  late.report('database', 'down', 'ECONNREFUSED')
  expect(modes.mode).toBe('DEGRADED')
  await modes.stop()
})

describe('features', () => {
  it.each<[Mode, Record<string, boolean>]>([
    ['FULL', { remind: true, search: true, notes: true, translate: true, report: true }],
    ['DEGRADED', { remind: true, search: true, notes: true, translate: false, report: false }],
    ['MAINTENANCE', { remind: true, search: false, notes: false, translate: false, report: false }],
  ])('in %s', async (mode, expected) => {
    const modes = new DegradationManager(options())
    await modes.setMode(mode, { why: 'a test' })
    for (const [name, allowed] of Object.entries(expected)) expect(modes.allows(name as 'remind')).toBe(allowed)
  })

  it('explain themselves', async () => {
    const modes = await started()
    expect(modes.explain('translate')).toEqual({
      allowed: true,
      mode: 'FULL',
      decidedMode: 'FULL',
      state: 'on',
      maxConcurrent: Infinity,
      inFlight: 0,
      priority: 'optional',
      demands: [],
      retryAfterMs: undefined,
      why: '"translate" (optional) is on in FULL mode: no rule asks for less',
    })
    health.report('database', 'down', 'ECONNREFUSED')
    expect(modes.explain('report')).toEqual({
      allowed: false,
      mode: 'DEGRADED',
      decidedMode: 'DEGRADED',
      state: 'fallback',
      maxConcurrent: Infinity,
      inFlight: 0,
      priority: 'optional',
      retryAfterMs: 30_000,
      demands: [{ mode: 'DEGRADED', why: 'component "database" is down: ECONNREFUSED' }],
      why: '"report" (optional) is left to its fallback in DEGRADED mode: component "database" is down: ECONNREFUSED',
    })
    health.report('database', 'up')
    expect(modes.explain('translate').why).toContain('recovering by one step after each 30000 ms')
    await modes.stop()
    expect(modes.explain('translate').why).toBe(
      '"translate" (optional) is off in DEGRADED mode: the rules had led there when they were last watched',
    )
  })

  it('tell when they can be back', async () => {
    const modes = await started()
    const returns = (): unknown => modes.explain('translate').retryAfterMs
    await modes.setMode('DEGRADED', { why: 'a test', forMs: 60_000 })
    await clock.advance(15_000)
    expect(returns()).toBe(45_000)
    await modes.setMode('DEGRADED', { why: 'until somebody says otherwise' })
    expect(returns()).toBe(undefined)
    await modes.clearMode({ why: 'a test' })
    expect(returns()).toBe(undefined)
    health.report('database', 'down', 'ECONNREFUSED')
    health.report('database', 'up')
    await clock.advance(20_000)
    expect(returns()).toBe(10_000)
    await modes.stop()
  })

  it.each(['translat', '__proto__', 'constructor', ''])('that were not declared are an error: %j', (name) => {
    const modes = new DegradationManager(options())
    expect(() => modes.allows(name as 'remind')).toThrow(`There is no feature "${name}"; the features are remind, `)
    expect(() => modes.explain(name as 'remind')).toThrow(TypeError)
    expect(() => modes.guard(name as 'remind', async () => 1)).toThrow(TypeError)
  })

  it('may have hostile names', () => {
    const modes = new DegradationManager({
      features: JSON.parse('{"__proto__": {"priority": "optional"}}') as Record<'__proto__', object>,
    })
    expect(modes.allows('__proto__')).toBe(true)
  })
})

describe('rules at work', () => {
  it('degrade at once and recover stepwise, with a dwell before each step', async () => {
    const modes = await started()
    health.report('gateway', 'down')
    expect(modes.mode).toBe('MAINTENANCE')
    health.report('gateway', 'up')
    await clock.advance(29_999)
    expect(modes.mode).toBe('MAINTENANCE')
    await clock.advance(1)
    expect(modes.mode).toBe('DEGRADED')
    await clock.advance(29_999)
    expect(modes.mode).toBe('DEGRADED')
    await clock.advance(1)
    expect(modes.mode).toBe('FULL')
    expect(changes).toMatchObject([
      {
        what: 'mode',
        from: 'FULL',
        to: 'MAINTENANCE',
        why: 'component "gateway" is down: a test',
        severity: 'CRITICAL',
        message: 'The mode went from FULL to MAINTENANCE: component "gateway" is down: a test.',
      },
      { to: 'DEGRADED', severity: 'INFO', why: 'nothing has asked for MAINTENANCE for 30000 ms' },
      { to: 'FULL', severity: 'INFO', at: clock.now() },
    ])
  })

  it('see what was already wrong at the start', async () => {
    health.report('database', 'degraded')
    expect((await started()).mode).toBe('DEGRADED')
  })

  it('hold while a component is unknown', async () => {
    const modes = await started()
    health.report('database', 'down')
    health.report('database', 'unknown')
    await clock.advance(600_000)
    expect(modes.mode).toBe('DEGRADED')
  })

  it('follow a pressure, read once per sample', async () => {
    let reads = 0
    load = () => ((reads += 1), 0.95)
    const modes = await started()
    expect([reads, modes.mode]).toEqual([1, 'DEGRADED'])
    await clock.advance(10_000)
    expect(reads).toBe(11)
  })

  it('move once while a pressure oscillates for an hour between the thresholds', async () => {
    let turn = 0
    load = () => (turn++ % 2 === 0 ? 0.95 : 0.71)
    const modes = await started()
    await clock.advance(3_600_000)
    expect(modeChanges()).toEqual([['FULL', 'DEGRADED']])
    expect(modes.mode).toBe('DEGRADED')
  })

  it('move no more than once per dwell while a pressure crosses both thresholds', async () => {
    let turn = 0
    load = () => (Math.floor(turn++ / 100) % 2 === 0 ? 1 : 0)
    await started()
    await clock.advance(3_600_000)
    expect(modeChanges().length).toBeGreaterThan(30)
    expect(modeChanges().length).toBeLessThanOrEqual(3_600_000 / 30_000)
  })

  it('take a burst of reports in one turn as they come', async () => {
    const modes = await started()
    for (let i = 0; i < 1_000; i++) health.report('database', i % 2 === 0 ? 'down' : 'up')
    expect(modeChanges()).toEqual([['FULL', 'DEGRADED']])
    await clock.advance(30_000)
    expect(modes.mode).toBe('FULL')
  })

  it('do not move with the wall clock', async () => {
    const modes = await started()
    health.report('database', 'down')
    health.report('database', 'up')
    clock.jump(3_600_000)
    await clock.advance(29_999)
    expect(modes.mode).toBe('DEGRADED')
    clock.jump(-7_200_000)
    await clock.advance(1)
    expect(modes.mode).toBe('FULL')
  })
})

describe('an input that cannot be read', () => {
  it.each([
    ['throws', () => { throw new Error('no sensor') }, 'no sensor'], // prettier-ignore
    ['gives NaN', () => NaN, 'its function gave NaN, not a finite number'],
    ['gives Infinity', () => Infinity, 'its function gave Infinity, not a finite number'],
    ['gives a promise', () => Promise.resolve(1) as unknown as number, /its function gave .*, not a finite number/],
  ])('moves nothing and is told once: a pressure that %s', async (_name, broken, why) => {
    load = () => 0.95
    const modes = await started()
    load = broken
    await clock.advance(60_000)
    expect(modes.mode).toBe('DEGRADED')
    load = () => 0.5
    await clock.advance(1_000)
    expect(changes.slice(1)).toMatchObject([
      {
        what: 'pressure',
        name: 'load',
        from: 'readable',
        to: 'unreadable',
        severity: 'WARNING',
        why: expect.stringMatching(why) as string,
      },
      { what: 'pressure', name: 'load', from: 'unreadable', to: 'readable', severity: 'INFO' },
    ])
  })

  it('is told too when it is a component that the health source does not have', async () => {
    health.components.delete('gateway')
    await started()
    health.report('database', 'up')
    expect(changes).toMatchObject([{ what: 'component', name: 'gateway', to: 'unreadable', severity: 'WARNING' }])
    health.report('gateway', 'up')
    expect(changes.slice(1)).toMatchObject([{ what: 'component', name: 'gateway', to: 'readable' }])
  })
})

describe('a component whose status is no status', () => {
  it.each(['DOWN', undefined])('moves nothing, and is told once: %s', async (status) => {
    const modes = await started()
    health.report('database', 'down')
    health.report('database', status as 'down')
    health.report('database', status as 'down')
    expect(modes.mode).toBe('DEGRADED')
    expect(changes.slice(1)).toMatchObject([
      {
        what: 'component',
        name: 'database',
        to: 'unreadable',
        why: `its status is ${status}, not up, degraded, down or unknown`,
      },
    ])
  })
})

describe('a mode set by hand', () => {
  it('wins over the rules until it expires, on the monotonic clock', async () => {
    const modes = await started()
    health.report('database', 'down')
    await modes.setMode('FULL', { why: 'the check is wrong', forMs: 10_000 })
    expect(modes.override).toEqual({ mode: 'FULL', why: 'the check is wrong', expiresAt: clock.now() + 10_000 })
    clock.jump(3_600_000)
    await clock.advance(9_999)
    expect(modes.mode).toBe('FULL')
    await clock.advance(1)
    expect([modes.mode, modes.override]).toEqual(['DEGRADED', undefined])
    expect(changes.slice(1)).toMatchObject([
      { from: 'DEGRADED', to: 'FULL', why: 'set by hand: the check is wrong' },
      { from: 'FULL', to: 'DEGRADED', why: 'the mode set by hand has expired; component "database" is down: a test' },
    ])
  })

  it('says when it ends in whole epoch ms, however fine the clocks are', async () => {
    const fine: Clock = {
      now: () => 1_000_000,
      monotonic: () => 0.1 + 0.2,
      after: () => () => {},
    }
    const modes = new DegradationManager({ clock: fine, features: { remind: {} } })
    await modes.setMode('DEGRADED', { why: 'a test', forMs: 0.7 + 500 })
    expect(modes.override?.expiresAt).toBe(1_000_501)
  })

  it('ends when it is cleared', async () => {
    const modes = await started()
    await modes.setMode('MAINTENANCE', { why: 'moving hosts' })
    await clock.advance(86_400_000)
    expect(modes.mode).toBe('MAINTENANCE')
    await modes.clearMode({ why: 'moved' })
    expect(modes.mode).toBe('FULL')
    expect(changes).toMatchObject([
      { to: 'MAINTENANCE', severity: 'WARNING' },
      { to: 'FULL', severity: 'INFO', why: 'handed back to the rules: moved' },
    ])
    await modes.clearMode({ why: 'twice' })
    expect(changes).toHaveLength(2)
  })

  it('expires without a start, and lasts longer than a timer can', async () => {
    const modes = new DegradationManager({ clock, features: { remind: {} } })
    await modes.setMode('DEGRADED', { why: 'a test', forMs: 2 ** 32 })
    await clock.advance(2 ** 32 - 1)
    expect(modes.mode).toBe('DEGRADED')
    await clock.advance(1)
    expect(modes.mode).toBe('FULL')
    expect(clock.pending).toBe(0)
  })

  it('is told even if the mode stays the same', async () => {
    const modes = await started()
    await modes.setMode('FULL', { why: 'launch day' })
    await modes.clearMode({ why: 'over' })
    expect(changes).toMatchObject([
      { what: 'override', from: 'none', to: 'FULL', message: 'The mode stays FULL: set by hand: launch day.' },
      { what: 'override', from: 'FULL', to: 'none', message: 'The mode stays FULL: handed back to the rules: over.' },
    ])
  })

  it.each([
    ['HALF', { why: 'a test' }, TypeError],
    ['DEGRADED', { why: ' ' }, TypeError],
    ['DEGRADED', undefined as never, TypeError],
    ['DEGRADED', { why: 'a test', forMS: 1 } as { why: string }, TypeError],
    ['DEGRADED', { why: 'a test', forMs: 0 }, RangeError],
    ['DEGRADED', { why: 'a test', forMs: NaN }, RangeError],
    ['DEGRADED', { why: 'a test', forMs: Infinity }, RangeError],
  ])('is refused as %s with %j', async (mode, how, error) => {
    const modes = new DegradationManager(options())
    await expect(modes.setMode(mode as Mode, how)).rejects.toThrow(error)
    expect(modes.override).toBeUndefined()
  })
})

describe('life', () => {
  it('begins with start, ends with stop, and takes both twice', async () => {
    const modes = new DegradationManager(options())
    health.report('database', 'down')
    expect([modes.mode, health.listenerCount('change'), clock.pending]).toEqual(['FULL', 0, 0])
    await modes.start()
    await modes.start()
    expect([modes.mode, health.listenerCount('change'), clock.pending]).toEqual(['DEGRADED', 1, 1])
    await modes.stop()
    await modes.stop()
    health.report('database', 'up')
    await clock.advance(600_000)
    expect([modes.mode, health.listenerCount('change'), clock.pending]).toEqual(['DEGRADED', 0, 0])
    await modes.start()
    await clock.advance(30_000)
    expect(modes.mode).toBe('FULL')
    await modes[Symbol.asyncDispose]()
    expect(clock.pending).toBe(0)
  })

  it('keeps no timer while nothing is due and no pressure is to be read', async () => {
    const modes = new DegradationManager({
      clock,
      health,
      features: { remind: {} },
      rules: [{ component: 'database', is: 'down', mode: 'DEGRADED' }],
    })
    await modes.start()
    health.report('database', 'down')
    expect(clock.pending).toBe(0)
    health.report('database', 'up')
    expect(clock.pending).toBe(1)
    await clock.advance(30_000)
    expect(clock.pending).toBe(0)
  })

  it('keeps one timer, however often the plan changes, and none after stop', async () => {
    const modes = new DegradationManager({
      clock,
      health,
      features: { remind: {} },
      rules: [{ component: 'database', is: 'down', mode: 'DEGRADED' }],
    })
    await modes.start()
    for (const status of ['down', 'up', 'down', 'up', 'up'] as const) health.report('database', status)
    await modes.setMode('MAINTENANCE', { why: 'a test', forMs: 5_000 })
    expect(clock.pending).toBe(1)
    await modes.stop()
    expect(clock.pending).toBe(0)
    await clock.advance(10_000)
    expect(modes.mode).toBe('MAINTENANCE')
    await modes.start()
    expect(modes.mode).toBe('DEGRADED')
  })

  it('goes on recovering when a listener starts it again in the middle of its stop', async () => {
    let lateMs = 0
    const late: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + lateMs,
      after: (delayMs, run) => clock.after(delayMs, run),
    }
    const modes = new DegradationManager({
      clock: late,
      health,
      features: { remind: {} },
      rules: [{ component: 'database', is: 'down', mode: 'DEGRADED' }],
    })
    await modes.start()
    health.report('database', 'down')
    health.report('database', 'up')
    await modes.setMode('FULL', { why: 'a test', forMs: 1_000 })
    lateMs = 5_000 // the event loop was blocked, so stop() is what finds the mode set by hand expired
    modes.once('change', () => void modes.start())
    await modes.stop()
    expect(modes.mode).toBe('DEGRADED')
    await clock.advance(30_000)
    expect(modes.mode).toBe('FULL')
  })

  it('stops although a listener stops it in the middle of a sample', async () => {
    const modes = await started()
    modes.on('change', () => void modes.stop())
    load = () => 1
    await clock.advance(1_000)
    expect(clock.pending).toBe(0)
  })
})

describe('listeners', () => {
  it('that throw break nothing, and are told as a warning', async () => {
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const modes = new DegradationManager(options())
    modes.on('change', () => {
      throw new Error('listener')
    })
    await modes.start()
    health.report('database', 'down')
    expect(modes.mode).toBe('DEGRADED')
    expect(await warned).toMatchObject({ code: 'EVENKEEL_LISTENER' })
    health.report('database', 'up')
    await clock.advance(30_000)
    expect(modes.mode).toBe('FULL')
  })

  it('find the new mode in force, and hear changes in order even when one of them makes the next', async () => {
    const modes = new DegradationManager(options())
    const heard: string[] = []
    modes.on('change', (change) => {
      if (change.to === 'DEGRADED') void modes.setMode('MAINTENANCE', { why: 'to be sure' })
    })
    modes.on('change', (change) => heard.push(`${change.from} -> ${change.to}`))
    await modes.start()
    health.report('database', 'down')
    expect(modes.mode).toBe('MAINTENANCE')
    expect(heard).toEqual(['FULL -> DEGRADED', 'DEGRADED -> MAINTENANCE'])
  })
})

describe('options', () => {
  const features = { remind: {} }
  it.each<[string, object, RegExp]>([
    ['no options', undefined as never, /The options must be an object/],
    ['no features', {}, /features is missing/],
    ['a feature in a word', { features: { remind: 'critical' } }, /features.remind must be an object, not 'critical'/],
    ['a feature that is null', { features: { remind: null } }, /features.remind must be an object, not null/],
    ['rules that are no list', { features, rules: {} }, /rules must be a list/],
    ['a rule that is null', { features, rules: [null] }, /rules\[0\] must be an object, not null/],
    ['a health source without a Map', { features, health: { on() {}, off() {}, components: {} } }, /health must have/],
    ['a health source that tells nothing', { features, health: { components: new Map() } }, /health must have/],
    [
      'a priority',
      { features: { remind: { priority: 'urgent' } } },
      /features.remind.priority is urgent; it can be critical/,
    ],
    [
      'a misspelt option',
      { features, dwellMs: 1 },
      /The options cannot have "dwellMs"; known are modes, serves, features, /,
    ],
    ['a misspelt priority', { features: { remind: { prio: 'high' } } }, /features.remind cannot have "prio"/],
    [
      'a misspelt threshold',
      { features, pressures: { load: () => 0 }, rules: [{ pressure: 'load', enters: 1, leave: 0, mode: 'DEGRADED' }] },
      /rules\[0\] cannot have "enters"/,
    ],
    ['a mode', { features: { remind: { in: { BROKEN: 'off' } } } }, /There is no mode BROKEN/],
    ['a state', { features: { remind: { in: { DEGRADED: 'slow' } } } }, /features.remind.in.DEGRADED is slow/],
    [
      'a rule to FULL',
      { features, rules: [{ pressure: 'load', enter: 1, leave: 0, mode: 'FULL' }] },
      /rules\[0\].mode is FULL/,
    ],
    [
      'a rule about nothing',
      { features, rules: [{ mode: 'DEGRADED' }] },
      /either a component, health: "overall", a pressure or a flag/,
    ],
    ['no health', { features, rules: [{ component: 'a', is: 'down', mode: 'DEGRADED' }] }, /"a"; pass health as well/],
    [
      'no pressure',
      { features, rules: [{ pressure: 'load', enter: 1, leave: 0, mode: 'DEGRADED' }] },
      /add a function of that name/,
    ],
    ['pressure', { features, pressures: { load: 1 } }, /pressures.load is no function/],
    ['minDwellMs', { features, minDwellMs: -1 }, /minDwellMs is -1/],
    ['minDwellMs', { features, minDwellMs: Infinity }, /minDwellMs is Infinity/],
    ['sampleMs', { features, sampleMs: 0 }, /sampleMs is 0/],
  ])('are checked at construction: %s', (_name, bad, message) => {
    expect(() => new DegradationManager(bad as DegradationManagerOptions<string>)).toThrow(message)
  })

  it.each([
    [0.7, 0.7],
    [0.7, 0.9],
    [1.1, 0.5],
    [0.5, -0.1],
    [NaN, 0.5],
  ])('refuse to enter at %s and leave at %s', (enter, leave) => {
    const rules = [{ pressure: 'load', enter, leave, mode: 'DEGRADED' }] as const
    expect(() => new DegradationManager({ features, pressures: { load: () => 0 }, rules })).toThrow(RangeError)
  })
})
