/** How often calls took how long: the count of each step, every step a tenth longer than the one before. Plain JSON. */
export type PathTimes = Readonly<Record<string, number>>

/** So much longer is each step. */
const STEP = Math.log(1.1)

/** Adds calls to a histogram. What is below a hundredth of a millisecond counts as that. */
export function addTimes(times: PathTimes, tookMs: readonly number[]): PathTimes {
  const next = { ...times }
  for (const each of tookMs) {
    const step = Math.ceil(Math.log(Math.max(each, 0.01)) / STEP)
    next[step] = (next[step] ?? 0) + 1
  }
  return next
}

/** How many calls a histogram holds. */
export function countTimes(times: PathTimes): number {
  return Object.values(times).reduce((sum, count) => sum + count, 0)
}

/** How many calls took longer than a limit, which is the end of a step. */
export function slowerThan(times: PathTimes, limitMs: number): number {
  const last = Math.round(Math.log(limitMs) / STEP)
  return Object.entries(times).reduce((sum, [step, count]) => sum + (Number(step) > last ? count : 0), 0)
}

/** The end of the step below which at least so large a part of the calls lies; `undefined` without calls. */
export function quantile(times: PathTimes, part: number): number | undefined {
  const enough = countTimes(times) * part
  let sum = 0
  for (const [step, count] of Object.entries(times).sort(([a], [b]) => Number(a) - Number(b))) {
    sum += count
    if (sum >= enough) return Math.exp(Number(step) * STEP)
  }
  return undefined
}
