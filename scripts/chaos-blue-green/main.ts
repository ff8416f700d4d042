import { parseArgs } from 'node:util'
import { bundlePrograms } from './bundle.js'
import { runChaos, type ChaosReport } from './chaos.js'
import type { Kind } from './plan.js'
import type { Tally } from './truth.js'

/*
 * The long form of the crash tests of blue-green: bots with the real discord.js on one token, versions in processes and threads; they come,
 * take over, shift, roll back and go, are killed and frozen, and a ledger in a process of its own counts what became of each event.
 *
 *   pnpm chaos blue-green --runs 1000 --seed 7 --only bots,owner,pair --lanes 3
 *
 * Redis and PostgreSQL where REDIS_URL and DATABASE_URL name them. The same seed makes the same plans. It ends with exit code 1
 * when an event was lost, by the platform's ledger: it has no answer, none came too late, nobody has told of it, and the process that had the
 * answer lives; when an effect was committed twice; or a second run was not reported, or had no cause. What has ended is a cause, and what the others have
 * counted out, or could: it was frozen for a lease or more. A shorter freeze is none.
 */
const kinds: readonly Kind[] = ['bots', 'owner', 'pair']
/** So many faults are told whole, and of further ones the first line; and so many events that were let go. */
const maxTold = 10

export async function blueGreenChaos(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      runs: { type: 'string', default: '1000' },
      only: { type: 'string', default: kinds.join(',') },
      lanes: { type: 'string', default: '3' },
    },
  })
  const seed = Number(values.seed)
  const [redis, postgres] = [process.env['REDIS_URL'], process.env['DATABASE_URL']]
  console.log(`seed ${seed}`)
  const startedMs = performance.now()
  using programs = bundlePrograms()
  const tellFaults = teller()
  const tellLetGo = teller()
  const report = await runChaos({
    seed,
    runs: Number(values.runs),
    kinds: kinds.filter((kind) => values.only.split(',').includes(kind)),
    lanes: Number(values.lanes),
    servers: { ...(redis !== undefined && { redis }), ...(postgres !== undefined && { postgres }) },
    programs,
    onProgress: ({ runs, kills, freezes, tally, faults, letGo }) => {
      const seconds = Math.round((performance.now() - startedMs) / 1_000)
      const { events, lost } = tally
      console.log(
        `${runs} runs, ${kills} kills, ${freezes} freezes, ${events} events, ${lost} lost, ` +
          `${tally['effects committed twice']} effects twice, ${faults.length} faults, ${seconds} s`,
      )
      tellFaults(faults)
      tellLetGo(letGo)
    },
  })
  console.table(tableOf(report))
  return report.faults.length === 0
}

/** Tells what is new in a list that grows. */
function teller(): (lines: readonly string[]) => void {
  let told = 0
  return (lines) => {
    for (; told < lines.length; told++) console.error(told < maxTold ? lines[told] : lines[told]?.split('\n', 1)[0])
  }
}

/** What was counted a row each, what lived and where a column each. */
function tableOf({ runs, tally, byKind }: ChaosReport): Record<string, Record<string, number>> {
  const columns = [...byKind, ['all', { runs, tally }] as const]
  const rows = ['runs', ...Object.keys(tally)]
  const cellsOf = (row: string): [string, number][] => {
    return columns.map(([name, counted]) => [name, row === 'runs' ? counted.runs : counted.tally[row as keyof Tally]])
  }
  return Object.fromEntries(rows.map((row) => [row, Object.fromEntries(cellsOf(row))]))
}
