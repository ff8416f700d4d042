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

/** Where a process goes on that has taken over from whoever drove last, or would go on. */
export interface Resumption {
  /** Whether it has taken over. */
  readonly isTaken: boolean
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
  /** Whether something was decided here that no record is known to have had. */
  readonly isUnwritten: boolean
}

/**
 * Fences whoever drove last, and goes on where the record says. Nobody is fenced where this process cannot serve what the record says at
 * that moment.
 *
 * @param here - what this process knew last: what was decided here, and the store never had, still stands
 * @param canServe - whether this process can do with these versions, which would get events
 * @throws VersionMissingError when the deployment needs a version that this process does not have
 */
export async function takeOver(
  journal: Journal,
  settings: Settings,
  here: Known,
  canServe: (routed: readonly string[]) => boolean,
): Promise<Resumption> {
  const { initial, clock } = settings
  const first: State = { active: initial, rolledBack: [], count: 0, deployment: null }
  let goesOn: Omit<Resumption, 'isTaken'> = { found: first, state: first, why: 'nothing was stored yet', log: [] }
  const isTaken = await journal.open((stored, storedLog, isOwn) => {
    if (stored !== undefined) {
      const { state, why } = resumed(stored, settings, here, isOwn)
      goesOn = { found: stored, state, why, log: logged(storedLog, stored, state, why, clock.now()) }
    }
    return canServe(routedIn(goesOn.state)) ? goesOn : undefined
  })
  return { ...goesOn, isTaken }
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
  const decision = decisionFor(found.state, here.state, { isUnwritten: here.isUnwritten, isOwn })
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
    isUnwritten,
    isOwn = false,
  }: {
    /** Whether no record is known to have had what was decided here last: what one has had is for whoever came later to end. */
    readonly isUnwritten: boolean
    /** Whether nobody else has written anything since. */
    readonly isOwn?: boolean
  },
): Input | undefined {
  const running = runningIn(state)
  if (mine === null) return undefined
  // Complete is what it was here, too, when it was taken back: somebody else's is another matter.
  const isComplete = isOwn && isUnwritten && completeIn(state)?.id === mine.id
  if (isComplete && isRollingBack(mine)) return rollBackOf(mine, true)
  if (mine.id !== running?.id) return undefined
  if (mine.phase === 'ROLLING_BACK') {
    if (isRollingBack(running) && running.percentage <= mine.percentage) return undefined
    // A person accepts the migration that there is, and none that somebody else has run since.
    return rollBackOf(mine, isOwn || mine.migrated !== 'NO')
  }
  if (!isUnwritten) return undefined
  if (mine.phase === 'FROZEN' && !running.isOverruled) return { type: 'ROLL_BACK', elapsedMs: 0 }
  if (mine.heldByHand === null || running.heldByHand !== null) return undefined
  return { type: 'HOLD', elapsedMs: 0, byHand: mine.heldByHand }
}

/** Goes on where the rollback was. */
function rollBackOf({ descent: rest, percentage }: DeploymentState, accept: boolean): Input {
  const descent = rest && { ...rest, percentages: [percentage, ...rest.percentages] }
  return { type: 'ROLL_BACK', elapsedMs: 0, accept, descent }
}

/**
 * Whether what was decided here speaks against the state of another controller: a rollback stands until it ends as decided, a hold until the
 * deployment is rolled back or over, and both until another deployment begins.
 */
export function standsAgainst(theirs: State, mine: State, isUnwritten: boolean): boolean {
  const running = runningIn(mine)
  if (running === undefined || running.id !== theirs.deployment?.id) return false
  if (isRollingBack(running) && theirs.deployment.phase === 'COMPLETE') return true
  const decision = decisionFor(theirs, mine, { isUnwritten })
  if (decision?.type === 'HOLD') return !isRollingBack(theirs.deployment)
  return decision !== undefined && transition(theirs, decision) !== undefined
}

/** The versions that get events in a state. */
export function routedIn(state: State): readonly string[] {
  const running = runningIn(state)
  if (running === undefined) return [state.active]
  return hasShare(running) ? [running.from, running.to] : [running.from]
}
