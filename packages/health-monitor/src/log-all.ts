import { describeFailure } from './check-result.js'

/** Where lines go: `console`, a pino or winston logger, or anything with these three. */
export interface LogSink {
  /** For what is well. */
  info(message: string): unknown
  /** For what somebody should look at. */
  warn(message: string): unknown
  /** For what somebody must look at. */
  error(message: string): unknown
}

/** What a `change` event carries, as far as a log line needs it. */
export interface LoggableChange {
  /** How urgent it is. */
  readonly severity: 'INFO' | 'WARNING' | 'CRITICAL'
  /** All of it in one sentence. */
  readonly message: string
}

/** Anything that emits `change`: a monitor, a storage, flags, a degradation manager. */
export interface LoggablePart {
  /** Begins to listen. */
  on(event: 'change', listener: (change: LoggableChange) => void): unknown
  /** Ceases to listen. */
  off(event: 'change', listener: (change: LoggableChange) => void): unknown
}

/**
 * Writes a line for everything that the given parts say: `INFO` to `info`, `WARNING` to `warn`, `CRITICAL` to `error`.
 *
 * @remarks
 * A line is one complete string and nothing else: of a second argument pino drops what winston wants, and the other
 * way round. A sink that throws harms nobody; its error becomes a process warning with the code `EVENKEEL_LISTENER`.
 *
 * @param sink - `console` or a logger
 * @param parts - whose changes to write
 * @returns ceases to write; may be called twice
 * @throws TypeError when the sink lacks a method, or a part has no events
 *
 * @example
 * ```ts
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { logAll } from '@evenkeel/health-monitor/lifecycle'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
 * const off = logAll(console, health)
 * await health.checkNow() // writes "disk went from unknown to up: ok." and the same for the whole
 * off()
 * ```
 */
export function logAll(sink: LogSink, ...parts: readonly LoggablePart[]): () => void {
  for (const method of ['info', 'warn', 'error'] as const) {
    if (typeof (sink as Partial<LogSink> | undefined)?.[method] !== 'function')
      throw new TypeError(`logAll: the sink has no ${method}(); give console or a logger`)
  }
  const given: readonly (Partial<LoggablePart> | undefined)[] = parts
  const stranger = given.findIndex((part) => typeof part?.on !== 'function' || typeof part.off !== 'function')
  if (stranger !== -1)
    throw new TypeError(`logAll: part ${stranger + 1} has no on() and off(); give what emits "change"`)
  const write = (change: Partial<LoggableChange> | undefined): void => {
    // Other emitters have a "change" of their own; without a sentence there is nothing to write.
    const { severity, message } = change ?? {}
    if (typeof message !== 'string') return
    try {
      if (severity === 'CRITICAL') sink.error(message)
      else if (severity === 'WARNING') sink.warn(message)
      else sink.info(message)
    } catch (error) {
      const warning = `logAll could not write "${message}": ${describeFailure(error)}`
      process.emitWarning(warning, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER' })
    }
  }
  for (const part of parts) part.on('change', write)
  return () => {
    for (const part of parts) part.off('change', write)
  }
}
