import { StateFormatError } from '../errors.js'

/** Due times from the first to the second, both with them: each has been dealt with. */
export type Stretch = readonly [number, number]

/** What has become of the last run that was begun. Plain JSON. */
export interface RunRecord {
  /** Another one for each time that a process takes it. */
  readonly id: string
  /** The process, in its present life. */
  readonly by: string
  readonly version: string
  readonly epoch: number
  readonly scheduledAt: number
  /** 1; more when a process died with it; 0 when one gave it back before it had begun. */
  readonly attempt: number
  /**
   * `running` and `interrupted` are to be ended by somebody. `unfinished`: its process died, and nobody may run it again.
   */
  readonly state: 'running' | 'interrupted' | 'done' | 'failed' | 'unfinished'
  /** When it ended, by the clock of its process. */
  readonly endedAt: number | null
}

/**
 * One job, as all processes agree on it. Nobody writes it while a run is under way, apart from the one that runs: its version is the
 * fence of the run. Plain JSON.
 */
export interface JobRecord {
  readonly format: 1
  /** Whose epochs count: those of processes, or of versions in one process. */
  readonly kind: OwnerKind
  /** The epoch of the last owner: an earlier one begins nothing more. */
  readonly epoch: number
  /** Due times after this one are to come, or are late. */
  readonly lastAt: number
  /** What has been dealt with, in ascending order: a clock that goes back finds it here. */
  readonly dealt: readonly Stretch[]
  readonly run: RunRecord | null
}

/** What owns jobs: a process among several, or a version within one. */
export type OwnerKind = 'process' | 'version'

/** A run under way somewhere, or given back: somebody has to end it before the next one begins. */
export function openRunOf({ run }: JobRecord): RunRecord | undefined {
  return run !== null && (run.state === 'running' || run.state === 'interrupted') ? run : undefined
}

/** A run that was claimed, and not begun: whoever takes it up begins it for the same time. */
export function givenBack(run: RunRecord): RunRecord {
  return { ...run, attempt: run.attempt - 1, state: 'interrupted' }
}

/** @throws {@link StateFormatError} when it was written by a newer release, or by something else */
export function readJobRecord(key: string, value: unknown): JobRecord {
  const { format, kind, epoch, lastAt, dealt, run } = Object(value) as Partial<JobRecord>
  const isOurs =
    format === 1 &&
    (kind === 'process' || kind === 'version') &&
    Number.isSafeInteger(epoch) &&
    Number.isFinite(lastAt) &&
    Array.isArray(dealt) &&
    dealt.every(
      (stretch: unknown) => Array.isArray(stretch) && stretch.length === 2 && stretch.every(Number.isFinite),
    ) &&
    (run === null || isRun(run))
  if (isOurs) return value as JobRecord
  const found = typeof format === 'number' ? format : undefined
  const why = found === 1 ? 'a field is missing or malformed' : `it has format ${String(format)}`
  throw new StateFormatError(key, found, 1, why)
}

function isRun(value: unknown): boolean {
  const { id, by, state, attempt, scheduledAt } = Object(value) as Partial<RunRecord>
  return (
    typeof id === 'string' &&
    typeof by === 'string' &&
    ['running', 'interrupted', 'done', 'failed', 'unfinished'].includes(state ?? '') &&
    Number.isSafeInteger(attempt) &&
    Number.isFinite(scheduledAt)
  )
}
