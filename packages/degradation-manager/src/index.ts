export { DegradationManager, type Demand, type Explanation, type Override } from './degradation-manager.js'
export type { FeatureHandle } from './features.js'
export { withSignal, type AnyFunction } from './with-signal.js'
export { FallbackError, ShedError, TimeoutError } from './errors.js'
export { degradationManagerDefaults, featureDefaults } from './options.js'
export { ModeStoreError, StateFormatError } from './state/state-errors.js'
export { memoryState } from './state/memory-state.js'
export { cpuPressure, cpuPressureDefaults, type CpuPressureOptions } from './pressures/cpu-pressure.js'
export {
  loopDelayPressure,
  loopDelayPressureDefaults,
  type LoopDelayPressureOptions,
} from './pressures/loop-delay-pressure.js'
export { memoryPressure, memoryPressureDefaults, type MemoryPressureOptions } from './pressures/memory-pressure.js'
export { queuePressure } from './pressures/queue-pressure.js'
export { smoothedPressure, smoothedPressureDefaults } from './pressures/smoothed-pressure.js'
export type { BuiltInPressure } from './pressures/built-in.js'
export type { PressureOptions } from './pressures/check-pressure.js'
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
  CommonRule,
  ComponentRule,
  DegradationManagerOptions,
  FeatureOptions,
  FeatureState,
  FlagRule,
  HealthRule,
  Limited,
  ModeEffect,
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
  StoreChange,
} from './events.js'
export type { Priority } from './priority.js'
export type { Mode } from './mode.js'
export type {
  Clock,
  ComponentReport,
  FlagSource,
  HealthSource,
  StateStore,
  StoredValue,
  StoredVersion,
} from './ports.js'
