import type { Clock } from '../ports.js'
import { maxDelayMs, systemClock } from '../system-clock.js'
import { defaultRestarts, type RestartPolicy } from './slot.js'

/**
 * What a second run of an event does, declared since nobody else can know it.
 *
 * `stored`: each effect is written in one batch with the completion of the event, so a second run finds it done. `keyed`: each
 * effect is sent with a key that its receiver honours (`nonce` with `enforce_nonce`). `atLeastOnce`: a second run does no harm
 * that matters. `atMostOnce`: better not at all than twice.
 */
export type Effects = 'stored' | 'keyed' | 'atMostOnce' | 'atLeastOnce'

/** All effects, to check what is given. */
const allEffects: readonly string[] = ['stored', 'keyed', 'atMostOnce', 'atLeastOnce'] satisfies Effects[]

/** What slots of every kind of worker take. */
export interface WorkerSlotOptions<Event> {
  /** The file that the worker runs, which calls `serveVersion`. */
  readonly entry: string | URL
  /** What becomes of an event that a worker had begun when it died. There is no default. */
  readonly effects: Effects
  /** What to call it in errors; the entry's file name unless given. */
  readonly name?: string | undefined
  /** What `process.argv` has from its third place on. */
  readonly args?: readonly string[] | undefined
  /**
   * Its environment, whole. Unless given, it is that of this process, secrets included, as with `child_process` and
   * `worker_threads`: a worker of a bot needs the token and the database. Give what it needs if it should have less.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Options of Node.js for it; those of this process unless given, `--inspect` apart. */
  readonly execArgv?: readonly string[] | undefined
  /** Picks from an event what is sent. Without it the event is sent as it is, and must be plain data. */
  readonly toWire?: ((event: Event) => unknown) | undefined
  /** How long it may take until it is ready, in ms. */
  readonly startTimeoutMs?: number | undefined
  /** How long it may take to end when asked, in ms; then it is killed. */
  readonly stopTimeoutMs?: number | undefined
  /** How long `drain()` waits unless told, in ms. */
  readonly drainMs?: number | undefined
  /** How often a sign of life is asked for, in ms. */
  readonly heartbeatMs?: number | undefined
  /**
   * How long it may be silent, in ms: then it hangs, and is killed, so that its events can go elsewhere. A handler that blocks
   * its event loop for so long is killed too. With `heartbeatMs` on top this is how long an event can lie with a dead worker:
   * 1,200 ms, which leaves the other version time within the three seconds that Discord waits.
   */
  readonly hungAfterMs?: number | undefined
  /**
   * How long an answer is waited for, in ms. Then the outcome is unknown, and the event is not run again: it may run still, and
   * a drain waits for it. It does not count for `maxInFlight` any more.
   */
  readonly answerTimeoutMs?: number | undefined
  /** How many events it may have at once; further ones are refused with {@link ShedError}. */
  readonly maxInFlight?: number | undefined
  /** How often it is started again when it dies while it serves; each field has a default of its own. */
  readonly restarts?: Partial<RestartPolicy> | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The options of a worker slot that have a default. */
export type WorkerSlotDefaults = Readonly<
  Record<
    'startTimeoutMs' | 'stopTimeoutMs' | 'drainMs' | 'heartbeatMs' | 'hungAfterMs' | 'answerTimeoutMs' | 'maxInFlight',
    number
  > & {
    /** How often it is started again. */
    restarts: RestartPolicy
  }
>

/** The value of each option of a worker slot that is not given. */
export const workerSlotDefaults: WorkerSlotDefaults = {
  startTimeoutMs: 30_000,
  stopTimeoutMs: 5_000,
  drainMs: 30_000,
  heartbeatMs: 200,
  hungAfterMs: 1_000,
  // The token of an interaction is valid for fifteen minutes: nobody can be answered later.
  answerTimeoutMs: 900_000,
  maxInFlight: 1_000,
  restarts: defaultRestarts,
}

/** Options, checked and filled in. */
export interface WorkerSettings {
  readonly name: string
  readonly mayRepeat: boolean
  readonly toWire: ((event: never) => unknown) | undefined
  readonly startTimeoutMs: number
  readonly stopTimeoutMs: number
  readonly drainMs: number
  readonly heartbeatMs: number
  readonly hungAfterMs: number
  readonly answerTimeoutMs: number
  readonly maxInFlight: number
  readonly restarts: RestartPolicy
  readonly clock: Clock
}

const others = ['entry', 'effects', 'name', 'args', 'env', 'execArgv', 'toWire', 'clock']

/** @throws TypeError or RangeError that names the option and its value */
export function readWorkerOptions<Event>(
  where: string,
  options: WorkerSlotOptions<Event>,
  more: readonly string[] = [],
): WorkerSettings {
  requireKnown(where, options, [...others, ...Object.keys(workerSlotDefaults), ...more])
  const { entry, toWire, clock = systemClock } = options
  if (!(typeof entry === 'string' && entry !== '') && !(entry instanceof URL && entry.protocol === 'file:')) {
    throw new TypeError(`entry of ${where} must be the path or file: URL of the worker's file, not ${String(entry)}`)
  }
  if (toWire !== undefined && typeof toWire !== 'function') throw new TypeError(`toWire of ${where} must be a function`)
  readStrings(`args of ${where}`, options.args)
  readStrings(`execArgv of ${where}`, options.execArgv)
  readEnv(`env of ${where}`, options.env)
  if (options.restarts !== undefined && (typeof options.restarts !== 'object' || options.restarts === null)) {
    const hint = `{ maxRestarts: ${workerSlotDefaults.restarts.maxRestarts} }`
    throw new TypeError(`restarts of ${where} must be an object such as ${hint}, not ${String(options.restarts)}`)
  }
  const given = withDefaults(workerSlotDefaults, options)
  const restarts = withDefaults(workerSlotDefaults.restarts, given.restarts)
  requireKnown(`restarts of ${where}`, restarts, Object.keys(workerSlotDefaults.restarts))
  const settings: WorkerSettings = {
    name: readName(where, options.name, String(entry).split(/[/\\]/).at(-1) ?? where),
    mayRepeat: readEffects(where, options.effects) !== 'atMostOnce',
    toWire: toWire,
    startTimeoutMs: readMs('startTimeoutMs', given.startTimeoutMs),
    stopTimeoutMs: readMs('stopTimeoutMs', given.stopTimeoutMs),
    drainMs: readMs('drainMs', given.drainMs),
    heartbeatMs: readMs('heartbeatMs', given.heartbeatMs),
    hungAfterMs: readMs('hungAfterMs', given.hungAfterMs),
    answerTimeoutMs: readMs('answerTimeoutMs', given.answerTimeoutMs),
    maxInFlight: readWhole('maxInFlight', given.maxInFlight, 1),
    restarts: {
      maxRestarts: readWhole('restarts.maxRestarts', restarts.maxRestarts, 0),
      windowMs: readMs('restarts.windowMs', restarts.windowMs),
      delayMs: readMs('restarts.delayMs', restarts.delayMs),
      maxDelayMs: readMs('restarts.maxDelayMs', restarts.maxDelayMs),
    },
    clock,
  }
  if (settings.hungAfterMs < 2 * settings.heartbeatMs) {
    throw new RangeError(
      `hungAfterMs ${settings.hungAfterMs} must be at least twice heartbeatMs ${settings.heartbeatMs}: one late sign of life is no death`,
    )
  }
  return settings
}

/** A string would be taken apart into its letters. */
function readStrings(what: string, value: unknown): void {
  if (value === undefined || (Array.isArray(value) && value.every((each) => typeof each === 'string'))) return
  throw new TypeError(`${what} must be a list of strings, such as ['--quiet']`)
}

/** @throws TypeError that names the variable; never its value, which may be a secret */
function readEnv(what: string, env: unknown): void {
  if (env === undefined) return
  if (typeof env !== 'object' || env === null || Array.isArray(env)) {
    throw new TypeError(`${what} must be an object of strings, such as { ...process.env, ROLE: 'green' }`)
  }
  const wrong = Object.entries(env).find(([, value]) => value !== undefined && typeof value !== 'string')
  if (wrong !== undefined) throw new TypeError(`${what}: ${wrong[0]} is a ${typeof wrong[1]}; write it as a string`)
}

/** @throws TypeError unless it is one of the four */
export function readEffects(where: string, effects: unknown): Effects {
  if (typeof effects === 'string' && allEffects.includes(effects)) return effects as Effects
  throw new TypeError(
    `${where} needs effects, one of ${allEffects.join(', ')}: what may be done with an event that a version had begun when it died; not ${String(effects)}`,
  )
}

export function readName(where: string, name: unknown, otherwise: string): string {
  if (name === undefined) return otherwise
  if (typeof name === 'string' && name !== '') return name
  throw new TypeError(`name of ${where} must be a string with something in it`)
}

export function readMs(name: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= maxDelayMs) return value
  throw new RangeError(`${name} must be milliseconds above 0, at most ${maxDelayMs}, not ${String(value)}`)
}

export function readWhole(name: string, value: unknown, min: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min) return value as number
  throw new RangeError(`${name} must be a whole number from ${min}, not ${String(value)}`)
}

export function requireKnown(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${where} takes an object of options`)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`${where} has no option "${unknown}"; it has ${known.join(', ')}`)
}

/** An option that is there but undefined is not given. */
export function withDefaults<T extends object>(defaults: T, options: object | undefined): T {
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(given) }
}
