import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ProbeResult } from './plan.js'
import { simplePlan, wholePlan } from './test-support/plans.js'
import { makeRecord, readRecord } from './record.js'
import {
  completeIn,
  isAccepting,
  isOver,
  resume,
  runningIn,
  stepMsOf,
  transition,
  type DeploymentState,
  type Input,
  type Phase,
  type State,
} from './transitions.js'

const idle: State = { active: 'v1', rolledBack: [], count: 0, deployment: null }
const plan = simplePlan
const fields = { epoch: 1, sequence: 1, controller: 'c', at: 0, cause: 'test', evidence: null, log: [] }
const frozenPlan = { ...wholePlan, migration: { name: 'drop', irreversible: true, isUndoable: false } }
const deploy: Extract<Input, { type: 'DEPLOY' }> = { type: 'DEPLOY', id: 'd1', to: 'v2', salt: 's', plan, health: 'up' }
const deployWhole: typeof deploy = { ...deploy, plan: wholePlan }
const deployFrozen: typeof deploy = { ...deploy, plan: frozenPlan }
const deployBaked: typeof deploy = { ...deploy, plan: { ...wholePlan, acceptanceTests: [] } }
const [advance, resumeHeld, drained] = [{ type: 'ADVANCE' }, { type: 'RESUME' }, { type: 'DRAINED' }] as const
const [passed, fail, forward, descend] = [
  { type: 'PASSED' },
  { type: 'FAIL' },
  { type: 'FORWARD' },
  { type: 'DESCEND' },
] as const
const undone = { type: 'UNDONE', isUndone: true } as const
const [hold, holdByHand, letGo, rollBack] = [
  { type: 'HOLD', elapsedMs: 7, byHand: null },
  { type: 'HOLD', elapsedMs: 7, byHand: 'it is Friday' },
  { type: 'LET_GO' },
  { type: 'ROLL_BACK', elapsedMs: 7 },
] as const
const accept = { ...rollBack, accept: true }
const inBatches = { ...rollBack, descent: { percentages: [10, 5, 0], pauseMs: 1_000 } }

/** The state after these inputs, each of which must mean something. */
function after(...inputs: Input[]): State {
  return inputs.reduce<State>((state, input) => {
    const next = transition(state, input)
    if (next === undefined) throw new Error(`${input.type} means nothing in ${state.deployment?.phase ?? 'IDLE'}`)
    return next
  }, idle)
}

const prepared = [passed, passed, passed, passed] as const

/** Everything up to the end, by a plan with or without anything around it. */
function toComplete(begin: Extract<Input, { type: 'DEPLOY' }>): readonly Input[] {
  const isWhole = begin.plan.checks.length > 0
  const { percentages, bakeMs, acceptanceTests } = begin.plan
  const ends = [bakeMs > 0, acceptanceTests.length > 0, true].filter(Boolean)
  const steps = [...percentages, ...ends].map(() => advance)
  return [begin, ...(isWhole ? prepared : begin.plan.migration === null ? [] : [passed]), ...steps, drained]
}

const states: Record<Phase, State> = {
  IDLE: idle,
  PRECHECK: after(deployWhole),
  BACKUP: after(deployWhole, passed),
  MIGRATING: after(deployWhole, passed, passed),
  GREEN_STAGING: after(deploy),
  SMOKE: after(deployWhole, ...prepared),
  CANARY_TESTING: after(deploy, advance),
  SHIFTING_TRAFFIC: after(deploy, advance, advance),
  HOLD: after(deploy, advance, advance, hold),
  BAKING: after(deployBaked, ...prepared, advance, advance, advance, advance),
  DRAINING_BLUE: after(deploy, advance, advance, advance, advance),
  COMPLETE: after(deploy, advance, advance, advance, advance, drained),
  ROLLING_BACK: after(deploy, advance, rollBack),
  VALIDATING_ROLLBACK: after(deployWhole, ...prepared, advance, rollBack, drained, undone),
  ROLLED_BACK: after(deploy, advance, rollBack, drained),
  FROZEN: after(deployFrozen, ...prepared, advance, advance, rollBack),
  FAILED: after(deployWhole, fail),
}

const inputs = {
  DEPLOY: deploy,
  PASSED: passed,
  FAIL: fail,
  ADVANCE: advance,
  FORWARD: forward,
  HOLD: hold,
  HOLD_BY_HAND: holdByHand,
  LET_GO: letGo,
  RESUME: resumeHeld,
  ROLL_BACK: rollBack,
  ACCEPT: accept,
  IN_BATCHES: inBatches,
  DESCEND: descend,
  DRAINED: drained,
  UNDONE: undone,
}

describe('transition', () => {
  const isBack = { ROLL_BACK: 'ROLLING_BACK', ACCEPT: 'ROLLING_BACK', IN_BATCHES: 'ROLLING_BACK' } as const
  const isHeld = { HOLD: 'HOLD', HOLD_BY_HAND: 'HOLD' } as const
  const table: Record<Phase, Partial<Record<keyof typeof inputs, Phase>>> = {
    IDLE: { DEPLOY: 'GREEN_STAGING' },
    PRECHECK: { PASSED: 'BACKUP', FAIL: 'FAILED', HOLD_BY_HAND: 'PRECHECK', ...isBack },
    BACKUP: { PASSED: 'MIGRATING', FAIL: 'FAILED', HOLD_BY_HAND: 'BACKUP', ...isBack },
    MIGRATING: { PASSED: 'GREEN_STAGING', HOLD_BY_HAND: 'MIGRATING', ...isBack },
    GREEN_STAGING: { ADVANCE: 'CANARY_TESTING', ...isHeld, ...isBack },
    SMOKE: { ADVANCE: 'CANARY_TESTING', ...isHeld, ...isBack },
    CANARY_TESTING: { ADVANCE: 'SHIFTING_TRAFFIC', ...isHeld, ...isBack },
    SHIFTING_TRAFFIC: { ADVANCE: 'SHIFTING_TRAFFIC', ...isHeld, ...isBack },
    HOLD: { ...isHeld, FORWARD: 'SHIFTING_TRAFFIC', RESUME: 'SHIFTING_TRAFFIC', ...isBack },
    BAKING: { ADVANCE: 'DRAINING_BLUE', ...isHeld, ...isBack },
    DRAINING_BLUE: { DRAINED: 'COMPLETE', ...isBack },
    COMPLETE: { DEPLOY: 'GREEN_STAGING', ...isBack },
    ROLLING_BACK: { DRAINED: 'ROLLED_BACK' },
    VALIDATING_ROLLBACK: { PASSED: 'ROLLED_BACK' },
    ROLLED_BACK: { DEPLOY: 'GREEN_STAGING' },
    FROZEN: { FORWARD: 'SHIFTING_TRAFFIC', ACCEPT: 'ROLLING_BACK' },
    FAILED: { DEPLOY: 'GREEN_STAGING' },
  }
  const cells = (Object.keys(table) as Phase[]).flatMap((phase) =>
    (Object.keys(inputs) as (keyof typeof inputs)[]).map((type) => [phase, type, table[phase][type]] as const),
  )

  it.each(cells)('takes %s by %s to %s', (phase, type, expected) => {
    expect(transition(states[phase], inputs[type])?.deployment?.phase).toBe(expected)
  })

  it('keeps what a deployment is through all its phases', () => {
    for (const { deployment } of Object.values(states)) {
      if (deployment === null) continue
      expect(deployment).toMatchObject({ id: 'd1', number: 1, from: 'v1', to: 'v2', salt: 's', healthAtStart: 'up' })
      expect(deployment).toMatchObject({ percentages: plan.percentages, first: plan.first })
    }
  })

  /** Half of them begin where a deployment is complete, which chance alone hardly ever gets to. */
  const anyInputs = fc
    .tuple(
      fc.constantFrom<Input[]>(
        [],
        [...toComplete(deploy)],
        [...toComplete(deployWhole)],
        [...toComplete(deployFrozen)],
      ),
      fc.array(fc.constantFrom<Input>(...Object.values(inputs), deployWhole, deployFrozen), { maxLength: 60 }),
    )
    .map(([begin, then]) => [...begin, ...then])
  /** What is complete has everybody until the next one begins. */
  const shareOf = (state: State): number => (completeIn(state) ?? runningIn(state))?.percentage ?? 0

  it('never raises a share but by a step, nor after a rollback, whatever comes in whatever order', () => {
    fc.assert(
      fc.property(anyInputs, (sequence) => {
        let state = idle
        for (const input of sequence) {
          const next = transition(state, input)
          if (next === undefined) continue
          const [share, before] = [shareOf(next), shareOf(state)]
          if (share > before) expect(['ADVANCE', 'FORWARD']).toContain(input.type)
          const phase = next.deployment?.phase
          // Green becomes the active one with everybody, and blue the one again that it was before.
          if (next.active !== state.active) {
            const isBack = input.type === 'ROLL_BACK'
            expect([input.type, before]).toEqual([isBack ? 'ROLL_BACK' : 'DRAINED', 100])
            const { from, to } = next.deployment ?? {}
            expect([state.active, next.active, phase]).toEqual(isBack ? [to, from, 'ROLLING_BACK'] : [from, to, 'COMPLETE']) // prettier-ignore
          }
          if (runningIn(next) !== undefined) expect(next.active).toBe(next.deployment?.from)
          if (phase === 'VALIDATING_ROLLBACK' || phase === 'ROLLED_BACK' || phase === 'FAILED') expect(share).toBe(0)
          // Data that blue cannot read is never given to it unless a person says so.
          const isBegun = next.deployment?.migration?.irreversible === true && next.deployment.migrated !== 'NO'
          if (phase === 'ROLLING_BACK' && state.deployment?.phase !== 'ROLLING_BACK' && isBegun) {
            expect(input).toBe(accept)
          }
          state = next
        }
      }),
      { numRuns: 300 },
    )
  })

  it('can be resumed from after any sequence, at the same share or less, and gets to an end from there', () => {
    const versions = new Set(['v1', 'v2'])
    fc.assert(
      fc.property(anyInputs, (sequence) => {
        const state = sequence.reduce((before, input) => transition(before, input) ?? before, idle)
        const resumed = resume(state, versions, 'v1')?.state ?? idle
        expect(resumed.deployment?.percentage ?? 0).toBeLessThanOrEqual(state.deployment?.percentage ?? 0)
        // What a new process does by itself; a person lets go what a person holds, and thaws what is frozen.
        let now = resumed
        for (let i = 0; i < 40 && runningIn(now) !== undefined; i++) {
          const byItself = [passed, advance, letGo, resumeHeld, forward, descend, drained, undone] as const
          now = byItself.map((input) => transition(now, input)).find((each) => each !== undefined) ?? now
        }
        expect(now.deployment === null || isOver(now.deployment.phase)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('takes back what is complete, and nothing that others have come after', () => {
    const complete = after(...toComplete(deploy))
    expect(transition(complete, rollBack)).toMatchObject({ active: 'v1', rolledBack: ['v2'], deployment: { phase: 'ROLLING_BACK', percentage: 0 } }) // prettier-ignore
    expect(transition(complete, inBatches)).toMatchObject({ active: 'v1', deployment: { percentage: 10 } })
    // Its code was missing, and another one serves.
    expect(transition({ ...complete, active: 'v3' }, rollBack)).toBe(undefined)
    expect(transition(after(...toComplete(deploy), rollBack, drained), rollBack)).toBe(undefined)
  })

  it('takes back what is complete after an irreversible migration only where a person accepts that', () => {
    const complete = after(...toComplete(deployFrozen))
    expect(transition(complete, rollBack)).toBe(undefined)
    const back = transition(complete, accept)
    expect(back).toMatchObject({ active: 'v1', deployment: { phase: 'ROLLING_BACK', migrated: 'DONE' } })
  })

  it('knows which migration is in place, until it is undone or given up', () => {
    const inPlace = [{ deploymentId: 'd1', from: 'v1', name: 'index', irreversible: false }]
    const complete = after(...toComplete(deployWhole))
    expect(complete.inPlace).toEqual(inPlace)
    expect(after(...toComplete(deployFrozen)).inPlace).toMatchObject([{ name: 'drop', irreversible: true }])
    expect(after(...toComplete(deploy))).not.toHaveProperty('inPlace')
    expect(transition(complete, rollBack)).not.toHaveProperty('inPlace')
    const go = (inputs: Input[]): State => inputs.reduce((state, input) => transition(state, input) ?? state, complete)
    // Another one that comes to nothing, or to its end, changes nothing about it; the older version that is deployed does.
    const v3 = { ...deploy, id: 'd2', to: 'v3' }
    expect(go([v3, advance, rollBack, drained]).inPlace).toEqual(inPlace)
    expect(go([...toComplete(v3)]).inPlace).toEqual(inPlace)
    expect(go([...toComplete({ ...v3, to: 'v1' })])).not.toHaveProperty('inPlace')
    const live = { ...wholePlan, migration: { name: 'add', irreversible: false, isUndoable: false } }
    expect(after(...toComplete({ ...deploy, plan: live }))).not.toHaveProperty('inPlace')
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

  it('skips what the plan has not, and does the rest in order', () => {
    const phases = (...all: Input[]): unknown[] => all.map((_, i) => after(...all.slice(0, i + 1)).deployment?.phase)
    expect(phases(deployWhole, passed, passed, passed, passed, advance)).toEqual([
      'PRECHECK',
      'BACKUP',
      'MIGRATING',
      'GREEN_STAGING',
      'SMOKE',
      'CANARY_TESTING',
    ])
    const some = { ...deploy, plan: { ...wholePlan, backup: false, migration: null, smokeTests: [] } }
    expect(phases(some, passed, advance)).toEqual(['PRECHECK', 'GREEN_STAGING', 'CANARY_TESTING'])
  })

  it('says of a migration that it begins before it does, and that it ended afterwards', () => {
    expect(after(deployWhole, passed).deployment?.migrated).toBe('NO')
    expect(after(deployWhole, passed, passed).deployment?.migrated).toBe('BEGUN')
    expect(after(deployWhole, passed, passed, passed).deployment?.migrated).toBe('DONE')
  })

  it('undoes a migration when green has nobody, before blue is looked at, also one that had only begun', () => {
    for (const begun of [
      [passed, passed],
      [passed, passed, passed, passed, advance],
    ] as const) {
      const back = after(deployWhole, ...begun, rollBack, drained)
      expect(back.deployment).toMatchObject({ phase: 'ROLLING_BACK', migrated: 'UNDOING' })
      expect(transition(back, drained)).toBe(undefined)
      expect(transition(back, undone)?.deployment).toMatchObject({ phase: 'VALIDATING_ROLLBACK', migrated: 'UNDONE' })
      const stuck = transition(back, { type: 'UNDONE', isUndone: false })
      expect(stuck?.deployment).toMatchObject({ phase: 'VALIDATING_ROLLBACK', migrated: 'STUCK' })
    }
  })

  it('remembers nothing against a version whose deployment ended before anything had happened', () => {
    expect(after(deployWhole, fail).rolledBack).toEqual([])
    expect(after(deployWhole, passed, rollBack, drained)).toMatchObject({ rolledBack: [], deployment: { phase: 'ROLLED_BACK' } }) // prettier-ignore
    expect(after(deployWhole, passed, passed, rollBack).rolledBack).toEqual(['v2'])
  })

  it('freezes at the share that it has after an irreversible migration, and goes on from there', () => {
    expect(states.FROZEN.deployment).toMatchObject({ percentage: 50, step: 1, migrated: 'DONE' })
    expect(transition(states.FROZEN, forward)?.deployment).toMatchObject({ percentage: 100, isOverruled: true })
    const half = after(deployFrozen, passed, passed, rollBack)
    expect(half.deployment).toMatchObject({ phase: 'FROZEN', migrated: 'BEGUN' })
    expect(transition(half, forward)?.deployment?.phase).toBe('MIGRATING')
    const staged = after(deployFrozen, passed, passed, passed, rollBack)
    expect(transition(staged, forward)?.deployment).toMatchObject({ phase: 'GREEN_STAGING', percentage: 0 })
    expect(after(deployFrozen, passed, rollBack).deployment?.phase).toBe('ROLLING_BACK')
    // Accepted: there is no way back for the data, so nothing is undone.
    const accepted = after(deployFrozen, ...prepared, advance, rollBack, accept, drained)
    expect(accepted.deployment).toMatchObject({ phase: 'VALIDATING_ROLLBACK', migrated: 'DONE', percentage: 0 })
  })

  it('goes back in batches, and at once when it is asked for again', () => {
    const half = after(deploy, advance, advance, inBatches)
    expect(half.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 10 })
    expect(half.rolledBack).toEqual(['v2'])
    expect(transition(half, drained)).toBe(undefined)
    const quarter = transition(half, descend)
    expect(quarter?.deployment).toMatchObject({ percentage: 5 })
    expect(transition(quarter as State, descend)?.deployment).toMatchObject({ percentage: 0, descent: null })
    expect(transition(half, rollBack)?.deployment).toMatchObject({ percentage: 0, descent: null })
    // Batches never give green more.
    expect(after(deploy, advance, inBatches).deployment).toMatchObject({ percentage: 0, descent: null })
  })

  it('holds what a person held while it was prepared, as soon as green would get ready', () => {
    const held = after(deployWhole, holdByHand, passed, passed, passed)
    expect(held.deployment).toMatchObject({ phase: 'HOLD', step: -1, heldByHand: 'it is Friday' })
    const free = after(deployWhole, holdByHand, letGo, passed, passed, passed)
    expect(free.deployment?.phase).toBe('GREEN_STAGING')
  })

  it('bakes at 100 %, where it can be held, and begins its time anew', () => {
    expect(states.BAKING.deployment).toMatchObject({ step: 3, percentage: 100 })
    const again = [hold, resumeHeld].reduce<State>((state, input) => transition(state, input) ?? state, states.BAKING)
    expect(again.deployment).toMatchObject({ phase: 'BAKING', step: 3, percentage: 100 })
  })

  it.each([
    ['the bake', { ...wholePlan, bakeMs: 7 }, [advance, advance, advance, advance, advance]],
    ['the last step', { ...simplePlan, acceptanceTests: ['ping'] }, [advance, advance, advance, advance]],
  ])('asks for its acceptance tests after %s, and drains blue only when they have passed', (_, tested, steps) => {
    const begun: Input = { ...deploy, plan: tested }
    const toStaging = tested === wholePlan || tested.checks.length > 0 ? prepared : []
    const accepting = after(begun, ...toStaging, ...steps)
    expect(accepting.deployment).toMatchObject({ phase: 'BAKING', step: 4, percentage: 100 })
    expect(isAccepting(accepting.deployment as DeploymentState)).toBe(true)
    expect(stepMsOf(accepting.deployment as DeploymentState)).toBe(0)
    // A hold, and another process, begin them anew, and nothing before them.
    const held = [hold, resumeHeld].reduce<State>((state, input) => transition(state, input) ?? state, accepting)
    expect(held.deployment).toMatchObject({ phase: 'BAKING', step: 4 })
    expect(resume(accepting, new Set(['v1', 'v2']), 'v1')?.state.deployment).toMatchObject({ phase: 'BAKING', step: 4 })
    expect(transition(accepting, rollBack)?.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 0 })
    expect(transition(accepting, advance)?.deployment).toMatchObject({ phase: 'DRAINING_BLUE', step: 4 })
    expect(readRecord('key', makeRecord({ ...fields, state: accepting })).state).toEqual(accepting)
    const complete = after(begun, ...toStaging, ...steps, advance, drained)
    expect(readRecord('key', makeRecord({ ...fields, state: complete })).state).toEqual(complete)
  })

  it('gives each step its own time where the plan has a list of them', () => {
    const timed: Input = { ...deploy, plan: { ...simplePlan, stepMs: [10, 20, 30], bakeMs: 40 } }
    const times = [[], [advance], [advance, advance], [advance, advance, advance], [advance, advance, advance, advance]]
    const all = times.map((steps) => stepMsOf(after(timed, ...steps).deployment as DeploymentState))
    expect(all).toEqual([10, 10, 20, 30, 40])
  })

  it('keeps the last result of each check', () => {
    const result = (name: string, isPassed: boolean): ProbeResult => ({ kind: 'checks', name, isPassed, why: '', tookMs: 1 }) // prettier-ignore
    const first = after(deployWhole, { type: 'PASSED', results: [result('a', true), result('b', false)] })
    const later = transition(first, { ...rollBack, results: [result('b', true)] })
    expect(later?.deployment?.results).toEqual([result('a', true), result('b', true)])
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
    ['PRECHECK', 'PRECHECK'],
    ['BACKUP', 'BACKUP'],
    ['MIGRATING', 'MIGRATING'],
    ['SMOKE', 'GREEN_STAGING'],
    ['BAKING', 'BAKING'],
    ['VALIDATING_ROLLBACK', 'VALIDATING_ROLLBACK'],
    ['FROZEN', 'FROZEN'],
    ['FAILED', 'FAILED'],
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
    ['PRECHECK', ['v1'], 'ROLLING_BACK'],
    ['FROZEN', ['v1'], undefined],
    ['VALIDATING_ROLLBACK', ['v1'], 'VALIDATING_ROLLBACK'],
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
