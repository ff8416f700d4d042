import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as pass } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LiveChange, LiveServer } from './live-server.js'
import type { LiveThread } from './live-thread.js'

const children: ChildProcess[] = []
const running: LiveServer[] = []

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

function run(server: LiveServer): LiveServer {
  running.push(server)
  return server
}

/** A real process with a live server, and what it says, line by line. */
async function startChild(...parameters: string[]) {
  const program = fileURLToPath(new URL('../test-support/live-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=@evenkeel/source', program, ...parameters], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const heard = async () =>
    JSON.parse(((await lines.next()).value as string | undefined) ?? '{}') as Record<string, number>
  const { port = 0 } = await heard()
  return { child, heard, port }
}

async function statusOf(port: number | undefined, path = '/live', method = 'GET'): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: 'close' } })
  await response.arrayBuffer()
  return response.status
}

/** Asks again and again, until somebody says that it is enough. */
async function statusesOf(port: number, isEnough: (status: number) => boolean): Promise<number[]> {
  const statuses: number[] = []
  do statuses.push(await statusOf(port))
  while (!isEnough(statuses.at(-1) ?? 0) && (await pass(10, true)))
  return statuses
}

describe('a process that blocks its own event loop', () => {
  // How soon after `liveAfterMs` is a figure of `pnpm bench health-live`.
  it('is told to be dead after liveAfterMs, while it is still blocked, and alive once it goes on', async () => {
    const { child, heard, port } = await startChild('block', '6000', '3000')
    child.stdin?.write('now')
    const { blockedAt = NaN } = await heard()
    let isOver = false
    const over = heard().then(() => (isOver = true))
    const before = await statusesOf(port, (status) => status === 503)
    expect(isOver).toBe(false)
    expect(Date.now() - blockedAt).toBeGreaterThan(2_750)
    expect(new Set(before)).toEqual(new Set([200, 503]))
    await over
    const after = await statusesOf(port, (status) => status === 200)
    expect(after.at(-1)).toBe(200)
  }, 60_000)

  it('is told to be dead to the first who asks, though nobody has asked before', async () => {
    const { child, heard, port } = await startChild('blockTwice', '6000', '1500')
    child.stdin?.write('now')
    await heard()
    let isOver = false
    const over = heard().then(() => (isOver = true))
    expect(await statusOf(port)).toBe(503)
    expect(isOver).toBe(false)
    await over
  }, 60_000)

  it('is alive all through a pause of 2 s', async () => {
    const { child, heard, port } = await startChild('block', '2000')
    child.stdin?.write('now')
    await heard()
    let isOver = false
    void heard().then(() => (isOver = true))
    expect(new Set(await statusesOf(port, () => isOver))).toEqual(new Set([200]))
  })
})

describe('a process that is suspended while it blocks', () => {
  it('is alive: time in which the thread did not run either is no silence', async () => {
    const { child, heard, port } = await startChild('block', '500', '3000')
    child.stdin?.write('now')
    await heard()
    child.kill('SIGSTOP')
    await pass(4_000)
    child.kill('SIGCONT')
    let isOver = false
    void heard().then(() => (isOver = true))
    expect(new Set(await statusesOf(port, () => isOver))).toEqual(new Set([200]))
  })
})

describe('a live server', () => {
  it('keeps no process alive', async () => {
    const { child } = await startChild('end')
    const [code] = (await once(child, 'exit')) as [number | null]
    expect(code).toBe(0)
  })

  it('answers from start to stop, both of which may be called twice', async () => {
    const live = run(new LiveServer({ port: 0, host: '127.0.0.1', path: '/healthz' }))
    await Promise.all([live.start(), live.start()])
    const { port } = live
    expect(await statusOf(port, '/healthz?x')).toBe(200)
    expect(await statusOf(port, '/healthz', 'HEAD')).toBe(200)
    expect(await statusOf(port, '/healthz', 'OPTIONS')).toBe(204)
    expect(await statusOf(port, '/healthz', 'POST')).toBe(405)
    expect(await statusOf(port, '/live')).toBe(404)
    await Promise.all([live.stop(), live.stop()])
    await expect(statusOf(port, '/healthz')).rejects.toThrow()
    expect(live.port).toBeUndefined()
    await live.start()
    expect(await statusOf(live.port, '/healthz')).toBe(200)
  })

  it('says which port another program has, and may be started when it is free', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const live = run(new LiveServer({ port, host: '127.0.0.1' }))
    await expect(live.start()).rejects.toMatchObject({ name: 'ListenError', code: 'PORT_TAKEN', port })
    await new Promise((resolve) => other.close(resolve))
    await live.start()
    expect(await statusOf(port)).toBe(200)
  })

  it.each<[object, string]>([
    [{}, 'port'],
    [{ port: 0, path: 'live' }, 'path'],
    [{ port: 0, liveAfterMs: 100 }, 'liveAfterMs'],
    [{ port: 0, liveAfterMs: NaN }, 'liveAfterMs'],
    [{ port: 0, beatMs: 100 }, 'no option "beatMs"'],
  ])('refuses %j', (options, message) => {
    expect(() => new LiveServer(options as never)).toThrow(message)
  })
})

describe('a thread that ends by itself', () => {
  let clock: FakeClock
  let threads: { port: number; end: (why: string) => void; refuse: (code: string) => void; listens: () => void }[]
  let live: LiveServer
  let news: LiveChange[]

  /** A thread of which the test decides how it fares. */
  function startThread({ port }: { port: number }): LiveThread {
    let thread!: LiveThread
    const worker = { terminate: async () => 0 } as LiveThread['worker']
    const ended = new Promise<string>((end) => {
      const listening = new Promise<number>((resolve, reject) => {
        const refuse = (code: string): void => reject(Object.assign(new Error(code), { code }))
        threads.push({ port, end, refuse, listens: () => resolve(port === 0 ? 4_711 : port) })
      })
      thread = { worker, listening, ended: undefined as never }
    })
    return { ...thread, ended }
  }

  const latest = () => threads.at(-1) as (typeof threads)[number]

  beforeEach(async () => {
    clock = new FakeClock()
    threads = []
    news = []
    live = run(new LiveServer({ port: 0 }, { startThread, clock }))
    live.on('change', (change) => news.push(change))
    const started = live.start()
    latest().listens()
    await started
  })

  it('is told, and started again on the same port', async () => {
    latest().end('out of memory')
    await clock.advance(0)
    expect(news).toEqual([
      {
        what: 'live',
        from: 'up',
        to: 'down',
        at: clock.now(),
        why: 'out of memory; it is started again in 1 s',
        severity: 'WARNING',
        message: 'The live server is down: out of memory; it is started again in 1 s.',
      },
    ])
    await clock.advance(1_000)
    expect(threads.map(({ port }) => port)).toEqual([0, 4_711])
    latest().listens()
    await clock.advance(0)
    expect(news.slice(1)).toMatchObject([{ from: 'down', to: 'up', severity: 'INFO' }])
  })

  it('is started ever later when it ends again and again, and told once', async () => {
    const waits: number[] = []
    latest().end('crashed')
    for (let crash = 0; crash < 9; crash++) {
      const count = threads.length
      let waitedMs = 0
      for (await clock.advance(0); threads.length === count; waitedMs += 1_000) await clock.advance(1_000)
      waits.push(waitedMs)
      latest().refuse('EADDRINUSE')
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
    expect(news).toHaveLength(1)
  })

  it('is not started again once the server was stopped', async () => {
    latest().end('crashed')
    await clock.advance(0)
    await live.stop()
    await clock.advance(600_000)
    expect(threads).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })
})
