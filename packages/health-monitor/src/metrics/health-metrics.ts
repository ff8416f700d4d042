import type { MetricFamily, MetricSample, MetricSource } from './metric-family.js'

/** What is known of a component, as far as numbers go. */
export interface MeasuredComponent {
  /** How it is. */
  readonly status: string
  /** Since when, epoch ms. */
  readonly since: number
  /** When it was last looked at, epoch ms. */
  readonly observedAt?: number | undefined
  /** How long that look took, in ms. */
  readonly tookMs?: number | undefined
}

/** Anything that knows how it is: a `HealthMonitor`, or the like. */
export interface MeasuredHealth {
  /** How the whole is. */
  readonly status: string
  /** How the components are, by name. */
  readonly components: ReadonlyMap<string, MeasuredComponent>
}

const STATUSES = ['up', 'degraded', 'down', 'unknown'] as const

/**
 * The status of a monitor and of its components, as numbers: of four gauges, one for each status, the one that holds is 1.
 *
 * @param health - a `HealthMonitor`, or anything of its shape
 * @returns what a {@link MetricsPage} takes
 *
 * @example
 * ```ts
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { healthMetrics, MetricsPage } from '@evenkeel/health-monitor/metrics'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
 * await health.checkNow()
 * const { text } = new MetricsPage(healthMetrics(health)).render()
 * console.log(text.includes('health_component_status{component="disk",status="up"} 1')) // => true
 * ```
 */
export function healthMetrics(health: MeasuredHealth): MetricSource {
  return {
    collect(): MetricFamily[] {
      const components = [...health.components]
      return [
        gauge('health_status', 'Whether the whole is in this status.', statusSamples({}, health.status)),
        gauge(
          'health_component_status',
          'Whether the component is in this status.',
          components.flatMap(([component, { status }]) => statusSamples({ component }, status)),
        ),
        times('health_component_status_since', 'Since when the component has its status.', components, 'since', 'at'),
        times('health_component_observed', 'When the component was last looked at.', components, 'observedAt', 'at'),
        times('health_component_check', 'How long the last look took.', components, 'tookMs', 'took'),
      ]
    },
  }
}

function statusSamples(labels: Readonly<Record<string, string>>, now: string): MetricSample[] {
  return STATUSES.map((status) => ({ labels: { ...labels, status }, value: status === now ? 1 : 0 }))
}

function times(
  name: string,
  help: string,
  components: readonly [string, MeasuredComponent][],
  field: 'since' | 'observedAt' | 'tookMs',
  kind: 'at' | 'took',
): MetricFamily {
  const samples = components.flatMap(([component, health]) => {
    const ms = health[field]
    return typeof ms === 'number' ? [{ labels: { component }, value: ms / 1_000 }] : []
  })
  const full = kind === 'at' ? `${name}_timestamp_seconds` : `${name}_duration_seconds`
  return { ...gauge(full, help, samples), unit: 'seconds' }
}

function gauge(name: string, help: string, samples: MetricSample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}
