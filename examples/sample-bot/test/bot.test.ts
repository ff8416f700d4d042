import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startStandin, type StandinProcess } from '@evenkeel-examples/discord-standin'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { EventNews } from '@evenkeel/blue-green'
import { createBot, type SampleBot } from '../src/bot.js'
import type { Plans } from '../src/plans.js'
import { webhookChannel } from '@evenkeel/alerts'
import { startInbox } from '../src/demo/inbox.js'
import { breakDatabase } from '../src/demo/sabotage.js'
import { calmTraffic, peakTraffic } from '../src/demo/traffic.js'
import { isClean, judge } from '../src/demo/verdict.js'
import { processOf } from '../src/slots.js'
import { startTranslationService, type TranslationService } from '../src/translation-service.js'

const config = fileURLToPath(new URL('../config', import.meta.url))
const plan = {
  phases: [
    { name: 'some', percentage: 30, targetGuilds: [], durationMs: 300 },
    { name: 'half', percentage: 50, targetGuilds: [], durationMs: 300 },
    { name: 'everybody', percentage: 100, targetGuilds: [], durationMs: 300 },
  ],
  triggers: { responseTimeIncrease: 0.5 },
}
const plans: Plans = { soonestFirst: plan, keepNames: plan }
// The workers of a bot that runs in the tests' own process, which reads TypeScript in a way of its own.
const execArgv = ['--import', import.meta.resolve('tsx'), '--conditions=@evenkeel/source']
const patience = { timeout: 15_000, interval: 20 }

let standin: StandinProcess
let translation: TranslationService
let dataDirectory: string
let inbox: Awaited<ReturnType<typeof startInbox>>
const undo: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'sample-bot-'))
  undo.push(() => rm(dataDirectory, { recursive: true, force: true }))
  standin = await startStandin({ guilds: 20 })
  undo.push(() => standin.stop())
  translation = await startTranslationService()
  undo.push(() => translation.stop())
  inbox = await startInbox()
  undo.push(() => inbox.stop())
})

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

describe('the sample bot in one process', () => {
  let bot: SampleBot

  beforeEach(async () => {
    await copyFile(join(config, 'flags.yaml'), join(dataDirectory, 'flags.yaml'))
    bot = await startBot()
  })

  async function startBot(): Promise<SampleBot> {
    const started = await createBot({
      token: standin.token,
      api: standin.api,
      dataDirectory,
      flagsPath: join(dataDirectory, 'flags.yaml'),
      plans,
      lookIntervalMs: 100,
      translateUrl: translation.url,
      execArgv,
      minDwellMs: 300,
      probeIntervalMs: 100,
      cooldownMs: 300,
      alertChannels: { operators: webhookChannel({ url: inbox.url, secret: inbox.secret, maxPerMinute: 600 }) },
      alertWaitMs: 50,
      healthPort: 0,
      livePort: 0,
    })
    for (const part of started.parts) {
      // No machine is told that the bot has started before the last part of it has.
      if (started.pages?.port !== undefined) {
        expect((await fetch(`http://127.0.0.1:${started.pages.port}/startup`)).status).toBe(503)
      }
      await part.start()
    }
    expect((await fetch(`http://127.0.0.1:${started.pages?.port}/startup`)).status).toBe(200)
    undo.push(() => stopBot(started))
    return started
  }

  async function stopBot({ parts, rollouts }: SampleBot): Promise<void> {
    for (const part of [...parts, ...Object.values(rollouts)].reverse()) await part.stop()
  }

  it('answers each of its commands', async () => {
    const [guild] = standin.guilds
    const who = { guildId: guild?.id ?? '', userId: guild?.memberIds[0] ?? '' }
    const ask = async (name: string, options = {}): Promise<string | null> =>
      (await standin.ask({ ...who, name, options })).content

    expect(await ask('reminders')).toBe('You have no reminders here.')
    expect(await ask('remind', { in: 'soon', text: 'tea' })).toBe('Say when as 10s, 5m, 2h or 1d, a year at most.')
    expect(await ask('remind', { in: '1h', text: 'tea' })).toMatch(/^I will remind you <t:\d+:R>: tea$/)
    expect(await ask('reminders')).toMatch(/: tea$/)
    expect(await ask('leaderboard')).toContain(`<@${who.userId}> 1`)
    expect(await ask('translate', { text: 'hello my friend' })).toBe('ahoy me matey')
    expect(await ask('forget')).toBe('Forgotten: tea')
    expect(await ask('forget')).toBe('There is nothing to forget.')
  })

  it('keeps its promises while the database is away, and brings them home', async () => {
    const sabotage = await breakDatabase(bot.database.path ?? '')
    const first = await standin.ask({ name: 'remind', options: { in: '1s', text: 'tea {id}' } })
    expect(first.content).toMatch(/^I will remind you/)
    expect(bot.storage.state.on).toBe('fallback')
    expect(bot.health.components.get('database')?.status).toBe('degraded')
    const later = await standin.ask({ name: 'remind', options: { in: '1h', text: 'tea {id}' } })
    expect(later.content).toMatch(/^I will remind you/)

    await sabotage.repair()
    await vi.waitFor(() => expect(bot.storage.state.on).toBe('primary'), patience)
    expect(await bot.database.storage.collection('reminders').count()).toBeGreaterThan(0)
    await vi.waitFor(async () => {
      const { messages } = await standin.ledger()
      expect(messages.filter(({ content }) => content.includes(first.id))).toHaveLength(1)
    }, patience)
  })

  it('shows an outage to machines, and tells people of it once, and once of its end', async () => {
    const page = async (name: string): Promise<string> => {
      const port = name === '/live' ? bot.live?.port : bot.pages?.port
      const response = await fetch(`http://127.0.0.1:${port}${name}`)
      return `${response.status} ${await response.text()}`
    }
    await vi.waitFor(async () => expect(await page('/ready')).toMatch(/^200 /), patience)
    expect(await page('/live')).toMatch(/^200 /)

    const sabotage = await breakDatabase(bot.database.path ?? '')
    await standin.ask({ name: 'remind', options: { in: '1h', text: 'tea' } })
    await vi.waitFor(() => expect(inbox.about('database')).toMatchObject({ began: 1, ended: 0 }), patience)
    const metrics = await page('/metrics')
    expect(metrics).toContain('health_component_status{component="database",status="degraded"} 1')
    expect(metrics).toContain('bot_command_duration_seconds_count{command="remind"} 1')

    await sabotage.repair()
    await vi.waitFor(() => expect(inbox.about('database')).toMatchObject({ began: 1, ended: 1 }), patience)
    expect(await page('/metrics')).toContain('health_component_status{component="database",status="up"} 1')
  })

  it('lets optional commands rest while too much is in hand, and serves the others', async () => {
    await standin.traffic({ perSecond: 200, mix: peakTraffic('1s') })
    await vi.waitFor(() => expect(bot.modes.mode).toBe('DEGRADED'), patience)
    expect((await standin.ask({ name: 'translate', options: { text: 'hello' } })).content).toMatch(/taking a break/)
    expect((await standin.ask({ name: 'remind', options: { in: '1h', text: 'x' } })).content).toMatch(/^I will remind/)
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
    await vi.waitFor(() => expect(bot.modes.mode).toBe('FULL'), patience)
    await vi.waitFor(() => expect(bot.load.inFlight).toBe(0), patience)
    expect(judge(await standin.ledger())).toMatchObject({ lost: 0, late: 0, doubled: 0 })
  })

  it('takes a faulty version back, and loses nothing over it', async () => {
    await standin.traffic({ perSecond: 150, mix: calmTraffic('1s') })
    const deployment = await bot.blueGreen.deploy('v3', { percentages: [50, 100], stepMs: 60_000 })
    expect(await deployment.finished).toMatchObject({ outcome: 'ROLLED_BACK' })
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
    await vi.waitFor(() => expect(bot.reminders.pending + bot.load.inFlight).toBe(0), patience)
    const apologised = judge(await standin.ledger()).apologies
    expect(apologised).toBeGreaterThan(0)
    await standin.ask({ name: 'reminders' })
    const verdict = judge(await standin.ledger())
    expect(verdict).toMatchObject({ apologies: apologised })
    expect(isClean(verdict)).toBe(true)
  })

  it('promises nothing and forgets nothing that its version fails to put in words', async () => {
    const [guild] = standin.guilds
    const who = { guildId: guild?.id ?? '', userId: guild?.memberIds[0] ?? '' }
    await standin.ask({ ...who, name: 'remind', options: { in: '1h', text: 'tea' } })
    const first = [who.guildId]
    const deployment = await bot.blueGreen.deploy('v3', { first, percentages: [0, 100], stepMs: 60_000 })
    for (const command of [{ name: 'forget' }, { name: 'remind', options: { in: '1h', text: 'cake' } }]) {
      expect((await standin.ask({ ...who, ...command })).content).toMatch(/^Sorry/)
    }
    expect(bot.reminders.pending).toBe(1)
    await deployment.rollback()
    expect((await standin.ask({ ...who, name: 'reminders' })).content).toMatch(/^<t:\d+:R>: tea$/)
    expect((await standin.ask({ ...who, name: 'forget' })).content).toBe('Forgotten: tea')
    expect(bot.reminders.pending).toBe(0)
  })

  it('answers a command once that Discord sends twice, and forgets one promise for it', async () => {
    const [guild] = standin.guilds
    const who = { guildId: guild?.id ?? '', userId: guild?.memberIds[0] ?? '' }
    await standin.inject({ kind: 'duplicate-events', times: 2 })
    for (const text of ['tea', 'cake']) await standin.ask({ ...who, name: 'remind', options: { in: '1h', text } })
    expect((await standin.ask({ ...who, name: 'forget' })).content).toBe('Forgotten: cake')
    await vi.waitFor(() => expect(bot.blueGreen.status.duplicates).toBe(3), patience)
    await vi.waitFor(() => expect(bot.load.inFlight).toBe(0), patience)
    expect(bot.reminders.pending).toBe(1)
    expect(judge(await standin.ledger())).toMatchObject({ sent: 3, doubled: 0 })
  })

  it('takes a version back whose process dies over a command, and answers that command by the old one', async () => {
    const redelivered: EventNews[] = []
    bot.blueGreen.on('redelivered', (news) => redelivered.push(news))
    await standin.traffic({ perSecond: 60, mix: calmTraffic('1s') })
    const deployment = await bot.blueGreen.deploy('v4', { percentages: [50, 100], stepMs: 60_000 })
    const { outcome, why } = await deployment.finished
    expect([outcome, why]).toEqual(['ROLLED_BACK', '"v4" died: it ended with code 1'])
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
    await vi.waitFor(() => expect(bot.reminders.pending + bot.load.inFlight).toBe(0), patience)
    expect(redelivered).toContainEqual(expect.objectContaining({ from: 'v4', to: 'v1', isRepeat: true }))
    const seen = { apologies: 0, lost: 0, late: 0, doubled: 0, missing: 0, repeated: 0, resurrected: 0, unpromised: 0 }
    expect(judge(await standin.ledger())).toMatchObject(seen)
  })

  it('loses nothing when a process that serves is killed with kill -9, nor when it is the only one', async () => {
    const kill = async (version: 'v1' | 'v2') => process.kill(await processOf(bot.versions[version]), 'SIGKILL')
    await standin.traffic({ perSecond: 60, mix: calmTraffic('1s') })
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000 })
    await kill('v2')
    expect(await deployment.finished).toMatchObject({ outcome: 'ROLLED_BACK' })
    const revived = new Promise((resolve) => bot.blueGreen.on('change', ({ to }) => to === 'up' && resolve(true)))
    await standin.traffic({ perSecond: 20, mix: calmTraffic('1s') })
    await kill('v1')
    await revived
    expect((await standin.ask({ name: 'reminders' })).content).not.toMatch(/^Sorry/)
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
    await vi.waitFor(() => expect(bot.reminders.pending + bot.load.inFlight).toBe(0), patience)
    expect(judge(await standin.ledger())).toMatchObject({ lost: 0, late: 0, doubled: 0, missing: 0, repeated: 0 })
  })

  it('shows with its new features what is due next first, and names as they are', async () => {
    const [guild] = standin.guilds
    const who = { guildId: guild?.id ?? '', userId: guild?.memberIds[0] ?? '' }
    const ask = async (name: string, options = {}): Promise<string | null> =>
      (await standin.ask({ ...who, name, options })).content

    await ask('remind', { in: '2h', text: 'cake' })
    await ask('remind', { in: '1h', text: 'tea' })
    expect(await ask('reminders')).toMatch(/cake[^]*tea/)
    expect(await ask('translate', { text: 'Hello my friend Treasure!' })).toBe('ahoy me matey booty!')
    for (const flag of ['soonestFirst', 'keepNames'] as const) {
      await bot.flags.override(flag, { userId: who.userId }, true, { why: 'a tester' })
    }
    expect(await ask('reminders')).toMatch(/tea[^]*cake/)
    expect(await ask('translate', { text: 'Hello my friend Treasure!' })).toBe('ahoy me matey Treasure!')
  })

  it('follows its file of flags, and keeps to what it said last when it cannot be read', async () => {
    expect(bot.flags.status('medals')).toMatchObject({ state: 'active', percentage: 25 })
    await writeFile(join(dataDirectory, 'flags.yaml'), 'flags: { medals: false }')
    await vi.waitFor(() => expect(bot.flags.status('medals').state).toBe('disabled'), patience)
    const refused: string[] = []
    bot.flags.on('refused', ({ message }) => refused.push(message))
    await writeFile(join(dataDirectory, 'flags.yaml'), 'flags: { medals: fales }')
    await vi.waitFor(() => expect(refused).toEqual([expect.stringContaining('medals')]), patience)
    expect(bot.flags.status('medals').state).toBe('disabled')
  })

  it('rolls a feature out to every member when its calls are as fast as before', async () => {
    await standin.traffic({ perSecond: 150, mix: [{ name: 'reminders', weight: 1 }] })
    const { soonestFirst } = bot.rollouts
    await soonestFirst.start()
    expect(await soonestFirst.finished).toMatchObject({ outcome: 'COMPLETE' })
    expect(bot.flags.status('soonestFirst').percentage).toBe(100)
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
  })

  it('takes a slow feature back before members see a failure, and not again after a restart', async () => {
    await standin.traffic({ perSecond: 30, mix: calmTraffic('1s').filter(({ name }) => name === 'translate') })
    const yields: string[] = []
    bot.modes.on('change', ({ what, message }) => what === 'mode' && yields.push(message))
    bot.admission.on('change', ({ message }) => yields.push(message))
    const { keepNames } = bot.rollouts
    await keepNames.start()
    const { outcome, why } = await keepNames.finished
    expect(outcome).toBe('ROLLED_BACK')
    expect(why).toMatch(/latency.*: the new version has .* times as much.*; (all is well|nothing is wrong) now/)
    expect(bot.flags.status('keepNames').percentage).toBe(0)
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
    await vi.waitFor(() => expect(bot.load.inFlight).toBe(0), patience)
    const verdict = judge(await standin.ledger())
    expect(verdict).toMatchObject({ apologies: 0 })
    // Only a starved machine makes the bot yield, and then it says so: nobody is told to come back in silence.
    if (yields.length === 0) expect(verdict).toMatchObject({ resting: 0 })
    expect(isClean(verdict)).toBe(true)

    await stopBot(bot)
    bot = await startBot()
    await bot.rollouts.keepNames.start()
    expect(bot.rollouts.keepNames.status.state).toBe('ROLLED_BACK')
    expect(bot.flags.status('keepNames').percentage).toBe(0)
  })

  it('keeps its flags and the share of a rollout while the database is away, and goes on afterwards', async () => {
    const { soonestFirst } = bot.rollouts
    await soonestFirst.start()
    const told: string[] = []
    bot.flags.on('change', ({ message }) => told.push(message))
    soonestFirst.on('change', ({ message }) => told.push(message))
    const sabotage = await breakDatabase(bot.database.path ?? '')
    await vi.waitFor(() => {
      expect(soonestFirst.status.store).toBe('down')
      expect(told).toContainEqual(expect.stringContaining('The flags answer from what was seen last'))
      expect(told).toContainEqual(expect.stringContaining('The rollout of "soonestFirst" stands still'))
    }, patience)
    await standin.traffic({ perSecond: 100, mix: [{ name: 'reminders', weight: 1 }] })
    await vi.waitFor(() => expect(bot.flags.status('soonestFirst').usage['on']).toBeGreaterThan(20), patience)
    expect(bot.flags.status('soonestFirst')).toMatchObject({ state: 'active', percentage: 30 })

    await sabotage.repair()
    await vi.waitFor(() => {
      expect(told).toContain('The rollout of "soonestFirst" goes on: its store answers again.')
      expect(told).toContainEqual(expect.stringContaining('The flags see again what other processes change'))
    }, patience)
    expect(bot.flags.share('soonestFirst')?.sequence).toBe(soonestFirst.status.sequence)
    await standin.traffic({ perSecond: 0, mix: calmTraffic('1s') })
    await vi.waitFor(() => expect(bot.load.inFlight).toBe(0), patience)
    expect(isClean(judge(await standin.ledger()))).toBe(true)
  })

  it('outlives a broken connection to Discord without losing a command', async () => {
    await standin.inject({ kind: 'drop' })
    const { id } = await standin.command({ name: 'reminders' })
    await vi.waitFor(async () => {
      const { events } = await standin.ledger()
      expect(events.find((event) => event.id === id)?.answer).toBe('You have no reminders here.')
    }, patience)
  })
})

describe('the sample bot in a process of its own', () => {
  it('takes its versions with it, however it ends', async () => {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const owner = await startProcess()
      const [, worker] = /v1 speaks from process (\d+)/.exec(owner.printed()) ?? []
      expect(isAlive(Number(worker))).toBe(true)
      owner.child.kill(signal)
      await once(owner.child, 'exit')
      await vi.waitFor(() => expect(isAlive(Number(worker))).toBe(false), patience)
    }
  })

  it('delivers after kill -9 what it had promised before, and ends by itself on SIGTERM', async () => {
    const { child: first } = await startProcess()
    const due = await standin.ask({ name: 'remind', options: { in: '2s', text: 'tea {id}' } })
    const far = await standin.ask({ name: 'remind', options: { in: '1h', text: 'tea {id}' } })
    expect([due.content, far.content]).toEqual([
      expect.stringMatching(/^I will remind you/),
      expect.stringMatching(/^I will remind you/),
    ])
    first.kill('SIGKILL')
    await once(first, 'exit')

    const { child: second } = await startProcess()
    await vi.waitFor(async () => {
      const { messages } = await standin.ledger()
      expect(messages.filter(({ content }) => content.includes(due.id))).toHaveLength(1)
    }, patience)
    const ended = once(second, 'exit')
    second.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect((await standin.ledger()).messages).toHaveLength(1)
  })

  async function startProcess(): Promise<{ readonly child: ChildProcess; printed(): string }> {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=@evenkeel/source', main], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: {
        ...process.env,
        DISCORD_TOKEN: standin.token,
        DISCORD_API: standin.api,
        DATA_DIRECTORY: dataDirectory,
        TRANSLATE_URL: translation.url,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    undo.push(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    await vi.waitFor(() => expect(printed).toContain('Serving'), patience)
    // Nobody else serves this bot, so a rollout goes on at once, also after kill -9.
    expect(printed).toContain('This process drives the rollout of "soonestFirst" now')
    return { child, printed: () => printed }
  }
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
