import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { DegradationManager } from '../degradation-manager.js'
import { Registry } from '../registry/registry.js'
import { Gate, type Passage, type Visit } from './gate.js'
import { gateSettings, type CommandRule, type GateAdmission, type GateOptions, type Refused } from './gate-options.js'

type Feature = 'translate' | 'remind'
type Mode = 'FULL' | 'DEGRADED' | 'CRAMPED' | 'MAINTENANCE'
type Options = Partial<GateOptions<Feature, string, string, CommandRule<Feature>>>

let clock: FakeClock
let modes: DegradationManager<Feature, Mode>
let handled: number
/** What users were told. */
let said: string[]
let refused: Refused<string>[]

beforeEach(() => {
  clock = new FakeClock()
  modes = new DegradationManager({
    clock,
    modes: ['FULL', 'DEGRADED', 'CRAMPED', 'MAINTENANCE'],
    features: {
      translate: {
        priority: 'optional',
        in: { DEGRADED: 'fallback', CRAMPED: { maxConcurrent: 1 }, MAINTENANCE: 'off' },
      },
      remind: { priority: 'critical' },
    },
  })
  handled = 0
  said = []
  refused = []
})

function aGate(options: Options = {}) {
  const given = {
    clock,
    modes,
    commands: { translate: { feature: 'translate' }, '*': {} },
    onRefused: (refusal: Refused<string>) => refused.push(refusal),
    ...options,
  }
  const gate = new Gate(gateSettings<string, CommandRule<never, never>>(given as never, { options: [], rule: [] }))
  return (
    handle: Passage['handle'] = () => handled++,
    command = 'translate',
    place: 'a guild' | 'a direct message' = 'a guild',
  ) => {
    const visit: Visit<string> = {
      event: 'an event',
      command,
      guildId: place === 'a guild' ? '7' : undefined,
      userId: '8',
      locale: 'en',
      isSuggestion: false,
    }
    return gate.pass(visit, { handle, refuse: (words) => said.push(words) })
  }
}

/** An admission that has room for everybody, and writes down how places come back. */
function noting(released: unknown[]): GateAdmission {
  return { acquire: async () => ({ release: (outcome) => void released.push(outcome ?? 'ended') }) }
}

describe('a feature that is left to its fallback', () => {
  beforeEach(() => modes.setMode('DEGRADED', { why: 'a test' }))

  it('passes, and the guard inside the handler answers with the fallback', async () => {
    const answers: string[] = []
    const give = aGate()
    for (let count = 0; count < 2; count++) {
      await give(async () => {
        answers.push(await modes.run('translate', () => 'translated', { fallback: () => 'looked up' }))
      })
    }
    expect(answers).toEqual(['looked up', 'looked up'])
    expect(said).toEqual([])
  })

  it('still obeys its flag, and waits for a place', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const place = await admission.acquire()
    await aGate({ admission })()
    place.release()
    await aGate({
      flags: { isEnabled: () => false },
      commands: { translate: { feature: 'translate', flag: 'x' } },
    })()
    expect(handled).toBe(0)
    expect(refused.map(({ kind }) => kind)).toEqual(['busy', 'off'])
  })

  it('counts what began meanwhile when it is limited, and is refused when it is off', async () => {
    const give = aGate()
    const ends: (() => void)[] = []
    const slow = (): Promise<void> => new Promise((resolve) => ends.push(resolve))
    const begun = [give(slow), give(slow)]
    await modes.setMode('CRAMPED', { why: 'a test' })
    await give()
    expect(handled).toBe(0)
    for (const end of ends) end()
    await Promise.all(begun)
    await give()
    expect(handled).toBe(1)
    await modes.setMode('MAINTENANCE', { why: 'a test', forMs: 600_000 })
    await give()
    expect(handled).toBe(1)
    expect(said).toEqual([
      'Too much is going on just now. Please try again in a moment.',
      '/translate is closed for maintenance. Please try again in 10 minutes.',
    ])
  })

  it('is not handled when it is switched off while it waits for a place', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 1, clock })
    const place = await admission.acquire()
    const waiting = aGate({ admission })()
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    place.release()
    await waiting
    expect(handled).toBe(0)
    expect(refused.map(({ kind }) => kind)).toEqual(['maintenance'])
    expect(admission.inFlight).toBe(0)
  })
})

describe('the rule of a command', () => {
  const off = { isEnabled: () => false }

  it.each([
    ['draw', 1],
    ['draw cat', 0],
    ['draw cat big', 0],
    ['draw dog', 1],
    ['drawing', 1],
  ])('is its own, or that of the command that it belongs to: of /%s %i is handled', async (command, count) => {
    await aGate({ flags: off, commands: { 'draw cat': { flag: 'x' } } })(undefined, command)
    expect(handled).toBe(count)
  })

  it('for all others does not hold for what is no command', async () => {
    const gate = new Gate(
      gateSettings<string, CommandRule<never, never>>(
        { commands: { '*': { flag: () => 'x' as never } }, flags: off, clock },
        { options: [], rule: [] },
      ),
    )
    const facts = { guildId: '7', userId: '8', locale: 'en', isSuggestion: false }
    const visit = { event: 'a button', command: undefined, ...facts }
    await gate.pass(visit, { handle: () => handled++, refuse: () => {} })
    expect(handled).toBe(1)
  })

  it('says how much it matters, else its feature does, and without a guild each user has a turn', async () => {
    const asked: unknown[] = []
    const admission: GateAdmission = {
      acquire: async (options) => {
        asked.push(options)
        return { release: () => {} }
      },
    }
    const give = aGate({
      admission,
      commands: { one: { feature: 'remind' }, two: { feature: 'remind', priority: 'high' }, three: {} },
    })
    for (const command of ['one', 'two', 'three']) await give(undefined, command)
    await give(undefined, 'one', 'a direct message')
    expect(asked).toEqual([
      { priority: 'critical', key: '7' },
      { priority: 'high', key: '7' },
      { priority: 'normal', key: '7' },
      { priority: 'critical', key: '8' },
    ])
  })
})

describe('a place', () => {
  it('that cannot be asked for is an error, and no refusal', async () => {
    const failure = new TypeError('the limiter is broken')
    await expect(aGate({ admission: { acquire: () => Promise.reject(failure) } })()).rejects.toBe(failure)
    expect([handled, said]).toEqual([0, []])
  })

  it('says nothing of how long handling takes when the mode has changed before it came', async () => {
    const released: unknown[] = []
    let letIn: (() => void) | undefined
    const place = { release: (outcome?: 'ignored') => void released.push(outcome ?? 'ended') }
    const acquire = (): Promise<typeof place> => new Promise((resolve) => (letIn = () => resolve(place)))
    const handling = aGate({ admission: { acquire } })()
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    letIn?.()
    await handling
    expect(released).toEqual(['ignored'])
  })

  it('is held for as long as it takes where that has no end', async () => {
    await aGate({ maxHeldMs: Infinity })(() => expect(clock.pending).toBe(0))
  })

  it.each([2, 3])('is given to %i at once where a mode allows so many, and to no more', async (maxConcurrent) => {
    modes = new DegradationManager({
      clock,
      modes: ['FULL', 'DEGRADED', 'CRAMPED', 'MAINTENANCE'],
      features: { translate: { priority: 'optional', in: { DEGRADED: { maxConcurrent } } }, remind: {} },
    })
    await modes.setMode('DEGRADED', { why: 'a test' })
    const give = aGate()
    const ends: (() => void)[] = []
    const all = Array.from({ length: 5 }, () => give(() => new Promise<void>((resolve) => ends.push(resolve))))
    expect(ends).toHaveLength(maxConcurrent)
    ends[0]?.()
    await all[0]
    all.push(give(() => new Promise<void>((resolve) => ends.push(resolve))))
    expect(ends).toHaveLength(maxConcurrent + 1)
    for (const end of ends) end()
    await Promise.all(all)
  })

  it('is given back once when the handler ends, also by an error', async () => {
    const released: unknown[] = []
    const give = aGate({ admission: noting(released) })
    await give()
    await expect(give(() => Promise.reject(new Error('a mistake')))).rejects.toThrow('a mistake')
    expect(released).toEqual(['ended', 'ended'])
    expect(clock.pending).toBe(0)
  })

  it('says nothing of how long handling takes when a guard inside the handler has refused', async () => {
    const released: unknown[] = []
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    const give = aGate({ admission: noting(released) })
    await give(() => modes.run('translate', () => {}, { fallback: () => modes.run('remind', () => {}) }), 'remind')
    const full = new Bulkhead({ maxConcurrent: 1, clock })
    await full.acquire()
    await give(() => full.run(() => {}), 'remind')
    expect(released).toEqual(['ended', 'ignored'])
  })

  it('says nothing either when it is taken back from a handler that does not end', async () => {
    const released: unknown[] = []
    const give = aGate({ admission: noting(released), maxHeldMs: 60_000 })
    let end: (() => void) | undefined
    const handling = give(() => new Promise<void>((resolve) => (end = resolve)))
    await clock.advance(60_000)
    expect(released).toEqual(['ignored'])
    end?.()
    await handling
    expect(released).toEqual(['ignored'])
  })
})

describe('what a user is told', () => {
  it.each([
    ['draw cat', '/draw cat'],
    ['übersetzen', '/übersetzen'],
    ['แปล', '/แปล'],
    ['report-spam_2', '/report-spam_2'],
    ['Report!', '/Report!'],
    ['<!channel> hi', 'This'],
    ['@everyone', 'This'],
    ['[here](https://example.org)', 'This'],
    ['*bold*', 'This'],
    ['two\nlines', 'This'],
    ['x'.repeat(101), 'This'],
  ])('names the command %o as %o, so that nobody speaks through the bot', async (command, shown) => {
    const off = { isEnabled: () => false }
    await aGate({ flags: off, commands: { '*': { flag: 'x' }, 'Report!': { flag: 'x' } } })(undefined, command)
    expect(said).toEqual([`${shown} is switched off at the moment.`])
    expect(refused.map((refusal) => refusal.command)).toEqual([command])
  })

  it('is what a registry further in has refused, too', async () => {
    const registry = new Registry({ implementations: { deepl: { use: { say: () => 'hello' }, when: () => false } } })
    await aGate()(() => registry.port.say())
    expect(said).toEqual(['/translate is taking a break. Please try again later.'])
  })

  it('harms nobody when it cannot be told, and onUnanswered throws as well', async () => {
    const onUnanswered = (): void => {
      throw new Error('a log that is full')
    }
    const settings = gateSettings<string, CommandRule<never, never>>(
      { commands: {}, onUnanswered, clock },
      { options: [], rule: [] },
    )
    const facts = { guildId: '7', userId: '8', locale: 'en', isSuggestion: false }
    const refuse = (): never => {
      throw new Error('nobody there')
    }
    const full = new Bulkhead({ maxConcurrent: 1, clock })
    await full.acquire()
    const passing = new Gate(settings).pass(
      { event: 'x', command: 'translate', ...facts },
      { handle: () => full.run(() => {}), refuse },
    )
    await expect(passing).resolves.toBeUndefined()
  })

  it('comes also when onRefused throws', async () => {
    const onRefused = (): void => {
      throw new Error('a log that is full')
    }
    await modes.setMode('MAINTENANCE', { why: 'a test' })
    await aGate({ onRefused })()
    expect(said).toEqual(['/translate is closed for maintenance. Please try again later.'])
  })
})
