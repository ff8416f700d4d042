import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { Lease, runOnce } from '../lease.js'
import type { Storage } from '../storage.js'
import { holdProcess } from '../system-clock.js'
import { openShared, type Shared } from './lease-store.js'

/** A process among several that share a store and compete. It begins at SIGUSR2, and tells what it does. */
const [what = '', kind = '', address = '', detail = ''] = process.argv.slice(2)

const LEASE_MS = 400

function say(...words: readonly (string | number | boolean)[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

async function main(): Promise<void> {
  const storage = await openShared(kind as Shared, address)
  await storage.start()
  const ending = new AbortController()
  process.once('SIGTERM', () => ending.abort())
  // The one who started this process decides when the race begins.
  const letGo = holdProcess()
  const begins = new Promise<void>((resolve) => process.once('SIGUSR2', () => resolve()))
  say('READY')
  await begins
  letGo()
  if (what === 'count') await count(storage, ending.signal)
  if (what === 'jobs') await runJobs(storage, detail, { leaseMs: 30_000, waitMs: 0 })
  if (what === 'jobs-of-the-dead') await runJobs(storage, detail, { leaseMs: LEASE_MS, waitMs: 10_000 })
  await storage.stop()
}

/**
 * Counts up for as long as it holds the lease, by writes that only the fence protects: the new number is computed here,
 * and written whatever is there by then. SIGUSR2 freezes it at the worst moment, and SIGTERM ends it.
 */
async function count(storage: Storage, ending: AbortSignal): Promise<void> {
  const lease = new Lease({ store: storage.collection('evenkeel'), name: 'counter', leaseMs: LEASE_MS })
  const numbers = storage.collection<number>('numbers')
  let turns = 0
  let isToFreeze = false
  process.on('SIGUSR2', () => (isToFreeze = true))
  while (!ending.aborted) {
    const term = await lease.acquire({ waitMs: Infinity, signal: ending }).catch(() => undefined)
    if (term === undefined) break
    try {
      const fence = term.fence()
      const n = ((await numbers.get('n')) ?? 0) + 1
      if (isToFreeze) freezeNow()
      isToFreeze = false
      const value = { token: term.token, pid: process.pid }
      await storage.batch([
        fence,
        { type: 'set', collection: 'numbers', key: 'n', value: n },
        { type: 'set', collection: 'log', key: String(n).padStart(6, '0'), value },
      ])
      say('WROTE', n, term.token)
    } catch (error) {
      say('REFUSED', String((error as { code?: unknown }).code), `held=${term.isHeld}`)
    }
    await nextTurn()
    // Some turns are given back in peace, so that others get theirs.
    if (++turns % 25 === 0) await lease.stop()
  }
  await lease.stop()
}

/** Stands still until it is told to go on. By its own hand, as then no transaction of SQLite is open that blocks others. */
function freezeNow(): void {
  say('FREEZES')
  process.kill(process.pid, 'SIGSTOP')
}

/** Asks for every job, in an order of its own, and leaves a mark for each run. */
async function runJobs(storage: Storage, order: string, times: { leaseMs: number; waitMs: number }): Promise<void> {
  const store = storage.collection('evenkeel')
  const marks = storage.collection('marks')
  for (const id of order.split(',')) {
    const run = async ({ attempt, token }: { attempt: number; token: number }): Promise<void> => {
      await marks.set(`${id} ${process.pid} ${token}`, attempt)
      say('BEGAN', id, attempt)
      await sleep(10)
      await marks.set(`${id} ${process.pid} ${token} end`, attempt)
    }
    try {
      say('OUTCOME', id, (await runOnce({ store, id, run, ...times })).status)
    } catch (error) {
      // A machine that is busy enough takes a short lease away.
      if ((error as { code?: unknown }).code !== 'STORAGE_LEASE_LOST') throw error
      say('OUTCOME', id, 'lost')
    }
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
