import type { BlueGreenChange } from './changes.js'
import type { Batches } from './plan.js'
import type { Deployment, DeploymentResult } from './deployment.js'
import type { VersionCounters } from './lane.js'
import type { ProbeResult } from './plan.js'
import type { GuildCounters } from './report/vitals.js'

/** How a rollback is to go. */
export interface RollBackHow {
  /** A person accepts that the migration is irreversible. */
  readonly acceptIrreversible?: boolean | undefined
  /** In batches; at once unless given. */
  readonly batches?: Batches | undefined
  /** What failed. */
  readonly results?: readonly ProbeResult[]
}

/** What the driver tells and asks of the router that it belongs to. None of it may throw. */
export interface DriverHooks {
  /** Called when everything is settled. */
  announce(changes: readonly BlueGreenChange[]): void
  /** Called once per deployment, last of all. */
  finished(deployment: Deployment, result: DeploymentResult): void
  /** Called before the first event can reach the new version. */
  began(version: string): void
  /**
   * Gets a version ready for its events. May be called again when it is ready. Called for green in `GREEN_STAGING`, and for
   * whatever a resumed state routes to. What rejects, or takes longer than `stageTimeoutMs`, is not ready.
   */
  stage(version: string, signal: AbortSignal): Promise<void>
  /** No event goes to this version any more: to green when it was rolled back, to blue when the deployment is complete. */
  retire(version: string): void
  /** A version that the state routes to did not get ready when this process came, while another one did: it is wanted again. */
  startLater(version: string, why: string): void
  /** Waits for the calls that run on a version now, up to its deadline or the signal; resolves with how many still run. */
  drained(version: string, signal: AbortSignal): Promise<number>
  /** Gives a version a synthetic event. */
  call(version: string, event: unknown): Promise<unknown>
  /** What became of the calls of each version since it was made. */
  counters(): ReadonlyMap<string, VersionCounters>
  /** How a version and its guilds fare. */
  fares(version: string): VersionCounters & GuildCounters
  /** How many events a version has had since it was made. Synthetic calls are none. */
  events(version: string): number
}
