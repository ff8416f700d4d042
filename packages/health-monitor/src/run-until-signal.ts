import { describeFailure } from './check-result.js'
import { StartFailedError } from './errors.js'
import { type HostProcess, Interruption } from './interruption.js'
import { type LifeNews, lifeTeller } from './life-news.js'
import { requireKnown, requireMilliseconds } from './options.js'
import type { Clock } from './ports.js'
import { type NamedPart, type Part, settle, Shutdown, type ShutdownReport } from './shutdown.js'
import { holdProcess, systemClock } from './system-clock.js'

/** How {@link runUntilSignal} runs. */
export interface RunUntilSignalOptions {
  /**
   * Milliseconds from the signal to the end of all waiting. A container is usually killed 10 s (Docker) or 30 s
   * (Kubernetes) after its SIGTERM; stay below.
   *
   * @defaultValue 10_000
   */
  readonly timeoutMs?: number
  /**
   * Milliseconds of `timeoutMs` that draining may take at most; the rest is for stopping. Half of it unless you say
   * otherwise.
   */
  readonly drainMs?: number
  /**
   * The signals that end the run. Add `SIGHUP` for a terminal that is closed, `SIGUSR2` for nodemon.
   *
   * @defaultValue `['SIGTERM', 'SIGINT']`
   */
  readonly signals?: readonly NodeJS.Signals[]
  /**
   * Whether an error that nobody caught ends the run well, with the cause `crash`: drained and stopped within the same
   * deadline. What has crashed may be in any state; without this, Node ends the process on the spot, as ever. Every such
   * error is told to `onNews`, or as a warning of the process with the code `EVENKEEL_CRASH`, and the first is in the report.
   *
   * @defaultValue `false`
   */
  readonly catchCrashes?: boolean
  /**
   * Whether to end the process at the end: with 0 when everything stopped, with 1 when something was left or it crashed.
   * Without it, the process ends by itself when nothing holds it any more.
   *
   * @defaultValue `false`
   */
  readonly exit?: boolean
  /** Is told what happens: which part runs, has drained, has stopped, or has not. */
  readonly onNews?: (news: LifeNews) => void
  /** Ends the run as a signal would, for tests and programs. */
  readonly signal?: AbortSignal
  /** Whose signals to listen to; this process unless a test brings another. */
  readonly process?: HostProcess
  /** The clock to wait by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link runUntilSignal} uses when its options leave it open. */
export const runUntilSignalDefaults: Required<
  Pick<RunUntilSignalOptions, 'timeoutMs' | 'signals' | 'catchCrashes' | 'exit'>
> = {
  // Docker's own patience is 10 s; a bot that is run so should choose less.
  timeoutMs: 10_000,
  signals: ['SIGTERM', 'SIGINT'],
  catchCrashes: false,
  exit: false,
}

/**
 * Starts the parts in order, waits for SIGTERM or SIGINT, and ends them well: readiness off, then every `drain()` at the
 * same time, then every `stop()` in reverse order. A part without `stop()` that is disposable is disposed of.
 *
 * @remarks
 * All of it happens within `timeoutMs`. Draining gets half of it at most, or `drainMs`. Of the rest, each part gets an equal share of
 * what its predecessors left, so that one that hangs keeps no other from being stopped; nor does one that throws.
 * A second signal ends all waiting: the parts that remain are still asked to stop, and nobody waits for them. One that
 * comes within half a second is the same Ctrl-C, passed on by whatever runs this process, and is not counted.
 *
 * A part that fails to start ends the run: those that had started are stopped in reverse order. A signal during the
 * start does the same as later; the part that was just starting is stopped too.
 *
 * *Gotchas*: the process stays alive until this has ended, and afterwards it ends by itself when nothing else holds it.
 * A part that was left running may hold it: then ask for `exit`. Signal handlers are removed at the end, so from
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
  const { clock, timeoutMs, drainMs, signals, signal, catchCrashes, exit, onNews, host } = resolve(options)
  if (!Array.isArray(parts)) throw new TypeError('runUntilSignal: give a list of parts, such as [storage, bot]')
  const named = (parts as readonly Part[]).map(nameOf)
  const tell = lifeTeller(() => clock.now(), onNews)
  const interruption = new Interruption(host, { signals, abort: signal, catchCrashes }, clock, (error) => {
    const why = `crash: ${describeFailure(error)}`
    const text = `It crashed while everything ended: ${describeFailure(error)}`
    tell('run', 'ending', 'ending', why, 'CRITICAL', text, { error })
  })
  const release = holdProcess()
  try {
    const started: NamedPart[] = []
    const shutdown = (hurry: Promise<undefined>): Shutdown =>
      new Shutdown(started, { clock, timeoutMs, drainMs }, hurry, tell)
    for (const each of named) {
      if (interruption.cause !== undefined) break
      const startedMs = clock.monotonic()
      const start = settle(() => each.part.start?.())
      const outcome = await Promise.race([start, interruption.first])
      if (outcome?.failed === true) {
        const why = describeFailure(outcome.error)
        tell(each.name, 'new', 'stopped', why, 'CRITICAL', `${each.name} did not start: ${why}`)
        // It is ending already, so the first signal is one too many.
        const ending = shutdown(interruption.first)
        await ending.stop()
        throw new StartFailedError(each.name, ending.report('start-failed'), outcome.error)
      }
      started.push(each)
      const took = `took ${Math.round(clock.monotonic() - startedMs)} ms`
      if (outcome !== undefined) tell(each.name, 'new', 'running', took, 'INFO', `${each.name} runs (${took})`)
    }
    if (interruption.cause === undefined) {
      tell('run', 'new', 'running', 'every part runs', 'INFO', `All ${started.length} parts run`)
    }
    await interruption.first
    const { cause = 'abort', crash } = interruption
    const why = crash === undefined ? cause : `crash: ${describeFailure(crash.error)}`
    tell('run', 'running', 'ending', why, crash === undefined ? 'INFO' : 'CRITICAL', `Everything ends: ${why}`, crash)
    const ending = shutdown(interruption.second)
    await ending.drain()
    await ending.stop()
    const report = ending.report(cause, interruption.crash)
    const isWell = report.left.length === 0 && report.error === undefined
    const left = report.left.length === 0 ? 'everything has stopped' : `left running: ${report.left.join(', ')}`
    tell('run', 'ending', 'stopped', left, isWell ? 'INFO' : 'WARNING', `The run is over: ${left}`)
    if (exit) {
      // Warnings of the process are written in the next turn.
      await new Promise((resolve) => setImmediate(resolve))
      host.exit?.(isWell ? 0 : 1)
    }
    return report
  } finally {
    interruption.close()
    release()
  }
}

function resolve(options: RunUntilSignalOptions) {
  const known = ['timeoutMs', 'drainMs', 'signals', 'catchCrashes', 'exit', 'onNews', 'signal', 'process', 'clock']
  requireKnown('runUntilSignal', options, known)
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const merged = { ...runUntilSignalDefaults, ...(given as RunUntilSignalOptions) }
  const {
    timeoutMs,
    drainMs = timeoutMs / 2,
    signals,
    catchCrashes,
    exit,
    onNews,
    signal,
    clock = systemClock,
  } = merged
  requireMilliseconds('runUntilSignal: timeoutMs', timeoutMs, 1)
  requireMilliseconds('runUntilSignal: drainMs', drainMs, 0)
  if (drainMs > timeoutMs) {
    throw new RangeError(`runUntilSignal: drainMs is part of timeoutMs (${timeoutMs}), and cannot be ${drainMs}`)
  }
  if (!Array.isArray(signals) || !signals.every((name) => typeof name === 'string' && name.startsWith('SIG'))) {
    throw new TypeError("runUntilSignal: signals must be a list such as ['SIGTERM', 'SIGINT']")
  }
  if (typeof catchCrashes !== 'boolean' || typeof exit !== 'boolean') {
    throw new TypeError('runUntilSignal: catchCrashes and exit must be true or false')
  }
  // Before anybody listens: a signal that is heard, and ends nothing, could not even kill.
  if (onNews !== undefined && typeof onNews !== 'function') {
    throw new TypeError('runUntilSignal: onNews must be a function')
  }
  if (signal !== undefined && typeof (signal as Partial<AbortSignal>).addEventListener !== 'function') {
    throw new TypeError('runUntilSignal: signal must be an AbortSignal')
  }
  return { timeoutMs, drainMs, signals, catchCrashes, exit, onNews, signal, clock, host: merged.process ?? process }
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
