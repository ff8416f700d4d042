import type { FlagContext, Id } from './context.js'
import type { BooleanFlag, FlagDefinitions, VariantFlag } from './definitions.js'

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

/** A flag that counts users. */
export interface CountsUsers {
  /** What is counted. */
  readonly by: 'user'
}

/** What a flag counts must be said, even if it is `null`. */
export type CountedId<F> = F extends CountsUsers
  ? {
      /** The flag counts users. */
      readonly userId: Id | null | undefined
    }
  : F extends Required<Pick<BooleanFlag, 'percentage'>> | Required<Pick<VariantFlag, 'weights'>>
    ? {
        /** The flag counts guilds; `null` in a direct message. */
        readonly guildId: Id | null | undefined
      }
    : unknown

/** What a flag must be told of whoever asks. */
export type ContextFor<D extends FlagDefinitions, K extends keyof D, A extends AttributeTypes> = TypedContext<A> &
  CountedId<D[K]>

/** The context as an argument: it may be left out only where nothing was declared. */
export type ContextArgument<
  D extends FlagDefinitions,
  K extends keyof D,
  A extends AttributeTypes,
> = AttributeTypes extends A ? [context?: ContextFor<D, K, A>] : [context: ContextFor<D, K, A>]
