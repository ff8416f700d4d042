import type { Backend, Mutation } from '../backend.js'
import type { TrailEntry } from './history.js'
import { record } from './local-journal.js'

/** Where it is kept. */
export const META = '$failover'

/** Whose copy this is. */
export interface Identity {
  /** Which local copy this is. */
  readonly id: string
  /** Which primary it is a copy of. */
  readonly storeId: string | undefined
}

/** What is remembered about the primary, each a record of its own. */
export interface Meta {
  readonly identity: Identity
  readonly coverage: 'all' | readonly string[]
  /** The last number that a batch of the journal was given. */
  readonly sequence: number
  /** No batch before this one waits. */
  readonly first: number
  readonly origins: readonly string[]
  readonly trail: readonly TrailEntry[]
  /** How often the primary has noted that we are there. */
  readonly history: number
  /** Up to where the log of the primary's changes has been followed. */
  readonly cursor: string | undefined
}

const NAMES = ['identity', 'coverage', 'sequence', 'first', 'origins', 'trail', 'history', 'cursor'] as const

/** What was written down. */
export async function readMeta(backend: Backend, now: number): Promise<Partial<Meta>> {
  const records = await backend.read(META, NAMES, now)
  return Object.fromEntries(
    NAMES.flatMap((name, i) => {
      const json = records[i]?.json
      return json === undefined ? [] : [[name, JSON.parse(json) as unknown]]
    }),
  )
}

/** Writes it down. */
export function metaRecords(meta: Partial<Meta>): Mutation[] {
  return Object.entries(meta).map(([name, value]) => record(META, name, value))
}
