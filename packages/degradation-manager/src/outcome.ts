// Names and codes under which Node, undici, WHATWG streams and common clients report that they stopped waiting, or lost
// the connection, after the request may have been sent. A refused connection or an unknown host is not among them.
const unsettledNames = new Set(['AbortError', 'CanceledError', 'TimeoutError'])
const unsettledCodes = new Set([
  'ABORT_ERR',
  'ECONNABORTED',
  'ECONNRESET',
  'EPIPE',
  'ERR_CANCELED',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ESOCKETTIMEDOUT',
  'ETIMEDOUT',
  'PROTOCOL_CONNECTION_LOST',
  'UND_ERR_ABORTED',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_DESTROYED',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_SOCKET',
])
/** More errors than this in one are not looked at: then nobody knows. */
const maxErrors = 32

/**
 * Whether an operation that failed may have taken effect nevertheless, so that doing it another way could do it twice.
 *
 * An error's own `applied` is believed, the outermost first. Otherwise a timeout or a lost connection among its causes
 * means that nobody knows, and so does an error that throws when it is read.
 */
export function mayHaveApplied(error: unknown): boolean {
  try {
    return leavesOpen(error, new Set())
  } catch {
    return true
  }
}

function leavesOpen(error: unknown, seen: Set<object>): boolean {
  if (typeof error !== 'object' || error === null) return false
  if (seen.has(error)) return false
  if (seen.size === maxErrors) return true
  seen.add(error)
  const { applied, name, code, syscall, cause, errors } = error as Partial<Record<string, unknown>>
  if (applied === 'no' || applied === 'unknown') return applied === 'unknown'
  const isUnsettled = unsettledNames.has(name as string) || unsettledCodes.has(code as string)
  // A connection that was never made has carried nothing.
  if (isUnsettled && syscall !== 'connect') return true
  if (leavesOpen(cause, seen)) return true
  // Several ways were tried: one that nobody knows of is enough.
  return Array.isArray(errors) && errors.some((one) => leavesOpen(one, seen))
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
