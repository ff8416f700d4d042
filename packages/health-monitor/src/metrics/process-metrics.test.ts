import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { BlockableClock } from '../test-support/blockable-clock.js'
import { ProcessMetrics } from './process-metrics.js'

function valueOf(numbers: ProcessMetrics, name: string): number {
  const family = numbers.collect().find((each) => each.name === name)
  const [sample] = [...(family?.samples ?? [])]
  if (sample === undefined) return NaN
  return 'value' in sample ? sample.value : sample.counts.reduce((sum, each) => sum + each, 0)
}

describe('ProcessMetrics', () => {
  it('tells what the process uses', () => {
    const numbers = new ProcessMetrics()
    expect(valueOf(numbers, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(valueOf(numbers, 'process_cpu_seconds_total')).toBeGreaterThan(0)
    expect(valueOf(numbers, 'process_uptime_seconds')).toBeGreaterThan(0)
    expect(valueOf(numbers, 'nodejs_version_info')).toBe(1)
  })

  it('looks at the event loop between start and stop, both of which may be called twice', async () => {
    const clock = new FakeClock()
    const numbers = new ProcessMetrics({ clock })
    expect(clock.pending).toBe(0)
    await numbers.start()
    await numbers.start()
    await clock.advance(1_000)
    expect(valueOf(numbers, 'nodejs_eventloop_delay_seconds')).toBe(10)
    await numbers.stop()
    await numbers.stop()
    await clock.advance(1_000)
    expect(valueOf(numbers, 'nodejs_eventloop_delay_seconds')).toBe(10)
  })

  it('tells how late the event loop was', async () => {
    const clock = new BlockableClock()
    const numbers = new ProcessMetrics({ clock })
    await numbers.start()
    await clock.advance(50)
    clock.block(3_000)
    await clock.advance(150)
    const delay = numbers.collect().find(({ name }) => name === 'nodejs_eventloop_delay_seconds')
    expect(delay?.samples).toMatchObject([{ sum: 3 }])
    await numbers.stop()
  })

  it.each([{ sampleMs: 1 }, { sampleMs: NaN }, { build: { 'a-b': 'x' } }, { builds: {} }])(
    'refuses %j',
    (options: object) => {
      expect(() => new ProcessMetrics(options)).toThrow()
    },
  )
})
