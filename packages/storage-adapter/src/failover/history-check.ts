import { isCutShort, type TrailEntry } from './history.js'
import { idOf } from './local-doubts.js'
import type { LocalStore } from './local-store.js'
import type { Primary } from './primary.js'
import { readRecords } from './primary-records.js'
import type { LoggedChange } from '../storage.js'
import { originOf } from '../versions.js'

/** So much of the log is searched for writes that seem to be missing. */
const PAGE = 500
const MAX_PAGES = 40

/** What the check works with. */
export interface HistoryCheckParts {
  readonly primary: Primary
  readonly local: LocalStore
  readonly writers: 'one' | 'many'
  /** The last batch of our journal that the primary says it has. */
  readonly sequence: number
  readonly now: number
}

/**
 * Whether the last writes that the primary acknowledged are missing on it.
 *
 * With many writers, a record that seems to be set back may have been changed by another one; then the log of changes
 * decides, which has every write, and goes on where it was left unless it was cut or is another one.
 */
export async function lacksWrites({ primary, local, writers, sequence, now }: HistoryCheckParts): Promise<boolean> {
  const { trail, doubts, cursor } = local
  if (trail.length === 0) return false
  const records = await readRecords(primary, trail, now)
  // What came after the write in the trail: one of unknown outcome, or a replayed one that is not crossed out yet.
  const replayed = new Set<string>()
  for await (const entries of local.entriesUpTo(sequence, now)) {
    for (const { changes } of entries) for (const change of changes) replayed.add(idOf(change))
  }
  const isOutdated = trail.map((entry) => doubts.has(entry) || replayed.has(idOf(entry)))
  const found = trail.map((_, i) => (isOutdated[i] === true ? undefined : (records[i]?.version ?? null)))
  if (!isCutShort(trail, found, now)) return false
  if (writers === 'one' || cursor === undefined) return true
  const logged = await readLog(primary, cursor)
  if (logged === undefined) return true
  const decided = trail.map((entry, i) => (logged.some((change) => explains(change, entry)) ? undefined : found[i]))
  return isCutShort(trail, decided, now)
}

/** Whether this change says that the write of the trail did arrive, or that somebody else has changed its record since. */
function explains({ type, collection, key, version }: LoggedChange, entry: TrailEntry): boolean {
  if (version === entry.version) return true
  const isSameRecord = collection === entry.collection && (type === 'clear' || key === entry.key)
  return isSameRecord && originOf(version) !== originOf(entry.version)
}

/** The log from the cursor on; `undefined` when it does not go on from there. */
async function readLog(primary: Primary, cursor: string): Promise<readonly LoggedChange[] | undefined> {
  const changes: LoggedChange[] = []
  let since = cursor
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await primary.call('read', (storage) => storage.changes({ since, limit: PAGE }))
    if (page.isReset) return undefined
    changes.push(...page.changes)
    since = page.cursor
    if (page.changes.length < PAGE) break
  }
  return changes
}
