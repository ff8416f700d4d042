import { bucketOf } from './bucketing.js'
import { guildIdOf, Subject, userIdOf, type FlagContext } from './context.js'
import { murmur3 } from './murmur3.js'
import type { VariantSpec } from './specification.js'
import type { CompiledFlag, FlagRecord } from './table.js'

// Which of several rules answers, the first that applies: the switch for all flags; off by hand; fallen back; a
// required flag that is off for this subject; environment; override of the user; of the guild; percentage; default.
// Those that hold for every subject alike have been worked out by `compile`.

/** Whether a flag is on. For a flag with variants: whether anything else than its default may be answered. */
export function isOn(flag: CompiledFlag, subject: Subject): boolean {
  if (flag.fixed !== undefined) return flag.fixed
  return (flag.visits.length === 0 || visitsAreOn(flag, subject)) && isOnByItself(flag, subject)
}

/** The same for a context that is asked about once. A bot does this for every command, so nothing is allocated. */
export function isOnFor(flag: CompiledFlag, context: FlagContext | undefined): boolean {
  if (flag.visits.length > 0) return isOn(flag, new Subject(context))
  const guildId = guildIdOf(context)
  const userId = userIdOf(context)
  if (flag.fixed !== undefined) return flag.fixed
  const id = flag.by === 'guild' ? (guildId ?? userId) : userId
  return isOnForIds(flag, guildId, userId, id === undefined ? undefined : murmur3(id))
}

/**
 * The answer of a flag with variants.
 *
 * @throws TypeError when it has none
 */
export function variantOf(flag: CompiledFlag, subject: Subject): string {
  const { spec } = flag.record
  if (spec.kind !== 'variant') {
    throw new TypeError(`Flag ${JSON.stringify(spec.name)} has no variants; ask \`isEnabled\` for it`)
  }
  if (!isOn(flag, subject)) return spec.default
  const chosen = flag.record.pin?.value ?? overrideFor(flag.record, subject.guildId, subject.userId)
  return typeof chosen === 'string' ? chosen : (splitFor(spec, subject)?.variant ?? spec.default)
}

/** The answer that was set for this user or, failing that, for this guild. */
export function overrideFor(
  record: FlagRecord,
  guildId: string | undefined,
  userId: string | undefined,
): boolean | string | undefined {
  const ofUser = userId === undefined ? undefined : record.users.get(userId)
  return ofUser ?? (guildId === undefined ? undefined : record.guilds.get(guildId))
}

/** The variant that the weights give to this subject, if there are weights and it has an id. */
export function splitFor(
  { split, by, variants }: VariantSpec,
  subject: Subject,
): { variant: string; bucket: number; percentage: number } | undefined {
  const bucket = split === undefined ? undefined : subject.bucket(by, split.saltHash)
  if (split === undefined || bucket === undefined) return undefined
  const index = split.thresholds.findIndex((threshold) => bucket < threshold)
  return { variant: variants[index] as string, bucket, percentage: split.percentages[index] as number }
}

/** What is left once the flags to visit are on. */
function isOnByItself(flag: CompiledFlag, subject: Subject): boolean {
  return isOnForIds(flag, subject.guildId, subject.userId, subject.idHash(flag.by))
}

function isOnForIds(
  flag: CompiledFlag,
  guildId: string | undefined,
  userId: string | undefined,
  idHash: number | undefined,
): boolean {
  const bucket = idHash === undefined ? undefined : bucketOf(idHash, flag.saltHash)
  if (flag.hasOverrides) {
    if (!(bucket === undefined ? flag.inheritedWithoutId : bucket < flag.inherited)) return false
    const override = overrideFor(flag.record, guildId, userId)
    if (override !== undefined) return override === true
  }
  return bucket === undefined ? flag.withoutId : bucket < flag.threshold
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
