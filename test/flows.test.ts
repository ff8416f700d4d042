import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gaplessRestartDefaults } from '@evenkeel/blue-green/restart'
import { startStandin, type Answer, type LedgerEvent, type StandinProcess } from '@evenkeel-examples/discord-standin'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BotProcess } from './bot-process.js'

const program = fileURLToPath(new URL('children/menu-bot.ts', import.meta.url))

/** Whether the collector listens to the client, as discord.js has it, or gets the presses that its process has claimed. */
type How = 'listening' | 'fed'

interface BotOptions {
  readonly how?: How
  readonly leaseMs?: number
  readonly drainMs?: number
}

describe('a collector of the real discord.js whose process is replaced', () => {
  let standin: StandinProcess
  let folder: string
  const bots: BotProcess[] = []

  /** One more process of the bot, which owns the events. */
  async function bot(version: string, options: BotOptions = {}): Promise<BotProcess> {
    const { how = 'listening', leaseMs = 1_000, drainMs = 30_000 } = options
    const path = join(folder, 'bot.db')
    const next = new BotProcess(program, version, standin.api, standin.token, path, `${leaseMs}`, `${drainMs}`, how)
    bots.push(next)
    await next.said('OWNER')
    return next
  }

  /** The message with the buttons, when they are collected. */
  async function openMenu(by: BotProcess): Promise<string> {
    const { messageId } = await standin.ask({ name: 'menu' })
    await by.said(`OPEN ${messageId}`)
    return messageId ?? ''
  }

  function press(messageId: string, customId = 'again'): Promise<Answer> {
    return standin.ask({ messageId, customId })
  }

  /** One press after the other, all the while that something happens. */
  async function pressingWhile(messageId: string, happens: () => Promise<unknown>): Promise<Answer[]> {
    const answers: Answer[] = []
    let isOver = false
    const happening = happens().finally(() => (isOver = true))
    for (let i = 0; !isOver; i++) answers.push(await press(messageId, i % 2 === 0 ? 'again' : 'change'))
    await happening
    return answers
  }

  /** One press after the other, until one is answered so. */
  async function pressUntil(messageId: string, content: string): Promise<Answer[]> {
    const answers: Answer[] = []
    do answers.push(await press(messageId))
    while (answers.at(-1)?.content !== content && answers.length < 1_000)
    return answers
  }

  function said(by: BotProcess, word: string, ids: readonly { readonly id: string }[]): string[] {
    const wanted = new Set(ids.map(({ id }) => id))
    return by.all(word).filter((id) => wanted.has(id))
  }

  /** What came of the events, when each press has been handled by one of the processes: a second answer would have come by then. */
  async function settled(): Promise<readonly LedgerEvent[]> {
    const { events } = await standin.ledger()
    const presses = events.filter((event) => event.press !== undefined).map(({ id }) => id)
    const unhandled = (): string[] => {
      const handled = new Set(bots.flatMap((one) => one.all('HANDLED')))
      return presses.filter((id) => !handled.has(id))
    }
    await expect.poll(unhandled, { timeout: 10_000 }).toEqual([])
    return (await standin.ledger()).events
  }

  /** What is wrong, by the ledger of the platform and the words of the bots. */
  async function faults(): Promise<string[]> {
    const events = await settled()
    const wrong = events.flatMap(({ id, answer, attempts }) => {
      if (answer === undefined) return [`${id} has no answer`]
      return attempts.length === 1 ? [] : [`${id} was answered ${attempts.length} times`]
    })
    return [...wrong, ...bots.flatMap(({ lines }) => lines.filter((line) => /^(REPEATED|FAILED|UNDECIDED)/.test(line)))]
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'evenkeel-flows-'))
    standin = await startStandin({ guilds: 5 })
  })

  afterEach(async () => {
    await Promise.all(bots.splice(0).map((one) => one.end('SIGKILL')))
    await standin.stop()
    rmSync(folder, { recursive: true })
  })

  describe.each<[string, How]>([
    ['listens to the client', 'listening'],
    ['is fed with the presses that its process has claimed', 'fed'],
  ])('which %s', (_, how) => {
    it('goes on in the old process, while the new one has the commands; when it ends, the new one has its buttons', async () => {
      const before = await bot('v1', { how })
      const messageId = await openMenu(before)
      let after = before
      const meanwhile = await pressingWhile(messageId, async () => (after = await bot('v2', { how })))
      await standin.traffic({ perSecond: 20, mix: [{ name: 'ping', weight: 1 }] })
      const later = await Promise.all(Array.from({ length: 20 }, () => press(messageId)))
      await standin.traffic({ perSecond: 0, mix: [] })
      const pressed = [...meanwhile, ...later]
      expect(new Set(pressed.map(({ content }) => content))).toEqual(new Set(['v1 collects']))
      await settled()
      for (const word of ['HANDLED', 'COLLECTED']) {
        expect(said(before, word, pressed)).toHaveLength(pressed.length)
        expect(said(after, word, pressed)).toEqual([])
      }
      expect((await standin.ask({ name: 'ping' })).content).toBe('v2')
      const ofNew = await openMenu(after)
      expect((await press(ofNew)).content).toBe('v2 collects')
      expect((await press(messageId, 'done')).content).toBe('v1 collects')
      const left = await pressUntil(messageId, 'v2: this menu is over')
      expect(left.at(-1)?.content).toBe('v2: this menu is over')
      for (const { content } of left) expect(content).toMatch(/^v[12]: this menu is over$/)
      expect((await press(ofNew)).content).toBe('v2 collects')
      expect(await faults()).toEqual([])
    }, 60_000)

    it('is ended by the old process when that has waited long enough, and leaves its buttons to the new one', async () => {
      const before = await bot('v1', { how, drainMs: 1_000 })
      const messageId = await openMenu(before)
      await bot('v2', { how })
      const pressed = await pressingWhile(messageId, () => before.end('SIGTERM'))
      expect(before.all('CLOSED')).toEqual([`${messageId} moved`])
      // A press may be under way when its time is over.
      expect(before.lines.at(-1)).toMatch(/^ENDED (true|false) 1 true$/)
      expect(pressed[0]?.content).toBe('v1 collects')
      for (const { content } of pressed) expect(content).toMatch(/^(v1 collects|v[12]: this menu is over)$/)
      expect((await press(messageId)).content).toBe('v2: this menu is over')
      expect(await faults()).toEqual([])
    }, 60_000)
  })

  describe('which listens to the client', () => {
    it('is waited for by the old process, which is to go, and leaves its buttons to the new one', async () => {
      const before = await bot('v1')
      const messageId = await openMenu(before)
      await bot('v2')
      before.signal('SIGTERM')
      expect((await press(messageId, 'change')).content).toBe('v1 collects')
      expect((await standin.ask({ name: 'ping' })).content).toBe('v2')
      const pressed = await pressingWhile(messageId, async () => {
        expect((await press(messageId, 'done')).content).toBe('v1 collects')
        await before.said('ENDED')
      })
      expect(before.lines.at(-1)).toBe('ENDED true 0 true')
      for (const { content } of pressed) expect(content).toMatch(/^(v1 collects|v[12]: this menu is over)$/)
      expect((await press(messageId)).content).toBe('v2: this menu is over')
      expect(await faults()).toEqual([])
    }, 60_000)

    it.each([
      ['of 1 s', 1_000],
      ['that there is unless told otherwise', gaplessRestartDefaults.leaseMs],
    ])(
      'dies with the old process: the next presses are answered in time, once, by the new one, with the lease %s',
      async (_, leaseMs) => {
        const before = await bot('v1', { leaseMs })
        const messageId = await openMenu(before)
        await bot('v2', { leaseMs })
        const { id: last, content } = await press(messageId)
        expect(content).toBe('v1 collects')
        await before.end('SIGKILL')
        const answers = await Promise.all(Array.from({ length: 10 }, () => press(messageId)))
        answers.push(...(await pressUntil(messageId, 'v2: this menu is over')))
        expect(new Set(answers.map(({ content }) => content))).toEqual(new Set(['v2: this menu is over']))
        // Killed before it could say that it is done with the one before, that runs once more, which is told, and refused by Discord.
        expect((await faults()).filter((fault) => !fault.includes(last))).toEqual([])
        expect((await standin.ledger()).events.find(({ id }) => id === last)?.answer).toBe('v1 collects')
      },
      60_000,
    )
  })

  describe('which is fed with the presses that its process has claimed', () => {
    it.each([
      ['for so long that it was taken for dead', 1_000, 'CHANGE A process (version "v1") gave no sign of life'],
      ['for a moment', gaplessRestartDefaults.leaseMs, 'HANDLED'],
    ])(
      'does not answer a press that was taken over while its process stood still %s',
      async (_, leaseMs, sign) => {
        const before = await bot('v1', { how: 'fed', leaseMs })
        const messageId = await openMenu(before)
        const after = await bot('v2', { how: 'fed', leaseMs })
        before.signal('SIGSTOP')
        const taken = await press(messageId)
        expect(taken.content).toBe('v2: this menu is over')
        await after.said(sign)
        before.signal('SIGCONT')
        const answers = await pressUntil(messageId, 'v1 collects')
        expect(answers.at(-1)?.content).toBe('v1 collects')
        expect(said(before, 'COLLECTED', [taken])).toEqual([])
        expect(await faults()).toEqual([])
      },
      60_000,
    )

    it('begins in the old process after the new one has taken over, and has each press that it answers to itself', async () => {
      const before = await bot('v1', { how: 'fed' })
      const asking = standin.ask({ name: 'later' })
      await before.said('DEFERRED')
      await bot('v2', { how: 'fed' })
      before.ask('go on')
      const messageId = (await asking).messageId ?? ''
      await before.said('OPEN')
      const answers = await pressUntil(messageId, 'v1 collects')
      expect(answers.at(-1)?.content).toBe('v1 collects')
      for (const { content } of answers) expect(content).toMatch(/^(v1 collects|v[12]: this menu is over)$/)
      expect(await faults()).toEqual([])
    }, 60_000)

    it('leaves a press that its process died with to the new one, which is told so', async () => {
      const before = await bot('v1', { how: 'fed' })
      const messageId = await openMenu(before)
      const after = await bot('v2', { how: 'fed' })
      const pressing = press(messageId, 'hang')
      await before.said('COLLECTED')
      await before.end('SIGKILL')
      const { id, content } = await pressing
      expect(content).toBe('v2: this menu is over')
      expect(await faults()).toEqual([`REPEATED ${id}`])
      expect(after.all('HANDLED')).toEqual([id])
    }, 60_000)
  })
})
