import { defined, readCount, readDuration, requireKnown, requireMethods } from './checked-options.js'
import { readId, type EventContext, type Id } from './context.js'
import type { Clock, HealthSource, StateStore } from './ports.js'
import { systemClock, systemRandom } from './system-clock.js'
import type { Plan } from './transitions.js'

/** A version of the bot: what is called with each event, and whose promise `handle` passes on. */
export type Handler<Event> = (event: Event) => unknown

/** Versions by name. */
export type Versions<Event> = Record<string, Handler<Event>>

/** The names of versions. */
export type VersionOf<Named> = keyof Named & string

/** What `new BlueGreen(...)` takes. */
export interface BlueGreenOptions<Event, Named extends Versions<Event>> {
  /**
   * Every version that may serve, by name. Named here, and not in `deploy`, since a function does not survive a
   * restart: after one, the stored names are looked up again.
   */
  readonly versions: Named & Readonly<Versions<Event>>
  /** The version that serves while nothing is stored yet. */
  readonly initial: NoInfer<VersionOf<Named>>
  /** What the event is about. Called once per event; pick the fields, do not pass the whole event on. */
  readonly context: (event: Event) => EventContext
  /** Where the state is kept, so that a deployment survives a restart. `memoryState()` does not. */
  readonly store: StateStore
  /** Tells several bots in one store apart. */
  readonly name?: string | undefined
  /** Holds a deployment while the bot is unwell. Without it, steps go by time and the catastrophe stop alone. */
  readonly health?: HealthSource | undefined
  /** Whether an error is the user's own fault, and so says nothing against a version. */
  readonly isUserError?: ((error: unknown) => boolean) | undefined
  /** A guild is failing after so many failed calls in a row. */
  readonly failuresPerGuild?: number | undefined
  /** More failing guilds than this on green, and not alike on blue, roll the deployment back. */
  readonly maxFailingGuilds?: number | undefined
  /** How long the id of an event is remembered, in ms, so that its second copy is not handled. */
  readonly claimMs?: number | undefined
  /** How many ids are remembered at most; the oldest go first. */
  readonly maxClaims?: number | undefined
  /** How long all must be well, in ms, before a held deployment goes on. */
  readonly recoverMs?: number | undefined
  /** How long running calls are waited for, in ms, when a version has lost its traffic and in `drain()`. */
  readonly drainMs?: number | undefined
  /** How long a version may take to get ready, in ms: longer rolls the deployment back. */
  readonly stageTimeoutMs?: number | undefined
  /** How long one answer of the store may take, in ms. */
  readonly storeTimeoutMs?: number | undefined
  /** How long to wait before the store is tried again, in ms. */
  readonly storeRetryMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
  /** Where chance comes from, 0 up to but not including 1: for ids and salts. */
  readonly random?: (() => number) | undefined
}

/** The options of {@link BlueGreen} that have a default. */
export type BlueGreenDefaults = Readonly<
  Record<
    | 'failuresPerGuild'
    | 'maxFailingGuilds'
    | 'claimMs'
    | 'maxClaims'
    | 'recoverMs'
    | 'drainMs'
    | 'stageTimeoutMs'
    | 'storeTimeoutMs'
    | 'storeRetryMs',
    number
  > &
    Record<'name', string>
>

/** The value of each option of {@link BlueGreen} that is not given. */
export const blueGreenDefaults: BlueGreenDefaults = {
  name: 'bot',
  failuresPerGuild: 3,
  maxFailingGuilds: 2,
  claimMs: 900_000,
  maxClaims: 10_000,
  recoverMs: 30_000,
  drainMs: 30_000,
  stageTimeoutMs: 60_000,
  storeTimeoutMs: 5_000,
  storeRetryMs: 1_000,
}

const required = ['versions', 'initial', 'context', 'store']
const optional = ['health', 'isUserError', 'clock', 'random']

/** How a deployment is to go. */
export interface DeployOptions extends Partial<Omit<Plan, 'first'>> {
  /**
   * Guilds, and users of direct messages, that green has from the first step on, whatever its share: your own test guild.
   * With `percentages: [0, 10, 100]` the first step is theirs alone. 1,000 at most.
   */
  readonly first?: readonly Id[] | undefined
  /** Deploy the version although it was rolled back before. */
  readonly retry?: boolean | undefined
}

/** The value of each option of `deploy` that is not given. */
export const deployDefaults: Required<DeployOptions> = {
  percentages: [1, 10, 50, 100],
  stepMs: 600_000,
  maxHoldMs: 3_600_000,
  first: [],
  retry: false,
}

/** Options, checked and filled in. */
export interface Settings {
  readonly handlers: ReadonlyMap<string, Handler<never>>
  readonly initial: string
  readonly store: StateStore
  readonly name: string
  readonly health: HealthSource | undefined
  readonly isUserError: (error: unknown) => boolean
  readonly failuresPerGuild: number
  readonly maxFailingGuilds: number
  readonly claimMs: number
  readonly maxClaims: number
  readonly recoverMs: number
  readonly drainMs: number
  readonly stageTimeoutMs: number
  readonly storeTimeoutMs: number
  readonly storeRetryMs: number
  readonly clock: Clock
  readonly random: () => number
}

/** @throws TypeError or RangeError that names the option and its value */
export function readOptions<Event, Named extends Versions<Event>>(options: BlueGreenOptions<Event, Named>): Settings {
  requireKnown('BlueGreen', options, [...required, ...optional, ...Object.keys(blueGreenDefaults)])
  const handlers = readVersions(options.versions)
  if (!handlers.has(options.initial)) {
    throw new RangeError(`initial "${options.initial}" is none of the versions: ${[...handlers.keys()].join(', ')}`)
  }
  requireMethods('context', options, ['context'])
  requireMethods('store', options.store, ['entry', 'compareAndSet'])
  if (options.health !== undefined) requireMethods('health', options.health, ['on', 'off'])
  if (options.isUserError !== undefined) requireMethods('isUserError', options, ['isUserError'])
  if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
  if (options.random !== undefined) requireMethods('random', options, ['random'])
  const given = { ...blueGreenDefaults, ...defined(options) }
  if (typeof given.name !== 'string' || given.name === '')
    throw new TypeError('name must be a string with something in it')
  return {
    handlers,
    initial: options.initial,
    store: options.store,
    name: given.name,
    health: options.health,
    isUserError: options.isUserError ?? (() => false),
    failuresPerGuild: readCount('failuresPerGuild', given.failuresPerGuild, 1),
    maxFailingGuilds: readCount('maxFailingGuilds', given.maxFailingGuilds, 0),
    claimMs: readDuration('claimMs', given.claimMs),
    maxClaims: readCount('maxClaims', given.maxClaims, 1),
    recoverMs: readDuration('recoverMs', given.recoverMs),
    drainMs: readDuration('drainMs', given.drainMs),
    stageTimeoutMs: readDuration('stageTimeoutMs', given.stageTimeoutMs),
    storeTimeoutMs: readDuration('storeTimeoutMs', given.storeTimeoutMs),
    storeRetryMs: readDuration('storeRetryMs', given.storeRetryMs),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}

/** @throws TypeError or RangeError that names the option and its value */
export function readDeployOptions(options: DeployOptions = {}): Plan & { readonly retry: boolean } {
  requireKnown('deploy', options, Object.keys(deployDefaults))
  const given = { ...deployDefaults, ...defined(options) }
  if (typeof given.retry !== 'boolean') throw new TypeError(`retry must be true or false, not ${String(given.retry)}`)
  return {
    percentages: readPercentages(given.percentages),
    stepMs: readDuration('stepMs', given.stepMs),
    maxHoldMs: readDuration('maxHoldMs', given.maxHoldMs),
    first: readFirst(given.first),
    retry: given.retry,
  }
}

function readVersions(versions: unknown): Map<string, Handler<never>> {
  const handlers = new Map<string, Handler<never>>()
  if (typeof versions === 'object' && versions !== null) {
    for (const [name, handler] of Object.entries(versions)) {
      if (typeof handler !== 'function') throw new TypeError(`versions: the handler of "${name}" is not a function`)
      handlers.set(name, handler as Handler<never>)
    }
  }
  if (handlers.size === 0) throw new TypeError('versions must be an object of handlers, such as { v1: handleV1 }')
  return handlers
}

function readPercentages(value: unknown): readonly number[] {
  const wrong = (reason: string): RangeError => new RangeError(`percentages ${JSON.stringify(value)}: ${reason}`)
  if (!Array.isArray(value) || value.length === 0) throw wrong('must be a list such as [1, 10, 50, 100]')
  const percentages = [...(value as unknown[])]
  let last = -1
  for (const percentage of percentages) {
    // Written so that NaN fails.
    if (typeof percentage !== 'number' || !(percentage >= 0 && percentage <= 100)) {
      throw wrong(`${String(percentage)} is not a number from 0 to 100`)
    }
    if (percentage <= last)
      throw wrong(`${percentage} does not rise above ${last}; use rollback() to take traffic back`)
    last = percentage
  }
  if (last !== 100) throw wrong('the last must be 100, or the deployment could never be complete')
  return percentages as number[]
}

/** Each is in the record, which is written at every transition. */
const maxFirst = 1_000

function readFirst(value: unknown): string[] {
  if (!Array.isArray(value)) throw new TypeError(`first must be a list of ids, not ${String(value)}`)
  if (value.length > maxFirst) {
    throw new RangeError(`first has ${value.length} ids, more than ${maxFirst}; a first step at 1 % takes many guilds`)
  }
  return (value as unknown[]).map((given) => {
    const id = readId('an id of first', given as Id)
    if (id === undefined) throw new TypeError(`an id of first must be a string or a bigint, not ${String(given)}`)
    return id
  })
}
