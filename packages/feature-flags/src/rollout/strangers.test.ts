import { affectedGuilds } from '@evenkeel/canary-judge'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countFirstFailures, noStrangers } from './strangers.js'

const metric = affectedGuilds()

/** Who comes to the new path in which phase, from 1; 3 is never. */
type Draw = readonly number[]

/** Every way to draw two of seven for the first phase, and two of the others for the second. */
const draws: readonly Draw[] = Array.from({ length: 3 ** 7 }, (_, n) => {
  return Array.from({ length: 7 }, (_, i) => (Math.floor(n / 3 ** i) % 3) + 1)
}).filter((draw) => [1, 2].every((phase) => draw.filter((each) => each === phase).length === 2))

/** What the evidence comes to when these fail in each window: half of the windows in either phase. */
function tell(draw: Draw, windows: readonly (readonly boolean[])[]) {
  let strangers = noStrangers
  let whole = metric.start()
  const phases = [metric.start(), metric.start()]
  for (const [i, failing] of windows.entries()) {
    const phase = i < windows.length / 2 ? 1 : 2
    const active = failing.map((isAffected, who) => {
      return { id: String(who), isGreen: (draw[who] ?? 3) <= phase, isAffected }
    })
    const counted = countFirstFailures(strangers, phase, active)
    strangers = counted.strangers
    whole = metric.observe(whole, counted.samples.whole)
    phases[phase - 1] = metric.observe(phases[phase - 1] ?? metric.start(), counted.samples.sincePhase)
  }
  return [whole, ...phases].map((state) => metric.assess(state, 'guilds').evidence)
}

describe('those of whom nothing was known before', () => {
  it('give evidence that is fair on average over all draws, whoever fails, when, and how often', () => {
    expect(draws).toHaveLength(210)
    const failing = fc.array(fc.boolean(), { minLength: 7, maxLength: 7 })
    fc.assert(
      fc.property(fc.array(failing, { minLength: 2, maxLength: 8 }), (windows) => {
        const told = draws.map((draw) => tell(draw, windows))
        for (const which of [0, 1, 2]) {
          const mean = told.reduce((sum, each) => sum + (each[which] ?? 0), 0) / draws.length
          expect(mean).toBeLessThanOrEqual(1 + 1e-9)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('count once in a phase, however often they fail, and for the whole rollout in their first phase only', () => {
    const active = ['always', 'never'].map((id) => ({ id, isGreen: true, isAffected: id === 'always' }))
    const first = countFirstFailures(noStrangers, 1, active)
    expect(first.samples.sincePhase.green).toEqual({ affected: 1, expected: 2 })
    const again = countFirstFailures(first.strangers, 1, active)
    expect(again.samples.sincePhase.green).toEqual({ affected: 0, expected: 1 })
    const later = countFirstFailures(JSON.parse(JSON.stringify(again.strangers)) as typeof noStrangers, 2, active)
    expect(later.samples.sincePhase.green).toEqual({ affected: 1, expected: 2 })
    expect(later.samples.whole.green).toEqual({ affected: 0, expected: 0 })
  })
})
