import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlueGreen, memoryState } from '@evenkeel/blue-green'
import { childProcessSlot, workerThreadSlot, type Slot } from '@evenkeel/blue-green/workers'
import { bundle } from '../flags/bundle.js'
import { Child } from './child.js'
import { quantile } from './quantile.js'
import type { PlatformNews, PlatformOrder } from './switching/messages.js'

const IN_PROCESS = 500
const WITH_WORKERS = 200
const THROUGH_A_STORE = 15
const PER_SECOND = 500
/** Events that come in the very tick in which it is decided. */
const AT_ONCE = 8

/** From the decision to roll back to the last event that begins on the new version. */
export async function rollback(): Promise<void> {
  console.log('\nrollback: from the decision to the last event that begins on the new version')
  await inProcess()
  const entry = await bundle('blue-green/wire/timed-version')
  const options = { entry, effects: 'atMostOnce' } as const
  await withWorkers('child processes', () => childProcessSlot<string, string>(options))
  await withWorkers('threads', () => workerThreadSlot<string, string>(options))
  await throughAStore()
}

async function inProcess(): Promise<void> {
  let isDecided = false
  let late = 0
  let served = 0
  const blueGreen = new BlueGreen({
    versions: {
      v1: async (_guildId: string) => undefined,
      v2: async (_guildId: string) => {
        served += 1
        if (isDecided) late += 1
      },
    },
    initial: 'v1',
    context: (guildId) => ({ eventId: null, guildId }),
    store: memoryState(),
  })
  const events = (): Promise<unknown[]> =>
    Promise.all(Array.from({ length: AT_ONCE }, (_, i) => blueGreen.handle(String(i))))
  for (let round = 0; round < IN_PROCESS; round++) {
    isDecided = false
    const deployment = await blueGreen.deploy('v2', { percentages: [100], stepMs: 3_600_000, retry: true })
    const before = events()
    const rolledBack = deployment.rollback()
    isDecided = true
    const after = [events()]
    await Promise.resolve()
    after.push(events())
    await Promise.all([before, rolledBack, ...after])
  }
  await blueGreen.stop()
  console.log(`  in process        ${late} events after the decision, ${IN_PROCESS} rollbacks, ${served} events before`)
}

/** The owner of the connection decides, while events come steadily, and some in this very tick. */
async function withWorkers(title: string, make: () => Slot<string, string>): Promise<void> {
  const blueGreen = new BlueGreen({
    versions: { v1: make(), v2: make() },
    initial: 'v1',
    context: (guildId) => ({ eventId: null, guildId }),
    store: memoryState(),
  })
  await blueGreen.start()
  const lateMs: number[] = []
  let late = 0
  for (let round = 0; round < WITH_WORKERS; round++) {
    const deployment = await blueGreen.deploy('v2', { percentages: [100], stepMs: 3_600_000, retry: true })
    const answers: Promise<string>[] = []
    const come = (): void => void answers.push(blueGreen.handle('1') as Promise<string>)
    const traffic = setInterval(come, 1_000 / PER_SECOND)
    await sleep(20 + (round % 7))
    const sentBefore = answers.length + AT_ONCE
    for (let i = 0; i < AT_ONCE; i++) come()
    const decidedNs = process.hrtime.bigint()
    const rolledBack = deployment.rollback()
    await sleep(20)
    clearInterval(traffic)
    await rolledBack
    // Those that came later went to the old version.
    const begunNs = (await Promise.all(answers.slice(0, sentBefore))).map(BigInt)
    const after = begunNs.map((atNs) => Number(atNs - decidedNs) / 1e6).filter((ms) => ms > 0)
    late += after.length
    lateMs.push(Math.max(0, ...after))
  }
  await blueGreen.stop()
  const at = (ratio: number): string => quantile(lateMs, ratio).toFixed(2)
  console.log(
    `  ${title.padEnd(17)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms; ${WITH_WORKERS} rollbacks, ${(late / WITH_WORKERS).toFixed(1)} events each, ${AT_ONCE} of which came in that tick`,
  )
}

/** The old process takes the events back from the new one, with a store between the two. */
async function throughAStore(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const platform = new Child(await bundle('blue-green/switching/platform'))
  const { port } = await platform.heard<{ port: number }>()
  const ask = (order: PlatformOrder): Promise<PlatformNews> => platform.ask(order)
  const file = await bundle('blue-green/switching/gapless-bot')
  const lateMs: number[] = []
  const bots: Child[] = []
  let begun = 0
  try {
    for (const version of ['v1', 'v2']) {
      const bot = new Child(file, [String(port), join(directory, 'bot.db'), version])
      bots.push(bot)
      await bot.heard()
    }
    platform.send({ order: 'traffic', perSecond: PER_SECOND } satisfies PlatformOrder)
    // They take turns: whoever takes over is the old one, and the other the new one.
    for (let round = 0; round < THROUGH_A_STORE; round++) {
      const [old, other] = [bots[round % 2], bots[(round + 1) % 2]] as [Child, Child]
      await sleep(500 + round * 31)
      const { atNs } = await old.ask<{ atNs: string }>('take over')
      await sleep(200)
      const last = (await ask({ order: 'begun', by: String(other.pid) })) as { lastNs: string | null; begun: number }
      begun += last.begun
      lateMs.push(Math.max(0, Number(BigInt(last.lastNs ?? atNs) - BigInt(atNs)) / 1e6))
    }
  } finally {
    for (const each of [...bots, platform]) await each.end()
    await rm(directory, { recursive: true, force: true })
  }
  if (begun === 0) throw new Error('The new process had no event at all')
  const at = (ratio: number): string => quantile(lateMs, ratio).toFixed(0)
  console.log(
    `  through SQLite    p50 ${at(0.5)} ms, at most ${at(1)} ms; ${THROUGH_A_STORE} take-overs between two processes (lease 3,000 ms, heartbeat 500 ms)`,
  )
}
