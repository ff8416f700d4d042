import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from '../flags/bundle.js'
import { Child } from './child.js'
import type { Count, PlatformNews, PlatformOrder } from './switching/messages.js'
import type { Done, Order } from './switching/run-manager.js'

const RUNS = 5
const PER_SECOND = 500
const AROUND_MS = 500
/** When nothing more has been done for so long, nothing will: nobody keeps an event longer before it is taken over. */
const SETTLE_MS = 2_500

/** Bots that are up. */
interface Fleet {
  /** Changes the version, or starts the bot anew. @returns how many of the calls were refused */
  switch(): Promise<number>
  end(): Promise<void>
}

/** Where a run takes place. */
interface Place {
  readonly port: number
  readonly directory: string
}

type Begin = (place: Place) => Promise<Fleet>

const contenders: Record<string, Begin> = {
  'hybrid-sharding rolling': managed('hybrid', ['rolling'], 'switch'),
  'hybrid-sharding gracefulSwitch': managed('hybrid', ['gracefulSwitch'], 'switch'),
  'hybrid-sharding rolling, bot finishes': managed('hybrid', ['rolling', 'finishes'], 'switch'),
  'hybrid-sharding graceful, bot finishes': managed('hybrid', ['gracefulSwitch', 'finishes'], 'switch'),
  'hybrid-sharding rolling, start() twice': managed('hybrid', ['rolling'], 'switch twice'),
  'hybrid-sharding graceful, start() twice': managed('hybrid', ['gracefulSwitch'], 'switch twice'),
  'discord.js respawnAll': managed('sharding', ['500'], 'switch'),
  'discord.js respawnAll, no delay, finishes': managed('sharding', ['1', 'finishes'], 'switch'),
  'evenkeel GaplessRestart': restarted(1),
  'evenkeel GaplessRestart, two at once': restarted(2),
  'evenkeel BlueGreen, functions': owned('function', '', 'switch'),
  'evenkeel BlueGreen, child processes': owned('process', '', 'switch'),
  'evenkeel BlueGreen, threads': owned('thread', '', 'switch'),
  'evenkeel BlueGreen, processes, rollback': owned('process', 'rolls back', 'switch'),
  'evenkeel BlueGreen, processes, deploy twice': owned('process', '', 'switch twice'),
}

/**
 * Events that are lost or handled twice while a bot is restarted, with the tools that there are and with ours: the same traffic,
 * the same work, one ledger in a process of its own.
 */
export async function switching(): Promise<void> {
  console.log(`\nswitching: ${PER_SECOND} events/s, 30 ms of work each, ${RUNS} runs; fewest and most of a run`)
  const only = process.env['EVENKEEL_ONLY']
  for (const [name, begin] of Object.entries(contenders)) {
    if (only !== undefined && !name.includes(only)) continue
    const runs: (Count & { readonly refused: number })[] = []
    for (let i = 0; i < RUNS; i++) runs.push(await run(begin))
    const range = (pick: (one: (typeof runs)[number]) => number): string => {
      const [low, high] = [Math.min(...runs.map(pick)), Math.max(...runs.map(pick))]
      return low === high ? `${low}` : `${low} .. ${high}`
    }
    const lost = `lost ${range((one) => one.lost)} (begun: ${range((one) => one.cutShort)})`
    const rest = `of ${range((one) => one.events)}, slowest ${range((one) => Math.round(one.slowestMs))} ms`
    const left = `${range((one) => new Set(one.sessions).size)} processes, ${range((one) => one.refused)} refused`
    console.log(`  ${name.padEnd(44)} ${lost}, twice ${range((one) => one.twice)}; ${rest}, ${left}`)
  }
}

async function run(begin: Begin): Promise<Count & { readonly refused: number }> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const platform = new Child(await bundle('blue-green/switching/platform'))
  const ask = (order: PlatformOrder): Promise<PlatformNews> => platform.ask(order)
  const { port } = await platform.heard<{ port: number }>()
  const fleet = await begin({ port, directory })
  try {
    platform.send({ order: 'traffic', perSecond: PER_SECOND } satisfies PlatformOrder)
    await sleep(AROUND_MS)
    const refused = await fleet.switch()
    await sleep(AROUND_MS)
    platform.send({ order: 'traffic', perSecond: 0 } satisfies PlatformOrder)
    const count = await settled(ask)
    await fleet.end()
    // Those that nobody manages any more.
    const { count: left } = (await ask({ order: 'count' })) as { count: Count }
    for (const pid of new Set(left.sessions)) endOrphan(pid)
    return { ...count, refused }
  } finally {
    await fleet.end()
    await platform.end()
    await rm(directory, { recursive: true, force: true })
  }
}

/** The count when it stands still. */
async function settled(ask: (order: PlatformOrder) => Promise<PlatformNews>): Promise<Count> {
  for (let last: Count | undefined; ;) {
    const { count } = (await ask({ order: 'count' })) as { count: Count }
    if (last !== undefined && last.lost === count.lost && last.twice === count.twice) return count
    last = count
    await sleep(SETTLE_MS)
  }
}

function endOrphan(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It has just ended, and the platform has not heard of it.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** By a manager in a process of its own, which has processes below it. */
function managed(kind: 'hybrid' | 'sharding', args: readonly string[], order: Order): Begin {
  return async ({ port }) => {
    const bot = await bundle(`blue-green/switching/${kind}-bot`)
    return begun(await bundle(`blue-green/switching/${kind}-manager`), [String(port), bot, ...args], order)
  }
}

/** By the owner of the session, with versions of one kind. */
function owned(kind: 'function' | 'process' | 'thread', ending: string, order: Order): Begin {
  return async ({ port, directory }) => {
    const entry = await bundle('blue-green/switching/version')
    const args = [String(port), join(directory, 'bot.db'), kind, entry, ending]
    return begun(await bundle('blue-green/switching/owner-bot'), args, order)
  }
}

async function begun(file: string, args: readonly string[], order: Order): Promise<Fleet> {
  const manager = new Child(file, args)
  await manager.heard<Done>()
  return {
    async switch() {
      const done = await manager.ask<Exclude<Done, 'up'>>(order)
      return done.refused
    },
    end: () => manager.end(),
  }
}

/** By this process, as a process manager does it: the new one is started beside the old one, which is ended when the new one is up. */
function restarted(newcomers: number): Begin {
  return async ({ port, directory }) => {
    const file = await bundle('blue-green/switching/gapless-bot')
    const start = (version: string): Child => new Child(file, [String(port), join(directory, 'bot.db'), version])
    const all = [start('v1')]
    await all[0]?.heard()
    return {
      async switch() {
        const others = Array.from({ length: newcomers }, (_, i) => start(`v2.${i}`))
        all.push(...others)
        const heard = await Promise.all(others.map((one) => one.heard<{ isRefused: boolean }>()))
        // One of them is to stay.
        for (const one of all.slice(0, -1)) await one.end('SIGTERM')
        return heard.filter(({ isRefused }) => isRefused).length
      },
      end: async () => void (await Promise.all(all.map((one) => one.end()))),
    }
  }
}
