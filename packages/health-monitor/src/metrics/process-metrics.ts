import { requireKnown } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import type { Histogram } from './histogram.js'
import type { Labels, MetricFamily, MetricSource } from './metric-family.js'
import { Metrics } from './metrics.js'
import { requireLabels } from './names.js'
import { readProcess } from './read-process.js'

/** What a {@link ProcessMetrics} looks at. */
export interface ProcessMetricsOptions {
  /**
   * Milliseconds between two looks at the delay of the event loop.
   *
   * @defaultValue 100
   */
  readonly sampleMs?: number
  /** What was built: version, commit. It becomes the labels of `build_info`, whose value is 1. */
  readonly build?: Readonly<Record<string, string>>
  /** The clock to live by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link ProcessMetrics} uses when its options leave it open. */
export const processMetricsDefaults: Required<Pick<ProcessMetricsOptions, 'sampleMs'>> = {
  // It costs a fifth of a percent of a core; a delay shorter than this is seen in proportion to its length.
  sampleMs: 100,
}

/**
 * The numbers of this process: processor time, memory, delay and utilization of the event loop, start, build.
 *
 * @remarks
 * *Gotchas*: the delay of the event loop is only measured between `start()` and `stop()`; all else is read when somebody
 * collects.
 *
 * @example
 * ```ts
 * import { MetricsPage, ProcessMetrics } from '@evenkeel/health-monitor/metrics'
 *
 * const numbers = new ProcessMetrics({ build: { version: '1.4.0' } })
 * await numbers.start()
 * console.log(new MetricsPage(numbers).render().text.includes('build_info{version="1.4.0"} 1')) // => true
 * await numbers.stop()
 * ```
 */
export class ProcessMetrics implements MetricSource {
  /** What to call it in reports. */
  readonly name = 'ProcessMetrics'
  readonly #clock: Clock
  readonly #sampleMs: number
  readonly #metrics: Metrics
  readonly #delay: Histogram
  readonly #build: readonly MetricFamily[]
  #cancel: (() => void) | undefined

  /**
   * Validates, and does nothing else.
   *
   * @param options - how often to look at the event loop, and what was built
   * @throws TypeError or RangeError when an option does not exist or is out of range
   */
  constructor(options: ProcessMetricsOptions = {}) {
    requireKnown('ProcessMetrics', options, ['sampleMs', 'build', 'clock'])
    const { sampleMs = processMetricsDefaults.sampleMs, build, clock = systemClock } = options
    if (!(sampleMs >= 10 && sampleMs <= 60_000)) {
      throw new RangeError(`ProcessMetrics: sampleMs must be 10 to 60_000, not ${sampleMs}`)
    }
    this.#clock = clock
    this.#sampleMs = sampleMs
    this.#metrics = new Metrics({ clock })
    this.#delay = this.#metrics.histogram('nodejs_eventloop_delay', {
      help: 'How late the event loop was.',
      unit: 'ms',
    })
    this.#build = build === undefined ? [] : [buildFamily(build)]
  }

  /** Begins to look at the event loop. Does nothing when it has begun already. */
  start(): Promise<void> {
    if (this.#cancel === undefined) this.#sample()
    return Promise.resolve()
  }

  /** Stops looking at the event loop. May be called twice. */
  stop(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    return Promise.resolve()
  }

  /** As {@link ProcessMetrics.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** The numbers as they are now. */
  collect(): MetricFamily[] {
    return [...this.#metrics.collect(), ...readProcess(), ...this.#build]
  }

  /** As that of {@link Metrics}: the delays of the event loop. */
  tap(listen: Parameters<Metrics['tap']>[0]): () => void {
    return this.#metrics.tap(listen)
  }

  #sample(): void {
    const dueMs = this.#clock.monotonic() + this.#sampleMs
    this.#cancel = this.#clock.after(this.#sampleMs, () => {
      // A timer may be a fraction of a millisecond early.
      this.#delay.observe(Math.max(0, this.#clock.monotonic() - dueMs))
      this.#sample()
    })
  }
}

function buildFamily(build: Labels): MetricFamily {
  requireLabels('build_info', Object.keys(build), 'gauge')
  const labels = Object.fromEntries(Object.entries(build).map(([name, value]) => [name, String(value)]))
  return { name: 'build_info', help: 'What was built.', type: 'gauge', samples: [{ labels, value: 1 }] }
}
