import type { Severity } from '../news.js'
import { RolloutFormatError } from './rollout-errors.js'
import { firstWrong, FORMAT, isCount, isDuration, isObject, isText, type Shape } from './shape.js'
import type { RolloutState, Run } from './transitions.js'

/** How many transitions a record remembers. */
const MAX_HISTORY = 50

/** A transition, as it is remembered. */
export interface RolloutEntry {
  /** Grows by one with each transition of a flag's rollouts: with the flag it names this transition for ever. */
  readonly sequence: number
  /** When, in epoch ms. For people; nothing is ordered by it. */
  readonly at: number
  /** Where the rollout was. */
  readonly from: RolloutState
  /** Where it is. */
  readonly to: Exclude<RolloutState, 'PENDING'>
  /** The name of the phase. */
  readonly phase: string
  /** The version of the code that is rolled out; empty where none was named. */
  readonly version: string
  /** The percentage before. */
  readonly fromPercentage: number
  /** The percentage after. */
  readonly percentage: number
  /** The reason, as a clause. */
  readonly why: string
  /** Who did it, if it was a person who said so. */
  readonly by?: string
  /** How much it matters. */
  readonly severity: Severity
  /** The attempt that wrote it, so that a write of unknown outcome is recognised. */
  readonly attempt: string
}

/**
 * Where a flag's rollout is, in one small record, so that each transition is one compare-and-set. The evidence is kept beside
 * it, and named here.
 */
export interface RolloutRecord {
  readonly format: typeof FORMAT
  /** The flag, for people. */
  readonly flag: string
  /** Who drives; `null` when nobody does. */
  readonly owner: string | null
  /** The fencing token: whoever takes over raises it. */
  readonly token: number
  /** Raised by each write, so that the record of a driver that lives never stands still. */
  readonly writes: number
  /** One more with each transition. */
  readonly sequence: number
  /** The run. */
  readonly run: Run
  /** The key of the evidence, of the time up to `run` and no earlier; `null` when there is none. */
  readonly evidence: string | null
  /** The last transitions, oldest first. */
  readonly history: readonly RolloutEntry[]
  /** The sequence up to which transitions were put in force and told. */
  readonly told: number
}

/** Why something happens, and who does it. */
export interface Reason {
  readonly why: string
  readonly by?: string | undefined
  readonly severity: Severity
}

/** A record after a transition. */
export function withTransition(
  record: RolloutRecord | undefined,
  base: Omit<RolloutRecord, 'run' | 'history' | 'sequence' | 'writes'>,
  { run, sequence, at, attempt, reason }: { run: Run; sequence: number; at: number; attempt: string; reason: Reason },
): RolloutRecord {
  const { why, by, severity } = reason
  const entry: RolloutEntry = {
    sequence,
    at,
    from: record?.run.state ?? 'PENDING',
    to: run.state,
    phase: run.phaseName,
    version: run.version,
    fromPercentage: record?.run.share.percentage ?? 0,
    percentage: run.share.percentage,
    why,
    ...(by === undefined ? {} : { by }),
    severity,
    attempt,
  }
  const history = [...(record?.history ?? []), entry].slice(-MAX_HISTORY)
  return { ...base, run, history, sequence, writes: (record?.writes ?? 0) + 1 }
}

/** Whether this very attempt is part of the record. */
export function hasAttempt({ history }: RolloutRecord, attempt: string): boolean {
  return history.some((entry) => entry.attempt === attempt)
}

/**
 * Checks what the store returned before anything follows from it.
 *
 * @throws RolloutFormatError when it is newer than this release, or nothing that this package wrote
 */
export function readRecord(key: string, value: unknown): RolloutRecord {
  const format = isObject(value) ? value['format'] : undefined
  if (!isObject(value) || typeof format !== 'number') {
    throw new RolloutFormatError(key, undefined, FORMAT, 'it carries no format version')
  }
  if (format !== FORMAT) throw new RolloutFormatError(key, format, FORMAT, `it has format ${format}`)
  const wrong = firstWrong(value, recordShape) ?? firstWrong(value['run'], runShape)
  if (wrong !== undefined) {
    throw new RolloutFormatError(key, format, FORMAT, `its field ${JSON.stringify(wrong)} is missing or malformed`)
  }
  return value as unknown as RolloutRecord
}

const states: Readonly<Record<Run['state'], true>> = {
  RUNNING: true,
  HOLDING: true,
  PAUSED: true,
  ROLLING_BACK: true,
  VALIDATING: true,
  COMPLETE: true,
  ROLLED_BACK: true,
  ABORTED: true,
}

const recordShape: Shape = {
  owner: (value) => value === null || isText(value),
  token: isCount,
  writes: isCount,
  sequence: isCount,
  told: isCount,
  run: isObject,
  evidence: (value) => value === null || isText(value),
  history: (value) => Array.isArray(value) && value.every((each) => isObject(each) && isCount(each['sequence'])),
}

const runShape: Shape = {
  state: (value) => isText(value) && Object.hasOwn(states, value),
  version: isText,
  fingerprint: isText,
  phaseName: isText,
  phase: isCount,
  fallenBackMs: isDuration,
  pausedFor: (value) => value === null || isText(value),
  acknowledged: (value) => Array.isArray(value) && value.every(isText),
  healthyMs: isDuration,
  heldMs: isDuration,
  share: isShare,
  heldFor: (value) => value === null || value === 'EVIDENCE' || value === 'FLAG',
  rollback: (value) =>
    value === null ||
    (isObject(value) && isCount(value['batches']) && isDuration(value['elapsedMs']) && isDuration(value['settledMs'])),
  validation: (value) => value === null || Array.isArray(value),
}

function isShare(value: unknown): boolean {
  if (!isObject(value) || !isCount(value['sequence'])) return false
  const { percentage, targetGuilds } = value
  const isPercentage = isDuration(percentage) && (percentage as number) <= 100
  return isPercentage && Array.isArray(targetGuilds) && targetGuilds.every(isText)
}
