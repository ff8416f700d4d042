import type { Mutation, Range } from '../backend.js'
import {
  BusyError,
  ConflictError,
  CorruptError,
  DriverError,
  FormatError,
  LockedError,
  StorageError,
  UnavailableError,
} from '../errors.js'
import type { News, StorageEvents } from '../events.js'
import type { SqliteDriverName } from './sqlite-driver.js'

/** What a worker is started with. */
export interface WorkerSettings {
  readonly path: string
  readonly driver: SqliteDriverName | 'auto'
  readonly busyTimeoutMs: number
  readonly mustExist: boolean
}

/** What can be asked of a worker, by name, with its parameters. */
export interface WorkerCalls {
  open: []
  close: []
  read: [collection: string, keys: readonly string[], now: number]
  page: [collection: string, range: Range, now: number]
  count: [collection: string, prefix: string, now: number]
  collections: [now: number]
  commit: [mutations: readonly Mutation[], now: number]
  changes: [cursor: string | undefined, limit: number]
  health: []
  check: []
  /** Ends a check that is under way. */
  endCheck: [id: number]
  /** Tells of new changes from now on, or no more. */
  watch: [isWatched: boolean]
}

/** A question to a worker. */
export interface WorkerRequest {
  readonly id: number
  readonly name: keyof WorkerCalls
  readonly parameters: readonly unknown[]
}

/** What became of a question. */
export type WorkerAnswer =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: EncodedError }

/** What a worker says. */
export type WorkerMessage =
  | { readonly type: 'answers'; readonly answers: readonly WorkerAnswer[]; readonly busyWaits: number }
  | { readonly type: 'hint' }
  | { readonly type: 'news'; readonly event: keyof StorageEvents; readonly news: Omit<News, 'at'> }

/** An error on its way between threads, which keeps neither its class nor its fields by itself. */
export interface EncodedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly fields: Readonly<Record<string, unknown>>
}

const CLASSES: readonly { readonly name: string; readonly prototype: Error }[] = [
  BusyError,
  ConflictError,
  CorruptError,
  DriverError,
  FormatError,
  LockedError,
  UnavailableError,
]

export function encodeError(error: unknown): EncodedError {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  return { name, message, stack, fields: error instanceof StorageError ? { ...error } : {} }
}

export function decodeError({ name, message, stack, fields }: EncodedError): Error {
  const error = Object.assign(new Error(message), { name, ...fields })
  if (stack !== undefined) error.stack = stack
  const original = CLASSES.find((each) => each.name === name)
  if (original !== undefined) Object.setPrototypeOf(error, original.prototype)
  return error
}
