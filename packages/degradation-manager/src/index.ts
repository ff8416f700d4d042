export { DegradationManager, type Explanation, type Override } from './degradation-manager.js'
export { withSignal, type AnyFunction } from './with-signal.js'
export { FallbackError, ShedError, TimeoutError } from './errors.js'
export { degradationManagerDefaults, featureDefaults } from './options.js'
export {
  AdaptiveLimiter,
  type AdaptiveLimiterEvents,
  type AdmissionOptions,
  type LimiterChange,
  type LimiterCounts,
  type Place,
} from './limiter/adaptive-limiter.js'
export { adaptiveLimiterDefaults, type AdaptiveLimiterOptions } from './limiter/limiter-options.js'
export { guardDefaults, type Guarded, type GuardOptions, type Outcome } from './guard.js'

export type {
  ComponentRule,
  DegradationManagerOptions,
  FeatureOptions,
  FeatureState,
  PressureRule,
  Rule,
  SetModeOptions,
} from './options.js'
export type {
  DegradationChange,
  DegradationManagerEvents,
  FallbackServed,
  InputChange,
  ModeChange,
  News,
  OverrideChange,
  Severity,
} from './events.js'
export type { Priority } from './priority.js'
export type { Mode } from './mode.js'
export type { Clock, ComponentReport, HealthSource } from './ports.js'
