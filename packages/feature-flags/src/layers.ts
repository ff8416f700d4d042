import type { SegmentDefinitions } from './definitions.js'
import { readDocument } from './document.js'
import { FlagDocumentError } from './document-error.js'
import { killVariable, ownVariables, readEnvironment, warnOfMisspelt, type EnvironmentReading } from './environment.js'
import { asDeclarationError, asDocumentError } from './layer-errors.js'
import { mergeLayers, uncovered, type AppliedDocument, type MergedFlags, type ReadDocument } from './layer-merge.js'
import { OverrideAnswers, type OverrideAnswer } from './override-answers.js'
import { plainCopy } from './plain-copy.js'
import { isSameData } from './same-data.js'
import { untouched, type RuntimeState } from './runtime-state.js'
import { settingsOf, specify, type FlagSettings, type FlagSpec, type Surroundings } from './specification.js'
import { compile, type Cause, type FlagRecord, type Table, type Usage } from './table.js'

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
  /** Whether documents are to come: until {@link Layers.documentsRead}, not all flags are known. */
  readonly awaitsDocuments?: boolean
}

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
  #awaitsDocuments: boolean
  #specs: ReadonlyMap<string, FlagSpec>
  #segments: SegmentDefinitions
  #gone: ReadonlySet<string> = new Set()
  #environment: EnvironmentReading
  #runtime = untouched
  #trips = untouched
  readonly #overrides = new OverrideAnswers()
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
    this.#awaitsDocuments = foundations.awaitsDocuments === true
    this.#environment = readEnvironment(this.#variables, this.#specs.values())
    if (!this.#awaitsDocuments) this.#warnOfMisspelt()
    this.#table = this.#compile()
  }

  /** To ask at once. It may change afterwards; to keep it, {@link Layers.hold} it. */
  get current(): Table {
    return this.#table
  }

  /** The current table, as it will stay for whoever keeps it. */
  hold(): Table {
    this.#overrides.hold()
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
    const offAt = before?.isOff === true ? before.offAt : at
    const read: AppliedDocument = { ...readDocument(plainCopy(document), source), offAt }
    const documents = [...this.#documents]
    documents[index] = read
    const segments = this.#segmentsOf(documents)
    let merged: MergedFlags
    let specs: ReadonlyMap<string, FlagSpec>
    let environment: EnvironmentReading
    try {
      const change: ReadDocument = { read, documents, isFirst: before === undefined, at }
      const known = { code: this.#code, specs: this.#specs, gone: this.#gone }
      merged = mergeLayers(known, change)
      const isSame = isSameData(segments, this.#segments)
      specs = specify(merged.flags, this.#surroundings(segments), isSame ? this.#specs : undefined)
      const lower = uncovered(known, change, merged)
      if (lower !== undefined) specify(lower, this.#surroundings(segments), specs)
      environment = this.#readEnvironment(specs, merged.gone)
    } catch (error) {
      throw asDocumentError(error, read, documents)
    }
    this.#documents[index] = read
    this.#segments = segments
    this.#gone = merged.gone
    for (const name of this.#specs.keys()) if (!specs.has(name)) this.#forget(name)
    for (const name of merged.others) this.#forget(name)
    this.#specs = specs
    this.#environment = environment
    this.#table = this.#compile()
  }

  /**
   * Every source has brought its first document, so all flags are known.
   *
   * @throws FlagDocumentError when a variable of the environment has a value that its flag cannot have
   */
  documentsRead(): void {
    this.#awaitsDocuments = false
    this.#warnOfMisspelt()
    try {
      this.#readEnvironment(this.#specs, this.#gone)
    } catch (error) {
      throw new FlagDocumentError(error instanceof Error ? error.message : String(error))
    }
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
    const others = this.#overrides.set(answers)
    let isOther = false
    for (const name of others) {
      const spec = this.#specs.get(name)
      if (spec === undefined) continue
      this.#records.set(name, this.#recordOf(name, spec))
      isOther = true
    }
    if (isOther) this.#table = compile(this.#records.values(), this.#killed())
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

  #segmentsOf(documents: readonly (AppliedDocument | undefined)[]): SegmentDefinitions {
    const all = documents.map((each) => each?.segments)
    return Object.assign(Object.create(null) as object, this.#foundations.segments, ...all) as SegmentDefinitions
  }

  /** A flag that only a lower source has named may turn out to have variants, which the environment names. */
  #readEnvironment(specs: ReadonlyMap<string, FlagSpec>, gone: ReadonlySet<string>): EnvironmentReading {
    const named = [...specs.values()].filter(({ name }) => !gone.has(name))
    const isOpen = ({ name }: FlagSpec): boolean => this.#awaitsDocuments && !this.#code.has(name)
    return readEnvironment(this.#variables, named, isOpen)
  }

  #warnOfMisspelt(): void {
    warnOfMisspelt(this.#variables, this.#specs.keys(), this.#warned)
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
    const guilds = runtime?.share?.targetGuilds
    const overrides = this.#overrides.of(name)
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
      users: overrides.users,
      guilds: overrides.guilds,
      targetGuilds: guilds === undefined || guilds.length === 0 ? undefined : new Set(guilds),
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
