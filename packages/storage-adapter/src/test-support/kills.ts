import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FailoverStorage } from '../failover/failover-storage.js'
import { FileStorage } from '../file/file-storage.js'
import { SqliteStorage } from '../sqlite.js'
import type { Storage } from '../storage.js'
import { bundleChild, outputOf, type Bundle } from './child.js'
import { emptyReport, type CrashReport } from './power-cut-report.js'
import { below, oneOf, randomFrom, type Random } from './random.js'

/** What can be killed. */
export type KillKind = 'file' | 'sqlite' | 'failover'

/** The most acknowledgements that a process lives for. */
const MAX_ACKS = 300

/** Kills processes that write to one storage, one after another, and looks each time what is left. */
export async function killWriters(
  kind: KillKind,
  seed: number,
  kills: number,
  onKill?: (report: CrashReport) => void,
): Promise<CrashReport> {
  const report = emptyReport()
  const random = randomFrom(seed)
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-kill-'))
  const path = join(directory, kind)
  const writer = await bundleChild('crash-child.ts')
  /** The last acknowledged write of each key. */
  const acknowledged = new Map<number, number>()
  let begun = 0
  try {
    while (report.crashes < kills) {
      const told = await writeAndKill(writer, kind, path, begun + 1, random)
      begun = told.begun
      for (const n of told.acknowledged) acknowledged.set(n % 10, Math.max(acknowledged.get(n % 10) ?? 0, n))
      report.checked += told.acknowledged.length
      report.crashes++
      try {
        const storage = await open(kind, path, report, random)
        report.lost.push(...(await whatIsLost(storage, acknowledged, begun)))
        const { problems } = await storage.check()
        report.unreadable.push(...problems)
        await storage.stop()
      } catch (error) {
        report.unreadable.push(String(error))
      }
      onKill?.(report)
    }
  } finally {
    await writer[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  }
  return report
}

/** Lets a child write, kills it after some acknowledgements, and says what it had said. */
async function writeAndKill(
  writer: Bundle,
  kind: KillKind,
  path: string,
  startAt: number,
  random: Random,
): Promise<{ begun: number; acknowledged: number[] }> {
  const killAfter = 1 + below(random, MAX_ACKS)
  const child = writer.start(kind, path, String(startAt), pickWriters(random))
  let count = 0
  child.stdout?.on('data', (text: Buffer) => {
    count += text.toString().split('A ').length - 1
    if (count >= killAfter) child.kill('SIGKILL')
  })
  const { stdout, stderr } = await outputOf(child)
  const complaint = `${stdout.match(/^E .*/m)?.[0] ?? ''}${stderr}`
  if (complaint !== '') throw new Error(`The writer failed: ${complaint}`)
  const numbers = (letter: string): number[] =>
    [...stdout.matchAll(new RegExp(`^${letter} (\\d+)$`, 'gm'))].map((match) => Number(match[1]))
  return { begun: Math.max(startAt, ...numbers('S')), acknowledged: numbers('A') }
}

/** Every acknowledged write must be there, unless a later one replaced it, and no batch by half. */
async function whatIsLost(
  storage: Storage,
  acknowledged: ReadonlyMap<number, number>,
  begun: number,
): Promise<string[]> {
  const wrong: string[] = []
  const numbers = storage.collection<number>('numbers')
  const twins = storage.collection<number>('twins')
  for (let slot = 0; slot < 10; slot++) {
    const stored = (await numbers.get(`k${slot}`)) ?? 0
    const last = acknowledged.get(slot) ?? 0
    if (stored < last || stored > begun) wrong.push(`k${slot} should be from ${last} to ${begun}, not ${stored}`)
    const twin = (await twins.get(`k${slot}`)) ?? 0
    if (twin !== stored) wrong.push(`k${slot} is ${stored}, and ${twin} in the other collection`)
  }
  return wrong
}

/** A fail-over may be the only writer in one life and one of many in the next. */
function pickWriters(random: Random): 'one' | 'many' {
  return oneOf(random, ['one', 'many'])
}

async function open(kind: KillKind, path: string, report: CrashReport, random: Random): Promise<Storage> {
  if (kind === 'failover') return openFailover(path, report, pickWriters(random))
  const storage = kind === 'file' ? new FileStorage({ path }) : new SqliteStorage({ path: `${path}.db` })
  storage.on('quarantined', ({ message }) => report.unreadable.push(message))
  return storage
}

/** Opens it, and waits until its journal has been replayed to the primary. */
async function openFailover(path: string, report: CrashReport, writers: 'one' | 'many'): Promise<Storage> {
  const primary = new SqliteStorage({ path: `${path}.db` })
  const quick = { probeIntervalMs: 3, steadyProbes: 1, cooldownMs: 0 }
  const storage = new FailoverStorage({ primary, path, writers, ...quick })
  const replayed = new Promise((resolve) => storage.once('replayed', resolve))
  await storage.start()
  if (storage.state.on === 'fallback') await replayed
  const { on, journalLength, conflicts } = storage.state
  if (on !== 'primary' || journalLength > 0 || conflicts > 0) {
    report.unreadable.push(`It is on the ${on} with ${journalLength} to replay and ${conflicts} conflicts`)
  }
  return storage
}
