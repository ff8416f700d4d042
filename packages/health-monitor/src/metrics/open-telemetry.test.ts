import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { healthMetrics } from './health-metrics.js'
import { Metrics } from './metrics.js'
import { exportToMeter } from './open-telemetry.js'

let exporter: InMemoryMetricExporter
let reader: PeriodicExportingMetricReader
let provider: MeterProvider
let metrics: Metrics

beforeEach(() => {
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  provider = new MeterProvider({ readers: [reader] })
  metrics = new Metrics()
})

afterEach(async () => {
  await provider.shutdown()
})

/** What the next export says: name, unit, and for each series its labels and its value, or its count and sum. */
async function exported() {
  exporter.reset()
  await reader.forceFlush()
  const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
  return Object.fromEntries(
    all.map(({ descriptor, dataPoints }) => [
      `${descriptor.name} ${descriptor.unit}`,
      dataPoints.map(({ attributes, value }) => ({
        ...attributes,
        value: typeof value === 'object' && 'sum' in value ? [value.count, value.sum] : value,
      })),
    ]),
  )
}

describe('a meter of OpenTelemetry', () => {
  it('gets the numbers of all other sources when one is broken, which is told once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => void warn.mockRestore())
    metrics.counter('bot_replies', { help: 'Replies.' }).add(2)
    let isBroken = true
    const broken = {
      collect() {
        if (isBroken) throw new Error('out of order')
        return [{ name: 'mended', help: 'Help.', type: 'gauge' as const, samples: [{ labels: {}, value: 1 }] }]
      },
    }
    const end = exportToMeter(provider.getMeter('bot'), broken, metrics)
    for (let times = 0; times < 2; times++) expect(await exported()).toEqual({ 'bot_replies ': [{ value: 2 }] })
    expect(warn.mock.calls.map(([warning]) => warning)).toEqual([
      'OpenTelemetry is not given the numbers of source 1: out of order',
    ])
    isBroken = false
    await exported()
    expect(await exported()).toEqual({ 'bot_replies ': [{ value: 2 }], 'mended ': [{ value: 1 }] })
    end()
  })

  it('is given counters, gauges and histograms, with their labels and units', async () => {
    const replies = metrics.counter('bot_replies', { help: 'Replies.', labels: ['kind'] })
    metrics.gauge('bot_room', { help: 'Room.', unit: 'bytes' }).set(7)
    const commands = metrics.calls('bot_command', { help: 'Commands.', labels: ['command'] })
    const end = exportToMeter(provider.getMeter('bot'), metrics)
    replies.with({ kind: 'text' }).add(2)
    replies.with({ kind: 'image' }).add()
    commands.with({ command: 'remind' }).record(250, true)
    commands.with({ command: 'remind' }).record(750)
    expect(await exported()).toEqual({
      'bot_replies ': [
        { kind: 'text', value: 2 },
        { kind: 'image', value: 1 },
      ],
      'bot_room_bytes By': [{ value: 7 }],
      'bot_command_failures ': [{ command: 'remind', value: 1 }],
      'bot_command_active ': [{ command: 'remind', value: 0 }],
      'bot_command_duration_seconds s': [{ command: 'remind', value: [2, 1] }],
    })
    end()
    replies.with({ kind: 'text' }).add(5)
    commands.with({ command: 'remind' }).record(9)
    expect((await exported())['bot_command_duration_seconds s']).toEqual([{ command: 'remind', value: [2, 1] }])
  })

  it('hears of metrics that are declared later', async () => {
    exportToMeter(provider.getMeter('bot'), metrics)
    metrics.counter('bot_replies', { help: 'Replies.' }).add(3)
    expect(await exported()).toEqual({ 'bot_replies ': [{ value: 3 }] })
  })

  it('asks once at each export, and not any more once it has ended, whenever a metric was declared', async () => {
    let asked = 0
    metrics.gauge('bot_early', { help: 'Early.', read: () => ++asked })
    const end = exportToMeter(provider.getMeter('bot'), metrics)
    metrics.gauge('bot_late', { help: 'Late.' })
    asked = 0
    await exported()
    expect(asked).toBe(1)
    end()
    metrics.gauge('bot_later', { help: 'Later.' })
    await exported()
    expect(asked).toBe(1)
  })

  it('hears of what a source of somebody else has later, from the export after that', async () => {
    const family = (name: string) => ({ name, help: '', type: 'gauge' as const, samples: [{ labels: {}, value: 1 }] })
    const names = ['early']
    exportToMeter(provider.getMeter('bot'), { collect: () => names.map(family) })
    names.push('late')
    await exported()
    expect(Object.keys(await exported())).toEqual(['early ', 'late '])
  })

  it('is given the health of a monitor', async () => {
    const health = { status: 'up', components: new Map([['db', { status: 'down', since: 5_000 }]]) }
    exportToMeter(provider.getMeter('bot'), healthMetrics(health))
    const all = await exported()
    expect(all['health_component_status ']).toContainEqual({ component: 'db', status: 'down', value: 1 })
    expect(all['health_component_status_since_timestamp_seconds s']).toEqual([{ component: 'db', value: 5 }])
  })

  it('is refused when it is none', () => {
    expect(() => exportToMeter({} as never, metrics)).toThrow('the meter is none')
    expect(() => exportToMeter(provider.getMeter('bot'), {} as never)).toThrow('collect()')
  })
})
