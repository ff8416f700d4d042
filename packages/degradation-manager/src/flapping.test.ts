import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DegradationManager } from './index.js'

const minDwellMs = 30_000
const hourMs = 3_600_000

/** How often the mode flips in an hour of such a load, and what the first flip was. */
async function flipsOf(
  loadAt: (ms: number) => number,
  thresholds: readonly { readonly enter: number; readonly leave: number }[] = [{ enter: 0.9, leave: 0.8 }],
): Promise<number[]> {
  const clock = new FakeClock()
  const flips: number[] = []
  const worse = thresholds.map((_, index) => `WORSE_${index}`)
  const modes = new DegradationManager<string, string, never, 'load'>({
    clock,
    minDwellMs,
    modes: ['FULL', ...worse, 'MAINTENANCE'] as const,
    features: { remind: {} },
    pressures: { load: () => loadAt(clock.monotonic()) },
    rules: thresholds.map((at, index) => ({ pressure: 'load', ...at, mode: `WORSE_${index}` })),
  })
  modes.on('change', () => flips.push(clock.monotonic()))
  await modes.start()
  await clock.advance(hourMs)
  await modes.stop()
  return flips
}

/** The same numbers for the same seed. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('a load that swings around a threshold for an hour', () => {
  const swings = [5, 29, 31, 33, 45, 61, 120, 300].map((periodS) => ({ periodS }))

  it.each(swings)('flips the mode at most once per dwell, every $periodS s above for a second', async ({ periodS }) => {
    const flips = await flipsOf((ms) => (ms % (periodS * 1_000) < 1_000 ? 0.95 : 0.5))
    expect(flips.length).toBeGreaterThan(0)
    expect(flips.length).toBeLessThanOrEqual(hourMs / minDwellMs)
  })

  it('flips it at most once per dwell, however it swings', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 400 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.double({ min: 0, max: 0.3, noNaN: true }),
        fc.integer(),
        async (periodS, share, noise, seed) => {
          const random = chance(seed)
          const flips = await flipsOf((ms) => {
            const base = (ms % (periodS * 1_000)) / (periodS * 1_000) < share ? 1 : 0.6
            return base + noise * (random() - 0.5)
          })
          expect(flips.length).toBeLessThanOrEqual(hourMs / minDwellMs)
        },
      ),
      { numRuns: 15, seed: 20_261_128 },
    )
  })

  it(
    'flips it at most once per dwell, however many modes it goes down by one after the other',
    { timeout: 120_000 },
    async () => {
      const anyStep = fc.record({
        load: fc.constantFrom(0, 0, 0.65, 0.75, 0.95),
        forMs: fc.oneof(fc.constantFrom(1_000, 30_000, 31_000), fc.integer({ min: 1_000, max: 130_000 })),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 7 }), async (steps) => {
          const ends = steps.map((_, index) => steps.slice(0, index + 1).reduce((sum, { forMs }) => sum + forMs, 0))
          const periodMs = ends.at(-1) ?? 1
          const flips = await flipsOf(
            (ms) => steps[ends.findIndex((endMs) => ms % periodMs < endMs)]?.load ?? 0,
            [0.6, 0.7, 0.9].map((enter) => ({ enter, leave: 0.5 })),
          )
          // The first way down, before anything has recovered, is free.
          expect(flips.length).toBeLessThanOrEqual(hourMs / minDwellMs + 3)
        }),
        {
          numRuns: 60,
          seed: 20_261_128,
          examples: [[[0.65, 0.75, 0.95].map((load) => ({ load, forMs: 1_000 })).concat({ load: 0, forMs: 121_000 })]],
        },
      )
    },
  )

  it('flips it once, or not at all, when it swings by less than the band', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 600 }), fc.integer(), async (periodS, seed) => {
        const random = chance(seed)
        // 10 % wide, around the threshold at which the mode gets worse: 0.85 to 0.95, never down to 0.8.
        const flips = await flipsOf(
          (ms) => 0.9 + 0.03 * Math.sin((2 * Math.PI * ms) / (periodS * 1_000)) + 0.04 * (random() - 0.5),
        )
        expect(flips.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 15, seed: 20_261_128 },
    )
  })
})
