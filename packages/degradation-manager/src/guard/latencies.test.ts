import { expect, it } from 'vitest'
import { Latencies } from './latencies.js'

it('counts on when one bucket is fuller than a byte', () => {
  const latencies = new Latencies()
  for (let call = 0; call < 1_000; call++) latencies.record(10)
  for (let call = 0; call < 700; call++) latencies.record(1_000)
  const { count, p50, p95 } = latencies.summary()
  expect(count).toBe(1_700)
  expect(p50).toBeGreaterThan(9)
  expect(p50).toBeLessThan(11)
  expect(p95).toBeGreaterThan(910)
  expect(p95).toBeLessThan(1_090)
})

it('has nothing to tell of when nothing was recorded', () => {
  expect(new Latencies().summary()).toEqual({ count: 0, p50: 0, p95: 0, p99: 0 })
})
