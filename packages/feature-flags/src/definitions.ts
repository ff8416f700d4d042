import type { BucketBy } from './context.js'

/** A flag that is on or off. */
export interface BooleanFlag {
  /**
   * The answer while no percentage is set, and for a context that has no id to count.
   * @defaultValue `false`
   */
  readonly default?: boolean
  /** The share of guilds or users for whom it is on, 0 to 100. */
  readonly percentage?: number
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
}

/** A flag that answers with one of several words. */
export interface VariantFlag {
  /** The variant of whoever gets no other: one of `variants`. */
  readonly default: string
  /** Every answer that is possible. */
  readonly variants: readonly string[]
  /**
   * Splits ids between variants, in proportion: `{ plain: 80, cards: 20 }`. A variant that is not named gets none.
   * Without weights everyone has the default, but for overrides.
   */
  readonly weights?: Readonly<Record<string, number>>
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
}

/** One flag as it is declared. */
export type FlagDefinition = BooleanFlag | VariantFlag

/** Flags by name. */
export type FlagDefinitions = Readonly<Record<string, FlagDefinition>>

/** The names of all flags of a declaration. */
export type FlagName<D extends FlagDefinitions> = Extract<keyof D, string>

/** What tells a flag with variants from one that is on or off. */
export type WithVariants = Pick<VariantFlag, 'variants'>

/** The names of the flags that are on or off. */
export type BooleanFlagName<D extends FlagDefinitions> = {
  [K in FlagName<D>]: D[K] extends WithVariants ? never : K
}[FlagName<D>]

/** The names of the flags that have variants. */
export type VariantFlagName<D extends FlagDefinitions> = {
  [K in FlagName<D>]: [Extract<D[K], WithVariants>] extends [never] ? never : K
}[FlagName<D>]

/** The answers that a flag can give. */
export type FlagValue<D extends FlagDefinitions, K extends keyof D> = D[K] extends WithVariants
  ? D[K]['variants'][number]
  : K extends VariantFlagName<D>
    ? boolean | string
    : boolean

/**
 * What a declaration must also satisfy, beyond each flag on its own: `requires` names boolean flags of the same
 * declaration, `default` and `weights` name variants of their own flag, and no property is misspelt.
 */
export type CheckedDefinitions<D extends FlagDefinitions> = {
  readonly [K in keyof D]: D[K] extends WithVariants
    ? {
        /** One of the flag's own variants. */
        readonly default: D[K]['variants'][number]
        /** Numbers by the flag's own variants. */
        readonly weights?: {
          readonly [W in keyof D[K]['weights']]: W extends D[K]['variants'][number] ? number : never
        }
        /** Boolean flags of this declaration. */
        readonly requires?: readonly BooleanFlagName<D>[]
      } & { readonly [P in Exclude<keyof D[K], keyof VariantFlag>]: never }
    : {
        /** Boolean flags of this declaration. */
        readonly requires?: readonly BooleanFlagName<D>[]
      } & { readonly [P in Exclude<keyof D[K], keyof BooleanFlag>]: never }
}
