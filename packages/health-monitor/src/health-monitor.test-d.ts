import { EventEmitter } from 'eventemitter3'
import { discordCheck } from './discord.js'
import { type ComponentHealth, type HealthChange, HealthMonitor, type HealthStatus, storageCheck } from './index.js'
import { logAll, runUntilSignal } from './lifecycle.js'

const health = new HealthMonitor({
  checks: {
    gateway: { check: () => true },
    database: { check: async (signal) => ({ status: 'degraded' as const, reason: String(signal.aborted) }) },
    translate: { check: async () => {}, critical: false, intervalMs: 30_000, timeoutMs: 2_000 },
  },
})

// Names are those of the checks, everywhere.
health.report('gateway', 'down', 'logged out')
const gateway: ComponentHealth | undefined = health.components.get('gateway')
health.on('change', ({ what }) => {
  const name: 'gateway' | 'database' | 'translate' | 'health' = what
  return name
})
// @ts-expect-error no such check
health.report('gatewy', 'down', 'logged out')
// @ts-expect-error no such check
health.components.get('gatewy')
// @ts-expect-error no such check
void health.check('gatewy')
// @ts-expect-error no such status
health.report('gateway', 'DOWN', 'logged out')
// @ts-expect-error no such event
health.on('error', () => {})
// @ts-expect-error the result of a ping is no outcome
new HealthMonitor({ checks: { cache: { check: async () => 'PONG' } } })
// @ts-expect-error a check cannot observe "unknown"
new HealthMonitor({ checks: { cache: { check: () => ({ status: 'unknown', reason: '' }) } } })
// @ts-expect-error it depends on a check that does not exist
new HealthMonitor({ checks: { cache: { check: () => {}, dependsOn: ['databse'] }, database: { check: () => {} } } })
// @ts-expect-error the option is called intervalMs
new HealthMonitor({ checks: { cache: { check: () => {}, interval: 10 } } })

// It is a health source, as others declare it for themselves.
interface HealthSource {
  readonly status: 'up' | 'degraded' | 'down' | 'unknown'
  readonly components: ReadonlyMap<string, { status: HealthStatus; reason: string; since: number }>
  on(event: 'change', listener: (change: { what: string; to: HealthStatus }) => void): unknown
  off(event: 'change', listener: (change: { what: string; to: HealthStatus }) => void): unknown
}
const source: HealthSource = health
const disposable: AsyncDisposable = health

// Its changes can be logged, and it is a part of a run.
const off: () => void = logAll(console, health)
void runUntilSignal([health, { name: 'bot', start: () => {}, stop: async () => {} }])
// @ts-expect-error nothing of it can be run
void runUntilSignal([{ login: () => {} }])
// @ts-expect-error this one emits no change
logAll(console, new EventEmitter<{ ready: [] }>())
// @ts-expect-error a sink has all three
logAll({ info: () => {} }, health)
const anyMonitor: HealthMonitor = health

// Checks take their subjects by shape.
storageCheck({ health: async () => ({ status: 'up' as const, reason: 'ok' }) })
// @ts-expect-error a Map has no health
storageCheck(new Map())
discordCheck({ ws: { shards: new Map([[0, { id: 0, status: 0, lastPingTimestamp: -1 }]]) } })
// @ts-expect-error no gateway
discordCheck({ isReady: () => true })

export const used: readonly unknown[] = [gateway, source, disposable, off, anyMonitor] satisfies unknown[]
export type Used = HealthChange
