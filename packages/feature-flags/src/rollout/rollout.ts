import { EventEmitter } from 'eventemitter3'
import { Announcer } from '../announcer.js'
import type { FlagContext } from '../context.js'
import type { ChangeReason } from '../news.js'
import { literal } from '../setting-problem.js'
import { partsOf, type DriverParts } from './driver-parts.js'
import type { RolloutResult } from './driver-life.js'
import { RolloutDriver, type Command } from './rollout-driver.js'
import { RolloutStateError } from './rollout-errors.js'
import type { RolloutController, RolloutEvents } from './rollout-news.js'
import type { RolloutOptions } from './rollout-options.js'
import type { RolloutEntry } from './rollout-record.js'
import { readOptions, type RolloutSettings } from './rollout-settings.js'
import type { RolloutState } from './transitions.js'
import type { CheckResult } from './validation.js'

/** How a rollout is to be begun. */
export interface StartOptions {
  /** Begin anew a version that was rolled back or aborted, or is complete. */
  readonly retry?: boolean | undefined
}

/** Why a rollout is rolled back, and how. */
export interface RollbackReason extends ChangeReason {
  /** For the people who will read it. */
  readonly why: string
  /**
   * In batches, in place of at once.
   * @defaultValue `false`
   */
  readonly gradually?: boolean | undefined
}

/** All there is to know of a rollout at one moment, as far as this process knows. */
export interface RolloutStatus {
  /** The flag. */
  readonly flag: string
  /** Where it is. */
  readonly state: RolloutState
  /** Why it is there, as a clause. */
  readonly why: string
  /** The version of the code; empty where none was named. */
  readonly version: string
  /** The name of the phase; `undefined` before the first. */
  readonly phase: string | undefined
  /** The share of guilds or users, 0 to 100. */
  readonly percentage: number
  /** Guilds that have it on whatever the percentage. */
  readonly targetGuilds: readonly string[]
  /** How long the phase has lasted in good health, in milliseconds: on the process that drives up to its last look, else as last written down. */
  readonly healthyMs: number
  /** How long it lasts at least, in milliseconds; `undefined` before the first. */
  readonly durationMs: number | undefined
  /** How long it has been held for what it waits for now, in milliseconds. */
  readonly heldMs: number
  /** What the judge said last, on the process that drives. */
  readonly verdict: string | undefined
  /**
   * How long until twice the errors, and 20 % more, can be seen in each phase, on the process that drives; `undefined` until
   * the traffic of an hour is known.
   */
  readonly power: string | undefined
  /** What was found after its rollback; `undefined` before. */
  readonly checks: readonly CheckResult[] | undefined
  /** The sequence of the last transition; 0 before the first. */
  readonly sequence: number
  /** Whether this process drives. */
  readonly controller: RolloutController
  /** Whether the store answered last. */
  readonly store: 'up' | 'down'
}

/**
 * Rolls a flag out by a plan: phase by phase, judged by what its calls come to, and back when it does harm.
 *
 * @remarks
 * All processes of a bot may start the same rollout. One drives; the others hand over what they have counted, and take
 * over when the driver is gone. A rollout goes on where it was after a crash, with its evidence; time in which nobody
 * looked is no healthy time.
 *
 * *Gotchas*: calls are counted where they are made by `flags.run`; a flag that is only asked by `isEnabled` has nothing to
 * be judged by. After `kill -9` of the driver another process waits for `leaseMs` before it drives, unless `scope: 'process'`
 * says that there is no other, and the share stays as it was meanwhile. Nothing shifts while the store is out of reach, but for a rollback, which is in force at once in the
 * process that decides it.
 *
 * @example
 * ```ts
 * import { FeatureFlags } from '@evenkeel/feature-flags'
 * import { Rollout } from '@evenkeel/feature-flags/rollout'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const flags = new FeatureFlags({ flags: { newSearch: { percentage: 0 } } })
 * const rollout = new Rollout({
 *   flags,
 *   flag: 'newSearch',
 *   plan: { phases: [{ name: 'canary', percentage: 5, durationMs: 3_600_000 }] },
 *   store: new MemoryStorage().collection('evenkeel'),
 *   scope: 'process',
 *   settleMs: 0, // for real a minute, so that there is something to compare
 * })
 * await rollout.start()
 * console.log(rollout.status.state, flags.status('newSearch').percentage) // => RUNNING 5
 * await rollout.rollback({ why: 'the results are empty' })
 * console.log((await rollout.finished).outcome) // => ROLLED_BACK
 * await rollout.stop()
 * ```
 */
export class Rollout extends EventEmitter<RolloutEvents> {
  readonly #settings: RolloutSettings
  readonly #driver: RolloutDriver
  readonly #announcer = new Announcer('Rollout')
  /** Starts and stops, one after the other. */
  #life: Promise<unknown> = Promise.resolve()
  #isStarted = false
  #end: End = makeEnd()

  /**
   * Checks the options and does nothing else.
   *
   * @param options - the flag, its plan, and where the rollout is kept
   * @throws TypeError or RangeError that names the option, its value, and what would do
   * @throws FlagDocumentError when something in the plan cannot be; its `path` says where
   */
  constructor(options: RolloutOptions)
  /** @internal */
  constructor(options: RolloutOptions, parts: DriverParts | undefined)
  constructor(options: RolloutOptions, parts?: DriverParts) {
    super()
    this.#settings = readOptions(options)
    this.#driver = new RolloutDriver(this.#settings, parts ?? partsOf(this.#settings, this.#settings.by), {
      tell: (news) => {
        this.#announcer.announce([() => this.emit('change', news)])
        if (news.aspect === 'rollout') this.#announcer.announce([() => this.emit('transition', news)])
      },
      over: (result) => this.#end.settle(result),
      going: () => {
        if (this.#end.isSettled) this.#end = makeEnd()
      },
    })
  }

  /** Where it is now: a snapshot. */
  get status(): RolloutStatus {
    const { record, run, controller, isStoreUp, verdict, power } = this.#driver
    const { flag, plan, version } = this.#settings
    return {
      flag,
      state: run?.state ?? 'PENDING',
      why: record?.history.at(-1)?.why ?? 'nothing was begun yet',
      version: run?.version ?? version,
      phase: run?.phaseName,
      percentage: run?.share.percentage ?? 0,
      targetGuilds: run?.share.targetGuilds ?? [],
      healthyMs: run?.healthyMs ?? 0,
      durationMs: run === undefined ? undefined : plan.phases[run.phase]?.durationMs,
      heldMs: run?.heldMs ?? 0,
      verdict: verdict?.why,
      power,
      checks: run?.validation ?? undefined,
      sequence: record?.sequence ?? 0,
      controller,
      store: isStoreUp ? 'up' : 'down',
    }
  }

  /** The last transitions, oldest first; fifty at most, of all rollouts of the flag. */
  get history(): readonly RolloutEntry[] {
    return this.#driver.record?.history ?? []
  }

  /** How it ends. Never rejects. A rollback of a rollout that was complete, and a new start, have an end of their own. */
  get finished(): Promise<RolloutResult> {
    return this.#end.promise
  }

  /**
   * Takes part: begins the rollout or goes on with it if nobody drives, and stands by else. May be called twice.
   *
   * @remarks
   * What is over stays over: after a rollback, also when the bot is started again, the same `version` is not begun anew
   * unless `retry` says so. While the store is out of reach this resolves, and goes on when it is back.
   *
   * *Gotchas*: `retry: true` in the code that starts the bot begins anew after each rollback. Say it by hand.
   *
   * @param options - whether to begin anew
   * @throws {@link RolloutFormatError} when the record was written by a newer release, or by something else
   */
  start(options: StartOptions = {}): Promise<void> {
    return this.#next(async () => {
      // A process may have left by itself.
      if (this.#isStarted && this.#driver.controller !== 'STOPPED') return
      this.#isStarted = true
      if (this.#end.isSettled) this.#end = makeEnd()
      try {
        await this.#driver.open({ isRetry: options.retry === true })
      } catch (error) {
        this.#isStarted = false
        throw error
      }
    })
  }

  /** Takes no part any more; the flag stays as it is. Whoever stands by takes over at once. May be called twice. */
  stop(): Promise<void> {
    return this.#next(async () => {
      this.#isStarted = false
      await this.#driver.close()
    })
  }

  /** The same as {@link Rollout.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * A user complained. It counts for the side that the user is on, once for each guild in two hours.
   *
   * @param context - who
   */
  report(context: FlagContext): void {
    this.#driver.report(context)
  }

  /**
   * Stops the time of the phase. The share stays, and harm still rolls back.
   *
   * @param reason - why, and by whom
   * @throws {@link RolloutStateError} when it is neither running nor held
   * @throws {@link RolloutStoreError} when the store does not confirm
   */
  pause(reason: ChangeReason): Promise<void> {
    return this.#command('pause', reason, { input: { type: 'PAUSE' }, done: ['PAUSED'] })
  }

  /**
   * Lets a paused rollout go on, and puts its own share in force again if another one was set by hand.
   *
   * @param reason - why, and by whom
   * @throws {@link RolloutStateError} when it is not paused
   * @throws {@link RolloutStoreError} when the store does not confirm
   */
  resume(reason: ChangeReason): Promise<void> {
    return this.#command('resume', reason, { input: { type: 'RESUME' }, done: ['RUNNING', 'HOLDING'] })
  }

  /**
   * Passes to the next phase at once, without its time and without evidence.
   *
   * @param reason - why, and by whom
   * @throws {@link RolloutStateError} when it is over, or being rolled back
   * @throws {@link RolloutStoreError} when the store does not confirm
   */
  skip(reason: ChangeReason): Promise<void> {
    return this.#command('skip', reason, { input: { type: 'SKIP' }, done: [] })
  }

  /**
   * Calls it off: the flag is off for everyone at once, and nothing is looked at afterwards.
   *
   * @param reason - why, and by whom
   * @throws {@link RolloutStateError} when it is over, or being rolled back
   * @throws {@link RolloutStoreError} when the store does not confirm; the flag is off in this process, and the rest
   *   follows when the store is back
   */
  abort(reason: ChangeReason): Promise<void> {
    return this.#command('abort', reason, { input: { type: 'ABORT' }, done: ['ABORTED'] })
  }

  /**
   * Rolls back, also what is complete: at once, or in batches. Then looks whether all is well.
   *
   * @remarks
   * It resolves when it is written down. {@link Rollout.finished} tells the end. "At once" hurries a rollback in batches.
   *
   * @param reason - why, by whom, and whether gradually
   * @throws {@link RolloutStateError} when nothing was begun
   * @throws {@link RolloutStoreError} when the store does not confirm; the flag is off in this process unless it was to
   *   go in batches, and the rest follows when the store is back
   */
  rollback(reason: RollbackReason): Promise<void> {
    const isGradual = reason?.gradually === true
    const done: RolloutState[] = ['VALIDATING', 'ROLLED_BACK', 'ABORTED']
    if (isGradual) done.push('ROLLING_BACK')
    return this.#command('rollback', reason, (why) => ({ input: { type: 'ROLL_BACK', isGradual, why }, done }))
  }

  async #command(
    name: Command['name'],
    reason: ChangeReason,
    what: Pick<Command, 'input' | 'done'> | ((why: string) => Pick<Command, 'input' | 'done'>),
  ): Promise<void> {
    const { why, by } = readReason(reason)
    if (!this.#isStarted) {
      const message = `Cannot ${name} the rollout of ${JSON.stringify(this.#settings.flag)}: call start() first`
      throw new RolloutStateError(message, this.status.state)
    }
    if (this.#driver.controller === 'STOPPED') {
      const flag = JSON.stringify(this.#settings.flag)
      const message = `Cannot ${name} the rollout of ${flag}: this process takes no part in it any more; call start() again`
      throw new RolloutStateError(message, this.status.state)
    }
    const { input, done } = typeof what === 'function' ? what(why) : what
    await this.#driver.command({ name, input, done, reason: { why, by, severity: severityOf[name] } })
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#life.then(step)
    this.#life = done.catch(() => undefined)
    return done
  }
}

/** What people do on purpose needs no alarm. */
const severityOf: Readonly<Record<Command['name'], 'INFO' | 'WARNING'>> = {
  pause: 'INFO',
  resume: 'INFO',
  skip: 'INFO',
  abort: 'WARNING',
  rollback: 'WARNING',
}

/** The end of a rollout, once it is there. */
interface End {
  readonly promise: Promise<RolloutResult>
  readonly isSettled: boolean
  settle(result: RolloutResult): void
}

function makeEnd(): End {
  let resolve!: (result: RolloutResult) => void
  const promise = new Promise<RolloutResult>((settle) => (resolve = settle))
  let isSettled = false
  return {
    promise,
    get isSettled() {
      return isSettled
    },
    settle(result) {
      isSettled = true
      resolve(result)
    },
  }
}

function readReason(reason: ChangeReason): ChangeReason {
  const { why, by } = (reason ?? {}) as Partial<ChangeReason>
  if (typeof why !== 'string' || why.trim() === '') {
    throw new TypeError(`Say why, for those who will wonder: { why: 'the results are empty' }, not ${literal(reason)}`)
  }
  if (by !== undefined && typeof by !== 'string') {
    throw new TypeError(`Who does it, \`by\`, must be a name or an id as a string, not ${literal(by)}`)
  }
  return by === undefined ? { why } : { why, by }
}
