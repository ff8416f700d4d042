import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startStandin, type LedgerEvent, type StandinProcess } from '@evenkeel-examples/discord-standin'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BotProcess } from './bot-process.js'

const program = fileURLToPath(new URL('children/discord-session-owner.ts', import.meta.url))

describe('a bot on @discordjs/ws whose session goes from one process to the next under traffic', () => {
  let standin: StandinProcess
  let folder: string
  const bots: BotProcess[] = []

  function bot(version: string, workMs = 0): BotProcess {
    const next = new BotProcess(program, version, standin.api, standin.token, join(folder, 'bot.db'), String(workMs))
    bots.push(next)
    return next
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-session-'))
    // What is handed over is handled; how soon is another promise, and a busy machine keeps none.
    standin = await startStandin({ guilds: 5, ackDeadlineMs: 600_000 })
  })

  afterEach(async () => {
    await Promise.all(bots.splice(0).map((one) => one.end('SIGKILL')))
    await standin.stop()
    rmSync(folder, { recursive: true })
  })

  /** Stops the traffic, and waits until all of it is answered. */
  async function events(): Promise<readonly LedgerEvent[]> {
    await standin.traffic({ perSecond: 0, mix: [] })
    await standin.ask({ name: 'ping', timeoutMs: 60_000 })
    for (;;) {
      const { events } = await standin.ledger()
      if (events.every(({ attempts }) => attempts.length > 0)) return events
    }
  }

  it('answers each command once by one session, while work that has begun ends where it began', async () => {
    const mix = [{ name: 'ping', weight: 1 }]
    let serving = bot('v1', 300)
    await serving.said('OWNER')
    await standin.traffic({ perSecond: 40, mix })
    await serving.said('BEGAN', 20)
    for (const version of ['v2', 'v3']) {
      const next = bot(version, 300)
      await next.said('BEGAN', 20)
      await serving.said('ENDED true')
      expect(serving.lines).toContain('REPLACED')
      serving = next
    }
    // A process manager that stops the old one first: the session waits for the next.
    await serving.end('SIGTERM')
    expect(serving.lines.at(-1)).toMatch(/^ENDED true/)
    const last = bot('v4', 0)
    await last.said('BEGAN', 20)
    for (const { id, attempts } of await events()) expect(attempts, id).toHaveLength(1)
    const { events: all, gateway } = await standin.ledger()
    expect(gateway).toMatchObject({ identifies: 1, resumes: 3 })
    expect(new Set(all.map(({ answer }) => answer))).toEqual(new Set(['v1 1', 'v2 1', 'v3 1', 'v4 1']))
    expect(bots.flatMap(({ lines }) => lines).filter((line) => /^(REPEATED|FAILED|ERROR)/.test(line))).toEqual([])
    // Some commands were under way when the session went on: each was sent to two processes.
    expect(all.some(({ deliveries }) => deliveries > 1)).toBe(true)
  }, 120_000)

  it('loses nothing when the owner is killed, and reports what was under way and runs again', async () => {
    const before = bot('v1', 200)
    await before.said('OWNER')
    await standin.traffic({ perSecond: 50, mix: [{ name: 'ping', weight: 1 }] })
    await before.said('BEGAN', 40)
    await before.end('SIGKILL')
    const after = bot('v2', 0)
    await after.said('BEGAN', 20)
    const all = await events()
    const repeated = after.all('REPEATED').map((line) => line.replace(/^interactionCreate:(\d+) 2$/, '$1'))
    expect(repeated.length).toBeGreaterThan(0)
    for (const { id, answer, attempts } of all) {
      expect(answer, id).toMatch(/^v1 1$|^v2 [12]$/)
      // A second run is reported, whether the first one had answered or not.
      if (attempts.length > 1) expect(repeated).toContain(id)
    }
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 1 })
  }, 120_000)

  it('begins nothing any more when it wakes up and another process has gone on', async () => {
    const before = bot('v1')
    await before.said('OWNER')
    await standin.ask({ name: 'ping', timeoutMs: 60_000 })
    before.signal('SIGUSR2')
    await before.said('STOPS')
    const after = bot('v2')
    await standin.traffic({ perSecond: 50, mix: [{ name: 'ping', weight: 1 }] })
    await after.said('BEGAN', 20)
    before.signal('SIGCONT')
    await before.said('CHANGE membership out')
    await after.said('BEGAN', 60)
    const all = await events()
    expect(before.all('BEGAN')).toHaveLength(1)
    // That one may have been answered, and not yet written down as done, when its process stood still.
    const repeated = after.all('REPEATED').map((line) => line.replace(/^interactionCreate:(\d+) 2$/, '$1'))
    for (const { id, attempts } of all) expect(attempts, id).toHaveLength(repeated.includes(id) ? 2 : 1)
    expect(before.all('BEGAN')[0]).toContain(repeated[0] ?? '')
    expect(repeated.length).toBeLessThanOrEqual(1)
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 1 })
  }, 120_000)

  it('identifies anew where Discord has ended the session, and goes on in it when a connection breaks', async () => {
    const before = bot('v1')
    await before.said('OWNER')
    await before.end('SIGTERM')
    await standin.inject({ kind: 'invalid-session', resumable: false })
    const after = bot('v2')
    await after.said('OWNER')
    expect(after.all('CHANGE').map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'session lost',
      'session new',
    ])
    expect((await standin.ask({ name: 'ping', timeoutMs: 60_000 })).content).toBe('v2 1')
    await standin.inject({ kind: 'drop' })
    expect((await standin.ask({ name: 'ping', timeoutMs: 60_000 })).content).toBe('v2 1')
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 2, refusedResumes: 1, resumes: 1 })
  }, 120_000)

  it('handles an event once that is sent more than once', async () => {
    const one = bot('v1')
    await one.said('OWNER')
    await standin.inject({ kind: 'duplicate-events', times: 3 })
    const { id } = await standin.ask({ name: 'ping', timeoutMs: 60_000 })
    await one.end('SIGTERM')
    expect(one.all('BEGAN')).toEqual([`${id} 1`])
    expect(one.lines.at(-1)).toBe('ENDED true 2')
  }, 120_000)
})
