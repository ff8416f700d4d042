import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { isConnected } from '@evenkeel/blue-green/discord'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { Client, Events, GatewayIntentBits, type ChatInputCommandInteraction } from 'discord.js'

// A bot with the real discord.js as a process manager runs it: it says when it is ready, in the words of each manager, and hands over when
// it is told to end. What it does, it also says to whoever listens at BOT_REPORT, a line each.

const env = process.env as Record<string, string>
const version = env['BOT_VERSION'] ?? String(process.pid)
const report = connect(Number(env['BOT_REPORT']), '127.0.0.1')
const say = (...words: readonly unknown[]): void => void report.write(`${[version, process.pid, ...words].join(' ')}\n`)
await once(report, 'connect')
say('BEGUN')
// As a release that does not work: before it is ready.
if (env['BOT_IS_BROKEN'] === 'true') throw new Error('a broken release')

const client = new Client({
  intents: [GatewayIntentBits.Guilds],
  rest: { api: env['BOT_API'] ?? '' },
  ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
})
const storage = new SqliteStorage({ path: env['BOT_PATH'] ?? '' })
await storage.start()
const restart = new GaplessRestart({
  version,
  handle: async (interaction: ChatInputCommandInteraction, { attempt }) => {
    await interaction.reply(`${version} ${attempt}`)
  },
  context: ({ id, guildId, user }) => ({ eventId: id, guildId, userId: user.id }),
  effects: 'keyed',
  store: storage.collection('evenkeel'),
  isConnected: (guildId) => isConnected(client, guildId),
  disconnect: () => client.destroy(),
  bakeMs: Number(env['BOT_BAKE_MS'] ?? 60_000),
})
restart.on('repeated', ({ eventId }) => say('REPEATED', eventId))
await restart.start()

client.on(Events.InteractionCreate, (interaction) => {
  if (!interaction.isChatInputCommand()) return
  restart.handle(interaction).catch((error: unknown) => say('FAILED', interaction.id, String(error)))
})

let isReady = false
const health = createServer((_request, response) => response.writeHead(isReady ? 200 : 503).end())
await new Promise<void>((resolve) => health.listen(Number(env['BOT_HEALTH_PORT'] ?? 0), '127.0.0.1', resolve))
say('HEALTH', (health.address() as AddressInfo).port)

let ending: Promise<void> | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void (ending ??= end(signal)))
// Where nobody is there to end it: the new process has served for long enough.
restart.on('replaced', () => void (ending ??= end('replaced')))

const ready = once(client, Events.ClientReady)
await client.login(env['BOT_TOKEN'])
await ready
await restart.takeOver()
isReady = true
process.send?.('ready')
await notifySystemd('READY=1')
say('READY')

async function end(signal: string): Promise<void> {
  say('ENDING', signal)
  const { drained, isHandedOver } = await restart.drain()
  await restart.stop()
  await storage.stop()
  health.close()
  say('ENDED', drained, isHandedOver)
  await new Promise<void>((resolve) => report.end(resolve))
  process.exit(0)
}

/** Node.js cannot send a datagram to a local socket; the program that comes with systemd does. */
async function notifySystemd(state: string): Promise<void> {
  if (env['NOTIFY_SOCKET'] !== undefined) await promisify(execFile)('systemd-notify', [state])
}
