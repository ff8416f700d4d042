import { once } from 'node:events'
import { DiscordStandin } from '@evenkeel-examples/discord-standin'
import type { CheckResult, HealthCheck } from '@evenkeel/health-monitor'
import { discordCheck, discordRestCheck } from '@evenkeel/health-monitor/discord'
import { FakeClock } from '@evenkeel/testing'
import { Client, Events, GatewayIntentBits, Routes } from 'discord.js'
import { describe, expect, it, onTestFinished } from 'vitest'

// The checks know a client by its shape; here they look at the real one.

async function start() {
  const standin = new DiscordStandin({ guilds: 1, heartbeatIntervalMs: 100 })
  onTestFinished(() => standin.stop())
  await standin.start()
  const client = new Client({
    intents: [GatewayIntentBits.Guilds],
    rest: { api: standin.api, retries: 0, globalRequestsPerSecond: Infinity },
    ws: { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) },
  })
  client.on(Events.ShardError, () => {})
  onTestFinished(() => client.destroy())
  const logIn = async (): Promise<void> => {
    const ready = once(client, Events.ClientReady)
    await client.login(standin.token)
    await ready
  }
  return { standin, client, logIn }
}

async function look(check: HealthCheck): Promise<CheckResult> {
  return (await check(new AbortController().signal)) as CheckResult
}

describe('the gateway', () => {
  it('is down before the login, up once connected, and down when heartbeats have had no answer for long', async () => {
    const { client, logIn } = await start()
    const clock = new FakeClock(Date.now())
    const check = discordCheck(client, { clock })
    expect(await look(check)).toEqual({
      status: 'down',
      reason: 'there is no shard; client.login() has not got that far',
    })
    await logIn()
    expect(await look(check)).toEqual({ status: 'up', reason: 'all shards (1) are ready' })
    await expect.poll(() => client.ws.shards.first()?.lastPingTimestamp).toBeGreaterThan(0)
    expect((await look(check)).status).toBe('up')
    await client.destroy()
    const frozen = client.ws.shards.first()
    if (frozen !== undefined) frozen.status = 0
    await look(check)
    await clock.advance(62_000)
    expect((await look(check)).status).toBe('degraded')
    await clock.advance(42_000)
    expect((await look(check)).status).toBe('down')
  })

  it('is down in an outage, through which client.isReady() stays true, and up again after it', async () => {
    const { standin, client, logIn } = await start()
    await logIn()
    const check = discordCheck(client)
    const { id } = await standin.inject({ kind: 'refuse-gateway' })
    await standin.inject({ kind: 'drop' })
    await expect
      .poll(() => look(check), { timeout: 5_000 })
      .toEqual({ status: 'down', reason: 'shard 0 is connecting' })
    expect(client.isReady()).toBe(true)
    await standin.clear(id)
    await expect.poll(async () => (await look(check)).status, { timeout: 15_000 }).toBe('up')
  })

  it('is down for good when Discord refuses the client', async () => {
    const { standin, client, logIn } = await start()
    await logIn()
    const gone = once(client, Events.ShardDisconnect)
    await standin.inject({ kind: 'close', code: 4_014 })
    await gone
    expect(await look(discordCheck(client))).toEqual({ status: 'down', reason: 'shard 0 is disconnected for good' })
  })
})

describe('answers', () => {
  it.each([
    [503, 'down', /^40 of 40 answers are errors \(100 %\), above 50 %$/],
    [403, 'up', /^0 of 40 answers are errors/],
  ] as const)('of %i are %s', async (status, wanted, reason) => {
    const { standin, client, logIn } = await start()
    await logIn()
    const check = discordRestCheck(client)
    await look(check)
    await standin.inject({ kind: 'rest', match: 'GET /users/@me', status })
    for (let call = 0; call < 40; call++) await client.rest.get(Routes.user()).catch(() => {})
    const seen = await look(check)
    expect(seen.status).toBe(wanted)
    expect(seen.reason).toMatch(reason)
    check.stop()
    expect(client.rest.listenerCount('response')).toBe(0)
  })
})
