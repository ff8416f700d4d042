import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resume, runningIn, transition, type Input, type Phase, type State } from './transitions.js'

const idle: State = { active: 'v1', rolledBack: [], deployment: null }
const plan = { percentages: [1, 50, 100], stepMs: 1_000, maxHoldMs: 60_000, first: ['a'] }
const deploy: Input = { type: 'DEPLOY', id: 'd1', to: 'v2', salt: 's', plan, health: 'up' }
const [advance, resumeHeld, drained] = [{ type: 'ADVANCE' }, { type: 'RESUME' }, { type: 'DRAINED' }] as const
const [hold, holdByHand, letGo, rollBack] = [
  { type: 'HOLD', elapsedMs: 7, byHand: null },
  { type: 'HOLD', elapsedMs: 7, byHand: 'it is Friday' },
  { type: 'LET_GO' },
  { type: 'ROLL_BACK', elapsedMs: 7 },
] as const

/** The state after these inputs, each of which must mean something. */
function after(...inputs: Input[]): State {
  return inputs.reduce<State>((state, input) => {
    const next = transition(state, input)
    if (next === undefined) throw new Error(`${input.type} means nothing in ${state.deployment?.phase ?? 'IDLE'}`)
    return next
  }, idle)
}

const states: Record<Phase, State> = {
  IDLE: idle,
  GREEN_STAGING: after(deploy),
  CANARY_TESTING: after(deploy, advance),
  SHIFTING_TRAFFIC: after(deploy, advance, advance),
  HOLD: after(deploy, advance, advance, hold),
  DRAINING_BLUE: after(deploy, advance, advance, advance, advance),
  COMPLETE: after(deploy, advance, advance, advance, advance, drained),
  ROLLING_BACK: after(deploy, advance, rollBack),
  ROLLED_BACK: after(deploy, advance, rollBack, drained),
}

const inputs = {
  DEPLOY: deploy,
  ADVANCE: advance,
  HOLD: hold,
  HOLD_BY_HAND: holdByHand,
  LET_GO: letGo,
  RESUME: resumeHeld,
  ROLL_BACK: rollBack,
  DRAINED: drained,
}

describe('transition', () => {
  const table: Record<Phase, Partial<Record<keyof typeof inputs, Phase>>> = {
    IDLE: { DEPLOY: 'GREEN_STAGING' },
    GREEN_STAGING: { ADVANCE: 'CANARY_TESTING', HOLD: 'HOLD', HOLD_BY_HAND: 'HOLD', ROLL_BACK: 'ROLLING_BACK' },
    CANARY_TESTING: { ADVANCE: 'SHIFTING_TRAFFIC', HOLD: 'HOLD', HOLD_BY_HAND: 'HOLD', ROLL_BACK: 'ROLLING_BACK' },
    SHIFTING_TRAFFIC: { ADVANCE: 'SHIFTING_TRAFFIC', HOLD: 'HOLD', HOLD_BY_HAND: 'HOLD', ROLL_BACK: 'ROLLING_BACK' },
    HOLD: { HOLD: 'HOLD', HOLD_BY_HAND: 'HOLD', RESUME: 'SHIFTING_TRAFFIC', ROLL_BACK: 'ROLLING_BACK' },
    DRAINING_BLUE: { DRAINED: 'COMPLETE', ROLL_BACK: 'ROLLING_BACK' },
    COMPLETE: { DEPLOY: 'GREEN_STAGING' },
    ROLLING_BACK: { DRAINED: 'ROLLED_BACK' },
    ROLLED_BACK: { DEPLOY: 'GREEN_STAGING' },
  }
  const cells = (Object.keys(table) as Phase[]).flatMap((phase) =>
    (Object.keys(inputs) as (keyof typeof inputs)[]).map((type) => [phase, type, table[phase][type]] as const),
  )

  it.each(cells)('takes %s by %s to %s', (phase, type, expected) => {
    expect(transition(states[phase], inputs[type])?.deployment?.phase).toBe(expected)
  })

  it('keeps what a deployment is through all its phases', () => {
    for (const state of Object.values(states)) {
      if (state.deployment === null) continue
      expect(state.deployment).toMatchObject({
        id: 'd1',
        from: 'v1',
        to: 'v2',
        salt: 's',
        healthAtStart: 'up',
        ...plan,
      })
    }
  })

  it('never raises a share but by a step, nor after a rollback, whatever comes in whatever order', () => {
    const anyInputs = fc.array(fc.constantFrom(...Object.values(inputs)), { maxLength: 40 })
    fc.assert(
      fc.property(anyInputs, (sequence) => {
        let state = idle
        for (const input of sequence) {
          const next = transition(state, input)
          if (next === undefined) continue
          const share = runningIn(next)?.percentage ?? 0
          const before = runningIn(state)?.percentage ?? 0
          if (share > before) expect(input.type).toBe('ADVANCE')
          if (next.active !== state.active) expect([input.type, before]).toEqual(['DRAINED', 100])
          const phase = next.deployment?.phase
          if (phase === 'ROLLING_BACK' || phase === 'ROLLED_BACK') expect(share).toBe(0)
          state = next
        }
      }),
    )
  })

  it('takes a held deployment that was only staged back to staging, and not to its first share', () => {
    const state = after(deploy, hold, resumeHeld)
    expect(state.deployment).toMatchObject({ phase: 'GREEN_STAGING', percentage: 0, step: -1 })
  })

  it('goes on from a hold by hand only by hand, whatever else holds it', () => {
    const held = after(deploy, advance, hold, holdByHand)
    expect(held.deployment?.heldByHand).toBe('it is Friday')
    expect(transition(held, resumeHeld)).toBe(undefined)
    const again = transition(held, hold)
    expect(again?.deployment?.heldByHand).toBe('it is Friday')
    const free = after(deploy, advance, holdByHand, letGo)
    expect(free.deployment).toMatchObject({ phase: 'HOLD', heldByHand: null })
    expect(transition(free, resumeHeld)?.deployment?.phase).toBe('CANARY_TESTING')
    expect(after(deploy, advance, holdByHand, rollBack).deployment?.heldByHand).toBe(null)
  })

  it('is plain JSON at every point', () => {
    for (const state of Object.values(states)) expect(JSON.parse(JSON.stringify(state))).toEqual(state)
  })
})

describe('resume', () => {
  const all = new Set(['v1', 'v2', 'v3'])

  it('leaves held what a person holds, and says why', () => {
    const held = after(deploy, advance, holdByHand)
    expect(resume(held, all, 'v1')).toEqual({ state: held, why: 'it is still held by hand: it is Friday' })
  })

  it.each([
    ['IDLE', 'IDLE'],
    ['GREEN_STAGING', 'GREEN_STAGING'],
    ['CANARY_TESTING', 'CANARY_TESTING'],
    ['SHIFTING_TRAFFIC', 'SHIFTING_TRAFFIC'],
    ['HOLD', 'SHIFTING_TRAFFIC'],
    ['DRAINING_BLUE', 'DRAINING_BLUE'],
    ['COMPLETE', 'COMPLETE'],
    ['ROLLING_BACK', 'ROLLING_BACK'],
    ['ROLLED_BACK', 'ROLLED_BACK'],
  ] as const)('goes on from %s in %s, with the same share and salt', (stored, expected) => {
    const state = resume(states[stored], all, 'v1')?.state
    expect(state?.deployment?.phase ?? 'IDLE').toBe(expected)
    const { percentage, salt } = states[stored].deployment ?? {}
    expect([state?.deployment?.percentage, state?.deployment?.salt]).toEqual([percentage, salt])
  })

  it.each([
    ['SHIFTING_TRAFFIC', ['v1'], 'ROLLING_BACK'],
    ['DRAINING_BLUE', ['v1'], 'ROLLING_BACK'],
    ['ROLLING_BACK', ['v1'], 'ROLLING_BACK'],
    ['DRAINING_BLUE', ['v2'], 'COMPLETE'],
    ['DRAINING_BLUE', ['v3'], undefined],
    ['GREEN_STAGING', ['v1'], 'ROLLING_BACK'],
    ['SHIFTING_TRAFFIC', ['v2'], undefined],
    ['ROLLING_BACK', ['v2'], undefined],
    ['SHIFTING_TRAFFIC', ['v3'], undefined],
  ] as const)('in %s with only the code of %s ends up in %s', (stored, versions, expected) => {
    expect(resume(states[stored], new Set<string>(versions), 'v1')?.state.deployment?.phase).toBe(expected)
  })
})
