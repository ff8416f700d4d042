import type { SegmentDefinitions } from './definitions.js'
import { readDocument, type FlagDocument } from './document.js'
import { FlagDocumentError } from './document-error.js'
import { killVariable, readEnvironment, type EnvironmentReading } from './environment.js'
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
}

const nobody: Overrides = new Map()

/**
 * What is said of the flags, layer over layer: code, documents in their order, what was done at run time, environment.
 * Each change of a layer replaces that layer alone, works out the flags anew, and swaps the table of answers.
 */
export class Layers {
  readonly #foundations: Foundations
  readonly #code: ReadonlyMap<string, FlagSettings>
  readonly #documents: (FlagDocument | undefined)[] = []
  #specs: ReadonlyMap<string, FlagSpec>
  #environment: EnvironmentReading
  #runtime = untouched
  #trips = untouched
  readonly #overrides = { users: new Map<string, Overrides>(), guilds: new Map<string, Overrides>() }
  /** Overrides that no held table has seen. They are changed in place, or loading many would copy each for each. */
  readonly #unseen = new Set<Overrides>()
  readonly #usage = new Map<string, Usage>()
  readonly #slots = new Map<string, number>()
  #records = new Map<string, FlagRecord>()
  #table: Table

  /** @throws TypeError, RangeError naming the flag, the value and what to write instead */
  constructor(foundations: Foundations) {
    this.#foundations = foundations
    try {
      this.#code = settingsOf(foundations.definitions)
      this.#specs = specify(this.#code, this.#surroundings(foundations.segments))
    } catch (error) {
      throw asDeclarationError(error)
    }
    this.#environment = readEnvironment(foundations.environment, this.#specs)
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
   * Puts a document in the place of the last one of the same source.
   *
   * @throws FlagDocumentError when something in it cannot be; then nothing changes
   */
  applyDocument(index: number, source: string, document: unknown): void {
    const read = readDocument(document, source, (name) => this.#specs.get(name)?.kind === 'variant')
    const documents = [...this.#documents]
    documents[index] = read
    const segments = Object.assign(
      Object.create(null) as Record<string, never>,
      this.#foundations.segments,
      ...documents.map((each) => each?.segments),
    ) as SegmentDefinitions
    let specs: ReadonlyMap<string, FlagSpec>
    let environment: EnvironmentReading
    try {
      specs = specify(this.#merge(documents), this.#surroundings(segments))
      refuseOtherKinds(this.#code, specs)
      environment = readEnvironment(this.#foundations.environment, specs)
    } catch (error) {
      throw asDocumentError(error, read)
    }
    this.#documents[index] = read
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

  /** @param value - on or off, or the index of a variant; `undefined` removes it */
  setOverride(name: string, whose: 'users' | 'guilds', id: string, value: boolean | number | undefined): void {
    const before = this.#overrides[whose].get(name) ?? new Map<string, boolean | number>()
    const had = before.size > 0
    const overrides = this.#unseen.has(before) ? (before as Map<string, boolean | number>) : new Map(before)
    if (value === undefined) overrides.delete(id)
    else overrides.set(id, value)
    this.#unseen.delete(before)
    this.#unseen.add(overrides)
    this.#overrides[whose].set(name, overrides)
    const spec = this.#specs.get(name)
    // What was changed in place, the table sees.
    if (spec === undefined || (overrides === before && had && overrides.size > 0)) return
    this.#records.set(name, this.#recordOf(name, spec))
    this.#table = compile(this.#records.values(), this.#killed())
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

  /** What all layers say of each flag, field by field. */
  #merge(documents: readonly (FlagDocument | undefined)[]): ReadonlyMap<string, FlagSettings> {
    const merged = new Map(this.#code)
    for (const document of documents) {
      for (const [name, settings] of document?.flags ?? []) {
        const below = merged.get(name)
        const offWhy = settings['enabled'] === false ? `${document?.source} says so` : below?.offWhy
        merged.set(name, { settings: { ...below?.settings, ...settings }, offWhy })
      }
    }
    // A flag that a document does not name any more is still asked for: it is as if nothing were said of it.
    for (const name of this.#slots.keys()) {
      if (!merged.has(name)) merged.set(name, { settings: this.#lastKind(name), offWhy: 'no source names it any more' })
    }
    return merged
  }

  #lastKind(name: string): Readonly<Record<string, unknown>> {
    const spec = this.#specs.get(name)
    if (spec?.kind !== 'variant') return {}
    const { variants, default: fallback } = spec.source.settings
    return { variants, default: fallback }
  }

  #recordOf(name: string, spec: FlagSpec): FlagRecord {
    const runtime = this.#runtime.flags.get(name)
    const tripped = this.#trips.flags.get(name)
    const { offWhy } = spec
    const held = offWhy === undefined ? undefined : { why: offWhy, by: undefined, at: this.#foundations.at }
    const guilds = runtime?.share?.targetGuilds ?? []
    let slot = this.#slots.get(name)
    if (slot === undefined) this.#slots.set(name, (slot = this.#slots.size))
    return {
      spec,
      slot,
      pin: this.#environment.pins.get(name),
      runtime,
      tripped,
      disabled: runtime?.disabled ?? held,
      fallenBack: tripped?.fallenBack ?? runtime?.fallenBack,
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
    return document && { why: `${document.source} says so`, by: undefined, at: this.#foundations.at }
  }

  #compile(): Table {
    this.#records = new Map()
    for (const [name, spec] of this.#specs) this.#records.set(name, this.#recordOf(name, spec))
    return compile(this.#records.values(), this.#killed())
  }
}

function zeros(count: number): Usage {
  const usage: Usage = []
  for (let i = 0; i < count; i++) usage.push(0)
  return usage
}

/** A document may say how a flag of the code is decided, and not what it can answer: the code was written for that. */
function refuseOtherKinds(code: ReadonlyMap<string, FlagSettings>, specs: ReadonlyMap<string, FlagSpec>): void {
  for (const [name, { settings }] of code) {
    if (specs.get(name)?.source.settings['variants'] === settings['variants']) continue
    throw new FlagProblem(name, new SettingProblem('its `variants` are those of the code', ['variants']))
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
