export { DegradationManager, type Demand, type Explanation, type Override } from './degradation-manager.js'
export type { FeatureHandle } from './features.js'
export { withSignal, type AnyFunction } from './with-signal.js'
export { FallbackError, NoAnswerError, ShedError, TimeoutError } from './errors.js'
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
export { AdaptiveLimiter } from './admission/adaptive-limiter.js'
export { adaptiveLimiterDefaults, type AdaptiveLimiterOptions } from './admission/limiter-options.js'
export { Bulkhead, bulkheadDefaults, type BulkheadOptions } from './admission/bulkhead.js'
export type { Admission, AdmissionOptions, Place } from './admission/admission.js'
export type { AdmissionChange, AdmissionCounts, AdmissionEvents } from './admission/admission-events.js'
export type { QueueOptions } from './admission/admission-options.js'
export {
  CircuitBreaker,
  type BreakerChange,
  type BreakerCounts,
  type CircuitBreakerEvents,
} from './breaker/circuit-breaker.js'
export type { BreakerState } from './breaker/breaker-machine.js'
export { circuitBreakerDefaults, type CircuitBreakerOptions } from './breaker/breaker-options.js'
export { RetryBudget, retryBudgetDefaults, type RetryBudgetOptions } from './retry/retry-budget.js'
export { retryDefaults, type RetryOptions } from './retry/retry-options.js'
export { AnswerCache, answerCacheDefaults, type AnswerCacheOptions, type KeptAnswer } from './guard/answer-cache.js'
export type { Fallback, FallbackFunction, FallbackOptions } from './guard/fallback.js'
export { guardDefaults, type GuardOptions } from './guard/guard-options.js'
export type { Guarded, GuardFace } from './guard/guarded.js'
export type { LatencySummary } from './guard/latencies.js'
export type { DrillReport, DrillStep, GuardStats, Outcome } from './guard/outcomes.js'
export { guard, type StandAloneOptions } from './guard/stand-alone.js'
export { dispatcher, dispatcherDefaults, type DispatcherOptions, type EventClass } from './dispatch/dispatcher.js'

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
  DrillChange,
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
