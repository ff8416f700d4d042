import type { BucketBy, Id } from './context.js'
import type { FlagDefinitions, FoundFlag } from './definitions.js'

/** Who is asked for must be said where users are counted, even if it is `null`. */
export interface CountedUser {
  /** A flag that was asked for, or one that it requires, counts users. */
  readonly userId: Id | null | undefined
}

/** The guild must be said where guilds are counted. */
export interface CountedGuild {
  /** A flag that was asked for, or one that it requires, counts guilds; `null` in a direct message. */
  readonly guildId: Id | null | undefined
}

/** Shares out ids by a percentage. */
export interface WithPercentage {
  /** The share of those for whom it is on. */
  readonly percentage: number
}

/** Shares out ids by weights. */
export interface WithWeights {
  /** The shares of variants. */
  readonly weights: object
}

/** What shares out ids: a flag, or one of its rules. */
export type WithShares = WithPercentage | WithWeights

/** Has rules. */
export interface WithRules<Rule> {
  /** The rules. */
  readonly rules: readonly Rule[]
}

/** Says what it counts. */
export interface WithBucketBy<By = BucketBy> {
  /** What it counts. */
  readonly by: By
}

/** Requires flags. */
export interface WithRequires<Names> {
  /** The names of these flags. */
  readonly requires: Names
}

/** Whether a flag counts ids by itself, as far as its declaration says. */
export type CountsIds<F> = F extends WithShares | WithBucketBy
  ? true
  : F extends WithRules<infer Rule>
    ? [Extract<Rule, WithShares>] extends [never]
      ? false
      : true
    : false

/** What the flags name in their `requires`. */
export type NamedByRequires<F> = F extends WithRequires<readonly (infer Name)[]> ? Name : never

/** Flags with all that they require, at any depth. */
export type WithRequired<D extends FlagDefinitions, Open, Done = never> = [Open] extends [never]
  ? Done
  : WithRequired<D, Exclude<NamedByRequires<D[Extract<Open, keyof D>]>, Open | Done>, Open | Done>

/** The flags of a union that count ids by themselves. */
export type CountingFlag<D extends FlagDefinitions, K> = K extends keyof D
  ? CountsIds<D[K]> extends true
    ? K
    : never
  : never

/** What a flag's shares are shares of. `never` where it has that from another flag, or only run time knows. */
export type OwnBucketBy<F> =
  F extends WithBucketBy<infer By>
    ? BucketBy extends By
      ? never
      : By
    : 'by' extends keyof F
      ? never
      : F extends WithRequires<readonly []>
        ? 'guild'
        : 'requires' extends keyof F
          ? never
          : 'guild'

/** The flag from which a flag has its `by`: that which it requires first. `never` where it has it from none. */
export type Lender<F> = 'by' extends keyof F
  ? never
  : F extends WithRequires<readonly [infer First, ...(readonly unknown[])]>
    ? First
    : never

/** What the shares of flags are shares of: their own `by`, else that of the flag that they require first, and so on. */
export type BucketByOf<D extends FlagDefinitions, Open, Done = never, Found = never> = [Open] extends [never]
  ? Found
  : BucketByOf<
      D,
      Exclude<{ [K in Extract<Open, keyof D>]: Lender<D[K]> }[Extract<Open, keyof D>], Open | Done>,
      Open | Done,
      Found | { [K in Extract<Open, keyof D>]: OwnBucketBy<D[K]> }[Extract<Open, keyof D>]
    >

/** What is counted where flags are asked: by themselves, and by all that they require. */
export type Counted<D extends FlagDefinitions, K> = BucketByOf<
  D,
  CountingFlag<D, WithRequired<D, Extract<Exclude<K, FoundFlag>, keyof D>>>
>

/** The ids that flags count. They must be said, even if it is `null`; of flags that only a source knows, none. */
export type CountedId<D extends FlagDefinitions, K> = ('user' extends Counted<D, K> ? CountedUser : unknown) &
  ('guild' extends Counted<D, K> ? CountedGuild : unknown)

/** The flags that count an id which a scope was not told. */
export type UntoldFlag<D extends FlagDefinitions, Untold extends BucketBy> = {
  [K in Extract<keyof D, string>]: [Extract<Counted<D, K>, Untold>] extends [never] ? never : K
}[Extract<keyof D, string>]

/** Of some flags, those for which a scope can answer. When it was told both ids it can for all. */
export type ToldFlag<D extends FlagDefinitions, Name, Untold extends BucketBy> = [Untold] extends [never]
  ? Name
  : Exclude<Name, UntoldFlag<D, Untold>>

/** The ids that the handle of a flag wants to be told. */
export type WantedId<C> =
  | (Exclude<C, undefined> extends CountedUser ? 'user' : never)
  | (Exclude<C, undefined> extends CountedGuild ? 'guild' : never)

/** Refuses the handle of a flag that counts an id which a scope was not told. */
export type ToldHandle<C, Untold extends BucketBy> = [Extract<WantedId<C>, Untold>] extends [never] ? unknown : never
