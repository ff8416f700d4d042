import { describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { RetryBudget } from '../retry/retry-budget.js'
import { guard } from './stand-alone.js'

describe('a guard', () => {
  it.each<[object, RegExp]>([
    [{ timeoutMs: '100' }, /timeoutMs/],
    [{ timeoutMs: Number.NaN }, /timeoutMs/],
    [{ drillEveryMs: '100', fallback: () => 1 }, /drillEveryMs/],
    [{ isUserError: true }, /isUserError/],
    [{ idempotent: 'no' }, /idempotent/],
    [{ call: { priority: 'high' } }, /call/],
    [{ fallback: { serve: () => 1, timeoutMs: '5' } }, /timeoutMs/],
    [{ retry: { attempts: 1, delayMs: '5' } }, /delayMs/],
    [{ retry: { attempts: 1, isRetryable: true } }, /isRetryable/],
    [{ retry: { attempts: 1, random: 0.5 } }, /random/],
    [{ fallback: { serve: () => 1, admission: {} } }, /admission/],
    [{ fallback: { serve: () => 1, name: '' } }, /name/],
    [{ retry: { attempts: 1, budget: null } }, /budget/],
    [{ retry: null }, /retry/],
    [{ breaker: null }, /breaker/],
    [{ admission: null }, /admission/],
    [{ onFallback: 'log' }, /onFallback/],
  ])('refuses %o', (options, words) => {
    expect(() => guard('call', () => 1, options)).toThrow(words)
  })
})

/** Of a program without types: what is added to a time must be a number, or "1000" ms end at some other moment. */
const digits = '1000' as unknown as number

it.each<[string, () => unknown]>([
  ['openMs', () => new CircuitBreaker({ openMs: digits })],
  ['rampMs', () => new CircuitBreaker({ rampMs: digits })],
  ['failureRatio', () => new CircuitBreaker({ failureRatio: '0.5' as unknown as number })],
  ['random', () => new CircuitBreaker({ random: 0.5 as unknown as () => number })],
  ['maxWaitMs', () => new Bulkhead({ maxConcurrent: 1, maxWaitMs: { high: digits } })],
  ['maxOverdueMs', () => new Bulkhead({ maxConcurrent: 1, maxOverdueMs: digits })],
  ['ratio', () => new RetryBudget({ ratio: '0.2' as unknown as number })],
  ['reserve', () => new RetryBudget({ reserve: digits })],
])('%s is refused where it is not what it must be', (name, make) => {
  expect(make).toThrow(new RegExp(name))
})
