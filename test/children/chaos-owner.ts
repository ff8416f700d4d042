import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { BlueGreen, type HealthStatus } from '@evenkeel/blue-green'
import { isConnected } from '@evenkeel/blue-green/discord'
import { GaplessRestart } from '@evenkeel/blue-green/restart'
import { childProcessSlot, workerThreadSlot } from '@evenkeel/blue-green/workers'
import { storageFromUrl } from '@evenkeel/storage-adapter/url'
import { Client, Events, GatewayIntentBits, type ChatInputCommandInteraction } from 'discord.js'
import { teller } from '../../scripts/chaos-blue-green/facts.js'
import { leaseMs, type Work } from '../../scripts/chaos-blue-green/work.js'

/*
 * A gateway owner with the real discord.js, whose versions are processes and threads, for the chaos run. As `one` it is alone; as `pair` another one
 * may come beside it on its token and take over. Lines on its standard input tell it what to do.
 *
 *   chaos-owner <name> <api> <token> <address of the storage> <file of a version> <one | pair>
 */
const [name = '', api = '', token = '', url = '', entry = '', how = 'one'] = process.argv.slice(2)
const tell = teller(name)
tell('up', { pid: process.pid })

let jumpMs = 0
// The wall clock alone: nothing can be done to the other one.
const clock = {
  now: () => Date.now() + jumpMs,
  monotonic: () => performance.now(),
  after: (delayMs: number, run: () => void) => {
    const timer = setTimeout(run, delayMs).unref()
    return () => clearTimeout(timer)
  },
}
const listeners = new Set<() => void>()
const health = {
  status: 'up' as HealthStatus,
  components: new Map<string, { status: HealthStatus; reason: string }>(),
  on: (_: 'change', listener: () => void) => listeners.add(listener),
  off: (_: 'change', listener: () => void) => listeners.delete(listener),
}
const storage = storageFromUrl(url)
const slotOf = (version: string, effects: 'stored' | 'atMostOnce') => ({
  entry,
  effects,
  args: [version, name, url],
  execArgv: ['--disable-warning=ExperimentalWarning'],
  // Many lives in a minute, and each of them is to be mended.
  restarts: { maxRestarts: 1_000, delayMs: 20, maxDelayMs: 200 },
  clock,
})
const blueGreen = new BlueGreen({
  versions: {
    v1: childProcessSlot<Work, string>(slotOf('v1', 'stored')),
    v2: workerThreadSlot<Work, string>({ ...slotOf('v2', 'stored'), execArgv: [] }),
    v3: childProcessSlot<Work, string>(slotOf('v3', 'atMostOnce')),
    v4: childProcessSlot<Work, string>(slotOf('v4', 'stored')),
  },
  initial: 'v1',
  context: ({ id, guildId, userId }) => ({ eventId: id, guildId, userId }),
  store: storage.collection('evenkeel'),
  health,
  recoverMs: 200,
  // Longer than the default: on a busy machine, a version takes a second or two to start again.
  maxWaitMs: 2_500,
  judge: { windowMs: 300, userReports: 5, memoryIncrease: 0.3 },
  clock,
})
blueGreen.on('redelivered', ({ eventId = '', isRepeat, message }) => {
  if (isRepeat) tell('repeated', { id: eventId, attempt: 2, why: message })
  else tell('said', { id: eventId, why: message })
})
blueGreen.on('unknown', ({ eventId = '', message }) => tell('unfinished', { id: eventId, why: message }))
blueGreen.on('change', ({ message }) => tell('said', { why: message }))

/** Events that come first wait until the versions are there. */
let driving: Promise<void> | undefined
/** Another owner may have driven since this one did. */
let isStale = false

const anew = (): Promise<void> => blueGreen.stop().then(() => blueGreen.start())

function drive(): Promise<void> {
  if (isStale && (how !== 'pair' || restart.status.role === 'owner')) {
    isStale = false
    driving = (driving ?? Promise.resolve()).then(anew, anew)
  }
  const started = (driving ??= blueGreen.start())
  started.catch(() => {
    if (driving === started) driving = undefined
  })
  return started
}

blueGreen.on('change', ({ what, to }) => {
  if (what === 'controller' && to === 'FENCED') isStale = true
})

async function serve(interaction: ChatInputCommandInteraction): Promise<void> {
  const { id, guildId, user, commandName: command, options } = interaction
  tell('taken', { id })
  await drive()
  const work = { id, guildId: guildId ?? '', userId: user.id, command, ms: options.getInteger('ms') ?? 0 }
  const answer = await blueGreen.handle(work)
  if (answer === undefined) return
  await interaction.reply(answer).catch((error: unknown) => {
    const { code } = error as { code?: unknown }
    // A run before this one has answered.
    if (code === 40_060) return
    if (code !== 10_062) throw error
    tell('late', { id })
  })
  tell('answered', { id })
}

const client = new Client({
  intents: [GatewayIntentBits.Guilds],
  rest: { api },
  ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
})
const restart = new GaplessRestart({
  version: name,
  handle: serve,
  context: ({ id, guildId, user }: ChatInputCommandInteraction) => ({ eventId: id, guildId, userId: user.id }),
  effects: 'stored',
  store: storage.collection('evenkeel'),
  heartbeatMs: 100,
  leaseMs,
  // A machine that is busy with all this is no store that is out.
  storeTimeoutMs: 2_000,
  keepMs: 5_000,
  isConnected: (guildId) => isConnected(client, guildId),
  disconnect: () => client.destroy(),
  clock,
})
restart.on('repeated', ({ eventId, attempt, why }) => tell('repeated', { id: eventId, attempt, why }))
restart.on('undecided', ({ eventId: id, why }) => tell('undecided', { ...(id !== undefined && { id }), why }))
restart.on('change', ({ what, to, message }) => {
  if (what === 'membership') tell(to === 'out' ? 'out' : 'in', { why: message })
  else tell('said', { why: message })
  if (what !== 'owner') return
  // Whoever owns the events drives the versions.
  if (restart.status.role !== 'owner') isStale = true
  else drive().catch((error: unknown) => tell('said', { why: `drive: ${String(error)}` }))
})

/** What it is asked for and does not do is news, not a failure. */
function attempt(what: string, work: () => Promise<unknown>): void {
  work().then(
    () => tell('said', { why: `${what} done` }),
    (error: unknown) => tell('refused', { why: `${what}: ${String(error)}` }),
  )
}

async function takeOver(): Promise<void> {
  await restart.takeOver()
  await drive()
  tell('owner')
}

async function leave(): Promise<void> {
  if (how === 'pair') await restart.drain()
  await restart.stop()
  const { drained } = await blueGreen.drain()
  await blueGreen.stop()
  await storage.stop()
  tell('left', { why: `drained ${drained}` })
  process.exit(0)
}

function flap(times: number): void {
  health.status = health.status === 'up' ? 'down' : 'up'
  for (const listener of [...listeners]) listener()
  if (times > 1) setTimeout(() => flap(times - 1), 30)
  else if (health.status !== 'up') flap(1)
}

/** Numbers that no version has ever had. */
function absurd(version: 'v1' | 'v2' | 'v3' | 'v4'): void {
  for (const bytes of [NaN, Infinity, -1, 0, 1e300, 5]) {
    for (const ageMs of [NaN, -1, 0, 1, 1e300]) blueGreen.measureMemory(version, { ageMs, bytes })
  }
  for (let i = 0; i < 3; i++) blueGreen.report({ guildId: '1' })
}

const orders = createInterface({ input: process.stdin })
orders.on('line', (line) => {
  const [what = '', version = 'v1', ...numbers] = line.split(' ')
  const known = version as 'v1' | 'v2' | 'v3' | 'v4'
  const why = 'chaos'
  if (what === 'deploy') {
    const [stepMs = 100, bakeMs = 0, ...percentages] = numbers.map(Number)
    const plan = { percentages, stepMs, bakeMs, retry: true, advance: 'time', minEvents: 0 } as const
    attempt(line, () => drive().then(() => blueGreen.deploy(known, plan)))
  }
  if (what === 'rollback') attempt(line, () => blueGreen.rollback({ why }))
  if (what === 'takeBack') attempt(line, async () => blueGreen.lastDeployment?.rollback({ why }))
  if (what === 'batches') attempt(line, () => blueGreen.rollback({ why, batches: { size: 30, pauseMs: 100 } }))
  if (what === 'promote') attempt(line, async () => blueGreen.deployment?.promote({ why }))
  if (what === 'hold') attempt(line, async () => blueGreen.deployment?.hold({ why }))
  if (what === 'resume') attempt(line, async () => blueGreen.deployment?.resume({ why }))
  if (what === 'flap') flap(Number(version))
  if (what === 'absurd') absurd(known)
  if (what === 'jump') jumpMs += Number(version)
  if (what === 'takeOver' && how === 'pair') attempt('takeOver', takeOver)
  if (what === 'leave') void leave()
})
// Whoever gave the orders is gone.
orders.once('close', () => process.exit())

try {
  await storage.start()
  if (how === 'pair') await restart.start()
  // Alone, it goes on where the last one was killed before anything can come.
  else await drive()
} catch (error) {
  tell('refused', { why: `start: ${String(error)}` })
  process.exit(1)
}

client.on(Events.InteractionCreate, (interaction) => {
  if (!interaction.isChatInputCommand()) return
  tell('got', { id: interaction.id })
  const served = how === 'pair' ? restart.handle(interaction) : serve(interaction)
  served.catch((error: unknown) => tell('failed', { id: interaction.id, why: String(error) }))
})
const ready = once(client, Events.ClientReady)
await client.login(token)
await ready
tell('ready')
if (how === 'pair') attempt('takeOver', takeOver)
else tell('owner')
