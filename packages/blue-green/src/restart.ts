export { StateFormatError, StoreUnavailableError } from './errors.js'
export { PinnedElsewhereError } from './pins/errors.js'
export type { Pin, PinCounts, PinKind, PinOptions } from './pins/pins.js'
export type { RestartDrained, RestartDrainOptions } from './restart/departure.js'
export { NotStartedError, TakeOverError } from './restart/errors.js'
export type { EventOfTheDead, Replaced, RestartChange, RestartEvents, UndecidedEvent } from './restart/events.js'
export { GaplessRestart, type RestartStatus } from './restart/gapless-restart.js'
export {
  gaplessRestartDefaults,
  type EventWork,
  type GaplessRestartDefaults,
  type GaplessRestartOptions,
} from './restart/options.js'
export type { ClaimWrite, SharedStore } from './restart/ports.js'
export type { TakeOverOptions } from './restart/take-over.js'
export type { Effects } from './slots/worker-options.js'
