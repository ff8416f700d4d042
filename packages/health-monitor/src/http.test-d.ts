import { createServer } from 'node:http'
import { healthFetch, healthHandler, HealthServer, LiveServer, Readiness } from './http.js'
import { HealthMonitor } from './index.js'
import { logAll, type Part, type Readiness as PartReadiness, runUntilSignal } from './lifecycle.js'
import { healthMetrics, Metrics, ProcessMetrics } from './metrics.js'

const health = new HealthMonitor({ checks: { disk: { check: () => true } } })

// As in the sketch of all packages.
createServer(healthHandler(health)).listen(8080)
// A middleware, as Express and Connect call it.
const middleware: (request: never, response: never, next: (error?: unknown) => void) => void = healthHandler(health)
// What Bun, Deno and Hono call.
const answer: (request: Request) => Response | Promise<Response> = healthFetch(health)
export const handlers = [middleware, answer]

// All of them are parts, and what they say can be logged.
const server = new HealthServer(health, {
  port: 8080,
  metrics: [new Metrics(), new ProcessMetrics(), healthMetrics(health)],
})
const live = new LiveServer({ port: 8081 })
const parts: Part[] = [live, server, new ProcessMetrics(), health]
const readiness: PartReadiness = new Readiness()
void runUntilSignal(parts)
logAll(console, live, health)
export { readiness }

// @ts-expect-error a port is needed
new HealthServer(health, {})
// @ts-expect-error numbers are not health
healthHandler(new Metrics())
// @ts-expect-error a decision cannot wait
healthHandler(health, { isAllowed: async () => true })
