import { priorities, type Priority } from '../priority.js'

/** Somebody who waits for a place. */
export interface Waiting {
  readonly priority: Priority
  /** In whose name: of those with the same priority, everyone gets the same share. */
  readonly key: string
  /** After this moment nobody cares any more, monotonic ms. */
  readonly untilMs: number
}

/** Of so many places, one goes to whoever was passed over longest, so that no priority starves. */
const SHARE = 50

/**
 * Those who wait: the most important first; of the same importance, everyone in turn by their key; and of one key the
 * oldest first where each must be served, the newest first where most cannot be.
 */
export class WaitingRoom<Entry extends Waiting> {
  /** One of each priority, from when somebody has to wait for the first time: most rooms stay empty. */
  #lines: readonly Line<Entry>[] = []
  readonly #maxWaiting: number
  #size = 0
  #served = 0

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  /** Whether somebody waits who must not. */
  get isUrgent(): boolean {
    return this.#size > 0 && this.sizeOf('critical') + this.sizeOf('high') > 0
  }

  /** How many wait of this priority. */
  sizeOf(priority: Priority): number {
    return this.#line(priority)?.size ?? 0
  }

  /** How many will be served before a newcomer of this priority. */
  ahead(priority: Priority): number {
    let count = 0
    for (let rank = 0; rank <= priorities.indexOf(priority); rank++) count += this.#lines[rank]?.size ?? 0
    return count
  }

  /**
   * Comes in.
   *
   * @returns who is turned away for it when the room is full: the least important, and of those whoever has the most
   *   waiting. It may be the newcomer.
   */
  enter(entry: Entry): Entry | undefined {
    if (this.#lines.length === 0) this.#lines = priorities.map((priority) => new Line<Entry>(isNewestFirst(priority)))
    this.#line(entry.priority)?.add(entry)
    this.#size++
    if (this.#size <= this.#maxWaiting) return undefined
    const line = this.#lines.findLast(({ size }) => size > 0) as Line<Entry>
    const away = line.removeFromLongest()
    this.#size--
    return away
  }

  /** Whoever is next, if anybody is. */
  next(): Entry | undefined {
    if (this.#size === 0) return undefined
    this.#served++
    const line = this.#served % SHARE === 0 ? this.#passedOver() : this.#lines.find(({ size }) => size > 0)
    if (line === undefined) return undefined
    line.servedAt = this.#served
    this.#size--
    return line.next()
  }

  /** Leaves of its own accord; whether it was there. */
  leave(entry: Entry): boolean {
    const wasThere = this.#line(entry.priority)?.remove(entry) ?? false
    if (wasThere) this.#size--
    return wasThere
  }

  /** When the first of them has waited too long, monotonic ms; `Infinity` when nobody waits. */
  get earliestMs(): number {
    return Math.min(...this.#lines.map(({ earliestMs }) => earliestMs))
  }

  /** Takes out everyone for whom nobody cares any more. */
  expired(nowMs: number): Entry[] {
    const gone = this.#lines.flatMap((line) => line.expired(nowMs))
    for (const entry of gone) this.leave(entry)
    return gone
  }

  #passedOver(): Line<Entry> | undefined {
    const waiting = this.#lines.filter(({ size }) => size > 0)
    return waiting.reduce<Line<Entry> | undefined>(
      (oldest, line) => (oldest === undefined || line.servedAt < oldest.servedAt ? line : oldest),
      undefined,
    )
  }

  #line(priority: Priority): Line<Entry> | undefined {
    return this.#lines[priorities.indexOf(priority)]
  }
}

function isNewestFirst(priority: Priority): boolean {
  return priority === 'normal' || priority === 'optional'
}

/** Those of one priority. */
class Line<Entry extends Waiting> {
  /** When somebody was last served from it, in servings. */
  servedAt = 0
  readonly #isNewestFirst: boolean
  /** Of each key, the oldest first. The keys are in the order in which they are served. */
  readonly #byKey = new Map<string, Entry[]>()
  #size = 0

  constructor(isNewestFirst: boolean) {
    this.#isNewestFirst = isNewestFirst
  }

  get size(): number {
    return this.#size
  }

  add(entry: Entry): void {
    const own = this.#byKey.get(entry.key)
    if (own === undefined) this.#byKey.set(entry.key, [entry])
    else own.push(entry)
    this.#size++
  }

  /** Of the key whose turn it is; then it is the others' turn. */
  next(): Entry | undefined {
    const [turn] = this.#byKey
    if (turn === undefined) return undefined
    const [key, own] = turn
    const entry = this.#isNewestFirst ? own.pop() : own.shift()
    this.#byKey.delete(key)
    if (own.length > 0) this.#byKey.set(key, own)
    this.#size--
    return entry
  }

  /** Where each must be served, the newest is turned away; where the newest are served first, the oldest. */
  removeFromLongest(): Entry | undefined {
    let longest: readonly [string, Entry[]] | undefined
    for (const turn of this.#byKey) if (longest === undefined || turn[1].length >= longest[1].length) longest = turn
    if (longest === undefined) return undefined
    const [key, own] = longest
    const entry = this.#isNewestFirst ? own.shift() : own.pop()
    if (own.length === 0) this.#byKey.delete(key)
    this.#size--
    return entry
  }

  remove(entry: Entry): boolean {
    const own = this.#byKey.get(entry.key)
    const place = own?.indexOf(entry) ?? -1
    if (own === undefined || place === -1) return false
    own.splice(place, 1)
    if (own.length === 0) this.#byKey.delete(entry.key)
    this.#size--
    return true
  }

  get earliestMs(): number {
    let earliest = Infinity
    for (const own of this.#byKey.values()) for (const { untilMs } of own) earliest = Math.min(earliest, untilMs)
    return earliest
  }

  expired(nowMs: number): Entry[] {
    return [...this.#byKey.values()].flatMap((own) => own.filter(({ untilMs }) => untilMs <= nowMs))
  }
}
