import pg from 'pg'
import { PostgresStorage } from '@evenkeel/storage-adapter/postgres'
import type { PutMutation } from '../../../packages/storage-adapter/src/backend.js'
import { PostgresStatements } from '../../../packages/storage-adapter/src/postgres/postgres-statements.js'
import { findPostgres } from '../../../packages/storage-adapter/src/test-support/postgres-server.js'
import { VersionSource } from '../../../packages/storage-adapter/src/versions.js'
import { measure, print } from '../measure.js'
import { keyAt, makeKeys, nextNote, oneByOne, together, type Note } from './documents.js'

const SCHEMA = 'evenkeel_bench_postgres'

/** So many a round that each pays for the garbage that it makes: collected after fewer, it would be paid by the next. */
const BATCHES = 50

/** Reads and writes over PostgreSQL, beside the raw client that sends the same statements. */
export async function postgres(): Promise<void> {
  const server = await findPostgres()
  const raw = new pg.Pool({ connectionString: server.url, max: 10 })
  const storage = new PostgresStorage({ url: server.url, schema: SCHEMA, poolSize: 10 })
  try {
    const keys = makeKeys(1_000)
    const notes = storage.collection<Note>('notes')
    // What the caller of a batch has in hand.
    const entries = (): (readonly [string, Note])[] => keys.map((key) => [key, nextNote()])
    await notes.setMany(entries())

    const statements = new PostgresStatements(SCHEMA)
    // As long as ours, and put together in the same way: a longer parameter costs more.
    const versions = new VersionSource()
    const put = ([key, note]: readonly [string, Note]): PutMutation => ({
      type: 'put',
      collection: 'notes',
      key,
      json: JSON.stringify(note),
      version: versions.next(),
      expiresAt: undefined,
      expected: undefined,
    })
    const hints = new Hints(raw)
    const write = async (query: ReturnType<typeof statements.put>): Promise<void> => {
      await raw.query(query)
      hints.tell()
    }
    const read = async (key: string): Promise<unknown> => {
      const { rows } = await raw.query<{ value: string }>(statements.find('notes', key, Date.now()))
      return JSON.parse(rows[0]?.value ?? '') as unknown
    }

    print(
      'PostgreSQL: an awaited get',
      await measure(
        [
          { name: 'floor: pg, the same statement', run: (count) => oneByOne(count, (i) => read(keyAt(keys, i))) },
          { name: 'evenkeel', run: (count) => oneByOne(count, (i) => notes.get(keyAt(keys, i))) },
        ],
        1_000,
      ),
    )
    print(
      'PostgreSQL: an awaited set',
      await measure(
        [
          {
            name: 'floor: pg, the same statement',
            run: (count) =>
              oneByOne(count, (i) => write(statements.put(put([keyAt(keys, i), nextNote()]), Date.now()))),
          },
          { name: 'evenkeel', run: (count) => oneByOne(count, (i) => notes.set(keyAt(keys, i), nextNote())) },
        ],
        500,
      ),
    )
    print(
      'PostgreSQL: a set with 100 callers, per write',
      await measure(
        [
          {
            name: 'floor: pg, the same statement',
            run: (count) =>
              together(count, 100, (i) => write(statements.put(put([keyAt(keys, i), nextNote()]), Date.now()))),
          },
          { name: 'evenkeel', run: (count) => together(count, 100, (i) => notes.set(keyAt(keys, i), nextNote())) },
        ],
        2_000,
      ),
    )
    print(
      'PostgreSQL: a batch of 1,000, per batch',
      await measure(
        [
          {
            name: 'floor: pg, the same statement',
            run: (count) => oneByOne(count, () => write(statements.putMany(entries().map(put)))),
          },
          {
            name: 'evenkeel',
            run: (count) => oneByOne(count, () => notes.setMany(entries())),
          },
        ],
        BATCHES,
      ),
    )
  } finally {
    await storage.stop()
    await raw.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`)
    await raw.end()
    await server.release()
  }
}

/** Every 20 ms at most, whoever watches is woken, by the same statement as ours. */
class Hints {
  readonly #pool: pg.Pool
  #isPaused = false
  #isNews = false

  constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  tell(): void {
    this.#isNews = true
    if (!this.#isPaused) this.#send()
  }

  #send(): void {
    if (!this.#isNews) return
    this.#isNews = false
    this.#isPaused = true
    setTimeout(() => {
      this.#isPaused = false
      this.#send()
    }, 20)
    void this.#pool.query(`NOTIFY ${SCHEMA}`)
  }
}
