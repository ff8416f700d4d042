import type { DeploymentState } from './transitions.js'

/** `deploy` was called while another deployment runs. Follow that one, or roll it back first. */
export class DeploymentRunningError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'DeploymentRunningError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'DEPLOYMENT_RUNNING'
  /** The same call can succeed once the running deployment is over. */
  readonly retryable = true
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The deployment that runs. */
  readonly deploymentId: string
  /** The version that was asked for. */
  readonly version: string

  /** @internal */
  constructor(version: string, deploymentId: string, running: string) {
    super(
      `Cannot deploy "${version}": deployment ${deploymentId} to "${running}" is running. ` +
        'Wait until it has finished, or roll it back.',
    )
    this.version = version
    this.deploymentId = deploymentId
  }
}

/** `promote` or `resume` was called while something holds the deployment: `why` says what. */
export class DeploymentHeldError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'DeploymentHeldError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'DEPLOYMENT_HELD'
  /** The same call can succeed once nothing holds it. */
  readonly retryable = true
  /** Green has no more than before. */
  readonly applied = 'no'
  /** The deployment. */
  readonly deploymentId: string
  /** What holds it, as a clause. */
  readonly why: string

  /** @internal */
  constructor({ id, heldByHand }: Pick<DeploymentState, 'id' | 'heldByHand'>, why: string) {
    const remedy = heldByHand === null ? 'repair that, and it goes on by itself' : 'resume() it first'
    super(`Deployment ${id} is held: ${why.replace(/\.$/, '')}. ${remedy[0]?.toUpperCase()}${remedy.slice(1)}.`)
    this.deploymentId = id
    this.why = why
  }
}

/** `deploy` was called with a version that was rolled back. Say `retry: true` if you mean it. */
export class RolledBackVersionError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'RolledBackVersionError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'VERSION_ROLLED_BACK'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The version that was asked for. */
  readonly version: string

  /** @internal */
  constructor(version: string) {
    super(
      `Cannot deploy "${version}": it was rolled back before. ` +
        'Deploy the repaired code under a new name, or pass retry: true.',
    )
    this.version = version
  }
}

/**
 * `deploy` was called with the version that served before the last migration, which is in place. `rollback()` of that deployment
 * undoes it; `acceptMigrated: true` says that the version can read the data.
 */
export class MigrationInPlaceError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'MigrationInPlaceError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'MIGRATION_IN_PLACE'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The version that was asked for. */
  readonly version: string
  /** The deployment whose migration it is. */
  readonly deploymentId: string
  /** The name of the migration. */
  readonly migration: string

  /** @internal */
  constructor(
    version: string,
    {
      deploymentId,
      name,
      irreversible,
      isNewest,
    }: {
      readonly deploymentId: string
      readonly name: string
      readonly irreversible: boolean
      readonly isNewest: boolean
    },
  ) {
    const remedy = irreversible
      ? 'It is irreversible: name a migration that goes back'
      : isNewest
        ? 'Call rollback() of that deployment (blueGreen.lastDeployment), which undoes it'
        : 'Other deployments have come since: undo it by hand'
    super(
      `Cannot deploy "${version}": it served before the migration "${name}" of deployment ${deploymentId}, which is in place. ` +
        `${remedy}, or pass acceptMigrated: true if "${version}" can read the data as it is.`,
    )
    this.version = version
    this.deploymentId = deploymentId
    this.migration = name
  }
}

/** The stored deployment needs code that this process does not have. Nothing is served by guesswork. */
export class VersionMissingError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'VersionMissingError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'VERSION_MISSING'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The version whose handler is missing. */
  readonly version: string
  /** The deployment that needs it. */
  readonly deploymentId: string

  /** @internal */
  constructor(version: string, deploymentId: string) {
    super(
      `Cannot resume deployment ${deploymentId}: it needs version "${version}", which is not in versions. ` +
        'Start once more with its handler, and remove it when the deployment is over.',
    )
    this.version = version
    this.deploymentId = deploymentId
  }
}

/** Another controller drives now. This process keeps serving and shifts nothing until it is stopped and started. */
export class FencedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'FencedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'FENCED'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was changed by this process. */
  readonly applied = 'no'
  /** The fencing token of the other controller; `undefined` when the record is gone. */
  readonly epoch: number | undefined

  /** @internal */
  constructor(why: string, epoch: number | undefined) {
    super(`This process no longer drives the deployment: ${why}. Call stop() and start() to take over again.`)
    this.epoch = epoch
  }
}

/** The store did not answer, or not in time. */
export class StoreUnavailableError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'StoreUnavailableError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'STORE_UNAVAILABLE'
  /** The same call can succeed when the store is back. */
  readonly retryable = true
  /** `'unknown'` when a write was under way, `'no'` when the store was only read. */
  readonly applied: 'no' | 'unknown'

  /** @internal */
  constructor(what: string, applied: 'no' | 'unknown', cause?: Error) {
    const reason = cause === undefined ? '' : `: ${cause.message}`
    super(`${what}${reason}. Nothing shifts until the store answers.`, cause === undefined ? undefined : { cause })
    this.applied = applied
  }
}

/** The stored state cannot be read: it is newer than this release, or was written by something else. */
export class StateFormatError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'StateFormatError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'STATE_FORMAT'
  /** The same call fails again. */
  readonly retryable = false
  /** The record was left as it is. */
  readonly applied = 'no'
  /** The key in the store. */
  readonly key: string
  /** The format version that was found, if any. */
  readonly found: number | undefined
  /** The newest format version that this release reads. */
  readonly supported: number

  /** @internal */
  constructor(key: string, found: number | undefined, supported: number, why: string) {
    super(
      `Cannot read the state under "${key}": ${why}, and this release reads format ${supported}. ` +
        'Upgrade @evenkeel/blue-green, or give another name.',
    )
    this.key = key
    this.found = found
    this.supported = supported
  }
}

/** `stop()` was called before the store had confirmed the deployment. `start()` shows what became of it. */
export class StoppedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'StoppedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'STOPPED'
  /** The same call can succeed after `start()`. */
  readonly retryable = true
  /** The deployment may be in the store. */
  readonly applied = 'unknown'

  /** @internal */
  constructor(version: string, isStarting = false) {
    super(
      isStarting
        ? `Starting was interrupted by stop(), before "${version}" was ready. Call start() again.`
        : `Deploying "${version}" was interrupted by stop(). Call start() to see whether it had begun.`,
    )
  }
}
