import type { AttributeTypes } from '../attributes.js'

/** What an attribute is compared with. A BigInt equals its decimal digits as a text, and the number of the same value. */
export type Scalar = string | number | boolean | bigint

/**
 * What one attribute must be: a value, one of several values, or whatever all of the operators say.
 *
 * @example
 * ```ts
 * import type { Condition } from '@evenkeel/feature-flags'
 *
 * const isPaying: Condition = ['gold', 'platinum']
 * const isLarge: Condition = { atLeast: 1_000, not: { in: [4_096] } }
 * console.log(isPaying, isLarge)
 * ```
 */
export type Condition = Scalar | readonly Scalar[] | ConditionOperators

/**
 * Ways to look at one attribute. Several in one object must all hold.
 *
 * @remarks
 * An attribute counts as missing when it is not the object's own, is `undefined`, `null` or NaN, is no text, number,
 * boolean, BigInt or valid `Date`, or throws when it is read. A missing one satisfies `exists: false` and nothing else:
 * neither `notIn` nor `not`.
 *
 * Values are never converted: the text `'5'` is not the number 5. `guildId` and `userId` are texts of digits, whatever
 * they were given as, and take no operator that measures.
 */
export interface ConditionOperators {
  /** One of these values. */
  readonly in?: readonly Scalar[]
  /** None of these values. */
  readonly notIn?: readonly Scalar[]
  /** A text that begins with this text, or with one of these. Case counts. */
  readonly startsWith?: string | readonly string[]
  /** A text that ends with this text, or with one of these. Case counts. */
  readonly endsWith?: string | readonly string[]
  /** A text with this text in it, or one of these. Case counts. */
  readonly contains?: string | readonly string[]
  /** A number (or BigInt) above this one. */
  readonly moreThan?: number
  /** A number (or BigInt) that is this one or above. */
  readonly atLeast?: number
  /** A number (or BigInt) below this one. */
  readonly lessThan?: number
  /** A number (or BigInt) that is this one or below. */
  readonly atMost?: number
  /**
   * An instant later than this one. Both are a `Date`, epoch ms, or an ISO 8601 text: `'2026-11-28'`, which is midnight
   * UTC, or `'2026-11-28T08:30:00Z'` with its offset, so that the answer is the same in every time zone.
   */
  readonly after?: string | number | Date
  /** An instant earlier than this one; see {@link ConditionOperators.after}. */
  readonly before?: string | number | Date
  /**
   * A version (semver) within this range: `'>=1.4.0 <2.0.0 || 3.x'`. The operators are `=`, `>`, `>=`, `<`, `<=`, `^` and
   * `~`; `x`, `*` or a part left out stands for any number; a space means "and", `||` "or".
   *
   * @remarks
   * *Gotchas*: pre-releases count by their precedence alone, so `2.0.0-beta` lies within `<2.0.0`. It lies within `2.x`
   * as well, but not within `^1.4.0`. What is not a whole version, such as `1.4`, lies within no range.
   * @see https://semver.org/#spec-item-11
   */
  readonly version?: string
  /**
   * A text in which this regular expression is found; only where patterns are allowed.
   *
   * @remarks
   * It takes time in proportion to the text, whatever it says. It may use characters, `.`, `[a-z]`, `[^a-z]`, `\d \D \w
   * \W \s \S`, `\t \n \r \f \v`, `\xhh`, `\uhhhh`, `\u{h}`, a backslash before punctuation, `( )`, `(?: )`, `|`, `*`, `+`,
   * `?`, `{n}`, `{n,}`, `{n,m}`, `^` and `$`, all as in a JavaScript expression with the flag `u`. Written out, that is
   * each `{n}` as n copies, it may have at most 1,000 steps.
   *
   * *Gotchas*: it is not found in a text of more than 1,000 UTF-16 units.
   */
  readonly matches?: string
  /** Whether the attribute is there at all. */
  readonly exists?: boolean
  /** What must not be. The attribute must be there all the same. */
  readonly not?: Scalar | readonly Scalar[] | Omit<ConditionOperators, 'exists' | 'not'>
}

/**
 * What a guild, user or their attributes must be, by the name of the attribute; all must hold. `guildId` and `userId` mean
 * those of the context, every other name one of its `attributes`.
 *
 * @example
 * ```ts
 * import type { Conditions } from '@evenkeel/feature-flags'
 *
 * const early: Conditions = {
 *   plan: ['gold', 'platinum'],
 *   members: { atLeast: 1_000 },
 *   guildId: { notIn: ['81384788765712384'] },
 * }
 * console.log(Object.keys(early).length) // => 3
 * ```
 */
export interface Conditions {
  /** What one attribute must be. */
  readonly [attribute: string]: Condition
}

/** What conditions may ask for: the ids, and the attributes that were declared; any, if none were. */
export type AttributeName<A extends AttributeTypes> = Extract<keyof A, string> | 'guildId' | 'userId'

/** Conditions on the attributes that were declared; on any, if none were. */
export type ConditionsOn<A extends AttributeTypes> = { readonly [Name in AttributeName<A>]?: Condition }

/** Refuses, in conditions, the attributes that were not declared and the operators that do not exist. */
export type CheckedConditions<Given, A extends AttributeTypes> = {
  readonly [Name in keyof Given]: string extends Name
    ? unknown
    : Name extends AttributeName<A>
      ? CheckedCondition<Given[Name]>
      : never
}

/** Refuses, in a condition, the operators that do not exist. */
export type CheckedCondition<Given> = Given extends Scalar | readonly Scalar[]
  ? unknown
  : {
      readonly [Operator in keyof Given]: Operator extends 'not'
        ? CheckedNegation<Given[Operator]>
        : Operator extends keyof ConditionOperators
          ? unknown
          : never
    }

/** Refuses, in what must not be, the operators that do not exist there. */
export type CheckedNegation<Given> = Given extends Scalar | readonly Scalar[]
  ? unknown
  : {
      readonly [Operator in keyof Given]: Operator extends Exclude<keyof ConditionOperators, 'exists' | 'not'>
        ? unknown
        : never
    }
