import { checkNames } from '../options.js'
import { wholeNumber } from '../admission/admission-options.js'
import type { Clock } from '../ports.js'
import { maxDelayMs, systemClock } from '../system-clock.js'
import { systemRandom } from '../system-random.js'

/** What a {@link CircuitBreaker} is made of. */
export interface CircuitBreakerOptions {
  /**
   * What to call it in errors and events.
   *
   * @defaultValue `'breaker'`
   */
  readonly name?: string | undefined
  /**
   * It looks at the last so many calls, 1 to 1,000,000, unless `windowMs` says at those of how long.
   *
   * @defaultValue `100`
   */
  readonly windowCalls?: number | undefined
  /** It looks at the calls of the last so many ms, in steps of a tenth, instead of at the last `windowCalls`. */
  readonly windowMs?: number | undefined
  /**
   * With fewer calls in the window it does not open; at least 1.
   *
   * @defaultValue `20`
   */
  readonly minCalls?: number | undefined
  /**
   * It opens when this share of the calls has failed, more than 0 and at most 1.
   *
   * @defaultValue `0.5`
   */
  readonly failureRatio?: number | undefined
  /** A call that takes so many ms or longer is slow, also when it succeeds. No call is, unless given. */
  readonly slowCallMs?: number | undefined
  /**
   * It opens when this share of the calls was slow, more than 0 and at most 1.
   *
   * @defaultValue `0.8`
   */
  readonly slowRatio?: number | undefined
  /**
   * How long it stays open before it tries again, in ms, more than 0; up to a fifth longer by chance, so that many of them
   * do not try at the same moment. Twice as long after each trial that fails.
   *
   * @defaultValue `5_000`
   */
  readonly openMs?: number | undefined
  /**
   * It never stays open for longer, in ms, but for that fifth.
   *
   * @defaultValue `60_000`
   */
  readonly maxOpenMs?: number | undefined
  /**
   * How many trial calls it lets through at once when it tries again, and how many of them must succeed; at least 1.
   *
   * @defaultValue `3`
   */
  readonly trialCalls?: number | undefined
  /**
   * After the trials it lets through twice as many calls at once as trials, and twice as many again after each so many
   * ms in which they went well, in ms, more than 0 (ramp).
   *
   * @defaultValue `1_000`
   */
  readonly rampMs?: number | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
  /** Chance, for tests: numbers from 0 to 1, 1 excluded. */
  readonly random?: (() => number) | undefined
}

/** The defaults of {@link CircuitBreakerOptions}. */
export const circuitBreakerDefaults: Readonly<
  Record<
    'windowCalls' | 'minCalls' | 'failureRatio' | 'slowRatio' | 'openMs' | 'maxOpenMs' | 'trialCalls' | 'rampMs',
    number
  > &
    Record<'name', string>
> = {
  name: 'breaker',
  windowCalls: 100,
  minCalls: 20,
  failureRatio: 0.5,
  slowRatio: 0.8,
  openMs: 5_000,
  maxOpenMs: 60_000,
  trialCalls: 3,
  rampMs: 1_000,
} satisfies Required<Omit<CircuitBreakerOptions, 'windowMs' | 'slowCallMs' | 'clock' | 'random'>>

/** All of it, checked. */
export interface BreakerSettings extends Required<Omit<CircuitBreakerOptions, 'windowMs' | 'clock' | 'random'>> {
  readonly name: string
  readonly windowCalls: number
  readonly windowMs: number | undefined
  readonly minCalls: number
  readonly failureRatio: number
  /** `Infinity`: no call is slow. */
  readonly slowCallMs: number
  readonly slowRatio: number
  readonly openMs: number
  readonly maxOpenMs: number
  readonly trialCalls: number
  readonly rampMs: number
  readonly clock: Clock
  readonly random: () => number
}

const MAX_WINDOW_CALLS = 1_000_000

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function breakerSettings(options: CircuitBreakerOptions): BreakerSettings {
  const others = ['windowMs', 'slowCallMs', 'clock', 'random']
  checkNames('A CircuitBreaker', options, [...Object.keys(circuitBreakerDefaults), ...others])
  const defaults = circuitBreakerDefaults
  const { name = defaults.name, windowMs, slowCallMs, openMs = defaults.openMs } = options
  if (typeof name !== 'string' || name === '') throw new TypeError('name must be a string that is not empty')
  if (windowMs !== undefined && options.windowCalls !== undefined) {
    throw new TypeError('A CircuitBreaker looks either at windowCalls or at windowMs; leave one out')
  }
  const windowCalls = wholeNumber('windowCalls', options.windowCalls ?? defaults.windowCalls, 1)
  if (windowCalls > MAX_WINDOW_CALLS) {
    throw new RangeError(`windowCalls is ${windowCalls}; give ${MAX_WINDOW_CALLS} at most, or windowMs instead`)
  }
  const most = windowMs === undefined ? windowCalls : Infinity
  const minCalls = wholeNumber('minCalls', options.minCalls ?? Math.min(defaults.minCalls, most), 1)
  if (minCalls > most) throw new RangeError(`minCalls is ${minCalls}, but windowCalls only ${windowCalls}`)
  const maxOpenMs = milliseconds('maxOpenMs', options.maxOpenMs ?? Math.max(defaults.maxOpenMs, openMs))
  if (milliseconds('openMs', openMs) > maxOpenMs) {
    throw new RangeError(`openMs is ${openMs}, above maxOpenMs, ${maxOpenMs}`)
  }
  optionalFunction('random', options.random)
  return {
    name,
    windowCalls,
    windowMs: windowMs === undefined ? undefined : milliseconds('windowMs', windowMs),
    minCalls,
    failureRatio: ratio('failureRatio', options.failureRatio ?? defaults.failureRatio),
    slowCallMs: slowCallMs === undefined ? Infinity : milliseconds('slowCallMs', slowCallMs),
    slowRatio: ratio('slowRatio', options.slowRatio ?? defaults.slowRatio),
    openMs,
    maxOpenMs,
    trialCalls: wholeNumber('trialCalls', options.trialCalls ?? defaults.trialCalls, 1),
    rampMs: milliseconds('rampMs', options.rampMs ?? defaults.rampMs),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}

/** @throws TypeError when it is given and no function */
export function optionalFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw new TypeError(`${name} must be a function`)
}

/** @throws RangeError when it is no span of time; a string of digits is none, for time is added to it */
export function milliseconds(name: string, value: number): number {
  if (typeof value === 'number' && value > 0 && value <= maxDelayMs) return value
  throw new RangeError(`${name} is ${String(value)}; give ms, more than 0 and at most ${maxDelayMs}`)
}

function ratio(name: string, value: number): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value
  throw new RangeError(`${name} is ${String(value)}; give a share, more than 0 and at most 1`)
}
