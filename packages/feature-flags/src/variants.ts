import { cuts } from './bucketing.js'
import type { JsonValue } from './definitions.js'
import { isRecord, literal, quote, SettingProblem } from './setting-problem.js'

/** The answers of a flag, by name and in their order. */
export interface Variants {
  readonly names: readonly string[]
  readonly values: readonly JsonValue[]
  readonly indexes: ReadonlyMap<string, number>
}

/** How ids are shared out between variants. */
export interface Split {
  /** The threshold under which a bucket belongs to the variant of the same index, unless to an earlier one. */
  readonly thresholds: readonly number[]
  /** The share of each variant, 0 to 100. */
  readonly percentages: readonly number[]
}

/** @throws SettingProblem when they are no list of words and numbers, nor JSON values by name */
export function checkVariants(variants: unknown): Variants {
  const pairs: [string, JsonValue][] = Array.isArray(variants) ? fromList(variants) : fromRecord(variants)
  if (pairs.length === 0) throw new SettingProblem('`variants` must name at least one', ['variants'])
  const indexes = new Map(pairs.map(([name], index) => [name, index]))
  if (indexes.size < pairs.length) {
    throw new SettingProblem(`\`variants\` names one twice: ${literal(variants)}`, ['variants'])
  }
  return { names: pairs.map(([name]) => name), values: pairs.map(([, value]) => value), indexes }
}

function fromList(list: readonly unknown[]): [string, JsonValue][] {
  return list.map((variant, index) => {
    if (typeof variant === 'string' || (typeof variant === 'number' && Number.isFinite(variant))) {
      return [String(variant), variant]
    }
    throw new SettingProblem(
      `\`variants\` must be a list of strings or numbers, or JSON values by name, not with ${literal(variant)}`,
      ['variants', index],
    )
  })
}

function fromRecord(record: unknown): [string, JsonValue][] {
  if (!isRecord(record)) {
    throw new SettingProblem(
      `\`variants\` must be a list of strings or numbers, or JSON values by name, not ${literal(record)}`,
      ['variants'],
    )
  }
  return Object.entries(record).map(([name, value]) => [name, frozenJson(value, ['variants', name])])
}

/** Every caller gets the same value, so nobody may change it. */
function frozenJson(value: unknown, path: readonly (string | number)[], depth = 0): JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (depth > 100) throw new SettingProblem('a variant is nested more than 100 deep', path)
  if (Array.isArray(value)) return Object.freeze(value.map((item, i) => frozenJson(item, [...path, i], depth + 1)))
  const isPlain = isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)
  if (!isPlain) throw new SettingProblem(`a variant must be JSON, and ${literal(value)} is none`, path)
  const entries = Object.entries(value).map(([name, item]) => [name, frozenJson(item, [...path, name], depth + 1)])
  return Object.freeze(Object.fromEntries(entries) as Record<string, JsonValue>)
}

/** @throws SettingProblem when `key` is none of the variants */
export function checkVariant(variants: Variants, key: unknown, what: string): number {
  const index = typeof key === 'string' || typeof key === 'number' ? variants.indexes.get(String(key)) : undefined
  if (index === undefined) {
    throw new SettingProblem(`${what} must be one of ${listed(variants)}, not ${literal(key)}`)
  }
  return index
}

/** The variants as they are named, for a message. */
export function listed({ names }: Variants): string {
  return names.map(quote).join(', ')
}

/** @throws SettingProblem when weights are no numbers by variant that add up to more than 0 */
export function checkWeights(variants: Variants, weights: unknown): Split {
  if (!isRecord(weights)) throw new SettingProblem('`weights` must be numbers by variant')
  for (const [variant, weight] of Object.entries(weights)) {
    if (!variants.indexes.has(variant)) {
      throw new SettingProblem(`\`weights\` names ${quote(variant)}, not one of ${listed(variants)}`, [variant])
    }
    if (typeof weight !== 'number' || !(weight >= 0) || !Number.isFinite(weight)) {
      throw new SettingProblem(
        `the weight of ${quote(variant)} must be 0 or more, not ${literal(weight)}`,
        [variant],
        true,
      )
    }
  }
  const shares = variants.names.map((name) => (Object.hasOwn(weights, name) ? (weights[name] as number) : 0))
  const total = shares.reduce((sum, share) => sum + share, 0)
  if (!(total > 0) || !Number.isFinite(total)) {
    throw new SettingProblem(`\`weights\` must add up to more than 0, not ${total}`, [], true)
  }
  return { thresholds: cuts(shares), percentages: shares.map((share) => (share / total) * 100) }
}
