import { VersionMissingError } from './errors.js'
import type { Journal } from './journal.js'
import type { Settings } from './options.js'
import { logged, type LogEntry } from './record.js'
import {
  completeIn,
  hasShare,
  isRollingBack,
  resume,
  runningIn,
  transition,
  type DeploymentState,
  type Input,
  type State,
} from './transitions.js'

/** Where a process goes on that has taken over from whoever drove last. */
export interface Resumption {
  /** What the record said. */
  readonly found: State
  /** What is in force from now on. */
  readonly state: State
  readonly why: string
  readonly log: readonly LogEntry[]
}

/** What this process knew last, and why. */
export interface Known {
  readonly state: State
  readonly why: string
  /** The newest of it that the store is known to have had. */
  readonly written: State
}

/**
 * Fences whoever drove last, and goes on where the record says.
 *
 * @param here - what this process knew last: what was decided here, and the store never had, still stands
 * @throws VersionMissingError when the deployment needs a version that this process does not have
 */
export async function takeOver(journal: Journal, settings: Settings, here: Known): Promise<Resumption> {
  const { initial, clock } = settings
  let found: State = { active: initial, rolledBack: [], count: 0, deployment: null }
  let why = 'nothing was stored yet'
  let log: readonly LogEntry[] = []
  const state = await journal.open((stored, storedLog, isOwn) => {
    if (stored === undefined) return { state: found, why }
    found = stored
    const goesOn = resumed(stored, settings, here, isOwn)
    why = goesOn.why
    log = logged(storedLog, stored, goesOn.state, why, clock.now())
    return { ...goesOn, log }
  })
  return { found, state, why, log }
}

function resumed(
  stored: State,
  { versions, initial }: Settings,
  here: Known,
  isOwn: boolean,
): { readonly state: State; readonly why: string } {
  const found = resume(stored, versions, initial)
  if (found === undefined) {
    const running = runningIn(stored)
    throw new VersionMissingError(running?.from ?? stored.active, running?.id ?? '')
  }
  const decision = decisionFor(found.state, here.state, { written: here.written, isOwn })
  const decided = decision && transition(found.state, decision)
  return decided === undefined ? found : { state: decided, why: here.why }
}

/**
 * A rollback or a hold by hand that was decided here, about the deployment of `state`, and that `state` does not show.
 *
 * @param mine - what this process knew last
 */
export function decisionFor(
  state: State,
  { deployment: mine }: State,
  {
    written,
    isOwn = false,
  }: {
    /** The newest that the store is known to have had: what it shows is for whoever came later to end. */
    readonly written: State
    /** Whether nobody else has written anything since. */
    readonly isOwn?: boolean
  },
): Input | undefined {
  const running = runningIn(state)
  if (mine === null) return undefined
  // Complete is what it was here, too, when it was taken back: somebody else's is another matter.
  if (isOwn && isRollingBack(mine) && completeIn(state)?.id === mine.id) return rollBackOf(mine, true)
  if (mine.id !== running?.id) return undefined
  if (mine.phase === 'ROLLING_BACK') {
    if (isRollingBack(running) && running.percentage <= mine.percentage) return undefined
    // A person accepts the migration that there is, and none that somebody else has run since.
    return rollBackOf(mine, isOwn || mine.migrated !== 'NO')
  }
  const before = written.deployment?.id === mine.id ? written.deployment : null
  if (mine.phase === 'FROZEN') {
    return before?.phase === 'FROZEN' || running.isOverruled ? undefined : { type: 'ROLL_BACK', elapsedMs: 0 }
  }
  const isHeldAnew = mine.heldByHand !== null && mine.heldByHand !== before?.heldByHand
  return isHeldAnew && running.heldByHand === null ? { type: 'HOLD', elapsedMs: 0, byHand: mine.heldByHand } : undefined
}

/** Goes on where the rollback was. */
function rollBackOf({ descent: rest, percentage }: DeploymentState, accept: boolean): Input {
  const descent = rest && { ...rest, percentages: [percentage, ...rest.percentages] }
  return { type: 'ROLL_BACK', elapsedMs: 0, accept, descent }
}

/** Whether what was decided here speaks against the state of another controller: it stands until it ends as decided, or another deployment begins. */
export function standsAgainst(theirs: State, mine: State, written: State): boolean {
  const running = runningIn(mine)
  if (running === undefined || running.id !== theirs.deployment?.id) return false
  if (isRollingBack(running) && theirs.deployment.phase === 'COMPLETE') return true
  const decision = decisionFor(theirs, mine, { written })
  return decision !== undefined && transition(theirs, decision) !== undefined
}

/** The versions that get events in a state. */
export function routedIn(state: State): readonly string[] {
  const running = runningIn(state)
  if (running === undefined) return [state.active]
  return hasShare(running) ? [running.from, running.to] : [running.from]
}
