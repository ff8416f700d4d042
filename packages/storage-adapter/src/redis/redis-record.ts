import type { StoredRecord } from '../backend.js'

/*
 * A record is one text: its version, a line break, when it expires (or nothing), a line break, and its value. JSON as we
 * write it holds no line break, and neither does the version as it is written here.
 */

/** Writes a record as Redis keeps it. */
export function packRecord({ version, expiresAt, json }: StoredRecord): string {
  return `${packVersion(version)}\n${expiresAt ?? ''}\n${json}`
}

/**
 * Reads a record.
 *
 * @returns `undefined` when it is none
 */
export function unpackRecord(text: string): StoredRecord | undefined {
  const first = text.indexOf('\n')
  const second = text.indexOf('\n', first + 1)
  if (first < 0 || second < 0) return undefined
  const expiry = text.slice(first + 1, second)
  const expiresAt = expiry === '' ? undefined : Number(expiry)
  if (Number.isNaN(expiresAt)) return undefined
  return { json: text.slice(second + 1), version: unpackVersion(text.slice(0, first)), expiresAt }
}

/** Versions of our own stay as they are; one that a caller chose may hold anything. */
export function packVersion(version: string): string {
  return JSON.stringify(version).slice(1, -1)
}

/** The way back from {@link packVersion}. */
export function unpackVersion(text: string): string {
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text
}

/** Whether a record exists at that time. */
export function isLive(record: StoredRecord, now: number): boolean {
  return record.expiresAt === undefined || record.expiresAt > now
}
