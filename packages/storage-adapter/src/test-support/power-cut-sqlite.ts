import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findDriver } from '../sqlite/sqlite-driver.js'
import { SqliteStorage } from '../sqlite.js'
import type { Storage } from '../storage.js'
import { emptyReport, type CrashReport } from './power-cut-report.js'
import { overwrite, survivingContent, type ContentChange } from './power-cut.js'
import { below, oneOf, randomFrom, type Random } from './random.js'

/** What one database goes through, each a commit or a checkpoint that ends with a sync. */
const STEPS = 10
/** Power cuts at each of them. */
const CUTS_PER_STEP = 3

/** The head of a write-ahead log. */
const HEADER_BYTES = 32

/** The files of a database, and what it holds as JSON. */
interface State {
  readonly database: Buffer
  readonly log: Buffer
  readonly content: string
}

/**
 * Cuts the power of SQLite databases. Their files cannot be intercepted, so it is done from the outside: what they are
 * after one sync and after the next is known, and between the two any of the sectors that differ may have been written.
 */
export async function cutSqliteStorages(
  seed: number,
  cuts: number,
  onCut?: (report: CrashReport) => void,
): Promise<CrashReport> {
  const report = emptyReport()
  const random = randomFrom(seed)
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-power-'))
  try {
    for (let n = 0; report.crashes < cuts; n++) {
      const each = below(random, 2 ** 32)
      const live = join(directory, `live-${n}.db`)
      await cutOneDatabase(live, join(directory, `cut-${n}`), each, cuts, report)
      onCut?.(report)
    }
  } finally {
    await rm(directory, { recursive: true })
  }
  return report
}

async function cutOneDatabase(
  live: string,
  cut: string,
  seed: number,
  cuts: number,
  report: CrashReport,
): Promise<void> {
  const random = randomFrom(seed)
  const storage = new SqliteStorage({ path: live })
  await storage.collection('notes').set('a', 0)
  const other = findDriver('auto').open(live)
  let before = await stateOf(live, storage)
  for (let step = 1; step <= STEPS; step++) {
    const isCheckpoint = random() < 0.3
    if (isCheckpoint) other.exec('PRAGMA wal_checkpoint(PASSIVE)')
    else await write(storage, random)
    const after = await stateOf(live, storage)
    for (let i = 1; i <= CUTS_PER_STEP && report.crashes < cuts; i++) {
      const at = `database ${seed}, step ${step}${isCheckpoint ? ', a checkpoint' : ''}, cut ${i}`
      const path = `${cut}-${step}-${i}.db`
      await writeFile(path, survivingContent(before.database, changesBetween(before.database, after.database), random))
      await writeFile(`${path}-wal`, survivingLog(before.log, after.log, random))
      await look(path, at, before, after, report)
    }
    before = after
  }
  other.close()
  await storage.stop()
}

/** Some of the records of a batch are set and others deleted, in two collections. */
async function write(storage: Storage, random: Random): Promise<void> {
  const keys = ['a', 'b', 'c', 'd', 'e'].filter(() => random() < 0.6)
  await storage.batch(
    keys.flatMap((key) => {
      const value = { n: below(random, 1e9), text: 'x'.repeat(oneOf(random, [1, 300, 6_000])) }
      const isDelete = random() < 0.2
      return ['notes', 'twins'].map((collection) =>
        isDelete ? { type: 'delete' as const, collection, key } : { type: 'set' as const, collection, key, value },
      )
    }),
  )
}

async function look(path: string, at: string, before: State, after: State, report: CrashReport): Promise<void> {
  report.crashes++
  const storage = new SqliteStorage({ path })
  storage.on('quarantined', () => report.unreadable.push(`${at}: took it for damage`))
  try {
    const content = await contentOf(storage)
    if (content !== before.content && content !== after.content) report.lost.push(`${at}: holds neither state`)
    report.checked++
    const { problems } = await storage.check()
    report.unreadable.push(...problems.map((problem) => `${at}: ${problem}`))
    await storage.stop()
  } catch (error) {
    report.unreadable.push(`${at}: ${String(error)}`)
  }
}

async function stateOf(path: string, storage: Storage): Promise<State> {
  const content = await contentOf(storage)
  return { database: readFileSync(path), log: readFileSync(`${path}-wal`), content }
}

async function contentOf(storage: Storage): Promise<string> {
  const content: unknown[] = []
  for (const name of ['notes', 'twins']) {
    for await (const { key, value } of storage.collection(name).scan()) content.push([name, key, value])
  }
  return JSON.stringify(content)
}

/** A log that begins anew gets its new head first, and that is synced, so that none of its old part counts any more. */
function survivingLog(before: Buffer, after: Buffer, random: Random): Buffer {
  const head = after.subarray(0, HEADER_BYTES)
  const isNew = !before.subarray(0, HEADER_BYTES).equals(head)
  if (isNew && random() < 0.2) return before
  const base = isNew ? overwrite(before, head, 0) : before
  return survivingContent(base, changesBetween(base, after), random)
}

function changesBetween(before: Buffer, after: Buffer): ContentChange[] {
  const changes: ContentChange[] = [{ type: 'write', position: 0, bytes: after }]
  if (after.length < before.length) changes.push({ type: 'truncate', length: after.length })
  return changes
}
