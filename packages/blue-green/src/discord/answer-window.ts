import { readDuration, requireKnown, requireMethods } from '../checked-options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { snowflakeMs } from './snowflake-time.js'

/** What `new AnswerWindow(...)` takes. */
export interface AnswerWindowOptions {
  /** How long Discord waits for the first answer to an interaction, in ms. */
  readonly windowMs?: number | undefined
  /** How much of it the way to Discord and back takes at best, in ms: nobody can measure it from here. */
  readonly marginMs?: number | undefined
  /** How long the best delivery of late counts, in ms: two clocks drift apart by some ms an hour. */
  readonly memoryMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The value of each option of {@link AnswerWindow} that is not given. */
export const answerWindowDefaults: Required<Omit<AnswerWindowOptions, 'clock'>> = {
  windowMs: 3_000,
  marginMs: 200,
  memoryMs: 600_000,
}

/**
 * How long an interaction can still be answered. One that is too old is not worth starting: Discord would refuse the answer, and the
 * user has read already that the bot did not respond.
 *
 * @remarks
 * Discord's clock stands in the id of each event, the clock of this process says when it came. The difference is the way it took and how far
 * the two clocks are apart. The smallest difference of late belongs to an event that came at once, so whatever an event has more than
 * that, it came late. The wall clock is not asked.
 *
 * *Gotchas*: the first event of a process is taken to have come at once. After a RESUME that is not so; give the process anything fresh to
 * look at first, such as the id of a message that it has just sent, by `observe`.
 *
 * @example
 * ```ts
 * import { AnswerWindow } from '@evenkeel/blue-green/discord'
 *
 * const answers = new AnswerWindow()
 * const idNow = () => String(BigInt(Date.now() - 1_420_070_400_000) << 22n)
 * answers.arrived(idNow())
 * const remainingMs = answers.arrived(String(BigInt(idNow()) - (5_000n << 22n))) // it was 5 s on its way
 * console.log(remainingMs()) // => 0
 * ```
 */
export class AnswerWindow {
  readonly #windowMs: number
  readonly #memoryMs: number
  readonly #clock: Clock
  /** The smallest differences of the time in force and of the one before, so that an old one goes in the end. */
  #best = Infinity
  #bestBefore = Infinity
  #sinceMs: number

  /**
   * Checks the options and does nothing else.
   *
   * @throws TypeError or RangeError that names the option and its value
   */
  constructor(options: AnswerWindowOptions = {}) {
    requireKnown('AnswerWindow', options, [...Object.keys(answerWindowDefaults), 'clock'])
    const { clock = systemClock } = options
    requireMethods('clock', clock, ['now', 'monotonic', 'after'])
    const read = (name: keyof typeof answerWindowDefaults): number =>
      readDuration(name, options[name] ?? answerWindowDefaults[name])
    this.#windowMs = read('windowMs') - read('marginMs')
    if (this.#windowMs <= 0) throw new RangeError(`windowMs must be more than marginMs (${read('marginMs')})`)
    this.#memoryMs = read('memoryMs')
    this.#clock = clock
    this.#sinceMs = clock.monotonic()
  }

  /**
   * Call it when an interaction comes, with its id.
   *
   * @returns how much of the window is left, in ms, at the moment it is called; 0 when it is over
   * @throws TypeError when it is no id of Discord
   */
  arrived(id: string): () => number {
    const arrivedMs = this.#clock.monotonic()
    const lateMs = this.#lateness(id, arrivedMs)
    return () => Math.max(0, this.#windowMs - lateMs - (this.#clock.monotonic() - arrivedMs))
  }

  /**
   * Any other thing of Discord that has just come into being teaches something about the clocks: a message, an answer that was sent.
   *
   * @throws TypeError when it is no id of Discord
   */
  observe(id: string): void {
    this.#lateness(id, this.#clock.monotonic())
  }

  /** How much later than the best of late it came. */
  #lateness(id: string, nowMs: number): number {
    if (nowMs - this.#sinceMs >= this.#memoryMs) {
      // What is older than two such times says nothing any more.
      this.#bestBefore = nowMs - this.#sinceMs >= 2 * this.#memoryMs ? Infinity : this.#best
      this.#best = Infinity
      this.#sinceMs = nowMs
    }
    const difference = nowMs - snowflakeMs(id)
    this.#best = Math.min(this.#best, difference)
    return difference - Math.min(this.#best, this.#bestBefore)
  }
}
