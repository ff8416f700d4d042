import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DiscordStandin } from '@evenkeel-examples/discord-standin'
import { DegradationManager } from '@evenkeel/degradation-manager'
import { handOver, httpTaker, takeEvents } from '@evenkeel/degradation-manager/handover'
import {
  Client,
  Events,
  GatewayIntentBits,
  InteractionResponseType,
  REST,
  Routes,
  type ChatInputCommandInteraction,
} from 'discord.js'
import { expect, it, onTestFinished } from 'vitest'

// A real bot hands a real interaction to a deputy that has neither gateway nor token, and answers on Discord all the same.

interface Handed {
  readonly id: string
  readonly token: string
  readonly name: string
}

async function start() {
  const standin = new DiscordStandin({ guilds: 2, seed: 11 })
  onTestFinished(() => standin.stop())
  await standin.start()

  const secret = 'a-secret-that-nobody-guesses'
  const rest = new REST({ api: standin.api, retries: 0 })
  const server = createServer(
    takeEvents<Handed, string>({
      secret,
      async handle({ id, token, name }) {
        const data = { content: `The deputy has noted /${name}.` }
        const body = { type: InteractionResponseType.ChannelMessageWithSource, data }
        await rest.post(Routes.interactionCallback(id, token), { body, auth: false })
        return 'deputy'
      },
    }),
  ).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const deputy = httpTaker<Handed, string>({ url: `http://127.0.0.1:${port}`, secret, name: 'deputy' })

  const modes = new DegradationManager({ features: { notes: { priority: 'normal' } } })
  const answered: unknown[] = []
  const note = modes.guard(
    'notes',
    async (interaction: ChatInputCommandInteraction) => {
      await interaction.reply('Noted.')
      return 'bot'
    },
    {
      fallback: [
        handOver(deputy, {
          key: (interaction: ChatInputCommandInteraction) => interaction.id,
          event: ({ id, token, commandName: name }) => ({ id, token, name }),
        }),
        async (interaction: ChatInputCommandInteraction) => {
          await interaction.reply('Please come back later.')
          return 'apology'
        },
      ],
    },
  )
  const client = new Client({
    intents: [GatewayIntentBits.Guilds],
    rest: { api: standin.api, retries: 0 },
    ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
  })
  onTestFinished(() => client.destroy())
  client.on(Events.InteractionCreate, (interaction) => {
    if (!interaction.isChatInputCommand()) return
    void note(interaction).then(
      (by) => answered.push(by),
      (error: unknown) => answered.push(error),
    )
  })
  const ready = new Promise((resolve) => client.once(Events.ClientReady, resolve))
  await client.login(standin.token)
  await ready
  return { standin, modes, server, answered }
}

async function until(list: readonly unknown[], length: number): Promise<void> {
  while (list.length < length) await new Promise((resolve) => setImmediate(resolve))
}

it('what the bot cannot serve its deputy answers, and when that is gone the bot says so', async () => {
  const { standin, modes, server, answered } = await start()
  expect(await standin.ask({ name: 'note' })).toMatchObject({ answered: true, content: 'Noted.' })
  await modes.setMode('MAINTENANCE', { why: 'the database moves' })
  expect(await standin.ask({ name: 'note' })).toMatchObject({ content: 'The deputy has noted /note.' })
  await new Promise((resolve) => server.close(resolve))
  expect(await standin.ask({ name: 'note' })).toMatchObject({ content: 'Please come back later.' })
  await until(answered, 3)
  expect(answered).toEqual(['bot', 'deputy', 'apology'])
})

it('an event that comes twice, or is handed over by two copies of the bot, is answered once', async () => {
  const { standin, modes, answered } = await start()
  await modes.setMode('MAINTENANCE', { why: 'the database moves' })
  await standin.inject({ kind: 'duplicate-events', times: 2 })
  const { id } = await standin.ask({ name: 'note' })
  const { events } = await standin.ledger()
  const event = events.find((asked) => asked.id === id)
  expect(event?.deliveries).toBe(2)
  expect(event?.attempts).toHaveLength(1)
  await until(answered, 2)
  expect(answered).toEqual(['deputy', 'deputy'])
})
