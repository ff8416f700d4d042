import type { Pin } from './environment.js'
import type { FlagSpec } from './specification.js'
import { compile, findFlag, type Cause, type FlagRecord, type Overrides, type Table } from './table.js'

/** The flags as they are now, and the table that answers for them. Each change swaps the table. */
export class LiveTable {
  /** Each after those that it requires, which is the order that `compile` needs. */
  readonly #records = new Map<string, FlagRecord>()
  readonly #killedByEnvironment: Cause | undefined
  #killedByHand: Cause | undefined
  #table: Table
  /** Overrides that no held table has seen. They are changed in place, or loading many would copy each for each. */
  readonly #unseen = new Set<Overrides>()

  constructor(
    specs: ReadonlyMap<string, FlagSpec>,
    pins: ReadonlyMap<string, Pin>,
    killedByEnvironment: Cause | undefined,
  ) {
    this.#killedByEnvironment = killedByEnvironment
    for (const [name, spec] of specs) {
      const untouched = { livePercentage: undefined, disabled: undefined, fallenBack: undefined }
      this.#records.set(name, { spec, pin: pins.get(name), ...untouched, users: new Map(), guilds: new Map() })
    }
    this.#table = compile(this.#records.values(), killedByEnvironment)
  }

  /** To ask at once. It may change afterwards; to keep it, {@link LiveTable.hold} it. */
  get current(): Table {
    return this.#table
  }

  /** The current table, as it will stay for whoever keeps it. */
  hold(): Table {
    this.#unseen.clear()
    return this.#table
  }

  /** Whether a hand has switched everything off. */
  get isKilledByHand(): boolean {
    return this.#killedByHand !== undefined
  }

  killByHand(cause: Cause | undefined): void {
    this.#killedByHand = cause
    this.#swap()
  }

  change(name: string, changes: Partial<Omit<FlagRecord, 'spec' | 'pin'>>): void {
    this.#records.set(name, { ...findFlag(this.#table, name).record, ...changes })
    this.#swap()
  }

  /** @returns the value that was there before; `undefined` sets none */
  setOverride(
    name: string,
    whose: 'users' | 'guilds',
    id: string,
    value: boolean | string | undefined,
  ): boolean | string | undefined {
    const before = findFlag(this.#table, name).record[whose]
    const from = before.get(id)
    const overrides = this.#unseen.has(before) ? (before as Map<string, boolean | string>) : new Map(before)
    if (value === undefined) overrides.delete(id)
    else overrides.set(id, value)
    this.#unseen.delete(before)
    this.#unseen.add(overrides)
    this.change(name, { [whose]: overrides })
    return from
  }

  #swap(): void {
    this.#table = compile(this.#records.values(), this.#killedByEnvironment ?? this.#killedByHand)
  }
}
