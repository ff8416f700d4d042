import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { loadPostgresDriver, type PostgresPoolLike } from './postgres-driver.js'
import { PostgresPool } from './postgres-pool.js'
import { toTarget } from './postgres-target.js'
import type { FailoverState } from '../failover/failover-state.js'
import { FailoverStorage } from '../failover/failover-storage.js'
import { PostgresStorage, postgresDefaults, type PostgresStorageOptions } from '../postgres.js'
import type { Notice, Storage } from '../storage.js'
import { systemClock } from '../system-clock.js'
import { askPostgres, describePostgres, newSchema, removeSchemas } from '../test-support/postgres-describe.js'
import { startOwnPostgres, type OwnPostgres } from '../test-support/postgres-server.js'

const BUSY = { code: 'STORAGE_BUSY', retryable: true, applied: 'no' }

/** How long a fail-over waits for its primary in these tests, in milliseconds. */
const TIMEOUT_MS = 400

afterAll(removeSchemas)

describePostgres('PostgresStorage, when others are in the way,', () => {
  const opened: { stop(): Promise<void> }[] = []
  let server: OwnPostgres
  let directory: string
  let schema: string

  beforeAll(async () => {
    server = await startOwnPostgres()
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-contention-'))
    await ask('CREATE ROLE few LOGIN')
  }, 30_000)
  afterAll(async () => {
    await server.remove()
    await rm(directory, { recursive: true })
  })

  beforeEach(async () => {
    schema = newSchema()
    await ask(`CREATE SCHEMA ${schema} AUTHORIZATION few`)
  })
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.stop()
    await ask('ALTER ROLE few CONNECTION LIMIT -1; ALTER DATABASE postgres RESET default_transaction_isolation')
  })

  const ask = (text: string) => askPostgres(text, [], server.url)

  function open(options: PostgresStorageOptions): PostgresStorage {
    const storage = new PostgresStorage({ schema, ...options })
    opened.push(storage)
    return storage
  }

  function openAsFew(options: PostgresStorageOptions = {}): PostgresStorage {
    return open({ url: server.url.replace('postgres@', 'few@'), ...options })
  }

  /** A pool that is somebody else's too. */
  function openPool(options: Readonly<Record<string, unknown>>): PostgresPoolLike {
    const pool = new (loadPostgresDriver().Pool)({ connectionString: server.url, ...options })
    opened.push({ stop: () => pool.end() })
    return pool
  }

  /** What is below a storage. */
  function openSmall({ pool }: { readonly pool: PostgresPoolLike | undefined }): PostgresPool {
    const small = new PostgresPool({
      ...{ ...postgresDefaults, target: toTarget(server.url, {}), pool, clock: systemClock, connectTimeoutMs: 500 },
      ...{ onAnswer: () => undefined, onFailure: () => undefined },
    })
    small.open()
    opened.push({ stop: () => small.close() })
    return small
  }

  function wrap(primary: Storage): FailoverStorage {
    const limits = { timeoutMs: TIMEOUT_MS, probeIntervalMs: 20, steadyProbes: 2, cooldownMs: 50 }
    const storage = new FailoverStorage({ primary, path: join(directory, schema), writers: 'one', ...limits })
    opened.push(storage)
    return storage
  }

  async function reachFresh(storage: FailoverStorage): Promise<void> {
    await storage.start()
    while (storage.state.mirror.status !== 'fresh') await pause(5)
  }

  async function reach(storage: FailoverStorage, side: FailoverState['on']): Promise<void> {
    while (storage.state.on !== side) await pause(5)
  }

  /** As when others have taken every connection that there is. */
  async function takeAllConnections(): Promise<void> {
    await ask('ALTER ROLE few CONNECTION LIMIT 0')
    await ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'`)
    const left = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'few'`
    while (((await ask(left)) as { n: number }[])[0]?.n !== 0) await pause(5)
  }

  it('says that a server without a free connection is busy, and not that it is down', async () => {
    const storage = openAsFew()
    await storage.collection('notes').set('a', 1)
    const events: string[] = []
    storage.on('change', ({ from, to }) => events.push(`${from} ${to}`))
    await takeAllConnections()
    await expect(storage.collection('notes').set('a', 2)).rejects.toMatchObject(BUSY)
    await expect(storage.collection('notes').get('a')).rejects.toMatchObject(BUSY)
    await expect(storage.health()).rejects.toMatchObject(BUSY)
    await ask('ALTER ROLE few CONNECTION LIMIT -1')
    expect(await storage.collection('notes').get('a')).toBe(1)
    expect(events).toEqual([])
  })

  it('is not left by a fail-over because the server has no free connection', async () => {
    const storage = wrap(openAsFew())
    await reachFresh(storage)
    await takeAllConnections()
    for (let i = 0; i < 5; i++) await expect(storage.collection('notes').set('a', i)).rejects.toMatchObject(BUSY)
    expect(storage.state.on).toBe('primary')
    await ask('ALTER ROLE few CONNECTION LIMIT -1')
    expect(await storage.collection('notes').set('a', 9)).toMatchObject({ kept: 'primary' })
  })

  it('cannot be opened without a connection, so that a fail-over starts with its copy', async () => {
    const first = wrap(openAsFew())
    await reachFresh(first)
    await first.collection('notes').set('a', 1)
    await first.stop()
    await takeAllConnections()
    await expect(openAsFew().start()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    const second = wrap(openAsFew())
    await second.start()
    expect(second.state.on).toBe('fallback')
    expect(await second.collection('notes').get('a')).toBe(1)
    await ask('ALTER ROLE few CONNECTION LIMIT -1')
    await reach(second, 'primary')
  })

  it.each([{}, { connectionTimeoutMillis: 150 }])(
    'is not left by a fail-over because others hold the connections of its pool, %o',
    async (options) => {
      const pool = openPool({ max: 1, ...options })
      const storage = wrap(open({ pool, timeoutMs: 300 }))
      await reachFresh(storage)
      const held = await pool.connect()
      for (let i = 0; i < 3; i++) await expect(storage.collection('notes').set('a', i)).rejects.toMatchObject(BUSY)
      expect(storage.state.on).toBe('primary')
      expect((await storage.health()).status).toBe('up')
      held.release()
      expect(await storage.collection('notes').set('a', 9)).toMatchObject({ kept: 'primary' })
    },
  )

  it('is left by a fail-over when the server is frozen, whatever pool it has', async () => {
    const storage = wrap(open({ pool: openPool({ max: 1, connectionTimeoutMillis: 300 }), timeoutMs: 2_000 }))
    await reachFresh(storage)
    server.freeze()
    await Promise.allSettled([1, 2, 3].map((i) => storage.collection('notes').set(`${i}`, i)))
    await reach(storage, 'fallback')
    server.thaw()
    await reach(storage, 'primary')
  })

  it.each(['repeatable read', 'serializable'])(
    'has no write or read fail because the database isolates by default as %s',
    async (level) => {
      await ask(`ALTER DATABASE postgres SET default_transaction_isolation = '${level}'`)
      for (const storage of [open({ url: server.url }), open({ pool: openPool({ max: 10 }) })]) {
        const notes = storage.collection('notes')
        const many = Array.from({ length: 20 }, (_, i): [string, number] => [`${i}`, i])
        await Promise.all([
          ...Array.from({ length: 60 }, (_, i) => notes.set('a', i)),
          ...Array.from({ length: 20 }, () => notes.setMany(many)),
          ...Array.from({ length: 20 }, () => notes.update('n', (n) => Number(n) + 1, { initial: 0 })),
          ...Array.from({ length: 60 }, () => notes.get('a')),
        ])
        expect(await notes.get('n')).toBe(20)
        await notes.clear()
      }
    },
  )

  it('begins transactions of its own as read committed, and leaves a ready-made pool as it is', async () => {
    await ask(`ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'`)
    const level = { text: `SELECT current_setting('transaction_isolation') AS level` }
    const own = openSmall({ pool: undefined })
    expect((await own.run(level, 'read')).rows).toEqual([{ level: 'read committed' }])
    const pool = openPool({ max: 1 })
    await open({ pool }).collection('notes').set('a', 1)
    const client = await pool.connect()
    const { rows } = await client.query(level)
    client.release()
    expect(rows).toEqual([{ level: 'serializable' }])
  })

  it('gives up on a connection beside a pool that has no deadline, when nobody answers', async () => {
    const silent = createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const pool = new (loadPostgresDriver().Pool)({ host: '127.0.0.1', port, user: 'few', password: 'secret', max: 1 })
    const storage = openSmall({ pool })
    const startedMs = performance.now()
    await expect(storage.connect()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    expect(performance.now() - startedMs).toBeLessThan(2_000)
    silent.close()
  })

  it('serves reads and writes through a pool with one connection while somebody watches, who hears of them', async () => {
    const storage = open({ pool: openPool({ max: 1 }), timeoutMs: 1_000 })
    const other = open({ url: server.url })
    const heard: Notice<number>[] = []
    const controller = new AbortController()
    const watching = (async () => {
      for await (const notice of storage.collection<number>('notes').watch({ signal: controller.signal })) {
        heard.push(notice)
      }
    })()
    while (heard.length === 0) await pause(5)
    await storage.collection<number>('notes').set('a', 1)
    expect(await storage.collection('notes').get('a')).toBe(1)
    const startedMs = performance.now()
    await other.collection<number>('notes').set('b', 2)
    while (heard.length < 3) await pause(1)
    // Without a hint it would take a second.
    expect(performance.now() - startedMs).toBeLessThan(800)
    controller.abort()
    await watching.catch(() => undefined)
  })
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
