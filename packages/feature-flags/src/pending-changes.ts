import { lastChange, type RuntimeChange, type RuntimeState } from './runtime-state.js'

/** So many processes are remembered by the changes that they got through: those that changed something last. */
const maxProcesses = 100

interface Pending {
  readonly change: RuntimeChange
  /** Numbers the changes of this process. */
  readonly number: number
  /** The last change of the same that was stored when this one was made. */
  readonly basedOn: number
  /** It was tried in vain, and whoever asked for it knows. */
  isLate: boolean
  readonly settle: (isApplied: boolean) => void
  readonly fail: (error: Error) => void
}

/** What becomes of the changes that wait, on a state that was found. */
export interface Resolved {
  readonly next: RuntimeState
  /** Whether each of them did anything, in their order. */
  readonly outcomes: readonly boolean[]
}

/** Changes that hold here and are not yet known to be stored, in the order in which they were made. */
export class PendingChanges {
  readonly #process: string
  #list: Pending[] = []
  #made = 0

  constructor(process: string) {
    this.#process = process
  }

  get size(): number {
    return this.#list.length
  }

  /** @param stored - what is stored as far as is known here @returns when it is stored: whether it did anything */
  add(change: RuntimeChange, stored: RuntimeState): Promise<boolean> {
    const basedOn = lastChange(stored, change)?.epoch ?? 0
    return new Promise((settle, fail) => {
      this.#list.push({ change, number: ++this.#made, basedOn, isLate: false, settle, fail })
    })
  }

  /** What is seen here: a state, and upon it what waits. */
  over(state: RuntimeState): RuntimeState {
    return this.#list.reduce((seen, { change }) => change.apply(seen), state)
  }

  /** Makes the changes that still matter. */
  resolve(from: RuntimeState): Resolved {
    const applied = from.applied.get(this.#process) ?? 0
    let next = from
    const outcomes = this.#list.map((pending, i) => {
      // It got through, and only its answer was lost.
      if (pending.number <= applied) return true
      if (this.#isSuperseded(pending, i, from)) return false
      const before = next
      next = pending.change.apply(before)
      return next !== before
    })
    return { next: next === from ? next : { ...next, applied: this.#noted(from) }, outcomes }
  }

  /** The first of them are stored. */
  settle(outcomes: readonly boolean[]): void {
    for (const [i, { settle }] of this.#list.splice(0, outcomes.length).entries()) settle(outcomes[i] === true)
  }

  /**
   * They could not be stored. Whoever asked is told; they wait on, but of those that are alike the last is enough, or an
   * outage would fill the memory. A trial that is not allowed now is not made later.
   */
  fail(error: Error): void {
    for (const pending of this.#list) {
      if (!pending.isLate) pending.fail(error)
      pending.isLate = true
    }
    const last = new Map<string, Pending>()
    for (const pending of this.#list) last.set(likeness(pending.change), pending)
    this.#list = this.#list.filter((each) => each.change.kind !== 'try' && last.get(likeness(each.change)) === each)
  }

  /** Whether somebody else has changed the same since. What this process has changed itself came before. */
  #isSuperseded({ change, basedOn, isLate }: Pending, index: number, from: RuntimeState): boolean {
    // The share of a rollout has a number of its own.
    if (!isLate || change.kind === 'share' || (change.isOff && !this.#isTakenBack(change, index))) return false
    const last = lastChange(from, change)
    return last !== undefined && last.epoch > basedOn && last.process !== this.#process
  }

  /** Whether what was switched off here was also switched on again here: then it is not "off" that was asked for. */
  #isTakenBack({ about, kind }: RuntimeChange, index: number): boolean {
    const opposites = oppositesOf[kind] ?? []
    return this.#list
      .slice(index + 1)
      .some(({ change }) => isSame(change.about, about) && !change.isOff && opposites.includes(change.kind))
  }

  #noted(from: RuntimeState): ReadonlyMap<string, number> {
    const applied = new Map(from.applied)
    applied.delete(this.#process)
    applied.set(this.#process, this.#made)
    for (const process of applied.keys()) {
      if (applied.size <= maxProcesses) break
      applied.delete(process)
    }
    return applied
  }
}

const oppositesOf: Partial<Record<RuntimeChange['kind'], readonly RuntimeChange['kind'][]>> = {
  disable: ['enable'],
  trip: ['enable', 'recover'],
  percentage: ['percentage', 'share'],
  share: ['percentage', 'share'],
}

function isSame(a: RuntimeChange['about'], b: RuntimeChange['about']): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : a.flag === b.flag
}

function likeness({ about, kind }: RuntimeChange): string {
  return `${kind} ${typeof about === 'string' ? about : `flag ${about.flag}`}`
}
