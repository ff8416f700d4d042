import { EVERYONE, NOBODY, thresholdOf } from './bucketing.js'
import type { BucketBy } from './context.js'
import type { Pin } from './environment.js'
import { UnknownFlagError } from './errors.js'
import type { FlagSpec } from './specification.js'

/** Why something was changed by hand, or by a fall-back. */
export interface Cause {
  readonly why: string
  readonly by: string | undefined
  readonly at: number
}

/** Answers by id. */
export type Overrides = ReadonlyMap<string, boolean | string>

/** A flag and all that was done to it. Replaced whole by each change. */
export interface FlagRecord {
  readonly spec: FlagSpec
  readonly pin: Pin | undefined
  /** Set while running; `undefined` leaves the declared one. */
  readonly livePercentage: number | undefined
  readonly disabled: Cause | undefined
  readonly fallenBack: Cause | undefined
  readonly users: Overrides
  readonly guilds: Overrides
}

/**
 * Whether a flag decides by its own rules (`active`), or what keeps it off for everyone: it was switched off by hand
 * (`disabled`), its new path kept failing (`fallen-back`), or a flag that it requires is not active (`blocked`).
 */
export type FlagState = 'active' | 'disabled' | 'fallen-back' | 'blocked'

/** A flag as it is evaluated: everything that does not depend on the context is worked out beforehand. */
export interface CompiledFlag {
  readonly record: FlagRecord
  readonly state: FlagState
  readonly by: BucketBy
  readonly saltHash: number
  /** Whether it is on, where that holds for every context. A flag with variants that is not on has its default. */
  readonly fixed: boolean | undefined
  /** Whether overrides may decide if it is on. Those of a flag with variants only choose between variants. */
  readonly hasOverrides: boolean
  /** Below it lie the buckets of which both this flag's own percentage and {@link CompiledFlag.inherited} say yes. */
  readonly threshold: number
  /** The same for a context without an id. */
  readonly withoutId: boolean
  /** The lowest threshold of the required flags of the same buckets, at any depth. It binds overrides too. */
  readonly inherited: number
  readonly inheritedWithoutId: boolean
  /** The required flags that no threshold can stand for: they have overrides, or buckets of their own. */
  readonly visits: readonly CompiledFlag[]
}

/** All flags at one moment. Swapped whole by each change, so that whoever holds one sees one truth. */
export interface Table {
  readonly flags: ReadonlyMap<string, CompiledFlag>
  /** Why every flag is off, if it is. */
  readonly killed: Cause | undefined
}

/** Works out all flags. Looks at each flag and each requirement once. @param records - each after those it requires */
export function compile(records: Iterable<FlagRecord>, killed: Cause | undefined): Table {
  const flags = new Map<string, CompiledFlag>()
  for (const record of records) {
    const required = record.spec.requires.map((spec) => flags.get(spec.name) as CompiledFlag)
    flags.set(record.spec.name, compileFlag(record, required, killed !== undefined))
  }
  return { flags, killed }
}

function compileFlag(record: FlagRecord, required: readonly CompiledFlag[], isKilled: boolean): CompiledFlag {
  const { spec, pin } = record
  let inherited = EVERYONE
  let inheritedWithoutId = true
  let isOff = isKilled || record.disabled !== undefined || record.fallenBack !== undefined
  const direct: CompiledFlag[] = []
  const through: CompiledFlag[] = []
  for (const flag of required) {
    if (flag.fixed === true) continue
    if (flag.fixed === false) isOff = true
    const sharesBuckets = flag.record.spec.salt === spec.salt && flag.record.spec.by === spec.by
    if (flag.hasOverrides || !sharesBuckets) {
      direct.push(flag)
      continue
    }
    inherited = Math.min(inherited, flag.threshold)
    inheritedWithoutId &&= flag.withoutId
    if (flag.visits.length > 0) through.push(flag)
  }
  const visits = joinVisits(direct, through)
  const own = ownGate(record)
  const canOverride = spec.kind === 'boolean' && pin?.value === undefined
  const hasOverrides = canOverride && record.users.size + record.guilds.size > 0
  const threshold = Math.min(inherited, own.threshold)
  const isOpen = inherited === EVERYONE && visits.length === 0
  return {
    record,
    state: stateOf(record, required),
    by: spec.by,
    saltHash: spec.saltHash,
    fixed: isOff ? false : fixedAnswer(threshold, isOpen, hasOverrides),
    hasOverrides,
    threshold,
    withoutId: inheritedWithoutId && own.withoutId,
    inherited,
    inheritedWithoutId,
    visits,
  }
}

function fixedAnswer(threshold: number, isOpen: boolean, hasOverrides: boolean): boolean | undefined {
  if (hasOverrides) return undefined
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
export function percentageOf({ spec, pin, livePercentage }: FlagRecord): number | undefined {
  return pin?.percentage ?? livePercentage ?? (spec.kind === 'boolean' ? spec.percentage : undefined)
}

function gate(isOpen: boolean): { threshold: number; withoutId: boolean } {
  return { threshold: isOpen ? EVERYONE : NOBODY, withoutId: isOpen }
}

function stateOf(record: FlagRecord, required: readonly CompiledFlag[]): FlagState {
  if (record.disabled !== undefined) return 'disabled'
  if (record.fallenBack !== undefined) return 'fallen-back'
  return required.some((flag) => flag.state !== 'active') ? 'blocked' : 'active'
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
  const flag = findFlag(table, name)
  if (flag.record.spec.kind !== 'boolean') {
    throw new TypeError(`Flag ${JSON.stringify(name)} has variants and is neither on nor off; ask \`variant\` for it`)
  }
  return flag
}
