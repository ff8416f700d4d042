import { VersionMissingError } from './errors.js'
import type { Journal } from './journal.js'
import type { Settings } from './options.js'
import { logged, type LogEntry } from './record.js'
import { hasShare, resume, runningIn, transition, type State } from './transitions.js'

/** Where a process goes on that has taken over from whoever drove last. */
export interface Resumption {
  /** What the record said. */
  readonly found: State
  /** What is in force from now on. */
  readonly state: State
  readonly why: string
  readonly log: readonly LogEntry[]
}

/**
 * Fences whoever drove last, and goes on where the record says.
 *
 * @param here - what this process last knew, with its reason: a rollback that the store never confirmed still stands
 * @throws VersionMissingError when the deployment needs a version that this process does not have
 */
export async function takeOver(
  journal: Journal,
  settings: Settings,
  here: { readonly state: State; readonly why: string },
): Promise<Resumption> {
  const { initial, clock } = settings
  let found: State = { active: initial, rolledBack: [], count: 0, deployment: null }
  let why = 'nothing was stored yet'
  let log: readonly LogEntry[] = []
  const state = await journal.open((stored, storedLog) => {
    if (stored === undefined) return { state: found, why }
    found = stored
    const goesOn = resumed(stored, settings, here)
    why = goesOn.why
    log = logged(storedLog, stored, goesOn.state, why, clock.now())
    return { ...goesOn, log }
  })
  return { found, state, why, log }
}

/** A rollback that the store never confirmed, because this process was stopped first, still stands: also one that a person accepted. */
function resumed(
  stored: State,
  { versions, initial }: Settings,
  here: { readonly state: State; readonly why: string },
): { readonly state: State; readonly why: string } {
  const found = resume(stored, versions, initial)
  if (found === undefined) {
    const running = runningIn(stored)
    throw new VersionMissingError(running?.from ?? stored.active, running?.id ?? '')
  }
  const { deployment } = here.state
  const isRolledBackHere = deployment?.phase === 'ROLLING_BACK' && deployment.id === stored.deployment?.id
  const rolledBack = isRolledBackHere && transition(found.state, { type: 'ROLL_BACK', elapsedMs: 0, accept: true })
  return rolledBack ? { state: rolledBack, why: here.why } : found
}

/** The versions that get events in a state. */
export function routedIn(state: State): readonly string[] {
  const running = runningIn(state)
  if (running === undefined) return [state.active]
  return hasShare(running) ? [running.from, running.to] : [running.from]
}
