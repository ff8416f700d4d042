import type { ErrorCode, FlagMetadata, ResolutionDetails } from '@openfeature/server-sdk'
import { describeError } from '../outcome.js'
import type { FlagAnswer } from './ports.js'
import { standardReason, type StandardReason } from './reasons.js'

/** An answer that is none: the SDK gives the caller's default. Codes are words here, so that the SDK need not be loaded. */
export function refusal<T>(value: T, code: `${ErrorCode}`, errorMessage: string): ResolutionDetails<T> {
  return { value, reason: 'ERROR' satisfies StandardReason, errorCode: code as ErrorCode, errorMessage }
}

/** What to say when the flags threw: they do so at ids that are none, and at names that are not declared. */
export function refusalOf<T>(value: T, error: unknown): ResolutionDetails<T> {
  return refusal(value, codeOf(error), describeError(error))
}

function codeOf(error: unknown): `${ErrorCode}` {
  try {
    if ((error as { code?: unknown } | undefined)?.code === 'UNKNOWN_FLAG') return 'FLAG_NOT_FOUND'
    return error instanceof TypeError || error instanceof RangeError ? 'INVALID_CONTEXT' : 'GENERAL'
  } catch {
    return 'GENERAL'
  }
}

/** The name of the variant that was answered. */
export function variantName({ variant, value }: FlagAnswer): string {
  if (variant !== undefined) return variant
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Where an answer came from, in our words. */
interface Origin {
  readonly reason: StandardReason
  readonly metadata: FlagMetadata
}

// A bound against flags that come and go under ever new names.
const maxFlags = 10_000

/**
 * Where answers come from, made once for each rule of each flag: the SDK freezes what it is given, which costs more
 * than finding it frozen.
 */
export class Origins {
  readonly #byFlag = new Map<string, Map<string, Origin>>()

  of(flag: string, reason: string): Origin {
    let byReason = this.#byFlag.get(flag)
    if (byReason === undefined) {
      if (this.#byFlag.size >= maxFlags) this.#byFlag.clear()
      this.#byFlag.set(flag, (byReason = new Map<string, Origin>()))
    }
    let origin = byReason.get(reason)
    if (origin === undefined) {
      origin = { reason: standardReason(reason), metadata: Object.freeze({ reason, decidedBy: flag }) }
      byReason.set(reason, origin)
    }
    return origin
  }
}
