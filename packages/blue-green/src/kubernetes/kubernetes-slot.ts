import { defined, readCount, readDuration, requireKnown, requireMethods } from '../checked-options.js'
import type { Clock, HealthStatus } from '../ports.js'
import { SlotStartError } from '../slots/errors.js'
import { httpSlot, type HttpSlotOptions } from '../slots/http-slot.js'
import type { Delivery, Slot, SlotDeath, SlotDrained, SlotDrainOptions } from '../slots/slot.js'
import { holdProcess, systemClock } from '../system-clock.js'
import { kubernetesApi, type KubernetesApi } from './api.js'
import { fencedWrite } from './fenced-write.js'
import { KubernetesRefusedError, KubernetesUnavailableError } from './errors.js'
import { pause, patience } from './patience.js'
import { deployment, labelOf, type KubernetesObject, type KubernetesResource } from './resources.js'
import { replicasOf, rolloutOf, type Rollout } from './rollout.js'
import type { RoutedStatus } from './share.js'

/** What {@link kubernetesSlot} takes. */
export interface KubernetesSlotOptions<Event> {
  /** The Deployment whose pods are this version. */
  readonly deployment: string
  /** How events reach its pods: `url` is that of the Service before them. */
  readonly http: HttpSlotOptions<Event>
  /**
   * Who uses the slot: `() => blueGreen.status`. A controller with a stale `epoch` scales nothing; one that does not drive scales
   * nothing down.
   */
  readonly status: () => Pick<RoutedStatus, 'controller' | 'epoch'>
  /**
   * Asked before it is scaled down, again and again for `stopTimeoutMs`: whether nobody but `BlueGreen` sends its pods anything any
   * more. `() => router.status.isWritten`, where a {@link TrafficRouter} follows the same `BlueGreen`. It must have been so for `settleMs`.
   */
  readonly mayScaleDown?: (() => boolean) | undefined
  /** The API of the cluster; that of the pod unless given. */
  readonly api?: KubernetesApi | undefined
  /** How many pods it has at least when it is started. More, as of an autoscaler, are left. */
  readonly replicas?: number | undefined
  /** How many pods are left when it is given up. */
  readonly retiredReplicas?: number | undefined
  /** How long it may take until its pods are ready and answer, in ms. */
  readonly startTimeoutMs?: number | undefined
  /** How long scaling down is tried, in ms. */
  readonly stopTimeoutMs?: number | undefined
  /**
   * How long `mayScaleDown` must have said so, in ms, from 0, less than `stopTimeoutMs`: a share that is written is in force at the gateway
   * a moment later.
   */
  readonly settleMs?: number | undefined
  /** How long to wait before the API is asked again, in ms; each time twice as long, or as long as it asks for (`Retry-After`). */
  readonly retryMs?: number | undefined
  /** The longest such wait, in ms, whatever the API asks for. */
  readonly maxRetryMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The options of {@link kubernetesSlot} that have a default. */
export type KubernetesSlotDefaults = Readonly<
  Record<
    'replicas' | 'retiredReplicas' | 'startTimeoutMs' | 'stopTimeoutMs' | 'settleMs' | 'retryMs' | 'maxRetryMs',
    number
  >
>

/** The value of each option of `kubernetesSlot` that is not given. */
export const kubernetesSlotDefaults: KubernetesSlotDefaults = {
  replicas: 1,
  retiredReplicas: 0,
  startTimeoutMs: 300_000,
  stopTimeoutMs: 30_000,
  settleMs: 2_000,
  retryMs: 1_000,
  maxRetryMs: 15_000,
}

/**
 * A version that is a Deployment in a Kubernetes cluster: scaled up when it is to serve, reached through its Service, and scaled
 * down when it has been drained and given up.
 *
 * @remarks
 * `start()` scales up, waits until the cluster says that all pods are ready, and then until they answer. `stop()` scales down only
 * after `drain()`, when `mayScaleDown` has said so for `settleMs`, and while the controller drives: one that merely ends leaves its pods
 * alone. Every write carries the fencing token, in the annotation `evenkeel.dev/epoch`, and the resource version that was read.
 *
 * *Gotchas*: the pods may be ready and a Service still without them, so `start()` asks the Service too. Of several pods each remembers
 * the events that it handled itself: an event that comes once more may reach another pod, where `effects` counts.
 *
 * @param options - the Deployment, the way to its pods, and who drives
 * @returns the slot; nothing is sent before `start()`
 * @throws TypeError or RangeError that names the option, its value, and what would do
 *
 * @example
 * ```ts
 * import { kubernetesApi, kubernetesSlot } from '@evenkeel/blue-green/kubernetes'
 *
 * const v2 = kubernetesSlot<{ id: string }, string>({
 *   deployment: 'bot-green',
 *   http: { url: 'http://bot-green:4100/events', token: 'sixteen-characters-or-more', effects: 'keyed' },
 *   status: () => ({ controller: 'DRIVING', epoch: 1 }), // () => blueGreen.status
 *   api: kubernetesApi({ url: 'http://127.0.0.1:8001', namespace: 'bots' }), // not needed in a pod
 * })
 * console.log(v2.health?.()) // => down
 * ```
 */
export function kubernetesSlot<Event = unknown, Answer = unknown>(
  options: KubernetesSlotOptions<Event>,
): Slot<Event, Answer> {
  return new KubernetesSlot<Event, Answer>(options)
}

class KubernetesSlot<Event, Answer> implements Slot<Event, Answer> {
  readonly #http: Slot<Event, Answer>
  readonly #api: KubernetesApi
  readonly #resource: KubernetesResource
  readonly #status: KubernetesSlotOptions<Event>['status']
  readonly #mayScaleDown: (() => boolean) | undefined
  readonly #given: KubernetesSlotDefaults
  readonly #clock: Clock
  /** Whether what follows is to be its end, and not that of its controller. */
  #isGivenUp = false
  #starting: Work | undefined
  #stopping: Work | undefined

  constructor(options: KubernetesSlotOptions<Event>) {
    const known = [
      'deployment',
      'http',
      'status',
      'mayScaleDown',
      'api',
      'clock',
      ...Object.keys(kubernetesSlotDefaults),
    ]
    requireKnown('kubernetesSlot', options, known)
    this.#resource = deployment(options.deployment)
    requireMethods('status', options, ['status'])
    this.#status = options.status
    if (options.mayScaleDown !== undefined) requireMethods('mayScaleDown', options, ['mayScaleDown'])
    this.#mayScaleDown = options.mayScaleDown
    if (options.api !== undefined) requireMethods('api', options.api, ['get', 'patch', 'watch'])
    if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
    const given = { ...kubernetesSlotDefaults, ...defined(options) }
    this.#given = {
      replicas: readCount('replicas', given.replicas, 1),
      retiredReplicas: readCount('retiredReplicas', given.retiredReplicas, 0),
      startTimeoutMs: readDuration('startTimeoutMs', given.startTimeoutMs),
      stopTimeoutMs: readDuration('stopTimeoutMs', given.stopTimeoutMs),
      settleMs: readCount('settleMs', given.settleMs, 0),
      retryMs: readDuration('retryMs', given.retryMs),
      maxRetryMs: readDuration('maxRetryMs', given.maxRetryMs),
    }
    const { settleMs, stopTimeoutMs } = this.#given
    if (options.mayScaleDown !== undefined && settleMs >= stopTimeoutMs) {
      throw new RangeError(`settleMs must be shorter than stopTimeoutMs (${stopTimeoutMs}), not ${settleMs}`)
    }
    this.#clock = options.clock ?? systemClock
    this.#http = httpSlot<Event, Answer>({ name: options.deployment, ...options.http })
    this.#api = options.api ?? kubernetesApi()
  }

  handle(event: Event, delivery?: Delivery): Promise<Answer> {
    return this.#http.handle(event, delivery)
  }

  health(): HealthStatus {
    return this.#starting === undefined ? (this.#http.health?.() ?? 'up') : 'unknown'
  }

  onDeath(listener: (death: SlotDeath) => void): () => void {
    return this.#http.onDeath(listener)
  }

  async start({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted()
    this.#isGivenUp = false
    this.#stopping?.end.abort()
    // One that was given up is no start to wait for.
    while (this.#starting?.end.signal.aborted === true) await this.#starting.done.catch(() => undefined)
    signal?.throwIfAborted()
    this.#starting ??= begin(
      (ending) => this.#start(ending),
      () => (this.#starting = undefined),
    )
    const { done, end } = this.#starting
    const abort = (): void => end.abort()
    signal?.addEventListener('abort', abort, { once: true })
    await done.finally(() => signal?.removeEventListener('abort', abort))
  }

  async drain(options?: SlotDrainOptions): Promise<SlotDrained> {
    const drained = await this.#http.drain(options)
    // Not if it was taken back meanwhile.
    this.#isGivenUp = this.#starting === undefined && this.#http.health?.() !== 'up'
    return drained
  }

  async stop(): Promise<void> {
    this.#starting?.end.abort()
    await this.#starting?.done.catch(() => undefined)
    this.#stopping ??= begin(
      (ending) => this.#stop(ending),
      () => (this.#stopping = undefined),
    )
    await this.#stopping.done
  }

  async #start(ending: AbortSignal): Promise<void> {
    await this.#stopping?.done.catch(() => undefined)
    const { replicas, startTimeoutMs } = this.#given
    const { name } = this.#resource
    const late = new AbortController()
    const cancel = this.#clock.after(startTimeoutMs, () => late.abort())
    const signal = AbortSignal.any([ending, late.signal])
    let waitsFor = 'the Kubernetes API was not asked'
    try {
      const change = (object: KubernetesObject): object | undefined =>
        replicasOf(object) < replicas ? { replicas } : undefined
      await this.#persist(
        signal,
        (why) => (waitsFor = why),
        () => this.#write(change, signal),
      )
      await this.#untilReady(signal, (why) => (waitsFor = why))
      waitsFor = 'its pods are ready, and the Service does not answer'
      await this.#http.start({ signal })
    } catch (error) {
      const why = ending.aborted
        ? 'it was stopped'
        : late.signal.aborted
          ? `it was not ready within ${startTimeoutMs} ms: ${waitsFor}`
          : (error as Error).message
      throw new SlotStartError(name, why, error)
    } finally {
      cancel()
    }
  }

  async #stop(ending: AbortSignal): Promise<void> {
    await this.#http.stop()
    if (!this.#isGivenUp) return
    const { retiredReplicas, stopTimeoutMs } = this.#given
    const late = new AbortController()
    const cancel = this.#clock.after(stopTimeoutMs, () => late.abort())
    const signal = AbortSignal.any([ending, late.signal])
    let last = 'the Kubernetes API was not asked'
    const untilUnused = this.#untilUnused(signal)
    try {
      const change = (object: KubernetesObject): object | undefined =>
        replicasOf(object) > retiredReplicas ? { replicas: retiredReplicas } : undefined
      await this.#persist(
        signal,
        (why) => (last = why),
        async () => {
          await untilUnused()
          // Its pods serve on, for the next controller.
          if (this.#isDriving) await this.#write(change, signal)
        },
      )
      this.#isGivenUp = false
    } catch (error) {
      // Whoever starts it again wants its pods.
      if (ending.aborted) return
      if (!late.signal.aborted) throw error
      const what = `Scaling down ${labelOf(this.#resource)}`
      throw new KubernetesUnavailableError(what, `not within ${stopTimeoutMs} ms: ${last}`, { applied: 'unknown' })
    } finally {
      cancel()
    }
  }

  get #isDriving(): boolean {
    return this.#status().controller === 'DRIVING'
  }

  /** @returns what resolves when nobody has sent it anything for a while, and rejects when somebody does */
  #untilUnused(signal: AbortSignal): () => Promise<void> {
    let unusedSince: number | undefined
    return async () => {
      while (this.#mayScaleDown !== undefined && this.#isDriving) {
        if (!this.#mayScaleDown()) {
          unusedSince = undefined
          const why = 'mayScaleDown says that others still send it something'
          throw new KubernetesUnavailableError(`Scaling down ${labelOf(this.#resource)}`, why, { applied: 'no' })
        }
        unusedSince ??= this.#clock.monotonic()
        const restMs = unusedSince + this.#given.settleMs - this.#clock.monotonic()
        if (restMs <= 0) return
        await pause(this.#clock, restMs, signal)
      }
    }
  }

  #write(change: (object: KubernetesObject) => object | undefined, signal: AbortSignal): Promise<unknown> {
    return fencedWrite(this.#api, this.#resource, () => this.#status().epoch, change, signal)
  }

  /** Tries until it works, it makes no sense, or time is over. */
  async #persist<T>(signal: AbortSignal, waitsFor: (why: string) => void, work: () => Promise<T>): Promise<T> {
    for (const waitMs of patience(this.#given)) {
      try {
        return await work()
      } catch (error) {
        const { retryable, message, retryAfterMs = 0 } = error as KubernetesUnavailableError
        if (signal.aborted || retryable !== true) throw error
        waitsFor(message)
        const longMs = Math.min(retryAfterMs, this.#given.maxRetryMs)
        await pause(this.#clock, Math.max(waitMs, longMs), signal)
      }
    }
    throw new Error('patience is endless')
  }

  async #untilReady(signal: AbortSignal, waitsFor: (why: string) => void): Promise<void> {
    for (;;) {
      const object = await this.#persist(signal, waitsFor, () => this.#api.get(this.#resource, { signal }))
      if (isReady(rolloutOf(object), waitsFor)) return
      if (await this.#watchUntilReady(object, signal, waitsFor)) return
      await pause(this.#clock, this.#given.retryMs, signal)
    }
  }

  /** @returns `false` when the watch ended before, as it may at any time; what was missed is read again */
  async #watchUntilReady(
    { metadata }: KubernetesObject,
    signal: AbortSignal,
    waitsFor: (why: string) => void,
  ): Promise<boolean> {
    let rollout: Rollout | undefined
    try {
      for await (const object of this.#api.watch(this.#resource, metadata.resourceVersion, { signal })) {
        rollout = rolloutOf(object)
        if (rollout.isReady || rollout.hasFailed) break
        waitsFor(rollout.why)
      }
    } catch (error) {
      // Without permission to watch, it is read again and again.
      if (signal.aborted || !isOfTheApi(error)) throw error
    }
    return rollout !== undefined && isReady(rollout, waitsFor)
  }
}

/** Something under way that can be ended. */
interface Work {
  readonly done: Promise<void>
  readonly end: AbortController
}

function begin(run: (ending: AbortSignal) => Promise<void>, settled: () => void): Work {
  const end = new AbortController()
  const letGo = holdProcess()
  const done = Promise.resolve()
    .then(() => run(end.signal))
    .finally(() => {
      letGo()
      settled()
    })
  // Whoever waits for it has a promise of their own.
  done.catch(() => undefined)
  return { done, end }
}

function isReady({ isReady, hasFailed, why }: Rollout, waitsFor: (why: string) => void): boolean {
  if (hasFailed) throw new Error(why)
  waitsFor(why)
  return isReady
}

function isOfTheApi(error: unknown): boolean {
  return error instanceof KubernetesUnavailableError || error instanceof KubernetesRefusedError
}
