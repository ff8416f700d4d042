import { systemClock } from '../system-clock.js'
import { requireKnown } from '../options.js'
import type { Clock } from '../ports.js'
import { Calls, LabelledCalls } from './calls.js'
import { Counter } from './counter.js'
import { callsFamilies, type Entry, histogramFamily, numberFamily, readFamily, type Written } from './families.js'
import { Gauge } from './gauge.js'
import { Histogram, type HistogramKind } from './histogram.js'
import { Labelled } from './labelled.js'
import type { Labels, MetricFamily, MetricSource, Observation } from './metric-family.js'
import { fullName, namesOf, requireBareName, requireLabels, UNITS } from './names.js'
import {
  type BucketOptions,
  type LabelOptions,
  type MetricOptions,
  type MetricsOptions,
  type ReadOptions,
  resolveBuckets,
  resolveMetric,
  type UnitOptions,
} from './options.js'
import { type Complain, complainOnce } from './warnings.js'

const NO_LABELS: Labels = Object.freeze({})

/**
 * Records what a bot does, cheaply enough for every command, and shows it to whoever collects: a metrics page,
 * OpenTelemetry, a check.
 *
 * @remarks
 * A metric is declared once and gives a handle, or, with labels, one for each set of values; using a handle looks
 * nothing up. Names are given without unit and suffix, which follow: `bot_reply` in `ms` becomes `bot_reply_seconds`,
 * a counter `bot_commands` becomes `bot_commands_total`.
 *
 * *Gotchas*: numbers live in memory and begin at zero with the process, as Prometheus expects.
 *
 * @example
 * ```ts
 * import { Metrics } from '@evenkeel/health-monitor/metrics'
 *
 * const metrics = new Metrics()
 * const replies = metrics.counter('bot_replies', { help: 'Replies sent.', labels: ['kind'] })
 * const text = replies.with({ kind: 'text' }) // once
 * text.add() // for each reply
 * console.log(text.value) // => 1
 * ```
 */
export class Metrics implements MetricSource {
  readonly #clock: Clock
  readonly #families: (() => readonly MetricFamily[])[] = []
  readonly #names = new Set<string>()
  readonly #taps = new Set<(observation: Observation) => void>()
  readonly #tapped: (() => void)[] = []
  readonly #declared = new Set<() => void>()

  /**
   * Validates, and does nothing else.
   *
   * @param options - a clock, for tests
   * @throws TypeError when an option does not exist
   */
  constructor(options: MetricsOptions = {}) {
    requireKnown('Metrics', options, ['clock'])
    this.#clock = options.clock ?? systemClock
  }

  /**
   * Declares a number that only grows.
   *
   * @param name - in lower snake case, without unit and `_total`
   * @param options - what it counts
   * @returns its handle; with `labels`, one for each set of values
   * @throws TypeError or RangeError when the name is taken or not valid, or an option is wrong
   */
  counter(name: string, options: MetricOptions & UnitOptions): Counter
  counter<const Label extends string>(
    name: string,
    options: MetricOptions & UnitOptions & LabelOptions<Label>,
  ): Labelled<Counter, Label>
  counter(name: string, options: MetricOptions & UnitOptions & Partial<LabelOptions<string>>): unknown {
    const { help, maxSeries } = resolveMetric(name, options, ['labels', 'unit'])
    const written: Written = { name: fullName(name, 'counter', options.unit), help, unit: options.unit }
    const complain = complaintsOf(written)
    const { given, entries } = handles(
      written,
      'counter',
      options.labels,
      maxSeries,
      () => new Counter(complain),
      complain,
    )
    this.#declare([[written.name, 'counter']], () => [numberFamily(written, 'counter', entries())])
    return given
  }

  /**
   * Declares a number that goes up and down: one that is set, or one that is read when somebody looks.
   *
   * @param name - in lower snake case, without unit
   * @param options - what it is; and `read`, if it is to be read
   * @returns its handle; with `labels`, one for each set of values; with `read`, nothing
   * @throws TypeError or RangeError when the name is taken or not valid, or an option is wrong
   */
  gauge(name: string, options: MetricOptions & UnitOptions & ReadOptions): void
  gauge<const Label extends string>(
    name: string,
    options: MetricOptions & UnitOptions & LabelOptions<Label>,
  ): Labelled<Gauge, Label>
  gauge(name: string, options: MetricOptions & UnitOptions): Gauge
  gauge(name: string, options: MetricOptions & UnitOptions & Partial<LabelOptions<string> & ReadOptions>): unknown {
    const { help, maxSeries } = resolveMetric(name, options, ['labels', 'unit', 'read'])
    const { read, labels, unit } = options
    const written: Written = { name: fullName(name, 'gauge', unit), help, unit }
    const complain = complaintsOf(written)
    if (read !== undefined) {
      if (typeof read !== 'function' || labels !== undefined) {
        throw new TypeError(`Metrics: read of ${name} must be a function, and goes without labels`)
      }
      this.#declare([[written.name, 'gauge']], () => readFamily(written, read, complain))
      return undefined
    }
    const { given, entries } = handles(written, 'gauge', labels, maxSeries, () => new Gauge(complain), complain)
    this.#declare([[written.name, 'gauge']], () => [numberFamily(written, 'gauge', entries())])
    return given
  }

  /**
   * Declares sizes or durations, counted in buckets.
   *
   * @param name - in lower snake case, without unit
   * @param options - what it is, in which unit, and which sizes to expect
   * @returns its handle; with `labels`, one for each set of values
   * @throws TypeError or RangeError when the name is taken or not valid, or an option is wrong
   */
  histogram(name: string, options: MetricOptions & UnitOptions & BucketOptions): Histogram
  histogram<const Label extends string>(
    name: string,
    options: MetricOptions & UnitOptions & BucketOptions & LabelOptions<Label>,
  ): Labelled<Histogram, Label>
  histogram(
    name: string,
    options: MetricOptions & UnitOptions & BucketOptions & Partial<LabelOptions<string>>,
  ): unknown {
    const { help, maxSeries } = resolveMetric(name, options, ['labels', 'unit', 'smallest', 'largest', 'windowMs'])
    const written: Written = { name: fullName(name, 'histogram', options.unit), help, unit: options.unit }
    const kind = this.#kindOf(written, options)
    const make = (labels: Labels): Histogram => this.#listenTo(new Histogram(kind), written, labels)
    const { given, entries } = handles(written, 'histogram', options.labels, maxSeries, make, kind.complain)
    this.#declare([[written.name, 'histogram']], () => [histogramFamily(written, entries())])
    return given
  }

  /**
   * Declares calls of one kind, commands for instance: how many, how long, how many fail, and how many are under way.
   *
   * @remarks
   * `bot_command` becomes `bot_command_duration_seconds`, a histogram whose count is that of all calls,
   * `bot_command_failures_total`, and `bot_command_active`.
   *
   * @param name - in lower snake case
   * @param options - what is called, and how many milliseconds to expect
   * @returns its recorder; with `labels`, one for each set of values
   * @throws TypeError or RangeError when a name is taken or not valid, or an option is wrong
   */
  calls(name: string, options: MetricOptions & BucketOptions): Calls
  calls<const Label extends string>(
    name: string,
    options: MetricOptions & BucketOptions & LabelOptions<Label>,
  ): LabelledCalls<Label>
  calls(name: string, options: MetricOptions & BucketOptions & Partial<LabelOptions<string>>): unknown {
    const { help, maxSeries } = resolveMetric(name, options, ['labels', 'smallest', 'largest', 'windowMs'])
    requireBareName(name)
    const took: Written = { name: fullName(`${name}_duration`, 'histogram', 'ms'), help, unit: 'ms' }
    const failures = fullName(`${name}_failures`, 'counter', undefined)
    const active = fullName(`${name}_active`, 'gauge', undefined)
    const kind = this.#kindOf(took, options)
    const make = (labels: Labels): Calls => {
      const calls = new Calls(kind)
      this.#listenTo(calls.took, took, labels)
      return calls
    }
    const { given, entries } = handles(took, 'histogram', options.labels, maxSeries, make, kind.complain, LabelledCalls)
    const names = [[took.name, 'histogram'] as const, [failures, 'counter'] as const, [active, 'gauge'] as const]
    this.#declare(names, () => callsFamilies(took, failures, active, entries()))
    return given
  }

  /** All metrics as they are now, in the order of declaration. */
  collect(): MetricFamily[] {
    return this.#families.flatMap((family) => family())
  }

  /**
   * Tells of each observation of a histogram from now on, for those who keep histograms of their own. It costs each
   * observation a call.
   *
   * @param listen - gets it; it must not throw
   * @returns ends it
   */
  tap(listen: (observation: Observation) => void): () => void {
    this.#taps.add(listen)
    for (const settle of this.#tapped) settle()
    return () => {
      this.#taps.delete(listen)
      for (const settle of this.#tapped) settle()
    }
  }

  /**
   * Tells of each further metric, once it is declared.
   *
   * @param listen - gets no more than the call; it must not throw
   * @returns ends it
   */
  onDeclared(listen: () => void): () => void {
    this.#declared.add(listen)
    return () => void this.#declared.delete(listen)
  }

  /** @throws TypeError when another metric has one of the names */
  #declare(names: readonly (readonly [string, MetricFamily['type']])[], family: () => readonly MetricFamily[]): void {
    const used = names.flatMap(([name, type]) => namesOf(name, type))
    const taken = used.find((name) => this.#names.has(name))
    if (taken !== undefined)
      throw new TypeError(`Metrics: ${taken} is taken; declare a metric once, and keep its handle`)
    for (const name of used) this.#names.add(name)
    this.#families.push(family)
    for (const listen of this.#declared) listen()
  }

  #kindOf(written: Written, options: BucketOptions): HistogramKind {
    return { ...resolveBuckets(written.name, options), clock: this.#clock, complain: complaintsOf(written) }
  }

  #listenTo(histogram: Histogram, { name, help, unit }: Written, labels: Labels): Histogram {
    const { base, perBase } = unit === undefined ? { base: undefined, perBase: 1 } : UNITS[unit]
    const bounds = histogram.bounds.slice(0, -1).map((bound) => bound / perBase)
    const tell = (value: number): void => {
      for (const listen of this.#taps) listen({ name, help, unit: base, bounds, labels, value: value / perBase })
    }
    const settle = (): void => histogram.listen(this.#taps.size > 0 ? tell : undefined)
    this.#tapped.push(settle)
    settle()
    return histogram
  }
}

function complaintsOf({ name }: Written): Complain {
  const complain = complainOnce()
  return (why) => complain(`Metric ${name}: ${why}`)
}

/** One handle, or one for each set of values; and all of them, for the page. */
function handles<Handle>(
  { name }: Written,
  type: MetricFamily['type'],
  labels: readonly string[] | undefined,
  maxSeries: number,
  make: (labels: Labels) => Handle,
  complain: Complain,
  Kind: new (...parts: ConstructorParameters<typeof Labelled<Handle, string>>) => Labelled<Handle, string> = Labelled,
): { readonly given: unknown; readonly entries: () => Iterable<Entry<Handle>> } {
  if (labels === undefined) {
    const handle = make(NO_LABELS)
    const single = [{ labels: NO_LABELS, handle }]
    return { given: handle, entries: () => single }
  }
  requireLabels(name, labels, type)
  const labelled = new Kind(labels, maxSeries, make, complain)
  return { given: labelled, entries: () => labelled.entries() }
}
