import { types } from 'node:util'

/** What travels with each message, so that messages of your own pass by. A number, raised when the shape changes. */
export const protocol = 1

/** From the owner to a worker. */
export type ToWorker =
  | { readonly evenkeel: 1; readonly type: 'event'; readonly n: number; readonly event: unknown; readonly eventId?: string | undefined; readonly isRepeat: boolean } // prettier-ignore
  | { readonly evenkeel: 1; readonly type: 'ping' }
  | { readonly evenkeel: 1; readonly type: 'drain'; readonly timeoutMs: number }
  | { readonly evenkeel: 1; readonly type: 'stop'; readonly timeoutMs: number }

/** From a worker to its owner. */
export type ToOwner =
  | { readonly evenkeel: 1; readonly type: 'ready'; readonly protocol: number }
  | { readonly evenkeel: 1; readonly type: 'pong'; readonly memory?: { readonly ageMs: number; readonly bytes: number } | undefined } // prettier-ignore
  | { readonly evenkeel: 1; readonly type: 'begun'; readonly n: number }
  | { readonly evenkeel: 1; readonly type: 'answer'; readonly n: number; readonly answer: unknown }
  | { readonly evenkeel: 1; readonly type: 'failure'; readonly n: number; readonly error: WireError }
  | { readonly evenkeel: 1; readonly type: 'drained'; readonly why: string | undefined }

/** An error as it travels. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly code?: string | number | undefined
  readonly stack?: string | undefined
  readonly retryable?: boolean | undefined
  readonly applied?: string | undefined
  readonly retryAfterMs?: number | undefined
}

/** Whether a message is one of ours. */
export function isOurs(message: unknown): message is ToOwner & ToWorker {
  return typeof message === 'object' && message !== null && (message as { evenkeel?: unknown }).evenkeel === 1
}

/** What each message from a worker has beside its type. */
const shapes: Readonly<Record<ToOwner['type'], (message: Readonly<Record<string, unknown>>) => boolean>> = {
  ready: ({ protocol }) => typeof protocol === 'number',
  pong: ({ memory }) => memory === undefined || isReading(memory),
  begun: ({ n }) => typeof n === 'number',
  answer: ({ n }) => typeof n === 'number',
  failure: ({ n, error }) => typeof n === 'number' && isWireError(error),
  drained: ({ why }) => why === undefined || typeof why === 'string',
}

/**
 * A message of ours may come from the version's own code, or be mangled on its way: it is looked at once, here, before its
 * fields are believed.
 *
 * @returns what kind of message it wants to be, when `serveVersion` sends none like it
 */
export function flawOf(message: object): string | undefined {
  const { type } = message as { type?: unknown }
  if (typeof type !== 'string' || !Object.hasOwn(shapes, type)) return 'one of no known type'
  const isWhole = shapes[type as ToOwner['type']](message as Readonly<Record<string, unknown>>)
  return isWhole ? undefined : `one of type "${type}" with other fields`
}

function isReading(memory: unknown): boolean {
  if (typeof memory !== 'object' || memory === null) return false
  const { ageMs, bytes } = memory as Record<string, unknown>
  return [ageMs, bytes].every((value) => typeof value === 'number' && value >= 0 && Number.isFinite(value))
}

/** Whether it can be told as an error: see {@link fromWireError}. */
export function isWireError(value: unknown): value is WireError {
  if (typeof value !== 'object' || value === null) return false
  const { name, message, code, stack, retryable, applied, retryAfterMs } = value as Record<string, unknown>
  const is = (field: unknown, ...kinds: string[]): boolean => field === undefined || kinds.includes(typeof field)
  if (typeof name !== 'string' || typeof message !== 'string' || !is(code, 'string', 'number')) return false
  return is(stack, 'string') && is(retryable, 'boolean') && is(applied, 'string') && is(retryAfterMs, 'number')
}

/** `clone`: what a structured clone carries without loss. `json`: what JSON does. */
export type WireForm = 'clone' | 'json'

/** More than any event has; whoever nests deeper has sent a circle or a client. */
const maxNodes = 100_000
/** Some levels further both ways of sending it run out of stack: at 2,000, or less where the stack is deep already. */
const maxDepth = 500
/** As much of a path as one can read. */
const maxPath = 200
/** As much of a text of an error as one can read. All of them together stay far below what is read of an answer. */
const maxText = 65_536

/**
 * Finds what would not arrive as it was sent: functions, symbols, instances of classes, too many levels; for a clone also
 * proxies, which it refuses without saying where; for JSON also dates, maps, NaN, big integers and circles. A field that is
 * `undefined` reads the same when it is missing, and is let through. A getter may say something else when it is sent, so
 * sending can fail all the same.
 *
 * @param what - what the value is called, the beginning of the path in the message
 * @param remedy - what to do, as a clause
 * @throws TypeError that names the path
 */
export function requirePlain(what: string, value: unknown, form: WireForm, remedy: string): void {
  const seen = new Set<object>()
  const left: { readonly path: string; readonly value: unknown; readonly depth: number }[] = []
  left.push({ path: what, value, depth: 0 })
  const refuse = (path: string, is: string): never => {
    const where = path.length > maxPath ? `${path.slice(0, maxPath)}...` : path
    throw new TypeError(`${where} ${is}, which cannot be sent to another process; ${remedy}`)
  }
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    const { path, value: here } = node
    const depth = node.depth + 1
    if (typeof here === 'function') refuse(path, 'is a function')
    if (typeof here === 'symbol') refuse(path, 'is a symbol')
    if (form === 'json' && typeof here === 'bigint') refuse(path, 'is a bigint')
    if (form === 'json' && typeof here === 'number' && !Number.isFinite(here)) refuse(path, `is ${here}`)
    if (typeof here !== 'object' || here === null) continue
    // Before it is looked into, for a proxy may throw at anything.
    if (form === 'clone' && types.isProxy(here)) refuse(path, 'is a Proxy')
    if (node.depth > maxDepth) refuse(path, `is nested deeper than ${maxDepth} levels`)
    if (seen.has(here)) {
      // A structured clone keeps circles. To JSON, what is seen twice is a circle or a large copy.
      if (form === 'json') refuse(path, 'is part of a circle, or in the event twice')
      continue
    }
    seen.add(here)
    if (seen.size > maxNodes) refuse(path, `is one of more than ${maxNodes} objects`)
    const kind = kindOf(here)
    if (kind === 'leaf' && form === 'clone') continue
    if (kind === 'leaf' || kind === 'foreign') refuse(path, `is ${nameOf(here)}`)
    if (kind === 'array') {
      if (form === 'json' && (here as unknown[]).includes(undefined)) refuse(path, 'is a list with undefined in it')
      for (const [i, item] of (here as unknown[]).entries()) left.push({ path: `${path}[${i}]`, value: item, depth })
    } else if (kind === 'object') {
      for (const [key, item] of Object.entries(here)) left.push({ path: `${path}${fieldOf(key)}`, value: item, depth })
    } else {
      if (form === 'json') refuse(path, `is ${nameOf(here)}`)
      for (const item of here as Iterable<unknown>) left.push({ path: `${path}.<entry>`, value: item, depth })
    }
  }
}

function kindOf(value: object): 'array' | 'object' | 'entries' | 'leaf' | 'foreign' {
  if (Array.isArray(value)) return 'array'
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return 'object'
  // By its tag, for an object of another realm (a test runner's, say) has other prototypes.
  const tag = Object.prototype.toString.call(value).slice(8, -1)
  if (tag === 'Object') {
    const isPlainElsewhere =
      Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
    return isPlainElsewhere ? 'object' : 'foreign'
  }
  if (prototypeNameOf(value) !== tag && !ArrayBuffer.isView(value)) return 'foreign'
  if (tag === 'Map' || tag === 'Set') return 'entries'
  if (tag === 'Date' || tag === 'ArrayBuffer' || tag === 'RegExp' || ArrayBuffer.isView(value)) return 'leaf'
  return 'foreign'
}

function prototypeNameOf(value: object): string {
  return (value as { constructor?: { name?: string } }).constructor?.name ?? 'object'
}

function nameOf(value: object): string {
  const name = prototypeNameOf(value)
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}

function fieldOf(key: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

/** Why something that looked plain cannot be sent. Says what {@link requirePlain} says, without the field, which nobody tells. */
export function unsendable(what: string, remedy: string, cause: unknown): TypeError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new TypeError(`${what} cannot be sent to another process: ${why}; ${remedy}`, { cause })
}

/** Whatever was thrown, as it travels. */
export function toWireError(thrown: unknown): WireError {
  try {
    return readError(thrown)
  } catch {
    // It throws when it is looked at.
    return { name: 'Error', message: 'the handler threw something that cannot be read' }
  }
}

function readError(thrown: unknown): WireError {
  if (typeof thrown !== 'object' || thrown === null) return { name: 'Error', message: String(thrown).slice(0, maxText) }
  const { name, message, code, stack, retryable, applied, retryAfterMs } = thrown as Record<string, unknown>
  return {
    name: textOf(name) ?? 'Error',
    message: textOf(message) ?? 'the handler threw an object without a message',
    ...(typeof code === 'string' || isFiniteNumber(code) ? { code: textOf(code) ?? code } : {}),
    ...(typeof stack === 'string' ? { stack: textOf(stack) } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(typeof applied === 'string' ? { applied: textOf(applied) } : {}),
    ...(isFiniteNumber(retryAfterMs) ? { retryAfterMs } : {}),
  }
}

/** JSON makes null of any other number. */
function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, maxText) : undefined
}

/** The error as the handler threw it, as far as it travelled: name, message, code and stack. */
export function fromWireError({ message, ...fields }: WireError): Error {
  const error = new Error(message)
  for (const [key, value] of Object.entries(fields)) {
    Object.defineProperty(error, key, {
      value,
      writable: true,
      configurable: true,
      enumerable: key !== 'stack' && key !== 'name',
    })
  }
  return error
}
