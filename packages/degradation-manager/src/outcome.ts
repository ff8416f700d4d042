// Names and codes under which Node, undici, WHATWG streams and common clients report that they stopped waiting, or lost
// the connection, after the request may have been sent. A refused connection or an unknown host is not among them.
const unsettledNames = new Set(['AbortError', 'TimeoutError'])
const unsettledCodes = new Set([
  'ABORT_ERR',
  'ECONNABORTED',
  'ECONNRESET',
  'EPIPE',
  'ESOCKETTIMEDOUT',
  'ETIMEDOUT',
  'UND_ERR_ABORTED',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_SOCKET',
])
const maxCauses = 8

/**
 * Whether an operation that failed may have taken effect nevertheless, so that doing it another way could do it twice.
 *
 * An error's own `applied` is believed, the outermost first. Otherwise a timeout or a lost connection among its causes
 * means that nobody knows, and so does an error that throws when it is read.
 */
export function mayHaveApplied(error: unknown): boolean {
  try {
    return leavesOpen(error)
  } catch {
    return true
  }
}

function leavesOpen(error: unknown): boolean {
  let isUnsettled = false
  let cause = error
  for (let depth = 0; depth < maxCauses && typeof cause === 'object' && cause !== null; depth++) {
    const {
      applied,
      name,
      code,
      cause: next,
    } = cause as Partial<Record<'applied' | 'name' | 'code' | 'cause', unknown>>
    if (applied === 'no' || applied === 'unknown') return isUnsettled || applied === 'unknown'
    isUnsettled ||= unsettledNames.has(name as string) || unsettledCodes.has(code as string)
    cause = next
  }
  return isUnsettled
}

/**
 * Whether an error says that what was called is unwell. One that was turned away by a policy further in, a guard or a
 * limiter of its own, says nothing about that.
 */
export function isForeignFailure(error: unknown): boolean {
  try {
    return (error as { code?: unknown } | null | undefined)?.code !== 'SHED'
  } catch {
    return true
  }
}

/** What was thrown, in words, whatever it is. */
export function describeError(error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return String(error)
    const { message, name } = error as { message?: unknown; name?: unknown }
    for (const words of [message, name]) if (typeof words === 'string' && words !== '') return words
    return 'an object without a message'
  } catch {
    return 'something that cannot be read'
  }
}
