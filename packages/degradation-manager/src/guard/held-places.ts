import type { Admission } from '../admission/admission.js'

/**
 * Where the call that made a signal holds a place. Whoever is given the signal further in need not take another one there:
 * waiting for a place that is held for oneself would never end. A registered symbol, for another copy of this package.
 */
const heldPlaces = Symbol.for('evenkeel.heldPlaces')

interface MarkedSignal extends AbortSignal {
  [heldPlaces]?: readonly Admission[]
}

/** Whether whoever made this signal holds a place there. */
export function holdsPlace(signal: AbortSignal | undefined, admission: Admission): boolean {
  return (signal as MarkedSignal | undefined)?.[heldPlaces]?.includes(admission) === true
}

/** Hands on what is held further out, and the place that is held now. */
export function markHeld(signal: AbortSignal, outer: AbortSignal | undefined, admission: Admission | undefined): void {
  const held = (outer as MarkedSignal | undefined)?.[heldPlaces] ?? []
  const all = admission === undefined ? held : [...held, admission]
  if (all.length > 0) Object.defineProperty(signal, heldPlaces, { value: all })
}
