export { type ComponentHealth, type HealthChange, HealthMonitor, type HealthMonitorEvents } from './health-monitor.js'
export { checkDefaults, type CheckOptions, type HealthMonitorOptions } from './options.js'
export type { CheckOutcome, CheckResult, HealthCheck, HealthStatus } from './check-result.js'

export { httpCheck, type HttpCheckOptions } from './checks/http-check.js'
export { type CheckableStorage, storageCheck, type StorageHealth } from './checks/storage-check.js'

export { CheckAbandonedError, CheckTimeoutError } from './errors.js'
export type { Clock } from './ports.js'
