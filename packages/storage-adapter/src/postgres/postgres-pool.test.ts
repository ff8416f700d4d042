import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'node:events'
import { beforeEach, expect, it, vi } from 'vitest'
import type { PostgresPoolClient, PostgresPoolLike, PostgresQuery, PostgresResult } from './postgres-driver.js'
import { PostgresHints } from './postgres-hints.js'
import { PostgresPool } from './postgres-pool.js'
import { toTarget } from './postgres-target.js'

const NOTHING: PostgresResult = { rows: [], rowCount: 0 }

/** A connection that answers at once, unless it is frozen. Like that of pg, it may be given back once. */
class StubClient extends EventEmitter implements PostgresPoolClient {
  releases = 0
  isFrozen = false
  #lose = (_: Error): void => undefined

  async query(_: PostgresQuery): Promise<PostgresResult> {
    return this.isFrozen ? new Promise((_, reject) => (this.#lose = reject)) : NOTHING
  }
  release(): void {
    if (++this.releases > 1) throw new Error('Release called on client which has already been released to the pool.')
    this.#lose(new Error('Connection terminated'))
  }
}

class StubPool extends EventEmitter implements PostgresPoolLike {
  readonly totalCount = 0
  readonly idleCount = 0
  readonly waitingCount = 0
  readonly lent: StubClient[] = []
  areFrozen = false

  async connect(): Promise<StubClient> {
    const client = new StubClient()
    client.isFrozen = this.areFrozen
    this.lent.push(client)
    return client
  }
  async end(): Promise<void> {}
}

const driver = vi.hoisted((): { Pool: unknown; Client: unknown } => ({ Pool: undefined, Client: class {} }))

vi.mock(import('./postgres-driver.js'), async (original) => {
  return { ...(await original()), loadPostgresDriver: () => driver as never }
})

let clock: FakeClock
let made: StubPool[]

beforeEach(() => {
  clock = new FakeClock()
  made = []
  driver.Pool = class extends StubPool {
    constructor() {
      super()
      made.push(this)
    }
  }
})

function openPool(ready?: PostgresPoolLike): PostgresPool {
  const limits = { poolSize: 2, timeoutMs: 1_000, connectTimeoutMs: 1_000, prepare: true }
  const listeners = { onAnswer: () => undefined, onFailure: () => undefined }
  const target = toTarget('postgres://host/db', {})
  const pool = new PostgresPool({ ...limits, ...listeners, target, pool: ready, clock })
  pool.open()
  return pool
}

it('survives what its connections say when it has ended them: the server may go down at the same time', async () => {
  const pool = openPool()
  await pool.run({ text: 'SELECT 1' }, 'read')
  await pool.close()
  // Nobody but a listener keeps this from ending the process.
  const lost = new Error('terminating connection due to administrator command')
  expect(made.map((own) => own.emit('error', lost))).toEqual([true])
})

it('listens to a ready-made pool only while it is open', async () => {
  const ready = new StubPool()
  const pool = openPool(ready)
  expect(ready.listenerCount('error')).toBe(1)
  await pool.close()
  expect(ready.listenerCount('error')).toBe(0)
})

it('gives a connection of a ready-made pool back once when LISTEN is not answered, and listens anew', async () => {
  const ready = new StubPool()
  ready.areFrozen = true
  const hints = new PostgresHints(openPool(ready), 'schema', clock)
  hints.open()
  let wakes = 0
  const end = hints.add(() => wakes++)
  await clock.advance(5_000)
  expect(ready.lent.map(({ releases }) => releases)).toEqual([1])
  ready.areFrozen = false
  await clock.advance(500)
  expect(ready.lent.map(({ releases }) => releases)).toEqual([1, 0])
  expect(wakes).toBe(1)
  end()
  expect(ready.lent.map(({ releases }) => releases)).toEqual([1, 1])
  await hints.close()
})
