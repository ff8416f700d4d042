import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { loadPostgresDriver } from './postgres-driver.js'
import { PostgresStorage, type PostgresStorageOptions } from '../postgres.js'
import type { Storage } from '../storage.js'
import { askPostgres, describePostgres, newSchema, removeSchemas } from '../test-support/postgres-describe.js'
import { startOwnPostgres, type OwnPostgres } from '../test-support/postgres-server.js'

const GONE = { code: 'STORAGE_UNAVAILABLE', retryable: true }
/** The deadline in these tests, in milliseconds. */
const TIMEOUT_MS = 1_000

const LATE = { code: 'STORAGE_TIMEOUT', retryable: true, timeoutMs: TIMEOUT_MS }

afterAll(removeSchemas)

describePostgres('PostgresStorage, when its server', () => {
  const opened: Storage[] = []
  const events: string[] = []
  let server: OwnPostgres
  let schema: string
  let storage: PostgresStorage

  function join(options: PostgresStorageOptions = {}): PostgresStorage {
    const other = new PostgresStorage({ url: server.url, schema, timeoutMs: TIMEOUT_MS, ...options })
    opened.push(other)
    return other
  }

  beforeAll(async () => {
    server = await startOwnPostgres()
  })
  afterAll(() => server.remove())

  beforeEach(async () => {
    await server.start()
    schema = newSchema()
    storage = join()
    await storage.collection('notes').set('a', 1)
    events.length = 0
    storage.on('change', ({ what, from, to }) => events.push(`${what} ${from} ${to}`))
  })
  afterEach(async () => {
    server.thaw()
    for (const other of opened.splice(0)) await other.stop()
  })

  const notes = () => storage.collection('notes')
  const ask = (text: string) => askPostgres(text.replaceAll('$schema', schema), [], server.url)

  /** As somebody does who forgets to commit. */
  async function lockRecords(more = ''): Promise<() => Promise<void>> {
    const client = new (loadPostgresDriver().Client)({ connectionString: server.url })
    client.on('error', () => undefined)
    await client.connect()
    await client.query({ text: `BEGIN; SELECT FROM ${schema}.records FOR UPDATE; ${more}` })
    return () => client.end()
  }

  /** So many at once as there are connections must succeed, or some of them are stuck. */
  async function expectHealthyPool(): Promise<void> {
    await Promise.all(Array.from({ length: 30 }, (_, i) => notes().get(`${i}`)))
    expect((await storage.health()).status).toBe('up')
    expect(storage.metrics().gauges['pool.waiting']).toBe(0)
  }

  it('is restarted, goes on with the next call, and tells of both', async () => {
    await server.stop()
    await expect(notes().set('b', 2)).rejects.toMatchObject({ ...GONE, applied: 'no' })
    await expect(notes().get('a')).rejects.toMatchObject({ ...GONE, applied: 'no' })
    await expect(storage.health()).rejects.toMatchObject(GONE)
    await server.start()
    expect(await notes().get('a')).toBe(1)
    await notes().set('b', 2)
    expect(events).toEqual(['postgres up down', 'postgres down up'])
    await expectHealthyPool()
  })

  it('is restarted between two reads, fails neither', async () => {
    await server.restart()
    expect(await notes().get('a')).toBe(1)
    await notes().set('b', 2)
  })

  it('is killed, keeps what it acknowledged', async () => {
    for (let i = 0; i < 50; i++) await notes().set(`k${i}`, i)
    const pending = Promise.allSettled(Array.from({ length: 50 }, (_, i) => notes().set(`p${i}`, i)))
    await server.kill()
    const outcomes = await pending
    await server.start()
    const kept = await notes().getMany(Array.from({ length: 50 }, (_, i) => `p${i}`))
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') expect(kept.has(`p${i}`)).toBe(true)
      else if ((outcome.reason as { applied: string }).applied === 'no') expect(kept.has(`p${i}`)).toBe(false)
    }
    expect(await notes().count({ prefix: 'k' })).toBe(50)
    await expectHealthyPool()
  })

  it('is frozen, rejects within the deadline, and goes on when it is thawed', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, i) => notes().get(`${i}`)))
    const size = storage.metrics().gauges['pool.size'] ?? 0
    server.freeze()
    const calls = [notes().set('b', 2), notes().get('a'), storage.health()]
    // It answers nothing, so whatever ends these ends them by the deadline.
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes).toMatchObject([
      { reason: { ...LATE, applied: 'unknown' } },
      { reason: { ...LATE, applied: 'no' } },
      { reason: { ...LATE, applied: 'no' } },
    ])
    // An answer may still come on those, so they are kept for nobody else.
    expect(storage.metrics().gauges['pool.size']).toBe(size - calls.length)
    // More than there are connections, so that they would be used up if each stayed with its caller.
    const others = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => notes().get(`${i}`)))
    expect(others.every(({ status }) => status === 'rejected')).toBe(true)
    server.thaw()
    await expectHealthyPool()
    expect(events).toEqual(['postgres up down', 'postgres down up'])
  })

  it('is frozen at the beginning, gives up and can be opened later', async () => {
    server.freeze()
    const other = join({ connectTimeoutMs: 200 })
    await expect(other.start()).rejects.toMatchObject({ ...GONE, applied: 'no' })
    server.thaw()
    expect(await other.collection('notes').get('a')).toBe(1)
  })

  it('lets others keep a lock, says for certain that nothing was written', async () => {
    const letGo = await lockRecords()
    // More than there are connections: some wait for one, the others for the lock.
    const outcomes = await Promise.allSettled(Array.from({ length: 15 }, () => notes().set('a', 2)))
    await letGo()
    for (const outcome of outcomes) {
      const code = expect.stringMatching('STORAGE_TIMEOUT|STORAGE_BUSY') as string
      expect(outcome).toMatchObject({ reason: { code, retryable: true, applied: 'no' } })
    }
    expect(await notes().get('a')).toBe(1)
    expect(events).toEqual([])
    await expectHealthyPool()
  })

  it('has all connections busy, still says that it is up', async () => {
    const patient = join({ timeoutMs: 10_000 })
    await patient.start()
    const letGo = await lockRecords()
    const blocked = Promise.allSettled(Array.from({ length: 15 }, () => patient.collection('notes').set('a', 2)))
    expect((await patient.health()).status).toBe('up')
    await letGo()
    for (const { status } of await blocked) expect(status).toBe('fulfilled')
  })

  it('comes back empty, is not taken for an empty storage', async () => {
    await server.stop()
    const copy = await server.copyData()
    await server.wipe()
    await server.start()
    await expect(notes().get('a')).rejects.toMatchObject({ ...GONE, applied: 'no' })
    await expect(notes().set('b', 1)).rejects.toMatchObject({ ...GONE, applied: 'no' })
    await expect(storage.health()).rejects.toMatchObject(GONE)
    await server.kill()
    await server.restore(copy)
    await server.start()
    expect(await notes().get('a')).toBe(1)
    expect((await storage.health()).status).toBe('up')
  })

  it('comes back from an old backup, begins the log anew for who saw more', async () => {
    const { cursor: early } = await storage.changes()
    await server.stop()
    const copy = await server.copyData()
    await server.start()
    await notes().set('lost', 1)
    const { cursor: late } = await storage.changes({ since: early })
    await server.kill()
    await server.restore(copy)
    await server.start()
    // As many as were lost, so that the numbers of the changes are the same again.
    await notes().set('other', 1)
    expect(await storage.changes({ since: late })).toMatchObject({ changes: [], isReset: true })
    expect(await storage.changes({ since: early })).toMatchObject({ changes: [{ key: 'other' }], isReset: false })
  })

  it('is read-only, reads and says what to do about writes', async () => {
    await ask('ALTER DATABASE postgres SET default_transaction_read_only = on')
    try {
      await storage.stop()
      await storage.start()
      expect(await notes().get('a')).toBe(1)
      const failure = { ...GONE, applied: 'no', message: expect.stringContaining('connect to the primary') as string }
      await expect(notes().set('a', 2)).rejects.toMatchObject(failure)
      await expect(storage.health()).rejects.toMatchObject(failure)
      // Answers to reads are no sign that it can be written again.
      expect(events).toEqual(['postgres up down'])
    } finally {
      await ask('BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT')
    }
    await ask(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND client_port > 0`,
    )
    expect((await storage.health()).status).toBe('up')
    expect(events).toEqual(['postgres up down', 'postgres down up'])
  })

  it('was a standby and is the primary now, is found so by the next write', async () => {
    const single = join({ poolSize: 1 })
    await ask('ALTER DATABASE postgres SET default_transaction_read_only = on')
    try {
      await single.start()
    } finally {
      await ask('BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT')
    }
    await expect(single.collection('notes').set('a', 2)).rejects.toMatchObject({ ...GONE, applied: 'no' })
    // Only another connection can know.
    await single.collection('notes').set('a', 2)
    expect(await notes().get('a')).toBe(2)
  })

  it('goes down while the storage is stopped, ends no process', async () => {
    await Promise.all([1, 2, 3].map((i) => notes().get(`${i}`)))
    await Promise.all([server.stop(), storage.stop()])
  })

  it('gives the role a schema of its own and no right to make others, is used all the same', async () => {
    await ask(`DO $$ BEGIN CREATE ROLE tenant LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    const own = newSchema()
    await ask(`CREATE SCHEMA ${own} AUTHORIZATION tenant`)
    const tenant = join({ url: server.url.replace('postgres@', 'tenant@'), schema: own })
    await tenant.collection('notes').set('a', 1)
    expect(await tenant.collection('notes').get('a')).toBe(1)
  })

  it('keeps the question for its health waiting, gives up on it within the deadline', async () => {
    const single = join({ poolSize: 1 })
    await single.start()
    const letGo = await lockRecords(`LOCK TABLE ${schema}.meta`)
    const blocked = expect(single.collection('notes').set('a', 2)).rejects.toMatchObject(LATE)
    await expect(single.health()).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT' })
    await blocked
    // The server gave up as well, rather than go on for nobody.
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
    expect(await ask(waiting)).toEqual([{ n: 0 }])
    await letGo()
  })

  it('is out of reach, is named once in what is told of that', async () => {
    const told: string[] = []
    storage.on('change', ({ message }) => told.push(message))
    await server.stop()
    await expect(notes().get('a')).rejects.toMatchObject(GONE)
    expect(told.map((message) => message.match(/PostgreSQL at/g)?.length)).toEqual([1])
  })

  it('does not sync its commits, says that it is degraded', async () => {
    await ask('ALTER DATABASE postgres SET synchronous_commit = off')
    try {
      await storage.stop()
      await storage.start()
      expect(await storage.health()).toMatchObject({
        status: 'degraded',
        reason: expect.stringContaining('may be lost') as string,
      })
    } finally {
      await ask('ALTER DATABASE postgres RESET synchronous_commit')
    }
  })

  it('takes no more connections, says so, and serves those who have one', async () => {
    await ask(`DO $$ BEGIN CREATE ROLE few LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    await ask('ALTER ROLE few NOSUPERUSER CONNECTION LIMIT 1')
    await ask(`GRANT ALL ON SCHEMA $schema TO few; GRANT ALL ON ALL TABLES IN SCHEMA $schema TO few`)
    const url = server.url.replace('postgres@', 'few@')
    const first = join({ url, poolSize: 1 })
    await first.start()
    await expect(join({ url }).start()).rejects.toMatchObject({ ...GONE, applied: 'no' })
    expect(await first.collection('notes').get('a')).toBe(1)
  })

  it('changes the password, is asked for the new one at each connection, and shows it to nobody', async () => {
    await requirePassword('bot')
    await ask(`DO $$ BEGIN CREATE ROLE bot LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    await ask(`ALTER ROLE bot PASSWORD 'first-secret'`)
    let password = 'first-secret'
    const url = server.url.replace('postgres@', 'bot:stale-secret@')
    // It is not about deadlines, and a machine may have much else to do.
    const patient = { url, timeoutMs: 10_000 }
    const rotating = join({ ...patient, password: async () => password })
    expect(await rotating.collection('notes').get('a')).toBe(1)
    await ask(`ALTER ROLE bot PASSWORD 'second-secret'`)
    await ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bot'`)
    const seen: unknown[] = []
    rotating.on('change', (news) => seen.push(news))
    await expect(rotating.collection('notes').get('a')).rejects.toSatisfy((error) => seen.push(error) > 0)
    password = 'second-secret'
    expect(await rotating.collection('notes').get('a')).toBe(1)
    const wrong = join(patient)
    await expect(wrong.start()).rejects.toSatisfy((error) => seen.push(error) > 0)
    const careless = join({ ...patient, password: () => Promise.reject(new Error('no stale-secret here')) })
    await expect(careless.start()).rejects.toSatisfy((error) => seen.push(error) > 0)
    expect(seen.length).toBe(5)
    const printed = inspect([seen, rotating, wrong, careless], { depth: 12, showHidden: true })
    expect(printed).not.toContain('secret')
    expect(printed).toContain('no *** here')
  })

  /** Everybody else is trusted. */
  async function requirePassword(role: string): Promise<void> {
    const rules = [`host all ${role} 127.0.0.1/32 scram-sha-256`, 'host all all 127.0.0.1/32 trust']
    const [{ path } = { path: '' }] = (await ask(`SELECT current_setting('hba_file') AS path`)) as { path: string }[]
    await ask(`COPY (VALUES ${rules.map((rule) => `('${rule}')`).join(', ')}) TO '${path}'`)
    await ask('SELECT pg_reload_conf()')
  }
})
