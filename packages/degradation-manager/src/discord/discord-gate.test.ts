import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { DegradationManager } from '../degradation-manager.js'
import { discordGate, type DiscordGateOptions } from './discord-gate.js'
import type { GatedInteraction } from './interaction.js'

type Feature = 'remind' | 'translate'
type Flag = 'translations' | 'draw'
type Options = Partial<DiscordGateOptions<Feature, Flag, FakeInteraction>>

interface Shown {
  content?: string
  ephemeral: boolean
}

let clock: FakeClock
let modes: DegradationManager<Feature>
let off: Set<string>

beforeEach(() => {
  clock = new FakeClock()
  off = new Set()
  modes = new DegradationManager({
    clock,
    features: {
      remind: { priority: 'critical' },
      translate: { priority: 'optional', in: { DEGRADED: { maxConcurrent: 1 }, MAINTENANCE: 'off' } },
    },
  })
})

/** An interaction that keeps discord.js' rules: one first answer, known to be taken only when Discord has said so. */
class FakeInteraction implements GatedInteraction {
  readonly id = '1'
  guildId: string | null = '81384788765712384'
  user = { id: '53908099506183680' }
  locale = 'en-US'
  commandName = 'translate'
  deferred = false
  replied = false
  ephemeral: boolean | null = null
  message: object | null = null
  /** How long Discord takes to say that it has taken an answer. */
  delayMs = 0
  refuseWith: Error | undefined
  readonly log: string[] = []
  /** What the channel shows, by id. */
  readonly shown = new Map<string, Shown>()
  #acknowledged = false
  #last = 0

  async #first(name: string): Promise<void> {
    if (this.deferred || this.replied) throw new Error('InteractionAlreadyReplied')
    this.log.push(name)
    if (this.refuseWith !== undefined) throw this.refuseWith
    if (this.#acknowledged) throw new Error('40060: acknowledged twice')
    this.#acknowledged = true
    if (this.delayMs > 0) await new Promise<void>((resolve) => clock.after(this.delayMs, resolve))
  }

  async reply(options: unknown): Promise<unknown> {
    await this.#first('reply')
    this.replied = true
    this.#show('@original', options)
    return { id: '@original' }
  }

  async deferReply(options: { flags?: unknown } = {}): Promise<unknown> {
    await this.#first('deferReply')
    this.deferred = true
    this.ephemeral = isPrivate(options)
    this.shown.set('@original', { ephemeral: this.ephemeral })
    return { id: '@original' }
  }

  async deferUpdate(): Promise<unknown> {
    await this.#first('deferUpdate')
    this.deferred = true
    return { id: 'source' }
  }

  async update(options: unknown): Promise<unknown> {
    await this.#first('update')
    this.replied = true
    this.#show('source', options)
    return { id: 'source' }
  }

  async showModal(_modal: unknown): Promise<void> {
    await this.#first('showModal')
    this.replied = true
  }

  async editReply(options: unknown): Promise<unknown> {
    if (!this.deferred && !this.replied) throw new Error('InteractionNotReplied')
    this.log.push('editReply')
    const { message } = (typeof options === 'object' ? options : {}) as { message?: string }
    const id = message ?? (this.message === null ? '@original' : 'source')
    const before = this.shown.get(id)
    if (before === undefined && this.message === null) throw new Error('10008: unknown message')
    this.shown.set(id, { ...contentOf(options), ephemeral: before?.ephemeral ?? false })
    this.replied = true
    return { id }
  }

  async deleteReply(id = '@original'): Promise<void> {
    this.log.push('deleteReply')
    if (!this.shown.delete(id)) throw new Error('10008: unknown message')
  }

  async followUp(options: unknown): Promise<unknown> {
    if (!this.deferred && !this.replied) throw new Error('InteractionNotReplied')
    this.log.push('followUp')
    this.replied = true
    const original = this.shown.get('@original')
    // At Discord the first follow-up after a deferral becomes the answer, and as private as the deferral was.
    if (original !== undefined && original.content === undefined) {
      this.shown.set('@original', { ...contentOf(options), ephemeral: original.ephemeral })
      return { id: '@original' }
    }
    const id = `m${++this.#last}`
    this.#show(id, options)
    return { id }
  }

  get messages(): Shown[] {
    return [...this.shown.values()]
  }

  #show(id: string, options: unknown): void {
    this.shown.set(id, { ...contentOf(options), ephemeral: isPrivate(options) })
  }
}

class FakeAutocomplete implements GatedInteraction {
  readonly id = '2'
  readonly guildId = null
  readonly user = { id: '53908099506183680' }
  readonly locale = 'en-US'
  readonly commandName = 'translate'
  responded = false
  readonly answers: unknown[] = []

  async respond(options: readonly unknown[]): Promise<void> {
    if (this.responded) throw new Error('InteractionAlreadyReplied')
    this.responded = true
    this.answers.push(options)
  }
}

function contentOf(options: unknown): { content: string } {
  return { content: typeof options === 'string' ? options : String((options as { content?: unknown }).content) }
}

function isPrivate(options: unknown): boolean {
  const { flags } = (typeof options === 'object' ? options : {}) as { flags?: unknown }
  return [flags].flat().some((flag) => flag === 'Ephemeral' || flag === 64)
}

function aGate(options: Options = {}) {
  return discordGate<Feature, Flag, GatedInteraction>({
    clock,
    modes,
    flags: { isEnabled: (flag) => !off.has(flag) },
    commands: {
      remind: { feature: 'remind' },
      translate: { feature: 'translate', flag: 'translations' },
      quietly: { deferral: 'ephemeral' },
      form: { deferral: 'none' },
    },
    ...(options as Partial<DiscordGateOptions<Feature, Flag>>),
  })
}

const after = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

describe('what is switched off', () => {
  it('is answered politely, privately and in the language of the user, and its handler does not run', async () => {
    const refused: unknown[] = []
    const onInteraction = aGate({ onRefused: ({ event: _, ...facts }) => refused.push(facts) })(() => {
      throw new Error('the handler ran')
    })
    await modes.setMode('MAINTENANCE', { why: 'moving to db.internal', forMs: 600_000 })
    const interaction = new FakeInteraction()
    interaction.locale = 'de'
    await onInteraction(interaction)
    expect(interaction.messages).toEqual([
      { content: '/translate wird gerade gewartet. Bitte versuche es in 10 Minuten noch einmal.', ephemeral: true },
    ])
    expect(refused).toEqual([
      {
        command: 'translate',
        kind: 'maintenance',
        why: '"translate" (optional) is off in MAINTENANCE mode: set by hand: moving to db.internal',
        retryAfterMs: 600_000,
      },
    ])
    expect(clock.pending).toBe(1)
  })

  it('by a flag rests for whom the flag is off', async () => {
    const asked: unknown[] = []
    const flags = {
      isEnabled: (flag: Flag, context: object) => {
        asked.push([flag, context])
        return false
      },
    }
    const interaction = new FakeInteraction()
    await aGate({ flags })(() => interaction.reply('hello'))(interaction)
    expect(interaction.messages).toEqual([{ content: '/translate is switched off at the moment.', ephemeral: true }])
    expect(asked).toEqual([['translations', { guildId: '81384788765712384', userId: '53908099506183680' }]])
  })

  it('may be any command, without one being named in the code', async () => {
    const gate = aGate({ commands: { '*': { flag: (command) => (command === 'draw cat' ? 'draw' : undefined) } } })
    const interaction = Object.assign(new FakeInteraction(), {
      commandName: 'draw',
      options: { getSubcommandGroup: () => null, getSubcommand: () => 'cat' },
    })
    off.add('draw')
    await gate(() => interaction.reply('drawn'))(interaction)
    expect(interaction.messages[0]?.content).toBe('/draw cat is switched off at the moment.')
    const other = new FakeInteraction()
    await gate(() => other.reply('translated'))(other)
    expect(other.messages[0]?.content).toBe('translated')
  })

  it('stays on when the flags cannot be asked', async () => {
    const warnings: string[] = []
    const listen = ({ message }: Error): void => void warnings.push(message)
    process.on('warning', listen)
    const flags = {
      isEnabled: (): boolean => {
        throw new Error('no such flag')
      },
    }
    const interaction = new FakeInteraction()
    await aGate({ flags })(() => interaction.reply('hello'))(interaction)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(interaction.messages[0]?.content).toBe('hello')
    expect(warnings).toEqual([
      'The flag of the command "translate" could not be asked, so it counts as on: no such flag',
    ])
  })

  it('gives no suggestions', async () => {
    off.add('translations')
    const interaction = new FakeAutocomplete()
    await aGate()(() => interaction.respond(['Hallo']))(interaction)
    expect(interaction.answers).toEqual([[]])
  })

  it('and has no place among the few that a mode allows', async () => {
    await modes.setMode('DEGRADED', { why: 'a test' })
    const [first, second] = [new FakeInteraction(), new FakeInteraction()]
    const onInteraction = aGate()(async (interaction: FakeInteraction) => {
      await after(10)
      await interaction.reply('done')
    })
    const handling = onInteraction(first)
    await onInteraction(second)
    expect(second.messages[0]?.content).toBe('Too much is going on just now. Please try again in a moment.')
    await clock.advance(10)
    await handling
    const third = new FakeInteraction()
    void onInteraction(third)
    await clock.advance(10)
    expect(third.messages[0]?.content).toBe('done')
  })
})

describe('under load', () => {
  it('what has no place hears so, and what matters goes first, each guild in its turn', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 3, maxWaitMs: 60_000, clock })
    const gate = aGate({ admission, commands: { remind: { feature: 'remind' }, translate: { priority: 'optional' } } })
    const served: string[] = []
    const onInteraction = gate(async (interaction: FakeInteraction) => {
      await after(10)
      await interaction.reply('done')
      served.push(`${interaction.commandName} ${interaction.guildId}`)
    })
    const give = (commandName: string, guildId: string): FakeInteraction => {
      const interaction = Object.assign(new FakeInteraction(), { commandName, guildId })
      void onInteraction(interaction)
      return interaction
    }
    give('translate', 'a')
    const shed = give('translate', 'a')
    give('remind', 'a')
    give('remind', 'a')
    give('remind', 'b')
    await clock.advance(100)
    expect(served).toEqual(['translate a', 'remind a', 'remind b', 'remind a'])
    expect(shed.messages).toEqual([
      {
        content: expect.stringMatching(/^Too much is going on just now. Please try again in \d+ seconds?\.$/) as string,
        ephemeral: true,
      },
    ])
    expect(admission.inFlight).toBe(0)
  })

  it('suggestions are the first to go without', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 1, maxWaitMs: 60_000, clock })
    const gate = aGate({ admission, commands: { translate: { priority: 'critical' } } })
    const place = await admission.acquire()
    const typing = new FakeAutocomplete()
    const typed = gate(() => typing.respond(['Hallo']))(typing)
    const command = new FakeInteraction()
    const given = gate(() => command.reply('done'))(command)
    await typed
    expect(typing.answers).toEqual([[]])
    place.release()
    await given
    expect(command.messages[0]?.content).toBe('done')
  })

  it('a handler that never ends does not hold its place for ever', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const onInteraction = aGate({ admission, maxHeldMs: 60_000 })(() => new Promise(() => {}))
    void onInteraction(new FakeInteraction())
    await clock.advance(59_999)
    expect(admission.inFlight).toBe(1)
    await clock.advance(1)
    expect(admission.inFlight).toBe(0)
  })

  it('what was switched off while it waited is not handled', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 1, clock })
    const place = await admission.acquire()
    const interaction = new FakeInteraction()
    const handling = aGate({ admission })(() => interaction.reply('handled'))(interaction)
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    place.release()
    await handling
    expect(interaction.messages[0]?.content).toBe('/translate is closed for maintenance. Please try again later.')
    expect(admission.inFlight).toBe(0)
  })
})

describe('in time', () => {
  it('a handler that takes long is deferred, and its reply is the answer', async () => {
    const interaction = new FakeInteraction()
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
    const interaction = Object.assign(new FakeInteraction(), { delayMs: 2_000 })
    const handling = aGate()(() => interaction.reply('done'))(interaction)
    await clock.advance(3_000)
    await handling
    expect(interaction.log).toEqual(['reply'])
  })

  it('a reply that comes while the deferral is on its way waits for it', async () => {
    const interaction = Object.assign(new FakeInteraction(), { delayMs: 500 })
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
      const interaction = Object.assign(new FakeInteraction(), { commandName })
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
    const interaction = new FakeInteraction()
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
    const interaction = new FakeInteraction()
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
    const interaction = Object.assign(new FakeInteraction(), { message: {}, commandName: undefined as never })
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
    const interaction = new FakeInteraction()
    let got: unknown
    const handling = aGate()(async () => {
      await after(2_000)
      got = await interaction.reply({ content: 'done', withResponse: true })
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(got).toEqual({ resource: { message: { id: '@original' } } })
  })

  it('a command that shows a modal is never deferred', async () => {
    const interaction = Object.assign(new FakeInteraction(), { commandName: 'form' })
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
    const unanswered: unknown[] = []
    const interaction = new FakeInteraction()
    interaction.refuseWith = new Error('503')
    const handling = aGate({ onUnanswered: (_, error) => unanswered.push(error) })(async () => {
      await after(2_000)
      interaction.refuseWith = undefined
      await interaction.reply('done')
    })(interaction)
    await clock.advance(2_000)
    await handling
    expect(unanswered).toEqual([new Error('503')])
    expect(interaction.log).toEqual(['deferReply', 'reply'])
  })
})

describe('what is refused further in', () => {
  const shed = (): Promise<unknown> => {
    const full = new Bulkhead({ name: 'images', maxConcurrent: 1, clock })
    void full.run(() => new Promise(() => {}))
    return full.run(() => 'drawn')
  }

  it('is told to the user instead of being thrown', async () => {
    const interaction = new FakeInteraction()
    await aGate()(shed)(interaction)
    expect(interaction.messages).toEqual([
      { content: '/translate is taking a break. Please try again in 1 second.', ephemeral: true },
    ])
  })

  it.each([
    ['deferred for all', {}, ['deferReply', 'deleteReply', 'followUp']],
    ['deferred for the user', { flags: 'Ephemeral' }, ['deferReply', 'editReply']],
  ])('is told though the handler has %s', async (_, options, log) => {
    const interaction = new FakeInteraction()
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
    const interaction = new FakeInteraction()
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

  it('is told after what the handler has said before', async () => {
    const interaction = Object.assign(new FakeInteraction(), { delayMs: 100 })
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
    const interaction = new FakeInteraction()
    const failure = new Error('a mistake')
    await expect(aGate()(() => Promise.reject(failure))(interaction)).rejects.toBe(failure)
    expect(interaction.log).toEqual([])
    expect(clock.pending).toBe(0)
  })

  it('does not leave a user waiting whom the gate has promised an answer', async () => {
    const interaction = new FakeInteraction()
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

  it('of Discord when the user is told harms nobody', async () => {
    off.add('translations')
    const unanswered: unknown[] = []
    const interaction = new FakeInteraction()
    interaction.refuseWith = new Error('10062: unknown interaction')
    await aGate({ onUnanswered: (_, error) => unanswered.push(error) })(() => {})(interaction)
    expect(unanswered).toEqual([interaction.refuseWith])
  })
})

it.each([
  [{ deferAfterMs: 3_000 }, 'deferAfterMs is 3000; give ms, more than 0 and less than 3000'],
  [{ deferAfter: 1 }, 'A gate cannot have "deferAfter"'],
  [{ commands: { x: { feature: 'remnd' } } }, '"remnd"'],
  [{ commands: { x: { flag: 'a' } }, flags: undefined }, 'commands["x"] is about a flag; pass flags as well'],
  [{ commands: { x: { deferral: 'later' } } }, 'commands.x.deferral is later; it can be public, ephemeral, none'],
  [{ commands: { x: { priority: 'low' } } }, 'commands["x"].priority is low'],
  [{ texts: { busy: () => '' } }, 'texts.busy must be an object'],
])('refuses %o', (options, message) => {
  expect(() => aGate(options as never)).toThrow(message)
})
