import { StartFailedError } from './errors.js'
import { requireKnown } from './options.js'
import type { Clock } from './ports.js'
import { type NamedPart, type Part, settle, Shutdown, type ShutdownCause, type ShutdownReport } from './shutdown.js'
import { holdProcess, systemClock } from './system-clock.js'

/** The little of `process` that is needed. */
export interface HostProcess {
  /** Begins to listen. */
  on(signal: 'SIGTERM' | 'SIGINT', listener: (signal: 'SIGTERM' | 'SIGINT') => void): unknown
  /** Ceases to listen. */
  off(signal: 'SIGTERM' | 'SIGINT', listener: (signal: 'SIGTERM' | 'SIGINT') => void): unknown
}

/** How {@link runUntilSignal} runs. */
export interface RunUntilSignalOptions {
  /**
   * Milliseconds from the signal to the end of all waiting. A container is usually killed 10 s (Docker) or 30 s
   * (Kubernetes) after its SIGTERM; stay below.
   *
   * @defaultValue 10_000
   */
  readonly timeoutMs?: number
  /** Ends the run as a signal would, for tests and programs. */
  readonly signal?: AbortSignal
  /** Whose signals to listen to; this process unless a test brings another. */
  readonly process?: HostProcess
  /** The clock to wait by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link runUntilSignal} uses when its options leave it open. */
export const runUntilSignalDefaults: Required<Pick<RunUntilSignalOptions, 'timeoutMs'>> = {
  // Docker's own patience is 10 s; a bot that is run so should choose less.
  timeoutMs: 10_000,
}

/**
 * Starts the parts in order, waits for SIGTERM or SIGINT, and ends them well: readiness off, then every `drain()` at the
 * same time, then every `stop()` in reverse order.
 *
 * @remarks
 * All of it happens within `timeoutMs`. Draining gets half of it at most. Of the rest, each part gets an equal share of
 * what its predecessors left, so that one that hangs keeps no other from being stopped; nor does one that throws.
 * A second signal ends all waiting: the parts that remain are still asked to stop, and nobody waits for them. One that
 * comes within half a second is the same Ctrl-C, passed on by whatever runs this process, and is not counted.
 *
 * A part that fails to start ends the run: those that had started are stopped in reverse order. A signal during the
 * start does the same as later; the part that was just starting is stopped too.
 *
 * *Gotchas*: the process stays alive until this has ended, and afterwards it ends by itself when nothing else holds it.
 * A part that was left running may hold it: then call `process.exit`. Signal handlers are removed at the end, so from
 * then on a signal kills.
 *
 * @param parts - in the order to start; what others rely on comes first, and what brings work in, the bot, last
 * @param options - the deadline, and how else to end the run
 * @returns how it ended
 * @throws {@link StartFailedError} when a part's `start()` throws or rejects
 * @throws TypeError or RangeError when parts or options are none
 *
 * @example
 * ```ts
 * import { runUntilSignal } from '@evenkeel/health-monitor/lifecycle'
 *
 * const storage = { name: 'storage', start: async () => {}, stop: async () => console.log('flushed') }
 * const bot = { name: 'bot', start: async () => {}, stop: async () => console.log('logged out') }
 *
 * const enough = AbortSignal.timeout(20) // a real bot leaves this out
 * const report = await runUntilSignal([storage, bot], { signal: enough })
 * console.log(report.stopped) // => [ 'bot', 'storage' ]
 * ```
 */
export async function runUntilSignal(
  parts: readonly Part[],
  options: RunUntilSignalOptions = {},
): Promise<ShutdownReport> {
  requireKnown('runUntilSignal', options, ['timeoutMs', 'signal', 'process', 'clock'])
  const { clock = systemClock, timeoutMs = runUntilSignalDefaults.timeoutMs } = options
  if (!(timeoutMs > 0) || !Number.isFinite(timeoutMs)) {
    throw new RangeError(`runUntilSignal: timeoutMs must be milliseconds above 0, not ${timeoutMs}`)
  }
  if (!Array.isArray(parts)) throw new TypeError('runUntilSignal: give a list of parts, such as [storage, bot]')
  const named = (parts as readonly Part[]).map(nameOf)
  const interruption = new Interruption(options.process ?? process, options.signal, clock)
  const release = holdProcess()
  try {
    const started: NamedPart[] = []
    for (const each of named) {
      if (interruption.cause !== undefined) break
      const start = settle(() => each.part.start?.())
      const outcome = await Promise.race([start, interruption.first])
      if (outcome?.failed === true) {
        // It is ending already, so the first signal is one too many.
        const shutdown = new Shutdown(started, clock, timeoutMs, interruption.first)
        await shutdown.stop()
        throw new StartFailedError(each.name, shutdown.report('start-failed'), outcome.error)
      }
      started.push(each)
    }
    await interruption.first
    const shutdown = new Shutdown(started, clock, timeoutMs, interruption.second)
    await shutdown.drain()
    await shutdown.stop()
    return shutdown.report(interruption.cause ?? 'abort')
  } finally {
    interruption.close()
    release()
  }
}

/**
 * A terminal sends Ctrl-C to every process in it, and runners such as tsx send it on to their children: one key, and the
 * same signal twice within milliseconds. Nobody presses twice so fast.
 */
const ECHO_MS = 500

/** Hears the first and the second call to end. */
class Interruption {
  /** Resolves at the first call. */
  readonly first: Promise<undefined>
  /** Resolves at the second. */
  readonly second: Promise<undefined>
  cause: ShutdownCause | undefined
  readonly #host: HostProcess
  readonly #signal: AbortSignal | undefined
  readonly #clock: Clock
  #firstMs = 0
  #announceFirst!: (nothing: undefined) => void
  #announceSecond!: (nothing: undefined) => void

  constructor(host: HostProcess, signal: AbortSignal | undefined, clock: Clock) {
    this.first = new Promise((resolve) => (this.#announceFirst = resolve))
    this.second = new Promise((resolve) => (this.#announceSecond = resolve))
    this.#host = host
    this.#signal = signal
    this.#clock = clock
    host.on('SIGTERM', this.#call)
    host.on('SIGINT', this.#call)
    signal?.addEventListener('abort', this.#onAbort)
    if (signal?.aborted === true) this.#call('abort')
  }

  close(): void {
    this.#host.off('SIGTERM', this.#call)
    this.#host.off('SIGINT', this.#call)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.#call('abort')

  readonly #call = (cause: ShutdownCause): void => {
    const nowMs = this.#clock.monotonic()
    if (this.cause !== undefined) {
      if (nowMs - this.#firstMs >= ECHO_MS) this.#announceSecond(undefined)
      return
    }
    this.cause = cause
    this.#firstMs = nowMs
    this.#announceFirst(undefined)
  }
}

function nameOf(part: Part, index: number): NamedPart {
  if ((typeof part !== 'object' && typeof part !== 'function') || part === null) {
    throw new TypeError(
      `runUntilSignal: part ${index + 1} is not an object; give objects with start(), drain() or stop()`,
    )
  }
  if (typeof part.name === 'string' && part.name !== '') return { name: part.name, part }
  const className = (part.constructor as { name?: unknown } | undefined)?.name
  return { name: typeof className === 'string' && className !== 'Object' ? className : `part ${index + 1}`, part }
}
