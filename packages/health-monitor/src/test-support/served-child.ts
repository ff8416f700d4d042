import { Agent, get } from 'node:http'
import { HealthServer, LiveServer } from '../http.js'
import { HealthMonitor } from '../index.js'
import { Metrics, ProcessMetrics } from '../metrics.js'

/** Serves and records, is asked over connections that stay open, and has nothing else to do: it must end by itself. */
const metrics = new Metrics()
metrics.histogram('bot_reply', { help: 'Replies.' }).observe(5)
const numbers = new ProcessMetrics()
const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
const limits = { port: 0, host: '127.0.0.1', keepAliveMs: 600_000 }
const server = new HealthServer(health, { ...limits, metrics: [metrics, numbers] })
const live = new LiveServer(limits)
for (const part of [health, numbers, server, live]) await part.start()

const agent = new Agent({ keepAlive: true })
for (const { port } of [server, live]) {
  get({ port, host: '127.0.0.1', path: '/live', agent }, (response) => console.log(response.resume().statusCode))
}
