import type { OverridePlace } from './stored-override.js'
import type { Overrides } from './table.js'

/** An override as flags answer by it: on or off, or the index of a variant; `undefined` for none. */
export interface OverrideAnswer extends OverridePlace {
  readonly value: boolean | number | undefined
}

const nobody: Overrides = new Map()

/** The overrides of all flags, by whom they are for. What a held table has seen is never changed in place. */
export class OverrideAnswers {
  readonly #byFlag = { users: new Map<string, Overrides>(), guilds: new Map<string, Overrides>() }
  /** Overrides that no held table has seen. They are changed in place, or loading many would copy each for each. */
  readonly #unseen = new Set<Overrides>()

  of(flag: string): { readonly users: Overrides; readonly guilds: Overrides } {
    return { users: this.#byFlag.users.get(flag) ?? nobody, guilds: this.#byFlag.guilds.get(flag) ?? nobody }
  }

  /** The table that is current now is kept by somebody. */
  hold(): void {
    this.#unseen.clear()
  }

  /** @returns the flags of which the current table does not see it, since nothing could be changed in place */
  set(answers: readonly OverrideAnswer[]): ReadonlySet<string> {
    const others = new Set<string>()
    for (const answer of answers) if (!this.#set(answer)) others.add(answer.flag)
    return others
  }

  /** @returns whether the table sees it: it is as before, or was changed in place */
  #set({ flag, whose, id, value }: OverrideAnswer): boolean {
    const before = this.#byFlag[whose].get(flag) ?? nobody
    if (before.get(id) === value) return true
    const had = before.size > 0
    const overrides = this.#unseen.has(before) ? (before as Map<string, boolean | number>) : new Map(before)
    if (value === undefined) overrides.delete(id)
    else overrides.set(id, value)
    this.#unseen.delete(before)
    if (overrides.size === 0) {
      this.#byFlag[whose].delete(flag)
      return false
    }
    this.#unseen.add(overrides)
    this.#byFlag[whose].set(flag, overrides)
    return overrides === before && had
  }
}
