import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlueGreen, memoryState, type StateStore } from '@evenkeel/blue-green'
import { FileStorage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { quantile } from './quantile.js'

const ROUNDS = 60
const plan = { percentages: [1, 10, 50, 100], stepMs: 3_600_000, retry: true } as const

/** What it takes to write a transition down, beside what the disk takes for as many bytes. */
export async function journal(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  try {
    console.log(`\njournal: a deployment in ${plan.percentages.length} steps and its rollback, ${ROUNDS} times`)
    const sqlite = new SqliteStorage({ path: join(directory, 'bot.db') })
    const file = new FileStorage({ path: join(directory, 'bot') })
    await measured('memory', memoryState(), directory)
    await measured('SQLite', sqlite.collection('evenkeel'), directory)
    await measured('FileStorage', file.collection('evenkeel'), directory)
    await sqlite.stop()
    await file.stop()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function measured(title: string, store: StateStore, directory: string): Promise<void> {
  const tookMs: number[] = []
  const promotedMs: number[] = []
  const floorMs: number[] = []
  const bytes: number[] = []
  const fd = openSync(join(directory, 'floor'), 'a')
  /** Takes turns with the store, on the same disk. */
  const floor = (value: unknown): void => {
    const line = Buffer.from(`${JSON.stringify(value)}\n`)
    const beganMs = performance.now()
    writeSync(fd, line)
    fdatasyncSync(fd)
    floorMs.push(performance.now() - beganMs)
    bytes.push(line.length)
  }
  const timed: StateStore = {
    scope: store.scope,
    entry: (key) => store.entry(key),
    async compareAndSet(key, expected, value) {
      const beganMs = performance.now()
      const written = await store.compareAndSet(key, expected, value)
      tookMs.push(performance.now() - beganMs)
      floor(value)
      return written
    },
  }
  const blueGreen = new BlueGreen({
    versions: { v1: (_guildId: string) => undefined, v2: (_guildId: string) => undefined },
    initial: 'v1',
    context: (guildId) => ({ eventId: null, guildId }),
    store: timed,
  })
  for (let round = 0; round < ROUNDS; round++) {
    const deployment = await blueGreen.deploy('v2', plan)
    for (let step = 1; step < plan.percentages.length; step++) {
      const [beganMs, floors] = [performance.now(), floorMs.length]
      await deployment.promote()
      const elsewhere = floorMs.slice(floors).reduce((sum, ms) => sum + ms, 0)
      promotedMs.push(performance.now() - beganMs - elsewhere)
    }
    await deployment.rollback({ why: 'a benchmark' })
  }
  await blueGreen.stop()
  closeSync(fd)
  const size = `${Math.min(...bytes)} to ${Math.max(...bytes)} bytes`
  console.log(`  ${title.padEnd(12)} a record     ${shown(tookMs)}; ${tookMs.length} of ${size}`)
  console.log(`  ${' '.repeat(12)} floor        ${shown(floorMs)}; as many bytes appended, fdatasync`)
  console.log(`  ${' '.repeat(12)} a promotion  ${shown(promotedMs)}; the store is asked, then told: two records`)
}

function shown(ms: readonly number[]): string {
  const at = (ratio: number): string => quantile(ms, ratio).toFixed(2)
  return `p50 ${at(0.5)} ms (quartiles ${at(0.25)} .. ${at(0.75)}), p99 ${at(0.99)} ms`
}
