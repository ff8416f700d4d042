import { DiscordStandin } from '@evenkeel-examples/discord-standin'
import { Bulkhead, DegradationManager } from '@evenkeel/degradation-manager'
import { discordGate, type DiscordGateOptions } from '@evenkeel/degradation-manager/discord'
import { FeatureFlags } from '@evenkeel/feature-flags'
import { FakeClock } from '@evenkeel/testing'
import {
  Client,
  Events,
  GatewayIntentBits,
  MessageFlags,
  type ChatInputCommandInteraction,
  type Interaction,
} from 'discord.js'
import { describe, expect, it, onTestFinished } from 'vitest'

// The gate knows an interaction by its shape; here it stands before the real ones.

type Handle = (interaction: ChatInputCommandInteraction) => unknown

const clock = new FakeClock()
const modes = () =>
  new DegradationManager({
    features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
  })

async function start(options: Omit<DiscordGateOptions<'remind' | 'translate', string>, 'commands'>, handle: Handle) {
  const standin = new DiscordStandin({ guilds: 2, seed: 7 })
  onTestFinished(() => standin.stop())
  await standin.start()
  const client = new Client({
    intents: [GatewayIntentBits.Guilds],
    rest: { api: standin.api, retries: 0 },
    ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
  })
  onTestFinished(() => client.destroy())
  const unanswered: unknown[] = []
  const gate = discordGate({
    commands: {
      remind: { feature: 'remind' },
      translate: { feature: 'translate' },
      'draw cat': { priority: 'optional' },
      quietly: { deferral: 'ephemeral' },
    },
    onUnanswered: (_, error) => unanswered.push(error),
    ...options,
  })
  const onInteraction = gate(async (interaction: Interaction) => {
    if (interaction.isChatInputCommand()) await handle(interaction)
  })
  client.on(Events.InteractionCreate, (interaction) => {
    onInteraction(interaction).catch((error: unknown) => unanswered.push(error))
  })
  const ready = new Promise((resolve) => client.once(Events.ClientReady, resolve))
  await client.login(standin.token)
  await ready
  return { standin, unanswered }
}

describe('a command', () => {
  it('that a mode switches off is answered politely, for its member only', async () => {
    const byMode = modes()
    await byMode.setMode('DEGRADED', { why: 'a test', forMs: 90_000 })
    const { standin, unanswered } = await start({ modes: byMode }, (interaction) => interaction.reply('served'))
    expect(await standin.ask({ name: 'translate' })).toMatchObject({
      answered: true,
      ephemeral: true,
      deferred: false,
      content: '/translate is taking a break. Please try again in 90 seconds.',
    })
    expect(await standin.ask({ name: 'remind add' })).toMatchObject({ content: 'served', ephemeral: false })
    expect(unanswered).toEqual([])
  })

  it('that a flag switches off for its guild rests there, and nowhere else', async () => {
    const flags = new FeatureFlags({ flags: { drawing: { default: true } } })
    const standin = new DiscordStandin({ guilds: 2, seed: 7 })
    const [first = { id: '' }, second = { id: '' }] = standin.guilds
    await standin.stop()
    await flags.override('drawing', { guildId: first.id }, false, { why: 'asked by its owner' })
    const gate = discordGate({ flags, commands: { draw: { flag: 'drawing' } } })
    const served: string[] = []
    const handle = gate((interaction) => served.push(interaction.guildId ?? ''))
    const said: string[] = []
    for (const guildId of [first.id, second.id]) {
      await handle({
        id: '1',
        guildId,
        user: { id: '2' },
        locale: 'en-GB',
        commandName: 'draw',
        reply: async ({ content }) => said.push(content),
      })
    }
    expect(served).toEqual([second.id])
    expect(said).toEqual(['/draw is switched off at the moment.'])
  })

  it('that has no place hears so at once', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1 })
    const place = await admission.acquire()
    const { standin } = await start({ modes: modes(), admission }, (interaction) => interaction.reply('served'))
    const refused = await standin.ask({ name: 'draw cat' })
    expect(refused).toMatchObject({ answered: true, ephemeral: true })
    expect(refused.content).toMatch(/^Too much is going on just now\. Please try again in 1 second\.$/)
    place.release()
    expect(await standin.ask({ name: 'draw cat' })).toMatchObject({ content: 'served' })
  })
})

describe('a handler that takes long', () => {
  /** Ends when the gate has deferred, which it does by a clock of its own. */
  const slowly =
    (work: Handle): Handle =>
    async (interaction) => {
      void clock.advance(2_000)
      while (!interaction.deferred) await new Promise((resolve) => setImmediate(resolve))
      await work(interaction)
    }

  it.each([
    ['remind', { content: 'done' }, false],
    ['remind', { content: 'done', flags: MessageFlags.Ephemeral }, true],
    ['quietly', { content: 'done', flags: MessageFlags.Ephemeral }, true],
    ['quietly', { content: 'done' }, false],
  ] as const)('of /%s is deferred, and its reply %o is as private as it was meant', async (name, reply, ephemeral) => {
    const handle = slowly(async (interaction) => {
      const { resource } = await interaction.reply({ ...reply, withResponse: true })
      expect(resource?.message?.content).toBe('done')
      await interaction.editReply('and more')
    })
    const { standin, unanswered } = await start({ modes: modes(), clock }, handle)
    const { id, ...answer } = await standin.ask({ name })
    expect(answer).toMatchObject({ answered: true, content: 'done', deferred: true, ephemeral })
    const { events } = await standin.ledger()
    expect(events.find((event) => event.id === id)?.attempts).toHaveLength(1)
    expect(unanswered).toEqual([])
  })

  it('and then finds no place further in tells its member so, privately', async () => {
    const full = new Bulkhead({ name: 'images', maxConcurrent: 1 })
    await full.acquire()
    const handle = slowly(() => full.run(() => 'drawn'))
    const { standin, unanswered } = await start({ modes: modes(), clock }, handle)
    expect(await standin.ask({ name: 'remind' })).toMatchObject({
      answered: true,
      content: '/remind is taking a break. Please try again in 1 second.',
      deferred: true,
      ephemeral: true,
    })
    expect(unanswered).toEqual([])
  })

  it('is not deferred while its reply is on its way, however long Discord takes', async () => {
    const gateClock = new FakeClock()
    const { standin, unanswered } = await start({ modes: modes(), clock: gateClock }, async (interaction) => {
      const replied = interaction.reply('done')
      await gateClock.advance(2_000)
      await replied
    })
    expect(await standin.ask({ name: 'remind' })).toMatchObject({ content: 'done', deferred: false })
    const { events } = await standin.ledger()
    expect(events.map(({ attempts }) => attempts.map(({ status }) => status))).toEqual([[204]])
    expect(unanswered).toEqual([])
  })
})

it('goes on when Discord takes no answer any more', async () => {
  const byMode = modes()
  await byMode.setMode('DEGRADED', { why: 'a test' })
  const { standin, unanswered } = await start({ modes: byMode }, () => {})
  await standin.inject({ kind: 'rest', match: 'POST /interactions/*', status: 404 })
  await standin.command({ name: 'translate' })
  await expect.poll(() => unanswered).toHaveLength(1)
  await standin.clear()
  expect(await standin.ask({ name: 'translate' })).toMatchObject({ answered: true })
})
