import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { answerOnce } from '@evenkeel/blue-green/discord'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import {
  ActionRowBuilder,
  ButtonBuilder,
  ButtonStyle,
  Client,
  ComponentType,
  Events,
  GatewayIntentBits,
  type ButtonInteraction,
  type ChatInputCommandInteraction,
  type InteractionCollector,
  type Message,
} from 'discord.js'

// One process of a bot with the real discord.js, whose command /menu answers with buttons and collects their presses, and which pins that
// flow. A second one beside it takes over; SIGTERM hands over and ends it. It says what it does, a line each.
//
// `listening`: the collector listens to the client, as discord.js has it, and so acts on each press that comes here. `fed`: it gets those that
// this process has claimed.

const [version = '', api = '', token = '', path = '', leaseMs = '1000', drainMs = '30000', how = 'listening'] =
  process.argv.slice(2)

type Handled = ChatInputCommandInteraction | ButtonInteraction

function say(...words: readonly unknown[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

const storage = new SqliteStorage({ path })
await storage.start()
const restart = new GaplessRestart({
  version,
  handle: async (interaction: Handled) => {
    try {
      await (interaction.isButton() ? pressed(interaction) : ran(interaction))
    } finally {
      say('HANDLED', interaction.id)
    }
  },
  context: (interaction) => ({
    eventId: interaction.id,
    guildId: interaction.guildId,
    userId: interaction.user.id,
    pin: interaction.isButton() ? interaction.message.id : undefined,
  }),
  // Discord takes one answer to a command, so a second run does no harm.
  effects: 'keyed',
  store: storage.collection('evenkeel'),
  heartbeatMs: 100,
  leaseMs: Number(leaseMs),
  drainMs: Number(drainMs),
})
restart.on('change', ({ message }) => say('CHANGE', message))
restart.on('repeated', ({ eventId }) => say('REPEATED', eventId))
restart.on('undecided', ({ eventId, why }) => say('UNDECIDED', eventId, why))
await restart.start()

const client = new Client({
  intents: [GatewayIntentBits.Guilds],
  rest: { api },
  ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
})

/** The collectors that are open, by their message. */
const collectors = new Map<string, InteractionCollector<ButtonInteraction>>()
/** What they do about a press. */
const answers = new WeakMap<ButtonInteraction, Promise<unknown>>()

const buttons = ['again', 'change', 'hang', 'done'].map(
  (customId) => new ButtonBuilder({ customId, label: customId, style: ButtonStyle.Primary }),
)
const menu = { content: 'press one', components: [new ActionRowBuilder<ButtonBuilder>().addComponents(...buttons)] }

async function ran(interaction: ChatInputCommandInteraction): Promise<void> {
  if (interaction.commandName === 'menu') {
    const { resource } = await interaction.reply({ ...menu, withResponse: true })
    if (resource?.message) collect(resource.message)
  } else if (interaction.commandName === 'later') {
    await interaction.deferReply()
    say('DEFERRED', interaction.id)
    await once(told, 'line')
    collect(await interaction.editReply(menu))
  } else await interaction.reply(version)
}

function collect(message: Message): void {
  const collector = message.createMessageComponentCollector({ componentType: ComponentType.Button })
  const pin = restart.pin(message.id, { kind: 'collector' })
  pin.signal.addEventListener('abort', () => collector.stop('moved'))
  // eslint-disable-next-line @typescript-eslint/unbound-method, @typescript-eslint/no-misused-promises -- discord.js has bound it, and ignores what it returns
  if (how === 'fed') client.off(Events.InteractionCreate, collector.handleCollect)
  collectors.set(message.id, collector)
  collector.on('collect', (press) => {
    say('COLLECTED', press.id)
    answers.set(press, answer(press))
    if (press.customId === 'done') collector.stop('done')
  })
  collector.on('end', (_, reason) => {
    pin.release()
    collectors.delete(message.id)
    say('CLOSED', message.id, reason)
  })
  say('OPEN', message.id)
}

async function answer(press: ButtonInteraction): Promise<void> {
  try {
    if (press.customId === 'hang') await new Promise(() => {})
    else if (press.customId === 'change') await press.update(`${version} collects`)
    else await press.reply(`${version} collects`)
  } catch (error) {
    say('FAILED', press.id, String(error))
  }
}

async function pressed(press: ButtonInteraction): Promise<void> {
  const collector = collectors.get(press.message.id)
  if (collector !== undefined && how === 'fed') await collector.handleCollect(press)
  // A collector that listens may get it only after this.
  if (collector !== undefined || answers.has(press)) await answers.get(press)
  else await answerOnce(() => press.reply(`${version}: this menu is over`))
}

const told = createInterface({ input: process.stdin })
client.on(Events.InteractionCreate, (interaction) => {
  if (!interaction.isChatInputCommand() && !interaction.isButton()) return
  restart.handle(interaction).catch((error: unknown) => say('FAILED', interaction.id, String(error)))
})
const ready = once(client, Events.ClientReady)
await client.login(token)
await ready
await restart.takeOver()
say('OWNER')

process.once('SIGTERM', () => {
  void (async () => {
    const { drained, flows, isHandedOver } = await restart.drain()
    await restart.stop()
    await client.destroy()
    await storage.stop()
    told.close()
    say('ENDED', drained, flows, isHandedOver)
  })()
})
