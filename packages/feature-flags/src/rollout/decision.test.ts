import { describe, expect, it } from 'vitest'
import { decide, type Decision, type FlagProblem } from './decision.js'
import type { PhaseJudgement } from './rollout-judge.js'
import type { RolloutVerdict } from './rollout-ports.js'
import type { Run } from './transitions.js'

const limits = { durationMs: 1_000, maxHoldMs: 5_000, maxFallenBackMs: 600_000, isGradual: false }
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
  fallenBackMs: 0,
  pausedFor: null,
  acknowledged: [],
  rollback: null,
  validation: null,
}
const held = { ...run, state: 'HOLDING', heldFor: 'EVIDENCE', healthyMs: 1_000 } as const
const off = { ...run, state: 'HOLDING', heldFor: 'FLAG' } as const
const paused = { ...run, state: 'PAUSED' } as const
const seenLatency = { ...run, acknowledged: ['latency'] }
const seenReason = { ...run, acknowledged: ['judge: PAUSE'] }
const isOff: FlagProblem = { kind: 'OFF', why: 'the flag is disabled' }
const fellBack: FlagProblem = { kind: 'FALLEN_BACK', why: 'the flag has fallen back' }
const byHand: FlagProblem = { kind: 'BY_HAND', why: 'somebody set it to 50 %' }

interface Seen {
  elapsedMs?: number
  problem?: FlagProblem
  verdict?: RolloutVerdict['action']
  end?: PhaseJudgement['action']
  sinceMs?: number
  cause?: string
}

function look(at: Run, seen: Seen): Decision {
  const { elapsedMs = 100, sinceMs = elapsedMs, problem, verdict = 'CONTINUE', end = 'advance', cause } = seen
  const endPhase = (): PhaseJudgement => ({ action: end, why: `end: ${end}` })
  const said = { action: verdict, why: `judge: ${verdict}`, ...(cause === undefined ? {} : { cause }) }
  return decide(at, { elapsedMs, sinceMs, problem, verdict: said, endPhase }, limits)
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
    ['waits for a flag that has fallen back', run, { problem: fellBack }, 'HOLD'],
    ['waits on while it may recover', { ...off, fallenBackMs: 599_000 }, { problem: fellBack }, undefined],
    ['rolls back when it does not', { ...off, fallenBackMs: 599_900 }, { problem: fellBack }, 'ROLL_BACK'],
    ['rolls it back also while paused', { ...paused, fallenBackMs: 600_000 }, { problem: fellBack }, 'ROLL_BACK'],
    [
      'never rolls back for a flag that is off by hand',
      { ...off, fallenBackMs: 700_000 },
      { problem: isOff },
      undefined,
    ],
    ['goes on past what a person has seen and resumed', seenLatency, { verdict: 'PAUSE', cause: 'latency' }, undefined],
    ['pauses again for something else', seenLatency, { verdict: 'PAUSE', cause: 'memory' }, 'PAUSE'],
    ['takes the reason for the cause when there is none', seenReason, { verdict: 'PAUSE' }, undefined],
    ['rolls back whatever a person has seen', seenLatency, { verdict: 'ROLLBACK', cause: 'latency' }, 'ROLL_BACK'],
    ['leaves what is paused to people', paused, { verdict: 'PAUSE', elapsedMs: 9_000, problem: byHand }, undefined],
  ])('%s', (_, at, seen, expected) => {
    expect(look(at, seen).input?.type).toBe(expected)
  })

  it('counts only the time of a phase that runs, with nothing against it', () => {
    expect(look(run, {}).time).toEqual({ type: 'TICK', healthyMs: 100, heldMs: 0, fallenBackMs: -100 })
    expect(look(held, { end: 'hold' }).time).toEqual({ type: 'TICK', healthyMs: 0, heldMs: 100, fallenBackMs: 0 })
    for (const seen of [
      { problem: isOff },
      { problem: byHand },
      { verdict: 'PAUSE' },
      { verdict: 'ROLLBACK' },
    ] as const) {
      expect(look(run, seen).time.healthyMs).toBe(0)
    }
    expect(look(paused, {}).time).toEqual({ type: 'TICK', healthyMs: 0, heldMs: 0, fallenBackMs: 0 })
  })

  it('wants a person when it rolls back, and when it was held for too long', () => {
    expect(look(run, { verdict: 'ROLLBACK' })).toMatchObject({ severity: 'CRITICAL', why: 'judge: ROLLBACK' })
    expect(look(held, { elapsedMs: 5_000, end: 'hold' })).toMatchObject({
      severity: 'CRITICAL',
      why: 'it was held for 5s: end: hold; `resume` waits as long again, `skip` goes on without evidence',
    })
    expect(look(off, { elapsedMs: 5_000, problem: isOff }).why).toBe('it was held for 5s: the flag is disabled')
  })

  it('counts the time in which the flag has fallen back, also right after trouble, and takes healthy time off it', () => {
    expect(look(off, { problem: fellBack, elapsedMs: 0, sinceMs: 100 }).time.fallenBackMs).toBe(100)
    expect(look(off, { problem: isOff, sinceMs: 100 }).time.fallenBackMs).toBe(0)
    expect(look(run, {}).time.fallenBackMs).toBe(-100)
  })

  it('rolls back at once what has fallen back: nobody is on the new path any more', () => {
    const { input, why, severity } = look({ ...off, fallenBackMs: 600_000 }, { problem: fellBack })
    expect(input).toMatchObject({ type: 'ROLL_BACK', isGradual: false })
    expect([why, severity]).toEqual(['the flag fell back to the old path, and did not recover within 10m', 'CRITICAL'])
  })

  it('remembers what it paused for', () => {
    expect(look(run, { verdict: 'PAUSE', cause: 'latency' }).input).toEqual({ type: 'PAUSE', cause: 'latency' })
    expect(look(run, { verdict: 'PAUSE' }).input).toEqual({ type: 'PAUSE', cause: 'judge: PAUSE' })
    expect(look(run, { problem: byHand }).input).toEqual({ type: 'PAUSE' })
  })
})
