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

/** `clone`: what a structured clone carries without loss. `json`: what JSON does. */
export type WireForm = 'clone' | 'json'

/** More than any event has; whoever nests deeper has sent a circle or a client. */
const maxNodes = 100_000

/**
 * Finds what would not arrive as it was sent: functions, symbols, instances of classes; for JSON also dates, maps, NaN, big
 * integers and circles. A field that is `undefined` reads the same when it is missing, and is let through.
 *
 * @param what - what the value is called, the beginning of the path in the message
 * @param remedy - what to do, as a clause
 * @throws TypeError that names the path
 */
export function requirePlain(what: string, value: unknown, form: WireForm, remedy: string): void {
  const seen = new Set<object>()
  const left: { readonly path: string; readonly value: unknown }[] = [{ path: what, value }]
  const refuse = (path: string, is: string): never => {
    throw new TypeError(`${path} ${is}, which cannot be sent to another process; ${remedy}`)
  }
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    const { path, value: here } = node
    if (typeof here === 'function') refuse(path, 'is a function')
    if (typeof here === 'symbol') refuse(path, 'is a symbol')
    if (form === 'json' && typeof here === 'bigint') refuse(path, 'is a bigint')
    if (form === 'json' && typeof here === 'number' && !Number.isFinite(here)) refuse(path, `is ${here}`)
    if (typeof here !== 'object' || here === null) continue
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
      for (const [i, item] of (here as unknown[]).entries()) left.push({ path: `${path}[${i}]`, value: item })
    } else if (kind === 'object') {
      for (const [key, item] of Object.entries(here)) left.push({ path: `${path}${fieldOf(key)}`, value: item })
    } else {
      if (form === 'json') refuse(path, `is ${nameOf(here)}`)
      for (const item of here as Iterable<unknown>) left.push({ path: `${path}.<entry>`, value: item })
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

/** Whatever was thrown, as it travels. */
export function toWireError(thrown: unknown): WireError {
  if (typeof thrown !== 'object' || thrown === null) return { name: 'Error', message: String(thrown) }
  const { name, message, code, stack, retryable, applied, retryAfterMs } = thrown as Record<string, unknown>
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : 'the handler threw an object without a message',
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(typeof applied === 'string' ? { applied } : {}),
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
  }
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
