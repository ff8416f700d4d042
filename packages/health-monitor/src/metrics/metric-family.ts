/** The labels of one series: name to value. */
export type Labels = Readonly<Record<string, string>>

/** One number of a counter or a gauge. */
export interface MetricSample {
  /** What tells this series from the others of its family. */
  readonly labels: Labels
  /** The value now, in the family's unit. */
  readonly value: number
}

/** One histogram of a family. */
export interface HistogramSample {
  /** What tells this series from the others of its family. */
  readonly labels: Labels
  /** The inclusive upper bounds of the buckets, ascending, in the family's unit; the last is `Infinity`. */
  readonly bounds: readonly number[]
  /** How many observations fell into each bucket: as many as there are bounds, each for itself. */
  readonly counts: readonly number[]
  /** The sum of all observations, in the family's unit. */
  readonly sum: number
}

/** What every family says about itself. */
export interface DescribedFamily {
  /** The full name as a metrics page shows it: `bot_commands_total`, `bot_command_duration_seconds`. */
  readonly name: string
  /** What it counts or measures, for people. */
  readonly help: string
  /** The base unit, which the name carries too: `seconds`, `bytes`, `ratio`. */
  readonly unit?: string
}

/** Numbers of one kind, under one name. */
export type MetricFamily =
  | (DescribedFamily & {
      /** A counter only grows; a gauge goes both ways. */
      readonly type: 'counter' | 'gauge'
      /** One for each set of labels. */
      readonly samples: Iterable<MetricSample>
    })
  | (DescribedFamily & {
      /** How often, in which size. */
      readonly type: 'histogram'
      /** One for each set of labels. */
      readonly samples: Iterable<HistogramSample>
    })

/** What a {@link MetricSource} says of each observation of its histograms, as it is made. */
export interface Observation {
  /** The family's full name. */
  readonly name: string
  /** What it measures, for people. */
  readonly help: string
  /** The base unit. */
  readonly unit: string | undefined
  /** The upper bounds of its buckets, without the infinite one. */
  readonly bounds: readonly number[]
  /** The series. */
  readonly labels: Labels
  /** What was observed, in the base unit. */
  readonly value: number
}

/** Whatever has numbers for a metrics page. */
export interface MetricSource {
  /** The numbers as they are now. */
  collect(): Iterable<MetricFamily>
  /**
   * Tells of each observation of a histogram from now on, for those who keep histograms of their own, as OpenTelemetry
   * does; returns what ends it. A source without histograms has no need of it.
   */
  tap?(listen: (observation: Observation) => void): () => void
  /** Tells when there will be more families than before; returns what ends it. */
  onDeclared?(listen: () => void): () => void
}
