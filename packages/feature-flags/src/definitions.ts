import type { AttributeTypes } from './attributes.js'
import type { CheckedConditions, Conditions, ConditionsOn } from './conditions/conditions.js'
import type { BucketBy } from './context.js'

/** What JSON can hold, as a value that nobody changes. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue | undefined }

/** What every rule says, beside its answer. The first rule that matches a context answers. */
export interface RuleMatch {
  /** What the context must be like: all of it must hold. */
  readonly when?: Conditions
  /** A segment that the context must belong to, beside `when`. */
  readonly segment?: string
  /** For people: what the rule is for. */
  readonly description?: string
}

/** A targeting rule of a flag that is on or off. */
export interface BooleanRule extends RuleMatch {
  /**
   * The answer.
   * @defaultValue `true`
   */
  readonly value?: boolean
  /** The share, 0 to 100, of those who match for whom it is on; the rest of them get off. In place of `value`. */
  readonly percentage?: number
  /** For rules of a {@link VariantFlag}. */
  readonly weights?: never
}

/** A targeting rule of a flag with variants. It has a `value` or `weights`. */
export interface VariantRule extends RuleMatch {
  /** The answer: one of the flag's variants. */
  readonly value?: string | number
  /** Splits those who match between variants, in proportion. */
  readonly weights?: Readonly<Record<string, number>>
  /** For rules of a {@link BooleanFlag}. */
  readonly percentage?: never
}

/** What every flag may say. */
export interface CommonFlag {
  /**
   * `false` switches it off for everyone, with all that requires it, whatever else is said anywhere.
   * @defaultValue `true`
   */
  readonly enabled?: boolean
  /** For people: what it is for. */
  readonly description?: string
  /** For people: who looks after it. */
  readonly owner?: string
  /**
   * When it should be gone, as ISO 8601 date or time, or in epoch ms. It answers on as before; `expired` and
   * {@link FlagStatus} tell, so that it does not stay for ever.
   */
  readonly expiresAt?: string | number
}

/** A flag that is on or off. */
export interface BooleanFlag extends CommonFlag {
  /**
   * The answer while no percentage is set, and for a context that has no id to count.
   * @defaultValue `false`
   */
  readonly default?: boolean
  /** The share of guilds or users for whom it is on, 0 to 100. */
  readonly percentage?: number
  /** Targeting rules. They are asked before the percentage. */
  readonly rules?: readonly BooleanRule[]
  /**
   * What the percentage is a share of. Without a guild, as in a direct message, the user counts in its place.
   * @defaultValue that of the first required flag, else `'guild'`
   */
  readonly by?: BucketBy
  /**
   * Shuffles all ids into the order in which a growing percentage reaches them. Flags of one salt reach the same ids
   * first. Name the old one to keep its ids when a flag is renamed.
   * @defaultValue that of the first required flag, else the flag's name
   */
  readonly salt?: string
  /** Boolean flags without which this one is off. */
  readonly requires?: readonly string[]
  /** Makes it a {@link VariantFlag}. */
  readonly variants?: never
  /** Only with `variants`. */
  readonly weights?: never
}

/** A flag that answers with one of several values. */
export interface VariantFlag extends CommonFlag {
  /** The variant of whoever gets no other: one of `variants`, or the name of one. */
  readonly default: string | number
  /** Every answer that is possible: words, numbers, or JSON values by their names. */
  readonly variants: readonly (string | number)[] | Readonly<Record<string, JsonValue>>
  /**
   * Splits ids between variants, in proportion: `{ plain: 80, cards: 20 }`. A variant that is not named gets none.
   * Without weights everyone has the default, but for rules and overrides.
   */
  readonly weights?: Readonly<Record<string, number>>
  /** Targeting rules. They are asked before the weights. */
  readonly rules?: readonly VariantRule[]
  /**
   * What the weights are shares of. Without a guild the user counts in its place.
   * @defaultValue that of the first required flag, else `'guild'`
   */
  readonly by?: BucketBy
  /**
   * Shuffles the ids that the weights split.
   * @defaultValue the flag's name
   */
  readonly salt?: string
  /** Boolean flags without which everyone has the default. */
  readonly requires?: readonly string[]
  /** Only without `variants`. */
  readonly percentage?: never
}

/** One flag as it is declared. */
export type FlagDefinition = BooleanFlag | VariantFlag

/** Flags by name. */
export type FlagDefinitions = Readonly<Record<string, FlagDefinition>>

/** Who belongs to a segment: whoever meets the conditions, or one of several. */
export type SegmentDefinition<A extends AttributeTypes = AttributeTypes> = ConditionsOn<A> | readonly ConditionsOn<A>[]

/** Segments by name. Their names are inferred, so that a rule that misspells one does not compile. */
export type SegmentDefinitions<A extends AttributeTypes = AttributeTypes, S extends string = string> = {
  readonly [Name in S]: SegmentDefinition<A>
}

/** What marks a name that was looked up; there is no such property at run time. */
declare const lookedUp: unique symbol

/** There is a flag of this name. */
export interface LookedUp {
  /** It was found. */
  readonly isFlag: true
}

/** There is a flag of this name, and it has variants. */
export interface LookedUpVariants extends LookedUp {
  /** It has variants. */
  readonly hasVariants: true
}

/**
 * A name that {@link FeatureFlags.has} has found, in the code or in a source. Whether that flag has variants is known only
 * at run time.
 */
export type FoundFlag = string & {
  /** For the compiler only. */
  readonly [lookedUp]: LookedUp
}

/** A name of which {@link FeatureFlags.hasVariants} has said that the flag has variants. */
export type FoundVariantFlag = FoundFlag & {
  /** For the compiler only. */
  readonly [lookedUp]: LookedUpVariants
}

// The compiler shows the name of a union in place of its members, unless the union comes out of a condition.

/** The names of the flags of a declaration, and those that were looked up. */
export type FlagName<D extends FlagDefinitions> = [D] extends [never] ? never : Extract<keyof D, string> | FoundFlag

/** What tells a flag with variants from one that is on or off. */
export type WithVariants = Pick<VariantFlag, 'variants'>

/** The names of the declared flags that are on or off. */
export type DeclaredBoolean<D extends FlagDefinitions> = {
  [K in Extract<keyof D, string>]: D[K] extends WithVariants ? never : K
}[Extract<keyof D, string>]

/** The names of the flags that are on or off, and those that were looked up. */
export type BooleanFlagName<D extends FlagDefinitions> = [D] extends [never]
  ? never
  : { [K in Extract<keyof D, string>]: D[K] extends WithVariants ? never : K }[Extract<keyof D, string>] | FoundFlag

/** The names of the flags that have variants, and those that were looked up. */
export type VariantFlagName<D extends FlagDefinitions> = [D] extends [never]
  ? never
  : | {
        [K in Extract<keyof D, string>]: [Extract<D[K], WithVariants>] extends [never] ? never : K
      }[Extract<keyof D, string>]
    | FoundVariantFlag

/** What names a variant: the word or number itself or, of JSON values, their name. */
export type VariantKey<F extends WithVariants> = F['variants'] extends readonly (infer V)[]
  ? V
  : Extract<keyof F['variants'], string>

/** What a variant is: the word, the number, or the JSON value. */
export type VariantValue<F extends WithVariants> = F['variants'] extends readonly (infer V)[]
  ? V
  : F['variants'][keyof F['variants']]

/** A flag by its name; one that only a source knows may be of either kind. */
export type FlagOf<D extends FlagDefinitions, K> = K extends FoundFlag ? FlagDefinition : D[Extract<K, keyof D>]

/** The answers that a flag can give. */
export type FlagValue<D extends FlagDefinitions, K> =
  FlagOf<D, K> extends WithVariants
    ? VariantValue<FlagOf<D, K>>
    : [Extract<FlagOf<D, K>, WithVariants>] extends [never]
      ? boolean
      : JsonValue

/** The answers of a flag with variants. */
export type VariantAnswer<D extends FlagDefinitions, K> = [Extract<FlagOf<D, K>, WithVariants>] extends [never]
  ? JsonValue
  : VariantFlag extends FlagOf<D, K>
    ? JsonValue
    : VariantValue<Extract<FlagOf<D, K>, WithVariants>>

/** What an override of a flag names: on or off, or a variant. */
export type OverrideValue<D extends FlagDefinitions, K> =
  FlagOf<D, K> extends WithVariants
    ? VariantKey<FlagOf<D, K>>
    : [Extract<FlagOf<D, K>, WithVariants>] extends [never]
      ? boolean
      : boolean | string | number

/** Refuses, in what was declared, the properties that do not exist. */
export type NoOthers<Declared, Known> = { readonly [P in Exclude<keyof Declared, keyof Known>]: never }

/** Refuses weights of what is no variant. */
export type CheckedWeights<Weights, Key> = {
  readonly [W in keyof Weights]: W extends Key | `${Key & (string | number)}` ? number : never
}

/** Refuses the name of a segment that was not declared. One that only run time knows is checked there. */
export type CheckedSegment<Name, S extends string> = string extends Name
  ? unknown
  : Name extends S | undefined
    ? unknown
    : never

/** Rules that misspell nothing, and name only variants, segments and attributes that were declared. */
export type CheckedRules<
  Rules,
  Known,
  Key,
  A extends AttributeTypes,
  S extends string,
> = Rules extends readonly unknown[]
  ? { readonly [I in keyof Rules]: CheckedRule<Rules[I], Known, Key, A, S> }
  : unknown

/** A rule that misspells nothing, and names only variants, segments and attributes that were declared. */
export type CheckedRule<Rule, Known, Key, A extends AttributeTypes, S extends string> = {
  readonly [P in keyof Rule]: P extends 'when'
    ? CheckedConditions<Rule[P], A>
    : P extends 'segment'
      ? CheckedSegment<Rule[P], S>
      : P extends 'weights'
        ? CheckedWeights<Rule[P], Key>
        : P extends 'value'
          ? Rule[P] extends Key | undefined
            ? unknown
            : never
          : P extends keyof Known
            ? unknown
            : never
}

/**
 * What a declaration must also satisfy, beyond each flag on its own: `requires` names boolean flags of the same
 * declaration, `default`, `weights` and rules name variants of their own flag, rules ask for declared attributes and
 * segments, and no property is misspelt.
 */
export type CheckedDefinitions<
  D extends FlagDefinitions,
  A extends AttributeTypes = AttributeTypes,
  S extends string = string,
> = {
  readonly [K in keyof D]: D[K] extends WithVariants
    ? {
        /** One of the flag's own variants. */
        readonly default: D[K]['default'] extends VariantKey<D[K]> ? unknown : never
        /** Numbers by the flag's own variants. */
        readonly weights?: CheckedWeights<D[K]['weights'], VariantKey<D[K]>>
        /** Rules that answer with the flag's own variants. */
        readonly rules?: CheckedRules<D[K]['rules'], VariantRule, VariantKey<D[K]>, A, S>
        /** Boolean flags of this declaration. */
        readonly requires?: readonly DeclaredBoolean<D>[]
      } & NoOthers<D[K], VariantFlag>
    : {
        /** Rules that are on or off. */
        readonly rules?: CheckedRules<D[K]['rules'], BooleanRule, boolean, A, S>
        /** Boolean flags of this declaration. */
        readonly requires?: readonly DeclaredBoolean<D>[]
      } & NoOthers<D[K], BooleanFlag>
}
