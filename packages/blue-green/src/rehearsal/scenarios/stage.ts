import { messageOf } from '../../bounded.js'
import { RowFinding } from '../../migration/errors.js'
import type { WritableStorage } from '../../migration/ports.js'
import { checkedMigration, type MakeMigration, runMigration, spread } from '../../migration/prove.js'
import { compare, type Difference, differencesText, type Snapshot } from '../../migration/snapshot.js'
import type { Tick } from '../../migration/steps.js'
import type { StorageBench, StorageTrial } from '../../migration/storage-bench.js'
import type { CallHooks } from '../../migration/watched-storage.js'
import { systemClock } from '../../system-clock.js'

/** What the migration does to the rows of the stage when nobody disturbs it. */
export interface Undisturbed {
  readonly before: Snapshot
  readonly after: Snapshot
  readonly hasDown: boolean
  /** Writes and reads that are begun; each row of a scan is a read. */
  readonly up: Calls
  readonly down: Calls
}

export interface Calls {
  writes: number
  reads: number
}

export interface StageSettings {
  /** With how many rows of each collection, at most. */
  readonly maxCrashRows: number
  /** How often each fault is played, at most. */
  readonly maxCrashes: number
}

/** Which of the two functions of a migration. */
export type Way = 'up' | 'down'

/** Where faults are played: fresh copies of some rows, and what the migration makes of them by right. */
export class Stage<S extends WritableStorage> {
  readonly settings: StageSettings
  /** The first rows that were not as they should be, by step. */
  readonly differences: Record<string, readonly Difference[]>
  readonly #bench: StorageBench<S>
  readonly #make: MakeMigration<S>

  constructor(
    bench: StorageBench<S>,
    make: MakeMigration<S>,
    settings: StageSettings,
    differences: Record<string, readonly Difference[]>,
  ) {
    this.#bench = bench
    this.#make = make
    this.settings = settings
    this.differences = differences
  }

  /** Runs something on a fresh copy. */
  async play<T>(signal: AbortSignal, run: (trial: StorageTrial<S>) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const trial = await this.#bench.trial(signal, this.settings.maxCrashRows)
    try {
      return await run(trial)
    } finally {
      await trial.close()
    }
  }

  /** Runs the migration, or undoes it. What it leaves running does not arrive any more. */
  async run(
    way: Way,
    trial: StorageTrial<S>,
    signal: AbortSignal,
    { hooks, isRepeated = way === 'down' }: { readonly hooks?: CallHooks; readonly isRepeated?: boolean } = {},
  ): Promise<void> {
    const attempt = trial.attempt(hooks)
    try {
      await runMigration(this.#make, attempt, signal, isRepeated, way)
    } finally {
      attempt.end(`${way} has ended`)
    }
  }

  /** The same, for a run that may fail: what it rejected with, or `undefined`. */
  async tried(...args: Parameters<Stage<S>['run']>): Promise<{ readonly why: string } | undefined> {
    const failure = await this.run(...args).then(
      () => undefined,
      (error: unknown) => ({ why: messageOf(error) }),
    )
    args[2].throwIfAborted()
    return failure
  }

  async undisturbed(signal: AbortSignal): Promise<Undisturbed> {
    return this.play(signal, async (trial) => {
      const migration = checkedMigration(await this.#make(trial.attempt().storage))
      const hasDown = migration.down !== undefined
      const before = await trial.snapshot(signal)
      const [up, down] = [counted(), counted()]
      await this.run('up', trial, signal, { hooks: up.hooks })
      const after = await trial.snapshot(signal)
      if (hasDown) await this.run('down', trial, signal, { hooks: down.hooks })
      return { before, after, hasDown, up: up.calls, down: down.calls }
    })
  }

  /** Plays a fault at each place from 0 to `last`, or at as many as there is leave for, on a copy for each. @returns how many */
  async each(
    last: number,
    signal: AbortSignal,
    tick: Tick,
    run: (at: number, trial: StorageTrial<S>) => Promise<void>,
  ): Promise<number> {
    if (last < 0) return 0
    const places = spread(last, this.settings.maxCrashes)
    for (const [index, at] of places.entries()) {
      tick(index, places.length)
      await this.play(signal, (trial) => run(at, trial))
    }
    return places.length
  }

  /** @throws RowFinding of the rows, which are also kept for the report */
  requireEqual(step: string, expected: Snapshot, found: Snapshot): void {
    const comparison = compare(expected, found, systemClock.now())
    if (comparison.count === 0) return
    this.differences[step] = comparison.first
    throw new RowFinding((nameOf) => differencesText(comparison, nameOf))
  }
}

function counted(): { calls: Calls; hooks: CallHooks } {
  const calls: Calls = { writes: 0, reads: 0 }
  const hooks: CallHooks = {
    before: ({ isWrite }) => {
      calls[isWrite ? 'writes' : 'reads']++
    },
    row: () => {
      calls.reads++
    },
  }
  return { calls, hooks }
}
