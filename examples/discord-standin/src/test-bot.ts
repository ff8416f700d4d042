import { once } from 'node:events'
import {
  Client,
  Events,
  GatewayIntentBits,
  type ChatInputCommandInteraction,
  type ClientOptions,
  type TextChannel,
} from 'discord.js'
import { onTestFinished } from 'vitest'
import { DiscordStandin, type InProcessOptions } from './standin.js'
import type { Standin } from './contract.js'

/** A stand-in that ends with the test. */
export async function startForTest(options: InProcessOptions = {}): Promise<DiscordStandin> {
  const standin = new DiscordStandin({ guilds: 3, ...options })
  onTestFinished(() => standin.stop())
  await standin.start()
  return standin
}

/** A bot that is ready, answers as told, and ends with the test. It is the real client, but waits 5 s for nothing. */
export async function logIn(
  standin: Standin,
  onCommand: (interaction: ChatInputCommandInteraction) => unknown = (interaction) => interaction.reply('pong'),
  rest: ClientOptions['rest'] = {},
): Promise<Client<true>> {
  const client = new Client({
    intents: [GatewayIntentBits.Guilds],
    rest: { api: standin.api, ...rest },
    ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
  })
  onTestFinished(() => client.destroy())
  client.on(Events.InteractionCreate, (interaction) => {
    if (interaction.isChatInputCommand()) onCommand(interaction)
  })
  const ready = once(client, Events.ClientReady)
  await client.login(standin.token)
  await ready
  return client as Client<true>
}

/** Commands as they come, or presses, for a test that answers them itself. */
export function inbox<Received = ChatInputCommandInteraction>(): {
  readonly receive: (interaction: Received) => void
  readonly next: () => Promise<Received>
} {
  const waiting: ((interaction: Received) => void)[] = []
  const arrived: Received[] = []
  return {
    receive: (interaction) => {
      const taker = waiting.shift()
      if (taker) taker(interaction)
      else arrived.push(interaction)
    },
    next: () => {
      const first = arrived.shift()
      return first ? Promise.resolve(first) : new Promise((resolve) => waiting.push(resolve))
    },
  }
}

/** The channel of the stand-in's first guild, as the bot sees it. */
export function firstChannel(client: Client<true>, standin: Standin): TextChannel {
  return client.channels.cache.get(standin.guilds[0]?.channelId ?? '') as TextChannel
}

/** A clock for deadlines that no test wants to sit through. */
export function steppedClock(): { readonly now: () => number; readonly step: (ms: number) => void } {
  let at = Date.UTC(2026, 0, 1)
  return { now: () => at, step: (ms) => (at += ms) }
}
