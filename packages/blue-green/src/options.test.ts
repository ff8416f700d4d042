import { describe, expect, it } from 'vitest'
import { BlueGreen } from './blue-green.js'
import { readContext, type EventContext } from './context.js'
import { memoryState } from './memory-state.js'
import type { BlueGreenOptions, Versions } from './options.js'

const good = {
  versions: { v1: () => 1, v2: () => 2 },
  initial: 'v1' as const,
  context: () => ({ eventId: null }),
  store: memoryState(),
}

describe('the options', () => {
  it.each([
    [{ clamMs: 5 }, TypeError, /BlueGreen has no option "clamMs"; it has versions, .*, claimMs/],
    [{ versions: undefined }, TypeError, /versions must be an object of handlers/],
    [{ versions: {} }, TypeError, /versions must be an object of handlers/],
    [{ versions: { v1: 'handler' } }, TypeError, /"v1" is no function and no slot/],
    [{ initial: 'v3' }, RangeError, /initial "v3" is none of the versions: v1, v2/],
    [{ initial: 'toString' }, RangeError, /initial "toString"/],
    [{ context: undefined }, TypeError, /context must be a function/],
    [{ store: undefined }, TypeError, /store.entry must be a function; pass storage.collection\('evenkeel'\)/],
    [{ store: new Map() }, TypeError, /store.entry must be a function; .* or memoryState\(\)/],
    [{ store: { entry: () => undefined } }, TypeError, /store.compareAndSet .* or memoryState\(\)/],
    [{ health: {} }, TypeError, /health.on must be a function/],
    [{ clock: {} }, TypeError, /clock.now must be a function/],
    [{ isUserError: true }, TypeError, /isUserError must be a function/],
    [{ random: 4 }, TypeError, /random must be a function/],
    [{ name: '' }, TypeError, /name must be a string/],
    [{ failuresPerGuild: 0 }, RangeError, /failuresPerGuild must be a whole number from 1, not 0/],
    [{ maxFailingGuilds: 1.5 }, RangeError, /maxFailingGuilds/],
    [{ maxClaims: Infinity }, RangeError, /maxClaims/],
    [{ claimMs: NaN }, RangeError, /claimMs must be milliseconds above 0, at most 2147483647, not NaN/],
    [{ drainMs: '5' }, RangeError, /drainMs .* not "5"/],
    [{ checks: [() => 1] }, TypeError, /checks must be an object of functions by name/],
    [{ judge: { errorRateIncrease: 20 } }, RangeError, /errorRateIncrease .* 0\.2 for 20 % more, or false; not 20/],
    [{ recoverMs: 2 ** 31 }, RangeError, /recoverMs/],
    [{ storeTimeoutMs: 0 }, RangeError, /storeTimeoutMs/],
    [{ storeRetryMs: -1 }, RangeError, /storeRetryMs/],
  ])('refuse %j', (wrong, type, message) => {
    const options = { ...good, ...wrong } as unknown as BlueGreenOptions<Versions<unknown>>
    const build = (): unknown => new BlueGreen(options)
    expect(build).toThrow(type)
    expect(build).toThrow(message)
  })

  it('take undefined for not given', () => {
    expect(() => new BlueGreen({ ...good, claimMs: undefined, health: undefined, clock: undefined })).not.toThrow()
  })
})

describe('the context of an event', () => {
  it.each([
    [{ eventId: '1', guildId: 'g', userId: 'u' }, '1', 'g'],
    [{ eventId: 1, guildId: null, userId: 'u' }, '1', 'u'],
    [{ eventId: 2n ** 63n, guildId: -100123n }, '9223372036854775808', '-100123'],
    [{ eventId: null }, undefined, undefined],
    [{ eventId: undefined, guildId: undefined, userId: null }, undefined, undefined],
    [{ eventId: ' ', guildId: '__proto__' }, ' ', '__proto__'],
  ] satisfies [EventContext, unknown, unknown][])('%o', (context, eventId, unitId) => {
    expect(readContext(context)).toEqual({ eventId, unitId })
  })

  it.each([
    [null, TypeError, /must return \{ eventId, guildId, userId \}/],
    ['81384788765712384', TypeError, /must return/],
    [Promise.resolve({ eventId: '1' }), TypeError, /must return an object with an eventId; say null/],
    [{ id: '1', guildId: 'g' }, TypeError, /an object with an eventId/],
    [{ eventId: 0.5 }, RangeError, /eventId 0.5 is no whole number/],
    [{ eventId: 2 ** 53 }, RangeError, /eventId 9007199254740992 is no safe integer/],
    [{ eventId: '1', guildId: 1.5 }, RangeError, /guildId 1.5/],
    [{ eventId: '1', guildId: {} }, TypeError, /guildId must be a string, a bigint or null, not an object/],
    [{ eventId: '' }, TypeError, /eventId is empty; say null for an event that has none/],
    [{ eventId: '1', guildId: '' }, TypeError, /guildId is empty; say null/],
    [{ eventId: '1', guildID: '5' }, TypeError, /context has no "guildID"; say guildId/],
    [{ eventId: null, user_id: '5' }, TypeError, /context has no "user_id"; say userId/],
  ])('refuses %j', (context, type, message) => {
    const read = (): unknown => readContext(context as unknown as EventContext)
    expect(read).toThrow(type)
    expect(read).toThrow(message)
  })
})
