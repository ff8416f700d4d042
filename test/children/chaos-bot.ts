import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { isConnected } from '@evenkeel/blue-green/discord'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { storageFromUrl } from '@evenkeel/storage-adapter/url'
import { Client, Events, GatewayIntentBits, type ChatInputCommandInteraction } from 'discord.js'
import { teller } from '../../scripts/chaos-blue-green/facts.js'
import { doWork, leaseMs } from '../../scripts/chaos-blue-green/work.js'

/*
 * One process of a bot with the real discord.js, for the chaos run: it comes beside the others on its token, and takes over. Lines on
 * its standard input tell it what to do.
 *
 *   chaos-bot <name> <api> <token> <address of the storage>
 */
const [name = '', api = '', token = '', url] = process.argv.slice(2)
const tell = teller(name)
tell('up', { pid: process.pid })

let jumpMs = 0
const storage = storageFromUrl(url)
const client = new Client({
  intents: [GatewayIntentBits.Guilds],
  rest: { api },
  ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
})
const restart = new GaplessRestart({
  version: name,
  handle,
  context: ({ id, guildId, user }: ChatInputCommandInteraction) => {
    return { eventId: id, guildId, userId: user.id, pin: flowOf(user.id) }
  },
  effects: ({ commandName }) => (commandName === 'pay' ? 'stored' : commandName === 'once' ? 'atMostOnce' : 'keyed'),
  store: storage.collection('evenkeel'),
  heartbeatMs: 100,
  leaseMs,
  // A machine that is busy with all this is no store that is out.
  storeTimeoutMs: 2_000,
  keepMs: 5_000,
  isConnected: (guildId) => isConnected(client, guildId),
  disconnect: () => client.destroy(),
  // The wall clock alone: nothing can be done to the other one.
  clock: {
    now: () => Date.now() + jumpMs,
    monotonic: () => performance.now(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs).unref()
      return () => clearTimeout(timer)
    },
  },
})
restart.on('repeated', ({ eventId, attempt, why }) => tell('repeated', { id: eventId, attempt, why }))
restart.on('unfinished', ({ eventId, attempt }) => tell('unfinished', { id: eventId, attempt }))
restart.on('undecided', ({ eventId: id, why }) => tell('undecided', { ...(id !== undefined && { id }), why }))
restart.on('change', ({ what, to, message }) => {
  if (what === 'membership') tell(to === 'out' ? 'out' : 'in', { why: message })
  else tell('said', { why: message })
})

/** Users share a flow, so that others than the one who began it have events in it. */
function flowOf(userId: string): string {
  return `flow ${BigInt(userId) % 12n}`
}

/** One command in four begins a flow, which is over after a moment, unless the process is over before. */
function beginFlow({ id, user }: ChatInputCommandInteraction): void {
  if (BigInt(id) % 4n !== 0n) return
  try {
    const pin = restart.pin(flowOf(user.id), { kind: 'collector' })
    setTimeout(() => pin.release(), 100 + Number(BigInt(id) % 500n)).unref()
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'PINNED_ELSEWHERE') throw error
  }
}

async function handle(interaction: ChatInputCommandInteraction, { attempt }: { attempt: number }): Promise<void> {
  const { id, commandName: command, user, options } = interaction
  tell('began', { id, attempt })
  const work = { id, guildId: interaction.guildId ?? '', userId: user.id, command, ms: options.getInteger('ms') ?? 0 }
  try {
    beginFlow(interaction)
    await doWork(work, storage, name, attempt)
    await interaction.reply(`${name} ${attempt}`).catch((error: unknown) => {
      const { code } = error as { code?: unknown }
      // A run before this one has answered.
      if (code === 40_060) return
      if (code !== 10_062) throw error
      tell('late', { id })
    })
    tell('ended', { id, attempt })
  } catch (error) {
    tell('failed', { id, attempt, why: String(error) })
  }
}

try {
  await storage.start()
  await restart.start()
} catch (error) {
  tell('refused', { why: `start: ${String(error)}` })
  process.exit(1)
}

client.on(Events.InteractionCreate, (interaction) => {
  if (!interaction.isChatInputCommand()) return
  tell('got', { id: interaction.id })
  restart.handle(interaction).catch((error: unknown) => {
    tell('failed', { id: interaction.id, why: String(error) })
  })
})
const ready = once(client, Events.ClientReady)
await client.login(token)
await ready
tell('ready')

async function takeOver(): Promise<void> {
  try {
    await restart.takeOver()
    tell('owner')
  } catch (error) {
    tell('refused', { why: `takeOver: ${String(error)}` })
  }
}

async function leave(): Promise<void> {
  const { drained, isHandedOver } = await restart.drain()
  await restart.stop()
  await storage.stop()
  tell('left', { why: `drained ${drained}, handed over ${isHandedOver}` })
  process.exit(0)
}

const orders = createInterface({ input: process.stdin })
orders.on('line', (line) => {
  const [what, value] = line.split(' ')
  if (what === 'takeOver') void takeOver()
  if (what === 'jump') jumpMs += Number(value)
  if (what === 'leave') void leave()
})
// Whoever gave the orders is gone.
orders.once('close', () => process.exit())
await takeOver()
