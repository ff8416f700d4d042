import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FailoverStorage } from './failover-storage.js'
import { FileStorage } from './file-storage.js'
import { SqliteStorage } from './sqlite.js'
import type { Storage } from './storage.js'
import { outputOf, startChild } from './test-support/child.js'
import { describeSqlite } from './test-support/sqlite-describe.js'

/** How often each storage is killed; `EVENKEEL_KILLS=1000` for a long night. */
const KILLS = Number(process.env['EVENKEEL_KILLS'] ?? 15)
const SEED = Number(process.env['EVENKEEL_SEED'] ?? Math.floor(Math.random() * 2 ** 32))

/** mulberry32: small, and the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

describe(`kill -9 (seed ${SEED})`, () => {
  const random = randomFrom(SEED)
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'evenkeel-kill-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  /** Lets a child write, kills it after some acknowledgements, and says what it had said. */
  async function writeAndKill(
    kind: string,
    path: string,
    startAt: number,
  ): Promise<{ begun: number; acked: number[] }> {
    const killAfter = 1 + Math.floor(random() * 300)
    const child = startChild('crash-child.ts', kind, path, String(startAt))
    let acks = 0
    child.stdout?.on('data', (text: Buffer) => {
      acks += text.toString().split('A ').length - 1
      if (acks >= killAfter) child.kill('SIGKILL')
    })
    const { stdout, stderr } = await outputOf(child)
    expect(`${stdout.match(/^E .*/m)?.[0] ?? ''}${stderr}`).toBe('')
    const numbers = (letter: string): number[] =>
      [...stdout.matchAll(new RegExp(`^${letter} (\\d+)$`, 'gm'))].map((match) => Number(match[1]))
    return { begun: Math.max(startAt, ...numbers('S')), acked: numbers('A') }
  }

  /** Every acknowledged write is there, unless a later one replaced it, and no batch is there by half. */
  async function expectAcknowledged(
    storage: Storage,
    acked: ReadonlyMap<number, number>,
    begun: number,
  ): Promise<void> {
    const numbers = storage.collection<number>('numbers')
    const twins = storage.collection<number>('twins')
    for (let slot = 0; slot < 10; slot++) {
      const stored = (await numbers.get(`k${slot}`)) ?? 0
      expect(stored).toBeGreaterThanOrEqual(acked.get(slot) ?? 0)
      expect(stored).toBeLessThanOrEqual(begun)
      expect(await twins.get(`k${slot}`)).toBe(stored === 0 ? undefined : stored)
    }
  }

  async function openFailover(path: string): Promise<FailoverStorage> {
    const primary = new SqliteStorage({ path: `${path}.db` })
    const quick = { probeIntervalMs: 3, steadyProbes: 1, cooldownMs: 0 }
    const storage = new FailoverStorage({ primary, path, writers: 'one', ...quick })
    const replayed = new Promise((resolve) => storage.once('replayed', resolve))
    await storage.start()
    if (storage.state.on === 'fallback') await replayed
    expect(storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
    return storage
  }

  function losesNothing(kind: string, open: (path: string) => Promise<Storage>): void {
    it(
      `loses no acknowledged write: ${kind}, ${KILLS} times`,
      async () => {
        const path = join(directory, kind)
        const acked = new Map<number, number>()
        let begun = 0
        for (let i = 0; i < KILLS; i++) {
          const told = await writeAndKill(kind, path, begun + 1)
          begun = told.begun
          for (const n of told.acked) acked.set(n % 10, Math.max(acked.get(n % 10) ?? 0, n))
          const storage = await open(path)
          await expectAcknowledged(storage, acked, begun)
          await storage.stop()
        }
        expect(acked.size).toBeGreaterThan(0)
      },
      KILLS * 10_000,
    )
  }

  losesNothing('file', async (path) => new FileStorage({ path }))
  describeSqlite('over SQLite', () => {
    losesNothing('sqlite', async (path) => new SqliteStorage({ path: `${path}.db` }))
    losesNothing('failover', openFailover)
  })
})

describeSqlite('two processes on one SQLite database', () => {
  it('lose no update of 200 each', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'evenkeel-two-'))
    const path = join(directory, 'shared.db')
    const children = [startChild('update-child.ts', path, '200'), startChild('update-child.ts', path, '200')]
    const outputs = await Promise.all(children.map(outputOf))
    expect(outputs.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ])
    const storage = new SqliteStorage({ path })
    expect(await storage.collection('numbers').get('n')).toBe(400)
    await storage.stop()
    await rm(directory, { recursive: true })
  })
})
