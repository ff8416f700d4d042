import { describe, expect, it } from 'vitest'
import { DegradationManager } from './index.js'

const features = { remind: {} }
const load = { pressures: { load: () => 0 } }

describe('options as plain JavaScript and environment variables give them', () => {
  it.each<[string, object, RegExp]>([
    ['a dwell in a text', { minDwellMs: '30000' }, /minDwellMs is '30000'; give 0 or more milliseconds/],
    ['a dwell that is null', { minDwellMs: null }, /minDwellMs is null/],
    ['samples in a text', { sampleMs: '500' }, /sampleMs is '500'; give milliseconds/],
    ['a deadline in a text', { storeTimeoutMs: '500' }, /storeTimeoutMs is '500'; give milliseconds/],
    [
      'thresholds in texts',
      { ...load, rules: [{ pressure: 'load', enter: '0.9', leave: '0.10', mode: 'DEGRADED' }] },
      /rules\[0\] enters at '0.9' and leaves at '0.10'; it takes numbers, 0 <= leave < enter <= 1/,
    ],
    ['pressures that are none', { pressures: 5 }, /pressures must be an object, not 5/],
    ['pressures in a Map', { pressures: new Map([['load', () => 0]]) }, /pressures must be a plain object/],
    ['features in a Map', { features: new Map([['remind', {}]]) }, /features must be a plain object/],
    ['features in a list', { features: ['remind'] }, /features must be a plain object/],
    [
      'an exception in a word',
      { features: { remind: { in: 'off' } } },
      /features.remind.in must be an object, not 'off'/,
    ],
    ['exceptions in a number', { features: { remind: { in: 5 } } }, /features.remind.in must be an object, not 5/],
    ['a health source that is null', { health: null }, /health must be an object, not null/],
    [
      'a component that is no name',
      { health: { components: new Map(), on() {}, off() {} }, rules: [{ component: 5, is: 'down', mode: 'DEGRADED' }] },
      /rules\[0\].component is 5; give its name/,
    ],
    [
      'a flag that is no name',
      { flags: { isEnabled: () => true }, rules: [{ flag: 7, mode: 'DEGRADED' }] },
      /rules\[0\].flag is 7; give its name/,
    ],
    ['a clock that is none', { clock: { now: () => 0 } }, /clock must have now, monotonic and after/],
  ])('are refused: %s', (_name, options, message) => {
    expect(() => new DegradationManager({ features, ...options })).toThrow(message)
  })

  it.each([['600000'], [null], [5n]])('are refused by setMode: for %s', async (forMs) => {
    const modes = new DegradationManager({ features })
    await expect(modes.setMode('MAINTENANCE', { why: 'a test', forMs: forMs as never })).rejects.toThrow(
      /forMs is .*; give milliseconds/,
    )
    expect(modes.override).toBeUndefined()
  })
})
