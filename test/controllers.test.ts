import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BotProcess } from './bot-process.js'

const program = fileURLToPath(new URL('children/driving-bot.ts', import.meta.url))

/** What matters here of a record. */
interface Recorded {
  readonly epoch: number
  readonly state: { readonly active: string; readonly deployment: { readonly percentage: number } | null }
}

describe('two processes that drive one deployment', () => {
  let folder: string
  const bots: BotProcess[] = []

  async function bot(name: string): Promise<BotProcess> {
    const next = new BotProcess(program, name, join(folder, 'bot.db'))
    bots.push(next)
    await next.said('STARTED')
    return next
  }

  /** The record as it stands on the disk. */
  async function record(): Promise<Recorded | undefined> {
    const storage = new SqliteStorage({ path: join(folder, 'bot.db') })
    await storage.start()
    const found = await storage.collection<Recorded>('evenkeel').get('blue-green:bot')
    await storage.stop()
    return found
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-controllers-'))
  })

  afterEach(async () => {
    await Promise.all(bots.splice(0).map((one) => one.end('SIGKILL')))
    rmSync(folder, { recursive: true })
  })

  it('are fenced when they stood still in the middle of it, and change nothing when they wake up', async () => {
    const first = await bot('first')
    first.ask('deploy')
    // Whoever is frozen while it writes holds the lock of the file, and nobody else can start.
    while ((await record())?.state.deployment?.percentage !== 50) await first.said('PERCENTAGE 50')
    first.signal('SIGSTOP')
    first.ask('promote')
    const second = await bot('second')
    expect(second.lines).toContain('STARTED second 2')
    second.ask('promote')
    await second.said('PERCENTAGE 100')
    second.ask('promote')
    await second.said('PHASE COMPLETE')
    const ended = await record()
    expect(ended).toMatchObject({ epoch: 2, state: { active: 'v2' } })
    first.signal('SIGCONT')
    await first.said('CONTROLLER FENCED')
    // Refused as fenced or as held, or there is nothing left to promote: that depends on what it comes to first.
    await first.said('DONE promote')
    first.ask('who')
    await first.said('DONE who v2')
    expect(await record()).toEqual(ended)
  }, 60_000)

  it('go on after the first was killed, and the first that comes again drives', async () => {
    const first = await bot('first')
    first.ask('deploy')
    await first.said('PERCENTAGE 50')
    await first.end('SIGKILL')
    const second = await bot('second')
    const third = await bot('third')
    // It has nothing to write, and learns of it all the same.
    await second.said('CONTROLLER FENCED')
    third.ask('roll back')
    await third.said('PHASE ROLLED_BACK')
    await second.said('PHASE ROLLED_BACK')
    second.ask('who')
    await second.said('DONE who v1')
  }, 60_000)
})
