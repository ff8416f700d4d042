import { StateFormatError } from '../../errors.js'
import type { SessionInfo } from './ports.js'

/** The sessions of a bot, and who has them: what one process leaves for the next. Plain JSON. */
export interface SessionRecord {
  readonly format: 1
  /** The process that has the sessions, or had them last. */
  readonly by: string
  /** Whether it may still have connections. */
  readonly isOpen: boolean
  /** By shard; of each, `sequence` is the last number up to which everything was done. */
  readonly shards: Readonly<Record<string, SessionInfo>>
}

/** @throws {@link StateFormatError} when it was written by a newer release, or by something else */
export function readSessionRecord(key: string, value: unknown): SessionRecord {
  const { format, by, isOpen, shards } = Object(value) as Partial<SessionRecord>
  const isOurs =
    format === 1 &&
    typeof by === 'string' &&
    typeof isOpen === 'boolean' &&
    typeof shards === 'object' &&
    shards !== null &&
    Object.values(shards).every(isSession)
  if (isOurs) return value as SessionRecord
  const found = typeof format === 'number' ? format : undefined
  const why = found === 1 ? 'a field is missing or malformed' : `it has format ${String(format)}`
  throw new StateFormatError(key, found, 1, why)
}

function isSession(value: unknown): boolean {
  const { sessionId, resumeURL, sequence, shardId, shardCount } = Object(value) as Partial<SessionInfo>
  const areNumbers = [sequence, shardId, shardCount].every((number) => Number.isSafeInteger(number))
  return areNumbers && typeof sessionId === 'string' && typeof resumeURL === 'string'
}
