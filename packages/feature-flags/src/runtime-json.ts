import { untouched, type RuntimeState } from './runtime-state.js'
import { isRecord } from './setting-problem.js'
import type { Cause, Changed, FlagShare, RuntimeFlag, Trip } from './table.js'

const FORMAT = 1

/** The state as JSON. */
export function toJson({ epoch, killed, killChanged, flags, applied }: RuntimeState): unknown {
  // Pairs: a name may be `__proto__`.
  return plain({ format: FORMAT, epoch, killed, killChanged, flags: [...flags], applied: [...applied] })
}

/** What is not there is left out, as JSON does. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/** @throws TypeError when it is no state, or one of a later version */
export function fromJson(value: unknown): RuntimeState {
  if (value === undefined) return untouched
  const { format, epoch, killed, killChanged, flags, applied = [] } = isRecord(value) ? value : {}
  if (typeof format === 'number' && format > FORMAT) {
    throw new TypeError(`the flags in the store have format ${format}, and this version knows ${FORMAT}; update it`)
  }
  const isOurs =
    format === FORMAT &&
    isWhole(epoch) &&
    isMaybe(killed, isCause) &&
    isMaybe(killChanged, isChanged) &&
    arePairs(flags, isFlag) &&
    arePairs(applied, isWhole)
  if (!isOurs) throw new TypeError('what the store holds under "flags/state" was not written by evenkeel')
  return { epoch, killed, killChanged, flags: new Map(flags), applied: new Map(applied) }
}

function isMaybe<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value)
}

function arePairs<T>(value: unknown, is: (value: unknown) => value is T): value is [string, T][] {
  return (
    Array.isArray(value) &&
    value.every((pair: unknown) => Array.isArray(pair) && typeof pair[0] === 'string' && is(pair[1]))
  )
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function isCause(value: unknown): value is Cause {
  return isRecord(value) && typeof value['why'] === 'string' && typeof value['at'] === 'number'
}

function isChanged(value: unknown): value is Changed {
  return isCause(value) && isWhole((value as Partial<Changed>).epoch)
}

function isTrip(value: unknown): value is Trip {
  return isCause(value) && isWhole((value as Partial<Trip>).trials)
}

function isPercentage(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 100
}

function isShare(value: unknown): value is FlagShare {
  if (!isRecord(value) || !isPercentage(value['percentage']) || !isWhole(value['sequence'])) return false
  const guilds = value['targetGuilds']
  return Array.isArray(guilds) && guilds.every((guild) => typeof guild === 'string')
}

function isFlag(value: unknown): value is RuntimeFlag {
  return (
    isRecord(value) &&
    isChanged(value['changed']) &&
    isMaybe(value['disabled'], isCause) &&
    isMaybe(value['fallenBack'], isTrip) &&
    isMaybe(value['percentage'], isPercentage) &&
    isMaybe(value['share'], isShare)
  )
}
