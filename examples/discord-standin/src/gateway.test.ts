import { once } from 'node:events'
import { Events, Status } from 'discord.js'
import { describe, expect, it } from 'vitest'
import { RawGateway } from './raw-gateway.js'
import { inbox, logIn, startForTest, steppedClock } from './test-bot.js'

describe('logging in', () => {
  it('is ready with all of 300 guilds', async () => {
    const standin = await startForTest({ guilds: 300 })
    const bot = await logIn(standin)
    expect(bot.guilds.cache.size).toBe(300)
    expect(bot.guilds.cache.every((guild) => guild.available)).toBe(true)
    expect(bot.user.id).toBe(bot.application.id)
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 0, connected: 1 })
  })

  it('refuses a wrong token, by REST and by gateway', async () => {
    const standin = await startForTest()
    const impostor = { ...standin, token: 'wrong', api: standin.api } as typeof standin
    await expect(logIn(impostor)).rejects.toMatchObject({ code: 'TokenInvalid' })
    const gateway = await RawGateway.open(standin)
    gateway.identify({ token: 'wrong' })
    expect(await gateway.closed).toBe(4_004)
  })

  it('counts the identifies of the day down', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    await logIn(standin)
    expect(await bot.rest.get('/gateway/bot')).toMatchObject({
      session_start_limit: { total: 1_000, remaining: 998, max_concurrency: 1 },
    })
  })

  it('gives each shard the guilds and the commands that are its own', async () => {
    const standin = await startForTest({ guilds: 20 })
    const shards = await Promise.all(
      [0, 1].map(async (id) => {
        const gateway = await RawGateway.open(standin)
        gateway.identify({ shard: [id, 2] })
        const ready = await gateway.next('READY')
        return { gateway, guildIds: (ready.d as { guilds: { id: string }[] }).guilds.map((guild) => guild.id) }
      }),
    )
    const all = shards.flatMap(({ guildIds }) => guildIds)
    expect(all.sort()).toEqual(standin.guilds.map(({ id }) => id).sort())
    for (const { gateway, guildIds } of shards) {
      expect(guildIds.length).toBeGreaterThan(0)
      const { id } = await standin.command({ guildId: guildIds[0] ?? '', name: 'ping' })
      expect(await gateway.next('INTERACTION_CREATE')).toMatchObject({ d: { id } })
    }
    expect((await standin.ledger()).events.map(({ deliveries }) => deliveries)).toEqual([1, 1])
  })

  it.each([
    ['another version', 'v=9&encoding=json', 4_012],
    ['another encoding', 'v=10&encoding=etf', 4_002],
    ['compression', 'v=10&encoding=json&compress=zlib-stream', 4_002],
  ])('refuses %s rather than to misunderstand', async (_, query, code) => {
    const gateway = await RawGateway.open(await startForTest(), query)
    expect(await gateway.closed).toBe(code)
  })
})

describe('a client that breaks the rules', () => {
  it.each<[string, number, (gateway: RawGateway) => void]>([
    ['no JSON', 4_002, (gateway) => gateway.socket.send('{')],
    ['no payload', 4_002, (gateway) => gateway.socket.send('null')],
    ['an identify without data', 4_002, (gateway) => gateway.send(2, null)],
    ['an unknown opcode', 4_001, (gateway) => gateway.send(99, null)],
    ['a presence before it identifies', 4_003, (gateway) => gateway.send(3, {})],
    ['a second identify', 4_005, (gateway) => [gateway.identify(), gateway.identify()]],
    ['a shard that cannot be', 4_010, (gateway) => gateway.identify({ shard: [2, 2] })],
    ['a resume with a wrong token', 4_004, (gateway) => gateway.send(6, { token: 'x', session_id: 'y', seq: 1 })],
  ])('is closed for %s', async (_, code, breakRule) => {
    const gateway = await RawGateway.open(await startForTest())
    breakRule(gateway)
    expect(await gateway.closed).toBe(code)
  })
})

describe('a session', () => {
  it('loses nothing when its connection drops', async () => {
    const standin = await startForTest()
    await logIn(standin)
    await standin.inject({ kind: 'drop' })
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => standin.ask({ name: 'ping' })))
    expect(answers.every(({ answered }) => answered)).toBe(true)
    const { gateway, events } = await standin.ledger()
    expect(gateway).toMatchObject({ identifies: 1, resumes: 1, closes: { 1006: 1 } })
    expect(events.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1, 1, 1])
  })

  it('replays what came after the number that the client names, whatever was sent before', async () => {
    const standin = await startForTest({ guilds: 1 })
    const before = await RawGateway.open(standin)
    before.identify()
    const { session_id } = (await before.next('READY')).d as { session_id: string }
    await before.next('GUILD_CREATE')
    const ids: string[] = []
    for (let i = 0; i < 4; i++) ids.push((await standin.command({ name: 'ping' })).id)
    for (let i = 0; i < 4; i++) await before.next('INTERACTION_CREATE')

    const after = await RawGateway.open(standin)
    after.resume({ session_id, seq: 4 })
    expect(await after.next('INTERACTION_CREATE')).toMatchObject({ s: 5, d: { id: ids[2] } })
    expect(await after.next('INTERACTION_CREATE')).toMatchObject({ s: 6, d: { id: ids[3] } })
    expect(await after.next('RESUMED')).toMatchObject({ s: 7 })
    expect(await before.closed).toBe(1_006)
    expect((await standin.ledger()).events.map(({ deliveries }) => deliveries)).toEqual([1, 1, 2, 2])
  })

  it('is refused when it is unknown, or asked for a number it has not reached', async () => {
    const standin = await startForTest()
    const stranger = await RawGateway.open(standin)
    stranger.resume({ session_id: 'nobody', seq: 1 })
    expect(await stranger.nextOp(9)).toMatchObject({ d: false })
    stranger.identify()
    const { session_id } = (await stranger.next('READY')).d as { session_id: string }
    const ahead = await RawGateway.open(standin)
    ahead.resume({ session_id, seq: 1_000 })
    expect(await ahead.closed).toBe(4_007)
    expect((await standin.ledger()).gateway).toMatchObject({ refusedResumes: 1, resumes: 0 })
  })

  it('ends with a client that says goodbye', async () => {
    const standin = await startForTest()
    const gateway = await RawGateway.open(standin)
    gateway.identify()
    const { session_id } = (await gateway.next('READY')).d as { session_id: string }
    gateway.socket.close(1_000)
    await gateway.closed
    await standin.command({ name: 'ping' })
    const again = await RawGateway.open(standin)
    again.resume({ session_id, seq: 1 })
    expect(await again.nextOp(9)).toMatchObject({ d: false })
    expect((await standin.ledger()).events).toMatchObject([{ deliveries: 0 }])
  })

  it('is forgotten when it was away for more than three minutes', async () => {
    const clock = steppedClock()
    const standin = await startForTest({ now: clock.now })
    const sessionIds = []
    for (const gateway of [await RawGateway.open(standin), await RawGateway.open(standin)]) {
      gateway.identify()
      sessionIds.push(((await gateway.next('READY')).d as { session_id: string }).session_id)
      gateway.socket.close(4_000)
      await gateway.closed
    }
    const [first = '', second = ''] = sessionIds
    clock.step(180_000)
    const inTime = await RawGateway.open(standin)
    inTime.resume({ session_id: first, seq: 1 })
    await inTime.next('RESUMED')
    clock.step(1)
    const late = await RawGateway.open(standin)
    late.resume({ session_id: second, seq: 1 })
    expect(await late.nextOp(9)).toMatchObject({ d: false })
  })

  it('is given to each client of one token', async () => {
    const standin = await startForTest()
    const [blue, green] = [inbox(), inbox()]
    await logIn(standin, blue.receive)
    await logIn(standin, green.receive)
    const { id } = await standin.command({ name: 'ping' })
    expect([(await blue.next()).id, (await green.next()).id]).toEqual([id, id])
    expect((await standin.ledger()).events).toMatchObject([{ deliveries: 2 }])
  })
})

describe('faults of the gateway', () => {
  it('reconnect: the client resumes, and what was sent meanwhile is answered', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const resumed = once(bot, Events.ShardResume)
    await standin.inject({ kind: 'reconnect' })
    expect(await standin.ask({ name: 'ping' })).toMatchObject({ answered: true })
    await resumed
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 1, closes: { 4200: 1 } })
  })

  it('invalid-session, resumable: the client resumes on the same connection', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const resumed = once(bot, Events.ShardResume)
    await standin.inject({ kind: 'invalid-session', resumable: true })
    expect(await standin.ask({ name: 'ping' })).toMatchObject({ answered: true })
    await resumed
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 1, closes: {} })
  })

  it('invalid-session, not resumable: the client identifies anew, and what was sent meanwhile is lost', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const again = once(bot, Events.ShardReady)
    await standin.inject({ kind: 'invalid-session', resumable: false })
    await standin.command({ name: 'lost' })
    await again
    expect(await standin.ask({ name: 'ping' })).toMatchObject({ answered: true })
    const { gateway, events } = await standin.ledger()
    expect(gateway).toMatchObject({ identifies: 2, resumes: 0 })
    expect(events.map(({ command, deliveries }) => [command, deliveries])).toEqual([
      ['lost', 0],
      ['ping', 1],
    ])
    expect(events[0]?.deliveredAt).toBeUndefined()
  })

  it('invalid-session, not resumable: nobody can resume it, whether connected or away', async () => {
    const standin = await startForTest()
    const [connected, away] = [await RawGateway.open(standin), await RawGateway.open(standin)]
    const sessionIds = []
    for (const gateway of [connected, away]) {
      gateway.identify()
      sessionIds.push(((await gateway.next('READY')).d as { session_id: string }).session_id)
    }
    away.socket.close(4_000)
    await away.closed
    await standin.inject({ kind: 'invalid-session', resumable: false })
    expect(await connected.nextOp(9)).toMatchObject({ d: false })
    for (const session_id of sessionIds) {
      connected.resume({ session_id, seq: 1 })
      expect(await connected.nextOp(9)).toMatchObject({ d: false })
    }
    expect((await standin.ledger()).gateway).toMatchObject({ refusedResumes: 2, resumes: 0 })
  })

  it('zombie: the client notices by its heartbeats, and its new connection is healthy', async () => {
    const standin = await startForTest({ heartbeatIntervalMs: 200 })
    const bot = await logIn(standin)
    const resumed = once(bot, Events.ShardResume)
    await standin.inject({ kind: 'zombie' })
    await resumed
    expect(await standin.ask({ name: 'ping' })).toMatchObject({ answered: true })
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 1, closes: { 4200: 1 } })
  })

  it('silence: events are held back while heartbeats go on, and come in order once it is over', async () => {
    const standin = await startForTest({ heartbeatIntervalMs: 200 })
    const asked = inbox()
    const bot = await logIn(standin, asked.receive)
    const { id: fault } = await standin.inject({ kind: 'silence' })
    const { id: first } = await standin.command({ name: 'ping' })
    const { id: second } = await standin.command({ name: 'ping' })
    const ping = bot.ws.shards.first()?.lastPingTimestamp ?? 0
    await heartbeat(bot)
    expect(bot.ws.shards.first()?.lastPingTimestamp).toBeGreaterThan(ping)
    expect((await standin.ledger()).events.map(({ deliveries }) => deliveries)).toEqual([0, 0])
    await standin.clear(fault)
    expect([(await asked.next()).id, (await asked.next()).id]).toEqual([first, second])
    expect((await standin.ledger()).gateway).toMatchObject({ resumes: 0, closes: {} })
  })

  it('silence of one session: the other one gets each event', async () => {
    const standin = await startForTest()
    const [first, second] = [inbox(), inbox()]
    await logIn(standin, first.receive)
    await logIn(standin, second.receive)
    const { id: fault } = await standin.inject({ kind: 'silence', session: 1 })
    const { id } = await standin.command({ name: 'ping' })
    expect((await second.next()).id).toBe(id)
    expect((await standin.ledger()).events.map(({ deliveries }) => deliveries)).toEqual([1])
    await standin.clear(fault)
    expect((await first.next()).id).toBe(id)
    await expect(standin.inject({ kind: 'silence', session: 0 })).rejects.toThrow('a session from 1 on, not 0')
  })

  it('silence: a client that reconnects gets what was held back', async () => {
    const standin = await startForTest()
    await logIn(standin)
    await standin.inject({ kind: 'silence' })
    const answering = standin.ask({ name: 'ping' })
    await standin.inject({ kind: 'reconnect' })
    expect(await answering).toMatchObject({ answered: true })
  })

  it('duplicate-events: each event comes several times, until it is cleared', async () => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    const { id: fault } = await standin.inject({ kind: 'duplicate-events', times: 3 })
    await standin.command({ name: 'ping' })
    const ids = [await asked.next(), await asked.next(), await asked.next()].map(({ id }) => id)
    expect(new Set(ids).size).toBe(1)
    await standin.clear(fault)
    await standin.command({ name: 'ping' })
    expect((await asked.next()).id).not.toBe(ids[0])
    expect((await standin.ledger()).events.map(({ deliveries }) => deliveries)).toEqual([3, 1])
  })

  it('close 4000: the client resumes', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const resumed = once(bot, Events.ShardResume)
    await standin.inject({ kind: 'close', code: 4_000 })
    await resumed
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 1, resumes: 1, closes: { 4000: 1 } })
  })

  it('close 4009: the session is over, and the client identifies anew', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const again = once(bot, Events.ShardReady)
    await standin.inject({ kind: 'close', code: 4_009 })
    await again
    expect((await standin.ledger()).gateway).toMatchObject({ identifies: 2, resumes: 0 })
  })

  it('close 4014: the client never comes back', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const gone = once(bot, Events.ShardDisconnect)
    bot.on(Events.ShardError, () => {})
    await standin.inject({ kind: 'close', code: 4_014 })
    expect(await gone).toMatchObject([{ code: 4_014 }, 0])
    expect(bot.ws.shards.first()?.status).toBe(Status.Disconnected)
  })

  it('refuse-gateway: the client keeps trying, and gets in when it is over', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    bot.on(Events.ShardError, () => {})
    const back = Promise.race([once(bot, Events.ShardReady), once(bot, Events.ShardResume)])
    const refused = once(bot, Events.ShardError)
    const { id } = await standin.inject({ kind: 'refuse-gateway' })
    await standin.inject({ kind: 'drop' })
    await refused
    await standin.clear(id)
    await back
    expect(await standin.ask({ name: 'ping' })).toMatchObject({ answered: true })
    expect((await standin.ledger()).gateway.refusedConnections).toBeGreaterThan(0)
  })
})

/** Until the bot has heard the next acknowledgement of a heartbeat. */
function heartbeat(bot: Awaited<ReturnType<typeof logIn>>): Promise<void> {
  return new Promise((resolve) => {
    const listener = (line: string): void => {
      if (!line.includes('Heartbeat acknowledged')) return
      bot.off(Events.Debug, listener)
      resolve()
    }
    bot.on(Events.Debug, listener)
  })
}
