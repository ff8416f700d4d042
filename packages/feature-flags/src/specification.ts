import type { BucketBy } from './context.js'
import type { SegmentDefinitions } from './definitions.js'
import { isoInstant } from './conditions/instant.js'
import { murmur3 } from './murmur3.js'
import { didYouMean } from './nearest.js'
import { flagDefaults } from './options.js'
import { plainCopy } from './plain-copy.js'
import { orderByRequirement } from './requirements.js'
import { compileSegments, specifyRules, type CompiledRule, type RuleScope } from './rules.js'
import { isSameData } from './same-data.js'
import { at, literal, isRecord, quote, SettingProblem } from './setting-problem.js'
import { checkVariant, checkVariants, checkWeights, type Split, type Variants } from './variants.js'

/** What the layers say of a flag together, not yet checked. */
export interface FlagSettings {
  readonly settings: Settings
  /** Why it is off, if a layer says so. */
  readonly offWhy: string | undefined
  /** Since when, epoch ms; `undefined` since the code was read. */
  readonly offAt: number | undefined
}

type Settings = Readonly<Record<string, unknown>>

/** A flag as it is described, checked, with what it inherits from its requirements filled in. */
export type FlagSpec = BooleanSpec | VariantSpec

interface CommonSpec {
  readonly name: string
  /** What it was made of; the same settings need not be checked twice. */
  readonly source: FlagSettings
  readonly requires: readonly FlagSpec[]
  /** Flags of one salt and one `by` share their buckets, so that their percentages can be compared when compiled. */
  readonly salt: string
  readonly saltHash: number
  readonly by: BucketBy
  readonly rules: readonly CompiledRule[]
  readonly offWhy: string | undefined
  /** Epoch ms. */
  readonly expiresAt: number | undefined
  readonly owner: string | undefined
  readonly description: string | undefined
}

/** A {@link BooleanFlag}, checked. */
export interface BooleanSpec extends CommonSpec {
  readonly kind: 'boolean'
  readonly default: boolean
  readonly percentage: number | undefined
}

/** A {@link VariantFlag}, checked. Variants go by their index. */
export interface VariantSpec extends CommonSpec {
  readonly kind: 'variant'
  readonly default: number
  readonly variants: Variants
  readonly split: Split | undefined
  /** The variants are split in an order of their own, or the flag that is required would have chosen the variant. */
  readonly splitSaltHash: number
}

/** One for all flags that require nothing. */
const noSpecs: readonly FlagSpec[] = []
const noNames: readonly string[] = []

const common = ['default', 'enabled', 'by', 'salt', 'requires', 'rules', 'expiresAt', 'owner', 'description']
const booleanProperties = [...common, 'percentage']
const variantProperties = [...common, 'variants', 'weights']

/** What flags are specified with, beside their own settings. */
export interface Surroundings {
  readonly segments: SegmentDefinitions
  /** Whether conditions may use `matches`. */
  readonly patterns: boolean
  /** The attributes that rules may ask for; `undefined` for any. */
  readonly attributes: readonly string[] | undefined
}

/** A problem and the flag that it is about. */
export class FlagProblem extends Error {
  readonly flag: string
  readonly problem: SettingProblem

  constructor(flag: string, problem: SettingProblem) {
    super(problem.message)
    this.flag = flag
    this.problem = problem
  }
}

/**
 * Checks all flags.
 *
 * @param before - what was made of them the last time with the same surroundings, for those that are still the same
 * @returns the flags, each after those that it requires
 * @throws FlagProblem for the first that cannot be; SettingProblem for a segment that cannot be
 */
export function specify(
  flags: ReadonlyMap<string, FlagSettings>,
  surroundings: Surroundings,
  before?: ReadonlyMap<string, FlagSpec>,
): ReadonlyMap<string, FlagSpec> {
  const compiled = at(['segments'], () => compileSegments(surroundings.segments, surroundings))
  const scope: RuleScope = { ...surroundings, compiled }
  const requires = new Map<string, readonly string[]>()
  const specs = new Map<string, FlagSpec>()
  let checked = ''
  try {
    for (const [name, { settings }] of flags) {
      checked = name
      requires.set(name, checkedRequires(settings['requires']))
    }
    for (const name of orderByRequirement(requires)) {
      checked = name
      const source = flags.get(name) as FlagSettings
      const names = requires.get(name) as readonly string[]
      const required = names.length === 0 ? noSpecs : names.map((other) => specs.get(other) as FlagSpec)
      const old = before?.get(name)
      const isSame = old?.source === source && old.requires.every((spec, i) => spec === required[i])
      specs.set(name, isSame ? old : specifyFlag(name, source, required, scope, old))
    }
  } catch (error) {
    if (error instanceof SettingProblem) throw new FlagProblem(checked, error)
    throw error
  }
  return specs
}

function specifyFlag(
  name: string,
  source: FlagSettings,
  requires: readonly FlagSpec[],
  scope: RuleScope,
  old: FlagSpec | undefined,
): FlagSpec {
  const { settings } = source
  const isVariant = settings['variants'] !== undefined
  refuseUnknown(settings, isVariant ? variantProperties : booleanProperties)
  const variant = requires.find((spec) => spec.kind === 'variant')
  if (variant !== undefined) {
    throw new SettingProblem(`it requires ${quote(variant.name)}, which has variants and is never "off"`, ['requires'])
  }
  const by = settings['by'] ?? requires[0]?.by ?? flagDefaults.by
  if (by !== 'guild' && by !== 'user') {
    throw new SettingProblem(`\`by\` must be 'guild' or 'user', not ${literal(by)}`, ['by'])
  }
  const ownSalt = text(settings, 'salt')
  const inheritedSalt = requires[0]?.salt ?? name
  if (settings['enabled'] !== undefined && typeof settings['enabled'] !== 'boolean') {
    throw new SettingProblem(`\`enabled\` must be true or false, not ${literal(settings['enabled'])}`, ['enabled'])
  }
  const expiresAt = expiry(settings['expiresAt'])
  const owner = text(settings, 'owner')
  const description = text(settings, 'description')
  const { offWhy } = source
  if (isVariant) {
    const variants = checkVariants(settings['variants'])
    const weights = settings['weights']
    return {
      name,
      source,
      requires,
      by,
      offWhy,
      expiresAt,
      owner,
      description,
      kind: 'variant',
      salt: inheritedSalt,
      saltHash: murmur3(inheritedSalt),
      rules: rulesOf(settings, scope, variants, old),
      default: at(['default'], () => checkVariant(variants, settings['default'], '`default`')),
      variants,
      split: weights === undefined ? undefined : at(['weights'], () => checkWeights(variants, weights)),
      splitSaltHash: murmur3(ownSalt ?? name),
    }
  }
  const fallback = settings['default'] ?? flagDefaults.default
  if (typeof fallback !== 'boolean') {
    throw new SettingProblem(
      `\`default\` must be true or false, not ${literal(fallback)}; a flag of words needs \`variants\``,
      ['default'],
    )
  }
  const salt = ownSalt ?? inheritedSalt
  return {
    name,
    source,
    requires,
    by,
    offWhy,
    expiresAt,
    owner,
    description,
    kind: 'boolean',
    salt,
    saltHash: salt === requires[0]?.salt ? requires[0].saltHash : murmur3(salt),
    rules: rulesOf(settings, scope, undefined, old),
    default: fallback,
    percentage: share(settings['percentage']),
  }
}

/** @throws SettingProblem when it is not a number from 0 to 100 */
export function checkPercentage(percentage: unknown): number {
  if (typeof percentage !== 'number') {
    throw new SettingProblem(`the percentage must be a number from 0 to 100, not ${literal(percentage)}`)
  }
  if (!isPercentage(percentage)) {
    throw new SettingProblem(`the percentage must be from 0 to 100, not ${percentage}`, [], true)
  }
  return percentage
}

/** Most often another percentage is all that is new. */
function rulesOf(
  { rules, variants: described }: Settings,
  scope: RuleScope,
  variants: Variants | undefined,
  old: FlagSpec | undefined,
): readonly CompiledRule[] {
  if (old === undefined) return specifyRules(rules, scope, variants)
  const before = old.source.settings
  if (isSameData(before['rules'], rules) && isSameData(before['variants'], described)) return old.rules
  return specifyRules(rules, scope, variants, { rules: old.rules, settings: before['rules'] })
}

function share(percentage: unknown): number | undefined {
  if (percentage === undefined || (typeof percentage === 'number' && isPercentage(percentage))) return percentage
  return at(['percentage'], () => checkPercentage(percentage))
}

function isPercentage(value: number): boolean {
  return value >= 0 && value <= 100
}

function checkedRequires(requires: unknown): readonly string[] {
  if (requires === undefined) return noNames
  if (!Array.isArray(requires) || requires.some((other) => typeof other !== 'string')) {
    throw new SettingProblem(`\`requires\` must be a list of flag names, not ${literal(requires)}`, ['requires'])
  }
  return requires.length < 2 ? (requires as string[]) : [...new Set(requires as string[])]
}

function text(settings: Settings, property: string): string | undefined {
  const value = settings[property]
  if (value === undefined || typeof value === 'string') return value
  throw new SettingProblem(`\`${property}\` must be a string, not ${literal(value)}`, [property])
}

/** A `Date` holds no more, before and after 1970. */
const maxInstant = 8.64e15

function expiry(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const instant = typeof value === 'string' ? isoInstant(value) : value
  if (typeof instant === 'number' && Math.abs(instant) <= maxInstant) return instant
  throw new SettingProblem(
    `\`expiresAt\` must be a date such as '2027-01-31' or '2027-01-31T18:00Z', or epoch ms, not ${literal(value)}`,
    ['expiresAt'],
  )
}

function refuseUnknown(settings: Settings, known: readonly string[]): void {
  for (const property of Object.keys(settings)) {
    // A variant's properties on a boolean flag may be there and undefined.
    if (known.includes(property) || settings[property] === undefined) continue
    const hint = didYouMean(property, known) || `; it may have ${known.join(', ')}`
    throw new SettingProblem(`it has no property ${quote(property)}${hint}`, [property])
  }
}

/** The flags of a declaration, as settings: a copy of them. @throws FlagProblem, TypeError when it is no declaration */
export function settingsOf(definitions: unknown): ReadonlyMap<string, FlagSettings> {
  if (!isRecord(definitions)) throw new TypeError('`flags` must be an object of flags by name')
  const flags = new Map<string, FlagSettings>()
  for (const name of Object.keys(definitions)) {
    const settings = definitions[name]
    if (!isRecord(settings)) {
      throw new FlagProblem(name, new SettingProblem('it must be an object such as { default: false }'))
    }
    const offWhy = settings['enabled'] === false ? 'the code says so' : undefined
    flags.set(name, { settings: plainCopy(settings), offWhy, offAt: undefined })
  }
  return flags
}
