import type { Sides } from './metric.js'

/** What needs no statistics. Leave out what the user did wrong. */
export interface Emergency {
  /**
   * Guilds on the new version in which nothing worked in the last minutes, of those in which something was tried and has
   * worked before. Name them only once the old version has served after that: until then it may be the platform.
   */
  readonly greenFailing?: Iterable<string> | undefined
  /** The same of the old version, in which it still serves. */
  readonly blueFailing?: Iterable<string> | undefined
  /** How many guilds of the old version tried anything in the same time. */
  readonly blueActive?: number | undefined
  /** How often the new version was started anew, unasked, in the last five minutes. */
  readonly restarts?: number | undefined
  /** Whether each version reaches its database. */
  readonly storage?: Sides<boolean> | undefined
}

/** One guild may have broken its own settings, and two may do so on the same day. */
const GUILDS = 3
/** So many guilds of the old version must have tried something, or nobody knows whether it would fail too. */
const COMPARED = 3
/** One restart is an accident, two may be a deployment. */
const RESTARTS = 3

/**
 * Finds what is so plain that nobody should wait for evidence: a new version that cannot start, that has lost its database
 * while the old one has not, or that fails in three guilds or more while the old one serves at least three.
 *
 * @returns why to roll back at once, as a sentence; `undefined` for no reason
 *
 * @example
 * ```ts
 * import { findCatastrophe } from '@evenkeel/canary-judge'
 *
 * console.log(findCatastrophe({ greenFailing: ['10', '20'], blueFailing: [], blueActive: 80 })) // => undefined
 * console.log(findCatastrophe({ restarts: 3 })) // => The new version was started anew 3 times within five minutes.
 * ```
 */
export function findCatastrophe(emergency: Emergency): string | undefined {
  const { restarts = 0, storage, blueActive = 0 } = emergency
  if (restarts >= RESTARTS) return `The new version was started anew ${restarts} times within five minutes.`
  if (storage !== undefined && !storage.green && storage.blue) {
    return 'The new version does not reach its database, and the old one does.'
  }
  const green = new Set(emergency.greenFailing ?? [])
  const blue = new Set(emergency.blueFailing ?? [])
  if (green.size < GUILDS || !(blueActive >= COMPARED)) return undefined
  // A platform that is down fails for both.
  if (blue.size > 0 && blue.size / blueActive >= 0.01) return undefined
  return `Nothing works in ${green.size} guilds of the new version, and of ${blueActive} of the old one it fails in ${blue.size}.`
}
