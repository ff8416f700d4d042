import {
  BusyError,
  CorruptError,
  RefusedError,
  StorageTimeoutError,
  UnavailableError,
  type Applied,
  type StorageError,
} from '../errors.js'

/** An error that the server itself gave, rather than the way to it. */
interface ServerError {
  readonly severity: string
  readonly code: string
}

/** What was under way when something failed. */
export interface PostgresCircumstance {
  /** Where the server is. */
  readonly place: string
  /** `connect`: nothing was sent yet. */
  readonly step: 'connect' | 'read' | 'write'
  /** The deadline of the statement, in milliseconds. */
  readonly timeoutMs: number
  /** How long it took to fail, in milliseconds. */
  readonly waitedMs: number
  /** Takes the passwords out of a text. */
  readonly hide: (text: string) => string
}

/** What PostgreSQL calls its errors, as far as they are told apart. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
const CODES = {
  serializationFailure: '40001',
  deadlock: '40P01',
  lockNotAvailable: '55P03',
  canceled: '57014',
  readOnly: '25006',
  tooManyConnections: '53300',
} as const

/** The server is going down or coming up, or the connection to it is lost: what it did last is not known. */
const LOST = /^(57P0|08)/
/** Tables or functions are not there. */
const MISSING = new Set(['42P01', '3F000', '42883', '42703'])
/** What it was given does not fit: data, constraints, limits of the program. */
const WRONG_INPUT = /^(22|23|54)/
/** What lies outside the server, such as its disk. The severity alone will not do: the server says it in its own language. */
const SYSTEM_ERROR = /^58/
const CORRUPT = new Set(['XX001', 'XX002'])
/** How the pool of pg says that all its connections were in use for too long. */
const POOL_IS_EXHAUSTED = 'timeout exceeded when trying to connect'

const COLLISIONS: ReadonlySet<string> = new Set([CODES.deadlock, CODES.serializationFailure, CODES.lockNotAvailable])

/** Whether another attempt may succeed soon: others were in the way, and nothing was applied. */
export function isCollision(error: unknown): boolean {
  return isServerError(error) && COLLISIONS.has(error.code)
}

/** There is no connection left, since others have them all. That is no outage, and so nothing to leave a server for. */
export function noConnection(place: string, waitedMs: number, cause?: Error): BusyError {
  return new BusyError(`Every connection to ${place}`, waitedMs, cause && { cause }, 'allow more connections')
}

/** Whether the connection can be used no more. */
export function isBroken(error: unknown): boolean {
  return !isServerError(error) || error.severity === 'FATAL' || error.severity === 'PANIC' || LOST.test(error.code)
}

/** Whether the connection leads to a standby: another one may lead to the primary. */
export function isReadOnly(error: unknown): boolean {
  return isServerError(error) && error.code === CODES.readOnly
}

/** One of our errors for what pg threw. */
export function toStorageError(error: unknown, circumstance: PostgresCircumstance): StorageError {
  const { place, step, timeoutMs, waitedMs, hide } = circumstance
  const cause = bare(error, hide)
  const onLoss: Applied = step === 'write' ? 'unknown' : 'no'
  const unavailable = (what: string, applied: Applied): UnavailableError =>
    new UnavailableError(`${place} ${what} (${cause.message})`, applied, { cause })
  if (!isServerError(error)) {
    if (step !== 'connect') return unavailable('was lost', onLoss)
    if (cause.message === POOL_IS_EXHAUSTED) return noConnection(place, waitedMs, cause)
    return unavailable('cannot be reached', 'no')
  }
  const { code } = error
  if (code === CODES.tooManyConnections) return noConnection(place, waitedMs, cause)
  // A session that ends, a server that stops, or its disk that fails may be too late to undo a commit.
  if (step !== 'connect' && isEnding(error)) return unavailable('was lost', onLoss)
  // What the server refused, it rolled back.
  if (code === CODES.canceled) return new StorageTimeoutError(timeoutMs, 'no')
  if (isCollision(error)) return new BusyError(place, waitedMs, { cause }, 'try again later')
  if (CORRUPT.has(code)) return new CorruptError(place, 'is damaged', 'no', { cause })
  if (LOST.test(code)) return unavailable('is going down or coming up', onLoss)
  if (code === CODES.readOnly) return unavailable('is read-only, perhaps a standby; connect to the primary', 'no')
  if (MISSING.has(code)) return unavailable('has lost its tables; restore them, or restart to begin anew', 'no')
  if (step === 'connect') return unavailable('refuses the connection', 'no')
  if (WRONG_INPUT.test(code)) {
    return new RefusedError(`${place} refuses what it was given (${cause.message}); change that`, { cause })
  }
  return unavailable('cannot be used', 'no')
}

function isEnding(error: ServerError): boolean {
  return error.severity === 'FATAL' || error.severity === 'PANIC' || SYSTEM_ERROR.test(error.code)
}

function isServerError(error: unknown): error is ServerError {
  const { severity, code } = (error ?? {}) as { severity?: unknown; code?: unknown }
  return typeof severity === 'string' && typeof code === 'string'
}

/** An error with nothing but its message and code: those of pg may hold the client, with all that it knows. */
function bare(error: unknown, hide: (text: string) => string): Error {
  const { message, code, errors } = (error ?? {}) as { message?: unknown; code?: unknown; errors?: unknown }
  // A name with several addresses gives an error for each, and an empty message.
  const first = Array.isArray(errors) ? (errors[0] as { message?: unknown } | undefined)?.message : undefined
  const text = [message, first, code].find((part) => typeof part === 'string' && part !== '')
  const plain = new Error(hide(typeof text === 'string' ? text : String(error)))
  return typeof code === 'string' ? Object.assign(plain, { code }) : plain
}
