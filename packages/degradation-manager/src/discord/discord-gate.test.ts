import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { DegradationManager } from '../degradation-manager.js'
import { FakeAutocomplete, FakeInteraction } from '../test-support/fake-interaction.js'
import { discordGate, type DiscordGateOptions } from './discord-gate.js'
import type { GatedInteraction } from './interaction.js'

type Feature = 'remind' | 'translate'
type Flag = 'translations' | 'draw'
type Options = Partial<DiscordGateOptions<Feature, Flag, FakeInteraction>>

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
    const interaction = new FakeInteraction(clock)
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
    const interaction = new FakeInteraction(clock)
    await aGate({ flags })(() => interaction.reply('hello'))(interaction)
    expect(interaction.messages).toEqual([{ content: '/translate is switched off at the moment.', ephemeral: true }])
    expect(asked).toEqual([['translations', { guildId: '81384788765712384', userId: '53908099506183680' }]])
  })

  it('may be any command, without one being named in the code', async () => {
    const gate = aGate({ commands: { '*': { flag: (command) => (command === 'draw cat' ? 'draw' : undefined) } } })
    const interaction = Object.assign(new FakeInteraction(clock), {
      commandName: 'draw',
      options: { getSubcommandGroup: () => null, getSubcommand: () => 'cat' },
    })
    off.add('draw')
    await gate(() => interaction.reply('drawn'))(interaction)
    expect(interaction.messages[0]?.content).toBe('/draw cat is switched off at the moment.')
    const other = new FakeInteraction(clock)
    await gate(() => other.reply('translated'))(other)
    expect(other.messages[0]?.content).toBe('translated')
  })

  it('may be one subcommand in a group', async () => {
    const gate = aGate({ commands: { 'draw cat big': { flag: 'draw' } } })
    off.add('draw')
    const draw = (group: string | null, subcommand: string): Promise<void> => {
      const options = { getSubcommandGroup: () => group, getSubcommand: () => subcommand }
      const interaction = Object.assign(new FakeInteraction(clock), { commandName: 'draw', options })
      return gate(() => void served.push(subcommand))(interaction)
    }
    const served: string[] = []
    await draw('cat', 'big')
    await draw('dog', 'big')
    await draw('cat', 'small')
    await draw(null, 'big')
    expect(served).toEqual(['big', 'small', 'big'])
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
    const interaction = new FakeInteraction(clock)
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
    const [first, second] = [new FakeInteraction(clock), new FakeInteraction(clock)]
    const onInteraction = aGate()(async (interaction: FakeInteraction) => {
      await after(10)
      await interaction.reply('done')
    })
    const handling = onInteraction(first)
    await onInteraction(second)
    expect(second.messages[0]?.content).toBe('Too much is going on just now. Please try again in a moment.')
    await clock.advance(10)
    await handling
    const third = new FakeInteraction(clock)
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
      const interaction = Object.assign(new FakeInteraction(clock), { commandName, guildId })
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
    const command = new FakeInteraction(clock)
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
    void onInteraction(new FakeInteraction(clock))
    await clock.advance(59_999)
    expect(admission.inFlight).toBe(1)
    await clock.advance(1)
    expect(admission.inFlight).toBe(0)
  })

  it('what was switched off while it waited is not handled', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 1, clock })
    const place = await admission.acquire()
    const interaction = new FakeInteraction(clock)
    const handling = aGate({ admission })(() => interaction.reply('handled'))(interaction)
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    place.release()
    await handling
    expect(interaction.messages[0]?.content).toBe('/translate is closed for maintenance. Please try again later.')
    expect(admission.inFlight).toBe(0)
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
