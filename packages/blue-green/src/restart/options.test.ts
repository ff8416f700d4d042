import { describe, expect, it } from 'vitest'
import { memoryState } from '../memory-state.js'
import { GaplessRestart, type GaplessRestartOptions } from '../restart.js'

const store = { ...memoryState(), scope: 'machine', set: async () => ({ version: '1' }) } as const
const good = {
  version: 'v1',
  handle: (event: string) => event,
  context: (event: string) => ({ eventId: event }),
  effects: 'keyed',
  store,
}

describe('the options of a restart', () => {
  it('suffice', () => {
    expect(() => new GaplessRestart(good as never)).not.toThrow()
  })

  it.each([
    [
      { effects: undefined },
      TypeError,
      /GaplessRestart needs effects, one of stored, keyed, atMostOnce, atLeastOnce: .* not undefined/,
    ],
    [{ effects: 'none' }, TypeError, /effects, one of .* not none/],
    [{ leaseMS: 5 }, TypeError, /GaplessRestart has no option "leaseMS"; it has version, .*, leaseMs/],
    [{ version: '' }, TypeError, /version must be a string/],
    [{ name: 5 }, TypeError, /name must be a string/],
    [{ handle: undefined }, TypeError, /handle must be a function/],
    [{ context: 'guildId' }, TypeError, /context must be a function/],
    [{ store: undefined }, TypeError, /store.entry must be a function; pass storage.collection\('evenkeel'\)/],
    [{ store: memoryState() }, TypeError, /store.set must be a function/],
    [
      { store: { ...store, scope: 'process' } },
      RangeError,
      /store reaches one process, and .* use SQLite, PostgreSQL or Redis/,
    ],
    [{ scope: 'cluster' }, RangeError, /store reaches one machine, and .* use PostgreSQL or Redis/],
    [{ scope: 'planet' }, RangeError, /scope must be process, machine, cluster, not planet/],
    [{ whenStoreIsOut: 'panic' }, RangeError, /whenStoreIsOut must be 'serve' or 'wait', not panic/],
    [{ heartbeatMs: 0 }, RangeError, /heartbeatMs must be milliseconds above 0/],
    [{ heartbeatMs: 1_000 }, RangeError, /leaseMs must be at least four times heartbeatMs \(1000\), not 3000/],
    [
      { storeTimeoutMs: 2_000 },
      RangeError,
      /keepMs must be at least two .* storeTimeoutMs \(2000\), so 5000, not 1500/,
    ],
    [{ heartbeatMs: 601 }, RangeError, /keepMs must be at least two .* heartbeatMs \(601\) .*, so 1503, not 1500/],
    [{ maxKept: 0 }, RangeError, /maxKept must be a whole number from 1, not 0/],
    [{ redoMs: 5_999 }, RangeError, /redoMs must be at least twice leaseMs \(3000\), so 6000, not 5999/],
    [{ leaseMs: 60_000 }, RangeError, /redoMs must be at least twice leaseMs \(60000\), so 120000, not 60000/],
    [
      { claimMs: 62_999 },
      RangeError,
      /claimMs must be at least redoMs \(60000\) and twice keepMs \(1500\), so 63000, not 62999/,
    ],
    [{ redoMs: NaN }, RangeError, /redoMs .* not NaN/],
    [{ bakeMs: -1 }, RangeError, /bakeMs/],
    [{ storeTimeoutMs: '5' }, RangeError, /storeTimeoutMs .* not "5"/],
    [{ isConnected: true }, TypeError, /isConnected must be a function/],
    [{ disconnect: {} }, TypeError, /disconnect must be a function/],
    [{ clock: {} }, TypeError, /clock.now must be a function/],
    [{ random: 4 }, TypeError, /random must be a function/],
  ])('are refused: %j', (wrong, kind, message) => {
    const make = (): unknown =>
      new GaplessRestart({ ...good, ...wrong } as unknown as GaplessRestartOptions<string, string>)
    expect(make).toThrow(kind)
    expect(make).toThrow(message)
  })
})
