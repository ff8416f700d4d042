export { FakeClock } from './fake-clock.js'
export { FaultyStorage, type DelayClock, type FaultOptions, type StorageShape } from './faulty-storage.js'
