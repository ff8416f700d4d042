import type { Storage } from '../storage.js'
import { CrashFiles, type CrashKind } from './crash-files.js'
import { openFileStore } from './file-store.js'
import { emptyReport, type CrashReport } from './power-cut-report.js'
import { below, oneOf, randomFrom, type Random } from './random.js'
import { ToldWrites } from './told-writes.js'

/** Power cuts that one store goes through. */
const LIVES = 4
/** The most steps of the disk that a store lives. */
const MAX_STEPS = 120

/** Cuts the power of file stores that are being written to, and looks what is left. */
export async function cutFileStores(
  seed: number,
  cuts: number,
  onCut?: (report: CrashReport) => void,
): Promise<CrashReport> {
  const report = emptyReport()
  const random = randomFrom(seed)
  while (report.crashes < cuts) {
    const storeSeed = below(random, 2 ** 32)
    await cutOneStore(storeSeed, Math.min(LIVES, cuts - report.crashes), report)
    onCut?.(report)
  }
  return report
}

async function cutOneStore(seed: number, lives: number, report: CrashReport): Promise<void> {
  const random = randomFrom(seed)
  const files = new CrashFiles()
  files.chance = random
  const told = new ToldWrites()
  const compactBytes = oneOf(random, [300, 3_000, 1_000_000])
  for (let life = 1; life <= lives; life++) {
    files.crashAt = 1 + below(random, MAX_STEPS)
    // A step that fails before, such as a sync, leaves what a later crash must not bring back or take away.
    if (random() < 0.3) files.failAt = 1 + below(random, files.crashAt)
    await writeUntilDead(openFileStore(files, compactBytes).storage, files, told, random)
    const at = `store ${seed}, life ${life}, step ${files.steps}: ${files.log.at(-1)}`
    // What a kill leaves is in the cache of the system only, where a later power cut finds it.
    files.reboot(crashFrom(random))
    report.crashes++
    try {
      const events = await look(files, compactBytes, told, at, report, random)
      if (events.includes('quarantined')) report.unreadable.push(`${at}: took it for damage`)
      // What was put right must be right from then on.
      const later = await look(files, compactBytes, told, `${at}, opened again`, report, random)
      if (later.length > 0) report.unreadable.push(`${at}: was not whole after it had been repaired`)
    } catch (error) {
      report.unreadable.push(`${at}: ${String(error)}`)
      break
    }
  }
  report.checked += told.checked
}

/** Opens the store, compares it with what was said, and lets it crash. */
async function look(
  files: CrashFiles,
  compactBytes: number,
  told: ToldWrites,
  at: string,
  report: CrashReport,
  random: Random,
): Promise<string[]> {
  const { storage, events } = openFileStore(files, compactBytes)
  await storage.start()
  report.lost.push(...(await told.verify(storage)).map((each) => `${at}: ${each}`))
  const { problems } = await storage.check()
  report.unreadable.push(...problems.map((problem) => `${at}: ${problem}`))
  // What it showed must be there from then on, whatever happens.
  files.reboot(crashFrom(random))
  return events
}

/** Writes one by one and several at a time, short and long values, over one another, and deletes. */
async function writeUntilDead(storage: Storage, files: CrashFiles, told: ToldWrites, random: Random): Promise<void> {
  while (!files.isDead) {
    // Each key once at a time.
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'].filter(() => random() < 0.4)
    const writes = keys.map((key) => [key, valueFrom(random)] as const)
    if (random() < 0.3) await told.write(storage, writes, () => files.isDead)
    else await Promise.all(writes.map((write) => told.write(storage, [write], () => files.isDead)))
    if (writes.length === 0) await storage.health().catch(() => undefined)
    if (random() < 0.03) await storage.stop().catch(() => undefined)
    if (random() < 0.5) await storage.start().catch(() => undefined)
  }
  await storage.stop().catch(() => undefined)
}

function crashFrom(random: Random): CrashKind {
  return random() < 0.5 ? 'kill' : 'power cut'
}

function valueFrom(random: Random): unknown {
  if (random() < 0.15) return undefined
  return {
    n: below(random, 1e9),
    text: oneOf(random, ['x', ' ', '\u0000é']).repeat(oneOf(random, [1, 50, 600, 3_000])),
  }
}
