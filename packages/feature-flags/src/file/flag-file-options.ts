import { didYouMean } from '../nearest.js'
import type { Clock } from '../ports.js'
import { literal } from '../setting-problem.js'
import { systemClock } from '../system-clock.js'
import { formatOf, type TextFormat } from './parse-text.js'

/** Options of {@link flagFile}. */
export interface FlagFileOptions {
  /**
   * How often to look whether the file has changed, in milliseconds, where the file system does not tell: network file
   * systems and some container mounts. Elsewhere a change is seen at once.
   * @defaultValue `1_000`
   */
  readonly pollMs?: number
  /**
   * The largest document that is read, in bytes.
   * @defaultValue `10_000_000`
   */
  readonly maxBytes?: number
  /**
   * Where time comes from.
   * @defaultValue the system's
   */
  readonly clock?: Clock
}

/** What {@link flagFile} does unless its options say otherwise. */
export const flagFileDefaults: Required<Omit<FlagFileOptions, 'clock'>> = { pollMs: 1_000, maxBytes: 10_000_000 }

/** Options that have been checked, and what follows from the path. */
export type FlagFileSettings = Required<FlagFileOptions> & { readonly path: string; readonly format: TextFormat }

/** @throws TypeError, RangeError naming the option, the value and what to write instead */
export function checkFlagFile(path: string, options: FlagFileOptions): FlagFileSettings {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new TypeError(`flagFile needs the path of a file, not ${literal(path)}`)
  }
  const format = formatOf(path)
  if (format === undefined) {
    throw new TypeError(`flagFile reads .json, .yaml and .yml, not ${JSON.stringify(path)}`)
  }
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`flagFile takes its options as an object, not ${literal(options)}`)
  }
  const known = ['clock', ...Object.keys(flagFileDefaults)]
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue
    throw new TypeError(`flagFile has no option ${JSON.stringify(option)}${didYouMean(option, known)}`)
  }
  const { pollMs = flagFileDefaults.pollMs, maxBytes = flagFileDefaults.maxBytes, clock = systemClock } = options
  if (typeof pollMs !== 'number' || !(pollMs > 0 && Number.isFinite(pollMs))) {
    throw new RangeError(`pollMs must be a number of milliseconds above 0, not ${literal(pollMs)}`)
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    throw new RangeError(`maxBytes must be a whole number of bytes from 1, not ${literal(maxBytes)}`)
  }
  return { path, format, pollMs, maxBytes, clock }
}
