import { expect, it } from 'vitest'
import { checkPlan } from './check-plan.js'
import { RolloutJudge } from './rollout-judge.js'

it('does not end a phase by the evidence of the phase before', () => {
  const phases = [
    { name: 'nobody', percentage: 0, durationMs: 1_000 },
    { name: 'canary', percentage: 10, durationMs: 1_000 },
  ]
  const judge = new RolloutJudge({ plan: checkPlan({ phases }), by: 'guild', random: () => 0.5 })
  const state = judge.observe(judge.start(), { tookMs: 1_000, phase: 0, processes: [] })
  expect(judge.endPhase(state, [], 0)).toMatchObject({ action: 'advance' })
  expect(judge.endPhase(state, [], 1)).toEqual({ action: 'hold', why: 'nothing was observed in this phase yet' })
})
