import { describe, expect, it } from 'vitest'
import type { RunRecord } from './lease-records.js'
import { planDue, type DuePolicy } from './schedule-plan.js'
import { daily, every, lastDue, nextDue } from './schedule-times.js'

const HOUR = 3_600_000
const NINE = Date.UTC(2026, 10, 20, 9)
const hourly = every(HOUR)
const policy: DuePolicy = { missed: 'run-once', missedAfterMs: 60_000, maxAttempts: 3 }
const skipping: DuePolicy = { ...policy, missed: 'skip' }

function last(dueAt: number, state: RunRecord['state'] = 'done', attempt = 1): RunRecord {
  return { state, attempt, at: dueAt, dueAt }
}

describe('due times', () => {
  it('are multiples of the period, the same for everybody', () => {
    expect(lastDue(hourly, NINE)).toBe(NINE)
    expect(lastDue(hourly, NINE + HOUR - 1)).toBe(NINE)
    expect(nextDue(hourly, NINE)).toBe(NINE + HOUR)
  })

  it('are once a day at a time in UTC', () => {
    expect(lastDue(daily('09:00'), NINE - 1)).toBe(NINE - 24 * HOUR)
    expect(lastDue(daily('09:00'), NINE)).toBe(NINE)
    expect(nextDue(daily('23:59'), NINE)).toBe(Date.UTC(2026, 10, 20, 23, 59))
  })

  it.each(['9:00', '24:00', '09:60', '', '09:00:00'])('refuse %j as a time of the day', (time) => {
    expect(() => daily(time)).toThrow(RangeError)
  })
})

describe('what to do about a due time', () => {
  const plan = (before: RunRecord | undefined, at: number, by = policy) => planDue(before, hourly, by, at)?.record

  it('runs it when the one before was the last', () => {
    expect(plan(last(NINE - HOUR), NINE)).toMatchObject({ state: 'running', attempt: 1, dueAt: NINE })
  })

  it.each(['done', 'failed', 'skipped'] as const)('does nothing when it is %s already', (state) => {
    expect(plan(last(NINE, state), NINE + 1)).toBeUndefined()
  })

  it('begins with the next due time of a job that nobody knew', () => {
    expect(plan(undefined, NINE)).toMatchObject({ state: 'skipped', dueAt: NINE })
  })

  it('runs once for all that were missed', () => {
    const plan = planDue(last(NINE - 5 * HOUR), hourly, policy, NINE + 100_000)
    expect(plan?.record).toMatchObject({ state: 'running', dueAt: NINE })
    expect(plan?.why).toContain('4 earlier due times')
  })

  it('skips what was missed when told to, and nothing that is only a little late', () => {
    expect(plan(last(NINE - 5 * HOUR), NINE + 100_000, skipping)).toMatchObject({ state: 'skipped', dueAt: NINE })
    expect(plan(last(NINE - HOUR), NINE + 50_000, skipping)).toMatchObject({ state: 'running' })
  })

  it('runs again what a dead process began, but not for ever', () => {
    expect(plan(last(NINE, 'running', 1), NINE + 1)).toMatchObject({ state: 'running', attempt: 2 })
    expect(plan(last(NINE, 'running', 3), NINE + 1)).toMatchObject({ state: 'skipped', dueAt: NINE })
    expect(plan(last(NINE, 'interrupted', 7), NINE + 1)).toMatchObject({ state: 'running', attempt: 8 })
  })

  it('repeats nothing when the clock is set back by less than a period', () => {
    expect(plan(last(NINE), NINE - 60_000)).toBeUndefined()
  })

  it('takes a last run far ahead for the work of a wrong clock, and begins anew', () => {
    expect(plan(last(NINE + 1_000 * HOUR), NINE)).toMatchObject({ state: 'skipped', dueAt: NINE })
  })
})
