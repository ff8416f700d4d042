import { describe, expect, it } from 'vitest'
import { Meter } from './meter.js'

describe('Meter', () => {
  it('is at zero before anything happened', () => {
    const none = { count: 0, errors: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0 }
    expect(new Meter().read(0).read).toEqual(none)
  })

  it('finds percentiles to within five hundredths', () => {
    const meter = new Meter()
    for (let ms = 1; ms <= 1_000; ms++) meter.record('write', 0, ms, ms > 990)
    const { count, errors, p50Ms, p95Ms, p99Ms, maxMs } = meter.read(1_000).write
    expect([count, errors, maxMs]).toEqual([1_000, 10, 1_000])
    for (const [found, exact] of [
      [p50Ms, 500],
      [p95Ms, 950],
      [p99Ms, 990],
    ] as const) {
      expect(Math.abs(found - exact) / exact).toBeLessThan(0.05)
    }
  })

  it('forgets latencies after two minutes at most, and never the counts', () => {
    const meter = new Meter()
    meter.record('read', 0, 500, false)
    meter.record('read', 60_000, 60_001, true)
    expect(meter.read(60_001).read.maxMs).toBe(500)
    meter.record('read', 120_000, 120_003, false)
    expect(meter.read(120_003).read).toMatchObject({ count: 3, errors: 1, maxMs: 3 })
    expect(meter.read(400_000).read).toEqual({ count: 3, errors: 1, p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0 })
  })

  it('takes what is shorter or longer than it can tell apart', () => {
    const meter = new Meter()
    meter.record('scan', 9_999_990, 9_999_990, false)
    meter.record('scan', 0, 10_000_000, false)
    const { p50Ms, maxMs } = meter.read(10_000_000).scan
    expect(p50Ms).toBeLessThan(0.002)
    expect(maxMs).toBe(10_000_000)
  })
})
