/** One thing to measure: a name, and what does the work `count` times. */
export interface Candidate {
  readonly name: string
  run(count: number): void | Promise<void>
  /** The share of `count` that `run` does, so that a slow peer does not make a round endless; 1 unless told. */
  readonly share?: number
}

/** What one candidate took for one operation. Times are microseconds. */
export interface Figure {
  readonly name: string
  readonly cpuMedian: number
  readonly cpuLow: number
  readonly cpuHigh: number
  readonly wallMedian: number
}

/**
 * Measures candidates side by side: their rounds take turns, so that a noisy neighbour on the machine disturbs all of
 * them alike. The first round of each is a warm-up and does not count.
 *
 * @param count - operations a round
 * @param rounds - rounds that count
 */
export async function measure(candidates: readonly Candidate[], count: number, rounds = 9): Promise<Figure[]> {
  const cpu = new Map<Candidate, number[]>()
  const wall = new Map<Candidate, number[]>()
  for (let round = -1; round < rounds; round++) {
    for (const candidate of candidates) {
      const cpuBefore = process.cpuUsage()
      const wallBefore = process.hrtime.bigint()
      await candidate.run(count)
      const wallUs = Number(process.hrtime.bigint() - wallBefore) / 1_000
      const { user, system } = process.cpuUsage(cpuBefore)
      if (round < 0) continue
      const done = count * (candidate.share ?? 1)
      push(cpu, candidate, (user + system) / done)
      push(wall, candidate, wallUs / done)
    }
  }
  return candidates.map((candidate) => {
    const sorted = sort(cpu.get(candidate))
    return {
      name: candidate.name,
      cpuMedian: at(sorted, 0.5),
      cpuLow: at(sorted, 0.25),
      cpuHigh: at(sorted, 0.75),
      wallMedian: at(sort(wall.get(candidate)), 0.5),
    }
  })
}

/** Prints figures with their ratios to the first, which is the floor: of CPU time, and of wall time. */
export function print(title: string, figures: readonly Figure[]): void {
  const [floor] = figures
  console.log(`\n${title}`)
  for (const { name, cpuMedian, cpuLow, cpuHigh, wallMedian } of figures) {
    const cpuRatio = floor === undefined ? '' : `${(cpuMedian / floor.cpuMedian).toFixed(2)} x`
    const wallRatio = floor === undefined ? '' : `${(wallMedian / floor.wallMedian).toFixed(2)} x`
    const spread = `(${micro(cpuLow)} .. ${micro(cpuHigh)})`
    console.log(
      `  ${name.padEnd(44)} cpu ${micro(cpuMedian).padStart(9)} ${spread.padEnd(24)} ${cpuRatio.padStart(9)}  wall ${micro(wallMedian).padStart(9)} ${wallRatio.padStart(9)}`,
    )
  }
}

function micro(us: number): string {
  return us < 1 ? `${(us * 1_000).toFixed(0)} ns` : `${us.toFixed(us < 10 ? 2 : 1)} us`
}

function push(map: Map<Candidate, number[]>, key: Candidate, value: number): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

function sort(values: readonly number[] = []): number[] {
  return [...values].sort((a, b) => a - b)
}

function at(sorted: readonly number[], ratio: number): number {
  return sorted[Math.floor((sorted.length - 1) * ratio)] ?? Number.NaN
}
