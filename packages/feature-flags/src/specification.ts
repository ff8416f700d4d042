import { inspect } from 'node:util'
import { cuts } from './bucketing.js'
import type { BucketBy } from './context.js'
import type { FlagDefinition, FlagDefinitions } from './definitions.js'
import { murmur3 } from './murmur3.js'
import { didYouMean } from './nearest.js'
import { flagDefaults } from './options.js'
import { orderByRequirement } from './requirements.js'

/** A declared flag, checked, with what it inherits from its requirements filled in. */
export type FlagSpec = BooleanSpec | VariantSpec

interface CommonSpec {
  readonly name: string
  readonly requires: readonly FlagSpec[]
  /** Flags of one salt and one `by` share their buckets, so that their percentages can be compared when compiled. */
  readonly salt: string
  readonly saltHash: number
  readonly by: BucketBy
}

/** A {@link BooleanFlag}, checked. */
export interface BooleanSpec extends CommonSpec {
  readonly kind: 'boolean'
  readonly default: boolean
  readonly percentage: number | undefined
}

/** A {@link VariantFlag}, checked. */
export interface VariantSpec extends CommonSpec {
  readonly kind: 'variant'
  readonly default: string
  readonly variants: readonly string[]
  readonly split: Split | undefined
}

/** How ids are shared out between variants. */
export interface Split {
  readonly saltHash: number
  /** The threshold under which a bucket belongs to the variant of the same index, unless to an earlier one. */
  readonly thresholds: readonly number[]
  /** The share of each variant, 0 to 100. */
  readonly percentages: readonly number[]
}

const booleanProperties = ['default', 'percentage', 'by', 'salt', 'requires']
const variantProperties = ['default', 'variants', 'weights', 'by', 'salt', 'requires']

/**
 * Checks a declaration.
 *
 * @returns the flags, each after those that it requires
 * @throws TypeError, RangeError naming the flag, the value and what to write instead
 */
export function specify(definitions: FlagDefinitions): ReadonlyMap<string, FlagSpec> {
  if (!isRecord(definitions)) throw new TypeError('`flags` must be an object of flags by name')
  const declared = new Map<string, FlagDefinition>(Object.entries(definitions))
  const requires = new Map<string, readonly string[]>()
  for (const [name, definition] of declared) {
    if (!isRecord(definition)) throw new TypeError(`Flag ${quote(name)} must be an object such as { default: false }`)
    requires.set(name, checkedRequires(name, definition.requires))
  }
  const specs = new Map<string, FlagSpec>()
  for (const name of orderByRequirement(requires)) {
    const required = (requires.get(name) ?? []).map((other) => specs.get(other) as FlagSpec)
    const variant = required.find((spec) => spec.kind === 'variant')
    if (variant !== undefined) {
      throw new TypeError(`Flag ${quote(name)} requires ${quote(variant.name)}, which has variants and is never "off"`)
    }
    specs.set(name, specifyFlag(name, declared.get(name) as FlagDefinition, required))
  }
  return specs
}

function specifyFlag(name: string, definition: FlagDefinition, requires: readonly FlagSpec[]): FlagSpec {
  const isVariant = definition.variants !== undefined
  refuseUnknown(name, definition, isVariant ? variantProperties : booleanProperties)
  const by = definition.by ?? requires[0]?.by ?? flagDefaults.by
  if (by !== 'guild' && by !== 'user') {
    throw new TypeError(`Flag ${quote(name)}: \`by\` must be 'guild' or 'user', not ${literal(by)}`)
  }
  if (definition.salt !== undefined && typeof definition.salt !== 'string') {
    throw new TypeError(`Flag ${quote(name)}: \`salt\` must be a string, not ${literal(definition.salt)}`)
  }
  const inheritedSalt = requires[0]?.salt ?? name
  if (isVariant) {
    // The variants are split in an order of their own, or the flag that is required would have chosen the variant.
    const split = specifySplit(name, definition, definition.salt ?? name)
    const variants = [...definition.variants]
    const saltHash = murmur3(inheritedSalt)
    return {
      kind: 'variant',
      name,
      requires,
      salt: inheritedSalt,
      saltHash,
      by,
      default: definition.default,
      variants,
      split,
    }
  }
  if (definition.default !== undefined && typeof definition.default !== 'boolean') {
    throw new TypeError(
      `Flag ${quote(name)}: \`default\` must be true or false, not ${literal(definition.default)}; a flag of words needs \`variants\``,
    )
  }
  const salt = definition.salt ?? inheritedSalt
  const percentage =
    definition.percentage === undefined ? undefined : checkPercentage(`Flag ${quote(name)}`, definition.percentage)
  return {
    kind: 'boolean',
    name,
    requires,
    salt,
    saltHash: murmur3(salt),
    by,
    default: definition.default ?? flagDefaults.default,
    percentage,
  }
}

/** @throws TypeError, RangeError when it is not a number from 0 to 100 */
export function checkPercentage(whose: string, percentage: number): number {
  if (typeof percentage !== 'number') {
    throw new TypeError(`${whose}: the percentage must be a number from 0 to 100, not ${literal(percentage)}`)
  }
  if (!(percentage >= 0 && percentage <= 100)) {
    throw new RangeError(`${whose}: the percentage must be from 0 to 100, not ${percentage}`)
  }
  return percentage
}

function specifySplit(
  name: string,
  { variants, default: fallback, weights }: Extract<FlagDefinition, { variants: readonly string[] }>,
  salt: string,
): Split | undefined {
  if (!Array.isArray(variants) || variants.length === 0 || variants.some((variant) => typeof variant !== 'string')) {
    throw new TypeError(`Flag ${quote(name)}: \`variants\` must be a list of strings, not ${literal(variants)}`)
  }
  if (new Set(variants).size < variants.length) {
    throw new TypeError(`Flag ${quote(name)}: \`variants\` names one twice: ${literal(variants)}`)
  }
  if (!variants.includes(fallback)) {
    throw new TypeError(
      `Flag ${quote(name)}: \`default\` must be one of ${literal(variants)}, not ${literal(fallback)}`,
    )
  }
  if (weights === undefined) return undefined
  if (!isRecord(weights)) throw new TypeError(`Flag ${quote(name)}: \`weights\` must be numbers by variant`)
  for (const [variant, weight] of Object.entries(weights)) {
    if (!variants.includes(variant)) {
      throw new TypeError(`Flag ${quote(name)}: \`weights\` names ${quote(variant)}, not one of ${literal(variants)}`)
    }
    if (typeof weight !== 'number' || !(weight >= 0) || !Number.isFinite(weight)) {
      throw new RangeError(
        `Flag ${quote(name)}: the weight of ${quote(variant)} must be 0 or more, not ${literal(weight)}`,
      )
    }
  }
  const names: readonly string[] = variants
  const shares = names.map((variant) => (Object.hasOwn(weights, variant) ? (weights[variant] ?? 0) : 0))
  const total = shares.reduce((sum, share) => sum + share, 0)
  if (!(total > 0) || !Number.isFinite(total)) {
    throw new RangeError(`Flag ${quote(name)}: \`weights\` must add up to more than 0, not ${total}`)
  }
  return {
    saltHash: murmur3(salt),
    thresholds: cuts(shares),
    percentages: shares.map((share) => (share / total) * 100),
  }
}

function checkedRequires(name: string, requires: unknown): readonly string[] {
  if (requires === undefined) return []
  if (!Array.isArray(requires) || requires.some((other) => typeof other !== 'string')) {
    throw new TypeError(`Flag ${quote(name)}: \`requires\` must be a list of flag names, not ${literal(requires)}`)
  }
  return [...new Set(requires as string[])]
}

function refuseUnknown(name: string, definition: object, known: readonly string[]): void {
  for (const property of Object.keys(definition)) {
    // A variant's properties on a boolean flag may be there and undefined.
    if (known.includes(property) || (definition as Record<string, unknown>)[property] === undefined) continue
    throw new TypeError(
      `Flag ${quote(name)} has no property ${quote(property)}${didYouMean(property, known) || `; it may have ${known.join(', ')}`}`,
    )
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function quote(text: string): string {
  return JSON.stringify(text)
}

/** A value as it was written. */
export function literal(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity })
}
