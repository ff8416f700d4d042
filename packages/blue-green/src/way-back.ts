import type { DeploymentResult } from './deployment.js'
import type { DeploymentState, Descent } from './transitions.js'

/** A rollback of a complete deployment that waits for its old version to get ready. In memory: a restart forgets it, and green serves. */
export interface WayBack {
  readonly deployment: DeploymentState
  /** How the guilds go back then. */
  descent: Descent | null
  /** Ends the wait. */
  readonly stop: AbortController
  readonly result: Promise<DeploymentResult>
}

/** Why green serves on. */
export interface Refusal {
  readonly outcome: 'HELD' | 'FROZEN'
  /** As a clause. */
  readonly problem: string
}

/** @param go - is called in a later tick, so that it finds what was made; never rejects */
export function makeWayBack(
  deployment: DeploymentState,
  descent: Descent | null,
  go: (wayBack: WayBack) => Promise<DeploymentResult>,
): WayBack {
  const result = Promise.resolve().then(() => go(wayBack))
  const wayBack: WayBack = { deployment, descent, stop: new AbortController(), result }
  return wayBack
}
