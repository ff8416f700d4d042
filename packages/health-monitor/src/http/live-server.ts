import { EventEmitter } from 'eventemitter3'
import type { Worker } from 'node:worker_threads'
import { describeFailure, oneLine } from '../check-result.js'
import { requireKnown } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { ListenError } from './http-errors.js'
import { BEAT_MS, type LiveSettings } from './live-messages.js'
import { type LiveThread, startThread } from './live-thread.js'
import { limitsOf, requireServer, serverLimits, type ServerLimits } from './listening.js'

/** Where a {@link LiveServer} listens, and how patient it is. */
export interface LiveServerOptions extends ServerLimits {
  /** 0 to 65_535; 0 for one that is free, which {@link LiveServer.port} then tells. */
  readonly port: number
  /** The address to listen on; every one of the machine unless you say which. */
  readonly host?: string
  /**
   * The path to answer.
   *
   * @defaultValue `'/live'`
   */
  readonly path?: string
  /**
   * Milliseconds, from 500, for which the event loop may be blocked before the answer is 503. A pause of the garbage
   * collector is no reason to restart a bot.
   *
   * @defaultValue 10_000
   */
  readonly liveAfterMs?: number
}

/** What a {@link LiveServer} uses when its options leave it open. */
export const liveServerDefaults: Required<Omit<LiveServerOptions, 'port' | 'host'>> = {
  path: '/live',
  liveAfterMs: 10_000,
  ...serverLimits,
}

/** The thread of a {@link LiveServer} has ended by itself, or is back. */
export interface LiveChange {
  /** The server. */
  readonly what: 'live'
  /** How it was. */
  readonly from: 'up' | 'down'
  /** How it is. */
  readonly to: 'up' | 'down'
  /** When, epoch ms. */
  readonly at: number
  /** Why, in one line. */
  readonly why: string
  /** `INFO` when it is back, `WARNING` when it is gone. */
  readonly severity: 'INFO' | 'WARNING'
  /** All of it in one sentence, for people. */
  readonly message: string
}

/** The events of a {@link LiveServer}. */
export interface LiveServerEvents {
  /** The thread has ended by itself, or another has taken its place. */
  change: [change: LiveChange]
}

/** @internal */
export interface LiveInternals {
  /** Starts a thread; a test's may crash. */
  readonly startThread?: typeof startThread
  /** Beats, and waits to start a thread again. */
  readonly clock?: Clock
}

/** A thread that ended is started again after this many ms, and after twice as many each time that it ends again. */
const FIRST_RESTART_MS = 1_000
const LAST_RESTART_MS = 60_000

/**
 * Answers the liveness probe from a thread of its own, on a port of its own: also while the event loop is blocked, and
 * truthfully. A loop that gives no sign of life for `liveAfterMs` gets 503, and whoever runs the bot restarts it.
 *
 * @remarks
 * Time in which the thread itself did not run is not held against the loop: a suspended process, or one that gets no
 * processor, is not blocked. It is a part for `runUntilSignal`: put it first, so that it is stopped last.
 *
 * *Gotchas*: a thread costs some 10 MB and 50 ms of start. It keeps nothing alive, and ends with the process. A
 * debugger that holds the program blocks the loop.
 *
 * @example
 * ```ts
 * import { LiveServer } from '@evenkeel/health-monitor/http'
 *
 * const live = new LiveServer({ port: 0, host: '127.0.0.1' })
 * await live.start()
 * const response = await fetch(`http://127.0.0.1:${live.port}/live`)
 * console.log(response.status) // => 200
 * await live.stop()
 * ```
 */
export class LiveServer extends EventEmitter<LiveServerEvents> {
  /** What to call it in reports. */
  readonly name = 'LiveServer'
  readonly #clock: Clock
  readonly #startThread: typeof startThread
  readonly #options: LiveServerOptions
  readonly #settings: LiveSettings
  readonly #beat: Int32Array
  #starting: Promise<void> | undefined
  #worker: Worker | undefined
  #port: number | undefined
  #isUp = false
  #restartMs = FIRST_RESTART_MS
  #cancelBeat = (): void => {}
  #cancelRestart = (): void => {}

  /**
   * Validates, and does nothing else.
   *
   * @param options - the port, and how patient it is
   * @param internals - for tests
   * @throws TypeError or RangeError when an option does not exist or is out of range
   */
  constructor(options: LiveServerOptions, internals: LiveInternals = {}) {
    super()
    this.#clock = internals.clock ?? systemClock
    this.#startThread = internals.startThread ?? startThread
    requireKnown('LiveServer', options, ['port', 'host', ...Object.keys(liveServerDefaults)])
    requireServer('LiveServer', options)
    const { path = liveServerDefaults.path, liveAfterMs = liveServerDefaults.liveAfterMs } = options
    if (typeof path !== 'string' || !/^\/[^\s?#]*$/.test(path)) {
      throw new TypeError(`LiveServer: path must begin with /, not ${JSON.stringify(path)}`)
    }
    if (!(liveAfterMs >= 500 && liveAfterMs <= 3_600_000)) {
      throw new RangeError(`LiveServer: liveAfterMs must be 500 to 3_600_000, not ${liveAfterMs}`)
    }
    const beat = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
    const { port, host } = options
    this.#options = { ...options }
    this.#settings = { port, host, path, liveAfterMs, limits: limitsOf(options), beat }
    this.#beat = new Int32Array(beat)
  }

  /** The port that it listens on; `undefined` before the start and after the end. */
  get port(): number | undefined {
    return this.#port
  }

  /**
   * Starts the thread and waits until it listens. Does nothing when it has begun already.
   *
   * @throws {@link ListenError} when the port is taken or cannot be had
   */
  start(): Promise<void> {
    this.#starting ??= this.#begin().catch(async (error: unknown) => {
      await this.#end()
      const { port, host } = this.#options
      throw new ListenError(port, host, error as NodeJS.ErrnoException)
    })
    return this.#starting
  }

  /** Ends the thread. May be called twice. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => {})
    await this.#end()
  }

  /** As {@link LiveServer.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #begin(): Promise<void> {
    this.#giveSign()
    this.#port = await this.#listen(this.#settings)
    this.#isUp = true
  }

  async #end(): Promise<void> {
    const worker = this.#worker
    this.#starting = undefined
    this.#worker = undefined
    this.#port = undefined
    this.#isUp = false
    this.#restartMs = FIRST_RESTART_MS
    this.#cancelBeat()
    this.#cancelRestart()
    await worker?.terminate()
  }

  readonly #giveSign = (): void => {
    Atomics.add(this.#beat, 0, 1)
    this.#cancelBeat = this.#clock.after(BEAT_MS, this.#giveSign)
  }

  async #listen(settings: LiveSettings): Promise<number> {
    const thread = this.#startThread(settings)
    this.#worker = thread.worker
    const port = await thread.listening
    this.#watch(thread)
    return port
  }

  #watch({ worker, ended }: LiveThread): void {
    const startedMs = this.#clock.monotonic()
    void ended.then((why) => {
      // It was asked to.
      if (worker !== this.#worker) return
      if (this.#clock.monotonic() - startedMs > LAST_RESTART_MS) this.#restartMs = FIRST_RESTART_MS
      this.#restartLater(why)
    })
  }

  #restartLater(why: string): void {
    const delayMs = this.#restartMs
    this.#restartMs = Math.min(delayMs * 2, LAST_RESTART_MS)
    this.#cancelRestart = this.#clock.after(delayMs, () => void this.#restart())
    this.#become('down', `${why}; it is started again in ${delayMs / 1_000} s`)
  }

  async #restart(): Promise<void> {
    // The probes know the port that the first one got.
    const settings = { ...this.#settings, port: this.#port ?? this.#settings.port }
    const started = this.#listen(settings)
    const worker = this.#worker
    try {
      await started
      if (worker === this.#worker) this.#become('up', `it listens on port ${settings.port} again`)
    } catch (error) {
      if (worker !== this.#worker) return
      void worker?.terminate()
      this.#restartLater(describeFailure(error))
    }
  }

  #become(to: 'up' | 'down', reason: string): void {
    const from = this.#isUp ? 'up' : 'down'
    if (from === to) return
    this.#isUp = to === 'up'
    const why = oneLine(reason)
    const severity = to === 'up' ? 'INFO' : 'WARNING'
    const at = this.#clock.now()
    try {
      this.emit('change', { what: 'live', from, to, at, why, severity, message: `The live server is ${to}: ${why}.` })
    } catch (error) {
      const warning = `A listener of a LiveServer's "change" threw: ${describeFailure(error)}`
      process.emitWarning(warning, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER' })
    }
  }
}
