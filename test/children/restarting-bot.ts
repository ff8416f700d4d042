import { once } from 'node:events'
import { deferOnce, isConnected } from '@evenkeel/blue-green/discord'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { Client, Events, GatewayIntentBits, type ChatInputCommandInteraction } from 'discord.js'

// One process of a bot with the real discord.js. A second one beside it takes over; SIGTERM hands over and ends it. It says what it
// does, a line each, and answers each command with its version and the number of the run; `defer` defers each first, and `hold` ends the
// client only when SIGUSR2 allows it.

const [version = '', api = '', token = '', path = '', workMs = '0', leaseMs = '1000', how = ''] = process.argv.slice(2)

function say(...words: readonly unknown[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

const client = new Client({
  intents: [GatewayIntentBits.Guilds],
  rest: { api },
  ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
})
const storage = new SqliteStorage({ path })
await storage.start()
const restart = new GaplessRestart({
  version,
  handle: async (interaction: ChatInputCommandInteraction, { attempt }) => {
    say('BEGAN', interaction.id, attempt)
    if (how.includes('defer')) {
      await deferOnce(interaction)
      say('DEFERRED', interaction.id)
    }
    if (Number(workMs) > 0) await new Promise((resolve) => setTimeout(resolve, Number(workMs)))
    const content = `${version} ${attempt}`
    await (how.includes('defer') ? interaction.editReply(content) : interaction.reply(content))
  },
  context: ({ id, guildId, user }) => ({ eventId: id, guildId, userId: user.id }),
  // Discord takes one answer to a command, so a second run does no harm.
  effects: 'keyed',
  store: storage.collection('evenkeel'),
  heartbeatMs: 100,
  leaseMs: Number(leaseMs),
  isConnected: (guildId) => isConnected(client, guildId),
  disconnect: async () => {
    if (how.includes('hold')) {
      const isAllowed = once(process, 'SIGUSR2')
      say('HOLDS')
      await isAllowed
    }
    await client.destroy()
  },
})
restart.on('change', ({ message }) => say('CHANGE', message))
restart.on('repeated', ({ eventId }) => say('REPEATED', eventId))
await restart.start()
say('STARTED')

client.on(Events.InteractionCreate, (interaction) => {
  if (!interaction.isChatInputCommand()) return
  restart.handle(interaction).catch((error: unknown) => say('FAILED', interaction.id, String(error)))
})
const ready = once(client, Events.ClientReady)
await client.login(token)
await ready
say('READY')
await restart.takeOver()
say('OWNER')

process.once('SIGTERM', () => {
  void (async () => {
    const { drained, isHandedOver } = await restart.drain()
    await restart.stop()
    await storage.stop()
    say('ENDED', drained, isHandedOver)
  })()
})
