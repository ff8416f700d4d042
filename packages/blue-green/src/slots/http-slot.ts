import { randomUUID } from 'node:crypto'
import type { Clock, HealthStatus } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { warn } from '../warn.js'
import { NotBegunError, OutcomeUnknownError, ShedError, SlotStartError } from './errors.js'
import { httpProtocol, keyHeader, readAnswer, readToken, repeatHeader, requireShort, toKey, versionHeader, type HttpAnswer } from './http-wire.js' // prettier-ignore
import type { Delivery, Slot, SlotDeath, SlotDrained, SlotDrainOptions } from './slot.js'
import { fromWireError, requirePlain } from './wire.js'
import { readEffects, readMs, readName, readWhole, requireKnown, withDefaults, type Effects } from './worker-options.js'

/** What {@link httpSlot} takes. */
export interface HttpSlotOptions<Event> {
  /** Where `serveVersionHttp` of the version listens. Use `https:` where others could listen in. */
  readonly url: string
  /** What both sides know: 16 visible ASCII characters or more. */
  readonly token: string
  /** What becomes of an event when nobody knows whether it was begun. There is no default. */
  readonly effects: Effects
  /** What to call it in errors; host and port of `url` unless given. */
  readonly name?: string | undefined
  /** Picks from an event what is sent. Without it the event is sent as it is, and must be JSON. */
  readonly toWire?: ((event: Event) => unknown) | undefined
  /** How long it may take until it is healthy, in ms. */
  readonly startTimeoutMs?: number | undefined
  /** How long an answer is waited for, in ms. */
  readonly timeoutMs?: number | undefined
  /** How long `drain()` waits unless told, in ms. */
  readonly drainMs?: number | undefined
  /** How often its health is asked for, in ms. */
  readonly healthMs?: number | undefined
  /** How long one answer about its health may take, a new connection included, in ms. One that refuses it is known at once. */
  readonly healthTimeoutMs?: number | undefined
  /** So many times in a row that it is not healthy, or does not say so in time, are its death. */
  readonly maxFailedChecks?: number | undefined
  /** How many events it may have at once. */
  readonly maxInFlight?: number | undefined
  /** Sends the requests; that of Node.js unless given. */
  readonly fetch?: typeof fetch | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The options of {@link httpSlot} that have a default. */
export type HttpSlotDefaults = Readonly<
  Record<
    'startTimeoutMs' | 'timeoutMs' | 'drainMs' | 'healthMs' | 'healthTimeoutMs' | 'maxFailedChecks' | 'maxInFlight',
    number
  >
>

/** The value of each option of `httpSlot` that is not given. */
export const httpSlotDefaults: HttpSlotDefaults = {
  startTimeoutMs: 30_000,
  // A bot's whole work on an event, not its first answer alone.
  timeoutMs: 60_000,
  drainMs: 30_000,
  healthMs: 400,
  // A new connection across half the world, with TLS and one packet lost, takes longer than a second.
  healthTimeoutMs: 2_000,
  maxFailedChecks: 2,
  maxInFlight: 1_000,
}

/** The connection was never made, so nothing was sent: see {@link isUnsent}. */
const unsentCodes: readonly unknown[] = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]

/**
 * A version on another machine, or anywhere that HTTP reaches: `serveVersionHttp` is its other side.
 *
 * @remarks
 * Each event is one POST with its id as `Idempotency-Key`. A refused connection means that it was not begun, and so does a version
 * that says so. A deadline, a connection that breaks after sending, or an answer that is not the version's mean that nobody
 * knows, and `effects` decides. It dies when its health fails `maxFailedChecks` times in a row; `start()` asks again. What it
 * runs when it dies may run on there.
 *
 * *Gotchas*: the version is started and ended by somebody else: `start()` waits until it is healthy, and `stop()` only stops
 * sending. Each request has a connection of its own, for a kept one may be closed just when it is used, and then nobody would
 * know.
 *
 * @param options - where it listens, the token, and the declared effects
 * @returns the slot; nothing is sent before `start()`
 * @throws TypeError or RangeError that names the option, its value, and what would do; never the token
 *
 * @example
 * ```ts
 * import { httpSlot } from '@evenkeel/blue-green/http'
 *
 * const v2 = httpSlot<{ id: string }, string>({
 *   url: 'http://127.0.0.1:4100/events',
 *   token: 'sixteen-characters-or-more',
 *   effects: 'keyed',
 * })
 * ```
 */
export function httpSlot<Event = unknown, Answer = unknown>(options: HttpSlotOptions<Event>): Slot<Event, Answer> {
  return new HttpSlot<Event, Answer>(options)
}

class HttpSlot<Event, Answer> implements Slot<Event, Answer> {
  readonly #url: URL
  readonly #token: string
  readonly #name: string
  readonly #mayRepeat: boolean
  readonly #toWire: ((event: Event) => unknown) | undefined
  readonly #fetch: typeof fetch
  readonly #clock: Clock
  readonly #given: HttpSlotDefaults
  readonly #listeners = new Set<(death: SlotDeath) => void>()
  readonly #running = new Set<Promise<unknown>>()
  #state: 'stopped' | 'starting' | 'up' | 'draining' | 'down' = 'stopped'
  #starting: { readonly promise: Promise<void>; readonly end: AbortController } | undefined
  #drain: { readonly promise: Promise<SlotDrained>; readonly wake: () => void } | undefined
  #failedChecks = 0
  #cancelCheck: () => void = () => undefined
  /** Ends the requests of this life. */
  #ending = new AbortController()

  constructor(options: HttpSlotOptions<Event>) {
    const known = ['url', 'token', 'effects', 'name', 'toWire', 'fetch', 'clock']
    requireKnown('httpSlot', options, [...known, ...Object.keys(httpSlotDefaults)])
    this.#url = readUrl(options.url)
    this.#token = readToken('httpSlot', options.token)
    this.#name = readName('httpSlot', options.name, this.#url.host)
    this.#mayRepeat = readEffects('httpSlot', options.effects) !== 'atMostOnce'
    for (const name of ['toWire', 'fetch'] as const) {
      if (options[name] !== undefined && typeof options[name] !== 'function') {
        throw new TypeError(`${name} of httpSlot must be a function`)
      }
    }
    this.#toWire = options.toWire
    this.#fetch = options.fetch ?? fetch
    this.#clock = options.clock ?? systemClock
    const given = withDefaults(httpSlotDefaults, options)
    for (const name of ['startTimeoutMs', 'timeoutMs', 'drainMs', 'healthMs', 'healthTimeoutMs'] as const)
      readMs(name, given[name])
    for (const name of ['maxFailedChecks', 'maxInFlight'] as const) readWhole(name, given[name], 1)
    this.#given = given
  }

  health(): HealthStatus {
    if (this.#state === 'starting') return 'unknown'
    if (this.#state !== 'up') return 'down'
    return this.#failedChecks > 0 ? 'degraded' : 'up'
  }

  onDeath(listener: (death: SlotDeath) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async start({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted()
    if (this.#state === 'draining') {
      this.#state = 'up'
      this.#drain?.wake()
      this.#drain = undefined
    }
    // One that was given up is no start to wait for.
    while (this.#starting?.end.signal.aborted === true) await this.#starting.promise.catch(() => undefined)
    signal?.throwIfAborted()
    if (this.#state === 'up') return
    if (this.#starting === undefined) {
      const end = new AbortController()
      const promise = this.#begin(end.signal).finally(() => (this.#starting = undefined))
      promise.catch(() => undefined)
      this.#starting = { promise, end }
    }
    const { promise, end } = this.#starting
    const abort = (): void => end.abort()
    signal?.addEventListener('abort', abort, { once: true })
    await promise.finally(() => signal?.removeEventListener('abort', abort))
  }

  async handle(event: Event, { eventId = randomUUID(), isRepeat = false }: Delivery = {}): Promise<Answer> {
    const wire = this.#toWire === undefined ? event : this.#toWire(event)
    requirePlain('event', wire, 'json', 'pick plain data with the option toWire')
    const { maxInFlight } = this.#given
    if (this.#running.size >= maxInFlight) throw new ShedError(this.#name, maxInFlight, 1_000)
    const body = JSON.stringify({ event: wire })
    requireShort('event', body, 'pick less with the option toWire')
    const call = this.#send(body, eventId, isRepeat)
    this.#running.add(call)
    try {
      return (await call) as Answer
    } finally {
      this.#running.delete(call)
    }
  }

  drain({ timeoutMs = this.#given.drainMs, signal }: SlotDrainOptions = {}): Promise<SlotDrained> {
    readMs('timeoutMs', timeoutMs)
    const aborted = (): Error => (signal?.reason instanceof Error ? signal.reason : new Error('drain() was aborted'))
    if (signal?.aborted === true) return Promise.reject(aborted())
    if (this.#drain === undefined) {
      if (this.#state !== 'up' && this.#state !== 'draining') return Promise.resolve({ drained: true, running: 0 })
      this.#state = 'draining'
      let wake!: () => void
      const woken = new Promise<void>((resolve) => (wake = resolve))
      const promise = this.#drainOnce(timeoutMs, wake, woken).finally(() => {
        if (this.#drain?.promise === promise) this.#drain = undefined
      })
      this.#drain = { promise, wake }
    }
    const { promise } = this.#drain
    if (signal === undefined) return promise
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(aborted())
      signal.addEventListener('abort', abort, { once: true })
      void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
  }

  async stop(): Promise<void> {
    this.#starting?.end.abort()
    await this.#starting?.promise.catch(() => undefined)
    this.#state = 'stopped'
    this.#cancelCheck()
    this.#ending.abort()
    this.#drain?.wake()
    this.#drain = undefined
    await Promise.allSettled(this.#running)
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { startTimeoutMs, healthMs } = this.#given
    this.#state = 'starting'
    let isLate = false
    const late = new AbortController()
    const cancel = this.#clock.after(startTimeoutMs, () => {
      isLate = true
      late.abort()
    })
    const either = AbortSignal.any([signal, late.signal])
    let why = 'nothing was asked'
    for (;;) {
      const problem = await this.#check(either)
      if (either.aborted) break
      if (problem === undefined) {
        cancel()
        this.#state = 'up'
        this.#failedChecks = 0
        this.#ending = new AbortController()
        return this.#watch()
      }
      why = problem
      await this.#pause(healthMs, either)
    }
    cancel()
    this.#state = 'stopped'
    throw new SlotStartError(
      this.#name,
      isLate ? `it was not healthy within ${startTimeoutMs} ms: ${why}` : 'it was stopped',
    )
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve)
      signal.addEventListener('abort', () => (cancel(), resolve()), { once: true })
    })
  }

  #watch(): void {
    const { healthMs, maxFailedChecks } = this.#given
    this.#cancelCheck = this.#clock.after(healthMs, () => {
      void this.#check(this.#ending.signal).then((problem) => {
        if (this.#state !== 'up' && this.#state !== 'draining') return
        this.#failedChecks = problem === undefined ? 0 : this.#failedChecks + 1
        if (problem !== undefined && this.#failedChecks >= maxFailedChecks) return this.#die(problem)
        this.#watch()
      })
    })
  }

  #die(why: string): void {
    const death = { why, at: this.#clock.now(), notBegun: 0, begun: this.#running.size }
    this.#state = 'down'
    for (const listener of this.#listeners) {
      try {
        listener(death)
      } catch (error) {
        warn('EVENKEEL_LISTENER', `A listener to the death of "${this.#name}" threw`, error)
      }
    }
    // What it has will hardly be answered.
    this.#ending.abort()
    this.#drain?.wake()
    this.#drain = undefined
  }

  /** @returns what is wrong, if anything */
  async #check(signal: AbortSignal): Promise<string | undefined> {
    const { healthTimeoutMs } = this.#given
    const { done, deadline } = this.#deadline(healthTimeoutMs)
    try {
      const response = await this.#ask('GET', undefined, {}, AbortSignal.any([signal, deadline]))
      const stranger = strangerOf(response)
      if (stranger !== undefined) {
        await response.body?.cancel()
        return stranger
      }
      const said = await readAnswer(response.body)
      if (response.status !== 200) return said.notBegun ?? `it answered ${response.status}`
      return undefined
    } catch (error) {
      return deadline.aborted ? `it did not answer within ${healthTimeoutMs} ms` : reasonOf(error)
    } finally {
      done()
    }
  }

  async #send(body: string, eventId: string, isRepeat: boolean): Promise<unknown> {
    const [name, { timeoutMs }] = [this.#name, this.#given]
    if (this.#state === 'starting') await this.#starting?.promise.catch(() => undefined)
    if (this.#state !== 'up') throw new NotBegunError(name, whyNot[this.#state])
    const { done, deadline } = this.#deadline(timeoutMs)
    const ending = this.#ending.signal
    let response: Response
    let said: HttpAnswer
    try {
      const headers = {
        [keyHeader]: toKey(eventId),
        [repeatHeader]: String(isRepeat),
      }
      response = await this.#ask('POST', body, headers, AbortSignal.any([ending, deadline]))
      const stranger = strangerOf(response)
      if (stranger !== undefined) {
        await response.body?.cancel()
        throw new OutcomeUnknownError(name, stranger, this.#mayRepeat)
      }
      said = await readAnswer(response.body)
    } catch (error) {
      if (error instanceof OutcomeUnknownError) throw error
      if (isUnsent(error)) throw new NotBegunError(name, reasonOf(error), error)
      const late = deadline.aborted ? `it gave no answer within ${timeoutMs} ms` : undefined
      const why = late ?? (ending.aborted ? 'it was given up' : reasonOf(error))
      throw new OutcomeUnknownError(name, why, this.#mayRepeat, error)
    } finally {
      done()
    }
    if (said.notBegun !== undefined) throw new NotBegunError(name, said.notBegun)
    if (response.status !== 200) {
      throw new OutcomeUnknownError(name, `it answered ${response.status}`, this.#mayRepeat)
    }
    if (said.error !== undefined) throw fromWireError(said.error)
    return said.answer
  }

  async #ask(method: string, body: string | undefined, more: Record<string, string>, signal: AbortSignal) {
    const response = await this.#fetch(this.#url, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        connection: 'close',
        [versionHeader]: httpProtocol,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...more,
      },
      redirect: 'manual',
      signal,
      ...(body !== undefined && { body }),
    })
    return response
  }

  #deadline(ms: number): { readonly deadline: AbortSignal; readonly done: () => void } {
    const controller = new AbortController()
    return { deadline: controller.signal, done: this.#clock.after(ms, () => controller.abort()) }
  }

  async #drainOnce(timeoutMs: number, wake: () => void, woken: Promise<void>): Promise<SlotDrained> {
    const cancel = this.#clock.after(timeoutMs, wake)
    const calls = [...this.#running]
    await Promise.race([Promise.allSettled(calls), woken])
    cancel()
    const running = calls.filter((call) => this.#running.has(call)).length
    if (this.#state === 'up') return { drained: false, running, why: 'it was taken back' }
    if (running === 0) return { drained: true, running }
    return { drained: false, running, why: `${running} events have not ended within ${timeoutMs} ms` }
  }
}

const whyNot = {
  stopped: 'it is not in use',
  starting: 'it has not become healthy',
  draining: 'it is being drained',
  down: 'it is down',
}

function readUrl(given: unknown): URL {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new TypeError('url of httpSlot must begin with http:// or https://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('url of httpSlot holds a password; give the token as token')
  }
  return url
}

/**
 * Only the version itself can say that it has not begun an event, and its header tells that it is the one that speaks. No status
 * of somebody between can: Envoy says 503 also when the connection broke after it had passed the event on, nginx 404 when it has
 * no error page for an event that failed so, a filter of answers 403; and whatever one says, it may have tried once before.
 *
 * @returns why the answer is not that of a version, if so
 */
function strangerOf({ status, headers }: Response): string | undefined {
  const spoken = headers.get(versionHeader)
  if (spoken === httpProtocol) return undefined
  if (spoken === null) return `something else than a version answered ${status}`
  return `it speaks protocol ${spoken}, and this process ${httpProtocol}; use one release for both sides`
}

/** A connection that stands may end by the same codes when a router refuses its packets; then it was a read that failed. */
function isUnsent(error: unknown): boolean {
  const { code, syscall } = (causeOf(error) ?? {}) as { code?: unknown; syscall?: unknown }
  return unsentCodes.includes(code) && [undefined, 'connect', 'getaddrinfo'].includes(syscall as string | undefined)
}

/** `fetch` hides what happened in the cause, and says "fetch failed" itself. */
function causeOf(error: unknown): unknown {
  return (error as { cause?: unknown } | undefined)?.cause ?? error
}

function reasonOf(error: unknown): string {
  const cause = causeOf(error)
  return cause instanceof Error ? cause.message : String(cause)
}
