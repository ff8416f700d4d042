import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { startStandin, type StandinProcess } from '@evenkeel-examples/discord-standin'
import {
  answerOnce,
  contextOf,
  contextOfDispatch,
  deferOnce,
  forwardEvents,
  gatewayBudgetCheck,
  isConnected,
  nonceOf,
  type DiscordContext,
  type DiscordEvent,
  type GatewayDispatch,
} from '@evenkeel/blue-green/discord'
import { BlueGreen, memoryState } from '@evenkeel/blue-green'
import { permissionsCheck } from '@evenkeel/blue-green/preparation'
import {
  Client,
  Events,
  GatewayIntentBits,
  Partials,
  PermissionFlagsBits,
  REST,
  type ClientEvents,
  type Interaction,
  type PermissionsString,
} from 'discord.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

type Seen = DiscordEvent<
  ClientEvents,
  | 'interactionCreate'
  | 'messageCreate'
  | 'messageUpdate'
  | 'messageDelete'
  | 'messageReactionAdd'
  | 'guildMemberAdd'
  | 'guildMemberRemove'
>

const names = [
  'interactionCreate',
  'messageCreate',
  'messageUpdate',
  'messageDelete',
  'messageReactionAdd',
  'guildMemberAdd',
  'guildMemberRemove',
] as const

describe('with the real discord.js', () => {
  let standin: StandinProcess
  const clients: Client[] = []

  async function connect(partials: Partials[] = []): Promise<Client> {
    const client = new Client({
      intents: [GatewayIntentBits.Guilds],
      partials,
      rest: { api: standin.api },
      ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
    })
    clients.push(client)
    const ready = once(client, Events.ClientReady)
    await client.login(standin.token)
    await ready
    return client
  }

  beforeEach(async () => {
    standin = await startStandin({ guilds: 1, ackDeadlineMs: 600_000 })
  })

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.destroy()))
    await standin.stop()
  })

  it('knows whether a client is connected, from before its login until it is destroyed', async () => {
    const client = await connect()
    expect(isConnected(new Client({ intents: [] }))).toBe(true)
    const guildId = client.guilds.cache.firstKey()
    for (const asked of [undefined, guildId, 'of nobody']) expect(isConnected(client, asked)).toBe(true)
    for (const kind of ['drop', 'reconnect'] as const) {
      const cut = once(client, Events.ShardReconnecting)
      // So that it does not come back before there is something for it.
      const { id: refusal } = await standin.inject({ kind: 'refuse-gateway' })
      await standin.inject({ kind })
      await cut
      expect(isConnected(client)).toBe(false)
      expect(isConnected(client, guildId)).toBe(false)
      const missed = once(client, Events.InteractionCreate).then(() => (isMissed = false))
      let isMissed = true
      await standin.command({ name: 'ping' })
      await standin.clear(refusal)
      while (!isConnected(client)) await setImmediate()
      // It has what it had missed.
      expect(isMissed).toBe(false)
      await missed
    }
    const refused = once(client, Events.ShardDisconnect)
    await standin.inject({ kind: 'close', code: 4_004 })
    await refused
    expect(isConnected(client)).toBe(true)
    await client.destroy()
    expect(isConnected(client)).toBe(true)
  })

  it('gives an event the same id in a process that has cached much, in one that has cached nothing, and at the gateway', async () => {
    const all = Object.values(Partials).filter((partial) => typeof partial === 'number')
    const [cached, bare] = [await connect(), await connect(all)]
    const seen = new Map([cached, bare].map((client) => [client, [] as DiscordContext[]]))
    for (const [client, contexts] of seen) {
      // At once: a message of discord.js changes under one's hands when it is edited.
      const bot = { handle: async (event: Seen) => contexts.push(contextOf(event)) }
      forwardEvents(client, names, bot, { onError: (error) => expect.fail(String(error)) })
    }
    const { id: guildId, channelId, memberIds } = standin.guilds[0]!
    const userId = memberIds[0]!
    const author = { id: userId, username: 'anna', discriminator: '0', avatar: null }
    const message = {
      id: '1043',
      channel_id: channelId,
      guild_id: guildId,
      author,
      content: 'tea',
      embeds: [],
      type: 0,
    }
    // Of an update long after the edit nobody can tell what it was.
    const editedAt = Date.now()
    const edited_timestamp = new Date(editedAt).toISOString()
    const edited = { ...message, content: 'coffee', edited_timestamp, pinned: false }
    const member = { guild_id: guildId, user: author, roles: [], joined_at: '2026-11-29T03:00:00.000Z' }
    const emoji = { id: null, name: '🔥' }
    const dispatches: [t: string, d: Record<string, unknown>][] = [
      ['MESSAGE_CREATE', message],
      [
        'MESSAGE_REACTION_ADD',
        { user_id: userId, member, message_id: '1043', channel_id: channelId, guild_id: guildId, emoji },
      ],
      ['MESSAGE_UPDATE', edited],
      ['MESSAGE_UPDATE', { ...edited, embeds: [{ title: 'of a link' }] }],
      ['MESSAGE_DELETE', { id: '1043', channel_id: channelId, guild_id: guildId }],
      ['GUILD_MEMBER_ADD', member],
      ['GUILD_MEMBER_REMOVE', { guild_id: guildId, user: author }],
    ]
    for (const client of [cached, bare]) {
      // The other one has never seen the message of which it hears.
      const { _ws: gateway } = client.ws as unknown as { _ws: { emit(name: string, payload: unknown): void } }
      for (const [index, [t, d]] of dispatches.entries()) {
        if (client === bare && index === 0) continue
        gateway.emit('dispatch', { data: { op: 0, t, s: index + 10, d }, shardId: 0 })
      }
    }
    const contexts = (client: Client) => seen.get(client)!.map(({ eventId, guildId }) => [eventId, guildId])
    const atGateway = dispatches.map(([t, d]) => contextOfDispatch({ t, s: 1, d } satisfies GatewayDispatch))
    expect(contexts(cached)).toEqual([
      ['messageCreate:1043', guildId],
      [null, guildId],
      [`messageUpdate:1043:${editedAt}:0:0`, guildId],
      [`messageUpdate:1043:${editedAt}:0:1`, guildId],
      ['messageDelete:1043', guildId],
      [`guildMemberAdd:${guildId}:${userId}:1795921200000`, guildId],
      [null, guildId],
    ])
    expect(contexts(bare)).toEqual(contexts(cached).slice(1))
    expect(atGateway.map(({ eventId, guildId }) => [eventId, guildId])).toEqual(contexts(cached))
    const users = [userId, userId, userId, userId, null, userId, userId]
    expect(atGateway.map(({ userId }) => userId)).toEqual(users)
    // Who wrote a message that is deleted, only a process knows that has cached it.
    expect(seen.get(bare)!.map(({ userId }) => userId)).toEqual([userId, userId, userId, userId, userId, userId])
  }, 60_000)

  it('takes interactions whole, knows how long each can be answered, and what is left of the day', async () => {
    const client = await connect()
    const budget = await gatewayBudgetCheck(client.rest, { shards: 1 })({ signal: AbortSignal.timeout(10_000) })
    expect(budget).toMatchObject({ remaining: 999, identifyMs: 5_000 })
    const blueGreen = new BlueGreen({
      versions: {
        v1: async (interaction: Interaction) => interaction.isRepliable() && (await interaction.reply('v1')),
      },
      initial: 'v1',
      context: contextOf,
      store: memoryState(),
    })
    await blueGreen.start()
    client.on(Events.InteractionCreate, (interaction) => void blueGreen.handle(interaction))
    await standin.inject({ kind: 'duplicate-events', times: 2 })
    expect((await standin.ask({ name: 'ping' })).content).toBe('v1')
    expect(blueGreen.status.duplicates).toBe(1)
    await blueGreen.stop()
  }, 60_000)

  it('starts no second process where too few new sessions are left', async () => {
    await connect()
    const rest = new REST({ api: standin.api, version: '10' }).setToken(standin.token)
    const check = gatewayBudgetCheck(rest, { shards: 1, reserve: 999 })
    const start = async (): Promise<Client> => {
      await check({ signal: AbortSignal.timeout(10_000) })
      return connect()
    }
    await expect(start()).rejects.toThrow(/999/)
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, connected: 1 })
  }, 60_000)

  it('names the permissions that a new version lacks', async () => {
    const client = await connect()
    const { id } = standin.guilds[0]!
    // All that its guild grants from now on.
    const role = {
      id,
      name: '@everyone',
      color: 0,
      position: 0,
      flags: 0,
      permissions: String(PermissionFlagsBits.SendMessages),
    }
    const { _ws: gateway } = client.ws as unknown as { _ws: { emit(name: string, payload: unknown): void } }
    gateway.emit('dispatch', { data: { op: 0, t: 'GUILD_ROLE_UPDATE', s: 10, d: { guild_id: id, role } }, shardId: 0 })
    const lacking = (needed: PermissionsString[], guildId = id) =>
      permissionsCheck(() => client.guilds.cache.get(guildId)?.members.me?.permissions.missing(needed))({
        signal: AbortSignal.timeout(1_000),
      })
    await expect(lacking(['BanMembers', 'SendMessages'])).rejects.toThrow('not granted: BanMembers')
    await expect(lacking(['SendMessages'])).resolves.toBeDefined()
    await expect(lacking(['SendMessages'], '1')).rejects.toThrow('the bot is not a member there')
  }, 60_000)

  it('hands on what is left of the three seconds', async () => {
    const client = await connect()
    const remaining: number[] = []
    const bot = {
      handle: async (event: Seen) => {
        remaining.push(event.remainingMs())
        if (event.name === 'interactionCreate' && event.args[0].isRepliable()) await event.args[0].reply('pong')
      },
    }
    const takeOff = forwardEvents(client, names, bot, { onError: (error) => expect.fail(String(error)) })
    await standin.ask({ name: 'ping' })
    expect(remaining[0]).toBeGreaterThan(0)
    expect(remaining[0]).toBeLessThanOrEqual(2_800)
    takeOff()
    const heard = once(client, Events.InteractionCreate)
    await standin.command({ name: 'ping' })
    await heard
    expect(remaining).toHaveLength(1)
  }, 60_000)

  it('takes a second run of an event for what it is: an answer, a deferral, a message', async () => {
    const clients = [await connect(), await connect()]
    const runs = clients.map((client) => once(client, Events.InteractionCreate))
    const answer = standin.ask({ name: 'search' })
    const interactions = (await Promise.all(runs)).map(([interaction]) => interaction as Interaction)
    const outcomes: string[] = []
    for (const interaction of interactions) {
      if (!interaction.isChatInputCommand()) continue
      // The first one has only deferred when its process dies.
      outcomes.push((await deferOnce(interaction)).outcome)
    }
    const second = interactions[1]!
    if (second.isChatInputCommand()) await second.editReply('found')
    expect(outcomes).toEqual(['answered', 'already-answered'])
    expect((await answer).content).toBe('found')
    const { id, token } = second
    const reply = () =>
      clients[0]!.rest.post(`/interactions/${id}/${token}/callback`, { body: { type: 4, data: { content: 'again' } } })
    expect(await answerOnce(reply)).toEqual({ outcome: 'already-answered' })

    const channel = clients[0]!.channels.cache.get(standin.guilds[0]!.channelId)
    if (!channel?.isSendable()) throw new Error('the stand-in has no channel')
    const welcome = { content: 'Welcome!', nonce: nonceOf('guildMemberAdd:1:2:3', 'welcome'), enforceNonce: true }
    const [first, again] = [await channel.send(welcome), await channel.send(welcome)]
    expect(again.id).toBe(first.id)
    expect((await standin.ledger()).messages).toHaveLength(1)
  }, 60_000)
})
