import type { HealthStatus } from '../ports.js'
import { warn } from '../warn.js'
import { NotBegunError, OutcomeUnknownError, ShedError, SlotStartError } from './errors.js'
import type { Gone, Link, LinkHooks } from './link.js'
import type { Delivery, MemoryReading, RestartPolicy, Slot, SlotDeath, SlotDrained, SlotDrainOptions } from './slot.js'
import { flawOf, fromWireError, isOurs, protocol, requirePlain, unsendable, type ToOwner } from './wire.js'
import { readMs, type WorkerSettings } from './worker-options.js'

/** How soon a refused event makes sense again: about as long as a handler takes. */
const retryAfterMs = 1_000

/** What to do about an event that cannot be sent. */
const remedy = 'pick plain data with the option toWire'

/** `leaving`: told to finish, and past taking back. `ending`: killed or asked to end. */
type State = 'stopped' | 'starting' | 'up' | 'draining' | 'leaving' | 'ending'

/** One event that the worker was given. It is kept until it is answered, or the worker is gone. */
interface Entry {
  readonly sentMs: number
  isBegun: boolean
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** One worker, from its start to its end. A later one has nothing to do with the messages of an earlier one. */
interface Life {
  link: Link
  readonly ended: Promise<void>
  readonly end: () => void
  /** Beats without a sign of life. Counted, not timed: when this process stood still, that was one beat. */
  silentBeats: number
  /** Why we killed it. */
  killedFor: string | undefined
  cancelBeat: () => void
  ready: () => void
  failed: (why: string, cause?: unknown) => void
  /** It will not get ready any more. */
  hasFailed: boolean
  drained: ((why: string | undefined) => void) | undefined
}

/**
 * A version in a worker: the ledger of what it was given, its signs of life, its start and its end.
 *
 * @internal
 */
export class WorkerSlot<Event, Answer> implements Slot<Event, Answer> {
  readonly restarts: RestartPolicy
  readonly #settings: WorkerSettings
  readonly #spawn: (hooks: LinkHooks) => Link
  readonly #listeners = new Set<(death: SlotDeath) => void>()
  readonly #memoryListeners = new Set<(reading: MemoryReading) => void>()
  readonly #ledger = new Map<number, Entry>()
  /**
   * Those whose outcome was told to be unknown when `answerTimeoutMs` was over. They may run still, so a drain waits for them;
   * but they take no place of `maxInFlight`, for some that never end would in time shed every event of a version that is well.
   */
  readonly #overdue = new Map<number, Entry>()
  /** Those who wait for the ledger to be empty. */
  readonly #emptied = new Set<() => void>()
  #n = 0
  /** Events that wait until it is ready. */
  #waiting = 0
  #state: State = 'stopped'
  #life: Life | undefined
  #starting: Promise<void> | undefined
  #draining: Promise<SlotDrained> | undefined
  #stopping: Promise<void> | undefined

  constructor(settings: WorkerSettings, spawn: (hooks: LinkHooks) => Link) {
    this.#settings = settings
    this.#spawn = spawn
    this.restarts = settings.restarts
  }

  health(): HealthStatus {
    if (this.#state === 'starting') return 'unknown'
    if (this.#state !== 'up') return 'down'
    return (this.#life?.silentBeats ?? 0) > 1 ? 'degraded' : 'up'
  }

  onDeath(listener: (death: SlotDeath) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onMemory(listener: (reading: MemoryReading) => void): () => void {
    this.#memoryListeners.add(listener)
    return () => this.#memoryListeners.delete(listener)
  }

  async start({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted()
    if (this.#state === 'draining') this.#takeBack()
    if (this.#state === 'up') return
    if (this.#state === 'leaving') await this.stop()
    if (this.#stopping !== undefined) await this.#stopping
    // One that was stopped or given up before it was ready is no start to wait for.
    while (this.#starting !== undefined && (this.#state !== 'starting' || this.#life?.hasFailed === true)) {
      await this.#starting.catch(() => undefined)
    }
    // Not heard while its former life ended.
    signal?.throwIfAborted()
    if (this.#starting === undefined) {
      const starting = this.#begin().finally(() => (this.#starting = undefined))
      // Whoever waits for it hears of it; an event that waits does not mind.
      starting.catch(() => undefined)
      this.#starting = starting
    }
    if (signal === undefined) return this.#starting
    const abort = (): void => {
      this.#life?.failed('start() was aborted', signal.reason)
      if (this.#state === 'starting') void this.stop()
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      await this.#starting
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async handle(event: Event, { eventId, isRepeat = false }: Delivery = {}): Promise<Answer> {
    const { name, toWire, maxInFlight, clock } = this.#settings
    const wire = toWire === undefined ? event : toWire(event as never)
    requirePlain('event', wire, 'clone', remedy)
    if (this.#ledger.size + this.#waiting >= maxInFlight) throw new ShedError(name, maxInFlight, retryAfterMs)
    // It will be ready or dead within startTimeoutMs.
    if (this.#starting !== undefined && this.#state === 'starting') {
      this.#waiting += 1
      await this.#starting.catch(() => undefined)
      this.#waiting -= 1
    }
    const life = this.#life
    if (this.#state !== 'up' || life === undefined) throw new NotBegunError(name, whyNot[this.#state])
    const n = ++this.#n
    return new Promise<Answer>((resolve, reject) => {
      const settle = { resolve: resolve as (answer: unknown) => void, reject }
      this.#ledger.set(n, { sentMs: clock.monotonic(), isBegun: false, ...settle })
      if (this.#ledger.size === 1) life.link.hold(true)
      try {
        life.link.send({ evenkeel: 1, type: 'event', n, event: wire, eventId, isRepeat })
      } catch (error) {
        this.#settle(life, n, (entry) => entry.reject(unsendable('event', remedy, error)))
      }
    })
  }

  drain({ timeoutMs = this.#settings.drainMs, signal }: SlotDrainOptions = {}): Promise<SlotDrained> {
    readMs('timeoutMs', timeoutMs)
    if (signal?.aborted === true) return Promise.reject(asError(signal.reason))
    const draining = (this.#draining ??= this.#drainOnce(timeoutMs).finally(() => {
      if (this.#draining === draining) this.#draining = undefined
    }))
    if (signal === undefined) return draining
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(asError(signal.reason))
      signal.addEventListener('abort', abort, { once: true })
      void draining.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopOnce().finally(() => (this.#stopping = undefined))
    return this.#stopping
  }

  // Its beginning

  async #begin(): Promise<void> {
    const { name, startTimeoutMs, clock } = this.#settings
    this.#state = 'starting'
    let end!: () => void
    const ended = new Promise<void>((resolve) => (end = resolve))
    let cancel!: () => void
    const ready = new Promise<void>((resolve, reject) => {
      const failed = (why: string, cause?: unknown): void => {
        life.hasFailed = true
        reject(new SlotStartError(name, why, cause))
      }
      const life: Life = {
        link: noLink,
        ended,
        end,
        silentBeats: 0,
        killedFor: undefined,
        cancelBeat: () => undefined,
        ready: resolve,
        failed,
        hasFailed: false,
        drained: undefined,
      }
      this.#life = life
      cancel = clock.after(startTimeoutMs, () => failed(`it had not called serveVersion within ${startTimeoutMs} ms`))
      life.link = this.#spawn({
        heard: (message) => this.#heard(life, message),
        gone: (gone) => this.#gone(life, gone),
      })
      life.link.hold(true)
    })
    const life = this.#life
    try {
      await ready
    } catch (error) {
      cancel()
      if (this.#life === life && life !== undefined) {
        // Where it is not wanted any more it is asked first: a thread that is ended while it loads a native module can take the process with it.
        if (this.#stateNow !== 'ending') life.link.kill()
        this.#state = 'ending'
        await ended
      }
      throw error
    }
    cancel()
    if (life !== undefined && this.#life === life) this.#listen(life)
  }

  /** The drain that waits hears of it, and a later one is another. */
  #takeBack(): void {
    this.#state = 'up'
    this.#draining = undefined
    if (this.#life !== undefined) this.#letGo(this.#life)
    for (const emptied of this.#emptied) emptied()
  }

  /** From now on it has to give signs of life. */
  #listen(life: Life): void {
    const { clock, heartbeatMs, hungAfterMs } = this.#settings
    const maxSilentBeats = Math.ceil(hungAfterMs / heartbeatMs)
    const beat = (): void => {
      // The answer to the last question has been read by now, however late this timer is: a turn of the event loop has passed.
      if (life.silentBeats >= maxSilentBeats) {
        return this.#kill(life, `it gave no sign of life for ${hungAfterMs} ms`)
      }
      life.silentBeats += 1
      life.link.send({ evenkeel: 1, type: 'ping' })
      this.#giveUpOn(life, clock.monotonic())
      life.cancelBeat = clock.after(heartbeatMs, beat)
    }
    life.cancelBeat = clock.after(heartbeatMs, beat)
  }

  // What it says

  #heard(life: Life, message: unknown): void {
    if (life !== this.#life || !isOurs(message)) return
    life.silentBeats = 0
    const flaw = flawOf(message)
    // What else it says cannot be believed either, and nobody would know what becomes of its events.
    if (flaw !== undefined) return this.#kill(life, `it sent a message that no version sends, ${flaw}`)
    const said: ToOwner = message
    switch (said.type) {
      case 'ready':
        if (said.protocol !== protocol) {
          return life.failed(
            `it speaks protocol ${said.protocol}, and this process ${protocol}; use one release for both`,
          )
        }
        if (this.#state !== 'starting') return
        this.#state = 'up'
        this.#letGo(life)
        return life.ready()
      case 'begun': {
        const entry = this.#entry(said.n)
        if (entry !== undefined) entry.isBegun = true
        return
      }
      case 'answer':
        return this.#settle(life, said.n, ({ resolve }) => resolve(said.answer))
      case 'failure':
        return this.#settle(life, said.n, ({ reject }) => reject(fromWireError(said.error)))
      case 'drained':
        return life.drained?.(said.why)
      case 'pong':
        if (said.memory !== undefined)
          tellAll(this.#memoryListeners, said.memory, `the memory of "${this.#settings.name}"`)
    }
  }

  #entry(n: number): Entry | undefined {
    return this.#ledger.get(n) ?? this.#overdue.get(n)
  }

  #settle(life: Life, n: number, how: (entry: Entry) => void): void {
    const entry = this.#entry(n)
    if (entry === undefined) return
    this.#ledger.delete(n)
    this.#overdue.delete(n)
    this.#letGo(life)
    if (this.#running === 0) for (const emptied of this.#emptied) emptied()
    how(entry)
  }

  /** Once nobody waits for an answer, the worker does not keep this process alive; unless it is being ended. */
  #letGo(life: Life): void {
    if (this.#ledger.size === 0) life.link.hold(this.#state !== 'up')
  }

  /** Oldest first, so the first that is young enough ends it. */
  #giveUpOn(life: Life, nowMs: number): void {
    const { name, answerTimeoutMs } = this.#settings
    for (const [n, entry] of this.#ledger) {
      if (nowMs - entry.sentMs < answerTimeoutMs) return
      this.#ledger.delete(n)
      this.#overdue.set(n, entry)
      // Never to be repeated: it may run still.
      entry.reject(new OutcomeUnknownError(name, `it gave no answer within ${answerTimeoutMs} ms`, false))
    }
    this.#letGo(life)
  }

  // Its end

  #kill(life: Life, why: string): void {
    life.killedFor ??= why
    life.cancelBeat()
    life.link.hold(true)
    life.link.kill()
  }

  #gone(life: Life, { why: how, isCertain }: Gone): void {
    life.cancelBeat()
    life.end()
    if (life !== this.#life) return
    const { name, mayRepeat, clock } = this.#settings
    const [state, why] = [this.#state, life.killedFor ?? how]
    this.#life = undefined
    this.#state = 'stopped'
    const entries = [...this.#overdue.values(), ...this.#ledger.values()]
    this.#overdue.clear()
    this.#ledger.clear()
    // Unless all was heard, what it has not told to have begun it may have begun.
    const isBegun = (entry: Entry): boolean => entry.isBegun || !isCertain
    const begun = entries.filter(isBegun).length
    const death = { why, at: clock.now(), notBegun: entries.length - begun, begun }
    if (state === 'starting') life.failed(`${why}, before it had called serveVersion`)
    // A death during a drain, too, is told before what it had is given back: whoever listens sends nothing more here.
    else if (state === 'up' || state === 'draining' || state === 'leaving')
      tellAll(this.#listeners, death, `the death of "${name}"`)
    for (const entry of entries) {
      const error = isBegun(entry) ? new OutcomeUnknownError(name, why, mayRepeat) : new NotBegunError(name, why)
      entry.reject(error)
    }
    life.drained?.(why)
    for (const emptied of this.#emptied) emptied()
  }

  async #drainOnce(timeoutMs: number): Promise<SlotDrained> {
    const { clock } = this.#settings
    const life = this.#life
    if (this.#state === 'starting') await this.#starting?.catch(() => undefined)
    if (life === undefined || this.#state !== 'up') return { drained: true, running: 0 }
    this.#state = 'draining'
    life.link.hold(true)
    let why: string | undefined
    let isDead = false
    void life.ended.then(() => (isDead = true))
    const untilMs = clock.monotonic() + timeoutMs
    const inTime = (wait: (done: () => void) => () => void): Promise<boolean> =>
      new Promise((resolve) => {
        const cancel = clock.after(Math.max(0, untilMs - clock.monotonic()), () => (forget(), resolve(false)))
        const forget = wait(() => (cancel(), forget(), resolve(true)))
      })
    const had = this.#running
    const isEmpty =
      had === 0 ||
      (await inTime((done) => {
        const check = (): void => {
          if (this.#running === 0 || this.#stateNow !== 'draining') done()
        }
        this.#emptied.add(check)
        return () => this.#emptied.delete(check)
      }))
    if (this.#life !== life) return { drained: had === 0, running: 0, why: 'it died while it was drained' }
    // `start()` has taken it back.
    if (this.#stateNow !== 'draining') return { drained: false, running: this.#running, why: 'it was taken back' }
    this.#state = 'leaving'
    life.link.send({ evenkeel: 1, type: 'drain', timeoutMs: Math.max(1, untilMs - clock.monotonic()) })
    const isTold = await inTime((done) => {
      life.drained = (reason) => {
        why = reason
        done()
      }
      return () => (life.drained = undefined)
    })
    if (!isEmpty) why = `${this.#running} events have not ended within ${timeoutMs} ms`
    else if (isDead || !isTold) why ??= `it was not done with its onDrain within ${timeoutMs} ms`
    const running = this.#running
    return why === undefined ? { drained: true, running } : { drained: false, running, why }
  }

  /** What the worker may be running. */
  get #running(): number {
    return this.#ledger.size + this.#overdue.size
  }

  /** A field that others change while we wait, read as such. */
  get #stateNow(): State {
    return this.#state
  }

  async #stopOnce(): Promise<void> {
    const { clock, stopTimeoutMs } = this.#settings
    const life = this.#life
    if (life === undefined) return
    if (this.#state === 'starting') life.failed('stop() was called')
    this.#state = 'ending'
    life.cancelBeat()
    life.link.hold(true)
    life.link.send({ evenkeel: 1, type: 'stop', timeoutMs: stopTimeoutMs })
    life.link.end()
    const cancel = clock.after(stopTimeoutMs, () => life.link.kill())
    await life.ended
    cancel()
  }
}

const whyNot: Record<State, string> = {
  stopped: 'it does not run',
  starting: 'it has not become ready',
  up: 'it is gone',
  draining: 'it is being drained',
  leaving: 'it is being drained',
  ending: 'it is being stopped',
}

const noLink: Link = { send: () => {}, end: () => {}, kill: () => {}, hold: () => {} }

/** One that throws does not keep the others from hearing it. */
function tellAll<T>(listeners: ReadonlySet<(news: T) => void>, news: T, about: string): void {
  for (const listener of listeners) {
    try {
      listener(news)
    } catch (error) {
      warn('EVENKEEL_LISTENER', `A listener to ${about} threw`, error)
    }
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
