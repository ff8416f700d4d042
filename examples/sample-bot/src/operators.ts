import { join } from 'node:path'
import { Alerts, type Channel } from '@evenkeel/alerts'
import type { HealthMonitor } from '@evenkeel/health-monitor'
import { HealthServer, LiveServer, Readiness } from '@evenkeel/health-monitor/http'
import { healthMetrics, Metrics, ProcessMetrics } from '@evenkeel/health-monitor/metrics'

export interface OperatorsOptions {
  /** Where alerts are kept until somebody was told. */
  readonly dataDirectory: string
  /** Who is told when something is wrong; the console unless told. */
  readonly alertChannels?: Readonly<Record<string, Channel>>
  /** How long an alert waits for others, milliseconds. */
  readonly alertWaitMs?: number
  /** Where `/ready`, `/health` and `/metrics` are served; 0 for any port, nowhere unless told. */
  readonly healthPort?: number
  /** What to show for details and metrics, 16 characters or more; whoever reaches the port sees the metrics unless told. */
  readonly healthToken?: string
  /** Where `/live` is answered, by a thread of its own; 0 for any port, nowhere unless told. */
  readonly livePort?: number
}

/** How commands are counted: cheap enough for each of them. */
export function createMetrics() {
  const metrics = new Metrics()
  const commands = metrics.calls('bot_command', { help: 'Commands that members gave.', labels: ['command'] })
  return { metrics, commands }
}

/** What the people who run the bot look at, and what wakes them up. */
export function createOperators(health: HealthMonitor, metrics: Metrics, options: OperatorsOptions) {
  const { dataDirectory, alertChannels = {}, alertWaitMs, healthPort, healthToken, livePort } = options
  const alerts = new Alerts({
    channels: alertChannels,
    path: join(dataDirectory, 'alerts'),
    ...(alertWaitMs === undefined ? {} : { groupWaitMs: alertWaitMs }),
  })
  const machine = new ProcessMetrics()
  // Off until the last part of the bot has started: `/startup` and `/ready` speak for all of them.
  const readiness = new Readiness()
  const pages =
    healthPort === undefined
      ? undefined
      : new HealthServer(health, {
          port: healthPort,
          readiness,
          metrics: [metrics, machine, healthMetrics(health)],
          ...(healthToken === undefined ? {} : { token: healthToken }),
        })
  const live = livePort === undefined ? undefined : new LiveServer({ port: livePort })
  return { alerts, machine, readiness, pages, live }
}
