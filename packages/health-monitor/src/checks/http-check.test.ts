import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { HealthMonitor } from '../health-monitor.js'
import { httpCheck } from './http-check.js'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/health?token=secret`
}

const { signal } = new AbortController()

describe('a service that answers', () => {
  it.each([
    { answers: 200, expectStatus: undefined, status: 'up', reason: '127.0.0.1 answered 200' },
    { answers: 204, expectStatus: undefined, status: 'up', reason: '127.0.0.1 answered 204' },
    { answers: 503, expectStatus: undefined, status: 'down', reason: '127.0.0.1 answered 503' },
    { answers: 401, expectStatus: 401, status: 'up', reason: '127.0.0.1 answered 401' },
    { answers: 200, expectStatus: 401, status: 'down', reason: '127.0.0.1 answered 200 instead of 401' },
  ])('$answers when $expectStatus is expected is $status', async ({ answers, expectStatus, status, reason }) => {
    const url = await serve((_request, response) => response.writeHead(answers).end())
    const check = httpCheck(url, expectStatus === undefined ? {} : { expectStatus })
    expect(await check(signal)).toEqual({ status, reason })
  })

  it('is not read to its end, and its connection is let go', async () => {
    let isClosed = false
    const url = await serve((_request, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      }
      response.writeHead(200).on('drain', pour)
      response.on('close', () => (isClosed = true))
      pour()
    })
    expect(await httpCheck(new URL(url))(signal)).toMatchObject({ status: 'up' })
    await expect.poll(() => isClosed).toBe(true)
  })
})

describe('a redirect', () => {
  const toLogin = (to: string): Parameters<typeof serve>[0] => {
    return (request, response) => {
      if (request.url === '/login') response.writeHead(200).end()
      else response.writeHead(302, { location: to }).end()
    }
  }

  it('is followed, and the reason says to which other host', async () => {
    const elsewhere = await serve((_request, response) => response.writeHead(200).end())
    const { status, reason } = (await httpCheck(await serve(toLogin(elsewhere)))(signal)) as {
      status: string
      reason: string
    }
    expect(status).toBe('up')
    expect(reason).toBe(`127.0.0.1 answered 200 by way of ${new URL(elsewhere).host}`)
    expect(await httpCheck(await serve(toLogin('/login')))(signal)).toEqual({
      status: 'up',
      reason: '127.0.0.1 answered 200',
    })
  })

  it('is not followed when it is what is expected', async () => {
    const check = httpCheck(await serve(toLogin('/login')), { expectStatus: 302 })
    expect(await check(signal)).toEqual({ status: 'up', reason: '127.0.0.1 answered 302' })
  })

  it('in a circle is down', async () => {
    const health = new HealthMonitor({ checks: { api: { check: httpCheck(await serve(toLogin('/again'))) } } })
    expect(await health.check('api')).toMatchObject({
      status: 'down',
      reason: expect.stringContaining('redirect') as string,
    })
  })
})

it('sends its headers, but to no other host', async () => {
  const seen: (string | undefined)[] = []
  const elsewhere = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(200).end()
  })
  const url = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(307, { location: elsewhere.replace('127.0.0.1', 'localhost') }).end()
  })
  await httpCheck(url, { headers: { Authorization: 'Bearer secret' } })(signal)
  expect(seen).toEqual(['Bearer secret', undefined])
})

it('says nothing of a header that it refuses', () => {
  const refused = (): unknown => httpCheck('https://example.com/', { headers: { authorization: 'secret\nword' } })
  expect(refused).toThrow('httpCheck: headers must be names and values as HTTP allows them')
})

it('leaves no connection behind, however often it looks', async () => {
  let open = 0
  const url = await serve((_request, response) => response.writeHead(200).end('x'.repeat(1_000_000)))
  servers.at(-1)?.on('connection', (socket) => {
    open++
    socket.on('close', () => open--)
  })
  for (let look = 0; look < 40; look++) await httpCheck(url)(signal)
  await expect.poll(() => open).toBeLessThanOrEqual(3)
})

describe('a service that does not', () => {
  it('is down, and the reason names the network error', async () => {
    const url = await serve(() => {})
    const server = servers.pop()
    await new Promise((resolve) => server?.close(resolve))
    const health = new HealthMonitor({ checks: { api: { check: httpCheck(url) } } })
    const { status, reason } = await health.check('api')
    expect(status).toBe('down')
    expect(reason).toMatch(/fetch failed: .*ECONNREFUSED/)
    expect(reason).not.toContain('secret')
  })

  it('is given up at the deadline, and the connection with it', async () => {
    let isClosed = false
    const url = await serve((request) => void request.socket.on('close', () => (isClosed = true)))
    const health = new HealthMonitor({ checks: { api: { check: httpCheck(url), timeoutMs: 100 } } })
    expect((await health.check('api')).reason).toContain('No answer within 100 ms')
    await expect.poll(() => isClosed).toBe(true)
  })
})

it.each([
  ['no address', 'example', {}, TypeError],
  ['another protocol', 'ftp://example.com/', {}, TypeError],
  ['a password', 'https://me:secret@example.com/', {}, TypeError],
  ['a status that is none', 'https://example.com/', { expectStatus: 99 }, RangeError],
  ['an option that it does not have', 'https://example.com/', { timeoutMs: 500 }, TypeError],
])('refuses %s', (_what, url, options, kind) => {
  expect(() => httpCheck(url, options as never)).toThrow(kind)
})
