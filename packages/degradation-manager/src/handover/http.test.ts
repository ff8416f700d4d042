import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type RequestListener } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ShedError } from '../errors.js'
import { guard } from '../guard/stand-alone.js'
import { handOver } from './hand-over.js'
import { httpTaker } from './http-taker.js'
import { takeEvents, type TakeEventsOptions } from './take-events.js'

interface Note {
  readonly text: string
}

const secret = 'a-secret-that-nobody-guesses'
const noEnd = new AbortController().signal
const tea: Note = { text: 'buy tea' }

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`
}

/** A deputy that listens in this process, and a taker that asks it. */
async function deputy(options: Partial<TakeEventsOptions<Note, unknown>> = {}) {
  const url = await serve(takeEvents<Note, unknown>({ secret, handle: ({ text }) => `noted ${text}`, ...options }))
  const taker = httpTaker<Note, unknown>({ url, secret, name: 'deputy' })
  return { url, taker, take: (note: Note, key = '1') => taker.take(note, { key, signal: noEnd }) }
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )

/** A handler that ends when it is told to. */
function held() {
  const ends: ((answer: string) => void)[] = []
  const signals: AbortSignal[] = []
  const begun: string[] = []
  let began = (): void => {}
  return {
    begun,
    ends,
    signals,
    until: async (count: number): Promise<void> => {
      while (begun.length < count) await new Promise<void>((resolve) => (began = resolve))
    },
    handle: ({ text }: Note, { signal }: { signal: AbortSignal }) => {
      begun.push(text)
      signals.push(signal)
      return new Promise<string>((resolve) => {
        ends.push(resolve)
        began()
      })
    },
  }
}

describe('an event', () => {
  it('is handled there, and answered here', async () => {
    const { take } = await deputy({ handle: ({ text }, { key }) => ({ key, text, list: [1, null] }) })
    expect(await take({ text: 'Tee ☕ & ünïcode' }, 'ключ')).toEqual({
      key: 'ключ',
      text: 'Tee ☕ & ünïcode',
      list: [1, null],
    })
  })

  it('may be answered with nothing', async () => {
    const { take } = await deputy({ handle: () => undefined })
    expect(await take(tea)).toBe(undefined)
  })

  it('that comes twice is handled once, at the same time and later, and both get the answer', async () => {
    const { begun, ends, until, handle } = held()
    const { take } = await deputy({ handle })
    const both = [take(tea), take(tea)]
    await until(1)
    const other = take({ text: 'buy milk' }, '2')
    await until(2)
    ends[0]?.('noted')
    ends[1]?.('noted too')
    expect(await Promise.all([...both, other, take(tea)])).toEqual(['noted', 'noted', 'noted too', 'noted'])
    expect(begun).toEqual(['buy tea', 'buy milk'])
  })

  it('is forgotten after its time, and the oldest first when there are too many', async () => {
    const clock = new FakeClock()
    const handled: string[] = []
    const handle = ({ text }: Note) => handled.push(text)
    const { take } = await deputy({ handle, clock, rememberMs: 60_000, maxRemembered: 2 })
    await take(tea, '1')
    await clock.advance(59_999)
    expect(await take(tea, '1')).toBe(1)
    await clock.advance(1)
    expect(await take(tea, '1')).toBe(2)
    await take(tea, '2')
    await take(tea, '3')
    expect([await take(tea, '3'), await take(tea, '2'), await take(tea, '1')]).toEqual([4, 3, 5])
  })

  it('is not taken when too many are under way, and may come again', async () => {
    const { ends, until, handle } = held()
    const { take, taker } = await deputy({ handle, maxRemembered: 1 })
    const first = take(tea, '1')
    await until(1)
    expect(await failure(take(tea, '2'))).toMatchObject({ code: 'NOT_TAKEN', applied: 'no', retryAfterMs: 1_000 })
    expect(await failure(taker.check({ signal: noEnd }))).toMatchObject({ code: 'NOT_TAKEN' })
    ends[0]?.('noted')
    await first
    const second = take(tea, '2')
    await until(2)
    ends[1]?.('noted too')
    expect(await second).toBe('noted too')
  })
})

describe('a handler', () => {
  it('that is shed has not taken the event: it may come again, and the reason stays there', async () => {
    const told: unknown[] = []
    let isOff = true
    const { take } = await deputy({
      handle: () => {
        if (isOff) throw new ShedError('notes', 'the database at 10.0.0.7 is away', 5_000)
        return 'noted'
      },
      onError: (error, key) => told.push(key, error),
    })
    const refused = await failure(take(tea))
    expect(refused).toMatchObject({
      code: 'NOT_TAKEN',
      applied: 'no',
      retryAfterMs: 5_000,
      message: '"deputy" has not taken the event over: its handler failed with SHED',
    })
    expect(told).toMatchObject(['1', { code: 'SHED' }])
    isOff = false
    expect(await take(tea)).toBe('noted')
  })

  it('that fails with an effect that nobody knows is not asked again', async () => {
    let calls = 0
    const { take } = await deputy({
      handle: () => {
        calls++
        throw Object.assign(new Error('password=hunter2'), { code: 'ECONNRESET' })
      },
    })
    const unclear = { code: 'HAND_OVER_UNCLEAR', applied: 'unknown', retryable: false }
    const error = await failure(take(tea))
    expect(error).toMatchObject(unclear)
    expect(String(error)).toContain('its handler failed with ECONNRESET')
    expect(String(error)).not.toContain('hunter2')
    expect(await failure(take(tea))).toMatchObject(unclear)
    expect(calls).toBe(1)
  })

  it.each<[string, unknown]>([
    ['a number that is too big for JSON', 1n],
    ['a circle', Object.assign({}, { toJSON: () => JSON.parse('{') as unknown })],
  ])('that answers with %s has done it all the same', async (_, answer) => {
    const told: unknown[] = []
    const { take } = await deputy({ handle: () => answer, onError: (error) => told.push(error) })
    expect(await failure(take(tea))).toMatchObject({ code: 'HAND_OVER_UNCLEAR', applied: 'unknown' })
    expect(told).toHaveLength(1)
  })

  it.each([[{ code: 'a secret with spaces' }], [null], ['words'], [{ retryAfterMs: Number.NaN }]])(
    'may throw anything: %j',
    async (thrown: unknown) => {
      const { take } = await deputy({
        handle: () => {
          const error = thrown as Error
          throw error
        },
        onError: () => {
          throw new Error('a bug')
        },
      })
      expect(String(await failure(take(tea)))).toMatch(/: its handler failed$/)
    },
  )

  it('that hangs is left after its time: the outcome is not known, until it has ended after all', async () => {
    const clock = new FakeClock()
    const { ends, signals, until, handle } = held()
    const { take } = await deputy({ handle, clock, timeoutMs: 30_000 })
    const first = failure(take(tea))
    await until(1)
    await clock.advance(29_999)
    expect(signals[0]?.aborted).toBe(false)
    await clock.advance(1)
    expect(await first).toMatchObject({ code: 'HAND_OVER_UNCLEAR' })
    expect(signals[0]?.aborted).toBe(true)
    expect(await failure(take(tea))).toMatchObject({ code: 'HAND_OVER_UNCLEAR' })
    ends[0]?.('noted at last')
    await new Promise((resolve) => setImmediate(resolve))
    expect(await take(tea)).toBe('noted at last')
    expect(signals).toHaveLength(1)
  })
})

describe('who asks', () => {
  it('must know the secret', async () => {
    const { url } = await deputy()
    const stranger = httpTaker<Note>({ url, secret: 'another-secret-of-16', name: 'deputy' })
    const refused = { code: 'NOT_TAKEN', message: '"deputy" has not taken the event over: the secret is another one' }
    expect(await failure(stranger.take(tea, { key: '1', signal: noEnd }))).toMatchObject(refused)
    expect(await failure(stranger.check({ signal: noEnd }))).toMatchObject(refused)
  })

  it.each<[string, number, RequestInit]>([
    ['no secret', 401, { headers: { 'evenkeel-hand-over': '1' } }],
    ['another version', 400, { headers: { 'evenkeel-hand-over': '9' } }],
    ['another method', 405, { method: 'PUT' }],
    ['no JSON', 400, { body: '{"key":' }],
    ['null', 400, { body: 'null' }],
    ['no key', 400, { body: '{"event":{}}' }],
    ['an empty key', 400, { body: '{"key":"","event":{}}' }],
    ['a key that is none', 400, { body: '{"key":["1"],"event":{}}' }],
    ['an event that is too long', 413, { body: `{"key":"1","event":"${'x'.repeat(1_000)}"}` }],
  ])('with %s is told %i, and nothing is handled', async (what, status, init) => {
    const handled: unknown[] = []
    const { url } = await deputy({ handle: (event) => handled.push(event), maxBytes: 1_000 })
    const authorization = what === 'no secret' ? {} : { authorization: `Bearer ${secret}` }
    const headers = { 'evenkeel-hand-over': '1', ...authorization, ...init.headers }
    const response = await fetch(url, { method: 'POST', ...init, headers })
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ applied: 'no' })
    expect(handled).toEqual([])
  })

  it('and never ends is left', async () => {
    const clock = new FakeClock()
    const { url } = await deputy({ clock, timeoutMs: 1_000 })
    const slow = request(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'evenkeel-hand-over': '1' },
    })
    slow.write('{"key":"1",')
    const ended = once(slow, 'error')
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(1_000)
    expect((await ended)[0]).toMatchObject({ code: 'ECONNRESET' })
  })

  it('and has no end is left', async () => {
    const { url } = await deputy({ maxBytes: 100 })
    const endless = request(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'evenkeel-hand-over': '1' },
    })
    const ended = once(endless, 'error')
    endless.write('x'.repeat(50_000))
    expect((await ended)[0]).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) as string })
  })
})

describe('another server', () => {
  const answering = async (listener: RequestListener) => {
    const taker = httpTaker<Note>({ url: await serve(listener), secret, name: 'deputy' })
    return (await failure(taker.take(tea, { key: '1', signal: noEnd }))) as { code: string; message: string }
  }

  it.each([
    [200, 'HAND_OVER_UNCLEAR'],
    [302, 'HAND_OVER_UNCLEAR'],
    [404, 'NOT_TAKEN'],
    [429, 'NOT_TAKEN'],
    [500, 'HAND_OVER_UNCLEAR'],
    [502, 'HAND_OVER_UNCLEAR'],
    [503, 'NOT_TAKEN'],
    [504, 'HAND_OVER_UNCLEAR'],
  ])('that answers %i is %s', async (status, code) => {
    const error = await answering((_, response) => response.writeHead(status, { location: '/' }).end('{"answer":1}'))
    expect(error).toMatchObject({ code, message: expect.stringContaining(`it answered ${status}`) as string })
  })

  it.each(['{"answer":', '7', '""', `{"answer":"${'x'.repeat(1_100_000)}"}`])(
    'that speaks as one but answers nonsense is unclear',
    async (body) => {
      const headers = { 'evenkeel-hand-over': '1' }
      const error = await answering((_, response) => response.writeHead(200, headers).end(body))
      expect(error.code).toBe('HAND_OVER_UNCLEAR')
    },
  )

  it('that hangs up is unclear', async () => {
    expect(await answering((asked: IncomingMessage) => asked.socket.destroy())).toMatchObject({
      code: 'HAND_OVER_UNCLEAR',
    })
  })

  it('that is not there has taken nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const taker = httpTaker<Note>({ url: `http://127.0.0.1:${port}`, secret })
    expect(await failure(taker.take(tea, { key: '1', signal: noEnd }))).toMatchObject({
      code: 'NOT_TAKEN',
      taker: `127.0.0.1:${port}`,
      message: expect.stringContaining('ECONNREFUSED') as string,
    })
  })

  it('gets no event that is no plain data', async () => {
    const { taker } = await deputy()
    const circle: { text: string; self?: unknown } = { text: 'buy tea' }
    circle.self = circle
    const error = await failure(taker.take(circle, { key: '1', signal: noEnd }))
    expect(error).toMatchObject({ code: 'NOT_TAKEN', message: expect.stringContaining('no plain data') as string })
  })
})

describe('a deputy in a process of its own', () => {
  async function start() {
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--conditions=@evenkeel/source',
        fileURLToPath(new URL('../test-support/deputy-child.ts', import.meta.url)),
      ],
      { env: { ...process.env, SECRET: secret }, stdio: ['ignore', 'pipe', 'inherit'] },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const line = async (): Promise<string> => String((await lines.next()).value)
    const port = (await line()).replace('port ', '')
    const taker = httpTaker<Note, string>({ url: `http://127.0.0.1:${port}`, secret, name: 'deputy' })
    const save = async (_note: Note): Promise<string> => {
      throw new Error('the database is away')
    }
    const key = ({ text }: Note): string => text
    const note = guard('notes', save, { fallback: [handOver(taker, { key, timeoutMs: 20_000 }), () => 'later'] })
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    return { child, taker, note, line, kill, port }
  }

  it('serves, and when it is gone the next fallback does', async () => {
    const { note, line, kill } = await start()
    expect(await note(tea)).toBe('noted buy tea')
    expect(await line()).toBe('begun buy tea')
    expect(await note.drill(tea)).toMatchObject({ works: true })
    await kill()
    expect(await note(tea)).toBe('later')
    expect(await note.drill(tea)).toMatchObject({ works: false, steps: [{ works: false }, { works: true }] })
  })

  it('that is killed at work leaves it unclear, and nobody else answers', async () => {
    const { note, line, kill } = await start()
    const lost = failure(note({ text: 'hang' }))
    expect(await line()).toBe('begun hang')
    await kill()
    expect(await lost).toMatchObject({
      code: 'FALLBACK_FAILED',
      applied: 'unknown',
      cause: { code: 'HAND_OVER_UNCLEAR' },
    })
  })

  it('that is frozen is waited for until the time is up', async () => {
    const { child, taker, port } = await start()
    child.kill('SIGSTOP')
    const clock = new FakeClock()
    const note = guard('notes', (_note: Note): Promise<unknown> => Promise.reject(new Error('away')), {
      clock,
      fallback: [handOver(taker, { key: () => '1' }), () => 'later'],
    })
    const lost = failure(note(tea))
    // It is in the hands of the system there, which takes connections for a process that does not.
    const probe = connect(Number(port), '127.0.0.1')
    await once(probe, 'connect')
    probe.destroy()
    await clock.advance(2_000)
    expect(await lost).toMatchObject({ applied: 'unknown', cause: { code: 'TIMEOUT' } })
  })
})

it('options that make no sense are refused, with the remedy, and without the secret', () => {
  const url = 'http://127.0.0.1:4100'
  const handle = (): void => {}
  const wrong: [() => unknown, string][] = [
    [() => httpTaker({ url: 'deputy:4100', secret }), 'needs a url that begins with http'],
    [() => httpTaker({ url: 'http://bot:hunter2@host', secret }), 'holds a password; give the secret as secret'],
    [() => httpTaker({ url, secret: 'short' }), 'must have 16 characters or more'],
    [() => httpTaker({ url, secret: 'with spaces and more' }), 'visible ASCII'],
    [() => httpTaker({ url } as never), 'needs a secret'],
    [() => httpTaker({ url, secret, port: 1 } as never), 'cannot have "port"'],
    [() => takeEvents({ secret } as never), 'needs handle'],
    [() => takeEvents({ secret: 'short', handle }), 'must have 16 characters or more'],
    [() => takeEvents({ secret, handle, timeoutMs: 0 }), 'timeoutMs of takeEvents'],
    [() => takeEvents({ secret, handle, rememberMs: -1 }), 'rememberMs of takeEvents'],
    [() => takeEvents({ secret, handle, maxRemembered: 0 }), 'maxRemembered of takeEvents is 0'],
    [() => takeEvents({ secret, handle, maxBytes: 1.5 }), 'maxBytes of takeEvents is 1.5'],
    [() => takeEvents({ secret, handle, onError: 1 as never }), 'onError must be a function'],
  ]
  for (const [make, words] of wrong) {
    expect(make).toThrow(words)
    expect(make).not.toThrow(/hunter2|short$/)
  }
})
