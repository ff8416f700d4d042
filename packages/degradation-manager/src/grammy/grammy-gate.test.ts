import { FakeClock } from '@evenkeel/testing'
import { Bot, type Context } from 'grammy'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { DegradationManager } from '../degradation-manager.js'
import { grammyGate, type GrammyGateOptions } from './grammy-gate.js'

type Feature = 'remind' | 'translate'
type Options = Partial<GrammyGateOptions<Feature, string, Context>>

const botInfo = {
  id: 1,
  is_bot: true,
  first_name: 'Evenkeel',
  username: 'EvenkeelBot',
  can_join_groups: true,
  can_read_all_group_messages: false,
  supports_inline_queries: true,
} as never

let clock: FakeClock
let modes: DegradationManager<Feature>
let calls: unknown[]
let handled: string[]

beforeEach(() => {
  clock = new FakeClock()
  modes = new DegradationManager({
    clock,
    features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
  })
  calls = []
  handled = []
})

/** The real bot. What it would send to Telegram is written down instead. */
function aBot(options: Options = {}, refuse?: Error): Bot {
  const bot = new Bot('1:token', { botInfo })
  bot.api.config.use((_previous, method, payload) => {
    calls.push([method, payload])
    if (refuse !== undefined) return Promise.reject(refuse)
    return Promise.resolve({ ok: true, result: true } as never)
  })
  const commands = { remind: { feature: 'remind' }, translate: { feature: 'translate' } } as const
  bot.use(grammyGate<Feature, string, Context>({ modes, commands, clock, ...options }))
  bot.command(['remind', 'translate', 'start'], async (context) => {
    await new Promise<void>((resolve) => clock.after(10, resolve))
    handled.push(`${context.msg.text} in ${context.chat.id}`)
  })
  bot.on('callback_query:data', (context) => handled.push(context.callbackQuery.data))
  bot.on('inline_query', (context) => handled.push(context.inlineQuery.query))
  return bot
}

let updates = 0
const from = { id: 7, is_bot: false, first_name: 'Ada', language_code: 'en' }

function message(text: string, chatId = 7): never {
  const chat =
    chatId > 0 ? { id: chatId, type: 'private', first_name: 'Ada' } : { id: chatId, type: 'supergroup', title: 'Tea' }
  // As Telegram finds it: a command ends where the word ends.
  const length = /^\/\w+(@\w+)?(?![\w/<>])/.exec(text)?.[0].length
  const entities = length === undefined ? undefined : [{ type: 'bot_command', offset: 0, length }]
  return { update_id: ++updates, message: { message_id: updates, date: 0, chat, from, text, entities } } as never
}

async function handle(bot: Bot, update: never): Promise<void> {
  const done = bot.handleUpdate(update)
  await clock.advance(10)
  await done
}

describe('a command that is switched off', () => {
  it('is answered politely and quietly, in reply to its message, and not handled', async () => {
    const bot = aBot()
    await modes.setMode('DEGRADED', { why: 'a test', forMs: 60_000 })
    await handle(bot, message('/translate Guten Tag', -100))
    await handle(bot, message('/remind tea', -100))
    expect(calls).toEqual([
      [
        'sendMessage',
        {
          chat_id: -100,
          text: '/translate is taking a break. Please try again in 60 seconds.',
          disable_notification: true,
          reply_parameters: { message_id: updates - 1, allow_sending_without_reply: true },
        },
      ],
    ])
    expect(handled).toEqual(['/remind tea in -100'])
  })

  it.each([
    ['/translate@EvenkeelBot hello', 1],
    ['/translate@evenkeelbot hello', 1],
    ['/translate@OtherBot hello', 0],
    ['/translate, please', 1],
    ['/translate\nGuten Tag', 1],
    ['/translate/this', 0],
    ['/translated', 0],
    ['say /translate', 0],
    ['/start', 0],
  ])('is known by its name: %s is answered %i times', async (text, times) => {
    const bot = aBot()
    await modes.setMode('DEGRADED', { why: 'a test' })
    await handle(bot, message(text))
    expect(calls).toHaveLength(times)
  })

  it('answers its buttons and inline queries as such', async () => {
    const command = ({ callbackQuery, inlineQuery }: Context): string | undefined =>
      callbackQuery?.data ?? (inlineQuery === undefined ? undefined : 'translate')
    const bot = aBot({ command })
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    await handle(bot, {
      update_id: 1,
      callback_query: { id: '1', from, chat_instance: '1', data: 'translate' },
    } as never)
    await handle(bot, { update_id: 2, inline_query: { id: '2', from, query: 'tea', offset: '' } } as never)
    await handle(bot, { update_id: 3, callback_query: { id: '3', from, chat_instance: '1', data: 'other' } } as never)
    const text = '/translate is closed for maintenance. Please try again later.'
    expect(calls).toEqual([
      ['answerCallbackQuery', { callback_query_id: '1', text, show_alert: true }],
      ['answerInlineQuery', { inline_query_id: '2', results: [], cache_time: 0 }],
    ])
    expect(handled).toEqual(['other'])
  })

  it.each([
    ['a button below a message of the bot that names it', 'callback_query'],
    ['an edit of its message, which no command handler sees', 'edited_message'],
    ['an edit of a post in a channel', 'edited_channel_post'],
  ])('is not given by %s', async (_, kind) => {
    const bot = aBot()
    bot.use(() => void handled.push(kind))
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    const { message: given } = message('/translate Guten Tag') as { message: object }
    const update = kind === 'callback_query' ? { id: '1', from, chat_instance: '1', data: kind, message: given } : given
    await handle(bot, { update_id: 1, [kind]: update } as never)
    expect(calls).toEqual([])
    expect(handled).toEqual([kind])
  })

  it('is not given by a command in the middle of a text', async () => {
    const bot = aBot()
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    const { message: given } = message('/translate, /translate') as { message: object }
    // The first one is in a block of code.
    const entities = [{ type: 'bot_command', offset: 12, length: 10 }]
    await handle(bot, { update_id: 1, message: { ...given, entities } } as never)
    expect(calls).toEqual([])
  })

  it('is none where Telegram marks none: a text in a block of code', async () => {
    const bot = aBot()
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    const { message: given } = message('/translate') as { message: object }
    const entities = [{ type: 'pre', offset: 0, length: 10 }]
    await handle(bot, { update_id: 1, message: { ...given, entities } } as never)
    expect(calls).toEqual([])
  })

  it('is known below a picture too', async () => {
    const bot = aBot()
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    const { message: given } = message('/translate this') as { message: { text?: string; entities?: object[] } }
    const { text: caption, entities: caption_entities, ...rest } = given
    await handle(bot, { update_id: 1, message: { ...rest, photo: [], caption, caption_entities } } as never)
    expect(calls).toHaveLength(1)
  })

  it('is told in at most the 200 characters that an alert holds', async () => {
    const bot = aBot({ command: () => 'translate', texts: { en: { maintenance: () => 'x'.repeat(300) } } })
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    await handle(bot, { update_id: 1, callback_query: { id: '1', from, chat_instance: '1', data: 'x' } } as never)
    expect(calls).toEqual([
      ['answerCallbackQuery', { callback_query_id: '1', text: `${'x'.repeat(199)}…`, show_alert: true }],
    ])
  })

  it('goes on when Telegram takes no answer, because the bot was blocked', async () => {
    const unanswered: unknown[] = []
    const blocked = new Error('403: bot was blocked by the user')
    const bot = aBot({ onUnanswered: (_, error) => unanswered.push(error) }, blocked)
    await modes.setMode('DEGRADED', { why: 'a test' })
    await handle(bot, message('/translate hello'))
    expect(unanswered).toEqual([blocked])
  })
})

it('bounds what is handled, by priority, with the same share for each group', async () => {
  const bot = aBot({ admission: new Bulkhead({ maxConcurrent: 1, maxWaiting: 4, maxWaitMs: 60_000, clock }) })
  const texts = [
    message('/remind 1', -1),
    message('/translate', -1),
    message('/remind 2', -1),
    message('/remind 3', -1),
    message('/remind 4', -2),
    message('/remind 5', -1),
  ]
  const all = texts.map((update) => bot.handleUpdate(update))
  await clock.advance(1_000)
  await Promise.all(all)
  expect(handled.map((text) => text.slice(8))).toEqual(['1 in -1', '2 in -1', '4 in -2', '3 in -1', '5 in -1'])
  expect(calls).toHaveLength(1)
  expect(calls).toMatchObject([['sendMessage', { chat_id: -1, text: expect.stringMatching(/^Too much/) as string }]])
})

it('tells what a guard inside a handler has refused, and lets every other error through', async () => {
  const bot = new Bot('1:token', { botInfo })
  bot.api.config.use((_previous, method, payload) => {
    calls.push([method, payload])
    return Promise.resolve({ ok: true, result: true } as never)
  })
  bot.use(grammyGate({ commands: { '*': {} } }))
  bot.command('translate', () => modes.run('translate', () => {}))
  bot.command('remind', () => Promise.reject(new Error('a mistake')))
  await modes.setMode('DEGRADED', { why: 'a test' })
  await handle(bot, message('/translate'))
  expect(calls).toHaveLength(1)
  await expect(bot.handleUpdate(message('/remind'))).rejects.toMatchObject({ error: new Error('a mistake') })
})

it.each([
  ['not answered', false, ['answerCallbackQuery']],
  ['answered already', true, ['answerCallbackQuery', 'sendMessage']],
])(
  'tells the user of a button, which the handler has %s, what a guard inside has refused',
  async (_, isAnswered, told) => {
    const bot = new Bot('1:token', { botInfo })
    bot.api.config.use((_previous, method, payload) => {
      calls.push([method, payload])
      return Promise.resolve({ ok: true, result: true } as never)
    })
    bot.use(grammyGate({ commands: {} }))
    bot.on('callback_query:data', async (context) => {
      if (isAnswered) await context.answerCallbackQuery('One moment')
      await modes.run('translate', () => {})
    })
    await modes.setMode('DEGRADED', { why: 'a test' })
    const { message: given } = message('Which language?') as { message: object }
    const callback_query = { id: '1', from, chat_instance: '1', data: 'de', message: given }
    await handle(bot, { update_id: 1, callback_query } as never)
    expect(calls).toMatchObject(told.map((method) => [method, {}]))
    expect(calls.at(-1)).toMatchObject([told.at(-1), { text: 'This is taking a break. Please try again later.' }])
  },
)

it.each([
  ['a chat of two is the user alone', message('/remind 1'), { priority: 'critical', key: '7' }, undefined],
  ['a group is one', message('/remind 1', -100), { priority: 'critical', key: '-100' }, '-100'],
])('whose turn it is, and for whom a flag is asked: %s', async (_, update, place, guildId) => {
  const asked: unknown[] = []
  const bot = aBot({
    admission: { acquire: async (options) => (asked.push(options), { release: () => {} }) },
    flags: { isEnabled: (flag, context) => asked.push([flag, context]) > 0 },
    commands: { remind: { feature: 'remind', flag: 'x' } },
  })
  await handle(bot, update)
  expect(asked).toEqual([['x', { guildId, userId: '7' }], place])
})

it('lets an inline query go first when there is not enough room, whatever its command is', async () => {
  const asked: unknown[] = []
  const bot = aBot({
    admission: { acquire: async (options) => (asked.push(options), { release: () => {} }) },
    command: () => 'remind',
  })
  await handle(bot, { update_id: 2, inline_query: { id: '2', from, query: 'tea', offset: '' } } as never)
  expect(asked).toEqual([{ priority: 'optional', key: '7' }])
})

it('tells in the chat what came without a message', async () => {
  const bot = aBot({ command: () => 'translate' })
  await modes.setMode('MAINTENANCE', { why: 'a test' })
  const chat = { id: -100, type: 'supergroup', title: 'Tea' }
  const message_reaction = { chat, user: from, message_id: 1, date: 0, old_reaction: [], new_reaction: [] }
  await handle(bot, { update_id: 1, message_reaction } as never)
  const text = '/translate is closed for maintenance. Please try again later.'
  expect(calls).toEqual([['sendMessage', { chat_id: -100, text, disable_notification: true }]])
})
