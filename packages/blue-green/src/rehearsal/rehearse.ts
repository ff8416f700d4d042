import { readDuration, requireKnown, requireMethods } from '../checked-options.js'
import { copyRows } from '../migration/copy-rows.js'
import { Copies, type CopyOptions } from '../migration/copies.js'
import { Finding } from '../migration/errors.js'
import { estimate as estimateOf, type Estimate, type Whole } from '../migration/estimate.js'
import type { WritableStorage } from '../migration/ports.js'
import {
  checkedMigration,
  type Impact,
  type MakeMigration,
  type Proof,
  proofSteps,
  prove,
  type ProofSettings,
  runMigration,
} from '../migration/prove.js'
import { snapshotOf } from '../migration/snapshot.js'
import type { Progress, Tick } from '../migration/steps.js'
import { Steps } from '../migration/steps.js'
import { StorageBench } from '../migration/storage-bench.js'
import {
  guardedListener,
  readProofSettings,
  validationDefaults,
  type ValidationReport,
} from '../migration/validate-migration.js'
import { withheld } from '../migration/withheld.js'
import type { Clock } from '../ports.js'
import { holdProcess, systemClock } from '../system-clock.js'
import type { KeptNames } from './anonymize.js'
import { type Data, type DataOptions, readData } from './data.js'
import { type Invariant, requireInvariants } from './invariants.js'
import { hidden, isInCollectionName, type LeakReport } from './leaks.js'
import { judgeLimits, type LimitReport, readLimits, type RehearsalLimits } from './limits.js'
import { readMeanwhile, type Reads } from './reads.js'
import type { Rewrite } from './scenarios/bot-writes.js'
import { playScenarios, type Scenario, scenarios as allScenarios, skipScenarios } from './scenarios/play.js'
import { Stage } from './scenarios/stage.js'

/** What is rehearsed, with which data, and how thoroughly. */
export interface RehearsalOptions<S> extends CopyOptions<S>, DataOptions {
  /** Makes the migration for a store, as it would be for the original: `(storage) => addZones(storage)`. */
  readonly migration: MakeMigration<S>
  /** Its name, for the report. */
  readonly name?: string | undefined
  /** Collections that the migration may change; a change of any other one is a failure. */
  readonly mayChange?: readonly string[] | undefined
  /** What must be true of the data before, after `up`, and, where there is one, after `down`, by name. */
  readonly invariants?: Readonly<Record<string, Invariant<S>>> | undefined
  /** What it may take. */
  readonly limits?: RehearsalLimits | undefined
  /** Which faults are played. */
  readonly scenarios?: readonly Scenario[] | undefined
  /**
   * What the bot may write in place of a row while the migration runs; `undefined` for nothing.
   *
   * @defaultValue what stands in the next row of the collection
   */
  readonly rewrite?: Rewrite | undefined
  /** How often `up` is run to measure it, from 1; from 2 on it is also seen whether it does the same each time. */
  readonly runs?: number | undefined
  /** At how many places each fault is played, at most; 0 for none. Each takes a copy of its own. */
  readonly maxCrashes?: number | undefined
  /** The copies for that have the first so many rows of each collection, from 1. */
  readonly maxCrashRows?: number | undefined
  /** How long each step may take, in ms. */
  readonly timeoutMs?: number | undefined
  /** Ends it early: it then resolves with what was found by then. */
  readonly signal?: AbortSignal | undefined
  /** Is told how far it is, and with what a step failed. Of errors of the source the report has names and codes, and of its rows no keys. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Where time comes from. What a migration takes is measured by the machine's, whatever this is. */
  readonly clock?: Clock | undefined
}

const { allowEmpty: _, ...defaultsOfBoth } = validationDefaults

/** The value of each option of a rehearsal that is not given. */
export const rehearsalDefaults: Required<
  Pick<RehearsalOptions<unknown>, 'scenarios' | 'runs' | 'maxCrashes' | 'maxCrashRows' | 'timeoutMs'>
> = { scenarios: allScenarios, ...defaultsOfBoth }

/** What a rehearsal found. JSON. */
export interface RehearsalReport extends ValidationReport {
  /** Of this shape. */
  readonly format: 1
  /** What it was rehearsed with. */
  readonly data: {
    /** Whether it was made up, or real with other names. */
    readonly kind: 'generated' | 'anonymised'
    /** Makes the same data again; `undefined` for data that was not made up. */
    readonly seed: number | undefined
    /** How many rows there were. */
    readonly rows: number
    /** What a look for originals found; `undefined` for data that was made up. */
    readonly leaks: LeakReport | undefined
    /**
     * How many names of fields and parts of keys are as they were; `undefined` for data that was made up, and where nobody has looked for
     * originals in names of collections, or has found one.
     */
    readonly kept: KeptNames | undefined
  }
  /** How long reads took while `up` ran; `undefined` where there were none. */
  readonly reads: Reads | undefined
  /** Each limit that was given. */
  readonly limits: readonly LimitReport[]
}

const known = [
  ...[
    'copy',
    'sourcePath',
    'folder',
    'remove',
    'source',
    'anonymize',
    'sample',
    'generate',
    'seed',
    'migration',
    'name',
  ],
  ...['mayChange', 'invariants', 'limits', 'scenarios', 'rewrite', 'runs', 'maxCrashes', 'maxCrashRows', 'timeoutMs'],
  ...['signal', 'onProgress', 'clock'],
]

/** The steps of a rehearsal beside those of a validation. Public as names in reports. */
const ownSteps = {
  data: 'data',
  leaks: 'no original in the copy',
  changes: 'changes only what it may',
  invariants: 'invariants',
  reads: 'reads meanwhile',
  limits: 'limits',
} as const

/**
 * Rehearses a migration in an isolated copy with data that names nobody: made up, or real under other names.
 *
 * It does all that `validateMigration` does, and more: it looks for originals in the copy, and deletes it at once when it finds one; it
 * checks your invariants before, after `up` and after `down`; it measures what a bot feels meanwhile, and holds it against your limits;
 * it lets calls fail, damages rows, writes each row at the worst moment, and runs the migration twice at once. In the end nothing is
 * left, also when it was cancelled; what a killed process left is removed by the next run.
 *
 * @remarks
 * *Gotchas*: it runs in this process, so a long pause of the event loop is a pause of a bot in it. Numbers, names of collections but for
 * the ids in them, and names that look as if a programmer had given them are not replaced, so `alice` as a key stays: look at `data.kept`
 * of the report, and see {@link AnonymizeOptions}. The report has a short name in place of each key of real data; what the migration
 * throws it has as it is. About 500 bytes of memory are held for each row, and each text of the original until the end.
 *
 * @returns the report, also when steps failed and when it was cancelled
 * @throws TypeError or RangeError when an option is wrong
 * @throws {@link NotIsolatedError} when a copy holds something, or leads to the source or to another copy
 *
 * @example
 * ```ts
 * import { botData, exitCodeOf, rehearse } from '@evenkeel/blue-green/rehearsal'
 * import { MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
 *
 * const addZone = (storage: Storage) => ({
 *   async up() {
 *     const guilds = storage.collection<{ zone?: string }>('guilds')
 *     for await (const { key } of guilds.scan()) await guilds.update(key, (guild) => ({ zone: 'UTC', ...guild }))
 *   },
 * })
 * const report = await rehearse<Storage>({
 *   copy: () => new MemoryStorage(),
 *   generate: botData({ guilds: 10, maxMembers: 20 }),
 *   migration: addZone,
 *   mayChange: ['guilds'],
 *   limits: { maxUpMs: 60_000 },
 *   maxCrashRows: 10,
 * })
 * console.log(report.outcome, exitCodeOf(report)) // => PASSED 0
 * ```
 */
export async function rehearse<S extends WritableStorage>(options: RehearsalOptions<S>): Promise<RehearsalReport> {
  return new Rehearsal(options).run()
}

/** What is told where there is nothing to rehearse with. */
const noRow: Readonly<Record<Data['kind'], string>> = {
  anonymised:
    'there is no row, so nothing would be tried: look whether source is the store of the bot (its path, the name of its database), or ' +
    'give generate: botData() in its place',
  generated: 'there is no row, so nothing would be tried: look at what generate makes, or give generate: botData()',
}

/** One rehearsal, and what it has found so far. */
class Rehearsal<S extends WritableStorage> {
  readonly #options: RehearsalOptions<S>
  readonly #data: Data
  readonly #limits: RehearsalLimits
  readonly #scenarios: readonly Scenario[]
  readonly #settings: ProofSettings
  readonly #clock: Clock
  readonly #copies: Copies<S>
  readonly #steps: Steps
  #proof: Proof = { differences: {} }
  #whole: Whole = { rows: 0, copied: 0 }
  #leaks: LeakReport | undefined
  #reads: Reads | undefined
  #judged: readonly LimitReport[] = []

  constructor(options: RehearsalOptions<S>) {
    requireKnown('rehearse', options, known)
    const { clock = systemClock, signal = new AbortController().signal, onProgress = () => {} } = options
    requireMethods('migration', options, ['migration'])
    this.#options = options
    this.#data = readData(options)
    this.#limits = readLimits(options.limits)
    this.#scenarios = readScenarios(options.scenarios ?? allScenarios)
    this.#settings = readProofSettings(options)
    const timeoutMs = readDuration('timeoutMs', options.timeoutMs ?? rehearsalDefaults.timeoutMs)
    requireNames('mayChange', options.mayChange ?? [])
    requireMethods('invariants', options.invariants ?? {}, Object.keys(options.invariants ?? {}))
    if (options.rewrite !== undefined) requireMethods('rewrite', options, ['rewrite'])
    this.#clock = clock
    const tellable = this.#data.kind === 'anonymised' ? withheld : undefined
    this.#copies = new Copies(options, options.source, tellable)
    this.#steps = new Steps(clock, signal, timeoutMs, guardedListener(onProgress), this.#data.nameOf)
  }

  async run(): Promise<RehearsalReport> {
    const [startedAt, beganMs, release] = [this.#clock.now(), this.#clock.monotonic(), holdProcess()]
    let leftBehind: readonly string[]
    try {
      const original = await this.#makeCopy()
      if (original !== undefined) await this.#rehearse(new StorageBench(this.#copies, original))
    } finally {
      leftBehind = await this.#steps.cleanUp(() => this.#copies.clean())
      release()
    }
    const { impact, beforeUp: before, afterUp, afterDown, differences } = this.#proof
    return {
      format: 1,
      migration: this.#options.name ?? 'migration',
      outcome: this.#steps.outcome,
      startedAt,
      tookMs: this.#clock.monotonic() - beganMs,
      data: {
        kind: this.#data.kind,
        seed: this.#data.seed,
        rows: this.#whole.copied,
        leaks: this.#leaks,
        kept: this.#kept(),
      },
      steps: this.#steps.reports,
      impact,
      estimate: impact === undefined ? undefined : this.#estimate(impact),
      reads: this.#reads,
      limits: this.#judged,
      extents: { before, afterUp, afterDown },
      differences: this.#named(differences),
      leftBehind,
      leftovers: this.#copies.leftovers,
    }
  }

  /** By names of collections, which may be told once they were searched. */
  #kept(): KeptNames | undefined {
    return this.#leaks === undefined || this.#leaks.first.some(isInCollectionName) ? undefined : this.#data.kept()
  }

  /** As the report calls these rows. */
  #named(differences: Proof['differences']): Proof['differences'] {
    const named = Object.create(null) as Proof['differences']
    for (const [step, rows] of Object.entries(differences)) {
      named[step] = rows.map((row) => ({ ...row, key: this.#data.nameOf(row.key) }))
    }
    return named
  }

  /** @returns the copy, if it holds what it should and nothing that it must not */
  async #makeCopy(): Promise<S | undefined> {
    let original: S | undefined
    const isCopied = await this.#runOnOriginals(ownSteps.data, async (signal, tick) => {
      const copy = await this.#copies.open()
      let rows = 0
      const seen = (): void => void rows++
      const copied = await copyRows(copy, this.#data.rows(signal, seen), signal, tick)
      if (copied === 0)
        throw new Finding(rows === 0 ? noRow[this.#data.kind] : `none of ${rows} rows was drawn; raise sample.ratio`)
      this.#whole = { rows, copied }
      original = copy
      return `${copied} rows, ${this.#data.kind}${this.#data.isSample ? `, of ${rows}` : ''}`
    })
    const { leaksIn } = this.#data
    const copy = original
    if (!isCopied || copy === undefined || leaksIn === undefined) return isCopied ? copy : undefined
    const isClean = await this.#runOnOriginals(ownSteps.leaks, async (signal) => {
      const leaks = await leaksIn(copy, signal)
      const nameOf = (key: string): string => (key === '' || key === hidden ? key : this.#data.nameOf(key))
      this.#leaks = { ...leaks, first: leaks.first.map((leak) => ({ ...leak, key: nameOf(leak.key) })) }
      if (leaks.count === 0) return `none of ${leaks.ids} ids and ${leaks.texts} texts, in ${leaks.strings} strings`
      const places = leaks.first.slice(0, 5).map((leak) => {
        if (isInCollectionName(leak)) return 'the name of a collection'
        return leak.field === '' ? `a key of ${leak.collection}` : `${leak.collection}.${leak.field}`
      })
      throw new Finding(
        `${leaks.count} strings hold an original: ${[...new Set(places)].join(', ')}; name these in anonymize.ids or userKeys, ` +
          'do not keep them, or allow what is no secret',
        { cause: leaks.first },
      )
    })
    // Whatever is found later would be told with rows that name somebody.
    if (!isClean) this.#steps.skip('all else', 'the copy was not to be worked with')
    return isClean ? copy : undefined
  }

  /** A step that meets data which names somebody: of what fails there, the report has no words. */
  async #runOnOriginals(name: string, step: (signal: AbortSignal, tick: Tick) => Promise<string>): Promise<boolean> {
    const isMadeUp = this.#data.kind === 'generated'
    return this.#steps.run(name, async (signal, tick) => {
      try {
        return await step(signal, tick)
      } catch (error) {
        throw isMadeUp ? error : withheld(error)
      }
    })
  }

  async #rehearse(bench: StorageBench<S>): Promise<void> {
    const { migration, rewrite } = this.#options
    this.#proof = await prove(bench, migration, this.#settings, this.#steps)
    const { impact, differences } = this.#proof
    if (impact === undefined || !this.#steps.hasPassed(proofSteps.up)) {
      const why = 'its up does not work'
      for (const name of [ownSteps.changes, ownSteps.invariants, ownSteps.reads, ownSteps.limits])
        this.#steps.skip(name, why)
      return skipScenarios(this.#steps, this.#scenarios, why)
    }
    await this.#checkChanges(impact)
    await this.#checkInvariants(bench)
    await this.#checkLimits(bench, impact)
    const stage = new Stage(bench, migration, this.#settings, differences)
    await playScenarios(stage, this.#scenarios, rewrite, this.#steps)
  }

  async #checkChanges({ collections }: Impact): Promise<void> {
    const { mayChange } = this.#options
    if (mayChange === undefined) return void this.#steps.skip(ownSteps.changes, 'mayChange is not given')
    await this.#steps.run(ownSteps.changes, async () => {
      const others = Object.keys(collections).filter((name) => !mayChange.includes(name))
      if (others.length > 0) throw new Error(`it changed ${others.join(', ')} too`)
      return `all other collections have the same SHA-256`
    })
  }

  async #checkInvariants(bench: StorageBench<S>): Promise<void> {
    const { invariants = {}, migration } = this.#options
    const count = Object.keys(invariants).length
    if (count === 0) return void this.#steps.skip(ownSteps.invariants, 'none is given')
    await this.#steps.run(ownSteps.invariants, async (signal) => {
      const trial = await bench.trial(signal)
      try {
        await requireInvariants(invariants, trial, 'before')
        await runMigration(migration, trial.attempt(), signal, false, 'up')
        await requireInvariants(invariants, trial, 'after up')
        const made = checkedMigration(await migration(trial.attempt().storage))
        // What `up` did would be there still, and not as 'after down' says.
        if (made.down === undefined) return `${count} hold before and after up; there is no down`
        await runMigration(migration, trial.attempt(), signal, true, 'down')
        await requireInvariants(invariants, trial, 'after down')
        return `${count} hold before, after up, and after down`
      } finally {
        await trial.close()
      }
    })
  }

  async #checkLimits(bench: StorageBench<S>, impact: Impact): Promise<void> {
    await this.#steps.run(ownSteps.reads, async (signal) => {
      const trial = await bench.trial(signal)
      try {
        const rows = await snapshotOf(trial.copy, signal)
        const up = (): Promise<void> => runMigration(this.#options.migration, trial.attempt(), signal, false, 'up')
        const reads = await readMeanwhile(trial.copy, rows, signal, up)
        this.#reads = reads
        if (reads === undefined) return 'there were none'
        return `${reads.count} reads took ${reads.p99Ms.toFixed(1)} ms (99 of 100), ${reads.maxMs.toFixed(1)} at most`
      } finally {
        await trial.close()
      }
    })
    if (Object.values(this.#limits).every((limit) => limit === undefined)) {
      return void this.#steps.skip(ownSteps.limits, 'none is given')
    }
    await this.#steps.run(ownSteps.limits, async () => {
      const measured = { impact, estimate: this.#estimate(impact), reads: this.#reads }
      this.#judged = judgeLimits(this.#limits, measured)
      const broken = this.#judged.filter(({ isMet }) => !isMet)
      if (broken.length === 0) return `${this.#judged.length} kept`
      const text = ({ name, limit, found }: LimitReport): string =>
        `${name} ${limit}, found ${found?.toFixed(1) ?? 'nothing'}`
      throw new Error(broken.map(text).join('; '))
    })
  }

  #estimate(impact: Impact): Estimate | undefined {
    return this.#data.isSample ? estimateOf(impact, this.#whole) : undefined
  }
}

function readScenarios(chosen: readonly Scenario[]): readonly Scenario[] {
  requireNames('scenarios', chosen)
  const unknown = chosen.find((name) => !allScenarios.includes(name))
  if (unknown !== undefined)
    throw new TypeError(`scenarios has no ${JSON.stringify(unknown)}; it has ${allScenarios.join(', ')}`)
  return chosen
}

function requireNames(option: string, names: readonly unknown[]): void {
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return
  throw new TypeError(`${option} must be a list of names`)
}
