import { describe, expect, it } from 'vitest'
import { blips, detectionMs, flipsADay, noise } from './test-support/noise.js'

// The long form: `pnpm simulate --of health`.
describe('a monitor with its defaults', () => {
  it.each([1, 2, 3])(
    'changes its mind at most once in two days when one look in twenty fails (seed %i)',
    async (seed) => {
      expect(await flipsADay(noise(seed), 10, seed)).toBeLessThanOrEqual(0.5)
    },
  )

  it.each([1, 2, 3])('changes its mind at most once in two days at 20 blips of 2 s an hour (seed %i)', async (seed) => {
    expect(await flipsADay(blips(seed), 10, seed)).toBeLessThanOrEqual(0.5)
  })

  it('says after 19 s on average that something is down for good', async () => {
    expect(await detectionMs(40)).toBeLessThanOrEqual(19_000)
  })
})
