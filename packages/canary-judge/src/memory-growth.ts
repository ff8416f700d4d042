import type { Assessment, Metric } from './metric.js'
import { checkPositive, type Defaults, toMaxRatio } from './options.js'
import { ignore, isAmount } from './split-metric.js'

/** A sample of {@link memoryGrowth}. */
export interface MemorySample {
  /** Which process. */
  readonly side: 'green' | 'blue'
  /** For how long that process has been running, in milliseconds: a young one uses less. */
  readonly ageMs: number
  /** What it uses, in bytes. */
  readonly bytes: number
}

/** How {@link memoryGrowth} judges. */
export interface MemoryGrowthOptions {
  /**
   * So much more is cared about: 0.3 for 30 % more.
   *
   * @defaultValue 0.3
   */
  readonly maxIncrease?: number | undefined
  /**
   * For so long it must be seen, in milliseconds of the process's age.
   *
   * @defaultValue 14_400_000
   */
  readonly windowMs?: number | undefined
}

/** The defaults of {@link memoryGrowth}. */
export const memoryGrowthDefaults: Defaults<MemoryGrowthOptions> = {
  maxIncrease: 0.3,
  windowMs: 4 * 3_600_000,
}

/** The window is looked at in so many parts, of each of which the median counts. */
const PARTS = 8
/** So many samples of a part are kept. */
const MOST = 32

/** What {@link memoryGrowth} remembers: samples by part of the process's age. Plain numbers: keep it as JSON. */
export interface MemoryState {
  /** Bytes of the new version, by part of its age. */
  readonly green: Readonly<Record<number, readonly number[]>>
  /** Bytes of the old version, by part of its age. */
  readonly blue: Readonly<Record<number, readonly number[]>>
  /** How many samples made no sense. */
  readonly ignored: number
}

/**
 * What the process uses, beside what the old version's process used _at the same age_.
 *
 * _Measured_, not proven: the samples of a process depend on each other, so they are no evidence in the sense of the other
 * metrics, and this one never rolls back by itself: its `evidence` stays 1. It tells when the medians of a whole window
 * are above the old version's by the increase that is cared about, every one of them.
 *
 * @throws RangeError when an option is out of its range
 *
 * @example
 * ```ts
 * import { memoryGrowth } from '@evenkeel/canary-judge'
 *
 * const metric = memoryGrowth({ maxIncrease: 0.3, windowMs: 80_000 })
 * let state = metric.start()
 * for (let ageMs = 5_000; ageMs < 80_000; ageMs += 10_000) {
 *   state = metric.observe(state, { side: 'blue', ageMs, bytes: 100e6 })
 *   state = metric.observe(state, { side: 'green', ageMs, bytes: 150e6 })
 * }
 * console.log(metric.assess(state, 'memory').isEffectReached) // => true
 * ```
 */
export function memoryGrowth(options: MemoryGrowthOptions = {}): Metric<MemorySample, MemoryState> {
  const maxRatio = toMaxRatio(options.maxIncrease ?? memoryGrowthDefaults.maxIncrease)
  const windowMs = checkPositive(
    'windowMs',
    options.windowMs ?? memoryGrowthDefaults.windowMs,
    '14_400_000 for four hours',
  )
  return {
    start: () => ({ green: {}, blue: {}, ignored: 0 }),
    observe: (state, { side, ageMs, bytes }) => {
      if ((side !== 'green' && side !== 'blue') || !isAmount(ageMs) || !isAmount(bytes) || bytes === 0) {
        return ignore(state)
      }
      const part = Math.floor((ageMs / windowMs) * PARTS)
      const samples = [...(state[side][part] ?? []), bytes].slice(-MOST)
      return { ...state, [side]: { ...state[side], [part]: samples } }
    },
    assess: (state, name) => assess(state, name, maxRatio),
  }
}

function assess({ green, blue, ignored }: MemoryState, name: string, maxRatio: number): Assessment {
  const ratios = Object.keys(green)
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((part) => {
      const there = blue[part]
      return there === undefined ? [] : [median(green[part] ?? []) / median(there)]
    })
  const window = ratios.slice(-PARTS)
  const ratio = window.at(-1)
  const isWhole = window.length === PARTS
  const isEffectReached = isWhole && window.every((each) => each >= maxRatio)
  const isSafe = isWhole && window.every((each) => each < maxRatio)
  const seems =
    ratio === undefined
      ? 'the two have not been seen at the same age'
      : `the new version uses ${ratio.toFixed(2)} times as much at the same age, seen over ${window.length} of ${PARTS} parts of the window`
  const message = `${name}: ${seems}`
  const holdsPhase = isEffectReached
  return { evidence: 1, ratio, isEffectReached, isSafe, holdsPhase, ruledOut: undefined, ignored, message }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN
}
