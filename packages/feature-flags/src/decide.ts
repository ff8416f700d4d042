import { bucketOf } from './bucketing.js'
import { guildIdOf, Subject, userIdOf, type Attributes, type FlagContext } from './context.js'
import { murmur3 } from './murmur3.js'
import { matches, type CompiledRule } from './rules.js'
import type { VariantSpec } from './specification.js'
import type { CompiledFlag, FlagRecord } from './table.js'
import type { Split } from './variants.js'

// Which of several rules answers, the first that applies: the switch for all flags; off by hand; fallen back; a
// required flag that is off for this subject; environment; override of the user; of the guild; target guilds of a
// rollout; targeting rules; percentage; default. Those that hold for every subject alike have been worked out by
// `compile`.

/** Whether a flag is on. For a flag with variants: whether anything else than its default may be answered. */
export function isOn(flag: CompiledFlag, subject: Subject): boolean {
  if (flag.fixed !== undefined) return flag.fixed
  return (flag.visits.length === 0 || visitsAreOn(flag, subject)) && isOnByItself(flag, subject)
}

/** The same for a context that is asked about once. A bot does this for every command, so nothing is allocated. */
export function isOnFor(flag: CompiledFlag, context: FlagContext | undefined): boolean {
  if (flag.visits.length > 0) return isOnWithVisits(flag, context)
  const guildId = guildIdOf(context)
  const userId = userIdOf(context)
  if (flag.fixed !== undefined) return flag.fixed
  const id = flag.by === 'guild' ? (guildId ?? userId) : userId
  const idHash = id === undefined ? undefined : murmur3(id)
  return isOnForIds(flag, guildId, userId, context?.attributes, idHash)
}

// Apart, so that the compiler can take the rest into the function that asks.
function isOnWithVisits(flag: CompiledFlag, context: FlagContext | undefined): boolean {
  return isOn(flag, new Subject(context))
}

/** The answer of a flag with variants, as the index of one. */
export function variantOf(flag: CompiledFlag, spec: VariantSpec, subject: Subject): number {
  if (!isOn(flag, subject)) return spec.default
  const { record } = flag
  const chosen = record.pin?.value ?? overrideFor(record, subject.guildId, subject.userId)
  if (typeof chosen === 'number') return chosen
  const rule = ruleFor(flag.rules, subject.guildId, subject.userId, subject.attributes)
  if (rule !== undefined && rule.split === undefined) return rule.variant
  return splitFor(rule?.split ?? spec.split, spec, subject)?.index ?? spec.default
}

/** The answer that was set for this user or, failing that, for this guild. */
export function overrideFor(
  record: FlagRecord,
  guildId: string | undefined,
  userId: string | undefined,
): boolean | number | undefined {
  const ofUser = userId === undefined ? undefined : record.users.get(userId)
  return ofUser ?? (guildId === undefined ? undefined : record.guilds.get(guildId))
}

/** The first rule that matches. */
export function ruleFor(
  rules: readonly CompiledRule[],
  guildId: string | undefined,
  userId: string | undefined,
  attributes: Attributes | undefined,
): CompiledRule | undefined {
  // By index: an iterator would be allocated.
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as CompiledRule
    if (matches(rule, guildId, userId, attributes)) return rule
  }
  return undefined
}

/** The variant that weights give to this subject, if there are weights and it has an id. */
export function splitFor(
  split: Split | undefined,
  { by, splitSaltHash }: VariantSpec,
  subject: Subject,
): { index: number; bucket: number; percentage: number } | undefined {
  const bucket = split === undefined ? undefined : subject.bucket(by, splitSaltHash)
  if (split === undefined || bucket === undefined) return undefined
  const index = split.thresholds.findIndex((threshold) => bucket < threshold)
  return { index, bucket, percentage: split.percentages[index] as number }
}

/** What is left once the flags to visit are on. */
function isOnByItself(flag: CompiledFlag, subject: Subject): boolean {
  return isOnForIds(flag, subject.guildId, subject.userId, subject.attributes, subject.idHash(flag.by))
}

function isOnForIds(
  flag: CompiledFlag,
  guildId: string | undefined,
  userId: string | undefined,
  attributes: Attributes | undefined,
  idHash: number | undefined,
): boolean {
  const bucket = idHash === undefined ? undefined : bucketOf(idHash, flag.saltHash)
  if (!flag.hasExceptions) return bucket === undefined ? flag.withoutId : bucket < flag.threshold
  if (!(bucket === undefined ? flag.inheritedWithoutId : bucket < flag.inherited)) return false
  const { record } = flag
  if (flag.hasOverrides) {
    const override = overrideFor(record, guildId, userId)
    if (override !== undefined) return override === true
  }
  if (guildId !== undefined && record.targetGuilds?.has(guildId) === true) return true
  const rule = ruleFor(flag.rules, guildId, userId, attributes)
  if (rule === undefined) return bucket === undefined ? flag.withoutId : bucket < flag.threshold
  if (bucket !== undefined) return bucket < rule.threshold
  return rule.withoutId ?? record.spec.default === true
}

/** Looks at each flag once, however many ways lead to it, and without recursion, however deep they lie. */
function visitsAreOn(flag: CompiledFlag, subject: Subject): boolean {
  const seen = new Set(flag.visits)
  // A Set is walked in the order of insertion, including what is inserted during the walk.
  for (const required of seen) {
    if (required.fixed === true) continue
    if (!isOnByItself(required, subject)) return false
    for (const further of required.visits) seen.add(further)
  }
  return true
}
