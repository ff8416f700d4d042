import { defined, readDuration, requireKnown, requireMethods } from '../../checked-options.js'
import type { EventContext } from '../../context.js'
import type { Clock } from '../../ports.js'
import type { EventWork } from '../../restart/options.js'
import type { SharedStore } from '../../restart/ports.js'
import { readEffects, type Effects } from '../../slots/worker-options.js'
import { systemClock, systemRandom } from '../../system-clock.js'
import { contextOfDispatch, type GatewayDispatch } from '../context-of.js'

/** What `new SessionHandover(...)` takes. */
export interface SessionHandoverOptions<Dispatch extends GatewayDispatch = GatewayDispatch> {
  /** What this release is called. */
  readonly version: string
  /** Handles one event of the gateway, each of them, whatever its kind. Once it has settled, however, the event is done. */
  readonly handle: (dispatch: Dispatch, work: EventWork) => unknown
  /** Called with what `handle` threw, for nobody else waits for it. Must not throw. */
  readonly onError: (error: unknown, dispatch: Dispatch) => void
  /** What a second run of an event does, once a process died with it. One answer for all events, or a function of the event. */
  readonly effects: Effects | ((dispatch: Dispatch) => Effects)
  /** Where one process leaves the session for the next: a store that reaches them both. */
  readonly store: SharedStore
  /** What an event is about. One without an `eventId` is not claimed: it is handled each time it is sent. */
  readonly context?: ((dispatch: Dispatch) => EventContext) | undefined
  /** Tells several bots in one store apart, and several processes of one bot that have shards of their own. */
  readonly name?: string | undefined
  /** How far the store must reach. `process` is for tests. */
  readonly scope?: 'process' | 'machine' | 'cluster' | undefined
  /** The pause between two signs of life, and between two writes of how far the events are done, in ms. */
  readonly heartbeatMs?: number | undefined
  /** How long a sign of life counts, in ms; at least four heartbeats. Of one that is silent half as long again, the next takes the session. */
  readonly leaseMs?: number | undefined
  /** How long a claim stays in the store, in ms: longer than Discord keeps a session, which is a few minutes. */
  readonly claimMs?: number | undefined
  /** How long `drain` and `stop` wait for what runs, in ms. */
  readonly drainMs?: number | undefined
  /** How long `start` waits for the process before to give the session up, in ms. */
  readonly startTimeoutMs?: number | undefined
  /** How long one answer of the store may take, in ms. */
  readonly storeTimeoutMs?: number | undefined
  /** Whether events are handled without a claim while the store is out of reach, or `wait`. */
  readonly whenStoreIsOut?: 'serve' | 'wait' | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
  /** Where chance comes from, 0 up to but not including 1: for the id of this process. */
  readonly random?: (() => number) | undefined
}

/** The options of {@link SessionHandover} that have a default. */
export type SessionHandoverDefaults = Readonly<
  Record<'heartbeatMs' | 'leaseMs' | 'claimMs' | 'drainMs' | 'startTimeoutMs' | 'storeTimeoutMs', number> & {
    /** Of the bot, in the store. */
    name: string
    /** How far the store must reach. */
    scope: 'machine'
    /** What happens while the store is out. */
    whenStoreIsOut: 'serve'
  }
>

/** The value of each option of {@link SessionHandover} that is not given. */
export const sessionHandoverDefaults: SessionHandoverDefaults = {
  name: 'bot',
  scope: 'machine',
  heartbeatMs: 500,
  leaseMs: 3_000,
  claimMs: 900_000,
  drainMs: 30_000,
  startTimeoutMs: 30_000,
  storeTimeoutMs: 500,
  whenStoreIsOut: 'serve',
}

/** Options, checked and filled in. */
export interface SessionSettings {
  readonly id: string
  readonly version: string
  readonly handle: (dispatch: GatewayDispatch, work: EventWork) => unknown
  readonly onError: (error: unknown, dispatch: GatewayDispatch) => void
  readonly effectsOf: (dispatch: GatewayDispatch) => Effects
  readonly store: SharedStore
  readonly context: (dispatch: GatewayDispatch) => EventContext
  readonly name: string
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly claimMs: number
  readonly drainMs: number
  readonly startTimeoutMs: number
  readonly storeTimeoutMs: number
  readonly whenStoreIsOut: 'serve' | 'wait'
  readonly clock: Clock
}

const required = ['version', 'handle', 'onError', 'effects', 'store']
const optional = ['context', 'clock', 'random']
const scopes = ['process', 'machine', 'cluster']

/** @throws TypeError or RangeError that names the option and its value */
export function readSessionOptions<Dispatch extends GatewayDispatch>(
  options: SessionHandoverOptions<Dispatch>,
): SessionSettings {
  requireKnown('SessionHandover', options, [...required, ...optional, ...Object.keys(sessionHandoverDefaults)])
  const given = { ...sessionHandoverDefaults, ...defined(options) }
  const { version, name, scope, store, effects, whenStoreIsOut } = given
  for (const [what, text] of Object.entries({ version, name })) {
    if (typeof text !== 'string' || text === '') throw new TypeError(`${what} must be a string with something in it`)
  }
  requireMethods('handle', options, ['handle'])
  requireMethods('onError', options, ['onError'])
  requireMethods('store', store, ['entry', 'compareAndSet', 'set'])
  for (const name of ['context', 'random'] as const) {
    if (options[name] !== undefined) requireMethods(name, options, [name])
  }
  if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
  if (!scopes.includes(scope)) throw new RangeError(`scope must be ${scopes.join(', ')}, not ${String(scope)}`)
  if (scopes.indexOf(store.scope) < scopes.indexOf(scope)) {
    throw new RangeError(
      `store reaches one ${store.scope}, and two processes have to meet in it: use SQLite, PostgreSQL or Redis`,
    )
  }
  if (whenStoreIsOut !== 'serve' && whenStoreIsOut !== 'wait') {
    throw new RangeError(`whenStoreIsOut must be 'serve' or 'wait', not ${String(whenStoreIsOut)}`)
  }
  const heartbeatMs = readDuration('heartbeatMs', given.heartbeatMs)
  const leaseMs = readDuration('leaseMs', given.leaseMs)
  if (leaseMs < 4 * heartbeatMs) {
    throw new RangeError(`leaseMs must be at least four times heartbeatMs (${heartbeatMs}), not ${leaseMs}`)
  }
  const random = options.random ?? systemRandom
  const known = typeof effects === 'function' ? undefined : readEffects('SessionHandover', effects)
  const settings = {
    id: Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32).toString(36)).join(''),
    version,
    handle: options.handle,
    onError: options.onError,
    effectsOf: (dispatch: Dispatch) =>
      known ?? readEffects('SessionHandover', (effects as (dispatch: Dispatch) => Effects)(dispatch)),
    store,
    context: options.context ?? contextOfDispatch,
    name,
    heartbeatMs,
    leaseMs,
    claimMs: readDuration('claimMs', given.claimMs),
    drainMs: readDuration('drainMs', given.drainMs),
    startTimeoutMs: readDuration('startTimeoutMs', given.startTimeoutMs),
    storeTimeoutMs: readDuration('storeTimeoutMs', given.storeTimeoutMs),
    whenStoreIsOut,
    clock: options.clock ?? systemClock,
  }
  return settings as unknown as SessionSettings
}
