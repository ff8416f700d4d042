import { describe, expect, it } from 'vitest'
import { firstChannel, logIn, startForTest, steppedClock } from './test-bot.js'

describe('messages in channels', () => {
  it('are created and counted', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const sent = await firstChannel(bot, standin).send('hello')
    expect(sent.content).toBe('hello')
    const { messages, rest } = await standin.ledger()
    expect(messages).toMatchObject([
      { id: sent.id, channelId: sent.channelId, guildId: sent.guildId, content: 'hello' },
    ])
    expect(rest).toEqual({ 200: 2 })
  })

  it('are not created again under an enforced nonce', async () => {
    const standin = await startForTest()
    const channel = firstChannel(await logIn(standin), standin)
    const first = await channel.send({ content: 'once', nonce: 'reminder-1', enforceNonce: true })
    const second = await channel.send({ content: 'again', nonce: 'reminder-1', enforceNonce: true })
    expect(second.id).toBe(first.id)
    expect(second.content).toBe('once')
    await channel.send({ content: 'other', nonce: 'reminder-2', enforceNonce: true })
    const { messages, repeatedNonces } = await standin.ledger()
    expect(messages.map(({ content, nonce }) => [content, nonce])).toEqual([
      ['once', 'reminder-1'],
      ['other', 'reminder-2'],
    ])
    expect(repeatedNonces).toMatchObject([{ nonce: 'reminder-1', messageId: first.id, channelId: channel.id }])
  })

  it('are created again when the nonce is not enforced, or was used long ago', async () => {
    const clock = steppedClock()
    const standin = await startForTest({ now: clock.now })
    const channel = firstChannel(await logIn(standin), standin)
    await channel.send({ content: 'a', nonce: '1' })
    await channel.send({ content: 'b', nonce: '1' })
    await channel.send({ content: 'c', nonce: '1', enforceNonce: true })
    clock.step(300_001)
    await channel.send({ content: 'd', nonce: '1', enforceNonce: true })
    const { messages, repeatedNonces } = await standin.ledger()
    expect(messages.map(({ content }) => content)).toEqual(['a', 'b', 'c', 'd'])
    expect(repeatedNonces).toEqual([])
  })

  it('are created though the answer is lost, and not doubled by the bot that tries again', async () => {
    const standin = await startForTest()
    const channel = firstChannel(await logIn(standin), standin)
    await standin.inject({ kind: 'rest', match: '^POST /channels/', destroy: true, applied: true, times: 1 })
    const message = { content: 'once', nonce: '7', enforceNonce: true }
    await expect(channel.send(message)).rejects.toThrow()
    await channel.send(message)
    const { messages, repeatedNonces, rest } = await standin.ledger()
    expect(messages).toHaveLength(1)
    expect(repeatedNonces).toHaveLength(1)
    expect(rest).toMatchObject({ reset: 1 })
  })

  it.each([
    ['the channel is unknown', '1'.repeat(18), { content: 'x' }, 404, 10_003],
    ['they are too long', undefined, { content: 'x'.repeat(2_001) }, 400, 50_035],
    ['they are empty', undefined, { content: '' }, 400, 50_006],
    ['the nonce is too long', undefined, { content: 'x', nonce: 'n'.repeat(26) }, 400, 50_035],
  ])('are refused when %s', async (_, channelId, body, status, code) => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const sending = bot.rest.post(`/channels/${channelId ?? standin.guilds[0]?.channelId}/messages`, { body })
    await expect(sending).rejects.toMatchObject({ status, code })
    expect((await standin.ledger()).messages).toEqual([])
  })

  it('come with files too, which are dropped', async () => {
    const standin = await startForTest()
    const bot = await logIn(standin)
    const files = [{ name: 'a.bin', attachment: Buffer.from([0, 255, 13, 10, 45, 45]) }]
    await firstChannel(bot, standin).send({ content: 'mit Umlaut: ü', files })
    expect((await standin.ledger()).messages).toMatchObject([{ content: 'mit Umlaut: ü' }])
  })
})
