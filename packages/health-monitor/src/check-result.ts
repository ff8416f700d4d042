/** How well something is: a confirmed fact, or `unknown` when nobody has looked lately. */
export type HealthStatus = 'up' | 'degraded' | 'down' | 'unknown'

/**
 * What a check may return. Nothing and `true` mean up, `false` means down; the object says it with a reason.
 *
 * @remarks
 * Anything else counts as a failure that says so, never as up.
 */
export type CheckOutcome =
  | void
  | boolean
  | {
      /** How the component is, as far as this look tells. */
      readonly status: 'up' | 'degraded' | 'down'
      /** Why, for people: it ends up in messages. */
      readonly reason?: string
    }

/**
 * Looks at one component. Throwing or rejecting means down, with the error's message as the reason.
 *
 * @param signal - aborts at the deadline, or when the monitor stops; pass it on, so that a look that is given up ends
 */
export type HealthCheck = (signal: AbortSignal) => CheckOutcome | Promise<CheckOutcome>

/** What one run of a check saw. */
export interface CheckResult {
  /** `unknown` only when the monitor was stopped before the run had ended. */
  readonly status: HealthStatus
  /** Why, in one line. */
  readonly reason: string
}

const MAX_REASON_LENGTH = 300

/** How far to follow `cause`: `fetch failed` says nothing, its cause says `ECONNREFUSED`. */
const MAX_CAUSES = 3

/** Runs a check to its end. Never rejects: whatever the check does is a result. */
export async function runCheck(check: HealthCheck, signal: AbortSignal): Promise<CheckResult> {
  try {
    return toResult(await check(signal))
  } catch (error) {
    return { status: 'down', reason: describeFailure(error) }
  }
}

/** One line that fits into a message, whatever was in it. */
export function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  const line = text.replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, ' ').trim()
  if (line.length <= MAX_REASON_LENGTH) return line
  // Not in the middle of a character that takes two.
  return `${line.slice(0, MAX_REASON_LENGTH - 1).replace(/[\ud800-\udbff]$/, '')}…`
}

/** What went wrong, in one line, also when somebody threw `null` or an error whose getters throw. */
export function describeFailure(error: unknown): string {
  try {
    const parts = new Set<string>()
    let current = error
    for (let depth = 0; depth < MAX_CAUSES && typeof current === 'object' && current !== null; depth++) {
      const { message, code, name, cause } = current as Record<string, unknown>
      const said = [message, code, name].find((word): word is string => typeof word === 'string' && word !== '')
      if (said !== undefined) parts.add(said)
      current = cause
    }
    if (typeof current === 'string') parts.add(current)
    return oneLine([...parts].join(': ')) || 'it failed without saying why'
  } catch {
    return 'it failed with an error that cannot be read'
  }
}

/** The outcome as the check meant it. TypeScript's users cannot return nonsense; JavaScript's can. */
function toResult(outcome: unknown): CheckResult {
  if (outcome === undefined || outcome === true) return { status: 'up', reason: 'ok' }
  if (outcome === false) return { status: 'down', reason: 'the check returned false' }
  if (typeof outcome === 'object' && outcome !== null) {
    const { status, reason } = outcome as Record<string, unknown>
    const isStatus = status === 'up' || status === 'degraded' || status === 'down'
    if (isStatus && typeof reason === 'string') return { status, reason: oneLine(reason) || `the check said ${status}` }
    if (isStatus && reason === undefined) return { status, reason: `the check said ${status}` }
  }
  return {
    status: 'down',
    reason: `the check returned ${kindOf(outcome)}; return nothing, true, false or { status, reason }`,
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object without a valid status and reason'
  return `a ${typeof value}`
}
