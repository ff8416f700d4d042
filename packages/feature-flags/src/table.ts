import { EVERYONE, NOBODY, thresholdOf } from './bucketing.js'
import type { BucketBy } from './context.js'
import type { Pin } from './environment.js'
import { UnknownFlagError } from './errors.js'
import type { CompiledRule } from './rules.js'
import type { FlagSpec } from './specification.js'

/** Why something was changed by hand, or by a fall-back. */
export interface Cause {
  readonly why: string
  readonly by: string | undefined
  readonly at: number
}

/** Answers by id: on or off, or the index of a variant. */
export type Overrides = ReadonlyMap<string, boolean | number>

/** What a rollout gives to a flag. */
export interface FlagShare {
  /** 0 to 100. */
  readonly percentage: number
  /** The guilds that have it whatever the percentage. */
  readonly targetGuilds: readonly string[]
  /** Grows with each share of a flag: one that comes late does not undo a newer one. */
  readonly sequence: number
}

/** A change at run time: why, by whom, of which epoch, and of which process. */
export interface Changed extends Cause {
  readonly epoch: number
  readonly process: string
}

/** What was done to a flag at run time. Replaced whole by each change. */
export interface RuntimeFlag {
  /** The last change. */
  readonly changed: Changed
  /** In place of the declared one: set by hand, or by a rollout. */
  readonly percentage?: number | undefined
  readonly share?: FlagShare | undefined
  readonly disabled?: Cause | undefined
  readonly fallenBack?: Trip | undefined
}

/** A flag has fallen back, and has been tried again so often without success. */
export interface Trip extends Cause {
  readonly trials: number
}

/** A flag and all that was done to it. Replaced whole by each change. */
export interface FlagRecord {
  readonly spec: FlagSpec
  /** Where handles find it, in each table alike. */
  readonly slot: number
  readonly pin: Pin | undefined
  readonly runtime: RuntimeFlag | undefined
  /** The same, of trips that belong to this process alone. */
  readonly tripped: RuntimeFlag | undefined
  /** Why it is off by hand, in whichever layer. */
  readonly disabled: Cause | undefined
  readonly fallenBack: Cause | undefined
  readonly users: Overrides
  readonly guilds: Overrides
  readonly targetGuilds: ReadonlySet<string> | undefined
  readonly usage: Usage
}

/** How often each answer was given: off and on, or each variant by its index. Counted in place. */
export type Usage = number[]

/**
 * Whether a flag decides by its own rules (`active`), or what keeps it off for everyone: it was switched off by hand
 * (`disabled`), its new path kept failing (`fallen-back`), or a flag that it requires is not active (`blocked`).
 */
export type FlagState = 'active' | 'disabled' | 'fallen-back' | 'blocked'

/** A flag as it is evaluated: everything that does not depend on the context is worked out beforehand. */
export interface CompiledFlag {
  readonly name: string
  readonly record: FlagRecord
  readonly kind: FlagSpec['kind']
  readonly state: FlagState
  readonly by: BucketBy
  readonly saltHash: number
  /** Whether it is on, where that holds for every context. A flag with variants that is not on has its default. */
  readonly fixed: boolean | undefined
  /** Whether some are answered one by one: by overrides, target guilds or rules. Those of variants only choose. */
  readonly hasExceptions: boolean
  readonly hasOverrides: boolean
  readonly rules: readonly CompiledRule[]
  /** Below it lie the buckets of which both this flag's own percentage and {@link CompiledFlag.inherited} say yes. */
  readonly threshold: number
  /** The same for a context without an id. */
  readonly withoutId: boolean
  /** The lowest threshold of the required flags of the same buckets, at any depth. It binds overrides too. */
  readonly inherited: number
  readonly inheritedWithoutId: boolean
  /** The required flags that no threshold can stand for: they have exceptions, or buckets of their own. */
  readonly visits: readonly CompiledFlag[]
  readonly usage: Usage
}

/** All flags at one moment. Swapped whole by each change, so that whoever holds one sees one truth. */
export interface Table {
  /** Each after those that it requires. */
  readonly flags: ReadonlyMap<string, CompiledFlag>
  /** The same by their slots. */
  readonly bySlot: readonly CompiledFlag[]
  /** Why every flag is off, if it is. */
  readonly killed: Cause | undefined
}

/** Never pushed to: one for all flags that need no list. */
const none: CompiledFlag[] = []

/** Works out all flags. Looks at each flag and each requirement once. @param records - each after those it requires */
export function compile(records: Iterable<FlagRecord>, killed: Cause | undefined): Table {
  const flags = new Map<string, CompiledFlag>()
  const bySlot: CompiledFlag[] = []
  for (const record of records) {
    const { requires } = record.spec
    const required = requires.length === 0 ? none : requires.map((spec) => flags.get(spec.name) as CompiledFlag)
    const flag = compileFlag(record, required, killed !== undefined)
    flags.set(record.spec.name, flag)
    bySlot[record.slot] = flag
  }
  return { flags, bySlot, killed }
}

function compileFlag(record: FlagRecord, required: readonly CompiledFlag[], isKilled: boolean): CompiledFlag {
  const { spec, pin } = record
  let inherited = EVERYONE
  let inheritedWithoutId = true
  let isOff = isKilled || record.disabled !== undefined || record.fallenBack !== undefined
  let direct = none
  let through = none
  for (const flag of required) {
    if (flag.fixed === true) continue
    if (flag.fixed === false) isOff = true
    const sharesBuckets = flag.record.spec.salt === spec.salt && flag.record.spec.by === spec.by
    if (flag.hasExceptions || !sharesBuckets) {
      if (direct === none) direct = []
      direct.push(flag)
      continue
    }
    inherited = Math.min(inherited, flag.threshold)
    inheritedWithoutId &&= flag.withoutId
    if (flag.visits.length === 0) continue
    if (through === none) through = []
    through.push(flag)
  }
  const visits = joinVisits(direct, through)
  const own = ownGate(record)
  const canDiffer = spec.kind === 'boolean' && pin?.value === undefined
  const rules = pin?.value === undefined ? spec.rules : []
  const hasOverrides = record.users.size + record.guilds.size > 0
  const hasExceptions = canDiffer && (hasOverrides || record.targetGuilds !== undefined || rules.length > 0)
  const threshold = Math.min(inherited, own.threshold)
  const isOpen = inherited === EVERYONE && visits.length === 0
  return {
    name: spec.name,
    record,
    kind: spec.kind,
    state: stateOf(record, required),
    by: spec.by,
    saltHash: spec.saltHash,
    fixed: isOff ? false : fixedAnswer(threshold, isOpen, hasExceptions),
    hasExceptions,
    hasOverrides,
    rules,
    threshold,
    withoutId: inheritedWithoutId && own.withoutId,
    inherited,
    inheritedWithoutId,
    visits,
    usage: record.usage,
  }
}

function fixedAnswer(threshold: number, isOpen: boolean, hasExceptions: boolean): boolean | undefined {
  if (hasExceptions) return undefined
  if (threshold === NOBODY) return false
  return threshold === EVERYONE && isOpen ? true : undefined
}

/** The threshold that a flag would have if it required nothing. */
function ownGate(record: FlagRecord): { threshold: number; withoutId: boolean } {
  const { spec, pin } = record
  if (spec.kind === 'variant') return { threshold: EVERYONE, withoutId: true }
  if (pin?.value !== undefined) return gate(pin.value === true)
  const percentage = percentageOf(record)
  if (percentage === undefined) return gate(spec.default)
  const threshold = thresholdOf(percentage)
  if (threshold === EVERYONE) return gate(true)
  if (threshold === NOBODY) return gate(false)
  return { threshold, withoutId: spec.default }
}

/** The percentage that counts, if the flag has one: the environment's, the one set while running, the declared one. */
export function percentageOf({ spec, pin, runtime }: Pick<FlagRecord, 'spec' | 'pin' | 'runtime'>): number | undefined {
  if (spec.kind === 'variant') return undefined
  return pin?.percentage ?? runtime?.percentage ?? spec.percentage
}

function gate(isOpen: boolean): { threshold: number; withoutId: boolean } {
  return { threshold: isOpen ? EVERYONE : NOBODY, withoutId: isOpen }
}

function stateOf(record: FlagRecord, required: readonly CompiledFlag[]): FlagState {
  if (record.disabled !== undefined) return 'disabled'
  if (record.fallenBack !== undefined) return 'fallen-back'
  for (const flag of required) if (flag.state !== 'active') return 'blocked'
  return 'active'
}

/**
 * The flags to visit for one that requires `direct` ones and, `through` others, what those visit.
 *
 * Nothing is copied along a chain, or the copies would add up to its square: one list is shared by all below it, and
 * where lists meet, the flags that they belong to are visited instead.
 */
function joinVisits(direct: readonly CompiledFlag[], through: readonly CompiledFlag[]): readonly CompiledFlag[] {
  const list = through[0]?.visits
  if (list === undefined) return direct
  return direct.length === 0 && through.every((flag) => flag.visits === list) ? list : [...direct, ...through]
}

/** @throws UnknownFlagError when there is no such flag */
export function findFlag(table: Table, name: string): CompiledFlag {
  const flag = table.flags.get(name)
  if (flag === undefined) throw new UnknownFlagError(name, table.flags.keys())
  return flag
}

/** @throws UnknownFlagError when there is no such flag; TypeError when it has variants */
export function findBooleanFlag(table: Table, name: string): CompiledFlag {
  const flag = table.flags.get(name)
  return flag?.kind === 'boolean' ? flag : refuseVariants(table, name)
}

function refuseVariants(table: Table, name: string): never {
  findFlag(table, name)
  throw new TypeError(`Flag ${JSON.stringify(name)} has variants and is neither on nor off; ask \`variant\` for it`)
}

/** @throws UnknownFlagError when there is no such flag; TypeError when it has no variants */
export function findVariantFlag(table: Table, name: string): CompiledFlag {
  const flag = findFlag(table, name)
  if (flag.record.spec.kind !== 'variant') {
    throw new TypeError(`Flag ${JSON.stringify(name)} has no variants; ask \`isEnabled\` for it`)
  }
  return flag
}

/** @throws UnknownFlagError when the table is older than the flag, or it is a flag of other tables */
export function flagAt(
  { bySlot, flags }: Table,
  { slot, name }: { readonly slot: number; readonly name: string },
): CompiledFlag {
  const flag = bySlot[slot]
  if (flag === undefined || flag.name !== name) throw new UnknownFlagError(name, flags.keys())
  return flag
}

/** Counts an answer, in place. */
export function count({ usage }: CompiledFlag, answer: number): void {
  usage[answer] = (usage[answer] as number) + 1
}
