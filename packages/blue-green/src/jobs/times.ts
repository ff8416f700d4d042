/** Says when a job is due: the first time after `afterAt`, both in epoch ms; `undefined` for never again. Pure. */
export type NextAt = (afterAt: number) => number | undefined

/** When a job is due. */
export interface DueTimes {
  /** The first due time after `at`. */
  after(at: number): number | undefined
  /** The last due time after `from` and not after `at`. */
  last(from: number, at: number): number | undefined
}

/** `nextAt` threw, or gave what is no later time. */
export class NextAtError extends Error {
  override readonly name = 'NextAtError'

  constructor(at: number, why: string, cause?: unknown) {
    super(`nextAt(${at}) must give a later time in epoch ms, or undefined: ${why}`, { cause })
  }
}

/** Due at every multiple of a duration since the beginning of 1970, the same in every process and after every restart. */
export function every(periodMs: number): DueTimes {
  const at = (multiple: number): number => multiple * periodMs
  return {
    after: (from) => at(Math.floor(from / periodMs) + 1),
    last: (from, until) => {
      const due = at(Math.floor(until / periodMs))
      return due > from ? due : undefined
    },
  }
}

/** Due when a function says so. */
export function byFunction(nextAt: NextAt): DueTimes {
  const after = (at: number): number | undefined => {
    let next: number | undefined
    try {
      next = nextAt(at)
    } catch (error) {
      throw new NextAtError(at, 'it threw', error)
    }
    if (next === undefined || (typeof next === 'number' && next > at && Number.isFinite(next))) return next
    throw new NextAtError(at, `it gave ${String(next)}`)
  }
  return {
    after,
    // After weeks of absence a job of every second has had millions of due times: halving finds the last one.
    last: (from, until) => {
      const first = after(from)
      if (first === undefined || first > until) return undefined
      let [low, high] = [first, until]
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        const next = after(middle)
        if (next !== undefined && next <= until) low = next
        else high = middle
      }
      const next = after(low)
      return next !== undefined && next <= until ? next : low
    },
  }
}
