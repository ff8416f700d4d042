import type { HealthCheck } from '../check-result.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { requireClock, resolveOptions } from './check-options.js'
import { duration, percent, size } from './figures.js'
import { above } from './verdict.js'

/** How {@link memoryGrowthCheck} judges. */
export interface MemoryGrowthCheckOptions {
  /**
   * Milliseconds over which growth is measured.
   *
   * @defaultValue 14_400_000
   */
  readonly windowMs?: number
  /**
   * Milliseconds at the beginning that do not count, since caches fill up.
   *
   * @defaultValue 1_800_000
   */
  readonly warmUpMs?: number
  /**
   * Growth in a window above which it is `degraded`: 0.3 for 30 %; from 0.
   *
   * @defaultValue 0.3
   */
  readonly degradedGrowth?: number
  /**
   * Growth in a window above which it is `down`: 2 for three times as much; from 0.
   *
   * @defaultValue 2
   */
  readonly downGrowth?: number
  /**
   * Growth below so many bytes, from 0, is nothing, however much it is of a little.
   *
   * @defaultValue 33_554_432
   */
  readonly minGrowthBytes?: number
  /** What grows, in bytes; without it, what lives on the heap and in buffers after full garbage collections. */
  readonly read?: () => number
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link memoryGrowthCheck} uses when its options leave it open. */
export const memoryGrowthCheckDefaults: Required<Omit<MemoryGrowthCheckOptions, 'read' | 'clock'>> = {
  windowMs: 14_400_000,
  warmUpMs: 1_800_000,
  degradedGrowth: 0.3,
  downGrowth: 2,
  minGrowthBytes: 32 * 2 ** 20,
}

/** A window is looked at in so many parts, of each of which the lowest figure counts. */
const PARTS = 8

interface Part {
  readonly number: number
  /** The lowest figure seen; `undefined` as long as it is not known to be free of garbage. */
  lowest: number | undefined
}

/**
 * Looks whether memory keeps growing (a leak), before it has run out.
 *
 * @remarks
 * Between two garbage collections memory always grows, so only the lowest figure of each eighth of the window counts, and
 * of the heap only in eighths that had a full collection. The last of them is compared with the one a window before; the
 * one in the middle must lie between them, for a cache that was filled once is no leak.
 *
 * *Gotchas*: it begins anew when nobody has looked for an eighth of the window, as after a pause, so its interval must be
 * shorter than that. A restart begins anew, too. It takes the warm-up and a window and an eighth, 5 h by default, to say anything. Native memory is
 * not on the heap: for that, give `read: () => process.memoryUsage.rss()`.
 *
 * @param options - the window and the limits
 * @returns the check; until it has seen a whole window it is up, and says so
 * @throws TypeError when an option does not exist, or is of another type
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { HealthMonitor, memoryGrowthCheck } from '@evenkeel/health-monitor'
 *
 * const growth = { check: memoryGrowthCheck(), critical: false, intervalMs: 60_000 }
 * const health = new HealthMonitor({ checks: { growth } })
 * console.log((await health.check('growth')).reason) // => 0 ms of the first 5 h have been seen
 * ```
 */
export function memoryGrowthCheck(options: MemoryGrowthCheckOptions = {}): HealthCheck {
  const others = ['read', 'clock']
  const resolved = resolveOptions('memoryGrowthCheck', options, memoryGrowthCheckDefaults, others)
  const { windowMs, warmUpMs, degradedGrowth, downGrowth, minGrowthBytes, read, clock = systemClock } = resolved
  requireClock('memoryGrowthCheck', clock)
  if (read !== undefined && typeof read !== 'function') {
    throw new TypeError('memoryGrowthCheck: read must be a function that returns bytes')
  }
  const partMs = windowMs / PARTS
  const measure = read === undefined ? liveBytes() : asRead(read)
  let beganMs: number | undefined
  let lookedMs = 0
  let parts: Part[] = []

  return () => {
    const nowMs = clock.monotonic()
    const isAnew = beganMs === undefined || nowMs - lookedMs > partMs
    if (isAnew) {
      beganMs = nowMs
      parts = []
    }
    lookedMs = nowMs
    const seenMs = nowMs - (beganMs ?? nowMs)
    const number = Math.floor((seenMs - warmUpMs) / partMs)
    if (number >= 0) {
      parts = parts.filter((part) => part.number >= number - PARTS - 1)
      take(parts, number, measure)
    }
    // The part that has just begun has hardly any low in it: the one before is the last.
    const [first, middle, last] = [number - 1 - PARTS, number - 1 - PARTS / 2, number - 1].map((wanted) => {
      return parts.find((part) => part.number === wanted)?.lowest
    })
    if (number - 1 < PARTS) {
      const wholeMs = warmUpMs + windowMs + partMs
      return { status: 'up', reason: `${duration(seenMs)} of the first ${duration(wholeMs)} have been seen` }
    }
    if (first === undefined || middle === undefined || last === undefined) {
      return { status: 'up', reason: 'there was too little garbage collection to tell growth from garbage' }
    }
    return judge(first, middle, last)
  }

  function judge(first: number, middle: number, last: number): ReturnType<typeof above> {
    const bytes = last - first
    const growth = bytes / first
    const inWindow = `in ${duration(windowMs)}`
    const from = `${inWindow}, from ${size(first)} to ${size(last)}`
    if (!(bytes > 0)) return { status: 'up', reason: `memory has not grown ${inWindow}` }
    const reason = `memory has grown by ${percent(growth)} ${from}`
    // In both halves, be it not evenly.
    const isSteady = middle >= first + bytes / 4 && middle <= last - bytes / 4
    if (bytes < minGrowthBytes || !isSteady) return { status: 'up', reason }
    return above(growth, { degraded: degradedGrowth, down: downGrowth }, reason, percent)
  }
}

type Measure = (part: Part) => number | undefined

function take(parts: Part[], number: number, measure: Measure): void {
  let part = parts.at(-1)
  if (part?.number !== number) {
    part = { number, lowest: undefined }
    parts.push(part)
  }
  const bytes = measure(part)
  if (bytes !== undefined) part.lowest = Math.min(part.lowest ?? Infinity, bytes)
}

function asRead(read: () => number): Measure {
  return () => {
    const bytes = read()
    if (typeof bytes === 'number' && bytes > 0 && bytes < Infinity) return bytes
    throw new TypeError(`memoryGrowthCheck: read returned ${String(bytes)} instead of a number of bytes`)
  }
}

/**
 * What is in use, as long as it is known how little of it is garbage. A full collection is what takes away an object that
 * nothing holds but a `WeakRef`; a small one leaves it.
 */
function liveBytes(): Measure {
  let witness: { readonly of: Part; readonly seen: WeakRef<object> } | undefined
  return (part) => {
    if (witness?.of !== part) witness = { of: part, seen: new WeakRef({}) }
    if (witness.seen.deref() !== undefined) return undefined
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
}
