import { createHash } from 'node:crypto'
import { requireKnown, requireMethods } from '../checked-options.js'
import type { RecordToWrite } from './ports.js'

/** Which part of the source is copied. */
export interface SampleOptions<Value = unknown> {
  /** How much of it, above 0 and below 1. */
  readonly ratio: number
  /**
   * What belongs together, and is copied whole or not at all: the id of the guild, say, so that references hold. Where it
   * returns `undefined`, and without it, each row is drawn for itself.
   */
  readonly by?:
    | ((row: { readonly collection: string; readonly key: string; readonly value: Value }) => string | undefined)
    | undefined
}

/** @throws TypeError or RangeError that names the option */
export function readSample(sample: SampleOptions | undefined): SampleOptions | undefined {
  if (sample === undefined) return undefined
  requireKnown('sample', sample, ['ratio', 'by'])
  if (!(sample.ratio > 0 && sample.ratio < 1)) {
    throw new RangeError(
      `sample.ratio must be above 0 and below 1, not ${String(sample.ratio)}; leave sample out for all`,
    )
  }
  if (sample.by !== undefined) requireMethods('sample', sample, ['by'])
  return sample
}

type Row = Omit<RecordToWrite, 'type'>

/** The same rows each time: what is drawn depends on a hash alone. */
export async function* drawnRows(
  rows: AsyncIterable<Row> | Iterable<Row>,
  sample: SampleOptions | undefined,
  seen: () => void,
): AsyncGenerator<Row> {
  for await (const row of rows) {
    seen()
    const unit = sample?.by?.(row) ?? `${row.collection}\n${row.key}`
    if (sample === undefined || shareOf(unit) < sample.ratio) yield row
  }
}

/** From 0 to 1, evenly. */
function shareOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32
}
