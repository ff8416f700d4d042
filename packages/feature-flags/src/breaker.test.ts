import { describe, expect, it } from 'vitest'
import { Breaker } from './breaker.js'
import { featureFlagsDefaults } from './options.js'

const limits = { ...featureFlagsDefaults, failureThreshold: 3, failureRatio: 0.5, maxRetryDelayMs: 100_000 }

function fail(breaker: Breaker, nowMs: number, times: number): void {
  for (let i = 0; i < times; i++) breaker.failed(breaker.begin(), nowMs)
}

describe('Breaker', () => {
  it('falls back at the failure that reaches the threshold, and says what it counted', () => {
    const breaker = new Breaker(limits)
    breaker.succeeded(breaker.begin(), 0)
    fail(breaker, 0, 2)
    expect(breaker.retryAtMs).toBeUndefined()
    expect(breaker.failed(breaker.begin(), 500)).toEqual({ calls: 4, failures: 3 })
    expect(breaker.retryAtMs).toBe(30_500)
  })

  it('does not mind failures that are few among all calls', () => {
    const breaker = new Breaker(limits)
    for (let i = 0; i < 100; i++) breaker.succeeded(breaker.begin(), 0)
    fail(breaker, 0, 99)
    expect(breaker.retryAtMs).toBeUndefined()
    fail(breaker, 0, 1)
    expect(breaker.retryAtMs).toBe(30_000)
  })

  it('forgets failures older than the window', () => {
    const breaker = new Breaker(limits)
    fail(breaker, 0, 2)
    fail(breaker, 60_000, 2)
    expect(breaker.retryAtMs).toBeUndefined()
    fail(breaker, 119_999, 1)
    expect(breaker.retryAtMs).toBe(149_999)
  })

  it('doubles the delay with each trial that fails, up to the limit', () => {
    const breaker = new Breaker(limits)
    fail(breaker, 0, 3)
    const delays = [60_000, 100_000, 100_000]
    for (const delayMs of delays) {
      const nowMs = breaker.retryAtMs ?? 0
      breaker.failed(breaker.beginTrial(nowMs), nowMs + 5)
      expect(breaker.retryAtMs).toBe(nowMs + 5 + delayMs)
    }
  })

  it('counts a trial as failed from its start, so one that never settles blocks no other', () => {
    const breaker = new Breaker(limits)
    fail(breaker, 0, 3)
    breaker.beginTrial(30_000)
    expect(breaker.retryAtMs).toBe(90_000)
    expect(breaker.succeeded(breaker.beginTrial(90_000), 90_001)).toBe(true)
    expect(breaker.retryAtMs).toBeUndefined()
  })

  it('listens to no call that began before the flag fell back or recovered, nor to one that is no trial meanwhile', () => {
    const breaker = new Breaker(limits)
    const early = [breaker.begin(), breaker.begin(), breaker.begin()]
    fail(breaker, 0, 3)
    const late = [breaker.begin(), breaker.begin(), breaker.begin()]
    for (const attempt of [...early, ...late]) expect(breaker.failed(attempt, 10)).toBeUndefined()
    for (const attempt of [...early, ...late]) expect(breaker.succeeded(attempt, 10)).toBe(false)
    expect(breaker.retryAtMs).toBe(30_000)
    breaker.succeeded(breaker.beginTrial(30_000), 30_000)
    for (const attempt of [...early, ...late]) breaker.failed(attempt, 30_001)
    fail(breaker, 30_001, 2)
    expect(breaker.retryAtMs).toBeUndefined()
  })

  it('goes on with the grown delay after a quick relapse, and starts over after a quiet time', () => {
    const breaker = new Breaker(limits)
    fail(breaker, 0, 3)
    breaker.succeeded(breaker.beginTrial(30_000), 30_000)
    fail(breaker, 40_000, 3)
    expect(breaker.retryAtMs).toBe(100_000)
    breaker.succeeded(breaker.beginTrial(100_000), 100_000)
    fail(breaker, 300_000, 3)
    expect(breaker.retryAtMs).toBe(330_000)
  })
})
