import type { ContextArgument } from './attributes.js'
import { Subject, type FlagContext } from './context.js'
import { isOnFor, variantOf } from './decide.js'
import type { JsonValue } from './definitions.js'
import type { VariantSpec } from './specification.js'
import { count, flagAt, type CompiledFlag, type Table } from './table.js'

/**
 * A flag that is on or off, found by its name once: what {@link FeatureFlags.flag} gives. It follows every change.
 *
 * @typeParam C - the context that the flag takes; with `undefined` it may be left out
 */
export class FlagHandle<C extends FlagContext | undefined = FlagContext | undefined> {
  /** The flag's name. */
  readonly name: string
  /** @internal */
  readonly slot: number
  readonly #current: () => Table

  /** @internal */
  constructor(name: string, slot: number, current: () => Table) {
    this.name = name
    this.slot = slot
    this.#current = current
  }

  /**
   * Whether the flag is on for a guild or a user.
   *
   * @param context - for whom
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  isEnabled(...context: ContextArgument<C>): boolean
  isEnabled(context?: FlagContext): boolean {
    const flag = flagAt(this.#current(), this)
    const isOn = isOnFor(flag, context)
    count(flag, isOn ? 1 : 0)
    return isOn
  }
}

/**
 * A flag with variants, found by its name once: what {@link FeatureFlags.flag} gives. It follows every change.
 *
 * @typeParam V - the answers that it can give
 * @typeParam C - the context that the flag takes; with `undefined` it may be left out
 */
export class VariantHandle<V = JsonValue, C extends FlagContext | undefined = FlagContext | undefined> {
  /** The flag's name. */
  readonly name: string
  /** @internal */
  readonly slot: number
  readonly #current: () => Table

  /** @internal */
  constructor(name: string, slot: number, current: () => Table) {
    this.name = name
    this.slot = slot
    this.#current = current
  }

  /**
   * The variant for a guild or a user.
   *
   * @param context - for whom
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  variant(...context: ContextArgument<C>): V
  variant(context?: FlagContext): unknown {
    const flag = flagAt(this.#current(), this)
    return countedVariant(flag, new Subject(context))
  }
}

/** The variant of a flag that has some, counted. */
export function countedVariant(flag: CompiledFlag, subject: Subject): JsonValue {
  const spec = flag.record.spec as VariantSpec
  const index = variantOf(flag, spec, subject)
  count(flag, index)
  return spec.variants.values[index] as JsonValue
}
