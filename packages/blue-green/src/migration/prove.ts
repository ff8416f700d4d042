import type { Migration, MigrationContext } from '../probes.js'
import { systemClock } from '../system-clock.js'
import type { Attempt, Bench, Trial } from './bench.js'
import { RowFinding } from './errors.js'
import { type Cost, measure } from './measure.js'
import { compare, type Difference, differencesText, type Extent, extentOf, type Snapshot } from './snapshot.js'
import type { StoreExtent } from './snapshot.js'
import type { Steps, Tick } from './steps.js'
import type { CallHooks } from './watched-storage.js'

/** What a migration did to one collection. */
export interface CollectionImpact {
  /** Rows before. */
  readonly before: number
  /** Rows after. */
  readonly after: number
  /** Rows that are new. */
  readonly added: number
  /** Rows with another content. */
  readonly changed: number
  /** Rows that are gone. */
  readonly removed: number
}

/** What a migration did, and what it took. */
export interface Impact {
  /** Each collection that it changed, by name. */
  readonly collections: Readonly<Record<string, CollectionImpact>>
  /** How many writes it made; a batch is one. */
  readonly writes: number
  /** What `up` took in the median of the runs; the pause is the longest of all of them. */
  readonly cost: Cost
  /** The elapsed time of each run, in ms, fastest first. */
  readonly runsMs: readonly number[]
  /** The same of `down`, in its one run; `undefined` where there is none. */
  readonly downCost: Cost | undefined
  /** Bytes of all rows before: keys and canonical JSON in UTF-8. Files are larger. */
  readonly bytesBefore: number
  /** Bytes of all rows after. */
  readonly bytesAfter: number
}

/** What was found out, as far as it went. */
export interface Proof {
  /** Before. */
  before?: Snapshot
  /** After `up`. */
  up?: Snapshot
  /** Before, in numbers. */
  beforeUp?: StoreExtent
  /** After `up`. */
  afterUp?: StoreExtent
  /** After `down`. */
  afterDown?: StoreExtent
  /** What it did and took. */
  impact?: Impact
  /** Rows that were not as they should be, by step; the first of each. */
  differences: Record<string, readonly Difference[]>
}

/** How thoroughly. */
export interface ProofSettings {
  /** How often `up` is run to measure it. */
  readonly runs: number
  /** At how many places it is interrupted, at most. */
  readonly maxCrashes: number
  /** With how many rows of each collection, at most. */
  readonly maxCrashRows: number
}

/** Makes a migration for a store. */
export type MakeMigration<S> = (storage: S) => Migration | Promise<Migration>

/** The steps of a proof. Public as names in reports. */
export const proofSteps = {
  loads: 'loads',
  up: 'dry run of up',
  again: 'up twice',
  down: 'rollback by down',
  downAgain: 'down twice',
  crashes: 'up interrupted',
  undone: 'half an up undone',
  downCrashes: 'down interrupted',
} as const

/** Proves a migration on fresh copies. Steps that cannot be taken are skipped, and say why. */
export async function prove<S>(
  bench: Bench<S>,
  make: MakeMigration<S>,
  settings: ProofSettings,
  steps: Steps,
): Promise<Proof> {
  return new Prover(bench, make, settings, steps).run()
}

/** A run on the rows of the sweep. */
interface Undisturbed {
  readonly before: Snapshot
  readonly after: Snapshot
  /** Writes of `up`. */
  readonly up: number
  /** Writes of `down`. */
  readonly down: number
}

class Prover<S> {
  readonly #bench: Bench<S>
  readonly #make: MakeMigration<S>
  readonly #settings: ProofSettings
  readonly #steps: Steps
  readonly #proof: Proof = { differences: Object.create(null) as Record<string, readonly Difference[]> }

  constructor(bench: Bench<S>, make: MakeMigration<S>, settings: ProofSettings, steps: Steps) {
    this.#bench = bench
    this.#make = make
    this.#settings = settings
    this.#steps = steps
  }

  async run(): Promise<Proof> {
    const [steps, proof] = [this.#steps, this.#proof]
    let noDown: string | undefined
    const isLoaded = await steps.run(proofSteps.loads, async (signal) => {
      noDown = await this.#load(signal)
      return noDown ?? 'it has an up and a down'
    })
    let trial: Trial<S> | undefined
    const isUp =
      isLoaded &&
      (await steps.run(proofSteps.up, async (signal, tick) => {
        trial = await this.#bench.trial(signal)
        return this.#dryRun(trial, signal, tick)
      }))
    if (!isLoaded) steps.skip(proofSteps.up, 'it does not load')
    if (!isUp || trial === undefined) {
      for (const name of Object.values(proofSteps).slice(2)) steps.skip(name, 'its up does not work')
      await trial?.close()
      return proof
    }
    const first = trial
    await steps.run(proofSteps.again, async (signal) => {
      await this.#up(first.attempt(), signal, true)
      return this.#equal(proofSteps.again, proof.up, await first.snapshot(signal), 'nothing changed')
    })
    if (noDown === undefined) await this.#rollBack(first)
    else for (const name of [proofSteps.down, proofSteps.downAgain]) steps.skip(name, noDown)
    await first.close()
    await this.#interrupt(noDown)
    return proof
  }

  /** @returns why there is no `down` to try, if there is none */
  async #load(signal: AbortSignal): Promise<string | undefined> {
    const trial = await this.#bench.trial(signal, 0)
    try {
      const migration = checkedMigration(await this.#make(trial.attempt().storage))
      if (migration.irreversible === true) return 'it is declared irreversible'
      return migration.down === undefined ? 'it has no down: a rollback leaves what it did' : undefined
    } finally {
      await trial.close()
    }
  }

  async #dryRun(trial: Trial<S>, signal: AbortSignal, tick: Tick): Promise<string> {
    const proof = this.#proof
    const { runs } = this.#settings
    proof.before = await trial.snapshot(signal)
    proof.beforeUp = extentOf(proof.before)
    const attempt = trial.attempt()
    const costs = [await measure(() => this.#up(attempt, signal, false))]
    proof.up = await trial.snapshot(signal)
    proof.afterUp = extentOf(proof.up)
    const done = compare(proof.before, proof.up, systemClock.now())
    const impact = (): Impact => ({
      collections: impactOf(proof.beforeUp, proof.afterUp, done.collections),
      writes: attempt.writes,
      cost: { ...medianOf(costs), maxPauseMs: Math.max(...costs.map(({ maxPauseMs }) => maxPauseMs)) },
      runsMs: costs.map(({ wallMs }) => wallMs).sort((a, b) => a - b),
      downCost: undefined,
      bytesBefore: proof.beforeUp?.bytes ?? 0,
      bytesAfter: proof.afterUp?.bytes ?? 0,
    })
    proof.impact = impact()
    for (let run = 1; run < runs; run++) {
      tick(run, runs)
      const other = await this.#bench.trial(signal)
      try {
        costs.push(await measure(() => this.#up(other.attempt(), signal, false)))
        const same = compare(proof.up, await other.snapshot(signal), systemClock.now())
        if (same.count > 0) {
          this.#proof.differences[proofSteps.up] = same.first
          throw new RowFinding(
            (nameOf) =>
              `up gives another result each time (${differencesText(same, nameOf)}); take times and ids from the rows, not from the clock or chance`,
          )
        }
      } finally {
        await other.close()
      }
    }
    proof.impact = impact()
    return done.count === 0 ? 'it changes nothing' : `${done.count} rows are other than before`
  }

  async #rollBack(trial: Trial<S>): Promise<void> {
    const [steps, proof] = [this.#steps, this.#proof]
    const isDown = await steps.run(proofSteps.down, async (signal) => {
      const cost = await measure(() => this.#down(trial.attempt(), signal))
      const found = await trial.snapshot(signal)
      proof.afterDown = extentOf(found)
      if (proof.impact !== undefined) proof.impact = { ...proof.impact, downCost: cost }
      return this.#equal(proofSteps.down, proof.before, found, 'every row is as it was before, by SHA-256')
    })
    if (!isDown) return void steps.skip(proofSteps.downAgain, 'its down does not work')
    await steps.run(proofSteps.downAgain, async (signal) => {
      await this.#down(trial.attempt(), signal)
      return this.#equal(proofSteps.downAgain, proof.before, await trial.snapshot(signal), 'nothing changed')
    })
  }

  async #interrupt(noDown: string | undefined): Promise<void> {
    const steps = this.#steps
    if (this.#settings.maxCrashes === 0) {
      const names = [proofSteps.crashes, proofSteps.undone, proofSteps.downCrashes]
      for (const name of names) steps.skip(name, 'maxCrashes is 0')
      return
    }
    let whole: Undisturbed | undefined
    await steps.run(proofSteps.crashes, async (signal, tick) => {
      const known = await this.#undisturbed(noDown === undefined, signal)
      whole = known
      return this.#sweep(known.up, signal, tick, async (at, trial) => {
        await this.#killed(trial, at, known.up, signal, 'up')
        await this.#up(trial.attempt(), signal, true)
        return this.#equal(proofSteps.crashes, known.after, await trial.snapshot(signal), '')
      })
    })
    const { before, up, down } = whole ?? {}
    if (before === undefined || up === undefined || down === undefined || noDown !== undefined) {
      const why = noDown ?? 'it does not work on fewer rows'
      for (const name of [proofSteps.undone, proofSteps.downCrashes]) steps.skip(name, why)
      return
    }
    await steps.run(proofSteps.undone, (signal, tick) =>
      this.#sweep(up, signal, tick, async (at, trial) => {
        await this.#killed(trial, at, up, signal, 'up')
        await this.#down(trial.attempt(), signal)
        return this.#equal(proofSteps.undone, before, await trial.snapshot(signal), '')
      }),
    )
    await steps.run(proofSteps.downCrashes, (signal, tick) =>
      this.#sweep(down, signal, tick, async (at, trial) => {
        await this.#up(trial.attempt(), signal, false)
        await this.#killed(trial, at, down, signal, 'down')
        await this.#down(trial.attempt(), signal)
        return this.#equal(proofSteps.downCrashes, before, await trial.snapshot(signal), '')
      }),
    )
  }

  /** What it does to the rows of the sweep when nobody disturbs it. */
  async #undisturbed(isUndoable: boolean, signal: AbortSignal): Promise<Undisturbed> {
    const { maxCrashRows } = this.#settings
    return this.#onTrial(maxCrashRows, signal, async (trial) => {
      const before = await trial.snapshot(signal)
      const [up, down] = [trial.attempt(), trial.attempt()]
      await this.#up(up, signal, false)
      const after = await trial.snapshot(signal)
      if (isUndoable) await this.#down(down, signal)
      return { before, after, up: up.begun, down: down.begun }
    }).catch((error: unknown) => {
      const isCut = Object.values(this.#proof.beforeUp?.collections ?? {}).some(({ rows }) => rows > maxCrashRows)
      if (!isCut) throw error
      const words = `on the first ${maxCrashRows} rows of each collection, which may be too few (raise maxCrashRows)`
      throw RowFinding.after(words, error)
    })
  }

  /** Once for each number of writes after which a process may die, or as many as there is leave for, evenly spread. */
  async #sweep(
    writes: number,
    signal: AbortSignal,
    tick: Tick,
    run: (at: number, trial: Trial<S>) => Promise<unknown>,
  ): Promise<string> {
    const { maxCrashes, maxCrashRows } = this.#settings
    const places = spread(writes, maxCrashes)
    for (const [index, at] of places.entries()) {
      signal.throwIfAborted()
      tick(index, places.length)
      await this.#onTrial(maxCrashRows, signal, async (trial) => run(at, trial)).catch((error: unknown) => {
        throw RowFinding.after(`interrupted after ${at} of ${writes} writes`, error)
      })
    }
    return `interrupted at ${places.length} of ${writes + 1} places, and the same in the end`
  }

  async #onTrial<T>(maxRows: number, signal: AbortSignal, run: (trial: Trial<S>) => Promise<T>): Promise<T> {
    const trial = await this.#bench.trial(signal, maxRows)
    try {
      return await run(trial)
    } finally {
      await trial.close()
    }
  }

  /** Kills the process after so many writes. */
  async #killed(trial: Trial<S>, at: number, of: number, signal: AbortSignal, which: 'up' | 'down'): Promise<void> {
    const hooks: CallHooks = {
      before: ({ isWrite }) => {
        if (isWrite && attempt.begun >= at) attempt.end(`killed after ${at} writes`)
      },
    }
    const attempt: Attempt<S> = trial.attempt(hooks)
    const run = which === 'up' ? this.#up(attempt, signal, false) : this.#down(attempt, signal)
    const isWell = await run.then(
      () => true,
      () => false,
    )
    signal.throwIfAborted()
    attempt.end('killed')
    // A deployment would go on.
    if (isWell && at < of)
      throw new Error(`${which} resolved all the same; it must not swallow what a write rejects with`)
  }

  #equal(step: string, expected: Snapshot | undefined, found: Snapshot, passed: string): string {
    const comparison = compare(expected ?? new Map(), found, systemClock.now())
    if (comparison.count === 0) return passed
    this.#proof.differences[step] = comparison.first
    throw new RowFinding((nameOf) => differencesText(comparison, nameOf))
  }

  async #up(attempt: Attempt<S>, signal: AbortSignal, mayHaveBegun: boolean): Promise<void> {
    await runMigration(this.#make, attempt, signal, mayHaveBegun, 'up')
  }

  async #down(attempt: Attempt<S>, signal: AbortSignal): Promise<void> {
    await runMigration(this.#make, attempt, signal, true, 'down')
  }
}

/** Runs one function of a migration, as a deployment would. When nobody waits any more, nothing of it arrives. */
export async function runMigration<S>(
  make: MakeMigration<S>,
  attempt: Attempt<S>,
  signal: AbortSignal,
  mayHaveBegun: boolean,
  which: 'up' | 'down',
): Promise<void> {
  const end = (): void => attempt.end('the time of the step is up')
  signal.addEventListener('abort', end, { once: true })
  try {
    const context: MigrationContext = { deploymentId: 'rehearsal', from: 'blue', to: 'green', signal, mayHaveBegun }
    const migration = checkedMigration(await make(attempt.storage))
    await migration[which]?.(context)
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** @throws TypeError when it is none, as `BlueGreen` would say */
export function checkedMigration(migration: Migration): Migration {
  const { up, down, irreversible } = Object(migration) as Record<keyof Migration, unknown>
  if (typeof up !== 'function') throw new TypeError(`migration.up must be a function, not a ${typeof up}`)
  if (down !== undefined && typeof down !== 'function') {
    throw new TypeError(`migration.down must be a function, not a ${typeof down}`)
  }
  if (down !== undefined && irreversible === true) {
    throw new TypeError('migration has a down and is irreversible; leave one of them out')
  }
  return migration
}

function medianOf(costs: readonly Cost[]): Cost {
  return [...costs].sort((a, b) => a.wallMs - b.wallMs)[Math.floor((costs.length - 1) / 2)]!
}

function impactOf(
  before: StoreExtent | undefined,
  after: StoreExtent | undefined,
  changes: ReadonlyMap<string, Readonly<Record<Difference['what'], number>>>,
): Record<string, CollectionImpact> {
  const impact = Object.create(null) as Record<string, CollectionImpact>
  const rowsIn = (extent: StoreExtent | undefined, name: string): number =>
    (extent?.collections as Record<string, Extent | undefined> | undefined)?.[name]?.rows ?? 0
  for (const [name, counts] of changes) {
    impact[name] = { before: rowsIn(before, name), after: rowsIn(after, name), ...counts }
  }
  return impact
}

/** 0 to `last`, or so many of these, evenly spread; the ends are among them. */
export function spread(last: number, max: number): number[] {
  if (last + 1 <= max) return Array.from({ length: last + 1 }, (_, i) => i)
  if (max === 0) return []
  if (max === 1) return [Math.floor(last / 2)]
  return Array.from({ length: max }, (_, i) => Math.round((i * last) / (max - 1)))
}
