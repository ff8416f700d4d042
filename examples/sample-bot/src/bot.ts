import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, DiscordAPIError, Events, GatewayIntentBits } from 'discord.js'
import { BlueGreen } from '@evenkeel/blue-green'
import {
  AdaptiveLimiter,
  Bulkhead,
  CircuitBreaker,
  DegradationManager,
  withSignal,
} from '@evenkeel/degradation-manager'
import { discordGate } from '@evenkeel/degradation-manager/discord'
import { FeatureFlags } from '@evenkeel/feature-flags'
import { flagFile } from '@evenkeel/feature-flags/file'
import { Rollout } from '@evenkeel/feature-flags/rollout'
import { HealthMonitor, httpCheck, storageCheck } from '@evenkeel/health-monitor'
import { discordCheck } from '@evenkeel/health-monitor/discord'
import { FailoverStorage } from '@evenkeel/storage-adapter'
import { createCommands } from './commands/index.js'
import type { GuildCommand, Member, Say } from './commands/command.js'
import { medalScores, plainScores } from './commands/leaderboard.js'
import { apologise, apology } from './apology.js'
import { openDatabase } from './database.js'
import { translateButNames } from './keep-names.js'
import { Load } from './load.js'
import { createMetrics, createOperators, type OperatorsOptions } from './operators.js'
import { readPlans, type Plans } from './plans.js'
import { type Reminder, Reminders } from './reminders.js'
import { Scores } from './scores.js'
import { inProcess, ping } from './slots.js'
import type { Question } from './versions.js'

export interface SampleBotOptions extends OperatorsOptions {
  /** The bot's token. */
  readonly token: string
  /** The REST address of Discord; the stand-in's for a trial. */
  readonly api?: string
  /** Where the fail-over journal and pending alerts live, and the database unless `storageUrl` names another. */
  readonly dataDirectory: string
  /** The address of the database, such as `postgres://bot@db.example/bot`. */
  readonly storageUrl?: string
  /** What operators say of the flags: the bot follows it. The one in `config` unless told. */
  readonly flagsPath?: string
  /** How new features are rolled out; as `config/rollouts` says unless told. */
  readonly plans?: Plans
  /** How often a rollout is looked at and judged, and the flags ask what they missed, milliseconds. */
  readonly lookIntervalMs?: number
  /** Where `/translate` asks. */
  readonly translateUrl: string
  /** Commands in flight at which the bot counts as fully loaded. */
  readonly maxInFlight?: number
  /** How long a calmer mode is waited for after a peak, milliseconds. */
  readonly minDwellMs?: number
  /** How often the database is asked whether it is back, milliseconds. */
  readonly probeIntervalMs?: number
  /** Options of Node.js for the processes of the versions; those of this process unless told. */
  readonly execArgv?: readonly string[]
  /** How long the local copy serves at least once it does, milliseconds. */
  readonly cooldownMs?: number
}

export type SampleBot = Awaited<ReturnType<typeof createBot>>

const config = fileURLToPath(new URL('../config', import.meta.url))

/** Wires the bot. Nothing runs before the parts are started, in the order in which `parts` lists them. */
export async function createBot(options: SampleBotOptions) {
  const { dataDirectory, maxInFlight = 50, minDwellMs = 5_000, probeIntervalMs = 1_000, cooldownMs = 10_000 } = options
  const client = new Client({
    intents: [GatewayIntentBits.Guilds],
    ...(options.api === undefined ? {} : { rest: { api: options.api } }),
  })

  // Keep: a database that may fail, and a local copy with a journal that takes over.
  const database = await openDatabase(dataDirectory, options.storageUrl)
  const storage = new FailoverStorage({
    primary: database.storage,
    path: join(dataDirectory, 'failover'),
    writers: 'one',
    probeIntervalMs,
    cooldownMs,
  })

  // Decide: who sees what. The code knows the flags, the file says how they stand, and the store what has changed since.
  // What decides for all processes never lives on a fallback: while the database is away, the flags answer from memory.
  const shared = database.storage.collection('evenkeel')
  const { flagsPath = join(config, 'flags.yaml'), lookIntervalMs } = options
  const flags = new FeatureFlags({
    flags: {
      leaderboard: {},
      medals: { by: 'guild', requires: ['leaderboard'] },
      soonestFirst: { by: 'user' },
      keepNames: { by: 'user' },
    },
    sources: [flagFile(flagsPath)],
    store: shared,
    ...(lookIntervalMs === undefined ? {} : { checkIntervalMs: lookIntervalMs }),
  })

  // Know: what works.
  const health = new HealthMonitor({
    checks: {
      gateway: { check: discordCheck(client), intervalMs: 2_000 },
      database: { check: storageCheck(storage), intervalMs: 2_000 },
      translation: { check: httpCheck(options.translateUrl), critical: false, timeoutMs: 2_000 },
    },
  })
  storage.on('change', ({ why }) => {
    health.report('database', storage.state.on === 'primary' ? 'up' : 'degraded', why)
  })

  // Yield: what may rest when the load peaks.
  const load = new Load()
  const modes = new DegradationManager({
    health,
    features: {
      remind: { priority: 'critical' },
      forget: { priority: 'critical' },
      reminders: { priority: 'high' },
      leaderboard: { priority: 'optional' },
      translate: { priority: 'optional' },
    },
    pressures: { load: () => Math.min(1, load.inFlight / maxInFlight) },
    rules: [
      { pressure: 'load', enter: 0.8, leave: 0.3, mode: 'DEGRADED' },
      { component: 'database', is: 'down', mode: 'MAINTENANCE' },
    ],
    minDwellMs,
    sampleMs: 100,
  })

  // Discord itself may be ill: then nothing is gained by asking it again and again.
  const discord = new CircuitBreaker({ name: 'Discord', windowCalls: 50, openMs: 1_000 })
  const post = modes.guard(
    'remind',
    async ({ id, userId, channelId, text }: Reminder): Promise<void> => {
      const channel = await client.channels.fetch(channelId)
      if (channel === null || !channel.isSendable()) throw new Error(`Channel ${channelId} takes no messages`)
      await channel.send({
        content: `<@${userId}> ${text}`,
        nonce: id,
        enforceNonce: true,
        allowedMentions: { users: [userId] },
      })
    },
    {
      // Discord answers a repeated nonce with the message that it already has, so a retry is no second message.
      idempotent: true,
      retry: { attempts: 1 },
      breaker: discord,
      admission: new Bulkhead({ name: 'posts', maxConcurrent: 50, maxWaiting: 10_000, maxWaitMs: 10_000 }),
      // A channel that is gone says nothing about Discord.
      isUserError: (error) => error instanceof DiscordAPIError && error.status < 500,
    },
  )
  const reminders = new Reminders(storage, post)
  const scores = new Scores(storage)

  // Both paths only read, so what the new one fails to find, the old one finds.
  const reading = { idempotent: true }
  const findReminders = (who: Member) =>
    flags.run(
      'soonestFirst',
      who,
      () => reminders.soonest(who.guildId, who.userId),
      () => reminders.list(who.guildId, who.userId),
      reading,
    )
  const askPirate = modes.guard(
    'translate',
    withSignal(async (signal, text: string) => {
      const response = await fetch(`${options.translateUrl}/?text=${encodeURIComponent(text)}`, { signal })
      return response.text()
    }),
    { timeoutMs: 2_000, idempotent: true, fallback: (text) => text },
  )
  const translate = (text: string, who: Member) =>
    flags.run(
      'keepNames',
      who,
      () => translateButNames(text, askPirate),
      () => askPirate(text),
      reading,
    )

  // Swap: versions of how the bot speaks, each in a process of its own, changed while it runs.
  const { execArgv } = options
  const versions = {
    v1: inProcess('v1', execArgv),
    v2: inProcess('v2', execArgv),
    v3: inProcess('v3', execArgv),
    v4: inProcess('v4', execArgv),
  }
  const blueGreen = new BlueGreen({
    versions,
    initial: 'v1',
    context: ({ id, guildId, userId }: Question) => ({ eventId: id, guildId, userId }),
    // Who owns which guild never lives on a fallback.
    store: shared,
    health,
    recoverMs: 1_000,
    smokeTests: { speaks: ({ call }) => call(ping) },
  })
  const say: Say = ({ id, guildId, user, member: { nickname } }, subject) =>
    blueGreen.handle({ id, guildId, userId: user.id, nickname, subject })

  const commandList = createCommands({
    say,
    reminders,
    findReminders,
    scores,
    translate,
    showScores: (guildId: string) => (flags.isEnabled('medals', { guildId }) ? medalScores : plainScores),
  })
  // As many commands at once as do the most good; what matters goes first, and every guild gets its turn.
  const admission = new AdaptiveLimiter({
    name: 'commands',
    initialLimit: 50,
    minLimit: 10,
    // Discord waits for three seconds.
    maxWaitMs: { critical: 2_000, high: 2_000, optional: 500 },
  })
  const gate = discordGate({
    modes,
    admission,
    commands: {
      remind: { feature: 'remind' },
      forget: { feature: 'forget' },
      reminders: { feature: 'reminders' },
      leaderboard: { feature: 'leaderboard' },
      translate: { feature: 'translate' },
    },
    texts: { en: { failed: () => apology } },
    onUnanswered: ({ commandName }, error) => console.warn(`/${commandName} stays without an answer: ${String(error)}`),
  })

  // Roll out: new features by a plan each, judged by the calls of `flags.run`.
  const plans = options.plans ?? (await readPlans(join(config, 'rollouts')))
  const isUp = (component: 'gateway' | 'database') => {
    const found = health.components.get(component)
    return found?.status === 'up' || `${component} is ${found?.status}: ${found?.reason}`
  }
  const rollOut = (flag: keyof Plans) =>
    new Rollout({
      flags,
      flag,
      plan: plans[flag],
      store: shared,
      // One process serves the bot, so nobody else can be driving.
      scope: 'process',
      validate: { commands: () => isUp('gateway'), data: () => isUp('database') },
      ...(lookIntervalMs === undefined ? {} : { intervalMs: lookIntervalMs, settleMs: 4 * lookIntervalMs }),
    })
  const rollouts = { soonestFirst: rollOut('soonestFirst'), keepNames: rollOut('keepNames') }

  // Show, and tell: probes and metrics for machines, and alerts for people, once each.
  const { metrics, commands } = createMetrics()
  const { alerts, machine, readiness, pages, live } = createOperators(health, metrics, options)
  alerts.watch(health, modes, discord, admission, blueGreen, ...Object.values(rollouts))

  const byName = new Map(commandList.map((command) => [command.data.name, command]))
  const serve = gate(async (interaction: GuildCommand) => {
    const command = byName.get(interaction.commandName)
    if (command === undefined) await interaction.reply(`This bot no longer knows /${interaction.commandName}.`)
    else await command.execute(interaction)
  })
  client.on(Events.InteractionCreate, (interaction) => {
    if (!interaction.isChatInputCommand()) return
    if (!interaction.inCachedGuild()) {
      void interaction.reply('This bot works in servers only.').catch(console.warn)
      return
    }
    const end = load.begin()
    commands
      .with({ command: interaction.commandName })
      .time(() => serve(interaction))
      .catch((error: unknown) => apologise(interaction, error))
      .catch(console.warn)
      .finally(end)
  })

  const gateway = {
    async start(): Promise<void> {
      const ready = new Promise<void>((resolve) => client.once(Events.ClientReady, () => resolve()))
      await client.login(options.token)
      await ready
      await client.application?.commands.set(commandList.map(({ data }) => data.toJSON()))
    },
    drain: () => load.idle(),
    stop: () => client.destroy(),
  }

  return {
    client,
    database,
    storage,
    flags,
    health,
    modes,
    admission,
    versions,
    blueGreen,
    rollouts,
    reminders,
    load,
    alerts,
    pages,
    live,
    /** For `runUntilSignal`: started in this order, stopped in the reverse one. */
    parts: [
      ...(live === undefined ? [] : [live]),
      alerts,
      storage,
      flags,
      blueGreen,
      machine,
      ...(pages === undefined ? [] : [pages]),
      gateway,
      reminders,
      health,
      modes,
      { name: 'ready', start: () => readiness.on(), stop: () => readiness.off() },
    ],
  }
}
