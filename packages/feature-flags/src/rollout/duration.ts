const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

const PATTERN = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/

/** What a duration looks like, for the end of a message. */
export const durationExamples = '"30s", "15m", "24h", "7d" or "1h30m"'

/**
 * Reads a duration as people write it: `30s`, `15m`, `24h`, `7d`, `1h30m`. Large units come first, each once.
 *
 * @returns milliseconds; `undefined` when it is no duration
 */
export function parseDuration(text: string): number | undefined {
  const parts = PATTERN.exec(text.trim())
  if (parts === null || parts[0] === '') return undefined
  const ms = UNITS.reduce((sum, [, unitMs], i) => sum + Number(parts[i + 1] ?? 0) * unitMs, 0)
  return Number.isSafeInteger(ms) ? ms : undefined
}

/**
 * Writes a duration as {@link parseDuration} reads it.
 *
 * @param ms - a whole number of milliseconds, 0 or more
 */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms)
  let text = ''
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(rest / unitMs)
    rest -= count * unitMs
    if (count > 0) text += `${count}${unit}`
  }
  return text === '' ? '0s' : text
}
