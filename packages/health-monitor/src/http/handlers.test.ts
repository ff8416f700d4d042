import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FakeClock } from '@evenkeel/testing'
import { EventEmitter } from 'eventemitter3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HealthMonitor } from '../health-monitor.js'
import { Metrics } from '../metrics/metrics.js'
import { healthFetch, healthHandler } from './handlers.js'
import type { HealthHandlerOptions, ShownComponent, ShownHealth } from './options.js'
import { Readiness } from './readiness.js'

/** Health as the test says. */
class Patient extends EventEmitter<'change'> implements ShownHealth {
  #status = 'up'
  looks = 0
  components = new Map<string, ShownComponent>([['db', { status: 'up', reason: 'ok', since: 5 }]])

  get status(): string {
    this.looks++
    return this.#status
  }

  becomes(status: string): void {
    this.#status = status
    this.emit('change')
  }

  becomesInSilence(status: string): void {
    this.#status = status
  }
}

const TOKEN = 'correct-horse-battery-staple'

let servers: Server[]
let patient: Patient

beforeEach(() => {
  servers = []
  patient = new Patient()
})

afterEach(async () => {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
})

type Ask = (path: string, init?: RequestInit) => Promise<Response>

/** Both forms: what is true of one is true of the other. */
const FORMS: Readonly<Record<string, (health: ShownHealth, options?: HealthHandlerOptions) => Promise<Ask>>> = {
  async healthHandler(health, options) {
    const server = createServer(healthHandler(health, options))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return (path, init) => fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' }, ...init })
  },
  async healthFetch(health, options) {
    const answer = healthFetch(health, options)
    return async (path, init) => answer(new Request(`http://bot${path}`, init))
  },
}

const authorized = (token = TOKEN) => ({ headers: { authorization: `Bearer ${token}`, connection: 'close' } })

describe.each(Object.entries(FORMS))('%s', (_, serve) => {
  /** What is said of a path, in short. */
  async function says(ask: Ask, path: string, init?: RequestInit) {
    const response = await ask(path, init)
    const text = await response.text()
    return [response.status, text === '' ? '' : (JSON.parse(text) as unknown)]
  }

  it.each([
    ['up', 200, true],
    ['degraded', 200, true],
    ['down', 503, false],
    ['unknown', 503, false],
  ])('says of health that is %s: ready %i', async (status, code, ready) => {
    const ask = await serve(patient)
    patient.becomes(status)
    expect(await says(ask, '/ready')).toEqual([code, { ready, status }])
    expect(await says(ask, '/health')).toEqual([code, { status }])
    expect(await says(ask, '/live')).toEqual([200, { status: 'up' }])
  })

  it('is never ready once readiness is off, however healthy it is', async () => {
    const readiness = new Readiness()
    const ask = await serve(patient, { readiness })
    expect(await says(ask, '/startup')).toEqual([503, { started: false }])
    expect(await says(ask, '/ready')).toEqual([503, { ready: false, status: 'up' }])
    readiness.on()
    expect(await says(ask, '/startup')).toEqual([200, { started: true }])
    expect(await says(ask, '/ready')).toEqual([200, { ready: true, status: 'up' }])
    readiness.off()
    expect(await says(ask, '/startup')).toEqual([200, { started: true }])
    expect(await says(ask, '/ready')).toEqual([503, { ready: false, status: 'up' }])
    expect(await says(ask, '/live')).toEqual([200, { status: 'up' }])
  })

  it('has started when it was healthy once, without readiness to say so', async () => {
    const ask = await serve(patient)
    patient.becomes('unknown')
    expect((await ask('/startup')).status).toBe(503)
    patient.becomes('degraded')
    expect((await ask('/startup')).status).toBe(200)
    patient.becomes('down')
    expect((await ask('/startup')).status).toBe(200)
  })

  it('has started also when it was healthy only while nobody asked', async () => {
    patient.becomes('unknown')
    const ask = await serve(patient)
    patient.becomes('up')
    patient.becomes('down')
    expect((await ask('/startup')).status).toBe(200)
  })

  it('tells strangers the status alone, and who shows the token the rest', async () => {
    const ask = await serve(patient, { token: TOKEN })
    patient.components.set('__proto__', { status: 'down', reason: '<b>"no"</b>', since: 7, critical: false })
    for (const init of [
      undefined,
      authorized('wrong-token-of-some-length'),
      authorized(TOKEN.slice(0, -1)),
      authorized(`${TOKEN}x`),
      { headers: { authorization: `Basic ${TOKEN}` } },
      { headers: { authorization: `Basic Bearer ${TOKEN}` } },
      { headers: { authorization: `Bearer ${TOKEN} ${TOKEN}` } },
      { headers: { authorization: TOKEN } },
      { headers: { authorization: 'Bearer ' } },
    ]) {
      expect(await says(ask, '/health', init)).toEqual([200, { status: 'up' }])
    }
    const [status, details] = await says(ask, '/health', authorized())
    expect(status).toBe(200)
    expect(JSON.stringify(details)).toBe(
      '{"status":"up","ready":true,"components":{"db":{"status":"up","reason":"ok","since":5},' +
        '"__proto__":{"status":"down","reason":"<b>\\"no\\"</b>","since":7,"critical":false}}}',
    )
  })

  it('lets a function decide, and takes a failure, a promise or a maybe for no', async () => {
    const allowed = await serve(patient, { isAllowed: ({ header }) => header('x-who') === 'operator' })
    expect(await says(allowed, '/health')).toEqual([200, { status: 'up' }])
    expect(await says(allowed, '/health', { headers: { 'x-who': 'operator' } })).toMatchObject([200, { ready: true }])
    const answers: (() => unknown)[] = [
      () => {
        throw new Error('broken')
      },
      async () => true,
      () => 1,
    ]
    for (const isAllowed of answers) {
      const ask = await serve(patient, { isAllowed: isAllowed as () => boolean })
      expect(await says(ask, '/health')).toEqual([200, { status: 'up' }])
    }
  })

  it('ignores queries, and answers for no other path', async () => {
    const ask = await serve(patient)
    expect((await ask('/ready?x=1')).status).toBe(200)
    expect((await ask('/live?')).status).toBe(200)
    for (const path of ['/', '/ready/', '/Ready', '/readyx', '/%72eady', '//ready', '/constructor', '/metrics']) {
      expect(await says(ask, path)).toEqual([404, { error: 'not found' }])
    }
  })

  it('answers HEAD without a body and OPTIONS with what there is; other methods are refused and run nothing', async () => {
    const ask = await serve(patient)
    const head = await ask('/ready', { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '29', ''])
    const options = await ask('/health', { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const response = await ask('/health', { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
    }
  })

  it('lets nothing in between answer for it', async () => {
    const ask = await serve(patient, { metrics: [new Metrics()] })
    for (const path of ['/live', '/ready', '/startup', '/health', '/metrics', '/nothing']) {
      expect((await ask(path)).headers.get('cache-control')).toBe('no-store')
    }
  })

  it('serves metrics in the format that is asked for, and with a token to no stranger', async () => {
    const metrics = new Metrics()
    metrics.counter('bot_replies', { help: 'Replies.' }).add(4)
    const open = await serve(patient, { metrics: [metrics] })
    const page = await open('/metrics')
    expect(page.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await page.text()).toContain('\nbot_replies_total 4\n')
    const newer = await open('/metrics', { headers: { accept: 'application/openmetrics-text' } })
    expect(newer.headers.get('content-type')).toMatch(/^application\/openmetrics-text/)
    const closed = await serve(patient, { metrics: [metrics], token: TOKEN })
    const refused = await closed('/metrics')
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect((await closed('/metrics', authorized())).status).toBe(200)
  })

  it('has its paths where they are wanted', async () => {
    const ask = await serve(patient, { prefix: '/bot', paths: { live: '/healthz', startup: false } })
    expect((await ask('/bot/healthz')).status).toBe(200)
    expect((await ask('/bot/ready')).status).toBe(200)
    for (const path of ['/healthz', '/bot/live', '/bot/startup']) expect((await ask(path)).status).toBe(404)
  })

  it('does not look at the health for each request, only when it has changed or after a second', async () => {
    const clock = new FakeClock()
    const ask = await serve(patient, { clock })
    for (let request = 0; request < 20; request++) await ask('/ready')
    expect(patient.looks).toBe(1)
    patient.becomes('down')
    expect((await ask('/ready')).status).toBe(503)
    expect(patient.looks).toBe(2)
    patient.becomesInSilence('up')
    expect((await ask('/ready')).status).toBe(503)
    await clock.advance(1_000)
    expect((await ask('/ready')).status).toBe(200)
  })

  it('does not stay green when the monitor was stopped and its statuses have grown old', async () => {
    const clock = new FakeClock()
    const health = new HealthMonitor({ checks: { db: { check: () => true } }, clock })
    const ask = await serve(health, { clock, token: TOKEN })
    expect(await says(ask, '/ready')).toEqual([503, { ready: false, status: 'unknown' }])
    await health.start()
    await health.checkNow()
    expect((await ask('/ready')).status).toBe(200)
    expect(await says(ask, '/health', authorized())).toMatchObject([
      200,
      { components: { db: { status: 'up', reason: 'ok' } } },
    ])
    await health.stop()
    await clock.advance(60_000)
    expect(await says(ask, '/ready')).toEqual([503, { ready: false, status: 'unknown' }])
  })
})

describe('another handler', () => {
  it('gets what is not ours', async () => {
    const ours = healthHandler(patient)
    const server = createServer((request, response) => ours(request, response, () => response.end('the bot')))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
    expect(await (await ask('/command')).text()).toBe('the bot')
    expect((await ask('/live')).status).toBe(200)

    const answer = healthFetch(patient)
    const bot = async () => new Response('the bot')
    expect(await (await answer(new Request('http://bot/command'), bot)).text()).toBe('the bot')
    // Bun's second parameter is its server.
    expect((await answer(new Request('http://bot/command'), { port: 80 })).status).toBe(404)
  })
})

describe('options', () => {
  it.each<[object, string]>([
    [{ token: 'short' }, '16 characters'],
    [{ token: 'with a space in the middle' }, 'visible ASCII'],
    [{ token: TOKEN, isAllowed: () => true }, 'not both'],
    [{ isAllowed: true }, 'must be a function'],
    [{ prefix: 'bot' }, 'prefix'],
    [{ prefix: '/bot/' }, 'prefix'],
    [{ paths: { ready: '/live' } }, 'two pages'],
    [{ paths: { alive: '/x' } }, 'no option "alive"'],
    [{ paths: { live: '/x?y' } }, 'paths.live'],
    [{ port: 80 }, 'no option "port"'],
    [{ metrics: [{}] }, 'collect()'],
    [{ readiness: {} }, 'readiness'],
  ])('that cannot be honoured are refused: %j', (options, message) => {
    expect(() => healthHandler(patient, options)).toThrow(message)
    expect(() => healthFetch(patient, options)).toThrow(message)
  })

  it('need a health', () => {
    expect(() => healthHandler({ status: 'up' } as never)).toThrow('give a HealthMonitor')
    expect(() => healthHandler(undefined as never)).toThrow('give a HealthMonitor')
  })
})
