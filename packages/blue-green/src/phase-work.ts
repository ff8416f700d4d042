import { messageOf, runBounded } from './bounded.js'
import { migrationChange, validationChange, type BlueGreenChange } from './changes.js'
import type { Chore } from './chores.js'
import type { Settings } from './options.js'
import type { ProbeResult } from './plan.js'
import { failureIn, runProbes, type MigrationContext, type ProbeContext } from './probes.js'
import { isAccepting, isPreparing, isStepping, testsOf, type DeploymentState, type Input } from './transitions.js'

/** What the work of a phase leads to. */
export interface WorkHooks {
  move(input: Input, why: string): void
  /** Takes green back, or freezes. */
  rollBack(why: string, results?: readonly ProbeResult[]): void
  /** Asks the store for leave to give green its next share. */
  advance(why: string, results?: readonly ProbeResult[]): void
  /** The synthetic calls of this step have passed. */
  tested(results: readonly ProbeResult[]): void
  tell(change: BlueGreenChange): void
  /** Makes a version ready; resolves with what kept it from getting so. */
  staged(version: string, signal: AbortSignal): Promise<Error | undefined>
  drained(version: string, signal: AbortSignal): Promise<number>
  call(version: string, event: unknown): Promise<unknown>
}

/** Names the work of a phase, and differs from that of any other; `undefined` where there is none. */
export function workOf(running: DeploymentState | undefined): string | undefined {
  if (running === undefined) return undefined
  const { id, phase, step, percentage, migrated } = running
  if (phase === 'HOLD' || phase === 'FROZEN') return undefined
  if (isStepping(running) && testsOf(running).length === 0) return undefined
  if (phase === 'ROLLING_BACK' && percentage > 0) return undefined
  return `${id} ${phase} ${step} ${migrated}`
}

/** What each phase gets done: the calls into somebody else's functions, each with its deadline. */
export class PhaseWork {
  readonly #settings: Settings
  readonly #hooks: WorkHooks
  /** Settles when the `up` that was begun last has really ended, whatever its deadline said. */
  #up: Promise<unknown> = Promise.resolve()
  /** The migration of which this process has begun the `up`: whether another one did before is known by that. */
  #resumed: string | undefined

  constructor(settings: Settings, hooks: WorkHooks) {
    this.#settings = settings
    this.#hooks = hooks
  }

  /** A state of another process is gone on with: what is begun in it may have been begun before. */
  resumed(running: DeploymentState | undefined): void {
    this.#resumed = running !== undefined && isPreparing(running) ? running.id : undefined
  }

  /** @param why - of the state in force */
  chore(running: DeploymentState, why: string): Chore {
    return (signal) => {
      // In every other phase that has work, green is tried.
      // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- workOf() lets no other phase pass
      switch (running.phase) {
        case 'PRECHECK':
          return this.#check(running, why, signal)
        case 'BACKUP':
          return this.#backUp(running, why, signal)
        case 'MIGRATING':
          return this.#migrate(running, why, signal)
        case 'GREEN_STAGING':
          return this.#stage(running, why, signal)
        case 'SMOKE':
          return this.#smoke(running, why, signal)
        case 'DRAINING_BLUE':
          return this.#drain(running.from, 'every step was passed', signal)
        case 'ROLLING_BACK':
          return running.migrated === 'UNDOING'
            ? this.#undo(running, why, signal)
            : this.#drain(running.to, why, signal)
        case 'VALIDATING_ROLLBACK':
          return this.#validate(running, why, signal)
        default:
          return this.#tryGreen(running, signal)
      }
    }
  }

  async #check(running: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const { checks } = this.#settings
    const functions = bound(checks, (check, stop) => check(contextOf(running, stop)))
    const results = await runProbes('checks', running.checks, functions, this.#settings, signal)
    const failure = failureIn(results)
    if (failure === undefined) return () => this.#hooks.move({ type: 'PASSED', results }, why)
    return () => this.#hooks.move({ type: 'FAIL', results }, `a check failed: ${failure}`)
  }

  async #backUp({ id }: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const { backup, backupTimeoutMs, clock } = this.#settings
    const at = clock.now()
    try {
      if (backup === undefined) throw new Error('there is no backup in the options any more')
      const made = await runBounded(
        (stop) => backup({ deploymentId: id, signal: stop }),
        backupTimeoutMs,
        clock,
        signal,
      )
      if (typeof made?.id !== 'string') throw new Error('it returned no { id }')
      const bytes = typeof made.bytes === 'number' && Number.isFinite(made.bytes) ? made.bytes : null
      return () => this.#hooks.move({ type: 'PASSED', backup: { id: made.id, bytes, at } }, why)
    } catch (error) {
      return () => this.#hooks.move({ type: 'FAIL' }, `the backup failed: ${messageOf(error)}`)
    }
  }

  async #migrate(running: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const { migrationTimeoutMs, clock } = this.#settings
    const name = running.migration?.name ?? ''
    const migration = this.#settings.migrations.get(name)
    const mayHaveBegun = this.#resumed === running.id || running.isOverruled
    try {
      if (migration === undefined) throw new Error('there is none of this name in migrations')
      await runBounded(
        (stop) => {
          const up = (async () => migration.up(migrationContext(running, stop, mayHaveBegun)))()
          this.#up = up.catch(() => undefined)
          return up
        },
        migrationTimeoutMs,
        clock,
        signal,
      )
      return () => this.#hooks.move({ type: 'PASSED' }, why)
    } catch (error) {
      return () => this.#hooks.rollBack(`migration "${name}" failed: ${messageOf(error)}`)
    }
  }

  async #undo(running: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const { migrationTimeoutMs, clock } = this.#settings
    const name = running.migration?.name ?? ''
    try {
      // Never beside an `up` that has not heard that it is to end.
      await runBounded(() => this.#up, migrationTimeoutMs, clock, signal).catch((error: unknown) => {
        throw new Error(`its up has not ended: ${messageOf(error)}`)
      })
      const down = this.#settings.migrations.get(name)
      if (down?.down === undefined) throw new Error('there is no down of this name in migrations')
      const run = async (stop: AbortSignal): Promise<void> => down.down?.(migrationContext(running, stop, true))
      await runBounded(run, migrationTimeoutMs, clock, signal)
      const undone = `${clause(why)}; the migration "${name}" was undone`
      return () => this.#hooks.move({ type: 'UNDONE', isUndone: true }, undone)
    } catch (error) {
      const stuck = `${clause(why)}; the migration "${name}" could not be undone: ${messageOf(error)}`
      return () => {
        this.#hooks.tell(migrationChange(running, stuck, clock.now()))
        this.#hooks.move({ type: 'UNDONE', isUndone: false }, stuck)
      }
    }
  }

  async #stage(running: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const failure = await this.#hooks.staged(running.to, signal)
    if (failure !== undefined) return () => this.#hooks.rollBack(failure.message)
    if (running.smokeTests.length > 0) return () => this.#hooks.move({ type: 'PASSED' }, why)
    return () => this.#hooks.advance(why)
  }

  async #smoke(running: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const results = await this.#synthetic('smokeTests', running, running.to, signal)
    const failure = failureIn(results)
    if (failure === undefined) return () => this.#hooks.advance(why, results)
    return () => this.#hooks.rollBack(`a smoke test failed: ${failure}`, results)
  }

  async #tryGreen(running: DeploymentState, signal: AbortSignal): Promise<() => void> {
    const isAtEnd = isAccepting(running)
    const results = await this.#synthetic(isAtEnd ? 'acceptanceTests' : 'canaryTests', running, running.to, signal)
    const failure = failureIn(results)
    if (failure === undefined) return () => this.#hooks.tested(results)
    return () => this.#hooks.rollBack(`${isAtEnd ? 'an acceptance' : 'a canary'} test failed: ${failure}`, results)
  }

  async #drain(version: string, why: string, signal: AbortSignal): Promise<() => void> {
    const left = await this.#hooks.drained(version, signal)
    const whole = left === 0 ? why : `${clause(why)}, while ${left} calls still run on "${version}"`
    return () => this.#hooks.move({ type: 'DRAINED' }, whole)
  }

  async #validate(running: DeploymentState, why: string, signal: AbortSignal): Promise<() => void> {
    const results = await this.#synthetic('validations', running, running.from, signal)
    const failure = failureIn(results)
    return () => {
      if (failure !== undefined) this.#hooks.tell(validationChange(running, failure, this.#settings.clock.now()))
      this.#hooks.move({ type: 'PASSED', results }, why)
    }
  }

  #synthetic(
    kind: 'smokeTests' | 'canaryTests' | 'acceptanceTests' | 'validations',
    running: DeploymentState,
    version: string,
    signal: AbortSignal,
  ): Promise<readonly ProbeResult[]> {
    const { percentage } = running
    const functions = bound(this.#settings[kind], (test, stop) => {
      const call = (event: never): Promise<unknown> => this.#hooks.call(version, event)
      return test({ ...contextOf(running, stop), version, percentage, call })
    })
    return runProbes(kind, running[kind], functions, this.#settings, signal)
  }
}

function bound<T>(
  functions: ReadonlyMap<string, T>,
  run: (each: T, signal: AbortSignal) => unknown,
): { get(name: string): ((signal: AbortSignal) => unknown) | undefined } {
  return {
    get: (name) => {
      const each = functions.get(name)
      return each === undefined ? undefined : (signal) => run(each, signal)
    },
  }
}

function contextOf({ id, from, to }: DeploymentState, signal: AbortSignal): ProbeContext {
  return { deploymentId: id, from, to, signal }
}

function migrationContext(running: DeploymentState, signal: AbortSignal, mayHaveBegun: boolean): MigrationContext {
  return { ...contextOf(running, signal), mayHaveBegun }
}

/** Error messages come with their full stop. */
function clause(why: string): string {
  return why.replace(/\.$/, '')
}
