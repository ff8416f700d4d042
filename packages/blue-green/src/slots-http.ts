export { NotBegunError, OutcomeUnknownError, ShedError, SlotStartError } from './slots/errors.js'
export { httpSlot, httpSlotDefaults, type HttpSlotDefaults, type HttpSlotOptions } from './slots/http-slot.js'
export { nodeListener } from './slots/node-listener.js'
export {
  serveVersionHttp,
  serveVersionHttpDefaults,
  type ServeVersionHttpDefaults,
  type ServeVersionHttpOptions,
} from './slots/serve-version-http.js'
export type { ServedEvent } from './slots/serve-version.js'
export type {
  Delivery,
  MemoryReading,
  RestartPolicy,
  Slot,
  SlotDeath,
  SlotDrained,
  SlotDrainOptions,
} from './slots/slot.js'
export type { Effects } from './slots/worker-options.js'
