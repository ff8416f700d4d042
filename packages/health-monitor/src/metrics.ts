export { Metrics } from './metrics/metrics.js'
export {
  type BucketOptions,
  type LabelOptions,
  metricDefaults,
  type MetricOptions,
  type MetricsOptions,
  type ReadOptions,
  type UnitOptions,
} from './metrics/options.js'
export type { Counter } from './metrics/counter.js'
export type { Gauge } from './metrics/gauge.js'
export type { BucketCounts, Histogram } from './metrics/histogram.js'
export type { Calls, ErrorCounts, LabelledCalls } from './metrics/calls.js'
export type { Labelled } from './metrics/labelled.js'
export type { RecentObservations } from './metrics/sliding-window.js'
export type { MetricUnit } from './metrics/names.js'
export type {
  DescribedFamily,
  HistogramSample,
  Labels,
  MetricFamily,
  MetricSample,
  MetricSource,
  Observation,
} from './metrics/metric-family.js'
export { MetricsPage, type RenderedMetrics } from './metrics/metrics-page.js'
export { healthMetrics, type MeasuredComponent, type MeasuredHealth } from './metrics/health-metrics.js'
export { ProcessMetrics, processMetricsDefaults, type ProcessMetricsOptions } from './metrics/process-metrics.js'
export { exportToMeter, type OtelDescription, type OtelMeter, type OtelObserver } from './metrics/open-telemetry.js'
export type { Clock } from './ports.js'
