import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isOver, transition, type Input, type PlanInForce, type RolloutState, type Run } from './transitions.js'

const phases = [
  { name: 'testers', percentage: 0, targetGuilds: ['7', '8'], durationMs: 1_000 },
  { name: 'canary', percentage: 10, targetGuilds: ['7', '8', '9'], durationMs: 1_000 },
  { name: 'all', percentage: 100, targetGuilds: ['7', '8', '9'], durationMs: 1_000 },
]
const plan: PlanInForce = { fingerprint: 'p1', version: 'v1', phases }
const edited: PlanInForce = { ...plan, fingerprint: 'p2', phases: [{ ...phases[0]!, name: 'first' }, phases[1]!] }

const inputs = {
  BEGIN: { type: 'BEGIN' },
  EDIT: { type: 'EDIT' },
  TICK: { type: 'TICK', healthyMs: 5, heldMs: 0, fallenBackMs: 0 },
  ADVANCE: { type: 'ADVANCE' },
  'HOLD for evidence': { type: 'HOLD', heldFor: 'EVIDENCE' },
  'HOLD for the flag': { type: 'HOLD', heldFor: 'FLAG' },
  GO_ON: { type: 'GO_ON' },
  PAUSE: { type: 'PAUSE' },
  RESUME: { type: 'RESUME' },
  SKIP: { type: 'SKIP' },
  ABORT: { type: 'ABORT' },
  'ROLL_BACK at once': { type: 'ROLL_BACK', isGradual: false, why: 'harm' },
  'ROLL_BACK in batches': { type: 'ROLL_BACK', isGradual: true, why: 'harm' },
  BATCH: { type: 'BATCH', percentage: 5, targetGuilds: ['7'] },
  'last BATCH': { type: 'BATCH', percentage: 0, targetGuilds: [] },
  ROLLBACK_TICK: { type: 'ROLLBACK_TICK', elapsedMs: 5 },
  VALIDATED: { type: 'VALIDATED', checks: [{ name: 'flag is off', isPassed: true, why: 'all is well' }] },
  REASSERT: { type: 'REASSERT' },
} satisfies Record<string, Input>
type Name = keyof typeof inputs

/** The run after these inputs, each of which must mean something. */
function after(...names: Name[]): Run {
  let run: Run | undefined
  names.forEach((name, i) => {
    run = transition(run, inputs[name], plan, i + 1)
    if (run === undefined) throw new Error(`${name} means nothing`)
  })
  return run as Run
}

const runs: Record<Exclude<RolloutState, 'PENDING'>, Run> = {
  RUNNING: after('BEGIN', 'ADVANCE'),
  HOLDING: after('BEGIN', 'ADVANCE', 'HOLD for evidence'),
  PAUSED: after('BEGIN', 'ADVANCE', 'PAUSE'),
  ROLLING_BACK: after('BEGIN', 'ADVANCE', 'ROLL_BACK in batches'),
  VALIDATING: after('BEGIN', 'ADVANCE', 'ROLL_BACK at once'),
  COMPLETE: after('BEGIN', 'ADVANCE', 'ADVANCE', 'ADVANCE'),
  ROLLED_BACK: after('BEGIN', 'ADVANCE', 'ROLL_BACK at once', 'VALIDATED'),
  ABORTED: after('BEGIN', 'ADVANCE', 'ABORT'),
}

describe('transition', () => {
  const going: Partial<Record<Name, RolloutState>> = {
    BEGIN: 'RUNNING',
    SKIP: 'RUNNING',
    ABORT: 'ABORTED',
    'ROLL_BACK at once': 'VALIDATING',
    'ROLL_BACK in batches': 'ROLLING_BACK',
  }
  const table: Record<Exclude<RolloutState, 'PENDING'>, Partial<Record<Name, RolloutState>>> = {
    RUNNING: {
      ...going,
      TICK: 'RUNNING',
      ADVANCE: 'RUNNING',
      'HOLD for evidence': 'HOLDING',
      'HOLD for the flag': 'HOLDING',
      PAUSE: 'PAUSED',
      REASSERT: 'RUNNING',
    },
    HOLDING: {
      ...going,
      TICK: 'HOLDING',
      ADVANCE: 'RUNNING',
      'HOLD for the flag': 'HOLDING',
      GO_ON: 'RUNNING',
      PAUSE: 'PAUSED',
      REASSERT: 'HOLDING',
    },
    PAUSED: { ...going, TICK: 'PAUSED', RESUME: 'RUNNING', REASSERT: 'PAUSED' },
    ROLLING_BACK: {
      'ROLL_BACK at once': 'VALIDATING',
      BATCH: 'ROLLING_BACK',
      'last BATCH': 'VALIDATING',
      ROLLBACK_TICK: 'ROLLING_BACK',
      REASSERT: 'ROLLING_BACK',
    },
    VALIDATING: { VALIDATED: 'ROLLED_BACK', REASSERT: 'VALIDATING' },
    COMPLETE: {
      BEGIN: 'RUNNING',
      'ROLL_BACK at once': 'VALIDATING',
      'ROLL_BACK in batches': 'ROLLING_BACK',
      REASSERT: 'COMPLETE',
    },
    ROLLED_BACK: { BEGIN: 'RUNNING', REASSERT: 'ROLLED_BACK' },
    ABORTED: { BEGIN: 'RUNNING', REASSERT: 'ABORTED' },
  }
  const cells = (Object.keys(table) as (keyof typeof table)[]).flatMap((state) =>
    (Object.keys(inputs) as Name[]).map((name) => [state, name, table[state][name]] as const),
  )

  it.each(cells)('takes %s by %s to %s', (state, name, expected) => {
    expect(transition(runs[state], inputs[name], plan, 99)?.state).toBe(expected)
  })

  it('begins at the first phase, and takes nothing else before', () => {
    for (const input of Object.values(inputs)) {
      const run = transition(undefined, input, plan, 1)
      if (input.type === 'BEGIN') expect(run).toMatchObject({ state: 'RUNNING', phase: 0, share: { sequence: 1 } })
      else expect(run).toBeUndefined()
    }
  })

  it('begins the phase of the same name anew when the plan was edited, else that of the same place', () => {
    const tired = { ...runs.RUNNING, healthyMs: 900 }
    expect(transition(tired, { type: 'EDIT' }, edited, 9)).toMatchObject({
      fingerprint: 'p2',
      phase: 1,
      healthyMs: 0,
      share: { sequence: 9 },
    })
    const first = transition(undefined, { type: 'BEGIN' }, plan, 1)
    expect(transition(first, { type: 'EDIT' }, edited, 2)).toMatchObject({ phase: 0, phaseName: 'first' })
    expect(transition(runs.PAUSED, { type: 'EDIT' }, edited, 9)?.state).toBe('PAUSED')
    expect(transition(runs.ROLLING_BACK, { type: 'EDIT' }, edited, 9)).toBeUndefined()
    expect(transition(runs.ROLLED_BACK, { type: 'EDIT' }, edited, 9)).toBeUndefined()
  })

  it('goes on after the last phase when an edited plan goes further', () => {
    const short: PlanInForce = { ...plan, phases: phases.slice(0, 2) }
    let run = transition(undefined, { type: 'BEGIN' }, short, 1)
    run = transition(run, { type: 'ADVANCE' }, short, 2)
    run = transition(run, { type: 'ADVANCE' }, short, 3)
    expect(run?.state).toBe('COMPLETE')
    const longer: PlanInForce = { ...plan, fingerprint: 'p3' }
    expect(transition(run, { type: 'EDIT' }, longer, 4)).toMatchObject({ state: 'RUNNING', phase: 2 })
    expect(transition(runs.COMPLETE, { type: 'EDIT' }, longer, 9)).toBeUndefined()
  })

  it('remembers what a person has seen and let pass, until the phase is over', () => {
    const paused = transition(runs.RUNNING, { type: 'PAUSE', cause: 'latency' }, plan, 9)
    const resumed = transition(paused, inputs.RESUME, plan, 10)
    expect(resumed).toMatchObject({ acknowledged: ['latency'], pausedFor: null })
    const again = transition(transition(resumed, { type: 'PAUSE', cause: 'memory' }, plan, 11), inputs.RESUME, plan, 12)
    expect(again?.acknowledged).toEqual(['latency', 'memory'])
    expect(transition(resumed, inputs.ADVANCE, plan, 11)?.acknowledged).toEqual([])
    const skipped = transition(paused, inputs.SKIP, plan, 10)
    expect(skipped).toMatchObject({ phase: 2, acknowledged: ['latency'], pausedFor: null })
    const byHand = transition(runs.PAUSED, inputs.RESUME, plan, 9)
    expect(byHand?.acknowledged).toEqual([])
  })

  it('counts how long it is held anew for each cause, and after each', () => {
    const tick: Input = { type: 'TICK', healthyMs: 0, heldMs: 700, fallenBackMs: 0 }
    const held = transition(runs.HOLDING, tick, plan, 9)
    expect(held?.heldMs).toBe(700)
    expect(transition(held, inputs['HOLD for the flag'], plan, 9)?.heldMs).toBe(0)
    expect(transition(held, inputs.GO_ON, plan, 9)?.heldMs).toBe(0)
    expect(transition(transition(held, inputs.PAUSE, plan, 9), inputs.RESUME, plan, 10)?.heldMs).toBe(0)
  })

  it('never counts less than no time of falling back', () => {
    const tick = (fallenBackMs: number): Input => ({ type: 'TICK', healthyMs: 0, heldMs: 0, fallenBackMs })
    const run = transition(runs.RUNNING, tick(30), plan, 9)
    expect(run?.fallenBackMs).toBe(30)
    expect(transition(run, tick(-50), plan, 9)?.fallenBackMs).toBe(0)
  })

  it('never advances by a plan that it does not run by', () => {
    expect(transition(runs.RUNNING, { type: 'ADVANCE' }, edited, 9)).toBeUndefined()
    expect(transition(runs.PAUSED, { type: 'SKIP' }, edited, 9)).toBeUndefined()
  })

  describe('whatever comes in whatever order', () => {
    const anyInput = fc.oneof(
      fc.constantFrom(...Object.values(inputs)),
      fc.record({
        type: fc.constant('BATCH' as const),
        percentage: fc.double({ min: 0, max: 100, noNaN: true }),
        targetGuilds: fc.subarray(['7', '8', '9', 'x']),
      }),
    )
    const anyInputs = fc.array(fc.tuple(anyInput, fc.constantFrom(plan, edited)), { maxLength: 60 })
    const laws: Record<string, (before: Run, run: Run, input: Input) => void> = {
      'a rollback gives nobody the flag': (before, run) => {
        if (before.state !== 'ROLLING_BACK' && before.state !== 'VALIDATING') return
        expect(run.share.percentage).toBeLessThanOrEqual(before.share.percentage)
        expect(before.share.targetGuilds).toEqual(expect.arrayContaining([...run.share.targetGuilds]))
      },
      'a rollback ends in nothing but a flag that is off': (_before, run) => {
        if (!['VALIDATING', 'ROLLED_BACK', 'ABORTED'].includes(run.state)) return
        expect(run.share).toMatchObject({ percentage: 0, targetGuilds: [] })
      },
      'target guilds that are in stay in until it is rolled back, aborted, or begun anew': (before, run, input) => {
        if (['BEGIN', 'ABORT', 'ROLL_BACK', 'BATCH'].includes(input.type)) return
        expect(run.share.targetGuilds).toEqual(expect.arrayContaining([...before.share.targetGuilds]))
      },
      'a share that changes has the sequence of its transition, and so a higher one': (before, run) => {
        const isChanged =
          run.share.percentage !== before.share.percentage ||
          run.share.targetGuilds.join() !== before.share.targetGuilds.join()
        if (isChanged) expect(run.share.sequence).toBeGreaterThan(before.share.sequence)
        else expect(run.share.sequence).toBeGreaterThanOrEqual(before.share.sequence)
      },
      'what is over stays over until somebody begins anew, rolls back or goes further': (before, run, input) => {
        if (!isOver(before) || ['BEGIN', 'ROLL_BACK', 'EDIT', 'REASSERT'].includes(input.type)) return
        expect(run).toEqual(before)
      },
      'it survives JSON': (_before, run) => {
        expect(JSON.parse(JSON.stringify(run))).toEqual(run)
      },
    }

    it.each(Object.keys(laws))('%s', (law) => {
      fc.assert(
        fc.property(anyInputs, (all) => {
          let run: Run | undefined
          let sequence = 0
          for (const [input, by] of [[inputs.BEGIN, plan] as const, ...all]) {
            const next: Run | undefined = transition(run, input, by, sequence + 1)
            if (next === undefined) continue
            sequence += 1
            if (run !== undefined) laws[law]?.(run, next, input)
            run = next
          }
        }),
        { numRuns: 500 },
      )
    })
  })
})
