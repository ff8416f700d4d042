import { Admission } from './admission.js'
import { ConcurrencyLimit } from './concurrency-limit.js'
import { limiterSettings, type AdaptiveLimiterOptions } from './limiter-options.js'

/**
 * Lets in as many calls at once as do the most good, which it finds out by itself, and of those that wait the most
 * important first (adaptive concurrency limit with priorities).
 *
 * @remarks
 * Critical and high calls wait in the order in which they came; of normal and optional ones the newest is served first, for
 * its caller is still there. Of the same priority every key gets the same share. One place in fifty goes to the priority
 * that was passed over longest. Whoever waits for longer than `maxWaitMs` is turned away, and so is, when the room is full,
 * the least important.
 *
 * The limit is found by comparing, again and again, how long calls take with a little more and a little less of them in
 * flight. Nothing is learnt while there are fewer calls than places.
 *
 * *Gotchas*: a place is held until the work has really ended. Work that never ends holds it for ever, unless a guard called
 * it; then for `maxOverdueMs` after the guard's deadline. Calls that differ a lot in what they take are better served by a
 * limiter each.
 *
 * @example
 * ```ts
 * import { AdaptiveLimiter, ShedError } from '@evenkeel/degradation-manager'
 *
 * const limiter = new AdaptiveLimiter({ name: 'database', maxWaiting: 0, maxLimit: 1 })
 * const slow = limiter.run(() => new Promise((resolve) => setTimeout(resolve, 20)), { priority: 'high', key: 'guild 1' })
 * const refused = await limiter.run(() => 'served', { priority: 'optional' }).catch((error) => error instanceof ShedError)
 * console.log(refused) // => true
 * await slow
 * console.log(await limiter.run(() => 'served')) // => served
 * ```
 */
export class AdaptiveLimiter extends Admission {
  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError or RangeError when an option does not exist, contradicts another or is out of range
   */
  constructor(options: AdaptiveLimiterOptions = {}) {
    const settings = limiterSettings(options)
    super(settings, new ConcurrencyLimit(settings))
  }
}
