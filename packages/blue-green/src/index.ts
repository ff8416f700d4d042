export { BlueGreen } from './blue-green.js'
export type { BlueGreenEvents, BlueGreenFinished, BlueGreenStatus, Drained, DrainOptions } from './blue-green.js'
export type { BlueGreenChange, Controller, Severity } from './changes.js'
export type { EventContext, Id } from './context.js'
export type { Deployment, DeploymentResult, DeploymentStatus, Outcome, RollbackReason } from './deployment.js'
export {
  DeploymentHeldError,
  DeploymentRunningError,
  FencedError,
  RolledBackVersionError,
  StateFormatError,
  StoppedError,
  StoreUnavailableError,
  VersionMissingError,
} from './errors.js'
export type { VersionCounters } from './lane.js'
export { memoryState } from './memory-state.js'
export { blueGreenDefaults, deployDefaults } from './options.js'
export type { BlueGreenDefaults, BlueGreenOptions, DeployOptions, Handler, VersionOf, Versions } from './options.js'
export type { Clock, HealthSource, HealthStatus, PartHealth, StateStore, StoredValue, StoredVersion } from './ports.js'
export type { Phase, Plan } from './transitions.js'
