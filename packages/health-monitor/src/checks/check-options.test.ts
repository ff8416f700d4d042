import { describe, expect, it } from 'vitest'
import { resolveOptions } from './check-options.js'

const defaults = { windowMs: 1_000, degradedRatio: 0.5, downRatio: 0.9, degradedFreeBytes: 20, downFreeBytes: 10 }
const resolve = (options: object): object => resolveOptions('someCheck', options, defaults, ['clock'])

it('fills up what is left open, undefined too', () => {
  expect(resolve({ windowMs: 5, downRatio: undefined })).toEqual({ ...defaults, windowMs: 5 })
})

describe('refuses', () => {
  it.each([
    [{ windowsMs: 5 }, TypeError, /no option "windowsMs"; there are windowMs, .*clock/],
    [null, TypeError, /object of options/],
    [{ windowMs: '5' }, TypeError, /someCheck: windowMs must be milliseconds above 0, not a string/],
    [{ windowMs: 0 }, RangeError, /windowMs must be milliseconds above 0, not 0/],
    [{ windowMs: Infinity }, RangeError, /windowMs/],
    [{ windowMs: NaN }, RangeError, /windowMs/],
    [{ downRatio: 1.1 }, RangeError, /downRatio must be a share from 0 to 1, not 1.1/],
    [{ degradedFreeBytes: -1 }, RangeError, /degradedFreeBytes must be a number from 0, not -1/],
    [{ degradedRatio: 0.95 }, RangeError, /downRatio \(0.9\) must not be below degradedRatio \(0.95\)/],
    [{ downFreeBytes: 30 }, RangeError, /downFreeBytes \(30\) must not be above degradedFreeBytes \(20\)/],
  ])('%o', (options, kind, message) => {
    expect(() => resolve(options as object)).toThrow(kind)
    expect(() => resolve(options as object)).toThrow(message)
  })
})
