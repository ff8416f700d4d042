import { connect, type AddressInfo } from 'node:net'
import { createServer } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { nodeListener, serveVersionHttp } from '../slots-http.js'

async function served(fetch: (request: Request) => Response | Promise<Response>): Promise<number> {
  const server = createServer(nodeListener(fetch))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Sends bytes, and gives what comes back until the connection ends. */
function say(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

it('passes method, path, headers and body, and gives back status, headers and body', async () => {
  const port = await served(async (request) => {
    const { pathname, search } = new URL(request.url)
    const said = [request.method, pathname + search, request.headers.get('x-a'), await request.text()]
    return new Response(said.join(' '), { status: 201, headers: { 'x-b': 'c' } })
  })
  const response = await fetch(`http://127.0.0.1:${port}/p?q=1`, { method: 'POST', headers: { 'x-a': 'b' }, body: 'é' })
  expect([response.status, response.headers.get('x-b'), await response.text()]).toEqual([201, 'c', 'POST /p?q=1 b é'])
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('GET /  ')
})

it.each(['CONNECT', 'TRACE / HTTP', 'GET //'])('answers what has no web-standard form: %s', async (line) => {
  const port = await served(() => new Response('never'))
  const [method, path = '/'] = line.split(' ')
  expect(await say(port, `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)).not.toContain('never')
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('never')
})

it('shows nobody what the handler throws', async () => {
  const port = await served(() => Promise.reject(new Error('postgres://bot:secret@db')))
  const response = await fetch(`http://127.0.0.1:${port}/`)
  expect([response.status, await response.text()]).toEqual([500, ''])
})

it('answers who shows no token without taking what it sends', async () => {
  const token = 'sixteen-characters-or-more'
  const port = await served(serveVersionHttp(() => 'done', { token }))
  const length = 100_000_000
  const head = `POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n`
  expect(await say(port, `${head}${'x'.repeat(100)}`)).toMatch(/^HTTP\/1.1 401 /)
})

it('answers an event that is too long', async () => {
  const token = 'sixteen-characters-or-more'
  const port = await served(serveVersionHttp(() => 'done', { token }))
  const headers = { authorization: `Bearer ${token}`, 'evenkeel-version-protocol': '1', 'idempotency-key': '%22a%22' }
  const body = JSON.stringify({ event: 'x'.repeat(5_000_000) })
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('longer than 4194304 bytes')])
})

it('outlives a client that has gone before the answer', async () => {
  let begun = (): void => undefined
  let finish = (): void => undefined
  const isBegun = new Promise<void>((resolve) => (begun = resolve))
  const isFinished = new Promise<void>((resolve) => (finish = resolve))
  const port = await served(async () => {
    begun()
    await isFinished
    return new Response('late')
  })
  const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'))
  await isBegun
  socket.destroy()
  finish()
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('late')
})

it('refuses what is no function', () => {
  expect(() => nodeListener({} as never)).toThrow('nodeListener needs a function')
})
