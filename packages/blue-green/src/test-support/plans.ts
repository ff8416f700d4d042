import type { Plan } from '../plan.js'

/** Steps by time, and nothing around them. */
export const simplePlan: Plan = {
  percentages: [1, 50, 100],
  stepMs: 1_000,
  bakeMs: 0,
  maxHoldMs: 60_000,
  first: ['a'],
  advance: 'evidence',
  minEvents: 0,
  backup: false,
  migration: null,
  checks: [],
  smokeTests: [],
  canaryTests: [],
  acceptanceTests: [],
  validations: [],
}

/** With everything in it. */
export const wholePlan: Plan = {
  ...simplePlan,
  bakeMs: 5_000,
  backup: true,
  migration: { name: 'index', irreversible: false, isUndoable: true },
  checks: ['disk'],
  smokeTests: ['ping'],
  canaryTests: ['ping'],
  acceptanceTests: ['ping'],
  validations: ['ping'],
}
