import type { MetricFamily, MetricSource } from './metric-family.js'
import { isMetricName, namesOf } from './names.js'
import { CONTENT_TYPES, familyText, LAST_LINE, type TextFormat } from './text-format.js'

/** A page for Prometheus. */
export interface RenderedMetrics {
  /** What to say in the header `content-type`. */
  readonly contentType: string
  /** The page. */
  readonly text: string
}

/** So many faulty metrics are named in warnings; a source that invents names must not fill the memory. */
const MAX_FAULTS = 100

const OPENMETRICS = 'application/openmetrics-text'

/**
 * Writes the numbers of several sources on one page, in the text format of Prometheus.
 *
 * @remarks
 * A metric that cannot be written down (its name is none, another has it, a series is there twice, its source throws)
 * is left out, and becomes one process warning with the code `EVENKEEL_METRICS`; the rest of the page is valid, for
 * Prometheus would drop all of it otherwise.
 *
 * @example
 * ```ts
 * import { Metrics, MetricsPage } from '@evenkeel/health-monitor/metrics'
 *
 * const metrics = new Metrics()
 * metrics.counter('bot_replies', { help: 'Replies sent.' }).add()
 * console.log(new MetricsPage(metrics).render().text.split('\n')[2]) // => bot_replies_total 1
 * ```
 */
export class MetricsPage {
  readonly #sources: readonly MetricSource[]
  readonly #faulty = new Set<string>()

  /**
   * @param sources - what to show, in this order
   * @throws TypeError when one of them has no `collect()`
   */
  constructor(...sources: readonly MetricSource[]) {
    const given: readonly (Partial<MetricSource> | null | undefined)[] = sources
    const stranger = given.findIndex((source) => typeof source?.collect !== 'function')
    if (stranger !== -1) {
      throw new TypeError(`MetricsPage: source ${stranger + 1} has no collect(); give a Metrics or the like`)
    }
    this.#sources = sources
  }

  /**
   * The page as it is now.
   *
   * @param accept - the header `accept` of the request; OpenMetrics only for those who prefer it
   */
  render(accept?: string): RenderedMetrics {
    const format = preferredFormat(accept)
    const taken = new Set<string>()
    let text = ''
    this.#sources.forEach((source, index) => {
      try {
        for (const family of source.collect()) text += this.#family(family, taken, format)
      } catch (error) {
        this.#leaveOut(`source ${index + 1}`, error)
      }
    })
    return { contentType: CONTENT_TYPES[format], text: text + LAST_LINE[format] }
  }

  #family(family: MetricFamily, taken: Set<string>, format: TextFormat): string {
    const { name, type } = family
    try {
      if (!isMetricName(name)) throw new TypeError('it is no name for a metric')
      const names = namesOf(name, type)
      if (names.some((each) => taken.has(each))) throw new TypeError('another metric has this name')
      const text = familyText(family, format)
      for (const each of names) taken.add(each)
      return text
    } catch (error) {
      this.#leaveOut(`metric ${JSON.stringify(name)}`, error)
      return ''
    }
  }

  #leaveOut(what: string, error: unknown): void {
    if (this.#faulty.has(what) || this.#faulty.size >= MAX_FAULTS) return
    this.#faulty.add(what)
    const why = error instanceof Error ? error.message : String(error)
    const warning = `The metrics page leaves out ${what}: ${why}`
    process.emitWarning(warning, { type: 'EvenkeelWarning', code: 'EVENKEEL_METRICS' })
  }
}

/** @see RFC 9110, section 12.5.1 */
export function preferredFormat(accept: string | undefined): TextFormat {
  if (accept === undefined || !accept.includes(OPENMETRICS)) return 'prometheus'
  let open = 0
  let plain = 0
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const given = parameters.find((parameter) => parameter.startsWith('q='))
    const quality = given === undefined ? 1 : Number(given.slice(2))
    if (!(quality >= 0 && quality <= 1)) continue
    // Of OpenMetrics we write version 1.0.0; Prometheus asks for 0.0.1 as well, which it reads in the same way.
    if (type === OPENMETRICS) open = Math.max(open, quality)
    else if (type === 'text/plain' || type === 'text/*' || type === '*/*') plain = Math.max(plain, quality)
  }
  return open > 0 && open >= plain ? 'openmetrics' : 'prometheus'
}
