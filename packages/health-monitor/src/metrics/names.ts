import type { MetricFamily } from './metric-family.js'

/** Lower snake case without a colon: all that `promtool check metrics` does not complain about. */
const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/

/** Suffixes with a meaning of their own, which the type of a metric gives it. */
const RESERVED_SUFFIX = /_(total|count|sum|bucket|created|info)$/

/** The unit that is written down, and how many of the recorded ones make one of it. */
export const UNITS: Readonly<Record<MetricUnit, { readonly base: string; readonly perBase: number }>> = {
  ms: { base: 'seconds', perBase: 1_000 },
  seconds: { base: 'seconds', perBase: 1 },
  bytes: { base: 'bytes', perBase: 1 },
  ratio: { base: 'ratio', perBase: 1 },
}

/** In what a metric is recorded. `ms` is written down as seconds, which is what Prometheus asks for. */
export type MetricUnit = 'ms' | 'seconds' | 'bytes' | 'ratio'

/**
 * The full name of a metric: `bot_reply` in `ms` is `bot_reply_seconds`, a counter `bot_commands` is
 * `bot_commands_total`.
 *
 * @throws TypeError when the name is not valid, or says what its type or unit will add
 */
export function fullName(name: string, type: MetricFamily['type'], unit: MetricUnit | undefined): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new TypeError(
      `Metrics: ${JSON.stringify(name)} is no name for a metric; use lower snake case such as bot_commands`,
    )
  }
  if (unit !== undefined && !Object.hasOwn(UNITS, unit)) {
    throw new TypeError(`Metrics: ${name} has no valid unit; use one of ${Object.keys(UNITS).join(', ')}, or none`)
  }
  const suffix = RESERVED_SUFFIX.exec(name)?.[0]
  if (suffix !== undefined) {
    throw new TypeError(`Metrics: leave ${suffix} out of the name ${name}; a suffix like it follows from the type`)
  }
  const base = unit === undefined ? '' : `_${UNITS[unit].base}`
  if (/_(ms|milliseconds)$/.test(name) || (base !== '' && name.endsWith(base))) {
    throw new TypeError(`Metrics: leave the unit out of the name ${name}, and say unit: 'ms' or another`)
  }
  return `${name}${base}${type === 'counter' ? '_total' : ''}`
}

/** @throws TypeError when the name of calls says what is added to it */
export function requireBareName(name: string): void {
  const suffix = /(_(duration|seconds|failures|active))+$/.exec(name)?.[0]
  if (suffix === undefined) return
  throw new TypeError(
    `Metrics: leave ${suffix} out of the name ${name}; calls get _duration_seconds and the like themselves`,
  )
}

/** @throws TypeError when the labels are none */
export function requireLabels(name: string, labels: readonly string[], type: MetricFamily['type']): void {
  if (!Array.isArray(labels) || labels.length === 0) {
    throw new TypeError(`Metrics: the labels of ${name} are a list of names; leave it out when there are none`)
  }
  if (new Set(labels).size < labels.length) throw new TypeError(`Metrics: ${name} has a label twice`)
  for (const label of labels as readonly string[]) {
    if (isLabelName(label, type) && NAME.test(label) && label !== 'le' && label !== 'quantile') continue
    throw new TypeError(
      `Metrics: ${name} cannot have the label ${JSON.stringify(label)}; use lower snake case, and not le or quantile`,
    )
  }
}

/** Whether a page may show it: the letter of the format, which is wider than what we give out ourselves. */
export function isLabelName(label: string, type: MetricFamily['type']): boolean {
  if (typeof label !== 'string' || !/^[a-zA-Z_]\w*$/.test(label) || label.startsWith('__')) return false
  return type !== 'histogram' || label !== 'le'
}

/** As {@link isLabelName}. */
export function isMetricName(name: string): boolean {
  return typeof name === 'string' && /^[a-zA-Z_:][\w:]*$/.test(name)
}

/** All that a family puts on a page, in either format; no other family may use any of it. */
export function namesOf(name: string, type: MetricFamily['type']): string[] {
  if (type === 'histogram') return [name, `${name}_bucket`, `${name}_count`, `${name}_sum`, `${name}_created`]
  if (type === 'counter') return [counterBase(name), `${counterBase(name)}_total`, `${counterBase(name)}_created`]
  return [name]
}

/** The name of a counter's family in OpenMetrics. */
export function counterBase(name: string): string {
  return name.endsWith('_total') ? name.slice(0, -'_total'.length) : name
}
