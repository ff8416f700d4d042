import type { Handler } from '../options.js'
import type { Slot } from './slot.js'

/** A function as a slot, for a crew of which others are more: it is always ready, and dies only with this process. */
export function functionSlot(handler: Handler<never>): Slot<never> {
  const slot: Slot<never> = {
    start: async () => {},
    // The handler begins in this tick, as it does without a crew.
    handle: async (event) => handler(event),
    onDeath: () => () => undefined,
    drain: () => Promise.resolve({ drained: true, running: 0 }),
    stop: async () => {},
  }
  made.add(slot)
  return slot
}

const made = new WeakSet<Slot<never>>()

/** What it throws is the handler's own, also where it comes from the slots of another router that the handler asked. */
export function isFunctionSlot(slot: Slot<never>): boolean {
  return made.has(slot)
}
