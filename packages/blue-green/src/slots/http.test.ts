import { createServer, type AddressInfo, type Socket } from 'node:net'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BlueGreen, memoryState } from '../index.js'
import {
  httpSlot,
  httpSlotDefaults,
  serveVersionHttp,
  type HttpSlotOptions,
  type ServeVersionHttpOptions,
  type Slot,
} from '../slots-http.js'
import type { SlotDeath } from './slot.js'
import { serveFetch } from '../test-support/serve-fetch.js'
import { beOdd, isOdd } from '../test-support/odd-versions.js'
import { oddVersionContract, slotContract } from '../test-support/slot-contract.js'
import type { Task } from '../test-support/slot-worker-child.js'

const token = 'a-token-that-nobody-guesses'

interface Served {
  readonly eventId: string | undefined
  readonly isRepeat: boolean
}

function handle(task: Task, { eventId, isRepeat }: Served): unknown {
  if (isOdd(task.does)) return beOdd(task.does)
  if (task.does === 'throw') throw Object.assign(new RangeError('no such command'), { code: 'USER' })
  if (task.does === 'hang') return new Promise(() => undefined)
  if (task.does === 'closure') return { member: { client: () => undefined } }
  return { id: task.id, eventId, isRepeat, value: task.value }
}

async function version(options: Partial<ServeVersionHttpOptions> = {}, handler = handle) {
  const served = await serveFetch(serveVersionHttp(handler, { token, ...options }))
  onTestFinished(() => served.close())
  return served
}

function slotAt(url: string, options: Partial<HttpSlotOptions<Task>> = {}): Slot<Task, unknown> {
  const slot = httpSlot<Task, unknown>({ url, token, effects: 'stored', ...options })
  onTestFinished(() => slot.stop())
  return slot
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )

async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** What comes one by one, for whoever waits. */
function queue<T>(): { put(item: T): void; take(): Promise<T> } {
  const [items, takers]: [T[], ((item: T) => void)[]] = [[], []]
  return {
    put: (item) => {
      const taker = takers.shift()
      if (taker === undefined) items.push(item)
      else taker(item)
    },
    take: async () => items.shift() ?? new Promise((resolve) => takers.push(resolve)),
  }
}

/** A server that does with each connection as it is told. */
async function rawServer(does: (socket: Socket, text: string) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => does(socket, chunk.toString()))
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function said(body: string, status = 200, isVersion = true): string {
  const version = isVersion ? 'evenkeel-version-protocol: 1\r\n' : ''
  return `HTTP/1.1 ${status} X\r\n${version}content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
}

const healthy = said('{}')

describe('a version by HTTP', () => {
  slotContract(async () => slotAt((await version()).url))
  oddVersionContract(async () => slotAt((await version()).url))

  it.each(['\ud800', '__proto__', 'é\n', '1'.repeat(2_000)])('carries any id: %j', async (eventId) => {
    const slot = slotAt((await version()).url)
    await slot.start()
    expect(await slot.handle({ id: '1' }, { eventId })).toMatchObject({ eventId })
  })

  it('handles an event that comes twice once, while it runs and later', async () => {
    let runs = 0
    const { url } = await version({}, () => ++runs)
    const slot = slotAt(url)
    await slot.start()
    const twice = [slot.handle({}, { eventId: 'a' }), slot.handle({}, { eventId: 'a', isRepeat: true })]
    expect(await Promise.all([...twice, slot.handle({}, { eventId: 'b' })])).toEqual([1, 1, 2])
    expect(await slot.handle({}, { eventId: 'a' })).toBe(1)
  })

  it('forgets an answer after its time, and the oldest when there are too many, and nothing that runs', async () => {
    let runs = 0
    const clock = new FakeClock()
    const does = (task: Task): unknown => (++runs, task.does === 'hang' ? new Promise(() => undefined) : runs)
    const { url } = await version({ clock, rememberMs: 1_000, maxRemembered: 2 }, does)
    const slot = slotAt(url)
    await slot.start()
    void failure(slot.handle({ does: 'hang' }, { eventId: 'h' }))
    expect(await slot.handle({}, { eventId: 'a' })).toBe(2)
    expect(await slot.handle({}, { eventId: 'b' })).toBe(3)
    expect(await slot.handle({}, { eventId: 'b' })).toBe(3)
    expect(await slot.handle({}, { eventId: 'a' })).toBe(4)
    await clock.advance(1_000)
    expect(await slot.handle({}, { eventId: 'a' })).toBe(5)
    void failure(slot.handle({ does: 'hang' }, { eventId: 'h' }))
    expect(await slot.handle({}, { eventId: 'c' })).toBe(6)
  })

  it('that refuses the connection has not begun the event', async () => {
    const served = await version()
    const slot = slotAt(served.url)
    await slot.start()
    served.close()
    expect(await failure(slot.handle({}))).toMatchObject({ code: 'NOT_BEGUN' })
  })

  it.each([
    ['stored', true],
    ['atMostOnce', false],
  ] as const)(
    'that breaks the connection after the event was sent may have begun it (%s)',
    async (effects, retryable) => {
      const url = await rawServer((socket, text) => {
        if (text.startsWith('GET')) socket.end(healthy)
        else socket.destroy()
      })
      const slot = slotAt(url, { effects })
      await slot.start()
      expect(await failure(slot.handle({}))).toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable })
    },
  )

  it('that does not answer in time may have begun the event', async () => {
    const slot = slotAt((await version()).url, { timeoutMs: 50 })
    await slot.start()
    const error = await failure(slot.handle({ does: 'hang' }))
    expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(String(error)).toContain('it gave no answer within 50 ms')
  })

  it.each([200, 302, 400, 401, 403, 404, 405, 413, 421, 429, 500, 502, 503, 504])(
    'may have begun the event when a proxy before it answers %i',
    async (status) => {
      const url = await rawServer((socket, text) => {
        if (text.startsWith('GET')) socket.end(healthy)
        else socket.end(`HTTP/1.1 ${status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
      })
      const slot = slotAt(url, { effects: 'atMostOnce' })
      await slot.start()
      const error = await failure(slot.handle({}))
      expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable: false })
      expect(String(error)).toContain(`something else than a version answered ${status}`)
    },
  )

  it.each([400, 401, 405])('has not begun the event when it says so itself, by %i', async (status) => {
    const body = JSON.stringify({ notBegun: 'the token is another' })
    const url = await rawServer((socket, text) => socket.end(text.startsWith('GET') ? healthy : said(body, status)))
    const slot = slotAt(url, { effects: 'atMostOnce' })
    await slot.start()
    const error = await failure(slot.handle({}))
    expect(error).toMatchObject({
      code: 'NOT_BEGUN',
      message: expect.stringContaining('the token is another') as string,
    })
  })

  it.each([
    ['connect', 'NOT_BEGUN'],
    ['read', 'OUTCOME_UNKNOWN'],
  ])('that is not reached any more, as %s tells, is %s', async (syscall, code) => {
    const { url } = await version()
    const slot = slotAt(url, {
      fetch: async (input, init) => {
        if (init?.method === 'GET') return fetch(input, init)
        // A connection that stands is ended with the same code when its packets are refused on the way.
        const cause = Object.assign(new Error(`${syscall} EHOSTUNREACH`), { code: 'EHOSTUNREACH', syscall })
        throw new TypeError('fetch failed', { cause })
      },
    })
    await slot.start()
    expect(await failure(slot.handle({}))).toMatchObject({ code })
  })

  it.each([
    'null',
    '[]',
    '"text"',
    'no json',
    '{"error":"text"}',
    '{"error":{"name":5,"message":"text"}}',
    '{"error":{"name":"Error","message":"text","code":{}}}',
    '{"error":null}',
    '{"notBegun":5}',
    '{"notBegun":null}',
  ])('that answers what no version answers leaves the event unknown: %s', async (body) => {
    const url = await rawServer((socket, text) => socket.end(text.startsWith('GET') ? healthy : said(body)))
    const slot = slotAt(url, { effects: 'atMostOnce' })
    await slot.start()
    expect(await failure(slot.handle({}))).toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable: false })
  })

  it.each(['{}', '{"answer":1}', '{"error":{"name":"Error","message":"text"}}'])(
    'whose answer somebody between made an error of leaves the event unknown: %s',
    async (body) => {
      const url = await rawServer((socket, text) => socket.end(text.startsWith('GET') ? healthy : said(body, 502)))
      const slot = slotAt(url)
      await slot.start()
      expect(await failure(slot.handle({}))).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    },
  )

  it.each([
    ['null', true, 'it answered what no version answers'],
    ['{}', false, 'something else than a version answered 200'],
  ])('that answers %s to a question about its health is not healthy', async (body, isVersion, why) => {
    const url = await rawServer((socket) => socket.end(said(body, 200, isVersion)))
    const slot = slotAt(url, { startTimeoutMs: 300, healthMs: 50 })
    expect(String(await failure(slot.start()))).toContain(why)
  })

  it('whose answer is too long says so, and is not run again', async () => {
    let runs = 0
    const { url } = await version({}, () => 'é'.repeat(++runs * 2_097_152))
    const slot = slotAt(url, { effects: 'atMostOnce' })
    await slot.start()
    for (const eventId of ['a', 'a']) {
      const error = await failure(slot.handle({}, { eventId }))
      expect(error).toMatchObject({ name: 'RangeError' })
      expect(String(error)).toContain(
        'the answer has 4194317 bytes, more than 4194304; the event is done all the same; answer less',
      )
    }
    expect(runs).toBe(1)
  })

  it('is not sent an event that is too long', async () => {
    let runs = 0
    const { url } = await version({}, () => ++runs)
    const slot = slotAt(url)
    await slot.start()
    await expect(slot.handle({ value: 'é'.repeat(2_097_152) })).rejects.toThrow(
      /^event has \d+ bytes, more than 4194304; pick less with the option toWire$/,
    )
    expect(runs).toBe(0)
  })

  it('with another token is never healthy, and nobody is shown the token', async () => {
    const { url } = await version({ token: 'another-token-of-its-own' })
    const slot = slotAt(url, { startTimeoutMs: 300, healthMs: 50 })
    const error = await failure(slot.start())
    expect(error).toMatchObject({ code: 'SLOT_START' })
    expect(String(error)).toContain('the token is not the same at both sides')
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toMatch(/nobody-guesses|of-its-own/)
  })

  it('that is not healthy any more has died, and is started again when it is', async () => {
    let why: string | undefined
    const { url } = await version({ problem: () => why })
    const slot = slotAt(url, { healthMs: 30 })
    const died = new Promise((resolve) => slot.onDeath(resolve))
    await slot.start()
    why = 'no database'
    expect(await died).toMatchObject({ why: 'no database' })
    expect(slot.health?.()).toBe('down')
    expect(await failure(slot.handle({}))).toMatchObject({ code: 'NOT_BEGUN' })
    why = undefined
    await slot.start()
    expect(await slot.handle({ id: '1' })).toMatchObject({ id: '1' })
  })

  it('that cannot tell its health is not healthy, and says why', async () => {
    const { url } = await version({
      problem: () => {
        throw new Error('no database')
      },
    })
    const error = await failure(slotAt(url, { startTimeoutMs: 300, healthMs: 50 }).start())
    expect(String(error)).toContain('it cannot tell its health: no database')
  })

  it('that is slow is not dead, and one that does not answer at all is', async () => {
    const clock = new FakeClock()
    const asked = queue<Socket>()
    const url = await rawServer((socket) => asked.put(socket))
    const slot = slotAt(url, { clock })
    const deaths: SlotDeath[] = []
    const died = new Promise<void>((resolve) => slot.onDeath((death) => (deaths.push(death), resolve())))
    const started = slot.start()
    ;(await asked.take()).end(healthy)
    await started
    for (let check = 0; check < 3; check++) {
      await clock.advance(httpSlotDefaults.healthMs)
      const socket = await asked.take()
      await clock.advance(httpSlotDefaults.healthTimeoutMs - 1)
      socket.end(healthy)
      await until(() => clock.pending === 1)
    }
    expect([slot.health?.(), deaths]).toEqual(['up', []])
    for (let check = 0; check < httpSlotDefaults.maxFailedChecks; check++) {
      expect(deaths).toEqual([])
      await clock.advance(httpSlotDefaults.healthMs)
      await asked.take()
      await clock.advance(httpSlotDefaults.healthTimeoutMs)
      await until(() => slot.health?.() !== 'up')
    }
    await died
    expect(deaths).toMatchObject([{ why: 'it did not answer within 2000 ms' }])
  })

  it('that refuses the connection is dead at the second look', async () => {
    const clock = new FakeClock()
    const served = await version()
    const slot = slotAt(served.url, { clock })
    await slot.start()
    const died = new Promise<SlotDeath>((resolve) => slot.onDeath(resolve))
    served.close()
    await clock.advance(httpSlotDefaults.healthMs)
    await until(() => slot.health?.() === 'degraded')
    await clock.advance(httpSlotDefaults.healthMs)
    expect((await died).why).toContain('ECONNREFUSED')
    expect(clock.monotonic()).toBe(2 * httpSlotDefaults.healthMs)
  })

  it('that is drained once more waits again for what has not ended', async () => {
    const clock = new FakeClock()
    let end: (() => void) | undefined
    const { url } = await version({}, () => new Promise<void>((resolve) => (end = resolve)))
    const slot = slotAt(url, { clock })
    await slot.start()
    const call = slot.handle({})
    await until(() => end !== undefined)
    const first = slot.drain({ timeoutMs: 1_000 })
    await clock.advance(1_000)
    expect(await first).toMatchObject({ drained: false, running: 1 })
    const second = slot.drain({ timeoutMs: 1_000 })
    end?.()
    await call
    expect(await second).toEqual({ drained: true, running: 0 })
  })

  it('has no more events at once than it may', async () => {
    const slot = slotAt((await version()).url, { maxInFlight: 1 })
    await slot.start()
    const held = failure(slot.handle({ does: 'hang' }))
    expect(await failure(slot.handle({}))).toMatchObject({ code: 'SHED' })
    await slot.stop()
    expect(await held).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  })

  it.each([new Date(), 1n, NaN, new Map(), [undefined]])('refuses what JSON would change: %s', async (value) => {
    const slot = slotAt((await version()).url)
    await slot.start()
    await expect(slot.handle({ value })).rejects.toThrow(/^event\.value/)
  })
})

it('an event whose effect happens at most once is not run on the other version for the answer of a proxy', async () => {
  const effects: string[] = []
  const slotOf = async (name: string, isBroken: boolean): Promise<Slot<Task, unknown>> => {
    const serve = serveVersionHttp(({ id }: Task) => effects.push(`${name} sends ${id}`), { token })
    const served = await serveFetch(async (request) => {
      const response = await serve(request)
      const isCut = isBroken && request.method === 'POST'
      return isCut ? new Response('upstream connect error or disconnect/reset', { status: 503 }) : response
    })
    onTestFinished(() => served.close())
    return slotAt(served.url, { name, effects: 'atMostOnce' })
  }
  const blueGreen = new BlueGreen({
    versions: { v1: await slotOf('v1', true), v2: await slotOf('v2', false) },
    initial: 'v1',
    context: ({ id }: Task) => ({ eventId: id, guildId: 'a' }),
    store: memoryState(),
  })
  onTestFinished(() => blueGreen.stop())
  await blueGreen.start()
  await blueGreen.deploy('v2', { percentages: [1, 100], stepMs: 600_000 })
  expect(await failure(blueGreen.handle({ id: '1' }))).toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable: false })
  expect(effects).toEqual(['v1 sends 1'])
})

it('a request that is no event begins nothing', async () => {
  let runs = 0
  const fetch = serveVersionHttp(() => ++runs, { token })
  const headers = { authorization: `Bearer ${token}`, 'evenkeel-version-protocol': '1' }
  const post = (init: RequestInit): Promise<Response> => fetch(new Request('http://x/', { method: 'POST', ...init }))
  expect((await post({ headers: { ...headers, authorization: `Bearer ${token}x` } })).status).toBe(401)
  expect((await post({ headers: { authorization: `Bearer ${token}` } })).status).toBe(400)
  expect((await post({ headers, body: '{"event":1}' })).status).toBe(400)
  expect((await post({ headers: { ...headers, 'idempotency-key': '%22a%22' }, body: '{' })).status).toBe(400)
  expect((await post({ headers, method: 'DELETE' })).status).toBe(405)
  expect(runs).toBe(0)
})

it('options that make no sense are refused, and the token is not shown', () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ url: 'ftp://x' }, 'url of httpSlot must begin'],
    [{ url: 'http://a:b@x' }, 'holds a password'],
    [{ token: 'short-secret' }, 'token of httpSlot must be 16'],
    [{ effects: undefined }, 'httpSlot needs effects'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ healthTimeoutMs: -1 }, 'healthTimeoutMs'],
    [{ maxInFlight: 0.5 }, 'maxInFlight'],
    [{ port: 1 }, 'has no option "port"'],
    [{ fetch: 1 }, 'fetch of httpSlot must be a function'],
  ]
  for (const [options, words] of wrong) {
    const make = (): unknown => httpSlot({ url: 'http://x', token, effects: 'stored', ...options })
    expect(make).toThrow(words)
    expect(make).not.toThrow('short-secret')
  }
  expect(() => serveVersionHttp(() => 1, { token: 'short-secret' })).toThrow('token of serveVersionHttp')
})
