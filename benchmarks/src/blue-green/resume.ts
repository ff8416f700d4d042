import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { BlueGreen, memoryState, type StateStore } from '@evenkeel/blue-green'
import { FileStorage } from '@evenkeel/storage-adapter'

/** Starts from a file that wait for the disk side by side. */
const AT_ONCE = 16

type Bot = BlueGreen<Record<'v1' | 'v2' | 'v3', (guildId: string) => void>>

/** How many of the damaged ones met which end. */
type Tally = Map<string, number>

/** What becomes of a deployment whose record, or whose file, lost its end or had one bit flipped: counted, not timed. */
export async function resume(): Promise<void> {
  console.log('\nresume: from damaged records and files')
  const records = await recordsOfDeployments()
  const cut: Tally = new Map()
  const flipped: Tally = new Map()
  for (const text of records) {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at++) {
      count(cut, await startWith(text, bytes.subarray(0, at)))
      for (let bit = 0; bit < 8; bit++) count(flipped, await startWith(text, withFlip(bytes, at, bit)))
    }
  }
  const sizes = `${records.length} records of ${Math.min(...lengths(records))} to ${Math.max(...lengths(records))} bytes`
  console.log(`  ${sizes}, handed out by a store`)
  tell('cut at each byte', cut)
  tell('each bit flipped', flipped)
  await resumeFromFiles()
}

/** What a store holds after each transition of one deployment that is completed, and of one that is rolled back. */
async function recordsOfDeployments(): Promise<string[]> {
  const memory = memoryState()
  const records = new Map<string, string>()
  const store: StateStore = {
    scope: memory.scope,
    entry: (key) => memory.entry(key),
    async compareAndSet(key, expected, value) {
      const written = await memory.compareAndSet(key, expected, value)
      // One of each state: some are written twice.
      records.set(JSON.stringify((value as { state: unknown }).state), JSON.stringify(value))
      return written
    },
  }
  const blueGreen = makeBlueGreen(store)
  await advance(blueGreen)
  const second = await blueGreen.deploy('v3', { percentages: [50, 100], stepMs: 3_600_000, first: ['7', '8'] })
  await second.rollback({ why: 'the users complain' })
  await blueGreen.stop()
  return [...records.values()]
}

/** To its end: at the last step, `promote` completes it. */
async function advance(blueGreen: Bot): Promise<void> {
  const deployment = await blueGreen.deploy('v2', { percentages: [1, 10, 50, 100], stepMs: 3_600_000 })
  while (blueGreen.deployment !== undefined && deployment.status.phase !== 'COMPLETE') await deployment.promote()
  await deployment.finished
}

function makeBlueGreen(store: StateStore): Bot {
  const handle = (_guildId: string): void => undefined
  return new BlueGreen({
    versions: { v1: handle, v2: handle, v3: handle },
    initial: 'v1',
    context: (guildId) => ({ eventId: null, guildId }),
    store,
    drainMs: 100,
  })
}

/** A start on a damaged record: what it says, and whether it left the record alone. */
async function startWith(whole: string, bytes: Buffer): Promise<string> {
  let value: unknown = bytes.toString()
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    // A store of JSON would not hand it out; one of text would.
  }
  let isOverwritten = false
  const blueGreen = makeBlueGreen({
    scope: 'process',
    entry: () => Promise.resolve({ value, version: '1' }),
    compareAndSet: () => {
      isOverwritten = true
      return Promise.resolve({ version: '2' })
    },
  })
  try {
    await blueGreen.start()
    await blueGreen.stop()
    // The last of seventeen digits may make no difference.
    if (isDeepStrictEqual(value, JSON.parse(whole))) return 'read, for it is another way to write the same'
    return 'TAKEN FOR WHOLE'
  } catch (error) {
    if (isOverwritten) return 'REFUSED, BUT OVERWRITTEN'
    if (blueGreen.status.active !== 'v1') return 'REFUSED, BUT ANOTHER VERSION SERVES'
    return `refused as ${(error as { code?: string }).code}, nothing overwritten, the initial version serves`
  }
}

/** The same with the journal of a file storage on the disk, which still has the records before. */
async function resumeFromFiles(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  try {
    const storage = new FileStorage({ path: join(directory, 'whole') })
    const blueGreen = makeBlueGreen(storage.collection('evenkeel'))
    await blueGreen.deploy('v2', { percentages: [1, 10, 50, 100], stepMs: 3_600_000 })
    for (let step = 1; step < 4; step++) await blueGreen.deployment?.promote()
    const bytes = await readFile(join(directory, 'whole', 'journal.jsonl'))
    await blueGreen.stop()
    await storage.stop()
    const end = bytes.lastIndexOf('\n') + 1
    const whole = bytes.subarray(0, end)
    const header = whole.indexOf('\n') + 1
    const cut: Tally = new Map()
    const flipped: Tally = new Map()
    const trials: Trial[] = []
    for (let at = header; at < end; at++) {
      trials.push({ tally: cut, damaged: whole.subarray(0, at), intact: at })
      const intact = whole.lastIndexOf('\n', at - 1) + 1
      for (let bit = 0; bit < 8; bit++) trials.push({ tally: flipped, damaged: withFlip(whole, at, bit), intact })
    }
    const lane = async (_: unknown, number: number): Promise<void> => {
      const path = join(directory, `damaged-${number}`)
      for (let trial = trials.pop(); trial !== undefined; trial = trials.pop()) {
        count(trial.tally, await startFrom(path, whole, trial))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    console.log(`  the file of a FileStorage with ${linesOf(whole).length - 1} transitions, ${end} bytes`)
    tell('cut at each byte', cut)
    tell('each bit flipped', flipped)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** A file to start from, and up to where it is the same as before. */
interface Trial {
  readonly tally: Tally
  readonly damaged: Buffer
  readonly intact: number
}

/** A start on a damaged file. */
async function startFrom(path: string, whole: Buffer, { damaged, intact }: Trial): Promise<string> {
  await mkdir(path)
  await writeFile(join(path, 'journal.jsonl'), damaged)
  const storage = new FileStorage({ path })
  const blueGreen = makeBlueGreen(storage.collection('evenkeel'))
  try {
    await blueGreen.start()
    const share = blueGreen.deployment?.status.percentage ?? 0
    // Of the last line that was not touched, or of one behind it.
    const before = shareIn(whole.subarray(0, intact))
    const last = shareIn(whole)
    if (share < before || share > last) return `RESUMED AT ${share} % BETWEEN ${before} AND ${last} %`
    return share === last ? 'resumed at the last share' : 'resumed at the share of the last whole record'
  } catch (error) {
    return `refused as ${(error as { code?: string }).code}`
  } finally {
    await blueGreen.stop()
    await storage.stop()
    await rm(path, { recursive: true })
  }
}

interface CommitLine {
  readonly changes?: readonly { readonly value?: { readonly state: { readonly deployment: Share | null } } }[]
}

interface Share {
  readonly percentage: number
}

/** Green's share after the last whole line. */
function shareIn(bytes: Buffer): number {
  const last = linesOf(bytes.subarray(0, bytes.lastIndexOf('\n') + 1)).at(-1)
  const { changes } = JSON.parse(last ?? '{}') as CommitLine
  return changes?.[0]?.value?.state.deployment?.percentage ?? 0
}

function linesOf(bytes: Buffer): string[] {
  return bytes
    .toString()
    .split('\n')
    .filter((line) => line.trim() !== '')
}

function withFlip(bytes: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}

function lengths(texts: readonly string[]): number[] {
  return texts.map((text) => Buffer.byteLength(text))
}

function count(tally: Tally, end: string): void {
  tally.set(end, (tally.get(end) ?? 0) + 1)
}

function tell(title: string, tally: Tally): void {
  const all = [...tally.values()].reduce((sum, each) => sum + each, 0)
  for (const [end, times] of tally) console.log(`    ${title.padEnd(30)} ${String(times).padStart(7)} of ${all} ${end}`)
}
