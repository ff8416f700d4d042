import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addEvents, BOUNDS, estimateRatio, harmEvidence, noEvidence, safetyEvidence } from './evidence.js'

const share = fc.double({ min: 0.001, max: 0.999, noNaN: true })
const events = fc.nat({ max: 12 })

/** The mean of a figure over all splits of so many events, when the new version is `ratio` times as bad. */
function mean(all: number, w: number, ratio: number, figure: (green: number) => number): number {
  const p = (w * ratio) / (w * ratio + 1 - w)
  let [sum, ways] = [0, 1]
  for (let green = 0; green <= all; green++) {
    sum += ways * p ** green * (1 - p) ** (all - green) * figure(green)
    ways = (ways * (all - green)) / (green + 1)
  }
  return sum
}

describe('evidence', () => {
  it('grows by no bet on average when the new version is no worse', () => {
    fc.assert(
      fc.property(events, share, fc.double({ min: 0.1, max: 1, noNaN: true }), (all, w, ratio) => {
        const e = mean(all, w, ratio, (green) => harmEvidence(addEvents(noEvidence, green, all - green, w)))
        expect(e).toBeLessThanOrEqual(1 + 1e-9)
      }),
    )
  })

  it.each(BOUNDS)('grows by no bet on average against a harm of %s times or more, when it is there', (bound) => {
    fc.assert(
      fc.property(events, share, fc.double({ min: 1, max: 5, noNaN: true }), (all, w, more) => {
        const e = mean(all, w, bound * more, (green) =>
          safetyEvidence(addEvents(noEvidence, green, all - green, w), bound),
        )
        expect(e).toBeLessThanOrEqual(1 + 1e-9)
      }),
    )
  })

  it('is the same whether an interval comes whole or in parts', () => {
    fc.assert(
      fc.property(events, events, events, events, share, (g1, b1, g2, b2, w) => {
        const whole = addEvents(noEvidence, g1 + g2, b1 + b2, w)
        const parts = addEvents(addEvents(noEvidence, g1, b1, w), g2, b2, w)
        expect(Math.log(harmEvidence(parts))).toBeCloseTo(Math.log(harmEvidence(whole)), 6)
        expect(parts.greenWeighted).toBeCloseTo(whole.greenWeighted, 6)
      }),
    )
  })

  it('learns nothing from an interval without events', () => {
    expect(addEvents(noEvidence, 0, 0, 0.3)).toEqual(noEvidence)
    expect(estimateRatio(noEvidence)).toBeUndefined()
  })

  it('estimates the ratio although the share of the traffic changes', () => {
    let evidence = noEvidence
    for (const w of [0.05, 0.1, 0.5, 0.9]) evidence = addEvents(evidence, 3 * 1_000 * w, 1_000 * (1 - w), w)
    expect(estimateRatio(evidence)).toBeCloseTo(3, 6)
  })

  it('survives JSON', () => {
    const evidence = addEvents(noEvidence, 3, 17, 0.1)
    expect(JSON.parse(JSON.stringify(evidence))).toEqual(evidence)
  })
})
