import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../ports.js'
import { holdProcess, systemClock } from '../system-clock.js'
import { handlerOf } from './handlers.js'
import { HealthPages } from './health-pages.js'
import { ListenError } from './http-errors.js'
import { limitedServer, limitsOf, listen, requireServer, serverLimits, type ServerLimits } from './listening.js'
import type { HealthHandlerOptions, ShownHealth } from './options.js'
import { Readiness } from './readiness.js'

/** Where a {@link HealthServer} listens, and what it serves. */
export interface HealthServerOptions extends Omit<HealthHandlerOptions, 'readiness'>, ServerLimits {
  /** 0 to 65_535; 0 for one that is free, which {@link HealthServer.port} then tells. */
  readonly port: number
  /** The address to listen on; every one of the machine unless you say which. */
  readonly host?: string
  /**
   * Says when work may come. Without it, the server's own is on from its start to the signal.
   */
  readonly readiness?: Readiness
}

/** What a {@link HealthServer} uses when its options leave it open. */
export const healthServerDefaults: Required<ServerLimits> = serverLimits

/** So long a connection that is busy may hold up `stop()`, in ms. */
const CLOSING_MS = 1_000

/**
 * Serves the pages of {@link healthHandler} on a port of its own.
 *
 * @remarks
 * It is a part for `runUntilSignal`: readiness goes off first, and `stop()` closes it. Put it before the bot, so that it is
 * stopped after it and says 503 as long as the bot drains.
 *
 * *Gotchas*: it does not keep the process alive: what has nothing else to do should end, and not look healthy.
 *
 * @example
 * ```ts
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { HealthServer } from '@evenkeel/health-monitor/http'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
 * await health.checkNow()
 * const server = new HealthServer(health, { port: 0, host: '127.0.0.1' })
 * await server.start()
 * const ready = await fetch(`http://127.0.0.1:${server.port}/ready`)
 * server.readiness.off() // what `runUntilSignal` does when a signal comes
 * const notReady = await fetch(`http://127.0.0.1:${server.port}/ready`)
 * console.log(ready.status, notReady.status) // => 200 503
 * await server.stop()
 * ```
 */
export class HealthServer {
  /** What to call it in reports. */
  readonly name = 'HealthServer'
  /** Whether work should come; `runUntilSignal` turns it off first. */
  readonly readiness: Readiness
  readonly #pages: HealthPages
  readonly #clock: Clock
  readonly #options: HealthServerOptions
  readonly #isReadinessOurs: boolean
  #starting: Promise<void> | undefined
  #server: Server | undefined
  #port: number | undefined

  /**
   * Validates, and does nothing else.
   *
   * @param health - a `HealthMonitor`, or anything of its shape
   * @param options - the port, and what is served
   * @throws TypeError or RangeError when an option does not exist or is out of range
   */
  constructor(health: ShownHealth, options: HealthServerOptions) {
    const given = (options as Partial<HealthServerOptions> | undefined)?.readiness
    this.readiness = given ?? new Readiness()
    this.#isReadinessOurs = given === undefined
    const own = ['port', 'host', ...Object.keys(serverLimits)]
    this.#pages = new HealthPages('HealthServer', health, { ...options, readiness: this.readiness }, own)
    requireServer('HealthServer', options)
    this.#options = { ...options }
    this.#clock = options.clock ?? systemClock
  }

  /** The port that it listens on; `undefined` before the start and after the end. */
  get port(): number | undefined {
    return this.#port
  }

  /**
   * Begins to listen. Does nothing when it has begun already.
   *
   * @throws {@link ListenError} when the port is taken or cannot be had
   */
  start(): Promise<void> {
    this.#starting ??= this.#listen().catch((error: unknown) => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  /** Stops listening and closes every connection, a busy one after a second. May be called twice. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => {})
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    this.#starting = undefined
    this.#port = undefined
    if (this.#isReadinessOurs) this.readiness.off()
    const release = holdProcess()
    const cancel = this.#clock.after(CLOSING_MS, () => server.closeAllConnections())
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeIdleConnections()
    })
    cancel()
    release()
  }

  /** As {@link HealthServer.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #listen(): Promise<void> {
    const { port, host } = this.#options
    const server = limitedServer(handlerOf(this.#pages), limitsOf(this.#options))
    server.unref()
    server.on('connection', (socket: Socket) => socket.unref())
    const release = holdProcess()
    try {
      this.#port = await listen(server, port, host)
    } catch (error) {
      throw new ListenError(port, host, error as NodeJS.ErrnoException)
    } finally {
      release()
    }
    // Such as: no more files can be opened. It goes on listening.
    server.on('error', (error) => {
      const warning = `HealthServer on port ${this.#port}: ${error.message}`
      process.emitWarning(warning, { type: 'EvenkeelWarning', code: 'EVENKEEL_HTTP' })
    })
    this.#server = server
    if (this.#isReadinessOurs) this.readiness.on()
  }
}
