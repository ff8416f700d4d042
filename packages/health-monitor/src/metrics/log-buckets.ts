/** Each doubling is divided by 2^3 bounds: a bucket ends at most an eighth above its beginning, its middle is within 6 %. */
const DIVISION_BITS = 3
const DIVISIONS = 2 ** DIVISION_BITS

// The exponent of a double and the first bits of its fraction, taken together, are a logarithm already.
const double = new Float64Array(1)
const words = new Int32Array(double.buffer)
double[0] = 1
const HIGH = words[1] === 0 ? 0 : 1
const LOW = 1 - HIGH

/** Of a power of two it is a whole number, which `Math.log2` may miss by its last bit. */
function log2(value: number): number {
  const exponent = Math.log2(value)
  return 2 ** Math.round(exponent) === value ? Math.round(exponent) : exponent
}

/** Where each observation goes: buckets whose bounds grow by a factor, so that all sizes are told equally well. */
export class LogBuckets {
  /** Inclusive upper bounds of all buckets; the last is `Infinity`. */
  readonly bounds: readonly number[]
  /** One bound for each doubling: enough for a page. */
  readonly coarseBounds: readonly number[]
  readonly #offset: number
  readonly #last: number

  /**
   * @param smallest - the first bound; rounded down to a power of two
   * @param largest - the last finite bound; rounded up to a power of two
   */
  constructor(smallest: number, largest: number) {
    const from = Math.floor(log2(smallest))
    const doublings = Math.max(1, Math.ceil(log2(largest)) - from)
    const finite = Array.from({ length: doublings * DIVISIONS + 1 }, (_, index) => {
      return 2 ** (from + Math.floor(index / DIVISIONS)) * (1 + (index % DIVISIONS) / DIVISIONS)
    })
    this.bounds = Object.freeze([...finite, Infinity])
    this.coarseBounds = Object.freeze([...finite.filter((_, index) => index % DIVISIONS === 0), Infinity])
    this.#last = finite.length
    double[0] = 2 ** from
    this.#offset = ((words[HIGH] as number) >> (20 - DIVISION_BITS)) - 1
  }

  /** @param value - zero or more */
  indexOf(value: number): number {
    // Minus zero has the sign of a negative number, and would be the largest of all.
    double[0] = value + 0
    // One step of the double down, so that a value on a bound falls into the bucket below it: bounds are inclusive.
    const high = (words[HIGH] as number) - (words[LOW] === 0 ? 1 : 0)
    const index = (high >> (20 - DIVISION_BITS)) - this.#offset
    if (index < 0) return 0
    return index > this.#last ? this.#last : index
  }

  /** Sums up the buckets between two coarse bounds. */
  coarse(counts: Float64Array): number[] {
    const sums = new Array<number>(this.coarseBounds.length)
    sums[0] = counts[0] ?? 0
    let index = 1
    for (let at = 1; at < sums.length - 1; at++) {
      let sum = 0
      for (const end = index + DIVISIONS; index < end; index++) sum += counts[index] as number
      sums[at] = sum
    }
    sums[sums.length - 1] = counts[this.#last] ?? 0
    return sums
  }
}

/**
 * The value that `percentage` of the observations do not exceed, as far as it can be known: it lies somewhere in its
 * bucket, so it is told as the number that is off by the same share from both bounds. Up to the first bound, it is that.
 *
 * @see Masson, Rim and Lee, "DDSketch" (2019), section 2.1
 * @returns `undefined` of nothing; `Infinity` above the largest finite bound
 */
export function percentileWithin(
  bounds: readonly number[],
  counts: ArrayLike<number>,
  percentage: number,
): number | undefined {
  const index = placeOf(counts, percentage)?.index
  if (index === undefined) return undefined
  const upper = bounds[index] ?? Infinity
  if (index === 0 || upper === Infinity) return upper
  const lower = bounds[index - 1] as number
  return (2 * lower * upper) / (lower + upper)
}

/**
 * The same, read between the bounds of its bucket as if the observations were spread evenly there: of many observations
 * that grow slower little by little it is told little by little, however wide the buckets.
 *
 * @returns `undefined` of nothing; `Infinity` above the largest finite bound
 */
export function percentileOf(
  bounds: readonly number[],
  counts: ArrayLike<number>,
  percentage: number,
): number | undefined {
  const place = placeOf(counts, percentage)
  if (place === undefined) return undefined
  const upper = bounds[place.index] ?? Infinity
  if (upper === Infinity) return Infinity
  const lower = place.index === 0 ? 0 : (bounds[place.index - 1] as number)
  return lower + (upper - lower) * place.share
}

/** The bucket that the observation lies in, and how far in it, 0 to 1. */
function placeOf(counts: ArrayLike<number>, percentage: number): { index: number; share: number } | undefined {
  let total = 0
  for (let index = 0; index < counts.length; index++) total += counts[index] as number
  if (total === 0) return undefined
  const rank = Math.max(1, Math.ceil((percentage / 100) * total))
  let before = 0
  for (let index = 0; index < counts.length; index++) {
    const here = counts[index] as number
    if (before + here >= rank) return { index, share: (rank - before) / here }
    before += here
  }
  return { index: counts.length, share: 1 }
}
