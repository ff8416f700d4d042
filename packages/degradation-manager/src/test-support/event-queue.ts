import type { Clock } from '../ports.js'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Simulated time: what is due next is run next, and a day passes in seconds. */
export class EventQueue implements Clock {
  #nowMs = 0
  #order = 0
  /** A binary heap. */
  readonly #events: Event[] = []

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    let isOn = true
    this.#push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run: () => void (isOn && run()) })
    return () => (isOn = false)
  }

  /** Runs what is due until then, and what becomes due by it. */
  async runUntil(endMs: number): Promise<void> {
    for (let next = this.#events[0]; next !== undefined && next.atMs <= endMs; next = this.#events[0]) {
      this.#pop()
      this.#nowMs = next.atMs
      next.run()
      // Promises that settle by it come before what is due later.
      for (let turn = 0; turn < 6; turn++) await Promise.resolve()
    }
    this.#nowMs = endMs
  }

  #push(event: Event): void {
    const events = this.#events
    let place = events.push(event) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (isBefore(events[parent] as Event, event)) break
      events[place] = events[parent] as Event
      place = parent
    }
    events[place] = event
  }

  #pop(): void {
    const events = this.#events
    const last = events.pop() as Event
    if (events.length === 0) return
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      const [left, right] = [events[child], events[child + 1]]
      if (left === undefined) break
      if (right !== undefined && isBefore(right, left)) child++
      if (isBefore(last, events[child] as Event)) break
      events[place] = events[child] as Event
      place = child
    }
    events[place] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
