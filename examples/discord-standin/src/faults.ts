/**
 * Something that goes wrong at Discord.
 *
 * `zombie`, `silence`, `duplicate-events`, `refuse-gateway` and `rest` last until they are cleared; the others
 * happen at once and are over.
 */
export type Fault =
  | ZombieFault
  | SilenceFault
  | ReconnectFault
  | InvalidSessionFault
  | DropFault
  | CloseFault
  | RefuseGatewayFault
  | DuplicateEventsFault
  | RestFault

/** Heartbeats are no longer acknowledged on the connections that are open now; a new connection is healthy. */
export interface ZombieFault {
  readonly kind: 'zombie'
}

/**
 * No event comes through on the connections that are open now, though their heartbeats are acknowledged. A new
 * connection is healthy and can resume; once cleared, what was held back is delivered.
 */
export interface SilenceFault {
  readonly kind: 'silence'
  /** Of one session alone: 1 is the first that identified. All of them unless given. */
  readonly session?: number
}

/** Every connection is asked to reconnect and resume (op 7). */
export interface ReconnectFault {
  readonly kind: 'reconnect'
}

/** Every session is declared invalid (op 9). When not resumable, what it had not delivered is lost. */
export interface InvalidSessionFault {
  readonly kind: 'invalid-session'
  readonly resumable: boolean
}

/** Every connection breaks without a close frame. */
export interface DropFault {
  readonly kind: 'drop'
}

/** Every connection is closed with this code: 1000, 1001, or 4000 to 4999. */
export interface CloseFault {
  readonly kind: 'close'
  readonly code: number
}

/** New connections to the gateway are answered with 503; open ones stay. */
export interface RefuseGatewayFault {
  readonly kind: 'refuse-gateway'
}

/** Each event is delivered `times` times to each session. */
export interface DuplicateEventsFault {
  readonly kind: 'duplicate-events'
  readonly times: number
}

/** REST calls go wrong, or only slowly. */
export type RestFault = {
  readonly kind: 'rest'
  /** Source of a regular expression tested against `METHOD /path`, such as `POST /channels/\d+/messages`. */
  readonly match: string
  /** How many calls it hits before it is over; all of them unless told otherwise. */
  readonly times?: number
  /** Waits so long before anything else. */
  readonly delayMs?: number
  /** The call takes effect before its answer goes wrong: a message is created, and the bot is not told. */
  readonly applied?: boolean
} & RestOutcome

/** How the call ends; with `delayMs` alone it is answered as ever. */
export type RestOutcome =
  | { readonly status: number }
  | { readonly hang: true }
  | { readonly destroy: true }
  | { readonly rateLimit: RateLimit }
  | { readonly delayMs: number }

/** 429 from the first matching call on, for this long; then the fault is over. */
export interface RateLimit {
  readonly retryAfterS: number
  /** Whether the whole bot is limited, not only this route. */
  readonly global?: boolean
}

/** A REST fault that a call has met. */
export interface RestHit {
  readonly delayMs: number
  readonly applied: boolean
  readonly outcome:
    | { readonly kind: 'answer' }
    | { readonly kind: 'status'; readonly status: number }
    | { readonly kind: 'hang' }
    | { readonly kind: 'destroy' }
    | { readonly kind: 'rate-limit'; readonly retryAfterMs: number; readonly global: boolean }
}

interface ActiveRestFault {
  readonly fault: RestFault
  readonly pattern: RegExp
  timesLeft: number
  /** When a rate limit ends; set by the call that meets it first. */
  endsAt: number | undefined
}

/** Holds the faults that last. Those of the gateway's connections are kept by the gateway itself. */
export class Faults {
  readonly #rest = new Map<string, ActiveRestFault>()
  readonly #copies = new Map<string, number>()
  readonly #refusals = new Set<string>()

  /** @throws RangeError, TypeError or, for `match`, SyntaxError when the fault makes no sense */
  add(id: string, fault: Fault): void {
    validate(fault)
    if (fault.kind === 'rest') {
      const pattern = new RegExp(fault.match)
      this.#rest.set(id, { fault, pattern, timesLeft: fault.times ?? Infinity, endsAt: undefined })
    }
    if (fault.kind === 'duplicate-events') this.#copies.set(id, fault.times)
    if (fault.kind === 'refuse-gateway') this.#refusals.add(id)
  }

  /** @param id - all of them when absent */
  clear(id?: string): void {
    for (const kept of [this.#rest, this.#copies, this.#refusals]) {
      if (id === undefined) kept.clear()
      else kept.delete(id)
    }
  }

  /** Whether new connections to the gateway are turned away. */
  get refusesGateway(): boolean {
    return this.#refusals.size > 0
  }

  /** How often each event is delivered. */
  get copies(): number {
    return Math.max(1, ...this.#copies.values())
  }

  /**
   * The oldest REST fault that this call meets; it is used up by one.
   *
   * @param call - `METHOD /path`
   */
  meet(call: string, nowMs: number): RestHit | undefined {
    for (const [id, active] of this.#rest) {
      if (!active.pattern.test(call)) continue
      const { fault } = active
      if ('rateLimit' in fault) active.endsAt ??= nowMs + fault.rateLimit.retryAfterS * 1_000
      if (active.endsAt !== undefined && nowMs >= active.endsAt) {
        this.#rest.delete(id)
        continue
      }
      active.timesLeft--
      if (active.timesLeft <= 0) this.#rest.delete(id)
      return { delayMs: fault.delayMs ?? 0, applied: fault.applied ?? false, outcome: outcome(fault, active, nowMs) }
    }
    return undefined
  }
}

function outcome(fault: RestFault, active: ActiveRestFault, nowMs: number): RestHit['outcome'] {
  if ('status' in fault) return { kind: 'status', status: fault.status }
  if ('hang' in fault) return { kind: 'hang' }
  if ('destroy' in fault) return { kind: 'destroy' }
  if ('rateLimit' in fault) {
    const retryAfterMs = (active.endsAt ?? nowMs) - nowMs
    return { kind: 'rate-limit', retryAfterMs, global: fault.rateLimit.global ?? false }
  }
  return { kind: 'answer' }
}

const kinds: readonly Fault['kind'][] = [
  'zombie',
  'silence',
  'reconnect',
  'invalid-session',
  'drop',
  'close',
  'refuse-gateway',
  'duplicate-events',
  'rest',
]
const restOutcomes = ['status', 'hang', 'destroy', 'rateLimit'] as const

/** Faults arrive as JSON too, where no compiler has looked at them. */
function validate(fault: Fault): void {
  if (!kinds.includes(fault.kind)) {
    throw new TypeError(`inject: there is no fault ${JSON.stringify(fault.kind)}; it is one of ${kinds.join(', ')}`)
  }
  if (fault.kind === 'invalid-session' && typeof fault.resumable !== 'boolean') {
    throw new TypeError('inject: invalid-session needs resumable, true or false')
  }
  if (fault.kind === 'close' && !isCloseCode(fault.code)) {
    throw new RangeError(`inject: close needs a code of 1000, 1001 or 4000 to 4999, not ${fault.code}`)
  }
  if (fault.kind === 'silence' && fault.session !== undefined && !isCount(fault.session)) {
    throw new RangeError(`inject: silence needs a session from 1 on, not ${fault.session}`)
  }
  if (fault.kind === 'duplicate-events' && !isCount(fault.times)) {
    throw new RangeError(`inject: duplicate-events needs a whole number of times, not ${fault.times}`)
  }
  if (fault.kind === 'rest') validateRest(fault)
}

function validateRest(fault: RestFault): void {
  const given = restOutcomes.filter((name) => name in fault)
  if (given.length > 1) throw new TypeError(`inject: rest takes one outcome, not ${given.join(' and ')}`)
  if (given.length === 0 && fault.delayMs === undefined) {
    throw new TypeError(`inject: rest needs an outcome: ${restOutcomes.join(', ')} or delayMs`)
  }
  if (typeof fault.match !== 'string')
    throw new TypeError('inject: rest needs match, the source of a regular expression')
  if (fault.times !== undefined && !isCount(fault.times)) {
    throw new RangeError(`inject: rest needs a whole number of times, not ${fault.times}`)
  }
  if (fault.delayMs !== undefined && !(fault.delayMs >= 0)) {
    throw new RangeError(`inject: rest needs delayMs of 0 or more, not ${fault.delayMs}`)
  }
  if ('status' in fault && !(Number.isInteger(fault.status) && fault.status >= 400 && fault.status <= 599)) {
    throw new RangeError(`inject: rest needs a status of 400 to 599, not ${fault.status}`)
  }
  if ('rateLimit' in fault && !(fault.rateLimit.retryAfterS > 0)) {
    throw new RangeError(`inject: rest needs rateLimit.retryAfterS above 0, not ${fault.rateLimit.retryAfterS}`)
  }
}

function isCloseCode(code: number): boolean {
  return code === 1_000 || code === 1_001 || (Number.isInteger(code) && code >= 4_000 && code <= 4_999)
}

function isCount(times: number): boolean {
  return Number.isInteger(times) && times >= 1
}
