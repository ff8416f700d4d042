import { describe, expect, it } from 'vitest'
import { seeded } from '../test-support/seeded.js'
import { Dispersion, ENOUGH, evidenceOfIncrease, isSurelyAbove, isSurelyBelow } from './evidence.js'

describe('evidence of an increase', () => {
  it.each([
    [
      { calls: 0, hits: 0 },
      { calls: 1_000, hits: 10 },
    ],
    [
      { calls: 100, hits: 0 },
      { calls: 0, hits: 0 },
    ],
    [
      { calls: 100, hits: 1 },
      { calls: 1_000, hits: 10 },
    ],
    [
      { calls: 100, hits: 0 },
      { calls: 1_000, hits: 10 },
    ],
  ])('is none in %o after %o', (now, before) => {
    expect(evidenceOfIncrease(now, before)).toBe(0)
  })

  it('needs more than a few hits', () => {
    const before = { calls: 20_000, hits: 200 }
    expect(evidenceOfIncrease({ calls: 100, hits: 5 }, before)).toBeLessThan(ENOUGH)
    expect(evidenceOfIncrease({ calls: 100, hits: 15 }, before)).toBeGreaterThan(ENOUGH)
    expect(evidenceOfIncrease({ calls: 5, hits: 5 }, { calls: 10_000, hits: 0 })).toBeGreaterThan(ENOUGH)
  })

  // At levels that 2,000 runs can tell; the bound is the same at all levels.
  it.each([
    [100, 1_000, 0.02, 1e-2],
    [1_000, 1_000, 0.3, 1e-2],
    [50, 5_000, 0.005, 1e-3],
  ])('of %i calls after %i with share %f is as rare as it says, at %f', (nowCalls, beforeCalls, share, level) => {
    const random = seeded(5)
    const draw = (calls: number): { calls: number; hits: number } => {
      let hits = 0
      for (let call = 0; call < calls; call++) if (random() < share) hits++
      return { calls, hits }
    }
    let alarms = 0
    for (let run = 0; run < 2_000; run++) {
      if (evidenceOfIncrease(draw(nowCalls), draw(beforeCalls)) >= -Math.log(level)) alarms++
    }
    expect(alarms / 2_000).toBeLessThanOrEqual(level)
  })
})

it('knows when a share is surely above or below a limit', () => {
  expect(isSurelyAbove({ calls: 19, hits: 19 }, 0.5)).toBe(false)
  expect(isSurelyAbove({ calls: 20, hits: 20 }, 0.5)).toBe(true)
  expect(isSurelyAbove({ calls: 1_000, hits: 500 }, 0.5)).toBe(false)
  expect(isSurelyAbove({ calls: 1_000, hits: 1_000 }, 1)).toBe(false)
  expect(isSurelyAbove({ calls: 0, hits: 0 }, 0)).toBe(false)
  expect(isSurelyAbove({ calls: 5, hits: 0 }, 0)).toBe(false)
  expect(isSurelyAbove({ calls: 5, hits: 1 }, 0)).toBe(true)
  expect(isSurelyBelow({ calls: 5, hits: 0 }, 0.5)).toBe(false)
  expect(isSurelyBelow({ calls: 6, hits: 0 }, 0.5)).toBe(true)
  expect(isSurelyBelow({ calls: 100, hits: 50 }, 0.5)).toBe(false)
})

describe('dispersion', () => {
  it('is 1 for independent hits, and more for those that come in bunches', () => {
    const random = seeded(3)
    const even = new Dispersion()
    const bunched = new Dispersion()
    for (let block = 0; block < 500; block++) {
      let hits = 0
      for (let call = 0; call < 400; call++) if (random() < 0.05) hits++
      even.add({ calls: 400, hits }, 0.05, 1)
      bunched.add({ calls: 400, hits: random() < 0.25 ? 80 : 0 }, 0.05, 1)
    }
    expect(even.factor).toBeLessThan(1.15)
    expect(bunched.factor).toBeGreaterThan(5)
  })

  it('is not thrown by one outage, or by a past without hits', () => {
    const dispersion = new Dispersion()
    for (let block = 0; block < 100; block++) dispersion.add({ calls: 400, hits: 20 }, 0.05, 1)
    dispersion.add({ calls: 400, hits: 400 }, 0.05, 1)
    dispersion.add({ calls: 400, hits: 4 }, 0, 1)
    expect(dispersion.factor).toBe(1)
  })
})
