import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { FailoverStorageOptions } from './failover-options.js'
import { FailoverStorage } from './failover-storage.js'
import type { FailoverState } from './failover-state.js'
import { PostgresStorage } from '../postgres.js'
import { FrozenProxy } from '../test-support/frozen-proxy.js'
import { askPostgres, describePostgres, newSchema, removeSchemas } from '../test-support/postgres-describe.js'
import { startOwnPostgres, type OwnPostgres } from '../test-support/postgres-server.js'
import { systemClock } from '../system-clock.js'

/** The deadline in these tests, in milliseconds. */
const TIMEOUT_MS = 400

/** How long anything may take, in milliseconds. */
const PATIENCE_MS = 20_000

/** What the writers of one key were told. */
interface Told {
  acknowledged: number
  /** Later writes of which nobody knows whether they took effect. */
  readonly possible: Set<number>
}

/** Writes numbers under a few keys, each key in order, and remembers what it was told. */
class Writers {
  readonly told = new Map<string, Told>()
  readonly unjournaled: string[] = []
  journaled = 0
  #isOver = false
  readonly #running: Promise<void>[]

  constructor(storage: FailoverStorage, count = 8) {
    this.#running = Array.from({ length: count }, (_, i) => this.#write(storage, `w${i}`))
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }

  async #write(storage: FailoverStorage, key: string): Promise<void> {
    const told: Told = { acknowledged: 0, possible: new Set() }
    this.told.set(key, told)
    for (let n = 1; !this.#isOver; n++) {
      told.possible.add(n)
      try {
        const { version, kept } = await storage.collection('numbers').set(key, n)
        told.acknowledged = n
        told.possible.clear()
        if (kept === 'journal') this.journaled++
        else this.unjournaled.push(version)
      } catch (error) {
        if ((error as { applied?: string }).applied === 'no') told.possible.delete(n)
      }
      await pause(1)
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

describePostgres('FailoverStorage over a PostgreSQL that', () => {
  let server: OwnPostgres
  let directory: string
  let schema: string
  let direct: PostgresStorage
  const opened: { stop(): Promise<void> }[] = []

  beforeAll(async () => {
    server = await startOwnPostgres()
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-failover-'))
  }, 30_000)
  afterAll(async () => {
    await server.remove()
    await rm(directory, { recursive: true })
    await removeSchemas()
  })

  beforeEach(async () => {
    server.thaw()
    await server.start()
    schema = newSchema()
    direct = new PostgresStorage({ url: server.url, schema })
    opened.push(direct)
    await direct.start()
  })
  afterEach(async () => {
    server.thaw()
    for (const each of opened.splice(0)) await each.stop().catch(() => undefined)
  })

  async function open(options: Partial<FailoverStorageOptions> = {}): Promise<FailoverStorage> {
    const storage = new FailoverStorage({
      primary: new PostgresStorage({ url: server.url, schema, timeoutMs: 2_000, connectTimeoutMs: TIMEOUT_MS }),
      path: join(directory, `${schema}-${opened.length}`),
      writers: 'one',
      ...{ timeoutMs: TIMEOUT_MS, probeIntervalMs: 50, steadyProbes: 2, cooldownMs: 100 },
      ...options,
    })
    opened.push(storage)
    await storage.start()
    await reach(storage, ({ mirror }) => mirror.status === 'fresh')
    return storage
  }

  /** Waits for a state. It is looked at whenever something is told, and now and then. */
  function reach(storage: FailoverStorage, isReached: (state: FailoverState) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const startedMs = systemClock.monotonic()
      const look = (): void => {
        if (isReached(storage.state)) return resolve()
        if (systemClock.monotonic() - startedMs < PATIENCE_MS) return void setTimeout(look, 1)
        reject(new Error(`never came: ${JSON.stringify(storage.state)}`))
      }
      look()
    })
  }

  const isBack = ({ on, journalLength }: FailoverState): boolean => on === 'primary' && journalLength === 0

  /** Every acknowledged write is there or was replaced by a later one, and none was applied twice. */
  async function expectNothingLost(storage: FailoverStorage, writers: Writers, since: string): Promise<void> {
    await writers.end()
    await reach(storage, isBack)
    expect(storage.state).toMatchObject({ conflicts: 0, diverged: undefined })
    for (const [key, { acknowledged, possible }] of writers.told) {
      expect([acknowledged, ...possible], key).toContain(await direct.collection('numbers').get(key))
    }
    // Of several writes of one record in an outage, the primary may see only the last.
    const times = await countLogged(since)
    expect([...times.values()].every((count) => count === 1)).toBe(true)
    expect(writers.unjournaled.filter((version) => times.get(version) !== 1)).toEqual([])
  }

  /** How often each version stands in the log of changes. */
  async function countLogged(since: string): Promise<Map<string, number>> {
    const times = new Map<string, number>()
    for (let cursor = since; ;) {
      const page = await direct.changes({ since: cursor })
      expect(page.isReset).toBe(false)
      for (const { version } of page.changes) times.set(version, (times.get(version) ?? 0) + 1)
      if (page.changes.length === 0) return times
      cursor = page.cursor
    }
  }

  it.each<[string, (server: OwnPostgres) => Promise<void>]>([
    ['is stopped under load', (server) => server.stop()],
    ['is killed under load', (server) => server.kill()],
  ])('%s loses no acknowledged write', async (_, end) => {
    const storage = await open()
    const since = (await direct.changes()).cursor
    const writers = new Writers(storage)
    await pause(200)
    await end(server)
    await reach(storage, ({ on, journalLength }) => on === 'fallback' && journalLength > 50)
    await server.start()
    await reach(storage, isBack)
    await pause(100)
    expect(writers.journaled).toBeGreaterThan(0)
    await expectNothingLost(storage, writers, since)
  })

  it('is frozen under load refuses what wakes up late', async () => {
    const storage = await open()
    const since = (await direct.changes()).cursor
    const writers = new Writers(storage)
    await pause(200)
    server.freeze()
    await reach(storage, ({ on, journalLength }) => on === 'fallback' && journalLength > 50)
    server.thaw()
    await reach(storage, isBack)
    await expectNothingLost(storage, writers, since)
  })

  it('is frozen in the middle of the replay, and goes on', async () => {
    const storage = await open()
    const since = (await direct.changes()).cursor
    await server.stop()
    const notes = storage.collection('notes')
    await notes.get('nothing')
    const versions: string[] = []
    for (let i = 0; i < 20; i++) {
      const receipts = await Promise.all(Array.from({ length: 500 }, (_, n) => notes.set(`k${i * 500 + n}`, n)))
      versions.push(...receipts.map(({ version }) => version))
    }
    await server.start()
    await reach(storage, ({ replayed }) => replayed > 500)
    server.freeze()
    const writers = new Writers(storage)
    await pause(2 * TIMEOUT_MS)
    expect(storage.state.on).toBe('fallback')
    expect(storage.state.journalLength).toBeGreaterThan(500)
    server.thaw()
    await expectNothingLost(storage, writers, since)
    expect(await direct.collection('notes').count()).toBe(10_000)
    const times = await countLogged(since)
    expect(versions.filter((version) => times.get(version) !== 1)).toEqual([])
  })

  it('comes back as an old backup, or empty, is not written to, and can be accepted', async () => {
    await server.stop()
    const before = await server.copyData()
    await server.start()
    const storage = await open()
    const notes = storage.collection('notes')
    await notes.set('a', 1)
    await server.stop()
    const early = await server.copyData()
    await server.start()
    await reach(storage, isBack)
    await notes.set('b', 1)
    await server.stop()
    const right = await server.copyData()
    await notes.set('c', 1)
    for (const [copy, kind] of [
      [early, 'less history'],
      [before, 'other store'],
      [undefined, 'other store'],
    ] as const) {
      if (copy === undefined) await server.wipe()
      else await server.restore(copy)
      await server.start()
      await reach(storage, ({ diverged }) => diverged?.kind === kind)
      expect(storage.state).toMatchObject({ on: 'fallback', journalLength: 1 })
      expect(await notes.get('b')).toBe(1)
      await server.stop()
    }
    await server.restore(right)
    await server.start()
    await reach(storage, isBack)
    expect(await direct.collection('notes').getMany(['a', 'b', 'c'])).toHaveProperty('size', 3)
    await server.stop()
    await notes.set('d', 1)
    await server.wipe()
    await server.start()
    await reach(storage, ({ diverged }) => diverged?.kind === 'other store')
    expect(await storage.acceptPrimary()).toBe(true)
    await reach(storage, isBack)
    expect(await notes.get('d')).toBe(1)
    expect(await notes.has('a')).toBe(false)
  }, 30_000)

  it('is slow with a write, or busy, is not left', async () => {
    // Suspected after half of its time, while nothing can be written: how soon a busy machine connects must not matter.
    const primary = new PostgresStorage({ url: server.url, schema, timeoutMs: 20_000, connectTimeoutMs: 10_000 })
    const storage = await open({ primary, timeoutMs: 4_000 })
    const isLocked = lockRecords(2.5)
    await isLocked.begun
    const writes = Array.from({ length: 200 }, (_, i) => storage.collection('notes').set(`k${i}`, i))
    const kept = writes.map((write) => write.then((receipt) => receipt.kept, codeOf))
    // A machine that has much else to do may let one wait for longer than its deadline.
    expect((await Promise.all(kept)).filter((how) => how !== 'primary' && how !== 'STORAGE_TIMEOUT')).toEqual([])
    await isLocked.ended
    expect(storage.state).toMatchObject({ on: 'primary', failovers: 0 })
  }, 30_000)

  it('has lost its idle connections without a word is not left', async () => {
    await using proxy = await FrozenProxy.start(Number(new URL(server.url).port))
    const url = new URL(server.url)
    url.hostname = '127.0.0.1'
    url.port = String(proxy.port)
    const storage = new FailoverStorage({
      ...{ primary: new PostgresStorage({ url: url.href, schema: newSchema() }), path: join(directory, 'idle') },
      // A probe connects anew, for which a busy machine takes its time.
      ...{ writers: 'one', timeoutMs: 4_000 },
    })
    const notes = storage.collection('notes')
    await Promise.all(Array.from({ length: 50 }, (_, i) => notes.set(`k${i}`, i)))
    proxy.freezeConnections()
    // Whoever is given one of them waits in vain, but is not told that the server is gone.
    await notes.get('k1').catch((error: unknown) => expect(codeOf(error)).toBe('STORAGE_TIMEOUT'))
    expect(storage.state).toMatchObject({ on: 'primary', failovers: 0 })
    await storage.stop()
  })

  it('stops quickly while it is frozen', async () => {
    const storage = await open()
    server.freeze()
    const startedMs = systemClock.monotonic()
    await storage.stop()
    expect(systemClock.monotonic() - startedMs).toBeLessThan(3 * TIMEOUT_MS)
  })

  it("lets several processes write, with writers: 'many'", async () => {
    const [a, b] = await Promise.all([open({ writers: 'many' }), open({ writers: 'many', path: join(directory, 'b') })])
    await b.collection('notes').set('theirs', 1)
    await a.collection('notes').set('mine', 1)
    const startedMs = systemClock.monotonic()
    await reach(a, ({ mirror }) => (mirror.lagMs ?? Infinity) < systemClock.monotonic() - startedMs)
    await server.stop()
    expect(await a.collection('notes').get('theirs')).toBe(1)
    await expect(a.collection('notes').update('theirs', (value) => value)).rejects.toMatchObject({ applied: 'no' })
    await Promise.all([a.collection('notes').set('a', 1), b.collection('notes').set('b', 1)])
    await server.start()
    await Promise.all([reach(a, isBack), reach(b, isBack)])
    expect(await direct.collection('notes').count()).toBe(4)
  })

  function codeOf(error: unknown): unknown {
    return (error as { code?: unknown }).code
  }

  /** Whoever writes a record waits, while the server is well. */
  function lockRecords(seconds: number): { readonly begun: Promise<void>; readonly ended: Promise<unknown> } {
    const lock = `LOCK TABLE ${schema}.records IN EXCLUSIVE MODE`
    const ended = askPostgres(`${lock}; SELECT pg_sleep(${seconds})`, [], server.url)
    return { begun: isSleeping(), ended }
  }

  async function isSleeping(): Promise<void> {
    const query = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while ((await askPostgres(query, [], server.url)).length === 0);
  }
})
