import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findRedis } from '../../../packages/storage-adapter/src/test-support/redis-server.js'
import { asked, forEachFlag } from './asked-flag.js'
import { bundle } from './bundle.js'
import type { Meeting, Sighting } from './follower.js'
import { meet } from './member.js'

const PROCESSES = 4
const CHANGES = 120
/** Changes come at odd times, so that they do not keep step with whoever looks from time to time. */
const PAUSES_MS = [40, 53, 71, 97]

/** How long after a change each of four processes has it in force. */
export async function propagation(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const program = await bundle('flags/follower')
  console.log(`\nflags: one of 100 is changed ${CHANGES} times, and seen by ${PROCESSES} other processes`)
  try {
    await measured('floor: a bare watch of a file', program, { over: 'bare', at: join(directory, 'bare.json') })
    await measured('a file, replaced by renaming', program, { over: 'file', at: join(directory, 'flags.json') })
    await measured('SQLite', program, { over: 'sqlite', at: join(directory, 'flags.db') })
    const server = await findRedis()
    if (server === undefined) return console.warn('  Redis is left out: there is no server')
    try {
      await measured('Redis', program, { over: 'redis', at: server.url })
    } finally {
      const client = new Redis(server.url)
      const rest = await client.keys('{evenkeel-bench-flags}*')
      if (rest.length > 0) await client.del(...rest)
      client.disconnect()
      await server.release()
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** What is told of one change: when each process had it. */
type Sightings = Map<number, bigint[]>

async function measured(title: string, program: string, meeting: Meeting): Promise<void> {
  const writer = await writerFor(meeting)
  const seen: Sightings = new Map()
  const processes: ChildProcess[] = []
  try {
    for (let i = 0; i < PROCESSES; i++) processes.push(await begin(program, meeting, seen))
    await sleep(500)
    const begun: bigint[] = []
    const stored: bigint[] = []
    for (let i = 0; i < CHANGES; i++) {
      const write = await writer.prepare(percentageAt(i))
      begun.push(process.hrtime.bigint())
      await write()
      stored.push(process.hrtime.bigint())
      await sleep(PAUSES_MS[i % PAUSES_MS.length])
    }
    await sleep(1_000)
    const delays = (from: readonly bigint[]): number[] =>
      from.flatMap((at, i) => (seen.get(percentageAt(i)) ?? []).map((sawAt) => Number(sawAt - at) / 1e6))
    const toStore = stored.map((at, i) => Number(at - (begun[i] ?? at)) / 1e6)
    const each = delays(begun)
    console.log(
      `  ${title.padEnd(32)} p50 ${at(each, 0.5)} ms, p99 ${at(each, 0.99)}, at most ${at(each, 1)}; the write itself p50 ${at(toStore, 0.5)}, p99 ${at(toStore, 0.99)}; ${each.length} of ${CHANGES * PROCESSES} seen`,
    )
  } finally {
    await Promise.all(processes.map(end))
    await writer.stop()
  }
}

/** Each change is another percentage, by which it is known. */
function percentageAt(i: number): number {
  return (i + 1) / 10
}

interface Writer {
  /** @returns what makes the change; from its call on it is waited for */
  prepare(percentage: number): Promise<() => void | Promise<void>>
  stop(): Promise<void>
}

async function writerFor(meeting: Meeting): Promise<Writer> {
  if (meeting.over === 'bare' || meeting.over === 'file') {
    const prepare = async (percentage: number): Promise<() => void> => {
      const flags = { ...forEachFlag(() => ({ percentage: 25 })), [asked]: { percentage } }
      await writeFile(`${meeting.at}.new`, JSON.stringify({ flags }))
      return () => renameSync(`${meeting.at}.new`, meeting.at)
    }
    const put = await prepare(25)
    put()
    return { prepare, stop: () => Promise.resolve() }
  }
  const member = await meet(meeting)
  return {
    prepare: async (percentage) => () => member.flags.setPercentage(asked, percentage, { why: 'a benchmark' }),
    stop: () => member.stop(),
  }
}

async function begin(program: string, meeting: Meeting, seen: Sightings): Promise<ChildProcess> {
  const child = fork(program, [JSON.stringify(meeting)])
  await once(child, 'message')
  child.on('message', ({ percentage, atNs }: Sighting) => {
    const instants = seen.get(percentage)
    if (instants === undefined) seen.set(percentage, [BigInt(atNs)])
    else instants.push(BigInt(atNs))
  })
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.send('end')
  await once(child, 'exit')
}

function at(values: readonly number[], ratio: number): string {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) * ratio)] ?? Number.NaN).toFixed(2)
}
