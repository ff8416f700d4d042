import { defined, readCount, readDuration, requireKnown, requireMethods } from './checked-options.js'
import type { EventContext } from './context.js'
import { readJudge, type JudgeOptions, type JudgeSettings } from './judgement/judge-options.js'
import type { Clock, HealthSource, StateStore } from './ports.js'
import type { Backup, Migration, Probe, SyntheticTest } from './probes.js'
import type { Notify } from './report/notices.js'
import { isSlot, type Slot } from './slots/slot.js'
import { systemClock, systemRandom } from './system-clock.js'

/** A version of the bot: what is called with each event, and whose promise `handle` passes on. */
export type Handler<Event> = (event: Event) => unknown

/** Versions by name: functions in this process, or slots, such as `childProcessSlot` of `@evenkeel/blue-green/workers` makes. */
export type Versions<Event> = Record<string, Handler<Event> | Slot<Event>>

/** What versions take. A handler without a parameter says nothing of it beside others; `unknown` when none of them has one. */
export type EventOf<Version> = [Version] extends [() => unknown]
  ? unknown
  : Version extends (...taken: infer Taken) => unknown
    ? Taken extends []
      ? never
      : Taken[0]
    : Version extends Slot<infer Event>
      ? Event
      : never

/** What a version answers. */
export type AnswerOf<Version> = Version extends (...event: never) => infer Answer
  ? Awaited<Answer>
  : Version extends Slot<never, infer Answer>
    ? Answer
    : never

/** The names of versions. */
export type VersionOf<Named> = keyof Named & string

/** What `new BlueGreen(...)` takes. */
export interface BlueGreenOptions<Named extends Versions<Event>, Event = EventOf<Named[keyof Named]>> {
  /**
   * Every version that may serve, by name. Named here, and not in `deploy`, since a function does not survive a
   * restart: after one, the stored names are looked up again. One that is a slot is started when it gets its first events, and
   * ended when it has none any more.
   */
  readonly versions: Named
  /** The version that serves while nothing is stored yet. */
  readonly initial: NoInfer<VersionOf<Named>>
  /** What the event is about. Called once per event; pick the fields, do not pass the whole event on. */
  readonly context: (event: Event) => EventContext
  /** Where the state is kept, so that a deployment survives a restart. `memoryState()` does not. */
  readonly store: StateStore
  /** Tells several bots in one store apart. */
  readonly name?: string | undefined
  /**
   * Holds a deployment while the bot is unwell, and tells a fault of the new version from an outage where the old one serves nobody.
   * Without it, steps go by time and the catastrophe stop alone.
   */
  readonly health?: HealthSource | undefined
  /**
   * What must be in order before anything happens, by name: environment, permissions, disk space. All are run at once; one that
   * fails ends the deployment as `FAILED`.
   */
  readonly checks?: Readonly<Record<string, Probe>> | undefined
  /** Makes a backup: before a migration, and where `deploy` asks for one. */
  readonly backup?: Backup | undefined
  /** How the data can be changed for a version, by name: `deploy` names one. */
  readonly migrations?: Readonly<Record<string, Migration>> | undefined
  /** Synthetic calls on green before anybody has it, by name. One that fails rolls back. */
  readonly smokeTests?: Readonly<Record<string, SyntheticTest<NoInfer<Event>>>> | undefined
  /** Synthetic calls on green at the beginning of each step, by name. One that fails rolls back. */
  readonly canaryTests?: Readonly<Record<string, SyntheticTest<NoInfer<Event>>>> | undefined
  /**
   * Synthetic calls on green when it has had everybody for as long as the plan says, before blue is given up, by name. One that
   * fails rolls back.
   */
  readonly acceptanceTests?: Readonly<Record<string, SyntheticTest<NoInfer<Event>>>> | undefined
  /** What must pass on blue after a rollback, by name. What fails is told, `CRITICAL`, and stands in the result. */
  readonly validations?: Readonly<Record<string, SyntheticTest<NoInfer<Event>>>> | undefined
  /**
   * Judges green by what really happens, beside blue and with statistics: worse rolls back, and a step ends when a harm of
   * three times is ruled out. `{}` judges errors and latency. Without it, steps go by time.
   */
  readonly judge?: JudgeOptions | undefined
  /** Tells people of the few things that they want to hear of a deployment. Nothing waits for it. */
  readonly notify?: Notify | undefined
  /** How many reports of deployments that have ended are kept in the store, for `history()`; at most 100, 0 for none. */
  readonly historyLength?: number | undefined
  /** How long a check, a synthetic call or a validation may take, in ms. */
  readonly probeTimeoutMs?: number | undefined
  /** How long a backup may take, in ms. */
  readonly backupTimeoutMs?: number | undefined
  /** How long a migration may take, in ms, and as long its way back. */
  readonly migrationTimeoutMs?: number | undefined
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
  /** How many flows may be pinned at once; of more, the oldest that may move is moved. */
  readonly maxPins?: number | undefined
  /** How long all must be well, in ms, before a held deployment goes on, or is taken back for what fails all the same. Longer than `health` takes to notice. */
  readonly recoverMs?: number | undefined
  /** How long running calls are waited for, in ms, when a version has lost its traffic and in `drain()`. */
  readonly drainMs?: number | undefined
  /**
   * How long after its arrival an event may wait for a version that can take it, in ms, while versions that are slots are down;
   * then `handle` rejects. Discord waits for 3,000 ms, and the handler needs some.
   */
  readonly maxWaitMs?: number | undefined
  /** How long a version may take to get ready, in ms: longer rolls the deployment back. */
  readonly stageTimeoutMs?: number | undefined
  /** How long one answer of the store may take, in ms. */
  readonly storeTimeoutMs?: number | undefined
  /** How long to wait before the store is tried again, in ms. */
  readonly storeRetryMs?: number | undefined
  /**
   * How often the record in the store is looked at, in ms: so much later, at most, this process knows that another one drives, and
   * routes as that one does.
   */
  readonly lookMs?: number | undefined
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
    | 'maxPins'
    | 'recoverMs'
    | 'drainMs'
    | 'maxWaitMs'
    | 'historyLength'
    | 'probeTimeoutMs'
    | 'backupTimeoutMs'
    | 'migrationTimeoutMs'
    | 'stageTimeoutMs'
    | 'storeTimeoutMs'
    | 'storeRetryMs'
    | 'lookMs',
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
  maxPins: 10_000,
  recoverMs: 30_000,
  drainMs: 30_000,
  maxWaitMs: 1_500,
  historyLength: 20,
  probeTimeoutMs: 10_000,
  backupTimeoutMs: 600_000,
  migrationTimeoutMs: 600_000,
  stageTimeoutMs: 60_000,
  storeTimeoutMs: 5_000,
  storeRetryMs: 1_000,
  lookMs: 2_000,
}

const required = ['versions', 'initial', 'context', 'store']
const optional = [
  'health',
  'checks',
  'backup',
  'migrations',
  'smokeTests',
  'canaryTests',
  'acceptanceTests',
  'validations',
  'judge',
  'notify',
  'isUserError',
  'clock',
  'random',
]

/** Options, checked and filled in. */
export interface Settings {
  readonly versions: ReadonlyMap<string, Handler<never> | Slot<never>>
  readonly initial: string
  readonly store: StateStore
  readonly name: string
  readonly health: HealthSource | undefined
  readonly checks: ReadonlyMap<string, Probe>
  readonly backup: Backup | undefined
  readonly migrations: ReadonlyMap<string, Migration>
  readonly smokeTests: ReadonlyMap<string, SyntheticTest<never>>
  readonly canaryTests: ReadonlyMap<string, SyntheticTest<never>>
  readonly acceptanceTests: ReadonlyMap<string, SyntheticTest<never>>
  readonly validations: ReadonlyMap<string, SyntheticTest<never>>
  readonly judge: JudgeSettings | undefined
  readonly isUserError: (error: unknown) => boolean
  readonly failuresPerGuild: number
  readonly maxFailingGuilds: number
  readonly claimMs: number
  readonly maxClaims: number
  readonly maxPins: number
  readonly recoverMs: number
  readonly drainMs: number
  readonly maxWaitMs: number
  readonly notify: Notify | undefined
  readonly historyLength: number
  readonly probeTimeoutMs: number
  readonly backupTimeoutMs: number
  readonly migrationTimeoutMs: number
  readonly stageTimeoutMs: number
  readonly storeTimeoutMs: number
  readonly storeRetryMs: number
  readonly lookMs: number
  readonly clock: Clock
  readonly random: () => number
}

/** @throws TypeError or RangeError that names the option and its value */
export function readOptions<Named extends Versions<Event>, Event>(options: BlueGreenOptions<Named, Event>): Settings {
  requireKnown('BlueGreen', options, [...required, ...optional, ...Object.keys(blueGreenDefaults)])
  const versions = readVersions(options.versions)
  if (!versions.has(options.initial)) {
    throw new RangeError(`initial "${options.initial}" is none of the versions: ${[...versions.keys()].join(', ')}`)
  }
  requireMethods('context', options, ['context'])
  requireMethods('store', options.store, ['entry', 'compareAndSet'])
  if (options.health !== undefined) requireMethods('health', options.health, ['on', 'off'])
  if (options.backup !== undefined) requireMethods('backup', options, ['backup'])
  if (options.notify !== undefined) requireMethods('notify', options, ['notify'])
  if (options.isUserError !== undefined) requireMethods('isUserError', options, ['isUserError'])
  if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
  if (options.random !== undefined) requireMethods('random', options, ['random'])
  const given = { ...blueGreenDefaults, ...defined(options) }
  if (typeof given.name !== 'string' || given.name === '')
    throw new TypeError('name must be a string with something in it')
  return {
    versions,
    initial: options.initial,
    store: options.store,
    name: given.name,
    health: options.health,
    checks: readFunctions('checks', options.checks),
    backup: options.backup,
    migrations: readMigrations(options.migrations),
    smokeTests: readFunctions<SyntheticTest<never>>('smokeTests', options.smokeTests as never),
    canaryTests: readFunctions<SyntheticTest<never>>('canaryTests', options.canaryTests as never),
    acceptanceTests: readFunctions<SyntheticTest<never>>('acceptanceTests', options.acceptanceTests as never),
    validations: readFunctions<SyntheticTest<never>>('validations', options.validations as never),
    judge: options.judge && readJudge(options.judge, options.random ?? systemRandom),
    isUserError: options.isUserError ?? (() => false),
    failuresPerGuild: readCount('failuresPerGuild', given.failuresPerGuild, 1),
    maxFailingGuilds: readCount('maxFailingGuilds', given.maxFailingGuilds, 0),
    claimMs: readDuration('claimMs', given.claimMs),
    maxClaims: readCount('maxClaims', given.maxClaims, 1),
    maxPins: readCount('maxPins', given.maxPins, 1),
    recoverMs: readDuration('recoverMs', given.recoverMs),
    drainMs: readDuration('drainMs', given.drainMs),
    maxWaitMs: readDuration('maxWaitMs', given.maxWaitMs),
    notify: options.notify,
    historyLength: readHistoryLength(given.historyLength),
    probeTimeoutMs: readDuration('probeTimeoutMs', given.probeTimeoutMs),
    backupTimeoutMs: readDuration('backupTimeoutMs', given.backupTimeoutMs),
    migrationTimeoutMs: readDuration('migrationTimeoutMs', given.migrationTimeoutMs),
    stageTimeoutMs: readDuration('stageTimeoutMs', given.stageTimeoutMs),
    storeTimeoutMs: readDuration('storeTimeoutMs', given.storeTimeoutMs),
    storeRetryMs: readDuration('storeRetryMs', given.storeRetryMs),
    lookMs: readDuration('lookMs', given.lookMs),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}

function readVersions(versions: unknown): Map<string, Handler<never> | Slot<never>> {
  const read = new Map<string, Handler<never> | Slot<never>>()
  if (typeof versions === 'object' && versions !== null) {
    for (const [name, version] of Object.entries(versions)) {
      if (typeof version !== 'function' && !isSlot(version)) {
        throw new TypeError(`versions: "${name}" is no function and no slot, such as childProcessSlot makes`)
      }
      read.set(name, version as Handler<never> | Slot<never>)
    }
  }
  if (read.size === 0) throw new TypeError('versions must be an object of handlers, such as { v1: handleV1 }')
  return read
}

/** So many of each kind at most: their results are in the record. */
const maxProbes = 100

function readFunctions<F>(option: string, functions: Readonly<Record<string, F>> | undefined): Map<string, F> {
  if (functions === undefined) return new Map()
  if (typeof functions !== 'object' || functions === null || Array.isArray(functions)) {
    throw new TypeError(`${option} must be an object of functions by name, not ${String(functions)}`)
  }
  const entries = Object.entries(functions)
  if (entries.length > maxProbes)
    throw new RangeError(`${option} has ${entries.length} functions, more than ${maxProbes}`)
  for (const [name, each] of entries) {
    if (typeof each !== 'function') throw new TypeError(`${option}: "${name}" is not a function`)
  }
  return new Map(entries)
}

function readMigrations(migrations: Readonly<Record<string, Migration>> | undefined): Map<string, Migration> {
  if (migrations === undefined) return new Map()
  if (typeof migrations !== 'object' || migrations === null) {
    throw new TypeError(`migrations must be an object of { up, down } by name, not ${String(migrations)}`)
  }
  for (const [name, migration] of Object.entries(migrations)) {
    requireMethods(`migrations.${name}`, migration, ['up'])
    if (migration.down === undefined) continue
    requireMethods(`migrations.${name}`, migration, ['down'])
    if (migration.irreversible === true) {
      throw new TypeError(`migrations.${name} has a down and is irreversible; leave one of them out`)
    }
  }
  return new Map(Object.entries(migrations))
}

function readHistoryLength(value: unknown): number {
  const length = readCount('historyLength', value, 0)
  if (length > 100)
    throw new RangeError(`historyLength must be at most 100, not ${length}; keep older reports elsewhere`)
  return length
}
