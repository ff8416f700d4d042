import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { logged, makeRecord, readRecord } from './record.js'
import { simplePlan, wholePlan } from './test-support/plans.js'
import { transition, type State } from './transitions.js'

const plan = { ...simplePlan, percentages: [1, 100], first: ['7'] }
const state = transition(
  { active: 'v1', rolledBack: [], count: 0, deployment: null },
  { type: 'DEPLOY', id: 'd1', to: 'v2', salt: 's', plan, health: 'up' },
) as State
const fields = { epoch: 1, sequence: 1, controller: 'c', at: 0, cause: 'test', evidence: null, log: [] }
const record = makeRecord({ ...fields, state })

/** What the first release wrote. */
const first = {
  format: 1,
  epoch: 3,
  sequence: 17,
  controller: 'c0ffee',
  at: 1_767_225_600_000,
  cause: '600000 ms have passed',
  state: {
    active: 'v1',
    rolledBack: ['v0'],
    deployment: {
      id: 'd1',
      from: 'v1',
      to: 'v2',
      salt: 's',
      phase: 'SHIFTING_TRAFFIC',
      step: 1,
      percentage: 50,
      elapsedMs: 0,
      healthAtStart: 'up',
      heldByHand: null,
      percentages: [1, 50, 100],
      stepMs: 600_000,
      maxHoldMs: 3_600_000,
      first: ['7'],
    },
  },
}

describe('readRecord', () => {
  it('reads what was written', () => {
    expect(readRecord('key', JSON.parse(JSON.stringify(record)))).toEqual(record)
  })

  it('reads the migration that is in place, where there is one', () => {
    const inPlace = { deploymentId: 'd1', from: 'v1', name: 'index', irreversible: false }
    const written = makeRecord({ ...fields, state: { ...state, inPlace: [inPlace] } })
    expect(readRecord('key', JSON.parse(JSON.stringify(written))).state.inPlace).toEqual([inPlace])
  })

  it.each([
    ['epoch', { epoch: -1 }],
    ['sequence', { sequence: 1.5 }],
    ['controller', { controller: undefined }],
    ['state', { state: null }],
    ['active', { state: { ...state, active: 1 } }],
    ['rolledBack', { state: { ...state, rolledBack: [1] } }],
    ['deployment', { state: { ...state, deployment: undefined } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, phase: 'IDLE' } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, phase: 'toString' } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, percentage: 101 } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, percentage: null } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, step: 3 } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, migrated: 'toString' } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, migration: { name: 'x' } } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, results: [null] } } }],
    [
      'deployment',
      { state: { ...state, deployment: { ...state.deployment, descent: { percentages: [], pauseMs: -1 } } } },
    ],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, advance: 'luck' } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, rollbackBatches: { pauseMs: -1 } } } }],
    ['inPlace', { state: { ...state, inPlace: [{ deploymentId: 'd1', from: 'v1', name: 7, irreversible: false }] } }],
    ['inPlace', { state: { ...state, inPlace: [null] } }],
    ['inPlace', { state: { ...state, inPlace: 7 } }],
    ['count', { state: { ...state, count: -1 } }],
    ['log', { log: [{ at: 0, phase: 'HOLD', percentage: 101, why: '' }] }],
    ['evidence', { evidence: 7 }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, stepMs: 'soon' } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, first: [7] } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, acceptanceTests: [7] } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, acceptanceTests: null } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, stepMs: [1_000] } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, stepMs: [1_000, 'soon'] } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, heldByHand: true } } }],
  ])('refuses a record with a wrong %s: %j', (field, wrong) => {
    expect(() => readRecord('key', { ...record, ...wrong })).toThrow(`under "key": its field "${field}" is missing or malformed`) // prettier-ignore
  })

  it('refuses a record of which a bit was flipped or the end lost, wherever', () => {
    const whole = transition(
      { active: 'v1', rolledBack: ['v0'], count: 2, deployment: null },
      { type: 'DEPLOY', id: 'd1', to: 'v2', salt: 's', plan: wholePlan, health: 'up' },
    ) as State
    const log = [{ at: 1, phase: 'PRECHECK', percentage: 0, why: 'test' }] as const
    const bytes = Buffer.from(JSON.stringify(makeRecord({ ...fields, log, state: whole })))
    const damaged: Buffer[] = []
    for (let at = 0; at < bytes.length; at++) {
      damaged.push(bytes.subarray(0, at))
      for (let bit = 0; bit < 8; bit++) {
        const copy = Buffer.from(bytes)
        copy[at] = (copy[at] ?? 0) ^ (1 << bit)
        damaged.push(copy)
      }
    }
    let refused = 0
    for (const copy of damaged) {
      let value: unknown
      try {
        value = JSON.parse(copy.toString())
      } catch {
        // A store that keeps text does not hand that out; whoever did would hand out the text.
        value = copy.toString()
      }
      try {
        readRecord('key', value)
        expect.unreachable(`a damaged record was read: ${copy.toString()}`)
      } catch (error) {
        expect(error).toMatchObject({ code: 'STATE_FORMAT' })
        refused += 1
      }
    }
    expect(refused).toBe(bytes.length * 9)
  })

  it('reads the same record whatever the order of its fields', () => {
    const turned = Object.fromEntries(Object.entries(record).reverse())
    expect(readRecord('key', turned)).toEqual(record)
  })

  it('reads a deployment of before a rollback could go in batches by itself', () => {
    expect(state.deployment).not.toHaveProperty('rollbackBatches')
    expect(readRecord('key', JSON.parse(JSON.stringify(record)))).toEqual(record)
  })

  it('reads a deployment of before there were acceptance tests, which has none', () => {
    const { acceptanceTests, ...before } = state.deployment ?? { acceptanceTests: undefined }
    expect(acceptanceTests).toEqual([])
    const old = makeRecord({ ...fields, state: { ...state, deployment: before as typeof state.deployment } })
    expect(readRecord('key', JSON.parse(JSON.stringify(old))).state).toEqual(state)
  })

  it('reads what the first release wrote, at the same share and step', () => {
    const { state: upgraded, epoch, sequence } = readRecord('key', first)
    expect({ epoch, sequence }).toEqual({ epoch: 3, sequence: 17 })
    expect(upgraded).toMatchObject({ ...first.state, count: 1 })
    expect(upgraded.deployment).toMatchObject({ number: 1, advance: 'time', minEvents: 0, migrated: 'NO', checks: [] })
    const idle = { ...first, state: { ...first.state, deployment: null } }
    expect(readRecord('key', idle).state).toMatchObject({ count: 0, deployment: null })
  })

  it('refuses what the first release cannot have written', () => {
    const wrong = { ...first, state: { ...first.state, deployment: { ...first.state.deployment, phase: 'later' } } }
    expect(() => readRecord('key', wrong)).toThrow('its field "deployment" is missing or malformed')
    expect(() => readRecord('key', { format: 1, state: null })).toThrow('its field "epoch" is missing')
  })

  it('reads anything or refuses it as what it is, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (value, inner) => {
        for (const each of [
          value,
          { format: 1, state: value },
          { ...first, state: inner },
          { format: 2, state: value },
          { ...record, state: inner },
          { ...record, state: { ...state, deployment: inner } },
        ]) {
          try {
            readRecord('key', each)
          } catch (error) {
            expect(error).toMatchObject({ code: 'STATE_FORMAT' })
          }
        }
      }),
    )
  })
})

describe('the log', () => {
  const idle: State = { active: 'v1', rolledBack: [], count: 0, deployment: null }

  it('has each change of phase and share once, and begins anew with a deployment', () => {
    const log = logged([], idle, state, 'deploy() was called', 7)
    expect(log).toEqual([{ at: 7, phase: 'GREEN_STAGING', percentage: 0, why: 'deploy() was called' }])
    expect(logged(log, state, state, 'again', 8)).toBe(log)
    const other = { ...state, deployment: state.deployment && { ...state.deployment, id: 'd2' } }
    expect(logged(log, state, other, 'the next', 9)).toHaveLength(1)
    expect(logged(log, state, idle, 'taken back', 9)).toBe(log)
  })

  it('is bounded: the first and the last are kept', () => {
    let log = logged([], idle, state, 'deploy() was called', 0)
    for (let at = 1; at < 500; at++) {
      const after = { ...state, deployment: state.deployment && { ...state.deployment, percentage: at % 2 } }
      log = logged(log, state, after, 'flapping', at)
    }
    expect(log).toHaveLength(100)
    expect([log[0]?.at, log.at(-1)?.at]).toEqual([0, 499])
  })
})
