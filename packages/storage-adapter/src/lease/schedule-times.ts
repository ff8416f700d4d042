/** When a job is due: at all multiples of a period, shifted by an offset, counted from the beginning of 1970 in UTC. */
export interface DueTimes {
  readonly periodMs: number
  readonly offsetMs: number
}

const DAY_MS = 24 * 60 * 60 * 1_000

const TIME_OF_DAY = /^([01]\d|2[0-3]):([0-5]\d)$/

/** Due at every multiple of a duration, the same in every process and after every restart. */
export function every(periodMs: number): DueTimes {
  return { periodMs, offsetMs: 0 }
}

/**
 * Due once a day, in UTC.
 *
 * @throws RangeError when it is no time such as `09:00`
 */
export function daily(time: string): DueTimes {
  const match = TIME_OF_DAY.exec(time)
  if (match === null) throw new RangeError(`dailyAt must be a time in UTC from 00:00 to 23:59, not ${String(time)}`)
  return { periodMs: DAY_MS, offsetMs: (Number(match[1]) * 60 + Number(match[2])) * 60_000 }
}

/** The last due time that is not after `at`, in epoch milliseconds. */
export function lastDue({ periodMs, offsetMs }: DueTimes, at: number): number {
  return Math.floor((at - offsetMs) / periodMs) * periodMs + offsetMs
}

/** The first due time after `at`, in epoch milliseconds. */
export function nextDue(times: DueTimes, at: number): number {
  return lastDue(times, at) + times.periodMs
}
