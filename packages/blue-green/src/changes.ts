import { completeIn, isOver, runningIn, type DeploymentState, type Phase, type State } from './transitions.js'

/** Whether this process moves deployments: it does, another one has taken over, or it was not started or was stopped. */
export type Controller = 'DRIVING' | 'FENCED' | 'STOPPED'

/** How much a piece of news matters. */
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL'

/**
 * Something that is different now.
 *
 * `what` says what `from` and `to` are: the `phase`, the `hand` that holds it (`on` or `off`), green's `percentage`, the
 * `active` version, a `version` that died or lives again (`up` or `dead`), the `store` (`up` or `down`), the `controller`
 * (`DRIVING`, `FENCED` or `STOPPED`), `hold`, which is the call for a human when a step has been held for too long, or
 * `refusal`: a rollback did not happen, since there is nobody to roll back to, or it is not known yet whether it is the version that fails
 * (at 100 %, with `health`), or the version that it ended with goes on serving (`kept`),
 * since the other one is dead; `migration`: it could not be undone (`STUCK`); `validation`:
 * the old version did not pass after the rollback (`failed`); `forecast`: how long the evidence of a deployment will take
 * (`sufficient` or not, for the steps of the plan); `evidence`: what is kept of it is `lost`, or cannot be written; or
 * `history`: the report of a deployment could not be kept, which the next start tries again.
 */
export interface BlueGreenChange {
  /** Which thing changed. */
  readonly what:
    | 'phase'
    | 'hand'
    | 'percentage'
    | 'active'
    | 'version'
    | 'store'
    | 'controller'
    | 'hold'
    | 'refusal'
    | 'migration'
    | 'forecast'
    | 'evidence'
    | 'history'
    | 'validation'
  /** What it was. */
  readonly from: string | number
  /** What it is. */
  readonly to: string | number
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
  /** The deployment that it is about, if any. */
  readonly deploymentId: string | undefined
}

/** The news between two states, in the order in which to tell it. Pure. */
export function changesBetween(before: State, after: State, why: string, at: number): BlueGreenChange[] {
  const changes: BlueGreenChange[] = []
  const deploymentId = after.deployment?.id
  const add = (news: Pick<BlueGreenChange, 'what' | 'from' | 'to' | 'severity' | 'message'>): void => {
    changes.push({ ...news, at, why, deploymentId })
  }

  const deployment = after.deployment
  const [fromPhase, toPhase] = [phaseOf(before), phaseOf(after)]
  if (deployment !== null && (fromPhase !== toPhase || before.deployment?.id !== deployment.id)) {
    const message = `${phaseSentence(deployment)} ${because(why)}`
    add({ what: 'phase', from: fromPhase, to: toPhase, severity: severityOf[deployment.phase], message })
  }

  // Where the phase says that it holds, only who holds it is news.
  const [wasByHand, isByHand] = [before, after].map((state) => runningIn(state)?.heldByHand != null)
  if (deployment !== null && fromPhase === 'HOLD' && toPhase === 'HOLD' && wasByHand !== isByHand) {
    const [from, to] = isByHand ? (['off', 'on'] as const) : (['on', 'off'] as const)
    const message = `${nameOf(deployment)} is ${isByHand ? 'held by hand now' : 'held by hand no more'}. ${because(why)}`
    add({ what: 'hand', from, to, severity: 'INFO', message })
  }

  // What is complete has everybody, who go back from there.
  const isTakenBack = before.deployment?.id === deployment?.id && completeIn(before) !== undefined
  const [fromShare, toShare] = [isTakenBack ? 100 : shareOf(before), shareOf(after)]
  if (deployment !== null && fromShare !== toShare && runningIn(after) !== undefined) {
    const message = `Version "${deployment.to}" now serves ${toShare} % of the guilds, before ${fromShare} %. ${because(why)}`
    add({ what: 'percentage', from: fromShare, to: toShare, severity: 'INFO', message })
  }

  if (before.active !== after.active) {
    const message = `Version "${after.active}" is the active version now, in place of "${before.active}". ${because(why)}`
    add({ what: 'active', from: before.active, to: after.active, severity: activeSeverity(after), message })
  }
  return changes
}

/** A deployment has been held for too long: the call for a human. */
export function holdChange(held: DeploymentState, why: string, at: number): BlueGreenChange {
  const message =
    `${nameOf(held)} has been held at ${held.percentage} % for ${held.maxHoldMs} ms and needs a human. ${because(why)} ` +
    (held.heldByHand !== null
      ? 'Resume it, or roll it back.'
      : held.awaitsEvidence
        ? 'Promote it, or roll it back; with more evidence it goes on by itself.'
        : 'Repair the cause, and it goes on by itself; or roll it back.')
  return { what: 'hold', from: 'HOLD', to: 'HOLD', at, why, severity: 'CRITICAL', message, deploymentId: held.id }
}

/** A version has died: what that means depends on who else lives. */
export function deathChange(
  state: State,
  version: string,
  why: string,
  isDead: (version: string) => boolean,
  at: number,
): BlueGreenChange {
  const running = runningIn(state)
  const other = version === running?.from ? running.to : version === running?.to ? running.from : undefined
  const lead = `Version "${version}" is dead`
  const message =
    version === state.active && other === undefined
      ? `${lead}, and no other one serves. ${because(why)}`
      : other === undefined
        ? `${lead}; it serves nobody. ${because(why)}`
        : isDead(other)
          ? `${lead}, and so is "${other}": nothing is served, nothing shifts, and it needs a human. ${because(why)}`
          : version === running?.to
            ? `${lead}; "${other}" lives. ${because(why)}`
            : `${lead}; "${other}" lives and keeps what it has: nothing can be rolled back. ${because(why)}`
  const deploymentId = running?.id
  return { what: 'version', from: 'up', to: 'dead', at, why, severity: 'CRITICAL', message, deploymentId }
}

/** A version that had died is ready again. */
export function revivalChange(state: State, version: string, at: number): BlueGreenChange {
  const why = 'it got ready again'
  const message = `Version "${version}" lives again.`
  const deploymentId = runningIn(state)?.id
  return { what: 'version', from: 'dead', to: 'up', at, why, severity: 'INFO', message, deploymentId }
}

/** A rollback was called for, and there is nobody to roll back to, or it is not known whether that would help. */
export function refusalChange(running: DeploymentState, why: string, at: number): BlueGreenChange {
  const message = `${nameOf(running)} was to be rolled back and is not: green keeps ${running.percentage} %. ${because(why)}`
  const { id: deploymentId, phase } = running
  const to = isOver(phase) ? phase : 'HOLD'
  return { what: 'refusal', from: phase, to, at, why, severity: 'CRITICAL', message, deploymentId }
}

/** A version that no event is routed to any more is not ended. */
export function keptChange(state: State, version: string, at: number): BlueGreenChange {
  const why = `"${state.active}" is dead`
  const message = `Version "${version}" is not ended and serves in place of "${state.active}", until that lives again. ${because(why)}`
  const deploymentId = state.deployment?.id
  return { what: 'refusal', from: 'retired', to: 'kept', at, why, severity: 'CRITICAL', message, deploymentId }
}

/** The data stays as the migration left it. */
export function migrationChange(running: DeploymentState, why: string, at: number): BlueGreenChange {
  const message = `${nameOf(running)} has left its migration in place, and needs a human. ${because(why)}`
  const news = { what: 'migration', from: running.migrated, to: 'STUCK', severity: 'CRITICAL' } as const
  return { ...news, at, why, message, deploymentId: running.id }
}

/** The old version has its traffic back, and something is wrong with it. */
export function validationChange(running: DeploymentState, why: string, at: number): BlueGreenChange {
  const lead = `${nameOf(running)} has been rolled back, and "${running.from}" does not pass its validation`
  const news = { what: 'validation', from: 'running', to: 'failed', severity: 'CRITICAL' } as const
  return { ...news, at, why, message: `${lead}. ${because(why)}`, deploymentId: running.id }
}

/** How long the evidence of a deployment will take. */
export function forecastChange(
  { id, from, to }: Pick<DeploymentState, 'id' | 'from' | 'to'>,
  { isSufficient, message: foreseen }: { readonly isSufficient: boolean; readonly message: string },
  at: number,
): BlueGreenChange {
  const news = { what: 'forecast', from: 'unknown', to: isSufficient ? 'sufficient' : 'insufficient' } as const
  const why = 'of the traffic of late'
  return { ...news, at, why, severity: 'INFO', message: `${nameOf({ id, from, to })}: ${foreseen}`, deploymentId: id }
}

/** Evidence is lost, or cannot be written down. */
export function evidenceChange(state: State, why: string, at: number): BlueGreenChange {
  const message = `The evidence of deployments is not kept, and a restart may lose it. ${because(why)}`
  const news = { what: 'evidence', from: 'kept', to: 'lost', severity: 'WARNING' } as const
  return { ...news, at, why, message, deploymentId: runningIn(state)?.id }
}

/** A report could not be kept. */
export function historyChange(
  { deploymentId, from, to }: { readonly deploymentId: string; readonly from: string; readonly to: string },
  why: string,
  at: number,
): BlueGreenChange {
  const message = `The report of ${nameOf({ id: deploymentId, from, to })} is not in the history yet. ${because(why)}`
  const news = { what: 'history', from: 'kept', to: 'missing', severity: 'WARNING' } as const
  return { ...news, at, why, message, deploymentId }
}

/** The store went away or came back. */
export function storeChange(isUp: boolean, error: unknown, at: number): BlueGreenChange {
  const [from, to] = isUp ? (['down', 'up'] as const) : (['up', 'down'] as const)
  const why = isUp ? 'a write was confirmed' : error instanceof Error ? error.message : String(error)
  const message = isUp
    ? 'The store of the deployment state answers again.'
    : `The store of the deployment state cannot be reached, so nothing shifts and the last owner serves. ${because(why)}`
  const severity = isUp ? 'INFO' : 'WARNING'
  return { what: 'store', from, to, at, why, severity, message, deploymentId: undefined }
}

/** This process drives from now on, or does so no more. */
export function controllerChange(
  from: Controller,
  to: Controller,
  state: State,
  why: string,
  at: number,
): BlueGreenChange {
  const running = runningIn(state)
  const serving =
    running === undefined
      ? `Version "${state.active}" serves.`
      : `${nameOf(running)} is in ${running.phase} at ${running.percentage} %.`
  const lead = {
    DRIVING: 'This process drives deployments now.',
    FENCED: 'This process no longer drives deployments and only serves.',
    STOPPED: 'This process has stopped driving deployments and only serves.',
  }[to]
  const severity = to === 'FENCED' ? 'CRITICAL' : 'INFO'
  const message = `${lead} ${serving} ${because(why)}`
  return { what: 'controller', from, to, at, why, severity, message, deploymentId: running?.id }
}

/** A cause as a sentence; error messages come with their full stop. */
function because(why: string): string {
  return `Why: ${why.replace(/\.$/, '')}.`
}

/** The phase of a state: that of its last deployment. */
export function phaseOf(state: State): Phase {
  return state.deployment?.phase ?? 'IDLE'
}

/** What names a deployment in a sentence. */
function nameOf(deployment: Pick<DeploymentState, 'id' | 'from' | 'to'>): string {
  return `Deployment ${deployment.id} ("${deployment.from}" to "${deployment.to}")`
}

const severityOf: Record<Phase, Severity> = {
  IDLE: 'INFO',
  PRECHECK: 'INFO',
  BACKUP: 'INFO',
  MIGRATING: 'INFO',
  GREEN_STAGING: 'INFO',
  SMOKE: 'INFO',
  CANARY_TESTING: 'INFO',
  SHIFTING_TRAFFIC: 'INFO',
  HOLD: 'WARNING',
  BAKING: 'INFO',
  DRAINING_BLUE: 'INFO',
  COMPLETE: 'INFO',
  ROLLING_BACK: 'CRITICAL',
  VALIDATING_ROLLBACK: 'INFO',
  ROLLED_BACK: 'WARNING',
  FROZEN: 'CRITICAL',
  FAILED: 'WARNING',
}

/** The active version changes by completing a deployment; any other way it was taken back, or its code was missing. */
function activeSeverity(after: State): Severity {
  return after.deployment?.phase === 'COMPLETE' && after.deployment.to === after.active ? 'INFO' : 'WARNING'
}

function shareOf(state: State): number {
  return runningIn(state)?.percentage ?? 0
}

function phaseSentence(deployment: DeploymentState): string {
  const { phase, percentage, from, to } = deployment
  const name = nameOf(deployment)
  switch (phase) {
    case 'PRECHECK':
      return `${name} is being checked, and nothing has happened yet.`
    case 'BACKUP':
      return `${name} waits for its backup.`
    case 'MIGRATING':
      return `${name} runs the migration "${deployment.migration?.name}".`
    case 'SMOKE':
      return `${name} has "${to}" answer its smoke tests, which serves nobody yet.`
    case 'BAKING':
      return `${name} has given "${to}" everybody, and may still be taken back.`
    case 'VALIDATING_ROLLBACK':
      return `${name} has given "${from}" everybody back, which is looked at.`
    case 'FROZEN':
      return (
        `${name} should be rolled back and cannot be, for its migration is irreversible: it stays at ${percentage} % and ` +
        `needs a human. Promote it, or roll it back with acceptIrreversible: true.`
      )
    case 'FAILED':
      return `${name} has failed before anything had happened.`
    case 'GREEN_STAGING':
      return `${name} is written down, and "${to}" serves nobody yet.`
    case 'CANARY_TESTING':
      return `${name} is on its first step, ${percentage} %.`
    case 'SHIFTING_TRAFFIC':
      return `${name} is shifting traffic, ${percentage} % so far.`
    case 'HOLD':
      return `${name} holds at ${percentage} %.`
    case 'DRAINING_BLUE':
      return `${name} waits for the calls that still run on "${from}".`
    case 'COMPLETE':
      return `${name} is complete.`
    case 'ROLLING_BACK':
      if (percentage > 0) return `${name} is being rolled back in batches: "${to}" keeps ${percentage} % for now.`
      return `${name} is being rolled back: "${from}" serves every new event, and calls that began on "${to}" finish there.`
    case 'ROLLED_BACK':
      return `${name} has been rolled back.`
  }
}
