import type { Admission } from '../admission/admission.js'

/**
 * Where the call that made a signal holds a place. Whoever is given the signal further in need not take another one there:
 * waiting for a place that is held for oneself would never end. A registered symbol, for another copy of this package.
 */
const heldPlaces = Symbol.for('evenkeel.heldPlaces')

/** One of them, until it is given back: a signal may outlive the call that it was made for. */
export interface HeldPlace {
  readonly admission: Admission
  isHeld: boolean
}

interface MarkedSignal extends AbortSignal {
  [heldPlaces]?: readonly HeldPlace[]
}

/** Whether whoever made this signal holds a place there. */
export function holdsPlace(signal: AbortSignal | undefined, admission: Admission): boolean {
  const held = (signal as MarkedSignal | undefined)?.[heldPlaces]
  return held?.some((place) => place.admission === admission && place.isHeld) === true
}

/**
 * Hands on what is held further out, and the place that is held now.
 *
 * @returns the latter, to be marked when it is given back
 */
export function markHeld(
  signal: AbortSignal,
  outer: AbortSignal | undefined,
  admission: Admission | undefined,
): HeldPlace | undefined {
  const held = (outer as MarkedSignal | undefined)?.[heldPlaces] ?? []
  const place = admission === undefined ? undefined : { admission, isHeld: true }
  const all = place === undefined ? held : [...held, place]
  if (all.length > 0) Object.defineProperty(signal, heldPlaces, { value: all })
  return place
}
