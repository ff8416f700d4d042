import type { FlagContext, Id } from './context.js'
import type { Counted, CountedGuild, CountedId, CountedUser } from './counted-id.js'
import type { FlagDefinitions } from './definitions.js'

/** What an attribute holds. With a question mark it may be left out. */
export type AttributeType = 'string' | 'number' | 'boolean' | 'date' | 'string?' | 'number?' | 'boolean?' | 'date?'

/** The attributes that rules may ask for, by name. */
export type AttributeTypes = Readonly<Record<string, AttributeType>>

/** The kinds of attribute that can be declared. */
export const attributeTypes: readonly AttributeType[] = [
  'string',
  'number',
  'boolean',
  'date',
  'string?',
  'number?',
  'boolean?',
  'date?',
]

/** What an attribute of a type may be. */
export type AttributeValue<T extends AttributeType> = T extends `string${string}`
  ? string
  : T extends `number${string}`
    ? number
    : T extends `boolean${string}`
      ? boolean
      : Date | string | number

/** The types of attributes that may be left out. */
export type OptionalAttribute = `${string}?`

/** The attributes that a context must bring, as they were declared. */
export type AttributesOf<A extends AttributeTypes> = {
  readonly [K in keyof A as A[K] extends OptionalAttribute ? never : K]: AttributeValue<A[K]>
} & {
  readonly [K in keyof A as A[K] extends OptionalAttribute ? K : never]?: AttributeValue<A[K]> | undefined
}

/** A context with the attributes that were declared; any, if none were. */
export type TypedContext<A extends AttributeTypes> = AttributeTypes extends A
  ? FlagContext
  : FlagContext & {
      /** What was declared in `attributes`. */
      readonly attributes: AttributesOf<A>
    }

/**
 * What flags must be told of whoever asks. It includes `undefined` where the context may be left out: where the flags
 * count no ids and no attributes were declared.
 */
export type ContextFor<D extends FlagDefinitions, K, A extends AttributeTypes> =
  (TypedContext<A> & CountedId<D, K>) | OmittedContext<D, K, A>

/** `undefined` where the context may be left out. */
export type OmittedContext<D extends FlagDefinitions, K, A extends AttributeTypes> = AttributeTypes extends A
  ? [Counted<D, K>] extends [never]
    ? undefined
    : never
  : never

/** The context as an argument: it may be left out where it includes `undefined`. */
export type ContextArgument<C extends FlagContext | undefined> = undefined extends C ? [context?: C] : [context: C]

/**
 * A context that does for every flag, since it says both ids: what a function takes that does not know which flags it
 * will be given.
 *
 * @example
 * ```ts
 * import { FeatureFlags, type BooleanFlagName, type FlagDefinitions, type FullContext } from '@evenkeel/feature-flags'
 *
 * function both<D extends FlagDefinitions>(flags: FeatureFlags<D>, names: BooleanFlagName<D>[], context: FullContext) {
 *   return names.every((name) => flags.isEnabled(name, context))
 * }
 * const flags = new FeatureFlags({ flags: { search: { percentage: 100 }, inbox: { percentage: 100, by: 'user' } } })
 * console.log(both(flags, ['search', 'inbox'], { guildId: null, userId: '53908099506183680' })) // => true
 * ```
 */
export interface FullContext extends FlagContext, CountedUser, CountedGuild {
  /** The guild; `null` in a direct message. */
  readonly guildId: Id | null | undefined
  /** The user; `null` where there is none. */
  readonly userId: Id | null | undefined
}
