/** Whoever speaks of a hand-over by HTTP says so in this header, so that no other server's answer is taken for one. */
export const WIRE_HEADER = 'evenkeel-hand-over'
/** The version of what is said. */
export const WIRE_VERSION = '1'

/** What is sent. */
export interface HandedOver {
  readonly key: string
  readonly event: unknown
}

/** What is answered, beside a status: 200 with the answer, or another with the reason. */
export interface Handled {
  readonly answer?: unknown
  readonly applied?: 'no' | 'unknown'
  /** The reason, in words that hold nothing of what the handler said. */
  readonly why?: string
  readonly retryAfterMs?: number
}

/** Long enough not to be guessed. */
const MIN_SECRET_LENGTH = 16

/** @throws TypeError or RangeError when it cannot go into a header, or could be guessed */
export function checkSecret(where: string, secret: unknown): string {
  if (typeof secret !== 'string' || !/^[\x21-\x7e]+$/.test(secret)) {
    throw new TypeError(`${where} needs a secret: a string of visible ASCII characters without spaces`)
  }
  if (secret.length < MIN_SECRET_LENGTH) {
    throw new RangeError(`The secret of ${where} must have ${MIN_SECRET_LENGTH} characters or more, or it is guessed`)
  }
  return secret
}
