import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EventEmitter } from 'eventemitter3'
import { afterEach, describe, expect, it } from 'vitest'
import { runUntilSignal } from '../run-until-signal.js'
import { HealthServer, type HealthServerOptions } from './health-server.js'
import { ListenError } from './http-errors.js'
import { LiveServer } from './live-server.js'
import { Readiness } from './readiness.js'

const run = promisify(execFile)

const running: HealthServer[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

function makeServer(options: Partial<HealthServerOptions> = {}): HealthServer {
  const health = Object.assign(new EventEmitter<'change'>(), { status: 'up', components: new Map() })
  const server = new HealthServer(health, { port: 0, host: '127.0.0.1', ...options })
  running.push(server)
  return server
}

async function statusOf(server: HealthServer, path: string, agent = new Agent()): Promise<number | undefined> {
  const [response] = (await once(get({ port: server.port, host: '127.0.0.1', path, agent }), 'response')) as [
    IncomingMessage,
  ]
  response.resume()
  await once(response, 'end')
  return response.statusCode
}

/** A connection, and all that came over it when it has ended. */
async function connection(server: HealthServer): Promise<{ socket: Socket; ended: Promise<string> }> {
  const socket = connect(server.port ?? 0, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  socket.on('error', () => {})
  const ended = once(socket, 'close').then(() => text)
  await once(socket, 'connect')
  return { socket, ended }
}

describe('a health server', () => {
  it('serves between start and stop, both of which may be called twice', async () => {
    const server = makeServer()
    expect(server.port).toBeUndefined()
    await Promise.all([server.start(), server.start()])
    const { port } = server
    await server.start()
    expect(server.port).toBe(port)
    expect(await statusOf(server, '/ready')).toBe(200)
    await Promise.all([server.stop(), server.stop()])
    await server.stop()
    expect(server.port).toBeUndefined()
    expect(server.readiness.isOn).toBe(false)
    await server.start()
    expect(await statusOf(server, '/ready')).toBe(200)
  })

  it('says which port another program has', async () => {
    const first = makeServer()
    await first.start()
    const second = makeServer({ port: first.port ?? 0 })
    const error: unknown = await second.start().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ListenError)
    expect(error).toMatchObject({ code: 'PORT_TAKEN', retryable: true, port: first.port, host: '127.0.0.1' })
    expect(String(error)).toContain(`Another program has port ${first.port}`)
    await first.stop()
    await second.start()
    expect(await statusOf(second, '/live')).toBe(200)
  })

  it('says why it cannot listen otherwise', async () => {
    const server = makeServer({ host: '192.0.2.1' })
    await expect(server.start()).rejects.toMatchObject({ code: 'LISTEN_FAILED', retryable: false })
  })

  it('closes connections that are kept open when it stops', async () => {
    const server = makeServer({ keepAliveMs: 600_000 })
    await server.start()
    const agent = new Agent({ keepAlive: true })
    expect(await statusOf(server, '/live', agent)).toBe(200)
    const beganMs = performance.now()
    await server.stop()
    expect(performance.now() - beganMs).toBeLessThan(900)
    agent.destroy()
  })

  it('does not wait long for a request that never ends', async () => {
    const server = makeServer()
    await server.start()
    const { socket, ended } = await connection(server)
    socket.write('GET /live HTTP/1.1\r\nhost: bot\r\n')
    // The other one has been served, so this one has been read.
    await statusOf(server, '/live')
    await server.stop()
    expect(await ended).toBe('')
  })

  it('closes a connection on which nothing, or too little, is said', async () => {
    const server = makeServer({ requestTimeoutMs: 200 })
    await server.start()
    const silent = await connection(server)
    const slow = await connection(server)
    slow.socket.write('GET /live HTTP/1.1\r\nhost: bot\r\n')
    expect(await slow.ended).toContain('408')
    expect(await silent.ended).toContain('408')
  })

  it('closes a connection that is idle after an answer', async () => {
    const server = makeServer({ keepAliveMs: 1_000 })
    await server.start()
    const { socket, ended } = await connection(server)
    socket.write('GET /live HTTP/1.1\r\nhost: bot\r\n\r\n')
    expect(await ended).toMatch(/200 OK[^]*\r\nkeep-alive: timeout=1\r\n/i)
  })

  it('closes a connection of somebody who asks, and does not read what is answered', async () => {
    const long = {
      name: 'long',
      help: 'x'.repeat(50_000_000),
      type: 'gauge',
      samples: [{ labels: {}, value: 1 }],
    } as const
    const server = makeServer({ requestTimeoutMs: 100, maxConnections: 1, metrics: [{ collect: () => [long] }] })
    await server.start()
    const { socket, ended } = await connection(server)
    socket.pause().write('GET /metrics HTTP/1.1\r\nhost: bot\r\n\r\n')
    await expect.poll(() => statusOf(server, '/live').catch(() => 'refused'), { timeout: 5_000 }).toBe(200)
    socket.resume()
    expect((await ended.catch(() => '')).length).toBeLessThan(50_000_000)
  })

  it('takes no more of a header than a probe sends', async () => {
    const server = makeServer()
    await server.start()
    const { socket, ended } = await connection(server)
    socket.write(`GET /live HTTP/1.1\r\nhost: bot\r\nx: ${'x'.repeat(9_000)}\r\n\r\n`)
    expect(await ended).toContain('431')
  })

  it('answers whoever writes the whole address, as to a proxy', async () => {
    const server = makeServer()
    await server.start()
    expect(await statusOf(server, 'http://bot:8080/ready?x=1')).toBe(200)
    expect(await statusOf(server, 'http://bot')).toBe(404)
    expect(await statusOf(server, 'http://bot/other?http://bot/ready')).toBe(404)
  })

  it('has its limits also where an option says undefined', async () => {
    const open = { requestTimeoutMs: undefined, keepAliveMs: undefined, maxConnections: undefined, host: undefined }
    const server = makeServer(open as never)
    await server.start()
    expect(await statusOf(server, '/ready')).toBe(200)
    const live = new LiveServer({ port: 0, path: undefined, liveAfterMs: undefined, ...open } as never)
    await live.start()
    await live.stop()
  })

  it('has no more connections than allowed, and 100 unless told', async () => {
    const usual = makeServer({ maxConnections: undefined as never })
    await usual.start()
    const many = await Promise.all(Array.from({ length: 101 }, () => connection(usual)))
    expect(await Promise.race(many.map(({ ended }) => ended))).toBe('')
    await Promise.all(many.map(({ socket, ended }) => (socket.destroy(), ended)))

    const server = makeServer({ maxConnections: 2 })
    await server.start()
    const [first, second] = [await connection(server), await connection(server)]
    const third = await connection(server)
    expect(await third.ended).toBe('')
    first.socket.destroy()
    second.socket.destroy()
    await Promise.all([first.ended, second.ended])
  })

  it('is a part that says 503 while the others drain', async () => {
    const server = makeServer()
    const seen: unknown[] = []
    const end = new AbortController()
    const bot = {
      name: 'bot',
      start: async () => void seen.push(await statusOf(server, '/ready')),
      drain: async () => void seen.push(await statusOf(server, '/ready'), await statusOf(server, '/live')),
      stop: async () => void seen.push(await statusOf(server, '/ready')),
    }
    const last = { name: 'last', start: () => end.abort() }
    const report = await runUntilSignal([server, bot, last], { signal: end.signal })
    expect(seen).toEqual([200, 503, 200, 503])
    expect(report.stopped).toEqual(['bot', 'HealthServer'])
  })

  it('keeps no process alive, nor does a connection that stays open, a live server, or a recorder', async () => {
    const program = fileURLToPath(new URL('../test-support/served-child.ts', import.meta.url))
    const parameters = ['--import', 'tsx', '--conditions=@evenkeel/source', program]
    const { stdout, stderr } = await run(process.execPath, parameters, { timeout: 15_000 })
    expect([stdout, stderr]).toEqual(['200\n200\n', ''])
  })

  it('waits for a readiness that is handed in', async () => {
    const readiness = new Readiness()
    const server = makeServer({ readiness })
    await server.start()
    expect(await statusOf(server, '/startup')).toBe(503)
    readiness.on()
    expect(await statusOf(server, '/startup')).toBe(200)
  })

  it.each<[object, string]>([
    [{ port: -1 }, 'port'],
    [{ port: 65_536 }, 'port'],
    [{ port: '8080' }, 'port'],
    [{ host: '' }, 'host'],
    [{ requestTimeoutMs: 5 }, 'requestTimeoutMs'],
    [{ maxConnections: 0 }, 'maxConnections'],
    [{ timeoutMs: 5 }, 'no option "timeoutMs"'],
  ])('refuses %j', (options, message) => {
    expect(() => makeServer(options)).toThrow(message)
  })
})
