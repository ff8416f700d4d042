import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gaplessRestartDefaults } from '@evenkeel/blue-green/restart'
import { startStandin, type Ledger, type StandinProcess } from '@evenkeel-examples/discord-standin'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BotProcess } from './bot-process.js'

const program = fileURLToPath(new URL('children/restarting-bot.ts', import.meta.url))

describe('a bot with the real discord.js whose process is replaced under traffic', () => {
  let standin: StandinProcess
  let folder: string
  const bots: BotProcess[] = []

  function bot(version: string, workMs = 0, ...more: readonly string[]): BotProcess {
    const next = new BotProcess(
      program,
      version,
      standin.api,
      standin.token,
      join(folder, 'bot.db'),
      String(workMs),
      ...more,
    )
    bots.push(next)
    return next
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-restart-'))
    standin = await startStandin({ guilds: 5 })
  })

  afterEach(async () => {
    await Promise.all(bots.splice(0).map((one) => one.end('SIGKILL')))
    await standin.stop()
    rmSync(folder, { recursive: true })
  })

  /** What is wrong with the commands, by the ledger of the platform. */
  function faultsOf({ events }: Ledger): string[] {
    return events.flatMap(({ id, answer, attempts }) => {
      if (answer === undefined) return [`${id} has no answer`]
      return attempts.length === 1 ? [] : [`${id} was answered ${attempts.length} times`]
    })
  }

  it('answers each command once, while three versions take over from one another and go', async () => {
    let serving = bot('v1')
    await serving.said('OWNER')
    await standin.traffic({ perSecond: 100, mix: [{ name: 'ping', weight: 1 }] })
    for (const version of ['v2', 'v3', 'v4']) {
      const next = bot(version)
      await next.said('OWNER')
      await serving.end('SIGTERM')
      expect(serving.lines.at(-1)).toBe('ENDED true true')
      serving = next
    }
    await standin.ask({ name: 'ping' })
    await standin.traffic({ perSecond: 0, mix: [] })
    expect((await standin.ask({ name: 'ping' })).content).toBe('v4 1')
    const ledger = await standin.ledger()
    expect(faultsOf(ledger)).toEqual([])
    expect(new Set(ledger.events.map(({ answer }) => answer))).toEqual(new Set(['v1 1', 'v2 1', 'v3 1', 'v4 1']))
    expect(bots.flatMap(({ lines }) => lines).filter((line) => /^(REPEATED|FAILED)/.test(line))).toEqual([])
  }, 60_000)

  it('with a lease of 1 s, answers each command in time when the new process is killed in the middle of its work', async () => {
    const before = bot('v1')
    await before.said('OWNER')
    const after = bot('v2', 200)
    await after.said('OWNER')
    await standin.traffic({ perSecond: 50, mix: [{ name: 'ping', weight: 1 }] })
    await after.said('BEGAN')
    await after.end('SIGKILL')
    await before.said('REPEATED')
    await standin.traffic({ perSecond: 0, mix: [] })
    await standin.ask({ name: 'ping' })
    const { events } = await standin.ledger()
    const repeated = new Set(before.lines.filter((line) => line.startsWith('REPEATED')).map((line) => line.slice(9)))
    expect(repeated.size).toBeGreaterThan(0)
    for (const { id, answer, attempts } of events) {
      expect(answer, id).toMatch(/^v[12] [12]$/)
      // A second run is reported, whether the first one had answered or not.
      if (attempts.length > 1) expect(repeated).toContain(id)
    }
  }, 60_000)

  it('with the lease of 3 s that it has unless told otherwise, answers what was deferred when the new process is killed', async () => {
    const how = [String(gaplessRestartDefaults.leaseMs), 'defer']
    const before = bot('v1', 0, ...how)
    await before.said('OWNER')
    const after = bot('v2', 600_000, ...how)
    await after.said('OWNER')
    const answers = Array.from({ length: 5 }, () => standin.ask({ name: 'ping' }))
    const isDeferred = async (): Promise<boolean> => {
      const { events } = await standin.ledger()
      return events.length === 5 && events.every(({ acknowledgedAt }) => acknowledgedAt !== undefined)
    }
    while (!(await isDeferred()));
    await after.end('SIGKILL')
    const expected = { answered: true, content: 'v1 2', deferred: true }
    expect(await Promise.all(answers)).toMatchObject(answers.map(() => expected))
  }, 60_000)

  it('answers each command in time, once, by the other process while the session of the owner gets nothing', async () => {
    const before = bot('v1')
    await before.said('OWNER')
    const owner = bot('v2')
    await owner.said('OWNER')
    const { id: silence } = await standin.inject({ kind: 'silence', session: 2 })
    const ask = () => standin.ask({ name: 'ping' })
    const answers = await Promise.all(Array.from({ length: 20 }, ask))
    expect(answers).toMatchObject(answers.map(() => ({ answered: true, content: 'v1 1' })))
    // What was held back comes to it now, and has been handled.
    await standin.clear(silence)
    expect((await ask()).content).toBe('v2 1')
    const { events } = await standin.ledger()
    expect(events.map(({ attempts }) => attempts.length)).toEqual(events.map(() => 1))
    const told = [before, owner]
      .flatMap(({ lines }) => lines)
      .filter((line) => /^(REPEATED|FAILED|CHANGE.*dead)/.test(line))
    expect(told).toEqual([])
  }, 60_000)

  it('answers also what only the old process was sent, which was told to go while its connection was broken', async () => {
    const patient = ['30000']
    const before = bot('v1', 0, ...patient)
    await before.said('OWNER')
    const { id: refusal } = await standin.inject({ kind: 'refuse-gateway' })
    const after = bot('v2', 0, ...patient)
    await after.said('STARTED')
    // Its session is not resumed before the other one has logged in.
    before.signal('SIGSTOP')
    await standin.inject({ kind: 'drop' })
    const answer = standin.ask({ name: 'ping' })
    await standin.clear(refusal)
    await after.said('READY')
    before.signal('SIGCONT')
    await after.said('OWNER')
    await before.end('SIGTERM')
    expect(before.lines.at(-1)).toBe('ENDED true true')
    expect((await answer).content).toBe('v1 1')
    expect((await standin.ask({ name: 'ping' })).content).toBe('v2 1')
    expect(faultsOf(await standin.ledger())).toEqual([])
  }, 60_000)

  it('answers also what came to one that went in the moment in which the other one died with it', async () => {
    const before = bot('v1', 0, '1000', 'defer,hold')
    await before.said('OWNER')
    const after = bot('v2', 60_000, '1000', 'defer')
    await after.said('OWNER')
    const ended = before.end('SIGTERM')
    await before.said('HOLDS')
    const answer = standin.ask({ name: 'ping' })
    await after.said('DEFERRED')
    after.signal('SIGKILL')
    before.signal('SIGUSR2')
    await ended
    expect((await answer).content).toBe('v1 2')
    expect(before.all('REPEATED')).toHaveLength(1)
  }, 60_000)
})
