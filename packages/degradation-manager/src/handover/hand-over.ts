import { milliseconds } from '../breaker/breaker-options.js'
import type { FallbackOptions } from '../guard/fallback.js'
import { checkNames } from '../options.js'
import { withSignal } from '../with-signal.js'
import type { EventTaker } from './port.js'

/** How a call is handed over. */
export interface HandOverOptions<Args extends unknown[], Event> {
  /**
   * The event's id, from the arguments of the call: `(interaction) => interaction.id`. The same for the same event, however
   * often it comes.
   */
  readonly key: (...args: Args) => string
  /** What is handed over, from the arguments of the call; the first of them unless given. */
  readonly event?: ((...args: Args) => Event) | undefined
  /**
   * How long the answer is waited for, in ms, more than 0.
   *
   * @defaultValue `2_000`
   */
  readonly timeoutMs?: number | undefined
}

/** The defaults of {@link HandOverOptions}. */
export const handOverDefaults: Readonly<Record<'timeoutMs', number>> = {
  // Discord and Slack wait for three seconds in all.
  timeoutMs: 2_000,
} satisfies Required<Pick<HandOverOptions<unknown[], unknown>, 'timeoutMs'>>

/**
 * Makes a fallback that hands the event to another bot: what this one cannot serve, that one answers.
 *
 * @remarks
 * When the other one has not taken it, the next fallback is asked. When nobody knows whether it has, none is, unless the
 * guard is `idempotent`: the event might be answered twice. A drill hands nothing over, but asks whether it would be taken.
 *
 * @param taker - who takes it
 * @param options - its key, what is handed over, and how long the answer is waited for
 * @returns the fallback, for `fallback` of a guard
 * @throws TypeError or RangeError when an option is missing, does not exist or is out of range
 *
 * @example
 * ```ts
 * import { DegradationManager } from '@evenkeel/degradation-manager'
 * import { handOver, type EventTaker } from '@evenkeel/degradation-manager/handover'
 *
 * interface Command {
 *   readonly id: string
 *   readonly text: string
 * }
 * const deputy: EventTaker<Command, string> = {
 *   name: 'deputy',
 *   take: async ({ text }) => `the deputy has noted "${text}"`,
 *   check: async () => {},
 * }
 * const modes = new DegradationManager({ features: { notes: { priority: 'normal' } } })
 * const note = modes.guard('notes', async ({ text }: Command) => `noted "${text}"`, {
 *   fallback: [handOver(deputy, { key: ({ id }) => id }), () => 'Please come back later'],
 * })
 * await modes.setMode('MAINTENANCE', { why: 'the database moves' })
 * console.log(await note({ id: '1', text: 'buy tea' })) // => the deputy has noted "buy tea"
 * ```
 */
export function handOver<Event, Answer>(
  taker: EventTaker<Event, Answer>,
  options: HandOverOptions<[event: Event], Event> & { readonly event?: undefined },
): FallbackOptions<(event: Event) => Promise<Answer>>
/**
 * The same, where another bot needs something else than the first argument: of a discord.js interaction its id, token and
 * options.
 */
export function handOver<Args extends unknown[], Event, Answer>(
  taker: EventTaker<Event, Answer>,
  options: HandOverOptions<Args, Event> & { readonly event: (...args: Args) => Event },
): FallbackOptions<(...args: Args) => Promise<Answer>>
export function handOver<Args extends unknown[], Event, Answer>(
  taker: EventTaker<Event, Answer>,
  options: HandOverOptions<Args, Event>,
): FallbackOptions<(...args: Args) => Promise<Answer>> {
  if (typeof taker?.take !== 'function' || typeof taker.check !== 'function') {
    throw new TypeError('A hand-over needs a taker: an object with name, take and check, such as httpTaker makes')
  }
  checkNames('A hand-over', options, ['key', 'event', 'timeoutMs'])
  const { key: keyOf, event: eventOf, timeoutMs = handOverDefaults.timeoutMs } = options
  if (typeof keyOf !== 'function') throw new TypeError('A hand-over needs key, a function of the arguments of the call')
  if (eventOf !== undefined && typeof eventOf !== 'function')
    throw new TypeError('event of a hand-over must be a function')
  milliseconds('timeoutMs of a hand-over', timeoutMs)
  const { name } = taker

  const serve = async (signal: AbortSignal, ...args: Args): Promise<Awaited<Answer>> => {
    const key: unknown = keyOf(...args)
    if (typeof key !== 'string' || key === '') {
      throw new TypeError(
        `The key of an event for "${name}" is ${String(key)}; give its id, a string that is not empty`,
      )
    }
    return await taker.take(eventOf === undefined ? (args[0] as Event) : eventOf(...args), { key, signal })
  }
  return {
    name,
    timeoutMs,
    serve: withSignal((signal: AbortSignal, ...args: Args) => serve(signal, ...args)),
    drill: withSignal((signal: AbortSignal) => taker.check({ signal })),
  }
}
