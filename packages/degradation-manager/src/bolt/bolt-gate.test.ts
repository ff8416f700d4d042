import { FakeClock } from '@evenkeel/testing'
import { App, type Receiver } from '@slack/bolt'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { DegradationManager } from '../degradation-manager.js'
import { acknowledgeInTime } from './acknowledge-in-time.js'
import { boltGate, type BoltGateOptions } from './bolt-gate.js'

type Feature = 'remind' | 'translate'

let clock: FakeClock
let modes: DegradationManager<Feature>
/** What Slack has got: acknowledgements, and messages over HTTP. */
let told: [string, ...unknown[]][]
let handled: string[]
let errors: unknown[]

beforeEach(() => {
  clock = new FakeClock()
  modes = new DegradationManager({
    clock,
    features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
  })
  told = []
  handled = []
  errors = []
})

const receiver: Receiver = { init: () => {}, start: async () => {}, stop: async () => {} }

/** The real app. What it would send to Slack is written down instead. */
function anApp(): App {
  const app = new App({
    receiver,
    authorize: () => Promise.resolve({ botToken: 'xoxb-1', botId: 'B1', botUserId: 'U0' }),
    clientOptions: {
      fetch: async (url: unknown, { body }: { body?: unknown } = {}) => {
        const isMessage = typeof body === 'string' && body.startsWith('{')
        told.push([
          'post',
          String(url),
          isMessage ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body as string)),
        ])
        return Response.json({ ok: true })
      },
    },
  })
  app.error(async (error) => void errors.push(error))
  return app
}

function gated(options: Partial<BoltGateOptions<Feature, string>> = {}): App {
  const app = anApp()
  const commands = { remind: { feature: 'remind' }, translate: { feature: 'translate' } } as const
  app.use(boltGate<Feature, string>({ modes, clock, commands, ...options }))
  app.command(/.*/, async ({ command, ack }) => {
    await new Promise<void>((resolve) => clock.after(10, resolve))
    handled.push(`${command.command} ${command.text}`)
    await ack()
  })
  return app
}

function give(app: App, body: object): Promise<void> {
  let isAcknowledged = false
  const ack = async (response?: unknown): Promise<void> => {
    // As the HTTP receiver does.
    if (isAcknowledged) throw new Error('ReceiverMultipleAckError')
    isAcknowledged = true
    told.push(['ack', response])
  }
  return app.processEvent({ body: body, ack })
}

function command(name: string, text = '', team = 'T1'): object {
  const response_url = 'https://hooks.slack.invalid/1'
  return { command: name, text, team_id: team, user_id: 'U1', channel_id: 'C1', response_url, trigger_id: '1' }
}

describe('a slash command that is switched off', () => {
  it('is acknowledged with a polite answer for its user, and not handled', async () => {
    const app = gated()
    await modes.setMode('DEGRADED', { why: 'a test', forMs: 3 * 3_600_000 })
    await give(app, command('/translate'))
    expect(told).toEqual([
      ['ack', { response_type: 'ephemeral', text: '/translate is taking a break. Please try again in 3 hours.' }],
    ])
    expect(handled).toEqual([])
    const remind = give(app, command('/remind', 'tea'))
    await clock.advance(10)
    await remind
    expect(handled).toEqual(['/remind tea'])
  })

  it('speaks the language that it is given', async () => {
    const app = gated({ locale: () => 'es-MX' })
    await modes.setMode('DEGRADED', { why: 'a test' })
    await give(app, command('/translate'))
    expect(told).toMatchObject([['ack', { text: '/translate está en pausa. Inténtalo de nuevo más tarde.' }]])
  })

  it('keeps a form open, gives a menu no options, and answers buttons and mentions', async () => {
    const app = gated({ command: () => 'translate' })
    await modes.setMode('DEGRADED', { why: 'a test' })
    const text = '/translate is taking a break. Please try again later.'
    const team = { id: 'T1' }
    const user = { id: 'U1' }
    await give(app, { type: 'view_submission', team, user, view: { id: 'V1' } })
    await give(app, { type: 'block_suggestion', team, user, action_id: 'a', value: 'x' })
    const response_url = 'https://hooks.slack.invalid/2'
    await give(app, {
      type: 'block_actions',
      team,
      user,
      actions: [{ action_id: 'a' }],
      channel: { id: 'C1' },
      response_url,
    })
    await give(app, {
      type: 'event_callback',
      team_id: 'T1',
      event: { type: 'app_mention', channel: 'C1', user: 'U1', text: 'hi', ts: '1.0' },
    })
    expect(told).toMatchObject([
      ['ack', { response_action: 'push', view: { type: 'modal', blocks: [{ type: 'section', text: { text } }] } }],
      ['ack', { options: [] }],
      ['ack', undefined],
      ['post', response_url, { response_type: 'ephemeral', replace_original: false, text }],
      ['ack', undefined],
      ['post', 'https://slack.com/api/chat.postMessage', { channel: 'C1', text, thread_ts: '1.0' }],
    ])
  })
})

it.each([
  ['a command', command('/remind'), { priority: 'critical', key: 'T1' }],
  [
    'a button',
    { type: 'block_actions', team: { id: 'T2' }, user: { id: 'U1' }, actions: [{}] },
    { priority: 'critical', key: 'T2' },
  ],
  ['one of many workspaces', { type: 'shortcut', team: null, user: { id: 'U1' } }, { priority: 'critical', key: 'U1' }],
  ['an event', { type: 'event_callback', event: { type: 'x', user: 'U2' } }, { priority: 'critical', key: 'U2' }],
  ['a menu', { type: 'block_suggestion', team: { id: 'T1' }, user: { id: 'U1' } }, { priority: 'optional', key: 'T1' }],
])('whose turn it is: %s', async (_, body, expected) => {
  const asked: unknown[] = []
  const gate = boltGate({
    modes,
    commands: { remind: { feature: 'remind' } },
    command: () => 'remind',
    admission: { acquire: async (options) => (asked.push(options), { release: () => {} }) },
  })
  await gate({ body, next: () => {} })
  expect(asked).toEqual([expected])
})

it('says that the user could not be told when Slack takes no acknowledgement, and nothing more', async () => {
  const failure = new Error('socket hang up')
  const unanswered: unknown[] = []
  const said: unknown[] = []
  await modes.setMode('DEGRADED', { why: 'a test' })
  const gate = boltGate({
    modes,
    commands: { translate: { feature: 'translate' } },
    command: () => 'translate',
    onUnanswered: (_, error) => unanswered.push(error),
  })
  const respond = async (answer: unknown): Promise<unknown> => said.push(answer)
  await gate({ body: { type: 'block_actions' }, ack: () => Promise.reject(failure), respond, next: () => {} })
  expect([unanswered, said]).toEqual([[failure], []])
})

it('answers in the thread in which it was mentioned', async () => {
  const app = gated({ command: () => 'translate' })
  await modes.setMode('DEGRADED', { why: 'a test' })
  const event = { type: 'app_mention', channel: 'C1', user: 'U1', text: 'hi', ts: '2.0', thread_ts: '1.0' }
  await give(app, { type: 'event_callback', team_id: 'T1', event })
  expect(told.at(-1)).toMatchObject(['post', 'https://slack.com/api/chat.postMessage', { thread_ts: '1.0' }])
})

describe('where Slack has neither an address nor a channel for an answer', () => {
  const text = '/translate is taking a break. Please try again later.'
  const team = { id: 'T1' }
  const user = { id: 'U1' }

  it.each([
    ['a shortcut', { type: 'shortcut', callback_id: 'c' }, 'views.open'],
    [
      'a button of a form',
      { type: 'block_actions', actions: [{ action_id: 'a' }], view: { type: 'modal' } },
      'views.push',
    ],
    [
      'a button of the home tab',
      { type: 'block_actions', actions: [{ action_id: 'a' }], view: { type: 'home' } },
      'views.open',
    ],
  ])('%s is answered by a form', async (_, body, method) => {
    const app = gated({ command: () => 'translate' })
    await modes.setMode('DEGRADED', { why: 'a test' })
    await give(app, { ...body, team, user, trigger_id: '1.2' })
    expect(told).toMatchObject([
      ['ack', undefined],
      ['post', `https://slack.com/api/${method}`, { trigger_id: '1.2' }],
    ])
    expect(JSON.stringify(told)).toContain(text)
  })

  it('the gate says that the user could not be told, if it was not given the client', async () => {
    const unanswered: unknown[] = []
    await modes.setMode('DEGRADED', { why: 'a test' })
    const gate = boltGate({
      modes,
      commands: { translate: { feature: 'translate' } },
      command: () => 'translate',
      onUnanswered: (_, error) => unanswered.push(error),
    })
    await gate({ body: { type: 'shortcut', trigger_id: '1.2' }, ack: async () => {}, next: () => {} })
    expect(unanswered).toEqual([new TypeError('Slack takes an answer to this shortcut through client only')])
  })

  it('and nobody waits for one, it is no failure', async () => {
    const unanswered: unknown[] = []
    const app = gated({ command: () => 'translate', onUnanswered: (_, error) => unanswered.push(error) })
    await modes.setMode('DEGRADED', { why: 'a test' })
    await give(app, { type: 'view_closed', team, user, view: { id: 'V1' } })
    await give(app, { type: 'event_callback', team_id: 'T1', event: { type: 'team_join', user } })
    expect(told).toEqual([
      ['ack', undefined],
      ['ack', undefined],
    ])
    expect(unanswered).toEqual([])
  })
})

it('bounds what is handled, by priority, with the same share for each workspace', async () => {
  const app = gated({ admission: new Bulkhead({ maxConcurrent: 1, maxWaiting: 3, maxWaitMs: 60_000, clock }) })
  const all = [
    give(app, command('/remind', '1')),
    give(app, command('/translate', 'x')),
    give(app, command('/remind', '2')),
    give(app, command('/remind', '3')),
    give(app, command('/remind', '4', 'T2')),
  ]
  await clock.advance(1_000)
  await Promise.all(all)
  expect(handled).toEqual(['/remind 1', '/remind 2', '/remind 4', '/remind 3'])
  expect(told.filter(([, answer]) => answer !== undefined)).toMatchObject([
    ['ack', { text: expect.stringMatching(/^Too much/) as string }],
  ])
})

it('tells what a guard inside a listener has refused, also after its acknowledgement, and lets other errors through', async () => {
  const app = anApp()
  app.use(boltGate({ commands: { '*': {} } }))
  app.command('/translate', async ({ ack }) => {
    await ack()
    await modes.run('translate', () => {})
  })
  app.command('/remind', () => Promise.reject(new Error('a mistake')))
  await modes.setMode('DEGRADED', { why: 'a test' })
  await give(app, command('/translate'))
  expect(told).toMatchObject([
    ['ack', undefined],
    ['post', 'https://hooks.slack.invalid/1', { response_type: 'ephemeral' }],
  ])
  expect(errors).toEqual([])
  await give(app, command('/remind'))
  expect(errors).toMatchObject([{ original: new Error('a mistake') }])
})

it.each([
  ['is kept open', false, [['ack', { response_action: 'push' }]]],
  [
    'that was closed is answered by another one',
    true,
    [
      ['ack', undefined],
      ['post', 'https://slack.com/api/views.open', { trigger_id: '1.2' }],
    ],
  ],
])('a form that a guard further in has refused %s', async (_, isAcknowledged, expected) => {
  const app = anApp()
  app.use(boltGate({ commands: {} }))
  app.view('form', async ({ ack }) => {
    if (isAcknowledged) await ack()
    await modes.run('translate', () => {})
  })
  await modes.setMode('DEGRADED', { why: 'a test' })
  const view = { id: 'V1', callback_id: 'form' }
  await give(app, { type: 'view_submission', team: { id: 'T1' }, user: { id: 'U1' }, view, trigger_id: '1.2' })
  expect(told).toMatchObject(expected)
  expect(JSON.stringify(told)).toContain('This is taking a break. Please try again later.')
  expect(errors).toEqual([])
})

it('a menu whose options a guard further in has refused gets none', async () => {
  const app = anApp()
  app.use(boltGate({ commands: {} }))
  app.options('menu', () => modes.run('translate', () => {}))
  await modes.setMode('DEGRADED', { why: 'a test' })
  await give(app, { type: 'block_suggestion', team: { id: 'T1' }, user: { id: 'U1' }, action_id: 'menu', value: 'x' })
  expect(told).toEqual([['ack', { options: [] }]])
})

describe('a listener that acknowledges in time', () => {
  it.each([
    ['a slow answer', 2_000, ['ack', undefined], ['post', 'https://hooks.slack.invalid/1', { text: 'done' }]],
    ['a quick answer', 1_000, ['ack', 'done'], undefined],
  ])('acknowledges %s once', async (_, ms, first, second) => {
    const app = anApp()
    app.command(
      '/translate',
      acknowledgeInTime(
        async ({ ack }) => {
          await new Promise<void>((resolve) => clock.after(ms, resolve))
          await ack('done')
          await ack('twice')
        },
        { clock },
      ),
    )
    const handling = give(app, command('/translate'))
    await clock.advance(1_499)
    expect(told).toEqual(ms < 1_500 ? [first] : [])
    await clock.advance(1_000)
    await handling
    expect(told).toEqual(second === undefined ? [first] : [first, second])
    expect(errors).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('leaves to the listener what is answered by the acknowledgement', async () => {
    const app = anApp()
    app.view(
      'form',
      acknowledgeInTime(
        async ({ ack }) => {
          await new Promise<void>((resolve) => clock.after(2_000, resolve))
          await ack()
        },
        { clock },
      ),
    )
    const handling = give(app, {
      type: 'view_submission',
      team: { id: 'T1' },
      user: { id: 'U1' },
      view: { id: 'V1', callback_id: 'form' },
    })
    await clock.advance(1_999)
    expect(told).toEqual([])
    await clock.advance(1)
    await handling
    expect(told).toEqual([['ack', undefined]])
  })

  it('may still be in time when the acknowledgement failed', async () => {
    const acks: unknown[] = []
    const listener = acknowledgeInTime(
      async ({ ack }: { body: object; ack: (text?: string) => Promise<void>; next: () => void }) => {
        await new Promise<void>((resolve) => clock.after(2_000, resolve))
        await ack('done')
      },
      { clock },
    )
    const handling = listener({
      body: command('/translate'),
      ack: async (text) => {
        acks.push(text)
        if (acks.length === 1) throw new Error('socket hang up')
      },
      next: () => {},
    })
    await clock.advance(2_000)
    await handling
    expect(acks).toEqual([undefined, 'done'])
  })

  it.each([
    ['a text', 'done', [{ text: 'done' }]],
    ['an answer', { text: 'done', response_type: 'in_channel' }, [{ text: 'done', response_type: 'in_channel' }]],
    ['an empty text', '', []],
    ['nothing', undefined, []],
  ])('sends %s as a response when it comes late, if it says anything', async (_, answer, expected) => {
    const sent: unknown[] = []
    const listener = acknowledgeInTime(
      async ({ ack }: { body: object; ack: (answer?: unknown) => Promise<void> }) => {
        await new Promise<void>((resolve) => clock.after(2_000, resolve))
        await ack(answer)
      },
      { clock },
    )
    const respond = async (message: unknown): Promise<unknown> => sent.push(message)
    const handling = listener({ body: command('/translate'), ack: async () => {}, respond } as never)
    await clock.advance(2_000)
    await handling
    expect(sent).toEqual(expected)
  })

  it.each([
    ['ends', async () => {}],
    ['fails', () => Promise.reject(new Error('a mistake'))],
  ])('leaves no timer behind when it %s early', async (_, listen) => {
    const listener = acknowledgeInTime(listen, { clock })
    await listener({ body: command('/translate'), ack: async () => {} } as never).catch(() => {})
    expect(clock.pending).toBe(0)
  })

  it('may try again when its own acknowledgement failed', async () => {
    const acks: unknown[] = []
    const listener = acknowledgeInTime(
      async ({ ack }: { body: object; ack: (text: string) => Promise<void>; next: () => void }) => {
        await ack('done').catch(() => ack('done now'))
      },
      { clock },
    )
    await listener({
      body: command('/translate'),
      ack: async (text) => {
        acks.push(text)
        if (acks.length === 1) throw new Error('socket hang up')
      },
      next: () => {},
    })
    expect(acks).toEqual(['done', 'done now'])
  })

  it('sends along what it answers with while ours is on its way, once that was taken', async () => {
    const sent: unknown[] = []
    const listener = acknowledgeInTime(
      async ({ ack }: { body: object; ack: (answer?: object) => Promise<void> }) => {
        await new Promise<void>((resolve) => clock.after(1_600, resolve))
        await Promise.all([ack({ text: 'done' }), ack({ text: 'twice' })])
        sent.push('listener')
      },
      { clock },
    )
    const handling = listener({
      body: command('/translate'),
      ack: async () => {
        sent.push('ack')
        await new Promise<void>((resolve) => clock.after(500, resolve))
        sent.push('acknowledged')
      },
      respond: async (answer: unknown) => void sent.push(answer),
    } as never)
    await clock.advance(2_000)
    await handling
    expect(sent).toEqual(['ack', 'acknowledged', { text: 'done' }, 'listener'])
  })

  it.each([
    [{ ackAfterMs: 3_000 }, 'ackAfterMs is 3000; give ms, more than 0 and less than 3000'],
    [{ ackAfter: 1 }, 'acknowledgeInTime cannot have "ackAfter"'],
  ])('refuses %o', (options, message) => {
    expect(() => acknowledgeInTime(() => {}, options as never)).toThrow(message)
  })
})
