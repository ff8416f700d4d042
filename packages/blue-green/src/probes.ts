import { messageOf, runBounded } from './bounded.js'
import type { ProbeResult } from './plan.js'
import type { Clock } from './ports.js'

/** What a function of the plan is told. */
export interface ProbeContext {
  /** The deployment. */
  readonly deploymentId: string
  /** The version that served when it began (blue). */
  readonly from: string
  /** The version that is to serve (green). */
  readonly to: string
  /** Aborted at the deadline, and when the deployment goes on without it. */
  readonly signal: AbortSignal
}

/** A check before anything happens. It fails when it throws, rejects, returns `false`, or takes longer than `probeTimeoutMs`. */
export type Probe = (context: ProbeContext) => unknown

/** What a function that looks at a version is told. */
export interface SyntheticContext<Event = unknown> extends ProbeContext {
  /** The version that is looked at. */
  readonly version: string
  /** Green's share now, 0 to 100. */
  readonly percentage: number
  /** Gives the version an event of your making, past the routing. It is no evidence, and its id is not remembered. */
  readonly call: (event: Event) => Promise<unknown>
}

/** A synthetic call. It fails when it throws, rejects, returns `false`, or takes longer than `probeTimeoutMs`. */
export type SyntheticTest<Event = unknown> = (context: SyntheticContext<Event>) => unknown

/** What a backup is told. */
export interface BackupContext {
  /** The deployment. */
  readonly deploymentId: string
  /** Aborted at the deadline, and when the deployment goes on without it. */
  readonly signal: AbortSignal
}

/** A backup that was made. */
export interface BackupResult {
  /** Names it where it was made. */
  readonly id: string
  /** How large it is, where that is known. */
  readonly bytes?: number | undefined
}

/** Makes a backup. Called again after a crash in between. */
export type Backup = (context: BackupContext) => Promise<BackupResult>

/** What a migration is told. */
export interface MigrationContext extends ProbeContext {
  /** Whether it may have begun before, in a process that ended: then part of it, or all, is done already. */
  readonly mayHaveBegun: boolean
}

/** How the data is changed for a version. Blue serves while `up` runs, and again while `down` does. */
export interface Migration {
  /** Idempotent: after a crash it is run again. */
  up(context: MigrationContext): Promise<void>
  /** Undoes it, also what is half done. Idempotent. Run by a rollback, when green has nobody. Without it nothing is undone. */
  down?(context: MigrationContext): Promise<void>
  /** Whether blue cannot serve what it leaves behind. Then a rollback freezes the deployment instead. */
  readonly irreversible?: boolean | undefined
}

/** Runs functions of the plan side by side, each with its deadline. Never rejects; all results are kept. */
export async function runProbes(
  kind: ProbeResult['kind'],
  names: readonly string[],
  functions: { get(name: string): ((signal: AbortSignal) => unknown) | undefined },
  { clock, probeTimeoutMs }: { readonly clock: Clock; readonly probeTimeoutMs: number },
  parent: AbortSignal,
): Promise<readonly ProbeResult[]> {
  const run = async (name: string): Promise<ProbeResult> => {
    const beganMs = clock.monotonic()
    const result = (why: string): ProbeResult => {
      return { kind, name, isPassed: why === '', why, tookMs: Math.round(clock.monotonic() - beganMs) }
    }
    const probe = functions.get(name)
    if (probe === undefined) return result(`there is none of this name in ${kind}`)
    try {
      const answer = await runBounded(probe, probeTimeoutMs, clock, parent)
      return result(answer === false ? 'it returned false' : '')
    } catch (error) {
      return result(messageOf(error) || 'it threw nothing that says why')
    }
  }
  return Promise.all(names.map(run))
}

/** What did not pass, as a clause; `undefined` when all did. */
export function failureIn(results: readonly ProbeResult[]): string | undefined {
  const failed = results.filter(({ isPassed }) => !isPassed)
  return failed.length === 0 ? undefined : failed.map(({ name, why }) => `${name}: ${why}`).join('; ')
}
