export { childProcessSlot, type ChildProcessSlotOptions } from './slots/child-process-slot.js'
export { NotBegunError, OutcomeUnknownError, ShedError, SlotStartError } from './slots/errors.js'
export {
  serveVersion,
  serveVersionDefaults,
  type ServedEvent,
  type ServeVersionOptions,
} from './slots/serve-version.js'
export type {
  Delivery,
  MemoryReading,
  RestartPolicy,
  Slot,
  SlotDeath,
  SlotDrained,
  SlotDrainOptions,
} from './slots/slot.js'
export { workerThreadSlot, type WorkerThreadSlotOptions } from './slots/worker-thread-slot.js'
export {
  workerSlotDefaults,
  type Effects,
  type WorkerSlotDefaults,
  type WorkerSlotOptions,
} from './slots/worker-options.js'
