import { inspect } from 'node:util'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Mutation } from '../backend.js'
import { storageContract } from '../contract.js'
import { toNumberArray, toTextArray } from './postgres-arrays.js'
import { PostgresBackend } from './postgres-backend.js'
import { loadPostgresDriver, type PostgresOwnClient, type PostgresQuery } from './postgres-driver.js'
import { toStorageError } from './postgres-errors.js'
import { targetOfPool, toTarget } from './postgres-target.js'
import { PostgresStorage, postgresDefaults, type PostgresStorageOptions } from '../postgres.js'
import type { BatchOperation, LoggedChange, Notice, Storage } from '../storage.js'
import { systemClock } from '../system-clock.js'
import { outputOf, startChild } from '../test-support/child.js'
import {
  askPostgres,
  describePostgres,
  newSchema,
  postgresUrl,
  removeSchemas,
} from '../test-support/postgres-describe.js'

const driver = vi.hoisted(() => ({ isMissing: false }))

vi.mock(import('node:module'), async (original) => {
  const module = await original()
  const fail = (): never => {
    throw Object.assign(new Error("Cannot find module 'pg'"), { code: 'MODULE_NOT_FOUND' })
  }
  const createRequire: typeof module.createRequire = (from) =>
    driver.isMissing ? (fail as unknown as NodeJS.Require) : module.createRequire(from)
  return { ...module, createRequire }
})

let schema = ''

afterAll(removeSchemas)

storageContract(
  {
    name: 'PostgresStorage',
    create: (clock) => new PostgresStorage({ url: postgresUrl, schema: (schema = newSchema()), clock }),
    reopen: (clock) => new PostgresStorage({ url: postgresUrl, schema, clock }),
    join: (clock) => new PostgresStorage({ url: postgresUrl, schema, clock }),
  },
  { describe: describePostgres, it },
)

describePostgres('PostgresStorage', () => {
  const opened: Storage[] = []
  let storage: PostgresStorage

  /** Another storage over the same records, as another process would have. */
  function join(options: Omit<PostgresStorageOptions, 'url'> = {}): PostgresStorage {
    const other = new PostgresStorage({ url: postgresUrl, schema, ...options })
    opened.push(other)
    return other
  }

  beforeEach(async () => {
    schema = newSchema()
    storage = join()
    await storage.start()
  })
  afterEach(async () => {
    for (const other of opened.splice(0)) await other.stop()
  })

  const notes = () => storage.collection('notes')
  const ask = (text: string, values?: unknown[]) => askPostgres(text.replaceAll('$schema', schema), values)

  it('is made by any number of processes at once', async () => {
    schema = newSchema()
    const others = Array.from({ length: 8 }, () => join())
    await Promise.all(others.map((other) => other.start()))
    await Promise.all(others.map((other, i) => other.collection('notes').set(`${i}`, i)))
    expect(await join().collection('notes').count()).toBe(8)
  })

  it('refuses tables of a newer version', async () => {
    await ask(`UPDATE $schema.meta SET value = '2' WHERE name = 'format'`)
    await expect(join().start()).rejects.toMatchObject({ code: 'STORAGE_FORMAT', found: '2', supported: '1' })
  })

  it('is at home in a schema of any name, and needs no right to make one that is there', async () => {
    const name = `${newSchema()}-"quoted" 'é'`
    const first = join({ schema: name })
    await first.collection('notes').set('a', 1)
    await first.stop()
    const second = join({ schema: name })
    expect(await second.collection('notes').get('a')).toBe(1)
    await second.collection('notes').clear()
    await ask(`DROP SCHEMA "${name.replaceAll('"', '""')}" CASCADE`)
  })

  it('keeps working through a pool that it is given, and leaves that open', async () => {
    const { Pool } = loadPostgresDriver()
    const pool = new Pool({ connectionString: postgresUrl })
    const other = new PostgresStorage({ pool, schema, prepare: false })
    await other.collection('notes').set('a', 1)
    await other.stop()
    const client = await pool.connect()
    expect((await client.query({ text: 'SELECT 1 AS one' })).rows).toEqual([{ one: 1 }])
    client.release()
    await pool.end()
  })

  it('tries again when a batch collides with another, and not for ever', async () => {
    const { Pool } = loadPostgresDriver()
    const pool = new Pool({ connectionString: postgresUrl })
    let deadlocks = 3
    const clumsy = {
      ...{ totalCount: 0, idleCount: 0, waitingCount: 0 },
      on: pool.on.bind(pool),
      removeListener: pool.removeListener.bind(pool),
      end: () => pool.end(),
      connect: async () => {
        const client = await pool.connect()
        const query = (sent: PostgresQuery) =>
          /INSERT/.test(sent.text) && deadlocks-- > 0
            ? Promise.reject(Object.assign(new Error('deadlock detected'), { severity: 'ERROR', code: '40P01' }))
            : client.query(sent)
        return {
          ...client,
          query,
          on: client.on.bind(client),
          removeListener: client.removeListener.bind(client),
          release: () => client.release(),
        }
      },
    }
    const other = new PostgresStorage({ pool: clumsy, schema, timeoutMs: 300 })
    await other.collection('notes').set('a', 1)
    deadlocks = Infinity
    await expect(other.collection('notes').set('a', 2)).rejects.toMatchObject({ code: 'STORAGE_BUSY', applied: 'no' })
    expect(await notes().get('a')).toBe(1)
    await other.stop()
    await pool.end()
  })

  it('serves who waits for a connection when it is stopped, rather than let them wait for ever', async () => {
    const other = join({ poolSize: 1 })
    await other.start()
    const writes = Array.from({ length: 6 }, (_, i) => other.collection('notes').set(`${i}`, i))
    await new Promise((resolve) => setImmediate(resolve))
    expect(other.metrics().gauges['pool.waiting']).toBe(5)
    const stopping = other.stop()
    expect((await Promise.allSettled(writes)).map(({ status }) => status)).toEqual(writes.map(() => 'fulfilled'))
    await stopping
    expect(await notes().count()).toBe(6)
  })

  it(
    'commits a large batch of which each other operation is a check within its deadline',
    { timeout: 30_000 },
    async () => {
      const keys = Array.from({ length: 20_000 }, (_, i) => String(i).padStart(6, '0'))
      const { versions } = await storage.collection('notes').setMany(keys.map((key) => [key, 1]))
      const operations = keys.flatMap((key, i): BatchOperation[] => [
        { type: 'check', collection: 'notes', key, ifVersion: versions[i] },
        { type: 'set', collection: 'notes', key: `${key}:next`, value: 2 },
      ])
      await storage.batch(operations)
      expect(await notes().count()).toBe(40_000)
      await notes().set(keys[9] as string, 3)
      await expect(storage.batch(operations)).rejects.toMatchObject({ code: 'STORAGE_CONFLICT', key: keys[9] })
    },
  )

  it('takes what the server refuses for wrong input, and not for an outage', async () => {
    const events: unknown[] = []
    storage.on('change', (news) => events.push(news))
    await ask(`ALTER TABLE $schema.records ADD CONSTRAINT short CHECK (length(value) < 100)`)
    const refused = { code: 'STORAGE_REFUSED', applied: 'no', retryable: false, cause: { code: '23514' } }
    await expect(notes().set('a', 'x'.repeat(100))).rejects.toMatchObject(refused)
    await notes().set('a', 'x')
    expect(events).toEqual([])
  })

  it('loses no update of one key that two processes make', async () => {
    const children = [1, 2].map(() => startChild('postgres-child.ts', postgresUrl, schema, '200'))
    for (const { code, stderr } of await Promise.all(children.map(outputOf))) expect([code, stderr]).toEqual([0, ''])
    expect(await storage.collection('numbers').get('n')).toBe(400)
  })

  it('keeps no process alive that has nothing else to do', async () => {
    const { code } = await outputOf(startChild('postgres-child.ts', postgresUrl, schema, '1', 'forget'))
    expect(code).toBe(0)
    expect(await storage.collection('numbers').get('n')).toBe(1)
  })

  it('orders batches that depend on what each other writes, also where that is absent', async () => {
    const storages = [storage, join(), join()]
    const keys = ['a', 'b', 'c']
    let done = 0
    const work = async (mine: Storage, seed: number): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        const entries = await Promise.all(keys.map((key) => mine.collection<number>('counts').entry(key)))
        const next = Math.max(0, ...entries.map((entry) => entry?.value ?? 0)) + 1
        const target = (i + seed) % keys.length
        // One is removed now and then, so that what is absent is depended on too.
        const removed = i % 4 === 0 ? (target + 1) % keys.length : undefined
        const operations = keys.map((key, k): BatchOperation => {
          const version = entries[k]?.version
          const record = { collection: 'counts', key }
          const condition = version === undefined ? { ifAbsent: true } : { ifVersion: version }
          if (k === target) return { type: 'set', value: next, ...record, ...condition }
          if (k === removed && version !== undefined) return { type: 'delete', ...record, ifVersion: version }
          return { type: 'check', ...record, ...condition }
        })
        try {
          await mine.batch(operations)
          done++
        } catch (error) {
          expect(error).toMatchObject({ code: 'STORAGE_CONFLICT' })
        }
      }
    }
    await Promise.all(storages.map((mine, seed) => work(mine, seed)))
    // Each saw all that was there, and wrote the next number; two that did not see each other would write the same.
    const highest = Math.max(...(await storage.collection<number>('counts').getMany(keys)).values())
    expect(highest).toBe(done)
  })

  it.each<[string, Mutation[], string[]]>([
    ['a record put and then cleared', [put('a', 1), clear()], ['clear ']],
    ['a record cleared and then put', [put('b', 1), clear(), put('a', 2)], ['clear ', 'put a']],
    ['the last of several writes of one key', [put('a', 1), del('a'), put('a', 3)], ['put a']],
    ['a delete of what is absent', [del('x'), put('a', 1)], ['delete x', 'put a']],
    ['a check of what is absent, of which nothing stays', [check('x', null), put('a', 1)], ['put a']],
  ])('applies in one batch: %s', async (_, mutations, logged) => {
    const backend = await openBackend()
    await backend.commit([put('old', 0)], 0)
    const { cursor } = await backend.log.changes(undefined, 0)
    await backend.commit(mutations, 0)
    const page = await backend.page('notes', { limit: 9 }, 0)
    const expected = new Map([['old', '0']])
    for (const mutation of mutations) {
      if (mutation.type === 'clear') expected.clear()
      if (mutation.type === 'put') expected.set(mutation.key, mutation.json)
      if (mutation.type === 'delete') expected.delete(mutation.key)
    }
    expect(page.map(({ key, json }) => [key, json])).toEqual([...expected].sort())
    // Others on this server may hold the log back for a while.
    const changes = async () => (await backend.log.changes(cursor, 99)).changes
    await expect.poll(async () => (await changes()).map(({ type, key }) => `${type} ${key}`).sort()).toEqual(logged)
    expect(await ask('SELECT count(*)::int AS n FROM $schema.records')).toEqual([{ n: expected.size }])
    await backend.close()
  })

  it('leaves nothing of a batch whose last condition does not hold', async () => {
    const backend = await openBackend()
    await backend.commit([put('a', 1), put('b', 1)], 0)
    const { cursor } = await backend.log.changes(undefined, 0)
    const batch = [put('new', 2, null), put('a', 2), del('b'), clear('other'), check('c', null), check('b', 'none')]
    await expect(backend.commit(batch, 0)).rejects.toMatchObject({ key: 'b', expected: 'none' })
    expect((await backend.page('notes', { limit: 9 }, 0)).map(({ key, json }) => [key, json])).toEqual([
      ['a', '1'],
      ['b', '1'],
    ])
    expect((await backend.log.changes(cursor, 9)).changes).toEqual([])
    expect(await ask('SELECT count(*)::int AS n FROM $schema.records')).toEqual([{ n: 2 }])
    await backend.close()
  })

  describe('its log of changes', () => {
    let client: PostgresOwnClient

    beforeEach(async () => {
      client = new (loadPostgresDriver().Client)({ connectionString: postgresUrl })
      await client.connect()
    })
    afterEach(() => client.end())

    const run = (text: string) => client.query({ text: text.replaceAll('$schema', schema) })
    const writeLate = (key: string) =>
      run(
        `INSERT INTO $schema.changes (type, collection, key, version) VALUES ('put', 'notes', '${key}', 'raw.${key}')`,
      )

    it('skips no change of a transaction that commits late, and gives none twice', async () => {
      const seen: LoggedChange[] = []
      let { cursor } = await storage.changes()
      const read = async (): Promise<void> => {
        const page = await storage.changes({ since: cursor })
        expect(page.isReset).toBe(false)
        seen.push(...page.changes)
        cursor = page.cursor
      }
      await run('BEGIN')
      await writeLate('late')
      await notes().set('a', 1)
      await notes().set('b', 1)
      await read()
      expect(seen).toEqual([])
      await run('COMMIT')
      await notes().set('c', 1)
      while (seen.length < 4) await read()
      await read()
      expect(seen.map(({ key }) => key)).toEqual(['late', 'a', 'b', 'c'])
    })

    it('begins after what is visible by now, although an older transaction still runs', async () => {
      await run('BEGIN')
      await writeLate('late')
      await notes().set('before', 1)
      const { cursor } = await storage.changes()
      await notes().set('after', 1)
      await run('COMMIT')
      const seen: string[] = []
      let since = cursor
      while (seen.length < 2) {
        const page = await storage.changes({ since, limit: 1 })
        seen.push(...page.changes.map(({ key }) => key))
        since = page.cursor
      }
      expect(seen).toEqual(['late', 'after'])
      expect((await storage.changes({ since })).changes).toEqual([])
    })

    it('is not begun anew by those who ask where it is while others write', async () => {
      const { cursor } = await storage.changes()
      const others = Array.from({ length: 4 }, () => join())
      const write = async (mine: Storage, i: number): Promise<void> => {
        for (let n = 0; n < 50; n++) await mine.collection('notes').set(`${i}:${n}`, n)
      }
      const ask = async (mine: Storage): Promise<void> => {
        for (let n = 0; n < 50; n++) await mine.changes()
      }
      await Promise.all(others.flatMap((mine, i) => [write(mine, i), ask(mine)]))
      const { isReset, changes } = await storage.changes({ since: cursor })
      expect([isReset, changes.length]).toEqual([false, 200])
    })

    it('tells a watch of what was held back', async () => {
      const watch = follow(notes().watch())
      await watch.until(1)
      await run('BEGIN')
      await writeLate('late')
      await notes().set('a', 1)
      await run('COMMIT')
      expect((await watch.until(3)).slice(1)).toEqual(['delete late', 'set a'])
    })

    it('begins anew for a reader whose place was pruned, and not for one whose place is kept', async () => {
      const backend = await openBackend({ keepChanges: 10 })
      const { cursor: old } = await backend.log.changes(undefined, 0)
      await backend.commit(
        Array.from({ length: 30 }, (_, i) => put(`a${i}`, i)),
        0,
      )
      const { cursor: middle } = await backend.log.changes(old, 25)
      await backend.tend()
      expect(await backend.log.changes(old, 9)).toMatchObject({ changes: [], isReset: true })
      const kept = await backend.log.changes(middle, 99)
      expect([kept.isReset, kept.changes.length]).toEqual([false, 5])
      expect(await ask('SELECT count(*)::int AS n FROM $schema.changes')).toEqual([{ n: 11 }])
      await backend.close()
    })

    it.each(['', 'x', '1.1..x', '1.1.5:3:.x', '999999999999999999.1..x', '1.1.1:2:1,2.x'])(
      'begins anew for a cursor that is none of its own: %j',
      async (since) => {
        expect(await storage.changes({ since })).toMatchObject({ changes: [], isReset: true })
      },
    )

    it('begins anew when a dump was restored into a server that is younger', async () => {
      await notes().set('a', 1)
      const { cursor } = await storage.changes()
      // As it would be if the dump came from a server that had done a thousand million transactions more.
      await ask(`UPDATE $schema.changes SET xid = (xid::text::bigint + 1000000000)::text::xid8`)
      const [xid = '', ...others] = cursor.split('.')
      const since = [BigInt(xid) + 1_000_000_000n, ...others].join('.')
      const { isReset, cursor: next } = await storage.changes({ since })
      expect(isReset).toBe(true)
      await notes().set('b', 1)
      expect((await storage.changes({ since: next })).changes).toMatchObject([{ key: 'b' }])
    })

    it('is told to other processes when the listening connection was ended meanwhile', async () => {
      const watch = follow(join().collection('notes').watch())
      await watch.until(1)
      const listening = `SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN "' || $1 || '"'`
      const find = async () => (await ask(listening, [schema])) as { pid: number }[]
      await vi.waitUntil(async () => (await find()).length === 1)
      await notes().set('a', 1)
      await watch.until(2)
      await ask('SELECT pg_terminate_backend($1)', [(await find())[0]?.pid])
      await notes().set('b', 1)
      await watch.until(3)
      await vi.waitUntil(async () => (await find()).length === 1, { timeout: 5_000 })
      await notes().set('c', 1)
      expect(await watch.until(4)).toEqual(['reset ', 'set a', 'set b', 'set c'])
    })

    it('listens only while somebody watches', async () => {
      const watch = follow(notes().watch())
      await watch.until(1)
      const listening = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'LISTEN "' || $1 || '"'`
      const count = async () => ((await ask(listening, [schema])) as { n: number }[])[0]?.n
      await vi.waitUntil(async () => (await count()) === 1)
      await watch.end()
      await vi.waitUntil(async () => (await count()) === 0)
    })
  })

  it('removes what expired long ago by both clocks', async () => {
    const backend = await openBackend()
    const now = Date.now()
    await backend.commit(
      [
        { ...put('old', 1), expiresAt: now - 7_200_000 },
        { ...put('new', 1), expiresAt: now - 1_000 },
      ],
      0,
    )
    await backend.tend()
    expect(await ask(`SELECT convert_from(key, 'UTF8') AS key FROM $schema.records`)).toEqual([{ key: 'new' }])
    await backend.close()
  })

  it('finds a record that is no JSON', async () => {
    await notes().set('a', 1)
    await ask(`UPDATE $schema.records SET value = 'nonsense'`)
    const { ok, problems } = await storage.check()
    expect(ok).toBe(false)
    expect(problems).toEqual([expect.stringMatching(/^"a" in "notes" is not JSON/)])
  })

  it('sends arrays as the server reads them', async () => {
    const lengths = [0, 1, 47, 48, 49, 100_000]
    const texts = [null, '"\\{},', 'NULL', 'é😀', ...lengths.flatMap((n) => ['x'.repeat(n), 'x'.repeat(n) + 'é'])]
    const numbers = [0, -1.5, undefined, 1e300, 32_503_680_000_000]
    const arrays = [toTextArray('text', texts), toTextArray('text', []), toNumberArray(numbers), toNumberArray([])]
    const text = 'SELECT $1::text[] AS a, $2::text[] AS b, $3::float8[] AS c, $4::float8[] AS d, $5::bytea[] AS e'
    const [row] = await ask(text, [...arrays, toTextArray('bytea', ['a\0b', null, ''])])
    const e = [Buffer.from('a\0b'), null, Buffer.alloc(0)]
    expect(row).toEqual({ a: texts, b: [], c: numbers.map((number) => number ?? null), d: [], e })
  })

  it('counts its connections', async () => {
    await notes().get('a')
    expect(storage.metrics().gauges).toEqual({ 'pool.size': 1, 'pool.idle': 1, 'pool.waiting': 0 })
  })

  async function openBackend({ keepChanges = 100 } = {}): Promise<PostgresBackend> {
    const target = toTarget(postgresUrl, {})
    const settings = { ...postgresDefaults, schema, keepChanges }
    const backend = new PostgresBackend({ ...settings, target, pool: undefined, clock: systemClock })
    await backend.open(() => undefined)
    return backend
  }
})

describe('what PostgreSQL says', () => {
  const fail = (error: object, step: 'connect' | 'read' | 'write') =>
    toStorageError(error, { place: 'PostgreSQL at h:5432/d', step, timeoutMs: 900, waitedMs: 10, hide: (text) => text })

  it.each([
    ['53100', 'write', 'STORAGE_UNAVAILABLE', 'no', 'disk full'],
    ['53300', 'connect', 'STORAGE_BUSY', 'no', 'too many connections'],
    ['28P01', 'connect', 'STORAGE_UNAVAILABLE', 'no', 'a wrong password'],
    ['25006', 'write', 'STORAGE_UNAVAILABLE', 'no', 'read-only'],
    ['42P01', 'read', 'STORAGE_UNAVAILABLE', 'no', 'no such table'],
    ['22021', 'write', 'STORAGE_REFUSED', 'no', 'a NUL'],
    ['23514', 'write', 'STORAGE_REFUSED', 'no', 'a constraint'],
    ['54000', 'write', 'STORAGE_REFUSED', 'no', 'a row that is too large for the index'],
    ['22023', 'connect', 'STORAGE_UNAVAILABLE', 'no', 'a parameter of the address that makes no sense'],
    ['57014', 'write', 'STORAGE_TIMEOUT', 'no', 'canceled by the deadline of the server'],
    ['40P01', 'write', 'STORAGE_BUSY', 'no', 'a deadlock'],
    ['55P03', 'write', 'STORAGE_BUSY', 'no', 'a lock that is not to be had'],
    ['XX001', 'read', 'STORAGE_CORRUPT', 'no', 'a damaged page'],
    ['57P01', 'write', 'STORAGE_UNAVAILABLE', 'unknown', 'shut down meanwhile'],
    ['57P01', 'read', 'STORAGE_UNAVAILABLE', 'no', 'shut down meanwhile'],
    ['57P03', 'connect', 'STORAGE_UNAVAILABLE', 'no', 'still starting'],
    [
      '58030',
      'write',
      'STORAGE_UNAVAILABLE',
      'unknown',
      'its disk failed while it wrote its log, which may hold the write',
    ],
  ] as const)('%s in a %s is %s, applied: %s (%s)', (code, step, expected, applied, message) => {
    const severity = code.startsWith('57P') ? 'FATAL' : 'ERROR'
    const failure = fail(Object.assign(new Error(message), { severity, code }), step)
    expect(failure).toMatchObject({ code: expected, applied })
    if (expected === 'STORAGE_UNAVAILABLE') expect(failure.message).toContain(message)
  })

  it.each([
    ['connect', 'no'],
    ['read', 'no'],
    ['write', 'unknown'],
  ] as const)('nothing, as the connection is lost in a %s, is applied: %s', (step, applied) => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    expect(fail(reset, step)).toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied, cause: { code: 'ECONNRESET' } })
  })

  it('names the reason also when a name has several addresses and none answers', () => {
    const refused = new AggregateError([new Error('connect ECONNREFUSED ::1:5432'), new Error('connect ECONNREFUSED')])
    expect(fail(refused, 'connect').message).toContain('ECONNREFUSED ::1:5432')
  })
})

describe('PostgresStorage, before it is opened', () => {
  it('names the command when the package pg is not installed', async () => {
    driver.isMissing = true
    try {
      const storage = new PostgresStorage({ url: 'postgres://localhost/bot' })
      await expect(storage.start()).rejects.toMatchObject({
        code: 'STORAGE_DRIVER',
        message: expect.stringContaining('npm install pg') as string,
      })
    } finally {
      driver.isMissing = false
    }
  })

  it('says which file is missing that the address names', async () => {
    const url = 'postgres://bot:secret@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/missing/root.pem'
    const storage = new PostgresStorage({ url })
    const failure = await storage.start().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    expect((failure as Error).message).toContain('/missing/root.pem')
    expect(inspect(failure, { depth: 9 })).not.toContain('secret')
    await storage.stop()
  })

  it.each<[PostgresStorageOptions, RegExp]>([
    [{}, /needs a url or a pool; is the environment variable/],
    [{ url: 'mysql://root:secret@host/db' }, /url must be like/],
    [{ url: 'postgres://bot:se#cret@host/db' }, /percent-encode/],
    [{ url: 'postgres://h/d', schema: '' }, /schema must be/],
    [{ url: 'postgres://h/d', schema: 'é'.repeat(32) }, /63 bytes/],
    [{ url: 'postgres://h/d', schema: 'a$$b' }, /without \$/],
    [{ url: 'postgres://h/d', poolSize: 1.5 }, /poolSize must be a whole number/],
    [{ url: 'postgres://h/d', timeoutMs: 0 }, /timeoutMs must be/],
    [{ url: 'postgres://h/d', password: 7 as never }, /password must be/],
    [{ url: 'postgres://h/d', tls: 'yes' as never }, /tls must be/],
    [{ url: 'postgres://h/d', prepare: 1 as never }, /prepare must be/],
    [{ url: 'postgres://h/d', pollMs: 5 } as never, /has no option pollMs/],
    [{ pool: {} as never }, /pool must be a Pool of pg/],
  ])('refuses %o at once, without repeating a password', (options, message) => {
    let failure: unknown
    try {
      new PostgresStorage(options)
    } catch (error) {
      failure = error
    }
    expect((failure as Error).message).toMatch(message)
    expect(inspect(failure, { depth: 9 })).not.toMatch(/se#?cret/)
  })

  it.each([
    ['postgres://bot@db.example/bot', 'PostgreSQL at db.example:5432/bot'],
    ['postgres://bot:s%40e@db.example:6000/bot?sslmode=require', 'PostgreSQL at db.example:6000/bot'],
    ['postgres:///bot?host=/run/postgresql', 'PostgreSQL at /run/postgresql:5432/bot'],
    ['postgres://bot:secret@/bot?host=/run', 'PostgreSQL at /run:5432/bot'],
  ])('says of %s where it is', (url, place) => {
    expect(toTarget(url, {}).place).toBe(place)
  })

  it('refuses an address whose password would be taken for a path, without repeating it', () => {
    expect(() => toTarget('postgres://bot:/words@db.example/bot', {})).toThrow(/^url must be like (?!.*\/words)/)
  })

  it('lets tls overrule the address, and hides every form of a password', async () => {
    const target = toTarget('postgres://bot:p%40ss@h/d?sslmode=disable&application_name=x', {
      tls: true,
      password: () => 'other',
    })
    expect(target.config).toEqual({ connectionString: 'postgres://bot:p%40ss@h/d?application_name=x', ssl: true })
    await target.password?.()
    expect(target.hide('p%40ss p@ss other')).toBe('*** *** ***')
    expect(targetOfPool().hide('x')).toBe('x')
  })
})

function put(key: string, value: unknown, expected?: string | null): Mutation & { type: 'put' } {
  const json = JSON.stringify(value)
  return { type: 'put', collection: 'notes', key, json, version: `v.${key}.${json}`, expiresAt: undefined, expected }
}

function del(key: string): Mutation {
  return { type: 'delete', collection: 'notes', key, version: `v.${key}`, expected: undefined }
}

function check(key: string, expected: string | null): Mutation {
  return { type: 'check', collection: 'notes', key, expected }
}

function clear(collection = 'notes'): Mutation {
  return { type: 'clear', collection, version: 'v.clear' }
}

/** Notes down what a watch tells. */
function follow(watch: AsyncIterable<Notice<unknown>>) {
  const notices: string[] = []
  const iterator = watch[Symbol.asyncIterator]()
  let wake = (): void => undefined
  const reading = (async () => {
    for (;;) {
      const { done, value } = (await iterator.next()) as IteratorResult<Notice<unknown>, undefined>
      if (done === true) return
      notices.push(`${value.type} ${value.type === 'reset' ? '' : value.key}`)
      wake()
    }
  })()
  return {
    async until(count: number): Promise<string[]> {
      while (notices.length < count) await new Promise<void>((resolve) => (wake = resolve))
      return notices
    },
    async end(): Promise<void> {
      await iterator.return?.()
      await reading
    },
  }
}
