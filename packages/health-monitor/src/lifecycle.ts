export { runUntilSignal, runUntilSignalDefaults, type RunUntilSignalOptions } from './run-until-signal.js'
export type { Part, Readiness, ShutdownCause, ShutdownProblem, ShutdownReport } from './shutdown.js'
export {
  logAll,
  logAllDefaults,
  type LogAllOptions,
  type LoggableChange,
  type LoggablePart,
  type LogSink,
} from './log-all.js'
export { StartFailedError } from './errors.js'
export type { Clock } from './ports.js'
export type { HostProcess } from './interruption.js'
export type { LifeNews, LifeState } from './life-news.js'
