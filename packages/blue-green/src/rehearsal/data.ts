import { requireMethods } from '../checked-options.js'
import { Finding, type NameOf } from '../migration/errors.js'
import type { ReadableStorage, RecordToWrite } from '../migration/ports.js'
import { drawnRows, readSample, type SampleOptions } from '../migration/sample.js'
import { rowsOf } from '../migration/snapshot.js'
import { type AnonymizeOptions, Anonymizer, type KeptNames } from './anonymize.js'
import type { Generate } from './bot-data.js'
import { findLeaks, type LeakReport } from './leaks.js'
import { randomFrom } from './random.js'

/** Where the data of a rehearsal comes from: made up, or real with other names. */
export interface DataOptions {
  /** The real store. It is only read: to be copied under other names, or with `generate` only to be sure that no copy leads to it. */
  readonly source?: ReadableStorage | undefined
  /** How names are replaced. All data of a `source` is anonymised; `validateMigration` takes it as it is. */
  readonly anonymize?: AnonymizeOptions | undefined
  /** Copy a part of the source, where the whole is too much. */
  readonly sample?: SampleOptions | undefined
  /** Makes the data: `botData()`, or a function of your own. */
  readonly generate?: Generate | undefined
  /** With the same one, the same data is made; a whole number. */
  readonly seed?: number | undefined
}

type Row = Omit<RecordToWrite, 'type'>

/** The data of one rehearsal. */
export interface Data {
  readonly kind: 'generated' | 'anonymised'
  readonly seed: number | undefined
  readonly isSample: boolean
  /** @param seen - called for each row that there is, also those that are not drawn */
  rows(signal: AbortSignal, seen: () => void): AsyncIterable<Row>
  /** Names that the rows so far have as they were; `undefined` for data that was made up. */
  readonly kept: () => KeptNames | undefined
  /** How the report calls a row: a key may have a name in it that stayed. */
  readonly nameOf: NameOf
  /** Looks for originals in the copy; `undefined` where there are none. */
  readonly leaksIn: ((copy: ReadableStorage, signal: AbortSignal) => Promise<LeakReport>) | undefined
}

/** @throws TypeError or RangeError when an option is wrong, or could not be honoured beside another one */
export function readData({ source, anonymize, sample, generate, seed }: DataOptions): Data {
  if (source !== undefined) requireMethods('source', source, ['collection', 'collections'])
  if (generate === undefined) {
    if (source === undefined) throw new TypeError('rehearse needs a source, or generate such as botData()')
    if (seed !== undefined) throw new TypeError('seed is for generate; a source is what it is')
    return anonymisedData(source, anonymize ?? {}, readSample(sample))
  }
  requireMethods('generate', { generate }, ['generate'])
  if (anonymize !== undefined || sample !== undefined) {
    throw new TypeError('anonymize and sample are for a source; with generate there is nothing to hide or to draw from')
  }
  return generatedData(generate, seed ?? 1)
}

function generatedData(generate: Generate, seed: number): Data {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed must be a whole number, not ${String(seed)}`)
  return {
    kind: 'generated',
    seed,
    isSample: false,
    async *rows(signal, seen) {
      for await (const row of generate(randomFrom(seed))) {
        signal.throwIfAborted()
        seen()
        yield row
      }
    },
    kept: () => undefined,
    nameOf: (key) => key,
    leaksIn: undefined,
  }
}

function anonymisedData(source: ReadableStorage, options: AnonymizeOptions, sample: SampleOptions | undefined): Data {
  const anonymizer = new Anonymizer(options)
  return {
    kind: 'anonymised',
    seed: undefined,
    isSample: sample !== undefined,
    async *rows(signal, seen) {
      const originals = new Map<string, string>()
      for await (const row of drawnRows(rowsOf(source, signal), sample, seen)) {
        const other = anonymizer.row(row)
        const name = JSON.stringify([other.collection, other.key])
        // A scan of a store that is in use may give one row twice.
        if ((originals.get(name) ?? row.key) !== row.key) {
          throw new Finding(`two keys of ${other.collection} became one; name the collection in anonymize.userKeys`)
        }
        originals.set(name, row.key)
        yield other
      }
    },
    kept: () => anonymizer.kept,
    nameOf: (key) => anonymizer.pseudonyms.label(key),
    leaksIn: (copy, signal) => findLeaks(copy, anonymizer.pseudonyms, anonymizer.allow, signal),
  }
}
