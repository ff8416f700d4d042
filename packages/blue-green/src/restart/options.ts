import { defined, readCount, readDuration, requireKnown, requireMethods } from '../checked-options.js'
import type { EventContext } from '../context.js'
import type { Clock } from '../ports.js'
import { readEffects, type Effects } from '../slots/worker-options.js'
import { systemClock, systemRandom } from '../system-clock.js'
import type { SharedStore } from './ports.js'

/** What a handler is told beside the event. */
export interface EventWork {
  /** The id of the event; `undefined` where `context` gave none. The key for effects that are stored or sent with one. */
  readonly eventId: string | undefined
  /** 1; more when a process died with this event before, and nobody knows how far it came. */
  readonly attempt: number
}

/** What `new GaplessRestart(...)` takes. */
export interface GaplessRestartOptions<Event, Answer> {
  /** What this release is called: in the events, in the status, and to the other process. */
  readonly version: string
  /** Handles one event. */
  readonly handle: (event: Event, work: EventWork) => Answer | PromiseLike<Answer>
  /** What the event is about. Called once per event; pick the fields, do not pass the whole event on. */
  readonly context: (event: Event) => EventContext
  /**
   * What a second run of an event does. It comes to that only when a process died with the event, or stood still for longer
   * than its lease. One answer for all events, or a function of the event.
   */
  readonly effects: Effects | ((event: Event) => Effects)
  /** Where the processes meet. It must reach them all: SQLite for one machine, PostgreSQL or Redis for several. */
  readonly store: SharedStore
  /** Tells several bots, or several shards, in one store apart. */
  readonly name?: string | undefined
  /** How far the store must reach. `process` is for tests. */
  readonly scope?: 'process' | 'machine' | 'cluster' | undefined
  /** The pause between two signs of life, in ms; at most two fifths of `keepMs`. */
  readonly heartbeatMs?: number | undefined
  /** How long a sign of life counts, in ms; at least four heartbeats. */
  readonly leaseMs?: number | undefined
  /**
   * How long an event that another process should handle is kept, in ms, before it is taken over. Discord wants the first answer
   * to a command within 3,000 ms.
   */
  readonly keepMs?: number | undefined
  /** How many such events are kept at most; of more, the oldest is decided early. */
  readonly maxKept?: number | undefined
  /**
   * How long a process remembers the events that another one has claimed, in ms, to run them should that one die; and how long one that is
   * alone goes on to write claims after a death, for the dead one may come back: it may only have stood still. At least two leases.
   */
  readonly redoMs?: number | undefined
  /** How long a claim stays in the store, in ms: longer than two copies of an event can lie apart, and at least `redoMs` and twice `keepMs`. */
  readonly claimMs?: number | undefined
  /** How many flows may be pinned here at once; of more, the oldest that may move is moved, or the new one where none may. Their keys are in the record of the processes. */
  readonly maxPins?: number | undefined
  /** How long the new process must have served, in ms, before the old one is told that it is `replaced`. */
  readonly bakeMs?: number | undefined
  /** How long `drain` waits, in ms. */
  readonly drainMs?: number | undefined
  /**
   * How long one answer of the store may take, in ms; at most two fifths of `keepMs`. A process that stands still for less than two such
   * times does not notice it, and must be awake again before the others take over.
   */
  readonly storeTimeoutMs?: number | undefined
  /**
   * What the owner does while the store is out of reach and another process is there: `serve` goes on without claims, `wait` keeps
   * the events until the store is back. A process that is alone serves. One that stood still meanwhile waits: it does not know whether
   * others have gone on.
   */
  readonly whenStoreIsOut?: 'serve' | 'wait' | undefined
  /**
   * Whether this process has got all that the platform has sent it; taken for granted unless given. `false` while its connection is down, and until
   * what it missed has been passed to `handle`; `true` until the login is done, and after the end of the client, when nothing comes. With a `unitId`, the guild of an event, or the user of a direct message, it may say it of the
   * connection by which that one's events come, where there are several; without one it says it of all. While it is `false`, a process that
   * has logged in since may not have what waits in the session of this one: so `drain` and `stop` wait, where another one serves. Of discord.js:
   * `(guildId) => isConnected(client, guildId)`, from `@evenkeel/blue-green/discord`. Called with each sign of life, with each event that has to be claimed, and every 50 ms while something waits for it.
   */
  readonly isConnected?: ((unitId?: string) => boolean) | undefined
  /**
   * Ends the client; unless given, that is yours to do after `stop()`. Called by `stop()`, once after each `start()`, and also where that has failed, or was not called. What has come until it is done is
   * looked after still, should another process have died with it in that very moment. Of discord.js: `() => client.destroy()`. Awaited for `drainMs` at most; what it
   * throws is a warning of the process, `EVENKEEL_DISCONNECT`. Do not await `stop()` in it.
   */
  readonly disconnect?: (() => unknown) | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
  /** Where chance comes from, 0 up to but not including 1: for the id of this process. */
  readonly random?: (() => number) | undefined
}

/** The options of {@link GaplessRestart} that have a default. */
export type GaplessRestartDefaults = Readonly<
  Record<
    | 'heartbeatMs'
    | 'leaseMs'
    | 'keepMs'
    | 'maxKept'
    | 'maxPins'
    | 'redoMs'
    | 'claimMs'
    | 'bakeMs'
    | 'drainMs'
    | 'storeTimeoutMs',
    number
  > & {
    /** Of the bot, in the store. */
    name: string
    /** How far the store must reach. */
    scope: 'machine'
    /** What the owner does while the store is out. */
    whenStoreIsOut: 'serve'
  }
>

/** The value of each option of {@link GaplessRestart} that is not given. */
export const gaplessRestartDefaults: GaplessRestartDefaults = {
  name: 'bot',
  scope: 'machine',
  heartbeatMs: 500,
  leaseMs: 3_000,
  keepMs: 1_500,
  maxKept: 10_000,
  maxPins: 1_000,
  redoMs: 60_000,
  claimMs: 900_000,
  bakeMs: 60_000,
  drainMs: 30_000,
  storeTimeoutMs: 500,
  whenStoreIsOut: 'serve',
}

/** Options, checked and filled in. */
export interface RestartSettings {
  readonly id: string
  readonly version: string
  readonly handle: (event: never, work: EventWork) => unknown
  readonly context: (event: never) => EventContext
  readonly effectsOf: (event: never) => Effects
  readonly store: SharedStore
  readonly name: string
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly keepMs: number
  readonly maxKept: number
  readonly maxPins: number
  readonly redoMs: number
  readonly claimMs: number
  readonly bakeMs: number
  readonly drainMs: number
  readonly storeTimeoutMs: number
  readonly whenStoreIsOut: 'serve' | 'wait'
  readonly isConnected: (unitId?: string) => boolean
  readonly disconnect: (() => unknown) | undefined
  readonly clock: Clock
}

const required = ['version', 'handle', 'context', 'effects', 'store']
const optional = ['isConnected', 'disconnect', 'clock', 'random']
const scopes = ['process', 'machine', 'cluster']
const meeting = { process: 'any', machine: 'SQLite, PostgreSQL or Redis', cluster: 'PostgreSQL or Redis' }

/** @throws TypeError or RangeError that names the option and its value */
export function readRestartOptions<Event, Answer>(options: GaplessRestartOptions<Event, Answer>): RestartSettings {
  requireKnown('GaplessRestart', options, [...required, ...optional, ...Object.keys(gaplessRestartDefaults)])
  const given = { ...gaplessRestartDefaults, ...defined(options) }
  const { version, name, scope, store, effects, whenStoreIsOut } = given
  for (const [what, text] of Object.entries({ version, name })) {
    if (typeof text !== 'string' || text === '') throw new TypeError(`${what} must be a string with something in it`)
  }
  requireMethods('handle', options, ['handle'])
  requireMethods('context', options, ['context'])
  requireMethods('store', store, ['entry', 'compareAndSet', 'set'])
  for (const what of ['isConnected', 'disconnect'] as const) {
    if (options[what] !== undefined) requireMethods(what, options, [what])
  }
  if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
  if (options.random !== undefined) requireMethods('random', options, ['random'])
  if (!scopes.includes(scope)) throw new RangeError(`scope must be ${scopes.join(', ')}, not ${String(scope)}`)
  if (scopes.indexOf(store.scope) < scopes.indexOf(scope)) {
    throw new RangeError(
      `store reaches one ${store.scope}, and the processes have to meet in it: use ${meeting[scope]}, or the scope that it has`,
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
  const keepMs = readDuration('keepMs', given.keepMs)
  const storeTimeoutMs = readDuration('storeTimeoutMs', given.storeTimeoutMs)
  const longest = Math.max(heartbeatMs, storeTimeoutMs)
  // A sleep that it does not notice must be over before the others take over what it has claimed.
  if (keepMs < 2.5 * longest) {
    throw new RangeError(
      `keepMs must be at least two and a half times heartbeatMs (${heartbeatMs}) and storeTimeoutMs (${storeTimeoutMs}), so ${Math.ceil(2.5 * longest)}, not ${keepMs}`,
    )
  }
  const redoMs = readDuration('redoMs', given.redoMs)
  // That one has died is noticed after one and a half leases; what it had must not be forgotten by then.
  if (redoMs < 2 * leaseMs) {
    throw new RangeError(`redoMs must be at least twice leaseMs (${leaseMs}), so ${2 * leaseMs}, not ${redoMs}`)
  }
  const claimMs = readDuration('claimMs', given.claimMs)
  // Of what is remembered, the claim has to be there, or it runs once more as if nobody had begun it.
  const leastMs = redoMs + 2 * keepMs
  if (claimMs < leastMs) {
    throw new RangeError(
      `claimMs must be at least redoMs (${redoMs}) and twice keepMs (${keepMs}), so ${leastMs}, not ${claimMs}`,
    )
  }
  const random = options.random ?? systemRandom
  const digits = Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32).toString(36))
  return {
    id: digits.join(''),
    version,
    handle: options.handle,
    context: options.context,
    effectsOf: readEffectsOf(effects),
    store,
    name,
    heartbeatMs,
    leaseMs,
    keepMs,
    maxKept: readCount('maxKept', given.maxKept, 1),
    maxPins: readCount('maxPins', given.maxPins, 1),
    redoMs,
    claimMs,
    bakeMs: readDuration('bakeMs', given.bakeMs),
    drainMs: readDuration('drainMs', given.drainMs),
    storeTimeoutMs,
    whenStoreIsOut,
    isConnected: options.isConnected ?? ((): boolean => true),
    disconnect: options.disconnect,
    clock: options.clock ?? systemClock,
  }
}

function readEffectsOf<Event>(effects: Effects | ((event: Event) => Effects)): (event: Event) => Effects {
  if (typeof effects === 'function') return (event) => readEffects('GaplessRestart', effects(event))
  const known = readEffects('GaplessRestart', effects)
  return () => known
}
