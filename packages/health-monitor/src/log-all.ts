import { warnWhenItFails } from './listener-warning.js'
import { requireKnown } from './options.js'

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

/** A sink, and how to write to it. */
export interface LogAllOptions {
  /** Where lines go. */
  readonly sink: LogSink
  /**
   * Whether the news itself, as an object, goes along: `first` of the arguments, as pino wants it, or `last`, as winston and
   * `console` do. Without it, a line is one complete string and nothing else.
   */
  readonly fields?: 'first' | 'last'
  /**
   * Which events to write. Only news with a `message` is; the others of these names are passed over.
   *
   * @defaultValue those of `logAllDefaults`: whatever this family of packages tells that is no `change`, and rare
   */
  readonly events?: readonly string[]
}

/** What {@link logAll} uses when its options leave it open. */
export const logAllDefaults: Required<Pick<LogAllOptions, 'events'>> = {
  // Left out is what comes with every call: a fallback that was served, a flag that failed, an alert that was delivered.
  events: [
    'change',
    'blocked',
    'trigger',
    'transition',
    'finished',
    'replayed',
    'conflict',
    'diverged',
    'fenced',
    'lost',
    'skipped',
    'repaired',
    'quarantined',
    'expired',
    'dead',
  ],
}

/** Emitters know their events; here all of them are asked for the same ones. */
interface AnyEmitter {
  on(event: string, listener: (news: unknown) => void): unknown
  off(event: string, listener: (news: unknown) => void): unknown
}

const LEVELS = { INFO: 'info', WARNING: 'warn', CRITICAL: 'error' } as const

/**
 * Writes a line for everything that the given parts say: `INFO` to `info`, `WARNING` to `warn`, `CRITICAL` to `error`.
 *
 * @remarks
 * A line is one complete string and nothing else, unless `fields` asks for more: of a second argument pino drops what
 * winston wants, and the other way round. What a part says twice in the same words at the same moment, as a `change` and as
 * an event of its own, is one line. A sink that throws harms nobody; its error becomes a process warning with the code
 * `EVENKEEL_LISTENER`.
 *
 * @param to - `console` or a logger; or that with options
 * @param parts - whose news to write
 * @returns ceases to write; may be called twice
 * @throws TypeError when the sink lacks a method, a part has no events, or an option is none
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
export function logAll(to: LogSink | LogAllOptions, ...parts: readonly LoggablePart[]): () => void {
  const { sink, fields, events } = resolve(to)
  const given: readonly (Partial<LoggablePart> | undefined)[] = parts
  const stranger = given.findIndex((part) => typeof part?.on !== 'function' || typeof part.off !== 'function')
  if (stranger !== -1)
    throw new TypeError(`logAll: part ${stranger + 1} has no on() and off(); give what emits "change"`)
  const endings = (parts as readonly AnyEmitter[]).map((part) => {
    const write = writer(sink, fields)
    for (const event of events) part.on(event, write)
    return () => {
      for (const event of events) part.off(event, write)
    }
  })
  return () => {
    for (const end of endings) end()
  }
}

function resolve(to: LogSink | LogAllOptions): {
  sink: LogSink
  fields: LogAllOptions['fields'] | undefined
  events: readonly string[]
} {
  const isSink = typeof (to as Partial<LogAllOptions> | undefined)?.sink !== 'object'
  if (!isSink) requireKnown('logAll', to, ['sink', 'fields', 'events'])
  const { sink, fields, events = logAllDefaults.events } = isSink ? { sink: to as LogSink } : (to as LogAllOptions)
  for (const method of ['info', 'warn', 'error'] as const) {
    if (typeof (sink as Partial<LogSink> | undefined)?.[method] !== 'function')
      throw new TypeError(`logAll: the sink has no ${method}(); give console or a logger`)
  }
  if (fields !== undefined && fields !== 'first' && fields !== 'last') {
    throw new TypeError("logAll: fields must be 'first' or 'last'")
  }
  if (!Array.isArray(events)) throw new TypeError('logAll: events must be a list of names')
  return { sink, fields, events: [...new Set(events as readonly string[])] }
}

/** Writes what one part says. */
function writer(sink: LogSink, fields: 'first' | 'last' | undefined): (news: unknown) => void {
  let last: { message: string; at: unknown } | undefined
  return (news) => {
    const { severity, message, at } = (news ?? {}) as Partial<LoggableChange & { at: unknown }>
    // Other emitters have a "change" of their own; without a sentence there is nothing to write.
    if (typeof message !== 'string') return
    if (at !== undefined && last?.message === message && last.at === at) return
    last = { message, at }
    warnWhenItFails(`logAll could not write "${message}"`, () => {
      const level = LEVELS[severity ?? 'INFO'] ?? 'info'
      const write = sink[level].bind(sink) as (...line: unknown[]) => unknown
      return write(...(fields === 'first' ? [news, message] : fields === 'last' ? [message, news] : [message]))
    })
  }
}
