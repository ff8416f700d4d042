import type { JournaledBatch, JournaledChange } from './local-journal.js'

/*
 * A batch as text is JSON, in which the values stand as they are, behind everything else: to put JSON into a JSON string
 * and to take it out again would be most of what a replay does.
 */

/** What parts the values from what is said of them. It cannot stand in a JSON string, where a quote has a backslash. */
const VALUES = ',"values":['

/** What stands before the values. */
interface Head extends JournaledBatch {
  /** How long the values are, in characters, two for each change: what it writes, and what it replaces. */
  readonly lengths: readonly (number | null)[]
}

/** Writes a batch. */
export function encodeBatch({ changes, ...batch }: JournaledBatch): string {
  const values = changes.flatMap(valuesOf)
  const told = changes.map((change) => ({ ...change, json: undefined, baseJson: undefined }))
  const head = { ...batch, changes: told, lengths: values.map((json) => json?.length ?? null) }
  const text = values.filter((json) => json !== undefined).join()
  // Joined, it is one piece at once; else it would be made one, and kept, when it is read.
  return [JSON.stringify(head).slice(0, -1), VALUES, text, ']}'].join('')
}

/** Reads what {@link encodeBatch} wrote. */
export function decodeBatch(text: string): JournaledBatch {
  const end = text.indexOf(VALUES)
  const { lengths, ...batch } = JSON.parse(`${text.slice(0, end)}}`) as Head
  let at = end + VALUES.length
  const take = (i: number): string | undefined => {
    const length = lengths[i]
    if (typeof length !== 'number') return undefined
    const json = text.slice(at, at + length)
    at += length + 1
    return json
  }
  for (const [i, change] of batch.changes.entries()) {
    const json = take(2 * i)
    const baseJson = take(2 * i + 1)
    if (json !== undefined) Object.assign(change, { json })
    if (baseJson !== undefined) Object.assign(change, { baseJson })
  }
  return batch
}

function valuesOf(change: JournaledChange): [json: string | undefined, baseJson: string | undefined] {
  return [change.type === 'set' ? change.json : undefined, change.baseJson]
}
