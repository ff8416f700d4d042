import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { findDriver } from '../../../packages/storage-adapter/src/sqlite/sqlite-driver.js'
import { measure, print, type Candidate } from '../measure.js'
import { keyAt, makeKeys, nextNote, oneByOne, together, type Note } from './documents.js'

const DOCUMENTS = 10_000

/** Reads and durable writes of SQLite, beside the raw driver that writes the same rows, and beside enmap. */
export async function sqlite(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const keys = makeKeys(DOCUMENTS)
  const all = keys.map((key) => [key, nextNote()] as const)
  const storage = new SqliteStorage({ path: join(directory, 'ours.db') })
  const raw = await openRaw(join(directory, 'raw', 'raw.db'), all)
  const enmap = await openEnmap(join(directory, 'enmap'), all)
  try {
    const notes = storage.collection<Note>('notes')
    await notes.setMany(all)
    console.log(`\nSQLite by ${findDriver('auto').name}, ${DOCUMENTS} documents of 280 bytes, synchronous=FULL`)
    const peer = (name: string, candidate: Pick<Candidate, 'run' | 'share'>): Candidate[] =>
      enmap === undefined ? [] : [{ name, ...candidate }]

    print(
      'SQLite: an awaited get',
      await measure(
        [
          { name: 'floor: the driver, JSON.parse', run: (count) => oneByOne(count, (i) => raw.get(keyAt(keys, i))) },
          { name: 'evenkeel', run: (count) => oneByOne(count, (i) => notes.get(keyAt(keys, i))) },
          ...peer('enmap', { run: (count) => oneByOne(count, (i) => enmap?.get(keyAt(keys, i))) }),
        ],
        20_000,
      ),
    )
    print(
      'SQLite: an awaited set',
      await measure(
        [
          { name: 'floor: the driver, the same rows', run: (count) => oneByOne(count, (i) => raw.set(keyAt(keys, i))) },
          { name: 'evenkeel', run: (count) => oneByOne(count, (i) => notes.set(keyAt(keys, i), nextNote())) },
          ...peer('enmap (not durable)', {
            run: (count) => oneByOne(count, (i) => enmap?.set(keyAt(keys, i), nextNote())),
          }),
        ],
        // So many that what was compiled on the way is not most of it.
        2_000,
      ),
    )
    print(
      'SQLite: a set with callers at once, per write',
      await measure(
        [
          {
            name: 'floor: the driver, one after another',
            share: 0.05,
            run: (count) => oneByOne(count * 0.05, (i) => raw.set(keyAt(keys, i))),
          },
          ...[10, 100].flatMap((callers) => [
            {
              name: `the driver, ${callers} in one transaction`,
              run: (count: number) =>
                oneByOne(count / callers, (i) => raw.setMany(slice(callers, (at) => keyAt(keys, i * callers + at)))),
            },
            {
              name: `evenkeel, ${callers} callers`,
              run: (count: number) => together(count, callers, (i) => notes.set(keyAt(keys, i), nextNote())),
            },
          ]),
        ],
        10_000,
      ),
    )
    print(
      'SQLite: a batch of 1,000, per batch',
      await measure(
        [
          {
            name: 'floor: the driver, the same rows',
            run: (count) => oneByOne(count, (i) => raw.setMany(thousand(i))),
          },
          {
            name: 'evenkeel',
            run: (count) => oneByOne(count, (i) => notes.setMany(thousand(i).map((key) => [key, nextNote()]))),
          },
        ],
        // So many that each side pays for its own garbage, and moves its log into the database several times.
        40,
      ),
    )
  } finally {
    raw.close()
    enmap?.close()
    await storage.stop()
    await rm(directory, { recursive: true, force: true })
  }

  function slice(length: number, key: (at: number) => string): readonly string[] {
    return Array.from({ length }, (_, at) => key(at))
  }

  function thousand(index: number): readonly string[] {
    const start = (index * 1_000) % DOCUMENTS
    return keys.slice(start, start + 1_000)
  }
}

/** The driver as a careful author would use it, on tables that our own storage has made. */
async function openRaw(path: string, all: readonly (readonly [string, Note])[]) {
  const maker = new SqliteStorage({ path })
  await maker.start()
  await maker.stop()
  const database = findDriver('auto').open(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  const find = database.prepare('SELECT value, version, expires_at FROM records WHERE collection = ? AND key = ?')
  const put = database.prepare(
    'INSERT INTO records (collection, key, value, version, expires_at, checksum) VALUES (?, ?, ?, ?, ?, ?) ' +
      'ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value, version = excluded.version, ' +
      'expires_at = excluded.expires_at, checksum = excluded.checksum',
  )
  const log = database.prepare('INSERT INTO changes (type, collection, key, version) VALUES (?, ?, ?, ?)')
  // As long as one of ours, so that the same is written.
  const origin = 'raw'.padEnd(12, '-')
  let version = 0
  const write = (key: string): void => {
    const json = JSON.stringify(nextNote())
    const name = `${origin}.${(++version).toString(36)}`
    put.run('notes', key, json, name, null, crc32(json))
    log.run(0, 'notes', key, name)
  }
  const setMany = (keys: readonly string[]): void => {
    database.exec('BEGIN IMMEDIATE')
    for (const key of keys) write(key)
    database.exec('COMMIT')
  }
  setMany(all.map(([key]) => key))
  return {
    get: (key: string): unknown => JSON.parse((find.get('notes', key) as { value: string }).value) as unknown,
    set: (key: string): void => setMany([key]),
    setMany,
    close: (): void => void database.close(),
  }
}

/** An optional dependency: it needs a native module. */
async function openEnmap(dataDir: string, all: readonly (readonly [string, Note])[]) {
  try {
    const { default: Enmap } = await import('enmap')
    // Not beside our own database, whose directory would change with each of its writes.
    await mkdir(dataDir)
    const enmap = new Enmap<string, Note>({ name: 'notes', dataDir })
    for (const [key, note] of all) enmap.set(key, note)
    return {
      get: (key: string): unknown => enmap.get(key),
      set: (key: string, note: Note): unknown => enmap.set(key, note),
      close: (): void => void (enmap.db as { close(): void }).close(),
    }
  } catch (error) {
    console.warn(`\nenmap is left out: ${String(error)}`)
    return undefined
  }
}
