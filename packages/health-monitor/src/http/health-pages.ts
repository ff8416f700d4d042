import { MetricsPage } from '../metrics/metrics-page.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { accessOf, type Visitor } from './access.js'
import { type Answer, answerOf, answerToMethod, jsonAnswer, UNAUTHORIZED } from './answer.js'
import { type HealthHandlerOptions, pathsOf, requireHandler, type ShownHealth, type ShownReadiness } from './options.js'

/**
 * So long a rendered status is trusted, in ms. Every change is told; but a monitor that was stopped tells nothing, and
 * its statuses grow too old all the same.
 */
const TRUST_MS = 1_000

const LIVE = jsonAnswer(200, { status: 'up' })
const STARTED = jsonAnswer(200, { started: true })
const NOT_STARTED = jsonAnswer(503, { started: false })

/** What is answered to probes: rendered when the health changes, and not when somebody asks. */
export class HealthPages {
  readonly #health: ShownHealth
  readonly #readiness: ShownReadiness | undefined
  readonly #mayEnter: ((visitor: Visitor) => boolean) | undefined
  readonly #metrics: MetricsPage
  readonly #clock: Clock
  readonly #pages: ReadonlyMap<string, (visitor: () => Visitor) => Answer>
  #staleMs = -Infinity
  #status = ''
  #isHealthy = false
  #wasHealthy = false
  #ready = NOT_STARTED
  #notReady = NOT_STARTED
  #brief = NOT_STARTED

  constructor(where: string, health: ShownHealth, options: HealthHandlerOptions, more?: readonly string[]) {
    requireHandler(where, health, options, more)
    this.#health = health
    this.#readiness = options.readiness
    this.#mayEnter = accessOf(where, options.token, options.isAllowed)
    this.#metrics = new MetricsPage(...(options.metrics ?? []))
    this.#clock = options.clock ?? systemClock
    const pages = {
      live: () => LIVE,
      ready: () => this.#readyAnswer(),
      startup: () => this.#startupAnswer(),
      health: (visitor: () => Visitor) => this.#healthAnswer(visitor),
      metrics: (visitor: () => Visitor) => this.#metricsAnswer(visitor),
    }
    this.#pages = new Map([...pathsOf(where, options)].map(([path, page]) => [path, pages[page]]))
    health.on('change', () => {
      this.#staleMs = -Infinity
      // Whether it was healthy once must not depend on whether somebody asked just then.
      if (!this.#wasHealthy) this.#refresh()
    })
  }

  /** @returns what to say; `undefined` when it is none of our paths */
  answer(method: string | undefined, path: string, visitor: () => Visitor): Answer | undefined {
    const page = this.#pages.get(path)
    if (page === undefined) return undefined
    return answerToMethod(method) ?? page(visitor)
  }

  #readyAnswer(): Answer {
    this.#refresh()
    return this.#isReady() ? this.#ready : this.#notReady
  }

  #startupAnswer(): Answer {
    if (this.#readiness !== undefined) return this.#readiness.hasStarted ? STARTED : NOT_STARTED
    this.#refresh()
    return this.#wasHealthy ? STARTED : NOT_STARTED
  }

  #healthAnswer(visitor: () => Visitor): Answer {
    this.#refresh()
    if (this.#mayEnter?.(visitor()) !== true) return this.#brief
    const components = [...this.#health.components].map(([name, component]) => [name, shown(component)] as const)
    // Entries and not assignments: a component may be called __proto__.
    const details = { status: this.#status, ready: this.#isReady(), components: Object.fromEntries(components) }
    return jsonAnswer(this.#brief.status, details)
  }

  #metricsAnswer(visitor: () => Visitor): Answer {
    const who = visitor()
    if (this.#mayEnter?.(who) === false) return UNAUTHORIZED
    const { contentType, text } = this.#metrics.render(who.header('accept'))
    return answerOf(200, contentType, text, { vary: 'accept' })
  }

  #isReady(): boolean {
    return this.#isHealthy && this.#readiness?.isOn !== false
  }

  #refresh(): void {
    const nowMs = this.#clock.monotonic()
    if (nowMs < this.#staleMs) return
    this.#staleMs = nowMs + TRUST_MS
    const { status } = this.#health
    if (status === this.#status) return
    this.#status = status
    this.#isHealthy = status === 'up' || status === 'degraded'
    this.#wasHealthy ||= this.#isHealthy
    this.#ready = jsonAnswer(200, { ready: true, status })
    this.#notReady = jsonAnswer(503, { ready: false, status })
    this.#brief = jsonAnswer(this.#isHealthy ? 200 : 503, { status })
  }
}

function shown({
  status,
  reason,
  since,
  observedAt,
  tookMs,
  critical,
}: ReturnType<ShownHealth['components']['get']> & {}) {
  return { status, reason, since, observedAt, tookMs, critical }
}
