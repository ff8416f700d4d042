import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Evidence } from './evidence.js'
import type { RolloutRecord } from './rollout-record.js'

/** A process of the bot, and all that it says. */
class Child {
  readonly lines: string[] = []
  stderr = ''
  readonly #process: ChildProcess
  readonly ended: Promise<void>

  constructor(path: string, name: string) {
    const program = fileURLToPath(new URL('../test-support/rollout-child.ts', import.meta.url))
    // Node 22 calls its own SQLite experimental, on the standard error.
    const node = ['--disable-warning=ExperimentalWarning', '--import', 'tsx', '--conditions=@evenkeel/source']
    this.#process = spawn(process.execPath, [...node, program, path, name], { stdio: ['ignore', 'pipe', 'pipe'] })
    let rest = ''
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      this.lines.push(...lines)
    })
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise((resolve) => this.#process.once('close', () => resolve()))
  }

  async says(line: string | RegExp): Promise<void> {
    for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 20) {
      if (this.lines.some((each) => (typeof line === 'string' ? each === line : line.test(each)))) return
      await sleep(20)
    }
    throw new Error(`It never said ${line}, but: ${this.lines.join(' | ')} ${this.stderr}`)
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }
}

const hasSqlite = await findSqlite()

describe.skipIf(!hasSqlite)('two processes with one SQLite database', () => {
  it('go on where they were when the one that drives is killed in the middle of a phase', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'evenkeel-rollout-'))
    const path = join(directory, 'bot.db')
    const first = new Child(path, 'first')
    await first.says('STARTED first')
    await first.says('CONTROLLER DRIVING')
    const second = new Child(path, 'second')
    await second.says('STARTED second')
    await first.says(/^TOLD newSearch#2 RUNNING half$/)
    await sleep(1_000)
    first.kill('SIGKILL')
    await first.ended
    const storage = new SqliteStorage({ path })
    const read = async (): Promise<RolloutRecord> => {
      return (await storage.collection<RolloutRecord>('evenkeel').get('rollout/newSearch')) as RolloutRecord
    }
    const evidenceOf = async ({ evidence }: RolloutRecord): Promise<Evidence> => {
      return (await storage.collection<Evidence>('evenkeel').get(evidence ?? '')) as Evidence
    }
    const killed = await read()
    expect(killed.run).toMatchObject({ state: 'RUNNING', phaseName: 'half' })
    expect(killed.run.healthyMs).toBeGreaterThan(0)
    const known = await evidenceOf(killed)

    await second.says('CONTROLLER DRIVING')
    const taken = await read()
    expect(taken.token).toBe(killed.token + 1)
    expect(taken.run).toMatchObject({ phaseName: 'half', share: killed.run.share })
    // The time in which nobody drove is not counted: the record stood still for a second.
    expect(taken.run.healthyMs - killed.run.healthyMs).toBeLessThan(900)
    expect(taken.evidence).toBe(killed.evidence)
    expect(Object.keys(known.counted)).toHaveLength(2)

    await second.says('ENDED COMPLETE 100')
    await second.ended
    expect(second.stderr).toBe('')
    const told = [...first.lines, ...second.lines].filter((line) => line.startsWith('TOLD'))
    expect(told).toEqual([
      'TOLD newSearch#1 RUNNING testers',
      'TOLD newSearch#2 RUNNING half',
      'TOLD newSearch#3 RUNNING all',
      'TOLD newSearch#4 COMPLETE all',
    ])
    const ended = await read()
    expect([ended.run.state, ended.run.share.percentage, ended.owner]).toEqual(['COMPLETE', 100, null])
    // What is over keeps no counts, and nobody has left anything behind.
    expect((await evidenceOf(ended)).counted).toEqual({})
    const kept: string[] = []
    for await (const { key } of storage.collection('evenkeel').scan({ prefix: 'rollout/newSearch/evidence/' }))
      kept.push(key)
    expect(kept).toEqual([ended.evidence])
    await storage.stop()
    await rm(directory, { recursive: true })
  }, 120_000)
})

/** Whether this machine has SQLite for this Node. In continuous integration it must have, so there nothing is left out. */
async function findSqlite(): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-sqlite-'))
  const storage = new SqliteStorage({ path: join(directory, 'try.db') })
  try {
    await storage.collection('try').get('it')
    return true
  } catch (error) {
    if (process.env['CI'] !== undefined) return true
    console.warn(`TESTS OF SQLITE ARE SKIPPED: ${String(error)}`)
    return false
  } finally {
    await storage.stop()
    await rm(directory, { recursive: true })
  }
}
