/** Ids as Discord makes them: a time in the upper bits, spread over some years. The same every time. */
export function snowflakes(count: number): string[] {
  let seed = 42
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const sixYearsMs = 6 * 365 * 86_400_000
  return Array.from({ length: count }, () => {
    const sinceEpochMs = BigInt(Math.floor(random() * sixYearsMs) + 20_000_000_000)
    return ((sinceEpochMs << 22n) | BigInt(Math.floor(random() * 2 ** 22))).toString()
  })
}
