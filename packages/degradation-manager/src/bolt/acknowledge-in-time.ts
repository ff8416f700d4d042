import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { warn } from '../warning.js'
import type { Answer, BoltArgs, SlackBody } from './bolt-args.js'

/** How {@link acknowledgeInTime} does it. */
export interface AcknowledgeOptions {
  /**
   * After how many ms it is acknowledged if the listener has not done so; more than 0 and less than the 3,000 that Slack
   * waits.
   *
   * @defaultValue `1_500`
   */
  readonly ackAfterMs?: number | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link AcknowledgeOptions}. */
export const acknowledgeDefaults: Readonly<Record<'ackAfterMs', number>> = { ackAfterMs: 1_500 } satisfies Required<
  Pick<AcknowledgeOptions, 'ackAfterMs'>
>

/** What Slack waits, ms. */
const SLACK_WAITS_MS = 3_000

/** Where an acknowledgement carries the answer itself, nobody but the listener can give it. */
const answeredByAck: ReadonlySet<unknown> = new Set(['view_submission', 'block_suggestion', 'dialog_suggestion'])

/**
 * Wraps a Bolt listener so that Slack hears in time, once, however long the listener takes. What the listener
 * acknowledges with later is sent as a response.
 *
 * @remarks
 * It does so for slash commands, shortcuts and actions. Forms that are sent, and menus that load their options, are left
 * to the listener: their acknowledgement is the answer. A second `ack()` of the listener does nothing.
 *
 * @typeParam Listener - the type of the listener; inferred
 * @param listener - the listener; it gets what Bolt gives
 * @param options - when
 * @returns a listener of the same type
 * @throws TypeError or RangeError when an option does not exist or is out of range
 *
 * @example
 * ```ts
 * import { acknowledgeInTime } from '@evenkeel/degradation-manager/bolt'
 *
 * const translate = acknowledgeInTime(
 *   async ({ ack }: { body: object; ack: (text: string) => Promise<void>; next: () => Promise<void> }) => {
 *     await ack('Good day')
 *     await ack('twice') // does nothing
 *   },
 * )
 * // app.command('/translate', translate)
 * await translate({ body: { command: '/translate' }, ack: async (text) => console.log(text), next: async () => {} }) // => Good day
 * ```
 */
export function acknowledgeInTime<Listener extends (args: never) => unknown>(
  listener: Listener,
  options: AcknowledgeOptions = {},
): ((args: Parameters<Listener>[0]) => Promise<void>) & Listener {
  checkNames('acknowledgeInTime', options, ['ackAfterMs', 'clock'])
  const { ackAfterMs = acknowledgeDefaults.ackAfterMs, clock = systemClock } = options
  if (typeof listener !== 'function') throw new TypeError('acknowledgeInTime wraps a listener, a function')
  if (!(ackAfterMs > 0 && ackAfterMs < SLACK_WAITS_MS)) {
    throw new RangeError(`ackAfterMs is ${String(ackAfterMs)}; give ms, more than 0 and less than ${SLACK_WAITS_MS}`)
  }
  const listen = listener as unknown as (args: BoltArgs) => unknown
  const acknowledged = async (args: BoltArgs): Promise<void> => {
    const { type } = args.body as SlackBody
    if (args.ack === undefined || answeredByAck.has(type)) {
      await listen(args)
      return
    }
    const acknowledge = args.ack as Answer
    const respond = args.respond as Answer | undefined
    /** The acknowledgement that Slack gets, and whether the listener knows of it. */
    let first: { readonly done: Promise<unknown>; isOurs: boolean } | undefined
    const ack: Answer = async (response) => {
      if (first?.isOurs === true) await first.done
      if (first === undefined) {
        first = { done: acknowledge(response), isOurs: false }
        try {
          await first.done
        } catch (error) {
          // Slack has heard nothing, so the next one counts.
          first = undefined
          throw error
        }
      } else if (first.isOurs) {
        first.isOurs = false
        if (response === undefined || response === '') return
        await respond?.(typeof response === 'string' ? { text: response } : response)
      }
    }
    const cancel = clock.after(ackAfterMs, () => {
      if (first !== undefined) return
      const done = acknowledge().catch((error: unknown) => {
        // The listener may still be in time.
        first = undefined
        warn('A command of Slack could not be acknowledged in time', error)
      })
      first = { done, isOurs: true }
    })
    try {
      await listen({ ...args, ack: ack as BoltArgs['ack'] })
    } finally {
      cancel()
    }
  }
  return acknowledged as never
}
