import { MessageFlags, RESTJSONErrorCodes } from 'discord.js'
import { describe, expect, it } from 'vitest'
import { firstChannel, inbox, logIn, startForTest, steppedClock } from './test-bot.js'

describe('answering a command', () => {
  it('takes a reply to the member who asked', async () => {
    const standin = await startForTest()
    await logIn(standin, (interaction) =>
      interaction.reply({
        content: `${interaction.options.getString('text')} ${interaction.options.getInteger('days')} ${interaction.options.getBoolean('loud')}`,
        flags: MessageFlags.Ephemeral,
      }),
    )
    const guildId = standin.guilds[1]?.id ?? ''
    const userId = standin.guilds[1]?.memberIds[2] ?? ''
    const answer = await standin.ask({
      guildId,
      userId,
      name: 'remind',
      options: { text: 'tea {id}', days: 3, loud: true },
    })
    expect(answer).toMatchObject({
      answered: true,
      content: `tea ${answer.id} 3 true`,
      ephemeral: true,
      deferred: false,
    })

    const { events } = await standin.ledger()
    expect(events).toHaveLength(1)
    const [event] = events
    expect(event).toMatchObject({
      id: answer.id,
      guildId,
      userId,
      channelId: standin.guilds[1]?.channelId,
      command: 'remind',
      options: { text: `tea ${answer.id}`, days: 3, loud: true },
      deliveries: 1,
      attempts: [{ type: 4, status: 204, content: answer.content, ephemeral: true }],
      answer: answer.content,
      followUps: [],
    })
    expect(event?.answeredAt).toBe(event?.acknowledgedAt)
    expect(event?.answeredAt).toBeGreaterThan(event?.sentAt ?? Infinity)
  })

  it('understands subcommands, also in a group', async () => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    await standin.command({ name: 'flags users add', options: { name: 'x' } })
    const interaction = await asked.next()
    expect(interaction.commandName).toBe('flags')
    expect(interaction.options.getSubcommandGroup()).toBe('users')
    expect(interaction.options.getSubcommand()).toBe('add')
    expect(interaction.options.getString('name')).toBe('x')
  })

  it('counts a deferral as acknowledged, and as answered when it is edited', async () => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    const answering = standin.ask({ name: 'slow' })
    const interaction = await asked.next()
    await interaction.deferReply({ flags: MessageFlags.Ephemeral })
    const [deferred] = (await standin.ledger()).events
    expect(deferred).toMatchObject({ deferred: true, attempts: [{ type: 5, status: 204, ephemeral: true }] })
    expect(deferred?.acknowledgedAt).toBeDefined()
    expect(deferred?.answeredAt).toBeUndefined()

    await interaction.editReply('done')
    expect(await answering).toMatchObject({ answered: true, content: 'done', ephemeral: true, deferred: true })
    await interaction.followUp('and more')
    await interaction.editReply('done twice')
    const [event] = (await standin.ledger()).events
    expect(event).toMatchObject({ answer: 'done twice', followUps: [{ content: 'and more', ephemeral: false }] })
  })

  it('takes the first follow-up of a deferral as the answer', async () => {
    const standin = await startForTest()
    await logIn(standin, async (interaction) => {
      await interaction.deferReply({ flags: MessageFlags.Ephemeral })
      await interaction.followUp('here')
    })
    // It replaces the deferral, so it is as private as that was.
    const answer = { answered: true, content: 'here', deferred: true, ephemeral: true }
    expect(await standin.ask({ name: 'slow' })).toMatchObject(answer)
    expect((await standin.ledger()).events[0]?.followUps).toEqual([])
  })

  it('gives the message back to a bot that asks for it', async () => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    await standin.command({ name: 'ping' })
    const interaction = await asked.next()
    const response = await interaction.reply({ content: 'pong', withResponse: true })
    expect(response.resource?.message?.content).toBe('pong')
    expect((await interaction.fetchReply()).id).toBe(response.resource?.message?.id)
    await interaction.deleteReply()
    await expect(interaction.fetchReply()).rejects.toMatchObject({ code: RESTJSONErrorCodes.UnknownMessage })
  })

  it('refuses an answer that comes too late, and tells the member so', async () => {
    const clock = steppedClock()
    const standin = await startForTest({ now: clock.now })
    const asked = inbox()
    await logIn(standin, asked.receive)
    const { id } = await standin.command({ name: 'slow' })
    const interaction = await asked.next()
    clock.step(3_001)
    await expect(interaction.reply('sorry')).rejects.toMatchObject({ status: 404, code: 10_062 })
    const [event] = (await standin.ledger()).events
    expect(event).toMatchObject({ id, attempts: [{ status: 404, code: 10_062, content: 'sorry' }] })
    expect(event?.acknowledgedAt).toBeUndefined()
    expect(event?.answer).toBeUndefined()
  })

  it('gives up on a bot that says nothing', async () => {
    const standin = await startForTest({ ackDeadlineMs: 50 })
    await logIn(standin, () => {})
    const answer = await standin.ask({ name: 'ping' })
    expect(answer).toMatchObject({ answered: false, content: null, deferred: false })
    expect(answer.latencyMs).toBeGreaterThanOrEqual(49)
  })

  it('waits on after a deferral, though the first deadline has passed', async () => {
    const standin = await startForTest({ ackDeadlineMs: 500 })
    const asked = inbox()
    await logIn(standin, asked.receive)
    const answering = standin.ask({ name: 'slow' })
    const interaction = await asked.next()
    await interaction.deferReply()
    expect(await standin.ask({ name: 'ignored' })).toMatchObject({ answered: false })
    await interaction.editReply('done')
    expect(await answering).toMatchObject({ answered: true, content: 'done' })
  })

  it('gives up on a deferral that is never followed', async () => {
    const standin = await startForTest()
    await logIn(standin, (interaction) => interaction.deferReply())
    expect(await standin.ask({ name: 'ping', timeoutMs: 500 })).toMatchObject({ answered: false, deferred: true })
  })

  it('refuses a second first answer', async () => {
    const standin = await startForTest()
    const asked = inbox()
    const other = inbox()
    await logIn(standin, asked.receive)
    await logIn(standin, other.receive)
    await standin.command({ name: 'ping' })
    const [first, second] = [await asked.next(), await other.next()]
    expect(second.id).toBe(first.id)
    await first.reply('blue')
    await expect(second.reply('green')).rejects.toMatchObject({ status: 400, code: 40_060 })
    expect((await standin.ledger()).events[0]).toMatchObject({
      deliveries: 2,
      answer: 'blue',
      attempts: [
        { status: 204, content: 'blue' },
        { status: 400, code: 40_060, content: 'green' },
      ],
    })
  })

  it('lets the token edit for fifteen minutes, and the bot keeps its own', async () => {
    const clock = steppedClock()
    const standin = await startForTest({ now: clock.now })
    const asked = inbox()
    const bot = await logIn(standin, asked.receive)
    await standin.command({ name: 'ping' })
    const interaction = await asked.next()
    await interaction.reply('pong')
    clock.step(900_000)
    await interaction.editReply('still here')
    clock.step(1)
    await expect(interaction.editReply('too late')).rejects.toMatchObject({ status: 401, code: 50_027 })
    await firstChannel(bot, standin).send('the bot is still logged in')
    expect((await standin.ledger()).messages).toHaveLength(1)
  })

  it('knows no follow-up before an answer', async () => {
    const standin = await startForTest()
    const asked = inbox()
    const bot = await logIn(standin, asked.receive)
    await standin.command({ name: 'ping' })
    const { token } = await asked.next()
    const early = bot.rest.post(`/webhooks/${bot.application.id}/${token}`, { body: { content: 'x' }, auth: false })
    await expect(early).rejects.toMatchObject({ status: 404, code: RESTJSONErrorCodes.UnknownWebhook })
  })

  it.each([
    ['too long', { content: 'x'.repeat(2_001) }, 50_035],
    ['empty', { content: '' }, 50_006],
  ])('refuses an answer that is %s, and waits for a better one', async (_, reply, code) => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    const answering = standin.ask({ name: 'ping' })
    const interaction = await asked.next()
    await expect(interaction.reply(reply)).rejects.toMatchObject({ status: 400, code })
    await interaction.reply('short')
    expect(await answering).toMatchObject({ answered: true, content: 'short' })
  })
})
