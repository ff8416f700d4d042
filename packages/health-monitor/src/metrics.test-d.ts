import { metrics as otel } from '@opentelemetry/api'
import { HealthMonitor } from './index.js'
import { exportToMeter, healthMetrics, Metrics, MetricsPage, ProcessMetrics } from './metrics.js'

const metrics = new Metrics()
const health = new HealthMonitor({ checks: { disk: { check: () => true } } })

// Labels are those that were declared, all of them.
const replies = metrics.counter('bot_replies', { help: 'Replies.', labels: ['kind', 'to'] })
replies.with({ kind: 'text', to: 'dm' }).add()
// @ts-expect-error a label is missing
replies.with({ kind: 'text' })
// @ts-expect-error no such label
replies.with({ kind: 'text', to: 'dm', guild: '1' })
// @ts-expect-error a value is a string
replies.with({ kind: 'text', to: 5 })
// @ts-expect-error with labels, each set of values has its own counter
export const single: { add(): void } = replies
// @ts-expect-error without labels there is only one
export const several: { with(labels: object): unknown } = metrics.counter('bot_errors', { help: 'Errors.' })
// @ts-expect-error a gauge that is read cannot be set
export const settable: { set(value: number): void } = metrics.gauge('bot_guilds', { help: 'Guilds.', read: () => 5 })
// @ts-expect-error a counter has no buckets
metrics.counter('bot_starts', { help: 'Starts.', smallest: 1 })
// @ts-expect-error help is for those who will read the page
metrics.gauge('bot_users', {})

// A recorder of calls fits the checks that look at error rates and latency.
const commands = metrics.calls('bot_command', { help: 'Commands.', labels: ['command'] })
const errors: () => { readonly calls: number; readonly failures: number } = () => commands.errors()
const latency: () => { readonly bounds: readonly number[]; readonly counts: readonly number[] } = () =>
  commands.with({ command: 'remind' }).latency()
export const sources = [errors, latency]

// All of them are sources, also for OpenTelemetry's own meter.
new MetricsPage(metrics, new ProcessMetrics(), healthMetrics(health))
exportToMeter(otel.getMeter('bot'), metrics, healthMetrics(health))
// @ts-expect-error a monitor is not numbers; healthMetrics makes them
new MetricsPage(health)
