import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeRecord, readRecord } from './record.js'
import { transition, type State } from './transitions.js'

const plan = { percentages: [1, 100], stepMs: 1_000, maxHoldMs: 60_000, first: ['7'] }
const state = transition(
  { active: 'v1', rolledBack: [], deployment: null },
  { type: 'DEPLOY', id: 'd1', to: 'v2', salt: 's', plan, health: 'up' },
) as State
const record = makeRecord({ epoch: 1, sequence: 1, controller: 'c', at: 0, cause: 'test', state })

describe('readRecord', () => {
  it('reads what was written', () => {
    expect(readRecord('key', JSON.parse(JSON.stringify(record)))).toEqual(record)
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
    ['deployment', { state: { ...state, deployment: { ...state.deployment, step: 2 } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, stepMs: 'soon' } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, first: [7] } } }],
    ['deployment', { state: { ...state, deployment: { ...state.deployment, heldByHand: true } } }],
  ])('refuses a record with a wrong %s: %j', (field, wrong) => {
    expect(() => readRecord('key', { ...record, ...wrong })).toThrow(`under "key": its field "${field}" is missing or malformed`) // prettier-ignore
  })

  it('reads anything or refuses it as what it is, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (value, inner) => {
        for (const each of [
          value,
          { format: 1, state: value },
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
