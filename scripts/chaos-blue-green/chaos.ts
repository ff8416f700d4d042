import { randomFrom } from '../../packages/blue-green/src/test-support/random.js'
import { Arena, type Servers } from './arena.js'
import type { Programs } from './bundle.js'
import { makePlan, weighted, type Kind, type Plan, type Store } from './plan.js'
import { addTo, noTally, type Remark, type Tally } from './truth.js'

/** So many runs are lived through by the same processes. */
const runsPerArena = 10

export interface ChaosOptions {
  readonly seed: number
  readonly runs: number
  readonly kinds: readonly Kind[]
  readonly servers: Servers
  /** So many arenas at a time. */
  readonly lanes: number
  readonly programs: Programs
  /** Called after each arena. */
  readonly onProgress?: (report: ChaosReport) => void
}

/** What came of all runs so far. */
export interface ChaosReport {
  runs: number
  kills: number
  freezes: number
  readonly tally: Tally
  readonly byKind: Map<string, { runs: number; tally: Tally }>
  /** Each with the plan of its run and what was seen. */
  readonly faults: string[]
  /** What nobody has handled, and why, alike. */
  readonly letGo: string[]
}

/** Arenas one after the other, several at a time. The same seed makes the same plans. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { runs, kinds, lanes } = options
  const report: ChaosReport = {
    runs: 0,
    kills: 0,
    freezes: 0,
    tally: noTally(),
    byKind: new Map(),
    faults: [],
    letGo: [],
  }
  const arenas = Math.ceil(runs / runsPerArena)
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < arenas) {
      const number = next++
      const count = Math.min(runsPerArena, runs - number * runsPerArena)
      await liveOnce(number, count, kinds[number % kinds.length] ?? 'bots', options, report)
      options.onProgress?.(report)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return report
}

async function liveOnce(
  number: number,
  count: number,
  kind: Kind,
  { seed, servers, programs }: ChaosOptions,
  report: ChaosReport,
): Promise<void> {
  const random = randomFrom(seed * 1_000_003 + number)
  const store = storeFor(kind, servers, random)
  const arena = await Arena.open(kind, store, servers[store], programs)
  const plans = new Map<number, Plan>()
  try {
    for (let i = 0; i < count; i++) {
      const plan = makePlan(number * runsPerArena + i, kind, random)
      plans.set(plan.run, plan)
      await arena.live(plan, randomFrom(seed * 1_000_003 + plan.run * 7_919))
    }
    const { tally, faults, letGo, kills, freezes, story } = await arena.judge()
    report.runs += count
    report.kills += kills
    report.freezes += freezes
    addTo(report.tally, tally)
    const name = `${kind}, ${store}`
    const ofKind = report.byKind.get(name) ?? { runs: 0, tally: noTally() }
    report.byKind.set(name, { runs: ofKind.runs + count, tally: ofKind.tally })
    addTo(ofKind.tally, tally)
    const tell = ({ run, id, what }: Remark, i: number, all: readonly Remark[]): string => {
      const line = `seed ${seed}, run ${run} (${name}), event ${id}: ${what}`
      // One cause often has many of them.
      if (all.slice(0, i).some((one) => one.run === run)) return line
      return [line, `plan ${JSON.stringify(plans.get(run))}`, ...story({ run, id, what })].join('\n  ')
    }
    report.faults.push(...faults.map(tell))
    report.letGo.push(...letGo.map(tell))
  } finally {
    await arena.close()
  }
}

/** Half of the runs in SQLite; versions keep their state there always. */
function storeFor(kind: Kind, servers: Servers, random: () => number): Store {
  const servable = (['redis', 'postgres'] as const).filter((store) => servers[store] !== undefined)
  const drawn = random()
  if (kind === 'owner' || servable.length === 0) return 'sqlite'
  return weighted<Store>([['sqlite', servable.length], ...servable.map((store) => [store, 1] as const)], () => drawn)
}
