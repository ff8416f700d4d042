import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Mutation } from '../backend.js'
import type { FileOps } from './file-ops.js'
import { loadFiles } from './load-files.js'
import type { Tables } from '../tables.js'

/** So many records are compared in one turn of the event loop. */
const SLICE = 500
/** So many problems are told one by one. */
const MAX_PROBLEMS = 100

/** What was written while a check ran, about which it says nothing. */
export class Touched {
  readonly #records = new Set<string>()
  readonly #cleared = new Set<string>()

  add(mutations: readonly Mutation[]): void {
    for (const mutation of mutations) {
      if (mutation.type === 'clear') this.#cleared.add(mutation.collection)
      else this.#records.add(nameOf(mutation.collection, mutation.key))
    }
  }

  has(collection: string, key: string): boolean {
    return this.#cleared.has(collection) || this.#records.has(nameOf(collection, key))
  }
}

/** What {@link checkFiles} looks at. */
interface FileCheck {
  readonly files: FileOps
  readonly path: string
  /** The length of the journal when the check began. */
  readonly end: number | undefined
  readonly tables: Tables
  readonly touched: Touched
  readonly now: () => number
  readonly signal: AbortSignal | undefined
}

/**
 * Reads both files again, verifies every checksum, and compares what they say with what is in memory.
 *
 * @returns what is wrong, each as a sentence
 */
export async function checkFiles({ files, path, end, tables, touched, now, signal }: FileCheck): Promise<string[]> {
  const problems: string[] = []
  let untold = 0
  const tell = (problem: string): void => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem)
    else untold++
  }
  const onDisk = await loadFiles(files, path, { end, signal }).catch((error: unknown) => {
    signal?.throwIfAborted()
    tell(`${path} could not be read again: ${error instanceof Error ? error.message : String(error)}.`)
    return undefined
  })
  if (onDisk !== undefined) {
    for (const { path: file, at } of onDisk.damage) tell(`${file} has a damaged line at byte ${at}.`)
    if (onDisk.torn.length > 0) tell(`The journal in ${path} lacks a part of its last ${onDisk.torn.length} bytes.`)
    if (onDisk.missing > 0) tell(`${onDisk.missing} records are missing in the files at ${path}.`)
    const compare = async (some: Tables, others: Tables, say: string): Promise<void> => {
      let count = 0
      for (const { collection, key, version, json, expiresAt } of some.all()) {
        if (++count % SLICE === 0) await nextTurn()
        signal?.throwIfAborted()
        const isGone = expiresAt !== undefined && expiresAt <= now()
        const other = others.get(collection, key)
        if (isGone || touched.has(collection, key)) continue
        if (other?.version === version && other.json === json && other.expiresAt === expiresAt) continue
        tell(`${JSON.stringify(key)} in ${JSON.stringify(collection)} ${say}.`)
      }
    }
    await compare(tables, onDisk.tables, `is not on disk as it is in memory`)
    await compare(onDisk.tables, tables, `is not in memory as it is on disk`)
  }
  if (untold > 0) problems.push(`${untold} more problems were found.`)
  return problems
}

function nameOf(collection: string, key: string): string {
  return JSON.stringify([collection, key])
}
