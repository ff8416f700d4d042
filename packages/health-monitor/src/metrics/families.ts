import type { Calls } from './calls.js'
import type { Histogram } from './histogram.js'
import type { HistogramSample, Labels, MetricFamily, MetricSample } from './metric-family.js'
import { type MetricUnit, UNITS } from './names.js'
import type { Complain } from './warnings.js'

/** How a metric is written down. */
export interface Written {
  readonly name: string
  readonly help: string
  readonly unit: MetricUnit | undefined
}

/** One series and what records it. */
export interface Entry<Handle> {
  readonly labels: Labels
  readonly handle: Handle
}

export function numberFamily(
  written: Written,
  type: 'counter' | 'gauge',
  entries: Iterable<Entry<{ readonly value: number }>>,
): MetricFamily {
  return samplesFamily(written, type, entries, ({ value }) => value)
}

/** Reads now. What cannot be read is left out: a number that somebody invents is worse than none. */
export function readFamily(written: Written, read: () => number, complain: Complain): MetricFamily[] {
  try {
    const value: unknown = read()
    if (typeof value !== 'number') throw new TypeError(`read() returned a ${typeof value}`)
    return [samplesFamily(written, 'gauge', [{ labels: {}, handle: value }], (handle) => handle)]
  } catch (error) {
    complain(`it could not be read and is left out: ${String(error)}`)
    return []
  }
}

export function histogramFamily(written: Written, entries: Iterable<Entry<Histogram>>): MetricFamily {
  const samples: HistogramSample[] = []
  for (const { labels, handle } of entries) {
    samples.push({
      labels,
      bounds: inBaseUnit(handle.bounds, written.unit),
      counts: handle.coarseCounts(),
      sum: scale(handle.sum, written.unit),
    })
  }
  return { ...described(written), type: 'histogram', samples }
}

export function callsFamilies(
  took: Written,
  failures: string,
  active: string,
  entries: Iterable<Entry<Calls>>,
): MetricFamily[] {
  const all = [...entries]
  const { help } = took
  return [
    histogramFamily(
      took,
      all.map(({ labels, handle }) => ({ labels, handle: handle.took })),
    ),
    samplesFamily(
      { name: failures, help: `${help} Those that failed.`, unit: undefined },
      'counter',
      all,
      (calls) => calls.failures,
    ),
    samplesFamily(
      { name: active, help: `${help} Those under way.`, unit: undefined },
      'gauge',
      all,
      (calls) => calls.active,
    ),
  ]
}

function samplesFamily<Handle>(
  written: Written,
  type: 'counter' | 'gauge',
  entries: Iterable<Entry<Handle>>,
  valueOf: (handle: Handle) => number,
): MetricFamily {
  const samples: MetricSample[] = []
  for (const { labels, handle } of entries) samples.push({ labels, value: scale(valueOf(handle), written.unit) })
  return { ...described(written), type, samples }
}

function described({ name, help, unit }: Written): { name: string; help: string; unit?: string } {
  return unit === undefined ? { name, help } : { name, help, unit: UNITS[unit].base }
}

function scale(value: number, unit: MetricUnit | undefined): number {
  return unit === 'ms' ? value / UNITS.ms.perBase : value
}

/** The bounds of a histogram never change, so whoever writes them down may know them again by identity. */
const scaledBounds = new WeakMap<readonly number[], readonly number[]>()

function inBaseUnit(bounds: readonly number[], unit: MetricUnit | undefined): readonly number[] {
  if (unit !== 'ms') return bounds
  let scaled = scaledBounds.get(bounds)
  if (scaled === undefined) {
    scaled = Object.freeze(bounds.map((bound) => bound / UNITS.ms.perBase))
    scaledBounds.set(bounds, scaled)
  }
  return scaled
}
