import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
} from 'prom-client'
import { Metrics, MetricsPage, ProcessMetrics } from '@evenkeel/health-monitor/metrics'
import { measure, print } from '../measure.js'

const MASK = 1_023

/** Durations up to 3 s, most of them short. */
const durations = Float64Array.from(
  { length: MASK + 1 },
  (_, index) => 3_000 * (((index * 7_919) % 1_009) / 1_009) ** 3,
)

/** One observation, by a handle and with labels. */
export async function record(): Promise<void> {
  const metrics = new Metrics()
  const ours = metrics.histogram('ours', { help: 'Durations.', unit: 'ms' })
  const calls = metrics.calls('calls', { help: 'Calls.' })
  const labelled = metrics.histogram('labelled', { help: 'Durations.', unit: 'ms', labels: ['command'] })
  const registers = [new Registry()]
  const theirs = new PromHistogram({ name: 'theirs', help: 'Durations.', registers })
  const theirLabelled = new PromHistogram({ name: 'labelled', help: 'Durations.', labelNames: ['command'], registers })
  const child = theirLabelled.labels({ command: 'remind' })
  let sink = 0
  print(
    'health: one observation of a histogram',
    await measure(
      [
        {
          name: 'floor: a sum',
          run(count) {
            for (let i = 0; i < count; i++) sink += durations[i & MASK] as number
          },
        },
        {
          name: 'evenkeel histogram.observe(ms)',
          run(count) {
            for (let i = 0; i < count; i++) ours.observe(durations[i & MASK] as number)
          },
        },
        {
          name: 'evenkeel calls.record(ms, isFailure)',
          run(count) {
            for (let i = 0; i < count; i++) calls.record(durations[i & MASK] as number, (i & 31) === 0)
          },
        },
        {
          name: 'evenkeel labelled.with({ ... }).observe(ms)',
          run(count) {
            for (let i = 0; i < count; i++) labelled.with({ command: 'remind' }).observe(durations[i & MASK] as number)
          },
        },
        {
          name: 'prom-client histogram.observe(s)',
          run(count) {
            for (let i = 0; i < count; i++) theirs.observe((durations[i & MASK] as number) / 1_000)
          },
        },
        {
          name: 'prom-client child.observe(s)',
          run(count) {
            for (let i = 0; i < count; i++) child.observe((durations[i & MASK] as number) / 1_000)
          },
        },
        {
          name: 'prom-client histogram.observe({ ... }, s)',
          run(count) {
            for (let i = 0; i < count; i++)
              theirLabelled.observe({ command: 'remind' }, (durations[i & MASK] as number) / 1_000)
          },
        },
      ],
      1_000_000,
    ),
  )
  if (sink < 0) throw new Error('Never: the sum keeps the loops from being optimised away')
}

/** A page of sixty series: twenty counters, twenty-one gauges, and a histogram of nineteen lines. */
export async function scrape(): Promise<void> {
  const metrics = new Metrics()
  const counters = metrics.counter('commands', { help: 'Commands.', labels: ['command', 'outcome'] })
  const gauges = metrics.gauge('queue', { help: 'Waiting.', labels: ['shard'] })
  const took = metrics.histogram('took', { help: 'Durations.', unit: 'ms' })
  const register = new Registry()
  const registers = [register]
  const theirCounters = new PromCounter({
    name: 'commands_total',
    help: 'Commands.',
    labelNames: ['command', 'outcome'],
    registers,
  })
  const theirGauges = new PromGauge({ name: 'queue', help: 'Waiting.', labelNames: ['shard'], registers })
  const buckets = Array.from({ length: 16 }, (_, index) => 2 ** index / 1_000)
  const theirTook = new PromHistogram({ name: 'took_seconds', help: 'Durations.', buckets, registers })
  for (let index = 0; index < 20; index++) {
    const labels = { command: `command-${index >> 1}`, outcome: index % 2 === 0 ? 'ok' : 'failed' }
    counters.with(labels).add(index * 1_000)
    theirCounters.inc(labels, index * 1_000)
  }
  for (let index = 0; index < 21; index++) {
    gauges.with({ shard: String(index) }).set(index / 7)
    theirGauges.set({ shard: String(index) }, index / 7)
  }
  for (const ms of durations) {
    took.observe(ms)
    theirTook.observe(ms / 1_000)
  }
  const page = new MetricsPage(metrics)
  console.log(`  ${linesOf(page.render().text)} series of ours, ${linesOf(await register.metrics())} of theirs`)
  let bytes = 0
  print(
    'health: a page of sixty series',
    await measure(
      [
        {
          name: 'evenkeel page.render()',
          run(count) {
            for (let i = 0; i < count; i++) bytes += page.render().text.length
          },
        },
        {
          name: 'prom-client register.metrics()',
          async run(count) {
            for (let i = 0; i < count; i++) bytes += (await register.metrics()).length
          },
        },
      ],
      3_000,
    ),
  )
  const numbers = new ProcessMetrics()
  const defaults = new Registry()
  collectDefaultMetrics({ register: defaults })
  const process = new MetricsPage(numbers)
  console.log(`  ${linesOf(process.render().text)} series of ours, ${linesOf(await defaults.metrics())} of theirs`)
  print(
    'health: a page about the process alone',
    await measure(
      [
        {
          name: 'evenkeel ProcessMetrics',
          run(count) {
            for (let i = 0; i < count; i++) bytes += process.render().text.length
          },
        },
        {
          name: 'prom-client default metrics',
          async run(count) {
            for (let i = 0; i < count; i++) bytes += (await defaults.metrics()).length
          },
        },
      ],
      1_000,
    ),
  )
  if (bytes < 0) throw new Error('Never: the sum keeps the pages from being optimised away')
}

function linesOf(text: string): number {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
}
