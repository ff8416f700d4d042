import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'node:events'
import { beforeEach, expect, it, vi } from 'vitest'
import type {
  Callback,
  PostgresPoolClient,
  PostgresPoolLike,
  PostgresQuery,
  PostgresResult,
} from './postgres-driver.js'
import { PostgresHints } from './postgres-hints.js'
import { PostgresPool } from './postgres-pool.js'
import { toTarget } from './postgres-target.js'

const NOTHING: PostgresResult = { rows: [], rowCount: 0 }

/** A connection that answers at once, unless it is frozen. Like that of pg, it may be given back once. */
class StubClient extends EventEmitter implements PostgresPoolClient {
  releases = 0
  ends = 0
  isFrozen = false
  /** Called when it has answered, before anybody can have heard of that. */
  answered = (): unknown => undefined
  #lose = (_: Error): void => undefined

  async connect(): Promise<void> {}
  query(_: PostgresQuery): Promise<PostgresResult>
  query(_: PostgresQuery, callback: Callback<PostgresResult>): void
  query(_: PostgresQuery, callback?: Callback<PostgresResult>): Promise<PostgresResult> | undefined {
    const answer = new Promise<PostgresResult>((resolve, reject) => {
      if (this.isFrozen) this.#lose = reject
      else resolve(NOTHING)
    })
    this.answered()
    if (callback === undefined) return answer
    void answer.then((result) => callback(null, result))
    return undefined
  }
  release(): void {
    if (++this.releases > 1) throw new Error('Release called on client which has already been released to the pool.')
  }
  async end(): Promise<void> {
    this.ends++
    this.#lose(new Error('Connection terminated'))
  }
  unref(): void {}
}

class StubPool extends EventEmitter implements PostgresPoolLike {
  readonly totalCount = 0
  readonly idleCount = 0
  readonly waitingCount = 0
  readonly options = {}

  connect(): Promise<StubClient>
  connect(callback: Callback<StubClient>): void
  connect(callback?: Callback<StubClient>): Promise<StubClient> | undefined {
    const client = new StubClient()
    if (callback === undefined) return Promise.resolve(client)
    callback(undefined, client)
    return undefined
  }
  async end(): Promise<void> {}
}

/** One that tells how it makes connections, and which of them were made. */
class OpenStubPool extends StubPool {
  readonly made: StubClient[] = []
  areFrozen = false
  readonly Client: new () => StubClient

  constructor() {
    super()
    const note = (client: StubClient): void => {
      client.isFrozen = this.areFrozen
      this.made.push(client)
    }
    this.Client = class extends StubClient {
      constructor() {
        super()
        note(this)
      }
    }
  }
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

it('ends a connection when LISTEN is not answered, and listens anew on another', async () => {
  const ready = new OpenStubPool()
  ready.areFrozen = true
  const { hints, wakes, end } = listen(ready)
  await clock.advance(5_000)
  expect(ready.made.map(({ ends }) => ends > 0)).toEqual([true])
  ready.areFrozen = false
  await clock.advance(500)
  expect(ready.made.map(({ ends }) => ends > 0)).toEqual([true, false])
  expect(wakes()).toBe(1)
  end()
  expect(ready.made.map(({ ends }) => ends > 0)).toEqual([true, true])
  await hints.close()
})

it.each(['error', 'end'])(
  'listens anew when a connection is lost in the same breath as it answers: %s',
  async (how) => {
    const ready = new OpenStubPool()
    const { hints, end } = listen(ready)
    const [first] = ready.made
    if (first !== undefined) first.answered = () => first.emit(how, new Error('lost'))
    await clock.advance(500)
    expect(ready.made.map(({ ends }) => ends > 0)).toEqual([true, false])
    end()
    await hints.close()
  },
)

it('leaves watches to poll when a ready-made pool does not tell how it makes connections', async () => {
  const ready = new StubPool()
  const lend = vi.spyOn(ready, 'connect')
  const { hints, end } = listen(ready)
  await clock.advance(5_000)
  expect(lend).not.toHaveBeenCalled()
  end()
  await hints.close()
})

function listen(ready: PostgresPoolLike): { hints: PostgresHints; wakes: () => number; end: () => void } {
  const hints = new PostgresHints(openPool(ready), 'schema', clock)
  hints.open()
  let wakes = 0
  const end = hints.add(() => wakes++)
  return { hints, wakes: () => wakes, end }
}
