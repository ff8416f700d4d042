import { wholeNumber } from '../admission/admission-options.js'
import { milliseconds } from '../breaker/breaker-options.js'
import { NoAnswerError } from '../errors.js'
import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'

/** What an {@link AnswerCache} is made of. */
export interface AnswerCacheOptions<Args extends unknown[]> {
  /** The same for calls that have the same answer, and never for calls of people who may not see each other's. */
  readonly key: (...args: Args) => string
  /**
   * Older answers are not given, in ms, more than 0.
   *
   * @defaultValue `3_600_000`
   */
  readonly maxAgeMs?: number | undefined
  /**
   * How many answers are kept; then the one that was kept longest ago is dropped. At least 1.
   *
   * @defaultValue `1_000`
   */
  readonly maxEntries?: number | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link AnswerCacheOptions}. */
export const answerCacheDefaults: Readonly<Record<'maxAgeMs' | 'maxEntries', number>> = {
  maxAgeMs: 3_600_000,
  maxEntries: 1_000,
} satisfies Required<Pick<AnswerCacheOptions<unknown[]>, 'maxAgeMs' | 'maxEntries'>>

/** An answer that was kept. */
export interface KeptAnswer<Value> {
  /** The answer. */
  readonly value: Value
  /** How old it is, in ms. */
  readonly ageMs: number
}

/**
 * Keeps the last good answers of a guarded function and gives them, with their age, while it fails: a fallback.
 *
 * @remarks
 * It lives in memory. The answers are kept as they are and not copied: whoever changes an object that was returned changes
 * what is kept.
 *
 * @typeParam Value - what is kept
 * @typeParam Args - the arguments of the guarded function
 *
 * @example
 * ```ts
 * import { AnswerCache, DegradationManager } from '@evenkeel/degradation-manager'
 *
 * const modes = new DegradationManager({ features: { weather: { priority: 'optional' } } })
 * let isDown = false
 * const ask = async (city: string): Promise<string> => {
 *   if (isDown) throw new Error('ECONNREFUSED')
 *   return `sunny in ${city}`
 * }
 * const weather = modes.guard('weather', ask, { fallback: new AnswerCache({ key: (city: string) => city }) })
 * await weather('Rome')
 * isDown = true
 * console.log(await weather('Rome')) // => sunny in Rome
 * console.log((await weather.outcome('Rome')).degraded) // => true
 * ```
 */
export class AnswerCache<Value, Args extends unknown[]> {
  readonly #key: (...args: Args) => string
  readonly #maxAgeMs: number
  readonly #maxEntries: number
  readonly #clock: Clock
  readonly #answers = new Map<string, { readonly value: Value; readonly atMs: number }>()

  /** @throws TypeError or RangeError when an option is missing, does not exist or is out of range */
  constructor(options: AnswerCacheOptions<Args>) {
    checkNames('An AnswerCache', options, ['key', 'clock', ...Object.keys(answerCacheDefaults)])
    const { key, maxAgeMs, maxEntries, clock } = { ...answerCacheDefaults, ...options }
    if (typeof key !== 'function') throw new TypeError('An AnswerCache needs a key: (...args) => string')
    this.#key = key
    this.#maxAgeMs = milliseconds('maxAgeMs', maxAgeMs ?? answerCacheDefaults.maxAgeMs)
    this.#maxEntries = wholeNumber('maxEntries', maxEntries ?? answerCacheDefaults.maxEntries, 1)
    this.#clock = clock ?? systemClock
  }

  /** How many answers are kept. */
  get size(): number {
    return this.#answers.size
  }

  /**
   * Keeps an answer. A guard does so by itself.
   *
   * @param args - what was asked
   * @param value - the answer
   */
  keep(args: Args, value: Value): void {
    const key = this.#key(...args)
    this.#answers.delete(key)
    this.#answers.set(key, { value, atMs: this.#clock.monotonic() })
    if (this.#answers.size <= this.#maxEntries) return
    for (const oldest of this.#answers.keys()) {
      this.#answers.delete(oldest)
      return
    }
  }

  /**
   * Gives the last good answer.
   *
   * @param args - what is asked
   * @returns the answer and its age
   * @throws {@link NoAnswerError} when none is kept, or it is too old
   */
  find(args: Args): KeptAnswer<Value> {
    const key = this.#key(...args)
    const kept = this.#answers.get(key)
    if (kept === undefined) throw new NoAnswerError('no answer was kept for this call')
    const ageMs = this.#clock.monotonic() - kept.atMs
    if (ageMs <= this.#maxAgeMs) return { value: kept.value, ageMs }
    this.#answers.delete(key)
    throw new NoAnswerError(`the answer that was kept for this call is older than ${this.#maxAgeMs} ms`)
  }

  /** Forgets everything. */
  clear(): void {
    this.#answers.clear()
  }
}
