import { EventEmitter } from 'eventemitter3'
import type { Severity } from '../changes.js'
import { defined, readDuration, requireKnown, requireMethods } from '../checked-options.js'
import { FencedError } from '../errors.js'
import type { Clock } from '../ports.js'
import { holdProcess, systemClock } from '../system-clock.js'
import { warn } from '../warn.js'
import { kubernetesApi, type KubernetesApi } from './api.js'
import { KubernetesUnavailableError } from './errors.js'
import { fencedWrite } from './fenced-write.js'
import { labelOf, type KubernetesObject } from './resources.js'
import { isSameShare, shareOf, type RoutedStatus, type TrafficShare } from './share.js'
import type { TrafficTarget } from './traffic-target.js'

/** What is followed: a `BlueGreen`, or anything of this shape. */
export interface RoutedBlueGreen {
  /** Where everything is now. */
  readonly status: RoutedStatus
  /** Calls the listener whenever something may be different; it is then read from `status`. */
  on(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off(event: 'change', listener: () => void): unknown
}

/** What {@link TrafficRouter} takes. */
export interface TrafficRouterOptions {
  /** What is followed. */
  readonly blueGreen: RoutedBlueGreen
  /** By which object of the cluster the traffic is divided. */
  readonly target: TrafficTarget
  /** The API of the cluster; that of the pod unless given. */
  readonly api?: KubernetesApi | undefined
  /** How long `start()` waits until the traffic is as it should be, in ms. */
  readonly startTimeoutMs?: number | undefined
  /** How long `drain()` waits for a share that is not written yet, in ms. */
  readonly drainMs?: number | undefined
  /**
   * How long to wait before a write is tried again, in ms; each time twice as long, or as long as the API asks for (`Retry-After`). A
   * rollback, and whatever else takes traffic back, waits no longer than `retryMs` for its first try.
   */
  readonly retryMs?: number | undefined
  /** The longest such wait, in ms, whatever the API asks for. */
  readonly maxRetryMs?: number | undefined
  /** How often it is looked at whether the object still says so, in ms. */
  readonly checkMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The options of {@link TrafficRouter} that have a default. */
export type TrafficRouterDefaults = Readonly<
  Record<'startTimeoutMs' | 'drainMs' | 'retryMs' | 'maxRetryMs' | 'checkMs', number>
>

/** The value of each option of `TrafficRouter` that is not given. */
export const trafficRouterDefaults: TrafficRouterDefaults = {
  startTimeoutMs: 30_000,
  drainMs: 30_000,
  retryMs: 500,
  maxRetryMs: 15_000,
  checkMs: 60_000,
}

/**
 * Something is different now.
 *
 * `what` says what `from` and `to` are: the `traffic` as it is written in the cluster (`v1 90 %, v2 10 %`), the `api` (`up` or `down`),
 * or the `controller`, which is `FENCED` when a newer one has written.
 */
export interface TrafficChange {
  /** Which thing changed. */
  readonly what: 'traffic' | 'api' | 'controller'
  /** What it was. */
  readonly from: string
  /** What it is. */
  readonly to: string
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now: traffic is where it should not be. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** The events of {@link TrafficRouter}. */
export interface TrafficRouterEvents {
  /** Something is different now. */
  change: [change: TrafficChange]
}

/** All there is to know at one moment. */
export interface TrafficRouterStatus {
  /** The share that `BlueGreen` wants, in words; `undefined` before it drives. */
  readonly wanted: string | undefined
  /** The share that this process last found or wrote in the cluster, in words; `undefined` before. */
  readonly written: string | undefined
  /** Whether both are the same, and no write is on its way, or was without an answer. */
  readonly isWritten: boolean
  /** Whether the last call of the API did what it should. */
  readonly api: 'up' | 'down'
  /** Why it did not, as a clause. */
  readonly why: string | undefined
  /** Whether a newer controller has written. */
  readonly isFenced: boolean
}

/** How `drain` is to wait. */
export interface TrafficDrainOptions {
  /** How long at most, in ms; `drainMs` of the constructor unless given. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait early, with a rejection. */
  readonly signal?: AbortSignal | undefined
}

/** What `drain` found. */
export interface TrafficDrained {
  /** Whether the cluster has the share of now. */
  readonly drained: boolean
  /** Why it has not, as a clause. */
  readonly why?: string | undefined
}

/**
 * Divides the traffic that does not pass through `BlueGreen`, such as webhooks, as `BlueGreen` divides its events: by the selector of a
 * Service, or the weights of an HTTPRoute.
 *
 * @remarks
 * The latest share is written until it is written, with growing patience; an older one that was not is forgotten. Every write carries the
 * fencing token of `BlueGreen` in the annotation `evenkeel.dev/epoch`, and the resource version that was read: a conflict is read again, and
 * a controller that is not the newest is refused, says so (`CRITICAL`), and writes no more.
 *
 * *Gotchas*: while the API is down, traffic stays where it is: a rollback that cannot be written is told as `CRITICAL`, at once. What is
 * written is in force at the gateway a moment later. A tool that keeps the object as it is in Git must leave the selector or the weights alone.
 *
 * @example
 * ```ts
 * import { BlueGreen, memoryState } from '@evenkeel/blue-green'
 * import { httpRouteWeights, kubernetesApi, TrafficRouter } from '@evenkeel/blue-green/kubernetes'
 *
 * const blueGreen = new BlueGreen({
 *   versions: { v1: () => 'old', v2: () => 'new' },
 *   initial: 'v1',
 *   context: (id: string) => ({ eventId: id }),
 *   store: memoryState(),
 * })
 * const router = new TrafficRouter({
 *   blueGreen,
 *   target: httpRouteWeights({ route: 'bot', backends: { v1: 'bot-blue', v2: 'bot-green' } }),
 *   api: kubernetesApi({ url: 'http://127.0.0.1:8001', namespace: 'bots' }), // not needed in a pod
 * })
 * router.on('change', ({ message }) => console.log(message))
 * // await blueGreen.start(), then await router.start()
 * ```
 */
export class TrafficRouter extends EventEmitter<TrafficRouterEvents> {
  readonly #blueGreen: RoutedBlueGreen
  readonly #target: TrafficTarget
  readonly #api: KubernetesApi
  readonly #given: TrafficRouterDefaults
  readonly #clock: Clock
  readonly #label: string
  readonly #follow = (): void => {
    this.#wake()
    this.#tellOfHarm()
  }
  /** Those who wait until something is different. */
  readonly #waits = new Set<() => void>()
  #ending: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #starting: Promise<void> | undefined
  #written: TrafficShare | undefined
  /** The share that is on its way. */
  #sent: TrafficShare | undefined
  /** Those that were sent since, and may have been written. */
  #possible: readonly TrafficShare[] = []
  /** Whether it waits because the API has asked for it. */
  #isPatient = false
  #problem: Error | undefined
  /** The fencing token that was refused. */
  #fencedEpoch: number | undefined
  /** What was told last of a write that failed. */
  #toldOf: string | undefined

  /** @throws TypeError or RangeError that names the option, its value, and what would do */
  constructor(options: TrafficRouterOptions) {
    super()
    const known = ['blueGreen', 'target', 'api', 'clock', ...Object.keys(trafficRouterDefaults)]
    requireKnown('TrafficRouter', options, known)
    requireMethods('blueGreen', options.blueGreen, ['on', 'off'])
    requireMethods('target', options.target, ['change', 'words'])
    if (options.api !== undefined) requireMethods('api', options.api, ['get', 'patch', 'watch'])
    if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
    const given = { ...trafficRouterDefaults, ...defined(options) }
    this.#given = {
      startTimeoutMs: readDuration('startTimeoutMs', given.startTimeoutMs),
      drainMs: readDuration('drainMs', given.drainMs),
      retryMs: readDuration('retryMs', given.retryMs),
      maxRetryMs: readDuration('maxRetryMs', given.maxRetryMs),
      checkMs: readDuration('checkMs', given.checkMs),
    }
    this.#blueGreen = options.blueGreen
    this.#target = options.target
    this.#label = labelOf(options.target.resource)
    this.#api = options.api ?? kubernetesApi()
    this.#clock = options.clock ?? systemClock
  }

  /** Where everything is now: a snapshot. */
  get status(): TrafficRouterStatus {
    const wanted = this.#wanted
    return {
      wanted: wanted && this.#target.words(wanted),
      written: this.#written && this.#target.words(this.#written),
      isWritten: this.#isWritten,
      api: this.#problem === undefined ? 'up' : 'down',
      why: this.#problem?.message,
      isFenced: this.#isFenced,
    }
  }

  /**
   * Begins to follow, and resolves when the traffic is as it should be. Call it when `blueGreen.start()` has resolved. A rejection ends it.
   *
   * @throws {@link KubernetesUnavailableError} when the API does not answer within `startTimeoutMs`, or `BlueGreen` does not drive
   * @throws {@link KubernetesRefusedError} when the API refuses: a permission, a name
   * @throws {@link KubernetesObjectError} when the object cannot divide traffic so
   * @throws {@link FencedError} when a newer controller has written
   */
  start(): Promise<void> {
    if (this.#ending !== undefined) return this.#starting ?? Promise.resolve()
    this.#ending = new AbortController()
    const { signal } = this.#ending
    this.#written = this.#sent = this.#problem = this.#fencedEpoch = this.#toldOf = undefined
    this.#possible = []
    this.#blueGreen.on('change', this.#follow)
    this.#running = this.#running.then(() => this.#run(signal))
    this.#starting = this.#begin().finally(() => (this.#starting = undefined))
    return this.#starting
  }

  /** Stops following. The traffic stays as it is. */
  async stop(): Promise<void> {
    this.#blueGreen.off('change', this.#follow)
    this.#ending?.abort()
    this.#ending = undefined
    this.#wake()
    await this.#running
  }

  /** The same as {@link TrafficRouter.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Waits until the share of now is written, so that a rollback is not lost with this process.
   *
   * @throws the reason of the signal when it is aborted
   */
  async drain({ timeoutMs = this.#given.drainMs, signal }: TrafficDrainOptions = {}): Promise<TrafficDrained> {
    readDuration('timeoutMs', timeoutMs)
    signal?.throwIfAborted()
    await this.#until(() => this.#isWritten || this.#isFenced || this.#ending === undefined, timeoutMs, signal)
    signal?.throwIfAborted()
    if (this.#isWritten) return { drained: true }
    const silent = this.#ending === undefined ? 'it was not started' : 'the API has not answered yet'
    return { drained: false, why: this.#problem?.message ?? silent }
  }

  /** `undefined` while another controller drives, or none. */
  get #wanted(): TrafficShare | undefined {
    const { status } = this.#blueGreen
    return status.controller === 'DRIVING' ? shareOf(status) : undefined
  }

  get #isWritten(): boolean {
    const wanted = this.#wanted
    const isKnown = this.#sent === undefined && this.#possible.length === 0
    return wanted !== undefined && isKnown && isSameShare(this.#written, wanted)
  }

  get #isFenced(): boolean {
    return this.#fencedEpoch === this.#blueGreen.status.epoch
  }

  async #begin(): Promise<void> {
    const { startTimeoutMs } = this.#given
    const isFutile = (): boolean => this.#problem !== undefined && !isTransient(this.#problem)
    await this.#until(() => this.#isWritten || isFutile() || this.#ending === undefined, startTimeoutMs)
    if (this.#isWritten) return
    const problem = this.#problem
    const why =
      this.#ending === undefined
        ? 'stop() was called'
        : this.#wanted === undefined
          ? 'BlueGreen does not drive; call its start() first'
          : `not within ${startTimeoutMs} ms: ${problem?.message ?? 'no answer'}`
    const isEndedByItself = isFutile()
    await this.stop()
    if (problem !== undefined && isEndedByItself) throw problem
    throw new KubernetesUnavailableError(`Dividing traffic by ${this.#label}`, why, { applied: 'unknown' })
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const wanted = this.#wanted
      if (wanted === undefined || this.#isFenced) {
        await this.#sleep(undefined, () => this.#wanted !== undefined && !this.#isFenced, signal)
        continue
      }
      const { share, isChanged, problem } = await this.#write(wanted, signal)
      if (signal.aborted) return
      failures = problem === undefined ? 0 : failures + 1
      const news = problem === undefined ? this.#succeeded(share, isChanged) : this.#failed(share, problem)
      // The wait begins before anybody hears of it.
      const asleep = this.#rest(share, problem, failures, signal)
      this.#tell(news)
      await asleep
    }
  }

  /** @returns the share that was tried: that of the moment in which the object had been read */
  async #write(
    wanted: TrafficShare,
    signal: AbortSignal,
  ): Promise<{ readonly share: TrafficShare; readonly isChanged: boolean; readonly problem?: Error }> {
    let share = wanted
    const change = (object: KubernetesObject): object | undefined => {
      // A rollback is not overtaken by what it takes back.
      share = this.#wanted ?? share
      const spec = this.#target.change(object, share)
      this.#sent = spec && share
      return spec
    }
    const epoch = (): number => this.#blueGreen.status.epoch
    try {
      const { isChanged } = await fencedWrite(this.#api, this.#target.resource, epoch, change, signal)
      return { share, isChanged }
    } catch (error) {
      const sent = this.#sent
      const isPossible = sent !== undefined && (error as { applied?: unknown } | undefined)?.applied !== 'no'
      if (isPossible && !this.#possible.some((one) => isSameShare(one, sent))) {
        this.#possible = [...this.#possible, sent]
      }
      return { share, isChanged: false, problem: error instanceof Error ? error : new Error(String(error)) }
    } finally {
      this.#sent = undefined
    }
  }

  /** Waits for the next try of a share, or the first one of another. */
  async #rest(tried: TrafficShare, problem: Error | undefined, failures: number, signal: AbortSignal): Promise<void> {
    const { checkMs, retryMs, maxRetryMs } = this.#given
    const pauseMs = problem === undefined ? checkMs : Math.min(retryMs * 2 ** (failures - 1), maxRetryMs)
    const asked = problem instanceof KubernetesUnavailableError ? problem.retryAfterMs : undefined
    const askedMs = Math.min(asked ?? 0, maxRetryMs)
    const waitMs = (): number => {
      const isNews = this.#wanted === undefined || !isSameShare(tried, this.#wanted)
      // One try more does the API no harm. Traffic where it should not be does.
      if (this.#isHarmful) return isNews ? Math.min(askedMs, retryMs) : pauseMs
      return isNews ? askedMs : Math.max(askedMs, pauseMs)
    }
    this.#isPatient = askedMs > 0
    const since = this.#clock.monotonic()
    while (!signal.aborted) {
      const now = waitMs()
      const restMs = since + now - this.#clock.monotonic()
      if (restMs <= 0) break
      await this.#sleep(restMs, () => waitMs() !== now, signal)
    }
    this.#isPatient = false
  }

  /** While nothing is tried, nothing fails that would be told. */
  #tellOfHarm(): void {
    const [wanted, problem] = [this.#wanted, this.#problem]
    if (!this.#isPatient || !this.#isHarmful || wanted === undefined || problem === undefined) return
    this.#tell(this.#failed(wanted, problem))
  }

  #succeeded(share: TrafficShare, isChanged: boolean): TrafficChange[] {
    const [before, wasDown] = [this.#written, this.#problem !== undefined]
    const isKnown = this.#possible.length === 0
    this.#written = share
    this.#possible = []
    this.#problem = this.#toldOf = undefined
    const to = this.#target.words(share)
    const last = before === undefined ? 'unknown' : this.#target.words(before)
    // What was there in between, it may have written itself.
    const from = last === to && !isKnown ? 'unknown' : last
    const news: TrafficChange[] = []
    const at = this.#clock.now()
    if (wasDown) {
      const message = `${this.#label} can be written again.`
      news.push({ what: 'api', from: 'down', to: 'up', at, why: 'a call was answered', severity: 'INFO', message })
    }
    if (isChanged && from === to) {
      const why = 'somebody else had changed it'
      const message = `${this.#label} gives ${to} again. Why: ${why}.`
      news.push({ what: 'traffic', from: 'unknown', to, at, why, severity: 'WARNING', message })
    } else if (isChanged || (before !== undefined && last !== to)) {
      const why = 'BlueGreen has it so'
      const message = `${this.#label} gives ${to} now, before ${from}.`
      news.push({ what: 'traffic', from, to, at, why, severity: 'INFO', message })
    }
    return news
  }

  #failed(share: TrafficShare, problem: Error): TrafficChange[] {
    const wasDown = this.#problem !== undefined
    this.#problem = problem
    const at = this.#clock.now()
    const why = problem.message.replace(/\.$/, '')
    if (problem instanceof FencedError) {
      this.#fencedEpoch = this.#blueGreen.status.epoch
      const message = `${this.#label} is left alone by this process: ${why}.`
      return [{ what: 'controller', from: 'DRIVING', to: 'FENCED', at, why, severity: 'CRITICAL', message }]
    }
    const wanted = this.#target.words(share)
    const topic = `${wanted} ${String((problem as { code?: unknown }).code)}`
    if (this.#toldOf === topic) return []
    this.#toldOf = topic
    const words = this.#shares.map((one) => this.#target.words(one))
    const written = this.#written && [...new Set(words)].join(' or ')
    const message = `${this.#label} should give ${wanted}, and gives ${written ?? 'what nobody knows'} until it can be written. Why: ${why}.`
    const severity = this.#severityOf(share, problem)
    return [{ what: 'api', from: wasDown ? 'down' : 'up', to: 'down', at, why, severity, message }]
  }

  #severityOf(share: TrafficShare, problem: Error): Severity {
    return !isTransient(problem) || this.#isHarm(share) ? 'CRITICAL' : 'WARNING'
  }

  /** What the cluster may have: one of these, or of what was before the first. */
  get #shares(): readonly TrafficShare[] {
    return this.#written === undefined ? this.#possible : [this.#written, ...this.#possible]
  }

  /** Whether traffic is where it should not be now. */
  get #isHarmful(): boolean {
    return this.#wanted !== undefined && this.#isHarm(this.#wanted)
  }

  /** That green waits for more is no harm. Anything else is where it should not be. */
  #isHarm(share: TrafficShare): boolean {
    const isMore = (one: TrafficShare): boolean => one.blue === share.blue && share.percentage > one.percentage
    const isSame = (one: TrafficShare): boolean => this.#target.words(one) === this.#target.words(share)
    return this.#written !== undefined && !this.#shares.every((one) => isSame(one) || isMore(one))
  }

  /** Waits for a time, for something that must not wait, or for the end. */
  async #sleep(waitMs: number | undefined, isNews: () => boolean, signal: AbortSignal): Promise<void> {
    let isOver = false
    const cancel =
      waitMs === undefined
        ? () => undefined
        : this.#clock.after(waitMs, () => {
            isOver = true
            this.#wake()
          })
    this.#wake()
    await this.#change(() => isOver || signal.aborted || isNews())
    cancel()
  }

  /** For somebody who awaits it, and whose program may have nothing else to do. */
  async #until(isSo: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    let isOver = false
    const end = (): void => {
      isOver = true
      this.#wake()
    }
    const [cancel, letGo] = [this.#clock.after(timeoutMs, end), holdProcess()]
    signal?.addEventListener('abort', end, { once: true })
    await this.#change(() => isOver || isSo())
    cancel()
    letGo()
    signal?.removeEventListener('abort', end)
  }

  async #change(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waits.delete(wake)
          resolve()
        }
        this.#waits.add(wake)
      })
    }
  }

  #wake(): void {
    for (const wake of [...this.#waits]) wake()
  }

  #tell(news: readonly TrafficChange[]): void {
    for (const change of news) {
      try {
        this.emit('change', change)
      } catch (error) {
        warn('EVENKEEL_LISTENER', 'A listener of "change" threw; those registered after it missed the event', error)
      }
    }
  }
}

/** Whether it may pass by itself. */
function isTransient(problem: Error): boolean {
  return (problem as { retryable?: unknown }).retryable === true
}
