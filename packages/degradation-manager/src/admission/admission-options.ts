import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { priorities, type Priority } from '../priority.js'
import { maxDelayMs, systemClock } from '../system-clock.js'

/** What an `AdaptiveLimiter` and a `Bulkhead` have in common. */
export interface QueueOptions {
  /**
   * After how many ms of waiting nobody cares for the answer any more, more than 0: for all, or by priority.
   *
   * @defaultValue `1_000`
   */
  readonly maxWaitMs?: number | Partial<Readonly<Record<Priority, number>>> | undefined
  /**
   * How many ms after the deadline of a guard the work may still hold its place; then the place is given to somebody
   * else, because some work never ends. More than 0; `Infinity` for no end.
   *
   * @defaultValue `300_000`
   */
  readonly maxOverdueMs?: number | undefined
  /** Where time comes from; the machine's clock unless a test brings another. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link QueueOptions}. */
export const queueDefaults: Readonly<Record<'maxWaitMs' | 'maxOverdueMs', number>> = {
  // Discord wants an answer within 3 s; whoever has waited a third of it should hear a polite no while that still helps.
  maxWaitMs: 1_000,
  maxOverdueMs: 300_000,
} satisfies Required<Omit<QueueOptions, 'clock'>>

/** All of it, checked. */
export interface AdmissionSettings {
  readonly name: string
  readonly maxWaiting: number
  readonly maxWaitMs: Readonly<Record<Priority, number>>
  readonly maxOverdueMs: number
  readonly clock: Clock
}

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function admissionSettings(
  options: QueueOptions,
  named: { readonly name: string; readonly maxWaiting: number },
): AdmissionSettings {
  const { name, maxWaiting } = named
  if (typeof name !== 'string' || name === '') throw new TypeError('name must be a string that is not empty')
  const { maxOverdueMs = queueDefaults.maxOverdueMs, clock = systemClock } = options
  if (!(typeof maxOverdueMs === 'number' && maxOverdueMs > 0)) {
    throw new RangeError(`maxOverdueMs is ${String(maxOverdueMs)}; give ms, more than 0`)
  }
  return {
    name,
    maxWaiting: wholeNumber('maxWaiting', maxWaiting, 0),
    maxWaitMs: waits(options.maxWaitMs ?? queueDefaults.maxWaitMs),
    maxOverdueMs,
    clock,
  }
}

/** @throws RangeError when it is no whole number, or less */
export function wholeNumber(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`${name} is ${String(value)}; give a whole number, ${least} or more`)
}

function waits(given: number | Partial<Readonly<Record<Priority, number>>>): Record<Priority, number> {
  if (typeof given !== 'number') checkNames('maxWaitMs', given, priorities)
  const of = (priority: Priority): number => {
    const value = typeof given === 'number' ? given : (given[priority] ?? queueDefaults.maxWaitMs)
    if (typeof value === 'number' && value > 0 && value <= maxDelayMs) return value
    throw new RangeError(
      `maxWaitMs is ${String(value)} for ${priority}; give ms, more than 0 and at most ${maxDelayMs}`,
    )
  }
  return { critical: of('critical'), high: of('high'), normal: of('normal'), optional: of('optional') }
}
