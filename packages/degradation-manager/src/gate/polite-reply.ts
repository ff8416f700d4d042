import { worstMode } from '../mode.js'
import { warn } from '../warning.js'
import { builtInTexts, languages, type PoliteFacts, type PoliteKind, type PoliteTexts } from './texts.js'

/** How {@link politeReply} says it. */
export interface PoliteReplyOptions {
  /** What could not be served, as the user knows it: `/translate`. */
  readonly command?: string | undefined
  /** The user's language: `interaction.locale`, `ctx.from.language_code`. English unless evenkeel, or you, speak it. */
  readonly locale?: string | undefined
  /**
   * Words of your own by language: `{ en: { busy: ({ again }) => 'Busy. Come back ' + again } }`. A language counts for
   * its regions too, and what is left out is said as evenkeel says it.
   */
  readonly texts?: Readonly<Record<string, PoliteTexts>> | undefined
}

/** What `DegradationManager.explain` says of a feature, as far as a user is told. */
export interface PoliteExplanation {
  /** Whether the feature may be used. */
  readonly allowed: boolean
  /** The mode in force. */
  readonly mode: string
}

/**
 * Says in words for a user why something was not served, and when it makes sense to try again. It never shows the
 * reason: that is for operators, and may hold addresses and names.
 *
 * @param cause - what a call was refused or failed with, or what `modes.explain(feature)` says
 * @param options - the command, the language, words of your own
 * @returns a sentence or two
 *
 * @example
 * ```ts
 * import { Bulkhead } from '@evenkeel/degradation-manager'
 * import { politeReply } from '@evenkeel/degradation-manager/discord'
 *
 * const images = new Bulkhead({ maxConcurrent: 1 })
 * const place = await images.acquire()
 * const error = await images.run(() => 'drawn').catch((reason: unknown) => reason)
 * console.log(politeReply(error, { command: '/draw' })) // => /draw is taking a break. Please try again in 1 second.
 * console.log(politeReply(error, { command: '/draw', locale: 'fr' })) // => /draw fait une pause. Merci de réessayer dans 1 seconde.
 * place.release()
 * ```
 */
export function politeReply(cause: unknown, options: PoliteReplyOptions = {}): string {
  const { kind, retryAfterMs } = refusalWords(cause)
  return politeWords(kind, retryAfterMs, options)
}

/** What to say of an error, or of an explanation. */
export function refusalWords(cause: unknown): { kind: PoliteKind; retryAfterMs: number | undefined } {
  try {
    const { code, applied, allowed, mode, retryAfterMs } = (cause ?? {}) as Partial<Record<string, unknown>>
    const inMs = typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : undefined
    if (typeof allowed === 'boolean')
      return { kind: mode === worstMode ? 'maintenance' : 'resting', retryAfterMs: inMs }
    if (code === 'SHED' || code === 'NO_IMPLEMENTATION') return { kind: 'resting', retryAfterMs: inMs }
    return { kind: applied === 'unknown' ? 'unclear' : 'failed', retryAfterMs: undefined }
  } catch {
    return { kind: 'failed', retryAfterMs: undefined }
  }
}

/** The words of one kind, in the best language that there is. */
export function politeWords(
  kind: PoliteKind,
  retryAfterMs: number | undefined,
  { command, locale, texts = {} }: PoliteReplyOptions,
): string {
  const tags = [...languages(locale)]
  const facts: PoliteFacts = { command, again: soon(retryAfterMs, tags), retryAfterMs }
  for (const tag of [...tags, 'en']) {
    const own = Object.hasOwn(texts, tag) ? texts[tag]?.[kind] : undefined
    const text = own ?? builtInTexts.get(tag)?.[kind]
    if (text === undefined) continue
    try {
      const words = text(facts)
      if (typeof words === 'string' && words !== '') return words
    } catch (error) {
      warn(`The text "${kind}" of the language ${tag} threw`, error)
    }
  }
  return builtInTexts.get('en')?.[kind](facts) ?? ''
}

const steps = [
  { unit: 'second', ms: 1_000, until: 90 },
  { unit: 'minute', ms: 60_000, until: 90 },
  { unit: 'hour', ms: 3_600_000, until: 36 },
  { unit: 'day', ms: 86_400_000, until: Infinity },
] as const

/** A time from now as people say it, rounded up: who comes back then is never too early. */
function soon(ms: number | undefined, tags: readonly string[]): string | undefined {
  if (ms === undefined || ms === Infinity) return undefined
  const step = steps.find(({ ms: unitMs, until }) => Math.ceil(ms / unitMs) <= until) ?? steps[3]
  const count = Math.max(1, Math.ceil(ms / step.ms))
  return relativeTime(tags).format(count, step.unit)
}

function relativeTime(tags: readonly string[]): Intl.RelativeTimeFormat {
  for (const tag of tags) {
    // A tag that is none throws; one that is merely unknown to the machine gets the machine's own language, so ask first.
    try {
      if (Intl.RelativeTimeFormat.supportedLocalesOf(tag).length > 0) return new Intl.RelativeTimeFormat(tag)
    } catch {
      continue
    }
  }
  return new Intl.RelativeTimeFormat('en')
}
