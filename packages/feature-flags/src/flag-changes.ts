import { idText, type OverrideTarget } from './context.js'
import { FlagHeldOffError } from './errors.js'
import type { FlagMachine } from './flag-machine.js'
import type { ChangeReason, OverrideReason } from './news.js'
import * as changes from './runtime-state.js'
import { literal } from './setting-problem.js'
import { percentageInCode, shareInCode } from './share.js'
import type { OverridePlace } from './stored-override.js'
import { findBooleanFlag, findFlag, type FlagShare } from './table.js'
import { listed } from './variants.js'

/** Changes flags at run time: checks what is asked for, and hands it on. See the methods of {@link FeatureFlags}. */
export class FlagChanges {
  readonly #machine: FlagMachine
  #overridesSet = 0

  constructor(machine: FlagMachine) {
    this.#machine = machine
  }

  disable(name: string, reason: ChangeReason): Promise<void> {
    const cause = this.#machine.news.cause(reason)
    findFlag(this.#machine.layers.current, name)
    return this.#make(changes.disable(name, cause))
  }

  enable(name: string, reason: ChangeReason): Promise<void> {
    const { news, layers, runner, trips, runtime } = this.#machine
    const cause = news.cause(reason)
    const { spec } = findFlag(layers.current, name).record
    if (spec.offWhy !== undefined) return calm(Promise.reject(new FlagHeldOffError(name, spec.offWhy)))
    runner.reset(name)
    if (trips !== runtime) void trips.change(changes.enable(name, cause))
    return this.#make(changes.enable(name, cause))
  }

  disableAll(reason: ChangeReason): Promise<void> {
    return this.#make(changes.killAll(this.#machine.news.cause(reason)))
  }

  enableAll(reason: ChangeReason): Promise<void> {
    return this.#make(changes.reviveAll(this.#machine.news.cause(reason)))
  }

  setPercentage(name: string, percentage: number, reason: ChangeReason): Promise<void> {
    const cause = this.#machine.news.cause(reason)
    findBooleanFlag(this.#machine.layers.current, name)
    return this.#make(changes.setPercentage(name, percentageInCode(name, percentage), cause))
  }

  setShare(name: string, share: FlagShare, reason: ChangeReason): Promise<boolean> {
    const cause = this.#machine.news.cause(reason)
    findBooleanFlag(this.#machine.layers.current, name)
    return calm(this.#machine.runtime.change(changes.share(name, shareInCode(name, share), cause)))
  }

  override(name: string, target: OverrideTarget, value: unknown, reason: OverrideReason): Promise<void> {
    const { spec } = findFlag(this.#machine.layers.current, name).record
    const what = `An override of ${JSON.stringify(name)}`
    if (spec.kind === 'variant') {
      const index = typeof value === 'string' ? spec.variants.indexes.get(value) : undefined
      if (index === undefined) throw new TypeError(`${what} is one of ${listed(spec.variants)}, not ${literal(value)}`)
      return this.#setOverride(name, target, spec.variants.names[index], reason)
    }
    if (typeof value !== 'boolean') throw new TypeError(`${what} is one of true, false, not ${literal(value)}`)
    return this.#setOverride(name, target, value, reason)
  }

  removeOverride(name: string, target: OverrideTarget, reason: ChangeReason): Promise<void> {
    return this.#setOverride(name, target, undefined, reason)
  }

  #make(change: changes.RuntimeChange): Promise<void> {
    return calm(this.#machine.runtime.change(change).then(() => undefined))
  }

  #setOverride(
    flag: string,
    target: OverrideTarget,
    value: boolean | string | undefined,
    reason: OverrideReason,
  ): Promise<void> {
    const { news, layers, overrides, runtime, process, clock } = this.#machine
    const cause = news.cause(reason)
    findFlag(layers.current, flag)
    const place = placeOf(flag, target)
    const { forMs } = reason
    if (forMs !== undefined && !(forMs > 0 && Number.isFinite(forMs))) {
      throw new RangeError(`forMs must be a number of milliseconds above 0, not ${literal(forMs)}`)
    }
    const expiresAt = forMs === undefined ? undefined : Math.ceil(clock.now() + forMs)
    const id = `${process}:${++this.#overridesSet}`
    const { why, by, at } = cause
    const until = value === undefined ? undefined : { override: { value, why, by, at, id }, expiresAt }
    const before = overrides.get(place)
    const turn = overrides.set(place, until)
    const stored = calm(runtime.setOverride(place, until, before).then(() => undefined))
    if (turn !== undefined) news.tellOverride(layers.current, turn, cause)
    return stored
  }
}

/** Whoever does not wait for the store hears of its loss by `change`; a rejection that nobody awaits would end the bot. */
function calm<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** @throws TypeError when it is neither a guild nor a user */
function placeOf(flag: string, target: OverrideTarget): OverridePlace {
  const guildId = idText(target?.guildId, 'guildId')
  const userId = idText(target?.userId, 'userId')
  if ((guildId === undefined) === (userId === undefined)) {
    throw new TypeError(`An override of ${JSON.stringify(flag)} is for either a guildId or a userId`)
  }
  return guildId === undefined ? { flag, whose: 'users', id: userId as string } : { flag, whose: 'guilds', id: guildId }
}
