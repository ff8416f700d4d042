import {
  ActionRowBuilder,
  ButtonBuilder,
  ButtonStyle,
  ComponentType,
  Events,
  MessageFlags,
  RESTJSONErrorCodes,
  type ButtonInteraction,
  type ChatInputCommandInteraction,
  type InteractionCollector,
  type InteractionReplyOptions,
} from 'discord.js'
import { describe, expect, it } from 'vitest'
import type { DiscordStandin } from './standin.js'
import { firstChannel, inbox, logIn, startForTest, steppedClock } from './test-bot.js'

function button(customId: string): ButtonBuilder {
  return new ButtonBuilder({ customId, label: customId, style: ButtonStyle.Primary })
}

function row(...buttons: ButtonBuilder[]): ActionRowBuilder<ButtonBuilder> {
  return new ActionRowBuilder<ButtonBuilder>().addComponents(...buttons)
}

const menu = { content: 'which one?', components: [row(button('yes'), button('no'))] }

/** A bot that answers each command with a menu, and what it gets of presses. */
async function withMenu(
  options: Parameters<typeof startForTest>[0] = {},
  reply: InteractionReplyOptions = menu,
): Promise<{ standin: DiscordStandin; messageId: string; next: () => Promise<ButtonInteraction> }> {
  const standin = await startForTest(options)
  const bot = await logIn(standin, (interaction) => interaction.reply(reply))
  const presses = inbox<ButtonInteraction>()
  bot.on(Events.InteractionCreate, (interaction) => {
    if (interaction.isButton()) presses.receive(interaction)
  })
  const { messageId } = await standin.ask({ name: 'menu' })
  return { standin, messageId: messageId ?? '', next: presses.next }
}

describe('pressing a button', () => {
  it('comes to every session of the bot, with the message that the button is on', async () => {
    const { standin, messageId, next } = await withMenu()
    const other = inbox<ButtonInteraction>()
    const second = await logIn(standin)
    second.on(Events.InteractionCreate, (interaction) => {
      if (interaction.isButton()) other.receive(interaction)
    })
    const [command] = (await standin.ledger()).events
    const { id } = await standin.press({ messageId, customId: 'no' })
    const [press, copy] = [await next(), await other.next()]
    expect([press.id, copy.id]).toEqual([id, id])
    expect(press).toMatchObject({ customId: 'no', componentType: ComponentType.Button, channelId: command?.channelId })
    expect(press.message).toMatchObject({ id: messageId, content: 'which one?', guildId: command?.guildId })
    expect(press.message.interactionMetadata).toMatchObject({ id: command?.id, user: { id: command?.userId } })
    expect(press.component).toMatchObject({ customId: 'no' })
    expect(press.inCachedGuild()).toBe(true)
    const members = standin.guilds.find((guild) => guild.id === command?.guildId)?.memberIds
    expect(members).toContain(press.user.id)
    expect((await standin.ledger()).events[1]).toEqual({
      id,
      guildId: command?.guildId,
      channelId: command?.channelId,
      userId: press.user.id,
      press: { messageId, customId: 'no' },
      options: {},
      sentAt: expect.any(Number) as number,
      deliveries: 2,
      deliveredAt: expect.any(Number) as number,
      attempts: [],
      followUps: [],
    })
  })

  it('is answered by a message of its own', async () => {
    const { standin, messageId, next } = await withMenu()
    const answering = standin.ask({ messageId, customId: 'yes' })
    const press = await next()
    const { interaction, resource } = await press.reply({ content: 'yes it is', withResponse: true })
    expect(interaction.type).toBe(press.type)
    const answer = await answering
    expect(answer).toMatchObject({ id: press.id, answered: true, content: 'yes it is', deferred: false })
    expect(answer.messageId).toBe(resource?.message?.id)
    expect(answer.messageId).not.toBe(messageId)
    expect((await standin.ledger()).events[1]?.attempts).toMatchObject([{ type: 4, status: 200, content: 'yes it is' }])
  })

  it('is deferred, and answered when that is edited', async () => {
    const { standin, messageId, next } = await withMenu()
    const answering = standin.ask({ messageId, customId: 'yes' })
    const press = await next()
    await press.deferReply({ flags: MessageFlags.Ephemeral })
    await press.editReply('yes it is')
    expect(await answering).toMatchObject({ answered: true, content: 'yes it is', deferred: true, ephemeral: true })
    expect((await standin.ledger()).events[1]?.attempts).toMatchObject([{ type: 5, status: 204, ephemeral: true }])
  })

  it('is answered by a change of the message that it is on', async () => {
    const { standin, messageId, next } = await withMenu()
    const answering = standin.ask({ messageId, customId: 'yes' })
    const press = await next()
    const { resource } = await press.update({ content: 'thank you', components: [], withResponse: true })
    expect(resource?.message).toMatchObject({ id: messageId, content: 'thank you', components: [] })
    expect(await answering).toMatchObject({ answered: true, content: 'thank you', messageId, deferred: false })
    // There is one truth about the message, and each token that may see it sees that.
    expect((await press.fetchReply()).content).toBe('thank you')
    expect((await standin.ledger()).events[1]?.attempts).toMatchObject([{ type: 7, status: 200, content: 'thank you' }])
    await expect(standin.press({ messageId, customId: 'yes' })).rejects.toThrow('it has none')
  })

  it('takes a change of the buttons alone, and of what it says later', async () => {
    const { standin, messageId, next } = await withMenu()
    const answering = standin.ask({ messageId, customId: 'yes' })
    const press = await next()
    await press.update({ components: [row(button('again'))] })
    expect(await answering).toMatchObject({ answered: true, content: 'which one?', messageId })
    await press.editReply('and once more')
    const [, event] = (await standin.ledger()).events
    expect(event).toMatchObject({ answer: 'and once more', attempts: [{ type: 7, status: 204 }] })
    await standin.press({ messageId, customId: 'again' })
    expect((await next()).message.content).toBe('and once more')
  })

  it('is deferred without a sign, and answered when the message is edited', async () => {
    const { standin, messageId, next } = await withMenu()
    const answering = standin.ask({ messageId, customId: 'yes' })
    const press = await next()
    await press.deferUpdate()
    const [, deferred] = (await standin.ledger()).events
    expect(deferred).toMatchObject({ deferred: true, attempts: [{ type: 6, status: 204 }] })
    expect(deferred?.answeredAt).toBeUndefined()
    await press.editReply({ content: 'thank you', components: [] })
    expect(await answering).toMatchObject({ answered: true, content: 'thank you', messageId, deferred: true })
  })

  it('is answered after such a deferral by the first follow-up, which leaves the message as it is', async () => {
    const { standin, messageId, next } = await withMenu()
    const answering = standin.ask({ messageId, customId: 'yes' })
    const press = await next()
    await press.deferUpdate()
    const followUp = await press.followUp({ content: 'for you alone', flags: MessageFlags.Ephemeral })
    expect(await answering).toMatchObject({ content: 'for you alone', messageId: followUp.id, ephemeral: true })
    await press.editReply('closed')
    const second = await press.followUp('and more')
    const [, event] = (await standin.ledger()).events
    expect(event).toMatchObject({ answer: 'for you alone', followUps: [{ id: second.id, content: 'and more' }] })
    expect((await press.fetchReply()).content).toBe('closed')
  })

  it('has one first answer, in time', async () => {
    const clock = steppedClock()
    const { standin, messageId, next } = await withMenu({ now: clock.now })
    const others = inbox<ButtonInteraction>()
    const second = await logIn(standin)
    second.on(Events.InteractionCreate, (interaction) => others.receive(interaction as ButtonInteraction))
    await standin.press({ messageId, customId: 'yes' })
    await (await next()).deferUpdate()
    await expect((await others.next()).update('green')).rejects.toMatchObject({ status: 400, code: 40_060 })
    await standin.press({ messageId, customId: 'yes' })
    clock.step(3_001)
    await expect((await next()).update('sorry')).rejects.toMatchObject({ status: 404, code: 10_062 })
    const { events } = await standin.ledger()
    expect(events.slice(1)).toMatchObject([
      { attempts: [{ type: 6, status: 204 }, { type: 7, status: 400, code: 40_060, content: 'green' }] }, // prettier-ignore
      { attempts: [{ type: 7, status: 404, code: 10_062 }] },
    ])
    expect(events[2]?.acknowledgedAt).toBeUndefined()
  })

  it('works on a message in a channel, and on one that a follow-up brought', async () => {
    const standin = await startForTest()
    const asked = inbox()
    const presses = inbox<ButtonInteraction>()
    const bot = await logIn(standin, asked.receive)
    bot.on(Events.InteractionCreate, (interaction) => {
      if (interaction.isButton()) presses.receive(interaction)
    })
    const { id } = await firstChannel(bot, standin).send(menu)
    await standin.press({ messageId: id, customId: 'yes' })
    expect((await presses.next()).message.id).toBe(id)
    await standin.command({ name: 'menu' })
    const interaction = await asked.next()
    await interaction.reply('here it comes')
    await interaction.followUp(menu)
    const messageId = (await standin.ledger()).events[1]?.followUps[0]?.id ?? ''
    await standin.press({ messageId, customId: 'yes' })
    expect((await presses.next()).message.id).toBe(messageId)
    await interaction.deleteReply(messageId)
    await expect(standin.press({ messageId, customId: 'yes' })).rejects.toThrow('There is no message')
  })

  it('cannot change a message that has been deleted, and may be answered otherwise', async () => {
    const standin = await startForTest()
    const asked = inbox()
    const presses = inbox<ButtonInteraction>()
    const bot = await logIn(standin, asked.receive)
    bot.on(Events.InteractionCreate, (interaction) => {
      if (interaction.isButton()) presses.receive(interaction)
    })
    const asking = standin.ask({ name: 'menu' })
    const command = await asked.next()
    await command.reply(menu)
    await standin.press({ messageId: (await asking).messageId ?? '', customId: 'yes' })
    const press = await presses.next()
    await command.deleteReply()
    await expect(press.update('x')).rejects.toMatchObject({ code: RESTJSONErrorCodes.UnknownMessage })
    await press.reply('it is gone')
    expect((await standin.ledger()).events[1]).toMatchObject({ answer: 'it is gone' })
  })
})

describe('a collector of discord.js', () => {
  it.each<[string, (interaction: ChatInputCommandInteraction) => Promise<InteractionCollector<ButtonInteraction>>]>([
    [
      'the message',
      async (interaction) => {
        const { resource } = await interaction.reply({ ...menu, withResponse: true })
        const { message } = resource ?? {}
        if (!message) throw new Error('no message')
        return message.createMessageComponentCollector({ componentType: ComponentType.Button, max: 2 })
      },
    ],
    [
      'the answer',
      async (interaction) =>
        (await interaction.reply(menu)).createMessageComponentCollector({
          componentType: ComponentType.Button,
          max: 2,
        }),
    ],
  ])('on %s collects the presses of its buttons, and no others', async (_, collectorOf) => {
    const standin = await startForTest()
    const asked = inbox()
    await logIn(standin, asked.receive)
    const menus = []
    for (const name of ['one', 'two']) {
      const asking = standin.ask({ name })
      const collector = await collectorOf(await asked.next())
      const ended = new Promise((resolve) => collector.on('end', (collected) => resolve(collected.size)))
      collector.on('collect', (press) => void press.reply(`${name} ${press.customId}`))
      menus.push({ messageId: (await asking).messageId ?? '', ended })
    }
    const [one, two] = menus
    expect((await standin.ask({ messageId: two?.messageId ?? '', customId: 'no' })).content).toBe('two no')
    expect((await standin.ask({ messageId: one?.messageId ?? '', customId: 'no' })).content).toBe('one no')
    expect((await standin.ask({ messageId: one?.messageId ?? '', customId: 'yes' })).content).toBe('one yes')
    expect(await one?.ended).toBe(2)
    const { events } = await standin.ledger()
    expect(events.map(({ attempts }) => attempts.length)).toEqual([1, 1, 1, 1, 1])
  })
})

describe('a press', () => {
  it.each([
    ['on a message that there is not', { messageId: '1'.repeat(18) }, 'There is no message "111111111111111111"'],
    ['of a button that the message has not', { customId: 'maybe' }, 'no button "maybe" to press; it has "yes", "off"'],
    ['of a link', { customId: 'https://discord.com' }, 'it has "yes", "off"'],
    ['of a button that is disabled', { customId: 'off' }, 'The button "off" of message'],
    ['of a user who is no snowflake', { userId: 'me' }, 'A user id is a snowflake, not "me"'],
  ])('%s is refused, and written down nowhere', async (_, wrong, why) => {
    const link = new ButtonBuilder({ url: 'https://discord.com', label: 'more', style: ButtonStyle.Link })
    const components = [row(button('yes'), button('off').setDisabled(true), link)]
    const { standin, messageId } = await withMenu({}, { content: 'which one?', components })
    await expect(standin.press({ messageId, customId: 'yes', ...wrong })).rejects.toThrow(why)
    await expect(standin.ask({ messageId, customId: 'yes', ...wrong })).rejects.toThrow(why)
    expect((await standin.ledger()).events).toHaveLength(1)
  })

  it('on an ephemeral message is that of the member who sees it', async () => {
    const { standin, messageId, next } = await withMenu({}, { ...menu, flags: MessageFlags.Ephemeral })
    const [command] = (await standin.ledger()).events
    await standin.press({ messageId, customId: 'yes' })
    expect((await next()).user.id).toBe(command?.userId)
    const other = standin.press({ messageId, customId: 'yes', userId: '1'.repeat(18) })
    await expect(other).rejects.toThrow(`user ${command?.userId} alone sees it`)
  })
})

describe('a command', () => {
  it.each([6, 7])('is not answered with type %i, as a press is', async (type) => {
    const standin = await startForTest()
    const asked = inbox()
    const bot = await logIn(standin, asked.receive)
    await standin.command({ name: 'menu' })
    const { id, token } = await asked.next()
    const body = { type, data: { content: 'x' } }
    const answering = bot.rest.post(`/interactions/${id}/${token}/callback`, { body, auth: false })
    await expect(answering).rejects.toMatchObject({ status: 400, code: 50_035 })
    expect((await standin.ledger()).events[0]?.acknowledgedAt).toBeUndefined()
  })
})

describe('buttons that make no sense', () => {
  const primary = { type: 2, style: 1, label: 'x' }
  const rowOf = (...components: object[]): object => ({ type: 1, components })

  it.each<[string, object[]]>([
    ['two of one custom id', [rowOf({ ...primary, custom_id: 'a' }), rowOf({ ...primary, custom_id: 'a' })]],
    ['one without a custom id', [rowOf(primary)]],
    ['one whose custom id is too long', [rowOf({ ...primary, custom_id: 'a'.repeat(101) })]],
    ['one of no style', [rowOf({ ...primary, style: 9, custom_id: 'a' })]],
    ['a link to nowhere', [rowOf({ ...primary, style: 5 })]],
    ['a row without any', [rowOf()]],
    ['a row of six', [rowOf(...'abcdef'.split('').map((id) => ({ ...primary, custom_id: id })))]],
    ['six rows', 'abcdef'.split('').map((id) => rowOf({ ...primary, custom_id: id }))],
  ])('are refused: %s', async (_, components) => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const body = { content: 'x', components }
    const sending = bot.rest.post(`/channels/${standin.guilds[0]?.channelId}/messages`, { body })
    await expect(sending).rejects.toMatchObject({ status: 400, code: 50_035 })
    expect((await standin.ledger()).messages).toEqual([])
  })

  it('are no others: those beside a section and in a container are pressed, too', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const section = { type: 9, components: [{ type: 10, content: 'x' }], accessory: { ...primary, custom_id: 'deep' } }
    const components = [{ type: 17, components: [section, rowOf({ ...primary, custom_id: 'row' })] }]
    const body = { flags: MessageFlags.IsComponentsV2, components }
    const { id } = (await bot.rest.post(`/channels/${standin.guilds[0]?.channelId}/messages`, { body })) as {
      id: string
    }
    for (const customId of ['deep', 'row']) await standin.press({ messageId: id, customId })
    expect((await standin.ledger()).events).toHaveLength(2)
  })
})
