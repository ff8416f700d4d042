import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { FakeAutocomplete, FakeInteraction } from '../test-support/fake-interaction.js'
import { discordGate, type DiscordGateOptions } from './discord-gate.js'
import type { GatedInteraction } from './interaction.js'

let clock: FakeClock
let off: Set<string>
let unanswered: unknown[]

beforeEach(() => {
  clock = new FakeClock()
  off = new Set()
  unanswered = []
})

function aGate(options: Partial<DiscordGateOptions<never, string>> = {}) {
  return discordGate<never, string, GatedInteraction>({
    clock,
    flags: { isEnabled: (flag) => !off.has(flag) },
    commands: {
      translate: { flag: 'translations' },
      quietly: { deferral: 'ephemeral' },
      form: { deferral: 'none' },
    },
    onUnanswered: (_, error) => unanswered.push(error),
    ...options,
  })
}

const after = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

describe('in time', () => {
  it('a handler that takes long is deferred, and its reply is the answer', async () => {
    const interaction = new FakeInteraction(clock)
    const handling = aGate()(async () => {
      await after(5_000)
      await interaction.reply('done')
    })(interaction)
    await clock.advance(1_499)
    expect(interaction.log).toEqual([])
    await clock.advance(1)
    expect(interaction.log).toEqual(['deferReply'])
    await clock.advance(5_000)
    await handling
    expect(interaction.log).toEqual(['deferReply', 'editReply'])
    expect(interaction.messages).toEqual([{ content: 'done', ephemeral: false }])
    expect(clock.pending).toBe(0)
  })

  it('a reply on its way is not overtaken by a deferral', async () => {
    const interaction = Object.assign(new FakeInteraction(clock), { delayMs: 2_000 })
    const handling = aGate()(() => interaction.reply('done'))(interaction)
    await clock.advance(3_000)
    await handling
    expect(interaction.log).toEqual(['reply'])
  })

  it('a reply that comes while the deferral is on its way waits for it', async () => {
    const interaction = Object.assign(new FakeInteraction(clock), { delayMs: 500 })
    const handling = aGate()(async () => {
      await after(1_600)
      await interaction.reply('done')
    })(interaction)
    await clock.advance(3_000)
    await handling
    expect(interaction.log).toEqual(['deferReply', 'editReply'])
  })

  it.each([
    ['public', 'private', 'translate', { content: 'for you', flags: 64 }, ['deferReply', 'deleteReply', 'followUp']],
    [
      'public',
      'private',
      'translate',
      { content: 'for you', flags: ['Ephemeral'] },
      ['deferReply', 'deleteReply', 'followUp'],
    ],
    ['private', 'public', 'quietly', { content: 'for all' }, ['deferReply', 'deleteReply', 'followUp']],
    ['private', 'private', 'quietly', { content: 'for you', flags: 'Ephemeral' }, ['deferReply', 'editReply']],
  ])(
    'after a %s deferral a %s answer of /%s is as private as it was meant',
    async (_, wanted, commandName, answer, log) => {
      const interaction = Object.assign(new FakeInteraction(clock), { commandName })
      const handling = aGate()(async () => {
        await after(2_000)
        await interaction.reply(answer)
        await interaction.editReply('and more')
      })(interaction)
      await clock.advance(2_000)
      await handling
      expect(interaction.log).toEqual([...log, 'editReply'])
      expect(interaction.messages).toEqual([{ content: 'and more', ephemeral: wanted === 'private' }])
    },
  )

  it.each([
    ['public', {}, ['deferReply', 'editReply']],
    ['private', { flags: 'Ephemeral' }, ['deferReply', 'deleteReply', 'followUp', 'editReply']],
  ])('a handler that defers late, for a %s answer, is deferred once', async (wanted, options, log) => {
    const interaction = new FakeInteraction(clock)
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.deferReply(options)
      await interaction.editReply('done')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(log)
    expect(interaction.messages).toEqual([{ content: 'done', ephemeral: wanted === 'private' }])
  })

  it('a handler that looks whether it was deferred gets it right too', async () => {
    const interaction = new FakeInteraction(clock)
    const handling = aGate()(async () => {
      await after(2_000)
      if (interaction.deferred) await interaction.followUp({ content: 'for you', flags: 64 })
      else await interaction.reply('for all')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.messages).toEqual([{ content: 'for you', ephemeral: true }])
  })

  it.each([
    ['update', 'source', { content: 'new', ephemeral: false }, ['deferUpdate', 'editReply']],
    ['reply', 'm1', { content: 'new', ephemeral: true }, ['deferUpdate', 'followUp']],
  ] as const)('the button of a slow handler is deferred, and %s does what it does', async (method, id, shown, log) => {
    const interaction = Object.assign(new FakeInteraction(clock), { message: {}, commandName: undefined as never })
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction[method]({ content: 'new', flags: method === 'reply' ? 64 : undefined })
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(log)
    expect(interaction.shown.get(id)).toEqual(shown)
  })

  it('a late answer that wants its message gets it', async () => {
    const interaction = new FakeInteraction(clock)
    let got: unknown
    const handling = aGate()(async () => {
      await after(2_000)
      got = await interaction.reply({ content: 'done', withResponse: true })
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(got).toEqual({ resource: { message: { id: '@original' } } })
  })

  it.each([
    ['/translate', 'reply', ['deferReply', 'editReply', 'editReply']],
    ['/quietly', 'reply', ['deferReply', 'editReply', 'editReply']],
    ['a button', 'update', ['deferUpdate', 'editReply', 'editReply']],
  ] as const)('a late answer of %s can be edited by what %s gave, as an early one can', async (name, method, log) => {
    const interaction = new FakeInteraction(clock)
    if (name === 'a button') Object.assign(interaction, { message: {}, commandName: undefined })
    else interaction.commandName = name.slice(1)
    const handling = aGate()(async () => {
      await after(2_000)
      const flags = name === '/quietly' ? 'Ephemeral' : undefined
      const answer = (await interaction[method]({ content: 'drawing', flags })) as {
        edit(words: string): Promise<void>
      }
      await answer.edit('drawn')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(log)
    expect(interaction.messages).toEqual([{ content: 'drawn', ephemeral: name === '/quietly' }])
  })

  it.each([
    ['deferReply', { withResponse: true }, { resource: { message: { id: '@original' } } }],
    ['deferReply', { withResponse: true, flags: 64 }, { resource: { message: { id: 'm1' } } }],
    ['deferReply', { fetchReply: true }, { id: '@original' }],
    ['deferUpdate', { withResponse: true }, { resource: { message: { id: 'source' } } }],
  ] as const)('a late %s(%o) that wants its message gets it', async (method, options, expected) => {
    const interaction = new FakeInteraction(clock)
    if (method === 'deferUpdate') Object.assign(interaction, { message: {}, commandName: undefined })
    let got: unknown
    const handling = aGate()(async () => {
      await after(2_000)
      got = await interaction[method](options)
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(got).toEqual(expected)
  })

  it('a refusal on its way is not overtaken by a deferral', async () => {
    off.add('translations')
    const interaction = Object.assign(new FakeInteraction(clock), { delayMs: 2_000 })
    const handling = aGate()(() => {})(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(['reply'])
    expect(unanswered).toEqual([])
  })

  it('a command that shows a modal is never deferred', async () => {
    const interaction = Object.assign(new FakeInteraction(clock), { commandName: 'form' })
    const handling = aGate()(async () => {
      await after(2_500)
      await interaction.showModal({})
    })(interaction)
    await clock.advance(2_500)
    await handling
    expect(interaction.log).toEqual(['showModal'])
  })

  it('late suggestions are answered with none, and those that come later are dropped', async () => {
    const interaction = new FakeAutocomplete()
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.respond(['Hallo'])
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.answers).toEqual([[]])
  })

  it('a handler whose deferral was refused is told by its own answer', async () => {
    const interaction = new FakeInteraction(clock)
    interaction.refuseWith = new Error('503')
    const handling = aGate()(async () => {
      await after(2_000)
      interaction.refuseWith = undefined
      await interaction.reply('done')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(unanswered).toEqual([new Error('503')])
    expect(interaction.log).toEqual(['deferReply', 'reply'])
  })

  it('a handler whose first answer was refused is deferred like any other', async () => {
    const interaction = new FakeInteraction(clock)
    interaction.refuseWith = new Error('50035: invalid form body')
    const handling = aGate()(async () => {
      await interaction.reply('too long').catch(() => {})
      interaction.refuseWith = undefined
      await after(2_000)
      await interaction.reply('done')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(['reply', 'deferReply', 'editReply'])
    expect(interaction.messages).toEqual([{ content: 'done', ephemeral: false }])
  })

  it('what was acknowledged before it came to the gate is not acknowledged again', async () => {
    const interaction = new FakeInteraction(clock)
    await interaction.deferReply({ flags: 64 })
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.editReply('done')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(['deferReply', 'editReply'])
    expect(unanswered).toEqual([])
  })

  it('a failed edit after a late answer does not undo the answer', async () => {
    const interaction = new FakeInteraction(clock)
    const failure = new Error('50035: invalid form body')
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.reply('done')
      interaction.refuseEditWith = failure
      await interaction.editReply('too long').finally(() => (interaction.refuseEditWith = undefined))
    })(interaction)
    const outcome = expect(handling).rejects.toBe(failure)
    await clock.advance(2_000)
    await outcome
    expect(interaction.messages).toEqual([{ content: 'done', ephemeral: false }])
  })

  it('a deferral of its message that comes late, for what has none, is refused as discord.js does', async () => {
    const interaction = new FakeInteraction(clock)
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.deferUpdate()
    })(interaction)
    const outcome = expect(handling).rejects.toThrow('InteractionAlreadyReplied')
    await clock.advance(2_000)
    await outcome
  })

  it('suggestions are given in time, also for a command that shows a modal', async () => {
    const interaction = Object.assign(new FakeAutocomplete(), { commandName: 'form' as never })
    const handling = aGate()(() => after(2_000))(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.answers).toEqual([[]])
  })
})

describe('what is refused further in', () => {
  const shed = (): Promise<unknown> => {
    const full = new Bulkhead({ name: 'images', maxConcurrent: 1, clock })
    void full.run(() => new Promise(() => {}))
    return full.run(() => 'drawn')
  }

  it('is told to the user instead of being thrown', async () => {
    const interaction = new FakeInteraction(clock)
    await aGate()(shed)(interaction)
    expect(interaction.messages).toEqual([
      { content: '/translate is taking a break. Please try again in 1 second.', ephemeral: true },
    ])
  })

  it.each([
    ['deferred for all', {}, ['deferReply', 'deleteReply', 'followUp']],
    ['deferred for the user', { flags: 'Ephemeral' }, ['deferReply', 'editReply']],
  ])('is told though the handler has %s', async (_, options, log) => {
    const interaction = new FakeInteraction(clock)
    await aGate()(async () => {
      await interaction.deferReply(options)
      await shed()
    })(interaction)
    expect(interaction.log).toEqual(log)
    expect(interaction.messages).toEqual([
      { content: '/translate is taking a break. Please try again in 1 second.', ephemeral: true },
    ])
  })

  it('is told in the place of a late deferral that was more private than the one of the gate', async () => {
    const interaction = new FakeInteraction(clock)
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.deferReply({ flags: 'Ephemeral' })
      await shed()
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(interaction.log).toEqual(['deferReply', 'deleteReply', 'followUp', 'editReply'])
    expect(interaction.messages).toEqual([
      { content: '/translate is taking a break. Please try again in 1 second.', ephemeral: true },
    ])
  })

  it('is told after what the handler has said late', async () => {
    const interaction = new FakeInteraction(clock)
    const handling = aGate()(async () => {
      await after(2_000)
      await interaction.reply('drawing')
      await shed()
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(unanswered).toEqual([])
    expect(interaction.messages).toEqual([
      { content: 'drawing', ephemeral: false },
      { content: '/translate is taking a break. Please try again in 1 second.', ephemeral: true },
    ])
  })

  it('is told after what the handler has said before', async () => {
    const interaction = Object.assign(new FakeInteraction(clock), { delayMs: 100 })
    const handling = aGate()(async () => {
      void interaction.reply('drawing')
      await shed()
    })(interaction)
    await clock.advance(100)
    await handling
    expect(interaction.messages).toEqual([
      { content: 'drawing', ephemeral: false },
      { content: '/translate is taking a break. Please try again in 1 second.', ephemeral: true },
    ])
  })
})

describe('an error of the handler', () => {
  it('passes through, and the answer is left to whoever catches it', async () => {
    const interaction = new FakeInteraction(clock)
    const failure = new Error('a mistake')
    await expect(aGate()(() => Promise.reject(failure))(interaction)).rejects.toBe(failure)
    expect(interaction.log).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('does not leave a user waiting whom the gate has promised an answer', async () => {
    const interaction = new FakeInteraction(clock)
    const failure = Object.assign(new Error('no answer'), { applied: 'unknown' })
    const handling = aGate()(async () => {
      await after(2_000)
      throw failure
    })(interaction)
    const outcome = expect(handling).rejects.toBe(failure)
    await clock.advance(2_000)
    await outcome
    expect(interaction.messages).toEqual([
      {
        content: 'This took too long, and it may or may not have worked. Please check before you try again.',
        ephemeral: true,
      },
    ])
  })

  it('while the deferral is on its way does not leave the user waiting either', async () => {
    const interaction = Object.assign(new FakeInteraction(clock), { delayMs: 500 })
    const failure = new Error('a mistake')
    const handling = aGate()(async () => {
      await after(1_600)
      throw failure
    })(interaction)
    const outcome = expect(handling).rejects.toBe(failure)
    await clock.advance(2_000)
    await outcome
    expect(interaction.messages).toEqual([{ content: 'Sorry, something went wrong.', ephemeral: true }])
  })

  it('is left to whoever catches it when the deferral failed that was on its way', async () => {
    const interaction = Object.assign(new FakeInteraction(clock), { refuseWith: new Error('503') })
    const failure = new Error('a mistake')
    const handling = aGate()(async () => {
      await after(1_500)
      throw failure
    })(interaction)
    const outcome = expect(handling).rejects.toBe(failure)
    await clock.advance(2_000)
    await outcome
    expect(interaction.log).toEqual(['deferReply'])
  })

  it.each([
    ['an', undefined, ['deferReply', 'editReply', 'deleteReply', 'followUp']],
    ['a private', 'Ephemeral', ['deferReply', 'deleteReply', 'followUp', 'followUp']],
  ])('of Discord about %s answer that came late does not leave the user waiting', async (_, flags, log) => {
    const interaction = new FakeInteraction(clock)
    interaction.refuseEditWith = new Error('50035: invalid form body')
    const handling = aGate()(async () => {
      await after(2_000)
      try {
        await interaction.reply({ content: 'too long', flags })
      } finally {
        interaction.refuseEditWith = undefined
      }
    })(interaction)
    const outcome = expect(handling).rejects.toThrow('50035')
    await clock.advance(2_000)
    await outcome
    expect(interaction.log).toEqual(log)
    expect(interaction.messages).toEqual([{ content: 'Sorry, something went wrong.', ephemeral: true }])
  })

  it('of Discord when the user is told harms nobody', async () => {
    off.add('translations')
    const interaction = new FakeInteraction(clock)
    interaction.refuseWith = new Error('10062: unknown interaction')
    await aGate()(() => {})(interaction)
    expect(unanswered).toEqual([interaction.refuseWith])
  })
})
