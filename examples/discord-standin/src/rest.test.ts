import { RESTEvents } from 'discord.js'
import { describe, expect, it } from 'vitest'
import type { Fault } from './faults.js'
import { firstChannel, inbox, logIn, startForTest, steppedClock } from './test-bot.js'

describe('reading and registering by REST', () => {
  it('serves the reads that a bot makes', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const [guild] = standin.guilds
    expect(await bot.rest.get('/users/@me')).toMatchObject({ id: bot.user.id, bot: true })
    expect(await bot.rest.get('/applications/@me')).toMatchObject({ id: bot.application.id })
    expect(await bot.application.fetch()).toMatchObject({ name: 'standin-bot' })
    expect(await bot.channels.fetch(guild?.channelId ?? '', { force: true })).toMatchObject({ guildId: guild?.id })
    expect(await bot.guilds.fetch({ guild: guild?.id ?? '', force: true })).toMatchObject({ name: guild?.name })
    await expect(bot.guilds.fetch('1'.repeat(18))).rejects.toMatchObject({ status: 404, code: 10_004 })
    await expect(bot.channels.fetch('1'.repeat(18))).rejects.toMatchObject({ status: 404, code: 10_003 })
    await expect(bot.rest.get('/nothing')).rejects.toMatchObject({ status: 404, code: 0 })
  })

  it('keeps registered commands, for all guilds and for one, and names them in interactions', async () => {
    const standin = await startForTest()
    const asked = inbox()
    const bot = await logIn(standin, asked.receive)
    const guildId = standin.guilds[0]?.id ?? ''
    const registered = await bot.application.commands.set([{ name: 'ping', description: 'Answers' }])
    const own = await bot.application.commands.set([{ name: 'here', description: 'Only here' }], guildId)
    expect((await bot.application.commands.fetch()).map(({ name }) => name)).toEqual(['ping'])
    expect((await bot.application.commands.fetch({ guildId })).map(({ name }) => name)).toEqual(['here'])
    await standin.command({ guildId, name: 'ping' })
    await standin.command({ guildId, name: 'here' })
    expect((await asked.next()).commandId).toBe(registered.first()?.id)
    expect((await asked.next()).commandId).toBe(own.first()?.id)
    const again = await bot.application.commands.set([{ name: 'ping', description: 'Answers better' }])
    expect(again.first()?.id).toBe(registered.first()?.id)
  })

  it('tells what it stumbled over when a body has a shape that it never has', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin, () => {}, { retries: 0 })
    const registering = bot.rest.put(`/applications/${bot.application.id}/commands`, { body: {} })
    await expect(registering).rejects.toMatchObject({ status: 500 })
  })

  it('refuses a body that is not JSON', async () => {
    const standin = await startForTest()
    const response = await fetch(`${standin.api}/v10/channels/${standin.guilds[0]?.channelId}/messages`, {
      method: 'POST',
      headers: { authorization: `Bot ${standin.token}`, 'content-type': 'application/json' },
      body: '{',
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 50_109 })
  })

  it('limits a channel only beyond a thousand messages a second', async () => {
    const clock = steppedClock()
    const standin = await startForTest({ now: clock.now })
    const bot = await logIn(standin)
    const seen: (string | null)[] = []
    bot.rest.on(RESTEvents.Response, (_, response) => seen.push(response.headers.get('x-ratelimit-remaining')))
    await firstChannel(bot, standin).send('1')
    await firstChannel(bot, standin).send('2')
    clock.step(1_000)
    await firstChannel(bot, standin).send('3')
    expect(seen).toEqual(['999', '998', '999'])

    const path = `${standin.api}/v10/channels/${standin.guilds[1]?.channelId}/messages`
    const headers = { authorization: `Bot ${standin.token}`, 'content-type': 'application/json' }
    const post = (): Promise<Response> => fetch(path, { method: 'POST', headers, body: '{"content":"x"}' })
    for (let i = 0; i < 1_000; i++) expect((await post()).status).toBe(200)
    const refused = await post()
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.json()).toMatchObject({ retry_after: 1, global: false })
  })
})

describe('faults of REST', () => {
  it('status: the client tries again, and the call is made in the end', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    await standin.inject({ kind: 'rest', match: '^POST /channels/', status: 503, times: 2 })
    await firstChannel(bot, standin).send('through')
    const { rest, messages } = await standin.ledger()
    expect(rest).toEqual({ 200: 2, 503: 2 })
    expect(messages).toHaveLength(1)
  })

  it('status: a command cannot be answered until it is cleared', async () => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    const { id } = await standin.inject({ kind: 'rest', match: '^POST /interactions/', status: 500 })
    const answering = standin.ask({ name: 'ping' })
    const interaction = await asked.next()
    await expect(interaction.reply('pong')).rejects.toMatchObject({ status: 500 })
    await standin.clear(id)
    await interaction.reply('pong')
    expect(await answering).toMatchObject({ answered: true })
    // Faults come before Discord's own rules: it never saw those calls.
    expect((await standin.ledger()).events[0]?.attempts).toHaveLength(1)
  })

  it('rateLimit: the client waits as long as it is told', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const startedAt = (await standin.ledger()).now
    await standin.inject({ kind: 'rest', match: '^POST /channels/', rateLimit: { retryAfterS: 0.2 } })
    await firstChannel(bot, standin).send('patient')
    const { rest, messages } = await standin.ledger()
    expect(rest).toEqual({ 200: 2, 429: 1 })
    expect((messages[0]?.at ?? 0) - startedAt).toBeGreaterThanOrEqual(200)
  })

  it('rateLimit, global: every call of the client waits', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    await standin.inject({ kind: 'rest', match: '^POST /channels/', rateLimit: { retryAfterS: 0.2, global: true } })
    const limited = new Promise((resolve) => bot.rest.once(RESTEvents.RateLimited, resolve))
    const sending = firstChannel(bot, standin).send('patient')
    await new Promise((resolve) => bot.rest.once(RESTEvents.Response, resolve))
    const reading = bot.rest.get('/users/@me')
    expect(await limited).toMatchObject({ global: true })
    await Promise.all([sending, reading])
    expect((await standin.ledger()).rest).toMatchObject({ 429: 1 })
  })

  it('hang: the client gives up after its own timeout', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin, () => {}, { timeout: 50, retries: 0 })
    await standin.inject({ kind: 'rest', match: '^POST /channels/', hang: true })
    await expect(firstChannel(bot, standin).send('x')).rejects.toMatchObject({ name: 'AbortError' })
    const { rest, messages } = await standin.ledger()
    expect(rest).toMatchObject({ hung: 1 })
    expect(messages).toEqual([])
  })

  it('destroy: the client fails at once', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    await standin.inject({ kind: 'rest', match: '^POST /channels/', destroy: true })
    await expect(firstChannel(bot, standin).send('x')).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
    expect((await standin.ledger()).messages).toEqual([])
  })

  it('delayMs: the call is answered as ever, but later', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    await standin.inject({ kind: 'rest', match: '^POST /channels/', delayMs: 60, times: 1 })
    const startedAt = performance.now()
    await firstChannel(bot, standin).send('slow')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59)
  })

  it('are met oldest first, and each by the calls that it names', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin, () => {}, { retries: 0 })
    await standin.inject({ kind: 'rest', match: '^GET /guilds/', status: 404 })
    await standin.inject({ kind: 'rest', match: 'users', status: 403, times: 1 })
    await standin.inject({ kind: 'rest', match: 'users', status: 418 })
    await expect(bot.rest.get('/users/@me')).rejects.toMatchObject({ status: 403 })
    await expect(bot.rest.get('/users/@me')).rejects.toMatchObject({ status: 418 })
    await standin.clear()
    expect(await bot.rest.get('/users/@me')).toMatchObject({ id: bot.user.id })
  })

  it.each<[string, unknown]>([
    ['no such fault', { kind: 'meteor' }],
    ['is one of zombie', {}],
    ['resumable', { kind: 'invalid-session' }],
    ['not 1006', { kind: 'close', code: 1_006 }],
    ['not 0', { kind: 'duplicate-events', times: 0 }],
    ['needs an outcome', { kind: 'rest', match: 'x' }],
    ['not status and hang', { kind: 'rest', match: 'x', status: 500, hang: true }],
    ['Invalid regular expression', { kind: 'rest', match: '(', status: 500 }],
    ['not 200', { kind: 'rest', match: 'x', status: 200 }],
    ['above 0', { kind: 'rest', match: 'x', rateLimit: { retryAfterS: 0 } }],
    ['not -1', { kind: 'rest', match: 'x', delayMs: -1 }],
    ['not 1.5', { kind: 'rest', match: 'x', status: 500, times: 1.5 }],
  ])('are refused when they make no sense: %s', async (message, fault) => {
    const standin = await startForTest()
    await expect(standin.inject(fault as Fault)).rejects.toThrow(message.replace('no such fault', 'there is no fault'))
  })
})
