import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'eventemitter3'
import { beforeEach, describe, expect, it } from 'vitest'
import { DegradationManager, queuePressure, smoothedPressure, type ComponentReport, type Mode } from './index.js'

let clock: FakeClock

beforeEach(() => {
  clock = new FakeClock()
})

describe('a health source whose components throw', () => {
  class StandInHealth extends EventEmitter<{ change: [] }> {
    status: ComponentReport['status'] = 'up'
    readonly components = new Map<string, ComponentReport>([['database', { status: 'up', reason: 'fine' }]])
  }

  it.each([
    ['throw', () => { throw new Error('it is closed') }, 'it is closed'], // prettier-ignore
    ['give null', () => null as never, /null/],
  ])('or %s moves nothing, hurts nobody who tells of others, and is told once', async (_name, broken, why) => {
    const health = new StandInHealth()
    const get = health.components.get.bind(health.components)
    health.components.get = broken
    const modes = new DegradationManager({
      clock,
      health,
      features: {},
      rules: [
        { component: 'database', is: 'down', mode: 'DEGRADED' },
        { health: 'overall', is: 'down', mode: 'MAINTENANCE' },
      ],
    })
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    await modes.start()
    health.emit('change')
    expect(told).toMatchObject([
      { what: 'component', name: 'database', to: 'unreadable', why: expect.stringMatching(why) as string },
    ])
    health.components.get = get
    health.status = 'down'
    health.components[Symbol.iterator] = () => {
      throw new Error('it is closed')
    }
    health.emit('change')
    expect(told.slice(1)).toMatchObject([
      { what: 'component', name: 'database', to: 'readable' },
      { what: 'health', name: 'overall', to: 'unreadable', why: 'it is closed' },
    ])
    expect(modes.mode).toBe('FULL')
  })
})

describe('a function that gives a promise which fails', () => {
  // Each would end the process: nobody but us has it, and it rejects.
  const failing = async (): Promise<never> => {
    throw new Error('not for now')
  }
  const asNumber = failing as unknown as () => number

  it.each<[string, () => number]>([
    ['itself', asNumber],
    ['smoothed', smoothedPressure(asNumber, { clock: new FakeClock() })],
    ['as a queue', queuePressure(asNumber, 5, { clock: new FakeClock() })],
  ])('is no pressure, and ends nothing: %s', async (_name, load) => {
    const modes = new DegradationManager({
      clock,
      features: {},
      pressures: { load },
      rules: [{ pressure: 'load', enter: 0.9, leave: 0.5, mode: 'DEGRADED' }],
    })
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    await modes.start()
    await clock.advance(5_000)
    expect(told).toMatchObject([{ what: 'pressure', name: 'load', to: 'unreadable' }])
  })

  it('is no flag, and ends nothing', async () => {
    const modes = new DegradationManager<string, Mode, string, string, 'slim'>({
      clock,
      features: {},
      flags: { isEnabled: failing as unknown as () => boolean },
      rules: [{ flag: 'slim', mode: 'DEGRADED' }],
    })
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    await modes.start()
    await clock.advance(5_000)
    expect(told).toMatchObject([{ what: 'flag', name: 'slim', to: 'unreadable' }])
  })
})

describe('a sensor that gives null', () => {
  it.each([
    smoothedPressure(() => null as never, { clock: new FakeClock() }),
    queuePressure(() => null as never, 5, { clock: new FakeClock() }),
  ])('is not idle but unreadable', async (load) => {
    const modes = new DegradationManager({
      clock,
      features: {},
      pressures: { load },
      rules: [{ pressure: 'load', enter: 0.9, leave: 0.5, mode: 'DEGRADED' }],
    })
    const told: unknown[] = []
    modes.on('change', (change) => told.push(change))
    await modes.start()
    expect(told).toMatchObject([{ what: 'pressure', to: 'unreadable', why: expect.stringContaining('null') as string }])
  })
})
