/*
 * The long form of the crash tests: kills processes that write, and cuts the power of simulated disks, again and again.
 *
 *   pnpm chaos --seed 7 --kills 1000 --cuts 1000 --only file,failover
 *   pnpm chaos blue-green --seed 7 --runs 1000
 *
 * The same seed strikes at the same places. It ends with a table, and with exit code 1 when anything was lost.
 */
import { parseArgs } from 'node:util'
import { killWriters, type KillKind } from '../packages/storage-adapter/src/test-support/kills.js'
import { cutFailoverStorages } from '../packages/storage-adapter/src/test-support/power-cut-failover.js'
import { cutFileStores } from '../packages/storage-adapter/src/test-support/power-cut-file.js'
import type { CrashReport } from '../packages/storage-adapter/src/test-support/power-cut-report.js'
import { cutSqliteStorages } from '../packages/storage-adapter/src/test-support/power-cut-sqlite.js'
import { blueGreenChaos } from './chaos-blue-green/main.js'

/** So often it says how far it has come, in milliseconds. */
const PROGRESS_MS = 10_000
/** So many faults of a kind are told one by one. */
const MAX_TOLD = 10

type Crash = (seed: number, times: number, onCrash: (report: CrashReport) => void) => Promise<CrashReport>

const CUTS: Readonly<Record<KillKind, Crash>> = {
  file: cutFileStores,
  sqlite: cutSqliteStorages,
  failover: cutFailoverStorages,
}

interface Row {
  readonly storage: string
  readonly what: string
  readonly crashes: number
  readonly 'acknowledged writes checked': number
  readonly lost: number
  readonly unreadable: number
  readonly seconds: number
}

async function main(): Promise<boolean> {
  if (process.argv[2] === 'blue-green') return blueGreenChaos(process.argv.slice(3))
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
      kills: { type: 'string', default: '1000' },
      cuts: { type: 'string', default: '1000' },
      only: { type: 'string', default: Object.keys(CUTS).join(',') },
    },
  })
  const seed = wholeNumber('seed', values.seed)
  const kills = wholeNumber('kills', values.kills)
  const cuts = wholeNumber('cuts', values.cuts)
  const kinds = values.only.split(',').map(checkKind)
  console.log(`seed ${seed}`)
  const rows: Row[] = []
  for (const kind of kinds) {
    if (cuts > 0) rows.push(await strike(kind, 'power cuts', cuts, (onCrash) => CUTS[kind](seed, cuts, onCrash)))
    if (kills > 0) rows.push(await strike(kind, 'kill -9', kills, (onCrash) => killWriters(kind, seed, kills, onCrash)))
  }
  console.table(rows)
  return rows.every(({ lost, unreadable }) => lost === 0 && unreadable === 0)
}

async function strike(
  storage: string,
  what: string,
  times: number,
  run: (onCrash: (report: CrashReport) => void) => Promise<CrashReport>,
): Promise<Row> {
  const startedMs = performance.now()
  let toldMs = startedMs
  const { crashes, checked, lost, unreadable } = await run((report) => {
    if (performance.now() - toldMs < PROGRESS_MS) return
    toldMs = performance.now()
    console.log(`${storage}, ${what}: ${report.crashes} of ${times}`)
  })
  for (const fault of [...lost.slice(0, MAX_TOLD), ...unreadable.slice(0, MAX_TOLD)]) console.error(fault)
  return {
    storage,
    what,
    crashes,
    'acknowledged writes checked': checked,
    lost: lost.length,
    unreadable: unreadable.length,
    seconds: Math.round((performance.now() - startedMs) / 1_000),
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (text !== '' && Number.isInteger(value) && value >= 0) return value
  throw new RangeError(`--${name} must be a whole number of at least 0, not ${JSON.stringify(text)}`)
}

function checkKind(name: string): KillKind {
  if (Object.hasOwn(CUTS, name)) return name as KillKind
  throw new RangeError(`--only must name some of ${Object.keys(CUTS).join(', ')}, not ${JSON.stringify(name)}`)
}

// Timers of a storage keep no process alive, and this one has nothing else while it waits for a replay.
setInterval(() => undefined, 1_000)
main().then(
  // Simulated processes that were killed still hold timers.
  (isWhole) => process.exit(isWhole ? 0 : 1),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  },
)
