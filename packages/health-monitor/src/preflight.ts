export { runSteps, runStepsDefaults, type RunStepsOptions, type Step, type StepsReport } from './preflight/run-steps.js'
export { environmentCheck, type VariableOptions, type VariableRule } from './preflight/environment-check.js'
export { nodeVersionCheck } from './preflight/node-version-check.js'
export { type Permissions, permissionsCheck } from './preflight/permissions-check.js'
export { roundTripCheck, type RoundTripStore } from './preflight/round-trip-check.js'
export { writableCheck } from './preflight/writable-check.js'
export {
  alertArrivesCheck,
  alertArrivesDefaults,
  type AlertArrivesOptions,
  type AlertRoute,
  type MetricsFlow,
  metricsFlowCheck,
} from './preflight/monitoring-checks.js'

export type { CheckOutcome, HealthCheck, HealthStatus } from './check-result.js'
export type { CheckOptions } from './options.js'
export type { ComponentHealth } from './events.js'
export type { Clock } from './ports.js'
