import { createServer, type AddressInfo, type Socket } from 'node:net'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  httpSlot,
  serveVersionHttp,
  type HttpSlotOptions,
  type ServeVersionHttpOptions,
  type Slot,
} from '../slots-http.js'
import { serveFetch } from '../test-support/serve-fetch.js'
import { slotContract } from '../test-support/slot-contract.js'
import type { Task } from '../test-support/slot-worker-child.js'

const token = 'a-token-that-nobody-guesses'

interface Served {
  readonly eventId: string | undefined
  readonly isRepeat: boolean
}

function handle(task: Task, { eventId, isRepeat }: Served): unknown {
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

const healthy = 'HTTP/1.1 200 OK\r\nevenkeel-version-protocol: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}'

describe('a version by HTTP', () => {
  slotContract(async () => slotAt((await version()).url))

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

  it.each([
    [503, 'NOT_BEGUN'],
    [404, 'NOT_BEGUN'],
    [502, 'OUTCOME_UNKNOWN'],
    [200, 'OUTCOME_UNKNOWN'],
  ])('behind a proxy that answers %i is %s', async (status, code) => {
    const url = await rawServer((socket, text) => {
      if (text.startsWith('GET')) socket.end(healthy)
      else socket.end(`HTTP/1.1 ${status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
    })
    const slot = slotAt(url)
    await slot.start()
    expect(await failure(slot.handle({}))).toMatchObject({ code })
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
