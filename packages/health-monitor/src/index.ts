export { HealthMonitor } from './health-monitor.js'
export type { ComponentHealth, HealthChange, HealthMonitorEvents } from './events.js'
export { type LoopHealth, type LoopNews, loopWatchDefaults, type LoopWatchOptions } from './loop-watch.js'
export type { TriggerNews, TriggerState } from './triggers/trigger-news.js'
export type { TriggerHandle } from './triggers/trigger.js'
export { type TriggerContext, triggerDefaults, type TriggerOptions } from './triggers/trigger-options.js'
export { exitCodeOf, type HealthExitCode } from './report/exit-code.js'
export {
  healthReport,
  reportDefaults,
  type ReportedComponent,
  type ReportedHealth,
  type ReportFormat,
  type ReportOptions,
} from './report/health-report.js'
export { type CommandedHealth, type CommandOptions, healthCommand } from './report/health-command.js'
export { type HealthSnapshot, type HealthWatch, watchDefaults, type WatchOptions } from './watch.js'
export { checkDefaults, type CheckOptions, type HealthMonitorOptions } from './options.js'
export type { CheckOutcome, CheckResult, HealthCheck, HealthStatus } from './check-result.js'

export { cpuCheck, cpuCheckDefaults, type CpuCheckOptions } from './checks/cpu-check.js'
export { diskCheck, diskCheckDefaults, type DiskCheckOptions } from './checks/disk-check.js'
export { errorRateCheck, errorRateCheckDefaults, type ErrorRateCheckOptions } from './checks/error-rate-check.js'
export type { ErrorCounts } from './metrics/calls.js'
export { type CheckableFlags, flagCheck } from './checks/flag-check.js'
export { httpCheck, type HttpCheckOptions } from './checks/http-check.js'
export {
  latencyCheck,
  latencyCheckDefaults,
  type LatencyBuckets,
  type LatencyCheckOptions,
} from './checks/latency-check.js'
export type { BaselineOptions } from './checks/baseline-options.js'
export { logCheck, logCheckDefaults, type LogCheckOptions } from './checks/log-check.js'
export { loopCheck, loopCheckDefaults, type LoopCheckOptions } from './checks/loop-check.js'
export { memoryCheck, memoryCheckDefaults, type MemoryCheckOptions } from './checks/memory-check.js'
export {
  memoryGrowthCheck,
  memoryGrowthCheckDefaults,
  type MemoryGrowthCheckOptions,
} from './checks/memory-growth-check.js'
export {
  type CheckablePool,
  poolCheck,
  poolCheckDefaults,
  type PoolCheckOptions,
  type PooledStorage,
} from './checks/pool-check.js'
export { processCheck, type ProcessCheckOptions } from './checks/process-check.js'
export { type CheckableStorage, storageCheck, type StorageHealth } from './checks/storage-check.js'
export { tcpCheck, tcpCheckDefaults, type TcpCheckOptions } from './checks/tcp-check.js'

export { CheckAbandonedError, CheckTimeoutError } from './errors.js'
export type { Clock } from './ports.js'
