import type { HistogramSample, Labels, MetricFamily } from './metric-family.js'
import { counterBase, isLabelName } from './names.js'

/** The two formats that Prometheus reads. */
export type TextFormat = 'prometheus' | 'openmetrics'

/** What to call them in HTTP. */
export const CONTENT_TYPES: Readonly<Record<TextFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** What a page ends with. */
export const LAST_LINE: Readonly<Record<TextFormat, string>> = { prometheus: '', openmetrics: '# EOF\n' }

/**
 * One family, as the text format of Prometheus (0.0.4) or OpenMetrics (1.0.0) wants it.
 *
 * @returns its lines; nothing for a family without series
 * @throws TypeError when it cannot be written down: a label or number that is none, or the same series twice
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @see https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
 */
export function familyText(family: MetricFamily, format: TextFormat): string {
  const { type, unit } = family
  if (type !== 'counter' && type !== 'gauge' && type !== 'histogram') {
    throw new TypeError(`${JSON.stringify(type)} is no type; there are counter, gauge and histogram`)
  }
  const isOpen = format === 'openmetrics'
  const name = isOpen && type === 'counter' ? counterBase(family.name) : family.name
  let text = ''
  const seen = new Set<string>()
  const inBraces = (labels: Labels): string => {
    const pairs = labelPairs(labels, type)
    const key = keyOf(labels, pairs)
    if (seen.has(key)) throw new TypeError(`the series {${pairs}} is there twice`)
    seen.add(key)
    return pairs
  }
  if (family.type === 'histogram') {
    for (const sample of family.samples) text += histogramLines(name, inBraces(sample.labels), sample, isOpen)
  } else {
    const sampleName = isOpen && type === 'counter' ? `${name}_total` : name
    for (const { labels, value } of family.samples) {
      const pairs = inBraces(labels)
      text += pairs === '' ? `${sampleName} ${number(value)}\n` : `${sampleName}{${pairs}} ${number(value)}\n`
    }
  }
  if (text === '') return ''
  const unitLine = isOpen && unit !== undefined && name.endsWith(`_${unit}`) ? `# UNIT ${name} ${unit}\n` : ''
  return `# HELP ${name} ${helpText(family.help, isOpen)}\n# TYPE ${name} ${type}\n${unitLine}${text}`
}

function histogramLines(
  name: string,
  pairs: string,
  { bounds, counts, sum }: HistogramSample,
  isOpen: boolean,
): string {
  const others = pairs === '' ? '' : `${pairs},`
  const starts = bucketStarts(bounds, isOpen)
  let text = ''
  let total = 0
  // A page's buckets contain all that are smaller.
  for (let index = 0; index < starts.length; index++) {
    const count = counts[index] ?? 0
    if (typeof count !== 'number' || !(count >= 0)) throw new TypeError(`a bucket cannot hold ${String(count)}`)
    total += count
    text += `${name}_bucket{${others}${starts[index]}${total}\n`
  }
  const braces = pairs === '' ? '' : `{${pairs}}`
  return `${text}${name}_sum${braces} ${number(sum)}\n${name}_count${braces} ${total}\n`
}

const startsOfBounds = { open: new WeakMap<object, string[]>(), plain: new WeakMap<object, string[]>() }

/** `le="0.5"} ` for each bound. The bounds of a histogram stay the same, and so does what is written of them. */
function bucketStarts(bounds: readonly number[], isOpen: boolean): readonly string[] {
  const known = isOpen ? startsOfBounds.open : startsOfBounds.plain
  let starts = known.get(bounds)
  if (starts === undefined) {
    const finite = bounds.filter((bound) => bound !== Infinity)
    if (!finite.every((bound, at) => (at === 0 ? bound < Infinity : bound > (finite[at - 1] as number)))) {
      throw new TypeError(`the bounds ${bounds.join(', ')} do not ascend`)
    }
    starts = [...finite, Infinity].map((bound) => `le="${isOpen ? canonical(bound) : number(bound)}"} `)
    if (Object.isFrozen(bounds)) known.set(bounds, starts)
  }
  return starts
}

function labelPairs(labels: Labels, type: MetricFamily['type']): string {
  let pairs = ''
  for (const name in labels) {
    if (!isLabelName(name, type)) throw new TypeError(`${JSON.stringify(name)} is no name for a label`)
    pairs += `${pairs === '' ? '' : ','}${name}="${labelText(String(labels[name]))}"`
  }
  return pairs
}

/** What the series is known by: labels in another order are the same labels. */
function keyOf(labels: Labels, pairs: string): string {
  let before = ''
  for (const name in labels) {
    if (name < before) return labelPairs(Object.fromEntries(Object.entries(labels).sort()), 'gauge')
    before = name
  }
  return pairs
}

function labelText(value: string): string {
  if (!/[\\"\n\ud800-\udfff]/.test(value)) return value
  return value
    .replace(/\\/g, '\\\\')
    .replace(/"/g, '\\"')
    .replace(/\n/g, '\\n')
    .replace(/\p{Surrogate}/gu, '\ufffd')
}

function helpText(help: string, isOpen: boolean): string {
  const text = help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
  return isOpen ? text.replace(/"/g, '\\"') : text
}

function number(value: number): string {
  if (typeof value !== 'number') throw new TypeError(`${String(value)} is no number`)
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return String(value)
}

/** OpenMetrics wants bounds that look the same from everybody: `1.0`. */
function canonical(bound: number): string {
  const text = number(bound)
  return /^\d+$/.test(text) ? `${text}.0` : text
}
