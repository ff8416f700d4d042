/** Discord counts milliseconds from here. */
const epochMs = Date.UTC(2015, 0, 1)

/**
 * Ids as Discord gives them out, the same each time: more of them the later the year, from a few workers and processes,
 * with a count that is nearly always zero. Most of their bits hardly change, which a poor hash does not forgive.
 */
export function snowflakes(count: number, seed = 1): string[] {
  let state = seed
  const below = (end: number): bigint => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return BigInt(Math.floor((state / 2 ** 32) * end))
  }
  const spanMs = BigInt(Date.UTC(2026, 0, 1) - epochMs)
  const ids = new Set<string>()
  while (ids.size < count) {
    // The later of two draws: growth.
    const [a, b] = [below(2 ** 31), below(2 ** 31)]
    const ms = ((a > b ? a : b) * spanMs) >> 31n
    ids.add(String((ms << 22n) | (below(4) << 17n) | (below(2) << 12n) | (below(20) === 0n ? 1n : 0n)))
  }
  return [...ids]
}
