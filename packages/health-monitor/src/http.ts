export { healthFetch, healthHandler } from './http/handlers.js'
export {
  healthHandlerDefaults,
  type HealthHandlerOptions,
  type PageName,
  type ShownComponent,
  type ShownHealth,
  type ShownReadiness,
} from './http/options.js'
export type { Visitor } from './http/access.js'
export { HealthServer, healthServerDefaults, type HealthServerOptions } from './http/health-server.js'
export type { ServerLimits } from './http/listening.js'
export {
  type LiveChange,
  type LiveInternals,
  LiveServer,
  liveServerDefaults,
  type LiveServerEvents,
  type LiveServerOptions,
} from './http/live-server.js'
export { Readiness } from './http/readiness.js'
export { ListenError } from './http/http-errors.js'
export type { MetricSource } from './metrics/metric-family.js'
export type { Clock } from './ports.js'
