import { describe, expect, it } from 'vitest'
import { bundleChild } from './test-support/child.js'
import { killBots, unreliable } from './test-support/kills.js'
import { below, randomFrom } from './test-support/random.js'

/** `pnpm chaos:alerts` does it more often. */
const LIVES = Number(process.env['EVENKEEL_KILLS'] ?? 6)
const SEED = Number(process.env['EVENKEEL_SEED'] ?? Math.floor(Math.random() * 2 ** 32))

describe('kill -9', () => {
  it('at any step on the disk or on the network loses no alert, and repeats it under the same key at most once', async () => {
    await using bot = await bundleChild('alerts-child.ts')
    let step = 1
    for (;;) {
      const { crashes, duplicates, faults } = await killBots(bot, [step])
      expect(faults, `killed at step ${step}`).toEqual([])
      expect(duplicates, `killed at step ${step}`).toBeLessThanOrEqual(crashes)
      if (crashes === 0) break
      step++
    }
    expect(step).toBeGreaterThan(20)
  }, 300_000)

  it(`again and again, while the receiver fails too, loses nothing (seed ${SEED})`, async () => {
    const random = randomFrom(SEED)
    await using bot = await bundleChild('alerts-child.ts')
    const killAts = Array.from({ length: LIVES }, () => 1 + below(random, 60))
    const { checked, faults } = await killBots(bot, killAts, unreliable(random))
    expect(faults).toEqual([])
    expect(checked).toBeGreaterThan(0)
  }, 300_000)
})
