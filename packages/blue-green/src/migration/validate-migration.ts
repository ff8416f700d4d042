import { readCount, readDuration, requireKnown, requireMethods } from '../checked-options.js'
import { warn } from '../warn.js'
import type { Clock } from '../ports.js'
import { holdProcess, systemClock } from '../system-clock.js'
import { Copies, type CopyOptions } from './copies.js'
import { Finding } from './errors.js'
import type { Difference, StoreExtent } from './snapshot.js'
import { rowsOf } from './snapshot.js'
import { drawnRows, readSample, type SampleOptions } from './sample.js'
import { copyRows } from './copy-rows.js'
import { estimate, type Estimate, type Whole } from './estimate.js'
import type { ReadableStorage, WritableStorage } from './ports.js'
import { type Impact, type MakeMigration, type Proof, prove, type ProofSettings } from './prove.js'
import { StorageBench } from './storage-bench.js'
import { type Progress, type RunOutcome, type StepReport, Steps } from './steps.js'

/** How a migration is validated. */
export interface ValidationOptions<S> extends CopyOptions<S> {
  /** The store that is to be migrated. It is only read. */
  readonly source: ReadableStorage
  /** Makes the migration for a store, as it would be for the original: `(storage) => addZones(storage)`. */
  readonly migration: MakeMigration<S>
  /** Its name, for the report. */
  readonly name?: string | undefined
  /** Copy a part of the source, where the whole is too much. What the whole would take is then estimated. */
  readonly sample?: SampleOptions | undefined
  /** Whether it may pass on a source without a row, which a wrong path looks like too. */
  readonly allowEmpty?: boolean | undefined
  /** How often `up` is run to measure it, from 1; from 2 on it is also seen whether it does the same each time. */
  readonly runs?: number | undefined
  /** At how many places `up` and `down` are interrupted, at most; 0 for not. Each takes a copy of its own. */
  readonly maxCrashes?: number | undefined
  /** The copies for that have the first so many rows of each collection, from 1. */
  readonly maxCrashRows?: number | undefined
  /** How long each step may take, in ms. */
  readonly timeoutMs?: number | undefined
  /** Ends it early: it then resolves with what was found by then. */
  readonly signal?: AbortSignal | undefined
  /** Is told how far it is, and with what a step failed. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Where time comes from. What a migration takes is measured by the machine's, whatever this is. */
  readonly clock?: Clock | undefined
}

/** The value of each option of a validation that is not given. */
export const validationDefaults: Required<
  Pick<ValidationOptions<unknown>, 'allowEmpty' | 'runs' | 'maxCrashes' | 'maxCrashRows' | 'timeoutMs'>
> = { allowEmpty: false, runs: 3, maxCrashes: 50, maxCrashRows: 200, timeoutMs: 300_000 }

/** What a validation found. JSON. */
export interface ValidationReport {
  /** The name of the migration. */
  readonly migration: string
  /** `PASSED` when no step failed. */
  readonly outcome: RunOutcome
  /** When it began, in epoch ms. */
  readonly startedAt: number
  /** How long it took, in ms. */
  readonly tookMs: number
  /** Each step, in order. */
  readonly steps: readonly StepReport[]
  /** What `up` did and took; `undefined` where it did not work. */
  readonly impact: Impact | undefined
  /** What it would do to the whole, where a sample was copied. */
  readonly estimate: Estimate | undefined
  /** Hashes and sizes before, after `up` and after `down`, as far as it went. */
  readonly extents: {
    /** Before. */
    readonly before: StoreExtent | undefined
    /** After `up`. */
    readonly afterUp: StoreExtent | undefined
    /** After `down`. */
    readonly afterDown: StoreExtent | undefined
  }
  /** The first rows that were not as they should be, by step. */
  readonly differences: Readonly<Record<string, readonly Difference[]>>
  /** What could not be removed in the end; empty when all is clean. */
  readonly leftBehind: readonly string[]
  /** Folders of earlier runs that had been killed, which were removed. */
  readonly leftovers: readonly string[]
}

const known = [
  ...[
    'source',
    'copy',
    'sourcePath',
    'folder',
    'remove',
    'migration',
    'name',
    'sample',
    'allowEmpty',
    'runs',
    'maxCrashes',
    'maxCrashRows',
  ],
  ...['timeoutMs', 'signal', 'onProgress', 'clock'],
]

/**
 * Tries a migration on copies of a store, before a deployment does so on the store itself.
 *
 * It loads; `up` works, and what it changes and takes is measured; a second `up` changes nothing; `down` brings every row back as it
 * was, by SHA-256, and a second one changes nothing; and wherever `up` or `down` is interrupted, it is whole after it was repeated,
 * and what is half done is undone.
 *
 * @remarks
 * *Gotchas*: it runs in this process, so a long pause of the event loop is a pause of a bot in it. A scan is no snapshot: what a
 * running bot writes meanwhile is copied or not, row by row. About 300 bytes of memory are held for each row.
 *
 * @returns the report, also when steps failed and when it was cancelled
 * @throws TypeError or RangeError when an option is wrong
 * @throws {@link NotIsolatedError} when a copy holds something, or leads to the source or to another copy
 *
 * @example
 * ```ts
 * import { validateMigration } from '@evenkeel/blue-green/rehearsal'
 * import { MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
 *
 * const source = new MemoryStorage()
 * await source.collection('guilds').set('7', { name: 'Tea' })
 * const addZone = (storage: Storage) => ({
 *   async up() {
 *     const guilds = storage.collection<{ zone?: string }>('guilds')
 *     for await (const { key } of guilds.scan()) await guilds.update(key, (guild) => ({ zone: 'UTC', ...guild }))
 *   },
 *   async down() {
 *     const guilds = storage.collection<{ zone?: string }>('guilds')
 *     for await (const { key } of guilds.scan()) await guilds.update(key, ({ zone, ...guild }) => guild)
 *   },
 * })
 * const report = await validateMigration({ source, copy: () => new MemoryStorage(), migration: addZone })
 * console.log(report.outcome, report.impact?.collections['guilds']?.changed) // => PASSED 1
 * ```
 */
export async function validateMigration<S extends WritableStorage>(
  options: ValidationOptions<S>,
): Promise<ValidationReport> {
  requireKnown('validateMigration', options, known)
  const { source, migration, name = 'migration', sample, onProgress = () => {} } = options
  requireMethods('source', source, ['collection', 'collections'])
  requireMethods('migration', options, ['migration'])
  const { clock = systemClock, signal = new AbortController().signal } = options
  const { allowEmpty = validationDefaults.allowEmpty } = options
  if (typeof allowEmpty !== 'boolean') throw new TypeError('allowEmpty must be true or false')
  const settings = readProofSettings(options)
  const timeoutMs = readDuration('timeoutMs', options.timeoutMs ?? validationDefaults.timeoutMs)
  const drawn = readSample(sample)
  const copies = new Copies(options, source)
  const steps = new Steps(clock, signal, timeoutMs, guardedListener(onProgress))
  const [startedAt, beganMs, release] = [clock.now(), clock.monotonic(), holdProcess()]
  let proof: Proof = { differences: {} }
  let [original, whole]: [S | undefined, Whole | undefined] = [undefined, undefined]
  let leftBehind: readonly string[]
  try {
    const isCopied = await steps.run('copy', async (stop, tick) => {
      original = await copies.open()
      let rows = 0
      const copied = await copyRows(
        original,
        drawnRows(rowsOf(source, stop), drawn, () => rows++),
        stop,
        tick,
      )
      if (rows === 0 && !allowEmpty) {
        throw new Finding(
          'the source holds no row, so nothing would be tried: look whether it is the store of the bot (its path, the name of its ' +
            'database); where a bot without data is to be migrated, give allowEmpty: true',
        )
      }
      if (copied === 0 && rows > 0) throw new Error(`none of ${rows} rows was drawn; raise sample.ratio`)
      whole = { rows, copied }
      return drawn === undefined ? `${copied} rows` : `${copied} of ${rows} rows`
    })
    if (isCopied && original !== undefined) {
      proof = await prove(new StorageBench(copies, original), migration, settings, steps)
    }
  } finally {
    leftBehind = await steps.cleanUp(() => copies.clean())
    release()
  }
  const { impact, beforeUp: before, afterUp, afterDown, differences } = proof
  return {
    migration: name,
    outcome: steps.outcome,
    startedAt,
    tookMs: clock.monotonic() - beganMs,
    steps: steps.reports,
    impact,
    estimate: drawn === undefined || impact === undefined || whole === undefined ? undefined : estimate(impact, whole),
    extents: { before, afterUp, afterDown },
    differences,
    leftBehind,
    leftovers: copies.leftovers,
  }
}

/** @throws RangeError that names the option */
export function readProofSettings(
  options: Pick<ValidationOptions<never>, 'runs' | 'maxCrashes' | 'maxCrashRows'>,
): ProofSettings {
  return {
    runs: readCount('runs', options.runs ?? validationDefaults.runs, 1),
    maxCrashes: readCount('maxCrashes', options.maxCrashes ?? validationDefaults.maxCrashes, 0),
    maxCrashRows: readCount('maxCrashRows', options.maxCrashRows ?? validationDefaults.maxCrashRows, 1),
  }
}

/** A listener that throws, or is async and rejects, must not end what it listens to. */
export function guardedListener<T>(listener: (told: T) => void, option = 'onProgress'): (told: T) => void {
  if (typeof listener !== 'function') throw new TypeError(`${option} must be a function`)
  let hasWarned = false
  // An async function, so that what throws at once is a rejection like any other.
  const tell = async (told: T): Promise<void> => void (await (listener(told) as unknown))
  return (told) => {
    tell(told).catch((error: unknown) => {
      if (hasWarned) return
      hasWarned = true
      warn('EVENKEEL_LISTENER', `The listener ${option} failed; its next failures are not told`, error)
    })
  }
}
