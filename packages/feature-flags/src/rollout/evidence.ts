import { RolloutFormatError } from './rollout-errors.js'
import { firstWrong, FORMAT, isCount, isDuration, isObject, type Shape } from './shape.js'
import { isTally, type Counted } from './tally.js'
import type { Traffic } from './traffic.js'

/** What is known of a run, with what it was learnt from: one is never kept without the other. */
export interface Evidence {
  /** The state of the judge. */
  readonly judge: unknown
  /** Up to where each process has been counted. */
  readonly counted: Counted
  /** What was seen of the flag's calls. */
  readonly traffic: Traffic
}

/** Evidence as it is kept, beside the record that names it: it is large, and written less often. */
export interface StoredEvidence extends Evidence {
  readonly format: typeof FORMAT
}

/**
 * Checks what the store returned before anything is judged by it.
 *
 * @throws RolloutFormatError when it is newer than this release, or nothing that this package wrote
 */
export function readEvidence(key: string, value: unknown): Evidence {
  const format = isObject(value) ? value['format'] : undefined
  if (!isObject(value) || format !== FORMAT) {
    throw new RolloutFormatError(key, format, FORMAT, `its evidence has format ${String(format)}`)
  }
  const wrong = firstWrong(value, evidenceShape) ?? firstWrong(value['traffic'], trafficShape)
  if (wrong !== undefined) {
    throw new RolloutFormatError(key, format, FORMAT, `its field ${JSON.stringify(wrong)} is missing or malformed`)
  }
  const { judge, counted, traffic } = value as unknown as StoredEvidence
  return { judge, counted, traffic }
}

const evidenceShape: Shape = {
  judge: (value) => value !== undefined,
  counted: (value) => isObject(value) && Object.values(value).every((each) => isCount(each) || isTally(each)),
  traffic: isObject,
}

const trafficShape: Shape = {
  forMs: isDuration,
  calls: isCount,
  guilds: isCount,
  before: isOldPath,
  after: (value) => value === null || isOldPath(value),
}

function isOldPath(value: unknown): boolean {
  if (!isObject(value) || !isCount(value['calls']) || !isCount(value['failures'])) return false
  return isObject(value['times']) && Object.values(value['times']).every(isCount)
}
