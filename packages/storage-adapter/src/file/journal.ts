import { crc32 } from 'node:zlib'
import type { KeyedRecord, Mutation } from '../backend.js'
import { toJson } from '../values.js'

/** The newest format of the files that this version reads and writes. */
export const FORMAT_VERSION = 1

/** The first line of a file. */
export interface Header {
  readonly format: 'evenkeel-journal' | 'evenkeel-snapshot'
  readonly formatVersion: number
  /** The last commit before a journal begins, or in a snapshot. */
  readonly sequence: number
}

/** A change as a line tells it. */
export type JournaledChange =
  | {
      readonly set: string
      readonly in: string
      readonly version: string
      readonly expiresAt?: number
      readonly value: unknown
    }
  | { readonly delete: string; readonly in: string; readonly version: string }
  | { readonly clear: string; readonly version: string }

/** A line of a file, read. */
export type Line =
  | { readonly kind: 'header'; readonly header: Header; readonly end: number }
  | {
      readonly kind: 'commit'
      readonly sequence: number
      /** The first commit that was written in one go with this one; without it, this one. */
      readonly group?: number
      readonly changes: readonly JournaledChange[]
      readonly end: number
    }
  /** What a snapshot ends with. */
  | { readonly kind: 'end'; readonly records: number; readonly end: number }
  /** Blanks behind the last line, where the next ones will be written. */
  | { readonly kind: 'free'; readonly start: number; readonly end: number }
  /** A line that misses its end or whole sectors, as a crash leaves it when it was not synced. */
  | { readonly kind: 'torn'; readonly start: number; readonly end: number }
  /** A line that is not what was written. */
  | { readonly kind: 'damaged'; readonly start: number; readonly end: number }

/*
 * Every line is a JSON object on its own and begins with the checksum of the rest of it:
 *   {"crc32":"9d1f36e0","sequence":7,"changes":[{"set":"7:1","in":"notes","version":"…","value":{"text":"tea"}}]}
 */
const PREFIX = '{"crc32":"'
const BODY_AT = PREFIX.length + 8 + 2
const NEWLINE = 0x0a
/** What a journal is filled up with, so that a person and any JSON tool can still read it. */
export const BLANK = 0x20
/** A disk writes that many bytes, at a multiple of it, wholly or not at all. */
const SECTOR = 512

/** The line that a file begins with. */
export function encodeHeader(header: Header): Buffer {
  return encodeLine(JSON.stringify(header))
}

/**
 * The line of a commit. A commit is one line, so it is there whole or not at all.
 *
 * @param group - the first commit of those that are written in one go. A crash may leave any of them out, and only them:
 * what was written before has been synced.
 */
export function encodeCommit(sequence: number, mutations: readonly Mutation[], group: number = sequence): Buffer {
  const changes = mutations.flatMap((mutation) => encodeChange(mutation) ?? [])
  const together = group === sequence ? '' : `"group":${group},`
  return encodeLine(`{"sequence":${sequence},${together}"changes":[${changes.join(',')}]}`)
}

/** The line of a record in a snapshot. */
export function encodeRecord(sequence: number, record: KeyedRecord & { collection: string }): Buffer {
  return encodeCommit(sequence, [{ type: 'put', expected: undefined, ...record }])
}

/** The last line of a snapshot, without which it is not whole. */
export function encodeEnd(records: number): Buffer {
  return encodeLine(JSON.stringify({ records }))
}

/** Reads a file line by line; damage is told, never skipped in silence. */
export function* readLines(bytes: Buffer): Generator<Line, void, undefined> {
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline === -1 ? bytes.length : newline + 1
    const line = newline === -1 ? undefined : decodeLine(bytes.subarray(start, newline), end)
    yield line ?? { kind: faultOf(bytes, start, end, newline === -1), start, end }
    start = end
  }
}

function faultOf(bytes: Buffer, start: number, end: number, isLast: boolean): 'free' | 'torn' | 'damaged' {
  if (isLast) return isEmpty(bytes.subarray(start, end)) ? 'free' : 'torn'
  for (let sector = start - (start % SECTOR); sector < end; sector += SECTOR) {
    if (isEmpty(bytes.subarray(Math.max(start, sector), Math.min(end, sector + SECTOR)))) return 'torn'
  }
  return 'damaged'
}

/** A part of a file that was never written holds zeros. */
function isEmpty(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === BLANK || byte === 0)
}

/** The change of a journal as a backend's change. */
export function toMutation(change: JournaledChange): Mutation {
  const expected = undefined
  if ('set' in change) {
    const { set: key, in: collection, version, expiresAt, value } = change
    return { type: 'put', collection, key, json: toJson(value), version, expiresAt, expected }
  }
  if ('delete' in change) {
    return { type: 'delete', collection: change.in, key: change.delete, version: change.version, expected }
  }
  return { type: 'clear', collection: change.clear, version: change.version }
}

function encodeChange(mutation: Mutation): string | undefined {
  const { collection } = mutation
  switch (mutation.type) {
    case 'put': {
      const { key, version, expiresAt, json } = mutation
      const head = JSON.stringify({ set: key, in: collection, version, expiresAt })
      return `${head.slice(0, -1)},"value":${json}}`
    }
    case 'delete':
      return JSON.stringify({ delete: mutation.key, in: collection, version: mutation.version })
    case 'clear':
      return JSON.stringify({ clear: collection, version: mutation.version })
    case 'check':
      return undefined
  }
}

function encodeLine(json: string): Buffer {
  const line = Buffer.from(`${PREFIX}00000000",${json.slice(1)}\n`)
  line.write(checksum(line.subarray(BODY_AT, -1)), PREFIX.length, 'latin1')
  return line
}

function decodeLine(line: Buffer, end: number): Line | undefined {
  if (line.toString('latin1', 0, BODY_AT) !== `${PREFIX}${checksum(line.subarray(BODY_AT))}",`) return undefined
  // What the checksum confirms was written by this package, though perhaps by a newer version of it.
  const body = JSON.parse(`{${line.toString('utf8', BODY_AT)}`) as
    Header | { records: number } | { sequence: number; group?: number; changes: JournaledChange[] }
  if ('format' in body) return { kind: 'header', header: body, end }
  if ('records' in body) return { kind: 'end', ...body, end }
  return { kind: 'commit', ...body, end }
}

function checksum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0')
}
