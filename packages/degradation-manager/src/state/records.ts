import { StateFormatError } from './state-errors.js'

/** The only format so far. A release that changes a shape raises it and keeps reading the old one. */
const format = 1

/** What was done by hand last. */
export interface OverrideRecord {
  /** One more with each change; of two records the one with more is the newer. */
  readonly epoch: number
  /** Tells this change from every other. */
  readonly id: string
  readonly why: string
  readonly by: string | undefined
  /** The mode; undefined when it was handed back to the rules. */
  readonly mode: string | undefined
  /** For how long from when it was written, in ms; undefined for no end. */
  readonly forMs: number | undefined
  /** When that ends, in epoch ms by the writer's clock. */
  readonly expiresAt: number | undefined
}

/** What a process asks of the others. */
export interface AskRecord {
  readonly mode: string
  readonly why: string
  /** Another one with each sign of life. */
  readonly beat: number
}

/** By process. */
export type AskRecords = ReadonlyMap<string, AskRecord>

export function writeOverride(record: OverrideRecord): unknown {
  const { epoch, id, why, by = null, mode = null, forMs = null, expiresAt = null } = record
  return { format, epoch, id, why, by, mode, forMs, expiresAt }
}

/** @throws StateFormatError when it is newer than this release, or nothing that this package wrote */
export function readOverride(key: string, value: unknown): OverrideRecord {
  const { epoch, id, why, by, mode, forMs, expiresAt } = fieldsOf(key, value)
  const isWhole =
    Number.isSafeInteger(epoch) &&
    typeof id === 'string' &&
    typeof why === 'string' &&
    isTextOrNull(by) &&
    isTextOrNull(mode) &&
    isNumberOrNull(forMs) &&
    isNumberOrNull(expiresAt) &&
    (forMs === null) === (expiresAt === null)
  if (!isWhole) throw malformed(key)
  return {
    epoch: epoch as number,
    id,
    why,
    by: by ?? undefined,
    mode: mode ?? undefined,
    forMs: forMs ?? undefined,
    expiresAt: expiresAt ?? undefined,
  }
}

export function writeAsks(asks: AskRecords): unknown {
  return { format, asks: Object.fromEntries(asks) }
}

/** @throws StateFormatError when it is newer than this release, or nothing that this package wrote */
export function readAsks(key: string, value: unknown): AskRecords {
  const { asks } = fieldsOf(key, value)
  if (typeof asks !== 'object' || asks === null) throw malformed(key)
  return new Map(
    Object.entries(asks as Record<string, Partial<AskRecord> | null>).map(([process, ask]) => {
      const { mode, why, beat } = ask ?? {}
      if (typeof mode !== 'string' || typeof why !== 'string' || typeof beat !== 'number') throw malformed(key)
      return [process, { mode, why, beat }]
    }),
  )
}

function fieldsOf(key: string, value: unknown): Record<string, unknown> {
  const fields = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  const found = fields['format']
  if (typeof found !== 'number') throw new StateFormatError(key, undefined, format, 'it carries no format version')
  if (found !== format) throw new StateFormatError(key, found, format, `it has format ${found}`)
  return fields
}

function malformed(key: string): StateFormatError {
  return new StateFormatError(key, format, format, 'a field is missing or malformed')
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

function isNumberOrNull(value: unknown): value is number | null {
  return value === null || Number.isFinite(value)
}
