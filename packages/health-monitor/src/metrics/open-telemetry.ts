import { counterBase } from './names.js'
import type { Labels, MetricFamily, MetricSource, Observation } from './metric-family.js'
import { type Complain, complainOnce } from './warnings.js'

/** What OpenTelemetry gives to whoever is asked for numbers. */
export interface OtelObserver<Instrument> {
  /** One number of one instrument. */
  observe(instrument: Instrument, value: number, attributes?: Labels): void
}

/** How OpenTelemetry describes an instrument. */
export interface OtelDescription {
  /** For people. */
  readonly description?: string
  /** In the code of UCUM: `s`, `By`, `1`. */
  readonly unit?: string
  /** A wish of ours. */
  readonly advice?: {
    /** The bounds of the buckets. */
    readonly explicitBucketBoundaries?: number[]
  }
}

/** The little of OpenTelemetry's `Meter` that is needed; `metrics.getMeter('bot')` of `@opentelemetry/api` fits. */
export interface OtelMeter<Instrument> {
  /** Makes an instrument that is read when OpenTelemetry exports. */
  createObservableCounter(name: string, options?: OtelDescription): Instrument
  /** As for a counter. */
  createObservableGauge(name: string, options?: OtelDescription): Instrument
  /** Makes an instrument that is told each observation. */
  createHistogram(
    name: string,
    options?: OtelDescription,
  ): {
    /** Takes one observation. */
    record(value: number, attributes?: Labels): void
  }
  /** From now on the callback is asked at each export. */
  addBatchObservableCallback(callback: (observer: OtelObserver<Instrument>) => void, instruments: Instrument[]): void
  /** From now on it is not. */
  removeBatchObservableCallback(callback: (observer: OtelObserver<Instrument>) => void, instruments: Instrument[]): void
}

const UCUM: Readonly<Record<string, string>> = { seconds: 's', bytes: 'By', ratio: '1' }

/**
 * Gives the numbers of several sources to OpenTelemetry, by a meter that is handed in; nothing of OpenTelemetry is imported.
 *
 * @remarks
 * Counters and gauges are read at each export. Histograms are told each observation as it is made, because OpenTelemetry
 * keeps its own; that makes an observation as slow as OpenTelemetry is. Names lose `_total`, which is for Prometheus.
 *
 * *Gotchas*: what was observed before this call is in no histogram of OpenTelemetry. A source that throws is left out, and
 * becomes one process warning with the code `EVENKEEL_METRICS`.
 *
 * @param meter - `metrics.getMeter('bot')` of `@opentelemetry/api`, or anything of its shape
 * @param sources - what to export
 * @returns ends it
 * @throws TypeError when the meter or a source is none
 *
 * @example
 * ```ts
 * import { exportToMeter, Metrics } from '@evenkeel/health-monitor/metrics'
 *
 * const exported: string[] = []
 * const meter = {
 *   createObservableCounter: (name: string) => exported.push(name),
 *   createObservableGauge: (name: string) => exported.push(name),
 *   createHistogram: () => ({ record() {} }),
 *   addBatchObservableCallback() {},
 *   removeBatchObservableCallback() {},
 * } // with OpenTelemetry: const meter = metrics.getMeter('bot')
 *
 * const metrics = new Metrics()
 * metrics.counter('bot_replies', { help: 'Replies sent.' })
 * const end = exportToMeter(meter, metrics)
 * console.log(exported) // => [ 'bot_replies' ]
 * end()
 * ```
 */
export function exportToMeter<Instrument>(meter: OtelMeter<Instrument>, ...sources: MetricSource[]): () => void {
  if (typeof (meter as Partial<typeof meter> | undefined)?.addBatchObservableCallback !== 'function') {
    throw new TypeError('exportToMeter: the meter is none; give metrics.getMeter(name) of @opentelemetry/api')
  }
  const strangers: readonly (Partial<MetricSource> | undefined)[] = sources
  if (strangers.some((source) => typeof source?.collect !== 'function')) {
    throw new TypeError('exportToMeter: every source needs collect(); give a Metrics or the like')
  }
  const complain = complainOnce()
  const families = (): Generator<NumberFamily> => familiesOf(sources, complain)
  const instruments = new Map<string, Instrument>()
  let registered: Instrument[] = []

  const observeAll = (observer: OtelObserver<Instrument>): void => {
    let isSomethingNew = false
    for (const family of families()) {
      const instrument = instruments.get(family.name)
      if (instrument === undefined) isSomethingNew = true
      else for (const { labels, value } of family.samples) observer.observe(instrument, value, labels)
    }
    // Of a source that does not tell what is new: it is exported from the next time on.
    if (isSomethingNew) registerNew()
  }

  const registerNew = (): void => {
    const before = instruments.size
    for (const family of families()) {
      if (!instruments.has(family.name)) instruments.set(family.name, instrumentFor(meter, family))
    }
    if (instruments.size === before) return
    if (registered.length > 0) meter.removeBatchObservableCallback(observeAll, registered)
    registered = [...instruments.values()]
    meter.addBatchObservableCallback(observeAll, registered)
  }

  registerNew()
  const ends = sources.flatMap((source) => [source.tap?.(histogramsOf(meter)), source.onDeclared?.(registerNew)])
  return () => {
    if (registered.length > 0) meter.removeBatchObservableCallback(observeAll, registered)
    for (const end of ends) end?.()
  }
}

type NumberFamily = Exclude<MetricFamily, { type: 'histogram' }>

/** OpenTelemetry gives up the whole callback when it throws, and with it the numbers of all sources. */
function* familiesOf(sources: readonly MetricSource[], complain: Complain): Generator<NumberFamily> {
  for (const [index, source] of sources.entries()) {
    let families: MetricFamily[] = []
    try {
      families = [...source.collect()]
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      complain(`OpenTelemetry is not given the numbers of source ${index + 1}: ${why}`)
    }
    for (const family of families) if (family.type !== 'histogram') yield family
  }
}

function instrumentFor<Instrument>(meter: OtelMeter<Instrument>, { name, type, help, unit }: NumberFamily): Instrument {
  const description = { description: help, unit: UCUM[unit ?? ''] ?? '' }
  if (type === 'counter') return meter.createObservableCounter(counterBase(name), description)
  return meter.createObservableGauge(name, description)
}

function histogramsOf(meter: Pick<OtelMeter<unknown>, 'createHistogram'>): (observation: Observation) => void {
  const histograms = new Map<string, ReturnType<typeof meter.createHistogram>>()
  return ({ name, help, unit, bounds, labels, value }) => {
    let histogram = histograms.get(name)
    if (histogram === undefined) {
      const advice = { explicitBucketBoundaries: [...bounds] }
      histogram = meter.createHistogram(name, { description: help, unit: UCUM[unit ?? ''] ?? '', advice })
      histograms.set(name, histogram)
    }
    histogram.record(value, labels)
  }
}
