import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createTerminus } from '@godaddy/terminus'
import underPressure from '@fastify/under-pressure'
import fastify from 'fastify'
import { HealthMonitor } from '@evenkeel/health-monitor'
import { healthHandler } from '@evenkeel/health-monitor/http'

// The program of a process that answers one health request in one way, and tells how much processor time it has used.

const BODY = Buffer.from('{"ready":true,"status":"up"}\n')

const bare: RequestListener = (_request, response) => {
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(BODY.length),
    'cache-control': 'no-store',
  })
  response.end(BODY)
}

const servers = {
  bare: async () => createServer(bare),
  async evenkeel() {
    const checks = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`check-${index}`, { check: () => true }]),
    )
    const health = new HealthMonitor({ checks })
    await health.start()
    await health.checkNow()
    return createServer(healthHandler(health))
  },
  async terminus() {
    return createTerminus(createServer(bare), { healthChecks: { '/ready': async () => ({ up: true }) } })
  },
  async 'under-pressure'() {
    const app = fastify()
    await app.register(underPressure, { exposeStatusRoute: '/ready' })
    await app.ready()
    return app.server
  },
} satisfies Readonly<Record<string, () => Promise<Server>>>

/** A way to answer. */
export type ServerName = keyof typeof servers

const server = await servers[process.argv[2] as ServerName]()
// Each waits until the others have had their turn.
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuUs: user + system })
})
