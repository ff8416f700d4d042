import { isDeepStrictEqual } from 'node:util'
import type { SegmentDefinitions } from './definitions.js'
import { readDocument, type FlagDocument } from './document.js'
import { FlagDocumentError } from './document-error.js'
import { killVariable, ownVariables, readEnvironment, type EnvironmentReading } from './environment.js'
import { plainCopy } from './plain-copy.js'
import { RequirementError } from './requirements.js'
import { untouched, type RuntimeState } from './runtime-state.js'
import { inCode, inDocument, SettingProblem } from './setting-problem.js'
import {
  FlagProblem,
  settingsOf,
  specify,
  type FlagSettings,
  type FlagSpec,
  type Surroundings,
} from './specification.js'
import type { OverridePlace } from './stored-override.js'
import { compile, type Cause, type FlagRecord, type Overrides, type Table, type Usage } from './table.js'

/** What the layers begin with. */
export interface Foundations {
  readonly definitions: unknown
  readonly segments: SegmentDefinitions
  readonly patterns: boolean
  readonly attributes: readonly string[] | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** When this process read its code and environment, epoch ms. */
  readonly at: number
  /** Whether trips are kept with everything else that is done at run time, or belong to this process alone. */
  readonly sharesTrips: boolean
}

/** An override as the layers answer by it: on or off, or the index of a variant; `undefined` for none. */
export interface OverrideAnswer extends OverridePlace {
  readonly value: boolean | number | undefined
}

/** A document that is in force. */
interface AppliedDocument extends FlagDocument {
  /** Since when it switches every flag off, if it does. */
  readonly offAt: number
}

/** What all layers say together. */
interface Merged {
  readonly flags: ReadonlyMap<string, FlagSettings>
  /** The flags that no source names any more, those first that went first. */
  readonly gone: ReadonlySet<string>
}

const nobody: Overrides = new Map()
/** So many flags that no source names any more are still known: the bot may ask for them. */
const maxGone = 10_000

/**
 * What is said of the flags, layer over layer: code, documents in their order, what was done at run time, environment.
 * Each change of a layer replaces that layer alone, works out the flags anew, and swaps the table of answers.
 */
export class Layers {
  readonly #foundations: Foundations
  readonly #code: ReadonlyMap<string, FlagSettings>
  readonly #documents: (AppliedDocument | undefined)[] = []
  readonly #variables: ReadonlyMap<string, string>
  readonly #warned = new Set<string>()
  #specs: ReadonlyMap<string, FlagSpec>
  #segments: SegmentDefinitions
  #gone: ReadonlySet<string> = new Set()
  #environment: EnvironmentReading
  #runtime = untouched
  #trips = untouched
  readonly #overrides = { users: new Map<string, Overrides>(), guilds: new Map<string, Overrides>() }
  /** Overrides that no held table has seen. They are changed in place, or loading many would copy each for each. */
  readonly #unseen = new Set<Overrides>()
  readonly #usage = new Map<string, Usage>()
  readonly #slots = new Map<string, number>()
  /** Never used again, so that a handle of a flag that was forgotten finds no other one. */
  #nextSlot = 0
  #records = new Map<string, FlagRecord>()
  #table: Table

  /** @throws TypeError, RangeError naming the flag, the value and what to write instead */
  constructor(foundations: Foundations) {
    this.#foundations = { ...foundations, segments: plainCopy(foundations.segments) }
    this.#variables = ownVariables(foundations.environment)
    this.#segments = this.#foundations.segments
    try {
      this.#code = settingsOf(foundations.definitions)
      this.#specs = specify(this.#code, this.#surroundings(this.#segments))
    } catch (error) {
      throw asDeclarationError(error)
    }
    this.#environment = readEnvironment(this.#variables, this.#specs.values(), this.#warned)
    this.#table = this.#compile()
  }

  /** To ask at once. It may change afterwards; to keep it, {@link Layers.hold} it. */
  get current(): Table {
    return this.#table
  }

  /** The current table, as it will stay for whoever keeps it. */
  hold(): Table {
    this.#unseen.clear()
    return this.#table
  }

  /**
   * Puts a document in the place of the last one of the same source. What it says as before is not worked out anew.
   *
   * @param at - when it was read, epoch ms
   * @throws FlagDocumentError when something in it cannot be; then nothing changes
   */
  applyDocument(index: number, source: string, document: unknown, at: number = this.#foundations.at): void {
    const before = this.#documents[index]
    const isVariant = (name: string): boolean => this.#specs.get(name)?.kind === 'variant'
    const read = {
      ...readDocument(plainCopy(document), source, isVariant),
      offAt: before?.isOff === true ? before.offAt : at,
    }
    const documents = [...this.#documents]
    documents[index] = read
    const segments = Object.assign(
      Object.create(null) as Record<string, never>,
      this.#foundations.segments,
      ...documents.map((each) => each?.segments),
    ) as SegmentDefinitions
    const isSame = isDeepStrictEqual(segments, this.#segments)
    const { flags, gone } = this.#merge(documents, at)
    let specs: ReadonlyMap<string, FlagSpec>
    let environment: EnvironmentReading
    try {
      refuseOtherVariants(this.#code, flags)
      refuseOtherKinds(this.#specs, flags)
      specs = specify(flags, this.#surroundings(segments), isSame ? this.#specs : undefined)
      const named = [...specs.values()].filter(({ name }) => !gone.has(name))
      environment = readEnvironment(this.#variables, named, this.#warned)
    } catch (error) {
      throw asDocumentError(error, read)
    }
    this.#documents[index] = read
    this.#segments = segments
    this.#gone = gone
    for (const name of this.#specs.keys()) if (!specs.has(name)) this.#forget(name)
    this.#specs = specs
    this.#environment = environment
    this.#table = this.#compile()
  }

  /** Puts what was done at run time in place of what was. */
  applyRuntime(runtime: RuntimeState): void {
    const before = this.#runtime
    this.#runtime = runtime
    this.#renew(before, runtime)
  }

  /** Puts the trips of this process in place of those that were. */
  applyTrips(trips: RuntimeState): void {
    const before = this.#trips
    this.#trips = trips
    this.#renew(before, trips)
  }

  /** Sets overrides, or removes them; the flags are worked out once for all of them. */
  setOverrides(answers: readonly OverrideAnswer[]): void {
    const others = new Set<string>()
    for (const answer of answers) if (!this.#setOverride(answer)) others.add(answer.flag)
    let isOther = false
    for (const name of others) {
      const spec = this.#specs.get(name)
      if (spec === undefined) continue
      this.#records.set(name, this.#recordOf(name, spec))
      isOther = true
    }
    if (isOther) this.#table = compile(this.#records.values(), this.#killed())
  }

  /** @returns whether the table sees it: it is as before, or was changed in place */
  #setOverride({ flag, whose, id, value }: OverrideAnswer): boolean {
    const before = this.#overrides[whose].get(flag) ?? nobody
    if (before.get(id) === value) return true
    const had = before.size > 0
    const overrides = this.#unseen.has(before) ? (before as Map<string, boolean | number>) : new Map(before)
    if (value === undefined) overrides.delete(id)
    else overrides.set(id, value)
    this.#unseen.delete(before)
    if (overrides.size === 0) {
      this.#overrides[whose].delete(flag)
      return false
    }
    this.#unseen.add(overrides)
    this.#overrides[whose].set(flag, overrides)
    return overrides === before && had
  }

  #renew(before: RuntimeState, after: RuntimeState): void {
    for (const [name, spec] of this.#specs) {
      if (before.flags.get(name) !== after.flags.get(name)) this.#records.set(name, this.#recordOf(name, spec))
    }
    this.#table = compile(this.#records.values(), this.#killed())
  }

  #surroundings(segments: SegmentDefinitions): Surroundings {
    const { patterns, attributes } = this.#foundations
    return { segments, patterns, attributes }
  }

  /** What all layers say of each flag, field by field. What is said as before is the same object as before. */
  #merge(documents: readonly (AppliedDocument | undefined)[], at: number): Merged {
    const merged = new Map(this.#code)
    for (const document of documents) {
      for (const [name, settings] of document?.flags ?? []) {
        const below = merged.get(name)
        const isOff = settings['enabled'] === false
        const offWhy = isOff ? `${document?.source} says so` : below?.offWhy
        merged.set(name, { settings: { ...below?.settings, ...settings }, offWhy, offAt: isOff ? at : below?.offAt })
      }
    }
    for (const [name, flag] of merged) {
      const isBareOff = flag.settings['enabled'] === false && kindOf(flag) !== 'variant'
      const said = isBareOff ? { ...flag, settings: { ...this.#lastKind(name), ...flag.settings } } : flag
      merged.set(name, this.#asBefore(name, said))
    }
    // A flag that a document does not name any more is still asked for: it is as if nothing were said of it.
    const gone = new Set([...this.#gone, ...this.#specs.keys()].filter((name) => !merged.has(name)))
    for (const name of gone) {
      if (gone.size <= maxGone) break
      gone.delete(name)
    }
    const offWhy = 'no source names it any more'
    for (const name of gone) {
      merged.set(name, this.#asBefore(name, { settings: this.#lastKind(name), offWhy, offAt: at }))
    }
    return { flags: merged, gone }
  }

  #asBefore(name: string, flag: FlagSettings): FlagSettings {
    const before = this.#specs.get(name)?.source
    if (before === undefined || before.offWhy !== flag.offWhy) return flag
    return isDeepStrictEqual(before.settings, flag.settings) ? before : flag
  }

  /** What can be answered is said by the flag that was; to switch a flag off takes no more than to say so. */
  #lastKind(name: string): Readonly<Record<string, unknown>> {
    const spec = this.#specs.get(name)
    if (spec?.kind !== 'variant') return {}
    const { variants, default: fallback } = spec.source.settings
    return { variants, default: fallback }
  }

  #forget(name: string): void {
    this.#slots.delete(name)
    this.#usage.delete(name)
  }

  #recordOf(name: string, spec: FlagSpec): FlagRecord {
    const runtime = this.#runtime.flags.get(name)
    const tripped = this.#trips.flags.get(name)
    const { offWhy, source } = spec
    const offAt = source.offAt ?? this.#foundations.at
    const held = offWhy === undefined ? undefined : { why: offWhy, by: undefined, at: offAt }
    const guilds = runtime?.share?.targetGuilds ?? []
    let slot = this.#slots.get(name)
    if (slot === undefined) this.#slots.set(name, (slot = this.#nextSlot++))
    return {
      spec,
      slot,
      pin: this.#environment.pins.get(name),
      runtime,
      tripped,
      disabled: runtime?.disabled ?? held,
      fallenBack: this.#foundations.sharesTrips ? runtime?.fallenBack : tripped?.fallenBack,
      users: this.#overrides.users.get(name) ?? nobody,
      guilds: this.#overrides.guilds.get(name) ?? nobody,
      targetGuilds: guilds.length === 0 ? undefined : new Set(guilds),
      usage: this.#usageOf(name, spec),
    }
  }

  #usageOf(name: string, spec: FlagSpec): Usage {
    const answers = spec.kind === 'variant' ? spec.variants.names.length : 2
    let usage = this.#usage.get(name)
    if (usage?.length !== answers) this.#usage.set(name, (usage = zeros(answers)))
    return usage
  }

  #killed(): Cause | undefined {
    if (this.#environment.isOff) return { why: `${killVariable} is off`, by: undefined, at: this.#foundations.at }
    if (this.#runtime.killed !== undefined) return this.#runtime.killed
    const document = this.#documents.find((each) => each?.isOff)
    return document && { why: `${document.source} says so`, by: undefined, at: document.offAt }
  }

  #compile(): Table {
    const before = this.#records
    this.#records = new Map()
    for (const [name, spec] of this.#specs) {
      const old = before.get(name)
      // The environment stays the same, and says of the same flag the same.
      this.#records.set(name, old?.spec === spec ? old : this.#recordOf(name, spec))
    }
    return compile(this.#records.values(), this.#killed())
  }
}

function zeros(count: number): Usage {
  const usage: Usage = []
  for (let i = 0; i < count; i++) usage.push(0)
  return usage
}

function kindOf({ settings }: FlagSettings): FlagSpec['kind'] {
  return settings['variants'] === undefined ? 'boolean' : 'variant'
}

/** A document may say how a flag of the code is decided, and not what it can answer: the code was written for that. */
function refuseOtherVariants(code: ReadonlyMap<string, FlagSettings>, flags: ReadonlyMap<string, FlagSettings>): void {
  for (const [name, { settings }] of code) {
    const variants = flags.get(name)?.settings['variants']
    if (variants === settings['variants'] || isDeepStrictEqual(variants, settings['variants'])) continue
    throw new FlagProblem(name, new SettingProblem('its `variants` are those of the code', ['variants']))
  }
}

/** Handles of a flag are made for what it answered when it was first read. */
function refuseOtherKinds(specs: ReadonlyMap<string, FlagSpec>, flags: ReadonlyMap<string, FlagSettings>): void {
  for (const [name, flag] of flags) {
    const before = specs.get(name)?.kind
    if (before === undefined || before === kindOf(flag)) continue
    const what = before === 'variant' ? 'it had `variants`' : 'it was on or off'
    const problem = `${what} when it was first read; give the other one a new name`
    throw new FlagProblem(name, new SettingProblem(problem, ['variants']))
  }
}

function asDeclarationError(error: unknown): unknown {
  if (error instanceof FlagProblem) return inCode(error.flag, error.problem)
  return error instanceof SettingProblem ? new TypeError(`${error.path.join('.')}: ${error.message}`) : error
}

function asDocumentError(error: unknown, document: FlagDocument): Error {
  if (error instanceof FlagProblem) return inDocument(error.flag, error.problem)
  if (error instanceof SettingProblem) return new FlagDocumentError(error.message, { path: error.path })
  if (error instanceof RequirementError) {
    const flag = error.flags.find((name) => document.flags.has(name))
    return new FlagDocumentError(error.message, { path: flag === undefined ? ['flags'] : ['flags', flag, 'requires'] })
  }
  // An environment variable that does not fit what the document says.
  return new FlagDocumentError(error instanceof Error ? error.message : String(error))
}
