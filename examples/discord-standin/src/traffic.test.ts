import type { ChatInputCommandInteraction } from 'discord.js'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CommandRequest, TrafficPlan } from './contract.js'
import { seededRandom } from './random.js'
import { logIn, startForTest } from './test-bot.js'
import { Traffic } from './traffic.js'
import { createWorld } from './world.js'

const ping: TrafficPlan['mix'] = [{ name: 'ping', weight: 1 }]

describe('Traffic', () => {
  it('keeps its rate without drift', () => {
    const { traffic, requests } = underFakeTime()
    traffic.start({ perSecond: 7, mix: ping })
    vi.advanceTimersByTime(60_000)
    expect(requests).toHaveLength(7 * 60 + 1)
  })

  it('catches up after the process was held up', () => {
    const { traffic, requests } = underFakeTime()
    traffic.start({ perSecond: 100, mix: ping })
    vi.setSystemTime(Date.now() + 5_000)
    vi.advanceTimersByTime(5_000)
    expect(requests.length).toBeGreaterThanOrEqual(1_000)
    expect(requests.length).toBeLessThanOrEqual(1_001)
  })

  it('comes in bursts at the same average rate', () => {
    const { traffic, requests } = underFakeTime()
    traffic.start({ perSecond: 10, burst: 50, mix: ping })
    expect(requests).toHaveLength(50)
    vi.advanceTimersByTime(4_999)
    expect(requests).toHaveLength(50)
    vi.advanceTimersByTime(1)
    expect(requests).toHaveLength(100)
  })

  it('runs the mix by weight, in every guild', () => {
    const { traffic, requests } = underFakeTime()
    const mix = [
      { name: 'often', weight: 3 },
      { name: 'never', weight: 0 },
      { name: 'seldom', weight: 1, options: { a: 1 } },
    ]
    traffic.start({ perSecond: 1_000, mix })
    vi.advanceTimersByTime(8_000)
    const share = requests.filter(({ name }) => name === 'often').length / requests.length
    expect(share).toBeGreaterThan(0.72)
    expect(share).toBeLessThan(0.78)
    expect(requests.some(({ name }) => name === 'never')).toBe(false)
    expect(requests.find(({ name }) => name === 'seldom')?.options).toEqual({ a: 1 })
    expect(new Set(requests.map(({ guildId }) => guildId)).size).toBe(5)
  })

  it('is the same for the same seed', () => {
    const runs = [7, 7, 8].map((seed) => {
      const { traffic, requests } = underFakeTime(seed)
      traffic.start({ perSecond: 100, mix: ping })
      vi.advanceTimersByTime(1_000)
      return requests
    })
    expect(runs[1]).toEqual(runs[0])
    expect(runs[2]).not.toEqual(runs[0])
  })

  it('stops at 0, and is replaced by a new plan', () => {
    const { traffic, requests } = underFakeTime()
    traffic.start({ perSecond: 10, mix: ping })
    traffic.start({ perSecond: 1, mix: ping })
    vi.advanceTimersByTime(10_000)
    expect(requests).toHaveLength(1 + 11)
    traffic.start({ perSecond: 0, mix: [] })
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each<[string, TrafficPlan]>([
    ['perSecond', { perSecond: -1, mix: ping }],
    ['perSecond', { perSecond: NaN, mix: ping }],
    ['burst', { perSecond: 1, burst: 0, mix: ping }],
    ['mix', { perSecond: 1, mix: [] }],
    ['weight of x', { perSecond: 1, mix: [...ping, { name: 'x', weight: -1 }] }],
  ])('refuses a %s that makes no sense', (message, plan) => {
    expect(() => underFakeTime().traffic.start(plan)).toThrow(message)
  })
})

describe('under load', () => {
  it('carries a thousand commands that come at once from 300 guilds', async () => {
    // Bot and stand-in share one thread here: what counts is that nothing is lost, not how long it takes.
    const standin = await startForTest({ guilds: 300, ackDeadlineMs: 30_000 })
    const replies: Promise<unknown>[] = []
    let onCommand: (interaction: ChatInputCommandInteraction) => void = () => {}
    const allReceived = new Promise<void>((resolve) => {
      onCommand = (interaction) => {
        replies.push(interaction.reply(String(interaction.options.getString('text'))))
        if (replies.length === 1_000) resolve()
      }
    })
    await logIn(standin, (interaction) => onCommand(interaction))
    await standin.traffic({
      perSecond: 1,
      burst: 1_000,
      mix: [{ name: 'echo', weight: 1, options: { text: 'e-{id}' } }],
    })
    await standin.traffic({ perSecond: 0, mix: [] })
    await allReceived
    await Promise.all(replies)
    const { events, rest } = await standin.ledger()
    expect(events).toHaveLength(1_000)
    expect(events.every(({ id, answer }) => answer === `e-${id}`)).toBe(true)
    expect(rest).toEqual({ 200: 1, 204: 1_000 })
  })
})

function underFakeTime(seed = 1): { traffic: Traffic; requests: CommandRequest[] } {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const requests: CommandRequest[] = []
  const { guilds } = createWorld(5, 1)
  const run = (request: CommandRequest): void => void requests.push(request)
  return { traffic: new Traffic({ guilds, random: seededRandom(seed), now: () => Date.now(), run }), requests }
}
