import { type AddressInfo, createServer, type Server } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { HealthMonitor } from '../health-monitor.js'
import { look } from '../test-support/look.js'
import { tcpCheck } from './tcp-check.js'

async function listen(server: Server = createServer()): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

it('is up when something accepts connections, and closes its own at once', async () => {
  const closed = new Promise((resolve) => {
    const server = createServer((socket) =>
      socket
        .on('close', resolve)
        .on('error', () => {})
        .resume(),
    )
    void listen(server).then(async (port) => {
      expect(await look(tcpCheck({ port }))).toEqual({
        status: 'up',
        reason: `127.0.0.1 accepts connections at port ${port}`,
      })
    })
  })
  await closed
})

it('is down when nothing listens, and names the error', async () => {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  const { status, reason } = await look(tcpCheck({ port }))
  expect(status).toBe('down')
  expect(reason).toMatch(/ECONNREFUSED/)
})

it('is given up at the deadline', async () => {
  // Addresses for documentation (RFC 5737) lead nowhere, or are refused at once where there is no way out.
  const checks = { cache: { check: tcpCheck({ host: '192.0.2.1', port: 6379 }), timeoutMs: 100 } }
  const { status } = await new HealthMonitor({ checks }).check('cache')
  expect(status).toBe('down')
})

it('does not connect at all when it was given up before', async () => {
  let connections = 0
  const port = await listen(createServer(() => connections++))
  expect((await look(tcpCheck({ port }), AbortSignal.abort())).status).toBe('down')
  expect((await look(tcpCheck({ port }))).status).toBe('up')
  await expect.poll(() => connections).toBe(1)
})

it.each([
  [undefined, TypeError],
  [{}, TypeError],
  [{ port: '80' }, TypeError],
  [{ port: 0 }, RangeError],
  [{ port: 65_536 }, RangeError],
  [{ port: 80, host: '' }, TypeError],
  [{ port: 80, timeoutMs: 5 }, TypeError],
])('refuses %o', (options, kind) => {
  expect(() => tcpCheck(options as never)).toThrow(kind)
})
