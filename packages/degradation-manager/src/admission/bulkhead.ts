import { checkNames } from '../options.js'
import { Admission } from './admission.js'
import { admissionSettings, queueDefaults, wholeNumber, type QueueOptions } from './admission-options.js'
import { FixedLimit } from './limit.js'

/** What a {@link Bulkhead} is made of. */
export interface BulkheadOptions extends QueueOptions {
  /** How many calls may be under way at once; at least 1. */
  readonly maxConcurrent: number
  /**
   * What to call it in errors and events.
   *
   * @defaultValue `'bulkhead'`
   */
  readonly name?: string | undefined
  /**
   * How many calls may wait for a place, of all priorities together; 0 for none.
   *
   * @defaultValue `0`
   */
  readonly maxWaiting?: number | undefined
}

/** The defaults of {@link BulkheadOptions}. */
export const bulkheadDefaults: Readonly<
  Record<'maxWaiting' | 'maxWaitMs' | 'maxOverdueMs', number> & Record<'name', string>
> = { name: 'bulkhead', maxWaiting: 0, ...queueDefaults } satisfies Required<
  Omit<BulkheadOptions, 'clock' | 'maxConcurrent'>
>

/**
 * Lets so many calls be under way at once and no more, so that one slow service cannot take the whole bot with it
 * (bulkhead). Who waits is served by priority, and every key gets the same share, as in an {@link AdaptiveLimiter}.
 *
 * @remarks
 * *Gotchas*: a place is held until the work has really ended, also when its caller has gone at a deadline: only so is the
 * service spared. A guarded function that calls another one on the same bulkhead passes on its signal
 * ({@link GuardOptions.call}), and then shares its place; without that the inner call waits for a place of its own, for
 * `maxWaitMs` at most.
 *
 * @example
 * ```ts
 * import { Bulkhead, ShedError } from '@evenkeel/degradation-manager'
 *
 * const images = new Bulkhead({ name: 'images', maxConcurrent: 1 })
 * const drawing = images.run(() => new Promise((resolve) => setTimeout(resolve, 20)))
 * console.log(await images.run(() => 'drawn').catch((error) => error instanceof ShedError)) // => true
 * await drawing
 * console.log(await images.run(() => 'drawn')) // => drawn
 * ```
 */
export class Bulkhead extends Admission {
  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError or RangeError when an option does not exist or is out of range
   */
  constructor(options: BulkheadOptions) {
    checkNames('A Bulkhead', options, ['maxConcurrent', ...Object.keys(bulkheadDefaults), 'clock'])
    const { name = bulkheadDefaults.name, maxWaiting = bulkheadDefaults.maxWaiting } = options
    const maxConcurrent = wholeNumber('maxConcurrent', options.maxConcurrent, 1)
    super(admissionSettings(options, { name, maxWaiting }), new FixedLimit(maxConcurrent))
  }
}
