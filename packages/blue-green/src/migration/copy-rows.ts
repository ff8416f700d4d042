import { RowFinding } from './errors.js'
import type { RecordToWrite, WritableStorage } from './ports.js'
import { systemClock } from '../system-clock.js'
import { compare, differencesText, marked, type RowMark, snapshotOf, writeRows } from './snapshot.js'

/**
 * Writes rows, and reads them again.
 *
 * @returns how many there are
 * @throws Error when what was read is not what was written, by SHA-256
 */
export async function copyRows(
  into: WritableStorage,
  rows: AsyncIterable<Omit<RecordToWrite, 'type'>> | Iterable<Omit<RecordToWrite, 'type'>>,
  signal: AbortSignal,
  written?: (rows: number) => void,
): Promise<number> {
  const expected = new Map<string, Map<string, RowMark>>()
  await writeRows(into, marked(rows, expected), signal, written)
  const comparison = compare(expected, await snapshotOf(into, signal), systemClock.now())
  if (comparison.count > 0) {
    throw new RowFinding((nameOf) => `the copy is not what was read: ${differencesText(comparison, nameOf)}`)
  }
  return [...expected.values()].reduce((sum, { size }) => sum + size, 0)
}
