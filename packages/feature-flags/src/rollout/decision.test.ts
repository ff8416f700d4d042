import { describe, expect, it } from 'vitest'
import { decide, type Decision, type FlagProblem } from './decision.js'
import type { PhaseVerdict, RolloutVerdict } from './rollout-ports.js'
import type { Run } from './transitions.js'

const limits = { durationMs: 1_000, maxHoldMs: 5_000, isGradual: false }
const run: Run = {
  state: 'RUNNING',
  version: '',
  fingerprint: 'p',
  phase: 0,
  phaseName: 'canary',
  share: { percentage: 5, targetGuilds: [], sequence: 1 },
  healthyMs: 0,
  heldMs: 0,
  heldFor: null,
  rollback: null,
  validation: null,
}
const held = { ...run, state: 'HOLDING', heldFor: 'EVIDENCE', healthyMs: 1_000 } as const
const off = { ...run, state: 'HOLDING', heldFor: 'FLAG' } as const
const paused = { ...run, state: 'PAUSED' } as const
const isOff: FlagProblem = { kind: 'OFF', why: 'the flag is disabled' }
const byHand: FlagProblem = { kind: 'BY_HAND', why: 'somebody set it to 50 %' }

interface Seen {
  elapsedMs?: number
  problem?: FlagProblem
  verdict?: RolloutVerdict['action']
  end?: PhaseVerdict['action']
}

function look(at: Run, { elapsedMs = 100, problem, verdict = 'CONTINUE', end = 'advance' }: Seen): Decision {
  const endPhase = (): PhaseVerdict => ({ action: end, why: `end: ${end}` })
  return decide(at, { elapsedMs, problem, verdict: { action: verdict, why: `judge: ${verdict}` }, endPhase }, limits)
}

describe('what a driver decides', () => {
  it.each<[string, Run, Seen, string | undefined]>([
    ['lets the time of a phase run', run, {}, undefined],
    ['advances when it is over', run, { elapsedMs: 1_000 }, 'ADVANCE'],
    ['holds when there is no evidence then', run, { elapsedMs: 1_000, end: 'hold' }, 'HOLD'],
    ['rolls back when the end of a phase says so', run, { elapsedMs: 1_000, end: 'roll back' }, 'ROLL_BACK'],
    ['waits on for evidence', held, { end: 'hold' }, undefined],
    ['advances when the evidence is there', held, {}, 'ADVANCE'],
    ['asks a person when it is not there for too long', held, { elapsedMs: 5_000, end: 'hold' }, 'PAUSE'],
    ['holds while the flag is off', run, { problem: isOff }, 'HOLD'],
    ['waits on while the flag is off', off, { problem: isOff }, undefined],
    ['asks a person when it is off for too long', off, { problem: isOff, elapsedMs: 5_000 }, 'PAUSE'],
    ['goes on when the flag is in force again', off, {}, 'GO_ON'],
    ['waits for the flag also when it lacked evidence before', held, { problem: isOff }, 'HOLD'],
    ['pauses when somebody else sets the percentage', run, { problem: byHand }, 'PAUSE'],
    ['pauses when the judge says so', run, { verdict: 'PAUSE' }, 'PAUSE'],
    ['pauses a held phase, too', held, { verdict: 'PAUSE' }, 'PAUSE'],
    ['rolls back when the judge says so', run, { verdict: 'ROLLBACK' }, 'ROLL_BACK'],
    ['rolls back what is held', held, { verdict: 'ROLLBACK' }, 'ROLL_BACK'],
    ['rolls back what is paused', paused, { verdict: 'ROLLBACK' }, 'ROLL_BACK'],
    ['rolls back also while the flag is off', off, { verdict: 'ROLLBACK', problem: isOff }, 'ROLL_BACK'],
    ['leaves what is paused to people', paused, { verdict: 'PAUSE', elapsedMs: 9_000, problem: byHand }, undefined],
  ])('%s', (_, at, seen, expected) => {
    expect(look(at, seen).input?.type).toBe(expected)
  })

  it('counts only the time of a phase that runs, with nothing against it', () => {
    expect(look(run, {}).time).toEqual({ type: 'TICK', healthyMs: 100, heldMs: 0 })
    expect(look(held, { end: 'hold' }).time).toEqual({ type: 'TICK', healthyMs: 0, heldMs: 100 })
    for (const seen of [
      { problem: isOff },
      { problem: byHand },
      { verdict: 'PAUSE' },
      { verdict: 'ROLLBACK' },
    ] as const) {
      expect(look(run, seen).time.healthyMs).toBe(0)
    }
    expect(look(paused, {}).time).toEqual({ type: 'TICK', healthyMs: 0, heldMs: 0 })
  })

  it('wants a person when it rolls back, and when it was held for too long', () => {
    expect(look(run, { verdict: 'ROLLBACK' })).toMatchObject({ severity: 'CRITICAL', why: 'judge: ROLLBACK' })
    expect(look(held, { elapsedMs: 5_000, end: 'hold' })).toMatchObject({
      severity: 'CRITICAL',
      why: 'it was held for 5000 ms: end: hold',
    })
  })
})
