import { type Severity, SEVERITIES } from './alert.js'
import { type Channel, channelOptionsOf } from './channels/channel.js'
import type { Clock } from './ports.js'
import type { Route } from './routing.js'
import { requireSelection } from './silences.js'

/** The name of the channel that is always there. */
export const CONSOLE = 'console'
/** The name under which the spool appears among the components. */
export const SPOOL = 'spool'

/** What {@link Alerts} are made of. */
export interface AlertsOptions<Name extends string> {
  /** The channels by name. `console` is there without being named; `spool` and the empty name are taken. */
  readonly channels: Readonly<Record<Name, Channel>>
  /** Where alerts go; without routes, to every channel that is named in `channels`. */
  readonly routes?: readonly Route<Name | 'console'>[]
  /**
   * The channel for what no other takes, and for what waits for a channel that does not work.
   *
   * @defaultValue `console`
   */
  readonly fallback?: Name | 'console'
  /**
   * The directory of the spool, one for each process; it is made. `false` keeps everything in memory: then a crash
   * loses what is pending.
   */
  readonly path: string | false
  /**
   * Milliseconds from 0 that an alert waits for others, to be told in one message.
   *
   * @defaultValue 2_000
   */
  readonly groupWaitMs?: number
  /**
   * Labels whose values must be equal for alerts to be told in one message; `name` and `severity` count as labels.
   * Without any, all that wait for a channel are told together.
   *
   * @defaultValue `[]`
   */
  readonly groupBy?: readonly string[]
  /**
   * Milliseconds after the first telling until people hear how often it has happened again.
   *
   * @defaultValue 60_000
   */
  readonly digestMs?: number
  /**
   * Milliseconds between two tellings of an alert that goes on; after as long, one that merely happened is forgotten.
   *
   * @defaultValue 14_400_000
   */
  readonly repeatMs?: number
  /**
   * So many beginnings and ends within `flapWindowMs` are flapping; from 3.
   *
   * @defaultValue 5
   */
  readonly flapChanges?: number
  /**
   * Milliseconds within which beginnings and ends are counted, and for which an alert must stay as it is to be believed
   * again.
   *
   * @defaultValue 600_000
   */
  readonly flapWindowMs?: number
  /**
   * Milliseconds after which a channel that never took an alert does not get it any more, and it goes to the dead-letter
   * file.
   *
   * @defaultValue 86_400_000
   */
  readonly expireMs?: number
  /**
   * Milliseconds after which an alert that waits for a failing channel is told by the fallback channel too.
   *
   * @defaultValue 60_000
   */
  readonly fallbackAfterMs?: number
  /**
   * The most alerts that wait, and the most that are remembered, from 1. Beyond it the least urgent of the oldest go to
   * the dead-letter file.
   *
   * @defaultValue 10_000
   */
  readonly maxPending?: number
  /**
   * Milliseconds that `drain()` takes at most, and for which a pending CRITICAL alert keeps the process alive.
   *
   * @defaultValue 3_000
   */
  readonly drainTimeoutMs?: number
  /**
   * Whether good news of watched parts that ends nothing is an INFO alert: a deployment that began, a flag that changed.
   *
   * @defaultValue `false`
   */
  readonly watchInfo?: boolean
  /** The clock to live by; the machine's unless a test brings another. */
  readonly clock?: Clock
  /** Chance from 0 to below 1, for the spread of retries; the machine's unless a test brings another. */
  readonly random?: () => number
}

/** What {@link Alerts} use when their options leave it open. */
export const alertsDefaults: Required<
  Omit<AlertsOptions<string>, 'channels' | 'clock' | 'path' | 'random' | 'routes'>
> = {
  fallback: CONSOLE,
  // Long enough for what one failure drags along, short enough not to matter to anybody who reads it.
  groupWaitMs: 2_000,
  groupBy: [],
  digestMs: 60_000,
  repeatMs: 14_400_000,
  flapChanges: 5,
  flapWindowMs: 600_000,
  expireMs: 86_400_000,
  fallbackAfterMs: 60_000,
  maxPending: 10_000,
  drainTimeoutMs: 3_000,
  watchInfo: false,
}

/** The options, complete and valid. */
export type ResolvedOptions = typeof alertsDefaults & {
  readonly path: string | false
  readonly channels: ReadonlyMap<string, Channel>
  readonly routes: readonly Route[]
}

const OPTIONS = [...Object.keys(alertsDefaults), 'channels', 'clock', 'path', 'random', 'routes']
const DURATIONS = [
  'groupWaitMs',
  'digestMs',
  'repeatMs',
  'flapWindowMs',
  'expireMs',
  'fallbackAfterMs',
  'drainTimeoutMs',
] as const

/** Checks them all; what cannot be honoured is refused at once. */
export function resolveOptions(options: AlertsOptions<string>, builtIn: Channel): ResolvedOptions {
  requireObject('Alerts takes', options)
  const stranger = Object.keys(options).find((option) => !OPTIONS.includes(option))
  if (stranger !== undefined) throw new TypeError(`Alerts has no option "${stranger}"; there are ${OPTIONS.join(', ')}`)
  const { path } = options
  if (path !== false && (typeof path !== 'string' || path === '')) {
    throw new TypeError(
      "Alerts: path must be a directory such as 'data/alerts', or false to keep alerts in memory only",
    )
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const merged = { ...alertsDefaults, ...(given as unknown as AlertsOptions<string>) }
  for (const option of DURATIONS) requireNumber(option, merged[option], 0)
  if (!Array.isArray(merged.groupBy) || !merged.groupBy.every((label) => typeof label === 'string')) {
    throw new TypeError("Alerts: groupBy must be a list of labels, such as ['component']")
  }
  requireNumber('repeatMs', merged.repeatMs, 1)
  requireNumber('flapChanges', merged.flapChanges, 3)
  requireNumber('maxPending', merged.maxPending, 1)
  const channels = checkChannels(options.channels, builtIn)
  const named = Object.keys(options.channels)
  const routes = merged.routes ?? (named.length > 0 ? [{ to: named }] : [])
  checkRoutes(routes, channels)
  if (!channels.has(merged.fallback)) throw new TypeError(`Alerts: fallback names no channel; ${list(channels)}`)
  return { ...merged, path, channels, routes }
}

function checkChannels(channels: unknown, builtIn: Channel): Map<string, Channel> {
  requireObject('Alerts: channels must be', channels)
  const result = new Map<string, Channel>()
  for (const [name, channel] of Object.entries(channels as Record<string, Channel>)) {
    if (name === '' || name === SPOOL)
      throw new TypeError(`Alerts: no channel can be called "${name}"; name it otherwise`)
    if (typeof (channel as Partial<Channel> | undefined)?.send !== 'function') {
      throw new TypeError(
        `Alerts: channels[${JSON.stringify(name)}] must have send(); make it with webhookChannel({ url })`,
      )
    }
    if (channel.options !== undefined)
      channelOptionsOf(`Alerts: channels[${JSON.stringify(name)}].options`, channel.options)
    result.set(name, channel)
  }
  if (!result.has(CONSOLE)) result.set(CONSOLE, builtIn)
  return result
}

function checkRoutes(routes: readonly Route[], channels: ReadonlyMap<string, Channel>): void {
  if (!Array.isArray(routes)) throw new TypeError('Alerts: routes must be a list')
  for (const [index, route] of (routes as readonly Route[]).entries()) {
    const where = `Alerts: routes[${index}]`
    requireObject(`${where} must be`, route)
    const { to } = route
    requireSelection(where, route)
    if (!Array.isArray(to) || to.length === 0) throw new TypeError(`${where}.to must name a channel`)
    const stranger = (to as readonly string[]).find((name) => !channels.has(name))
    if (stranger !== undefined) throw new TypeError(`${where}.to names "${stranger}"; ${list(channels)}`)
    const unknown = Object.keys(route).find((key) => !['severity', 'matching', 'to', 'continue'].includes(key))
    if (unknown !== undefined)
      throw new TypeError(`${where} has no "${unknown}"; there are severity, matching, to, continue`)
  }
}

/** @throws TypeError when it is none */
export function requireSeverity(where: string, severity: unknown): asserts severity is Severity {
  if (!SEVERITIES.includes(severity as Severity)) {
    throw new TypeError(`${where}: severity must be one of ${SEVERITIES.join(', ')}`)
  }
}

function requireNumber(option: string, value: unknown, least: number): void {
  if (typeof value !== 'number') throw new TypeError(`Alerts: ${option} must be a number from ${least}`)
  if (!(value >= least)) throw new RangeError(`Alerts: ${option} must be a number from ${least}, not ${value}`)
}

function requireObject(what: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${what} an object`)
}

function list(channels: ReadonlyMap<string, Channel>): string {
  return `there are ${[...channels.keys()].join(', ')}`
}
