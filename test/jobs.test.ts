import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BotProcess } from './bot-process.js'

const program = fileURLToPath(new URL('children/bot-with-jobs.ts', import.meta.url))

describe('a bot with jobs whose processes take over, go, and are killed', () => {
  let folder: string
  const bots: BotProcess[] = []

  function bot(version: string, workMs = 0, leaseMs = 10_000): BotProcess {
    const next = new BotProcess(program, version, join(folder, 'bot.db'), String(workMs), String(leaseMs))
    bots.push(next)
    return next
  }

  function said(start: string): string[] {
    const lines = bots.flatMap(({ lines: all }) => all).filter((line) => line.startsWith(start))
    return lines.map((line) => line.slice(start.length + 1))
  }

  /** What the database has: begun runs as `keyed:5 1`, and effects by run. */
  async function ledger(): Promise<{ begun: string[]; done: string[]; sum: number }> {
    const storage = new SqliteStorage({ path: join(folder, 'bot.db') })
    await storage.start()
    const [begun, done]: [string[], string[]] = [[], []]
    for await (const { key } of storage.collection('begun').scan()) begun.push(key)
    for await (const { key } of storage.collection('done').scan()) done.push(key)
    const sum = (await storage.collection<number>('sums').get('stored')) ?? 0
    await storage.stop()
    return { begun, done, sum }
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-jobs-'))
  })

  afterEach(async () => {
    await Promise.all(bots.splice(0).map((one) => one.end('SIGKILL')))
    rmSync(folder, { recursive: true })
  })

  it('runs each due time once while three versions take over from one another and go', async () => {
    let serving = bot('v1')
    await serving.said('RAN stored', 3)
    for (const version of ['v2', 'v3']) {
      const next = bot(version)
      await next.said('OWNER')
      await serving.end('SIGTERM')
      expect(serving.lines.at(-1)).toBe('ENDED true')
      await next.said('RAN stored', 3)
      serving = next
    }
    await serving.end('SIGTERM')
    const { begun, done, sum } = await ledger()
    expect([said('REPEATED'), said('UNFINISHED'), said('FAILED')]).toEqual([[], [], []])
    expect(begun.filter((run) => !run.endsWith(' 1'))).toEqual([])
    expect(new Set(said('BEGAN')).size).toBe(said('BEGAN').length)
    expect(done.sort()).toEqual(begun.filter((run) => !run.startsWith('once')).map((run) => run.slice(0, -2)).sort()) // prettier-ignore
    expect(sum).toBe(done.filter((run) => run.startsWith('stored')).length)
  }, 60_000)

  it('repeats or reports what a process had begun when it was killed, and commits no effect twice', async () => {
    const serving = bot('v1', 250, 1_000)
    await serving.said('RAN stored', 2)
    for (const version of ['v2', 'v3', 'v4']) {
      const next = bot(version, 250, 1_000)
      await next.said('OWNER')
      // The new one works already, and dies in the middle; the old one goes on.
      await next.said('BEGAN stored')
      await next.said('BEGAN once')
      await next.end('SIGKILL')
      const before = serving.lines.length
      while (!serving.lines.slice(before).some((line) => line.startsWith('RAN stored'))) {
        await serving.said('RAN', serving.lines.filter((line) => line.startsWith('RAN')).length + 1)
      }
    }
    await serving.end('SIGTERM')
    const { begun, done, sum } = await ledger()
    // Whatever has no end was repeated or reported.
    const ended = new Set([...said('RAN'), ...said('REPEATED').map((line) => line.replace(/ \d+$/, '')), ...said('UNFINISHED').map((line) => line.replace(/ \d+$/, ''))]) // prettier-ignore
    expect(said('BEGAN').filter((run) => !ended.has(run.replace(/ \d+$/, '')))).toEqual([])
    expect(new Set(said('BEGAN')).size).toBe(said('BEGAN').length)
    expect(begun.filter((run) => run.startsWith('once') && !run.endsWith(' 1'))).toEqual([])
    expect(said('REPEATED').length + said('UNFINISHED').length).toBeGreaterThan(0)
    // Each addition is there once, however often its run began.
    expect(sum).toBe(done.filter((run) => run.startsWith('stored')).length)
    const stored = new Set(begun.filter((run) => run.startsWith('stored')).map((run) => run.replace(/ \d+$/, '')))
    expect(done.filter((run) => run.startsWith('stored')).sort()).toEqual([...stored].sort())
    // On a busy machine one that lives may be silent for longer than its lease; then its run is refused, and nothing else fails.
    expect(said('FAILED').filter((line) => !line.includes("is not this process's any more"))).toEqual([])
  }, 120_000)
})
