import { describe, expect, it, vi } from 'vitest'
import { FeatureFlags, FlagHeldOffError, UnknownFlagError, type FlagChange, type FlagDefinitions } from './index.js'
import { HandSource } from './test-support/hand-source.js'

const guildId = '81384788765712384' // stands at 8.67 of 100 for "newSearch", and at 85.15 for "search"
const userId = '53908099506183680' // stands at 30.64 for "newSearch"
const context = { guildId, userId }
const why = 'a test'

function make<const D extends FlagDefinitions>(flags: D): FeatureFlags<D> {
  return new FeatureFlags<D>({ flags, environment: {} } as never)
}

/** An error that throws when anybody looks at it. */
const unreadable: unknown = new Proxy(
  {},
  {
    get: () => {
      throw new Error('do not look')
    },
    getPrototypeOf: () => {
      throw new Error('do not look')
    },
  },
)

function heard(flags: FeatureFlags): FlagChange[] {
  const changes: FlagChange[] = []
  flags.on('change', (change) => changes.push(change))
  return changes
}

describe('isEnabled', () => {
  it('answers by the default where nothing else is said', () => {
    const flags = make({ search: { default: true }, other: {} })
    expect(flags.isEnabled('search', context)).toBe(true)
    expect(flags.isEnabled('search')).toBe(true)
    expect(flags.isEnabled('other', context)).toBe(false)
  })

  it('counts guilds, or users where told so or where there is no guild', () => {
    const flags = make({
      newSearch: { percentage: 9 },
      byUser: { percentage: 31, by: 'user', salt: 'newSearch' },
      wide: { percentage: 31, salt: 'newSearch' },
    })
    expect(flags.isEnabled('newSearch', context)).toBe(true)
    expect(flags.isEnabled('newSearch', { guildId: null, userId })).toBe(false)
    expect(flags.isEnabled('wide', { guildId: null, userId })).toBe(true)
    expect(flags.isEnabled('byUser', context)).toBe(true)
    expect(flags.isEnabled('byUser', { guildId, userId: null })).toBe(false)
  })

  it('leaves a context without an id to the default, except at 0 % and 100 %', () => {
    const flags = make({ a: { percentage: 99 }, b: { percentage: 1, default: true } })
    const answers = (): boolean[] => [
      flags.isEnabled('a', { guildId: undefined }),
      flags.isEnabled('b', { guildId: null }),
    ]
    expect(answers()).toEqual([false, true])
    void flags.setPercentage('a', 100, { why })
    void flags.setPercentage('b', 0, { why })
    expect(answers()).toEqual([true, false])
  })

  it('reads a BigInt and a safe integer as the digits of an id', () => {
    const flags = make({ newSearch: { percentage: 9 } })
    void flags.override('newSearch', { guildId: 12n }, true, { why })
    expect(flags.isEnabled('newSearch', { guildId: BigInt(guildId) })).toBe(true)
    expect([12, 12n, '12'].map((id) => flags.explain('newSearch', { guildId: id }).reason)).toEqual([
      'guild-override',
      'guild-override',
      'guild-override',
    ])
  })

  it.each([
    [{ guildId: 81384788765712384 }, RangeError, 'guildId 81384788765712380 is a number that cannot hold every digit'],
    [{ userId: 1.5 }, RangeError, 'userId 1.5'],
    [{ guildId: '' }, TypeError, 'guildId must be a string, a BigInt or a whole number, not an empty string'],
    [{ guildId: {} }, TypeError, 'not a object'],
    ['81384788765712384', TypeError, 'A context is { guildId?, userId? }, not a string'],
    [null, TypeError, 'not null'],
  ])('refuses %j, whatever the flag would have said', (wrong, kind, message) => {
    const flags = make({ search: { default: true }, newSearch: { percentage: 9 } })
    for (const name of ['search', 'newSearch'] as const) {
      expect(() => flags.isEnabled(name, wrong as never)).toThrow(kind)
      expect(() => flags.isEnabled(name, wrong as never)).toThrow(message)
    }
  })

  it('throws at an unknown name, and names those that may have been meant', () => {
    const flags = make({ search: { default: true }, newSearch: {} })
    expect(() => flags.isEnabled('newSaerch' as 'newSearch', context)).toThrow(
      'There is no flag "newSaerch"; did you mean "newSearch"?',
    )
    expect(() => flags.isEnabled('x' as never)).toThrow(UnknownFlagError)
    expect(() => flags.variant('search' as never)).toThrow('Flag "search" has no variants; ask `isEnabled` for it')
    expect([flags.has('search'), flags.has('serch'), flags.has('__proto__')]).toEqual([true, false, false])
    try {
      void flags.disable('serch' as never, { why })
    } catch (error) {
      expect(error).toMatchObject({ name: 'UnknownFlagError', code: 'UNKNOWN_FLAG', suggestions: ['search'] })
    }
    expect.assertions(5)
  })

  it.each<[unknown, string]>([
    [undefined, 'There is no flag "undefined"'],
    [null, 'There is no flag "null"'],
    [7, 'There is no flag "7"'],
    [Symbol('a'), 'There is no flag "Symbol(a)"'],
    [Object.create(null), 'There is no flag "[Object: null prototype] {}"'],
  ])('throws the same at what is no name at all: %o', (name, message) => {
    const flags = make({ search: { default: true } })
    expect(() => flags.isEnabled(name as never)).toThrow(UnknownFlagError)
    expect(() => flags.status(name as never)).toThrow(message)
    expect(flags.has(name as never)).toBe(false)
  })

  it('takes hostile names for names', () => {
    const definitions = JSON.parse('{"__proto__":{"default":true},"constructor":{"percentage":100}}') as FlagDefinitions
    const flags = make(definitions)
    expect(flags.names).toEqual(['__proto__', 'constructor'])
    expect(flags.isEnabled('__proto__')).toBe(true)
    void flags.override('constructor', { guildId: '__proto__' }, false, { why })
    expect(flags.isEnabled('constructor', { guildId: '__proto__' })).toBe(false)
    expect(flags.isEnabled('constructor', { guildId: 'toString' })).toBe(true)
    expect(() => flags.isEnabled('toString')).toThrow(UnknownFlagError)
  })
})

describe('requirements', () => {
  it('keep a flag off where one that it requires is off, even against its own override', () => {
    const flags = make({ search: { percentage: 50 }, newSearch: { default: true, requires: ['search'] } })
    void flags.override('newSearch', { guildId }, true, { why })
    expect(flags.explain('newSearch', context)).toMatchObject({ value: false, reason: 'required', decidedBy: 'search' })
    void flags.override('search', { guildId }, true, { why })
    expect(flags.isEnabled('newSearch', context)).toBe(true)
  })

  it('share the buckets of the root: half of the core and half of a dependent are the same half', () => {
    const flags = make({
      core: { percentage: 50 },
      extra: { percentage: 50, requires: ['core'] },
      apart: { percentage: 50, requires: ['core'], salt: 'apart' },
    })
    const ids = Array.from({ length: 2_000 }, (_, i) => ({
      guildId: String(175928847299117063n + BigInt(i) * 4194304n),
    }))
    const count = (name: 'core' | 'extra' | 'apart'): number => ids.filter((id) => flags.isEnabled(name, id)).length
    expect(count('extra')).toBe(count('core'))
    expect(count('apart')).toBeLessThan(count('core') * 0.6)
  })

  it('are asked one and all, however they are reached', () => {
    const flags = make({
      root: { default: true },
      step: { default: true, requires: ['root'] },
      other: { default: true, salt: 'root' },
      leaf: { default: true, requires: ['step', 'other'] },
      both: { default: true, requires: ['leaf', 'step'] },
      otherStep: { default: true, requires: ['other'] },
      steps: { default: true, requires: ['step', 'otherStep'] },
    })
    void flags.override('root', { guildId: '1' }, false, { why })
    void flags.override('other', { guildId: '2' }, false, { why })
    const answers = (name: 'leaf' | 'both' | 'steps'): boolean[] =>
      ['1', '2', '3'].map((id) => flags.isEnabled(name, { guildId: id }))
    expect(answers('leaf')).toEqual([false, false, true])
    expect(answers('both')).toEqual([false, false, true])
    expect(answers('steps')).toEqual([false, false, true])
  })

  it('blame the flag at the root of it', () => {
    const flags = make({
      a: { default: true },
      b: { default: true, requires: ['a'] },
      c: { default: true, requires: ['b'] },
    })
    void flags.disable('a', { why: 'the index is being rebuilt', by: 'alice' })
    expect(flags.explain('c', context)).toEqual({
      flag: 'c',
      value: false,
      variant: 'off',
      reason: 'required',
      decidedBy: 'a',
      why: '"c" requires "a", which is off: "a" is disabled by alice: the index is being rebuilt',
    })
  })

  it('load and answer for a chain of 10,000 flags, with an override at its root or at every step', () => {
    const definitions: Record<string, { percentage?: number; requires?: string[] }> = { f0: { percentage: 50 } }
    for (let i = 1; i < 10_000; i++) definitions[`f${i}`] = { percentage: 100, requires: [`f${i - 1}`] }
    const flags = make(definitions)
    const inside = { guildId: '2' }
    const outside = { guildId: '1' }
    const answers = (): boolean[] => [inside, outside].map((id) => flags.isEnabled('f9999', id))
    expect(answers()).toEqual([false, true])
    void flags.override('f0', { guildId: '2' }, true, { why })
    expect(answers()).toEqual([true, true])
    expect(flags.explain('f9999', inside).value).toBe(true)
    const startedAt = performance.now()
    for (let i = 0; i < 100_000; i++) flags.isEnabled('f9999', inside)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    for (let i = 1; i < 10_000; i += 100) void flags.override(`f${i}`, { guildId: '1' }, true, { why })
    expect(answers()).toEqual([true, true])
    void flags.disable('f0', { why })
    expect(flags.explain('f9999', inside)).toMatchObject({ reason: 'required', decidedBy: 'f0' })
  })

  it('answer for a diamond of 2^30 ways at once', () => {
    const definitions: Record<string, { default: boolean; by?: 'user' | 'guild'; requires?: string[] }> = {
      b0: { default: true },
    }
    for (let i = 0; i < 30; i++) {
      definitions[`l${i}`] = { default: true, by: 'user', requires: [`b${i}`] }
      definitions[`r${i}`] = { default: true, by: 'guild', requires: [`b${i}`] }
      definitions[`b${i + 1}`] = { default: true, requires: [`l${i}`, `r${i}`] }
    }
    const flags = make(definitions)
    // Overrides keep every step from being worked out beforehand.
    for (const name of flags.names) void flags.override(name, { guildId: 'x' }, false, { why })
    expect(flags.isEnabled('b30', context)).toBe(true)
    expect(flags.explain('b30', context).value).toBe(true)
    expect(flags.isEnabled('b30', { guildId: 'x' })).toBe(false)
  })
})

describe('variants', () => {
  const theme = {
    default: 'plain',
    variants: ['plain', 'cards', 'grid'],
    weights: { plain: 50, cards: 30, grid: 20 },
  } as const

  it('give everyone the default where no weights split them', () => {
    const flags = make({ theme: { default: 'plain', variants: ['plain', 'cards'] } })
    expect(flags.variant('theme', context)).toBe('plain')
    expect(flags.explain('theme', context)).toMatchObject({ value: 'plain', reason: 'default' })
  })

  it('go to shares of the size of their weights', () => {
    const flags = make({ theme })
    const counts: Record<string, number> = { plain: 0, cards: 0, grid: 0 }
    for (let i = 0; i < 10_000; i++) {
      const variant = flags.variant('theme', { guildId: String(175928847299117063n + BigInt(i) * 4194304n) })
      counts[variant] = (counts[variant] ?? 0) + 1
    }
    expect(counts['plain']).toBeGreaterThan(4_800)
    expect(counts['plain']).toBeLessThan(5_200)
    expect(counts['grid']).toBeGreaterThan(1_850)
    expect(counts['grid']).toBeLessThan(2_150)
  })

  it('are split independently of the flag that they require', () => {
    const flags = make({ core: { percentage: 30 }, theme: { ...theme, requires: ['core'] } })
    let isOn = 0
    let plain = 0
    for (let i = 0; i < 10_000; i++) {
      const id = { guildId: String(175928847299117063n + BigInt(i) * 4194304n) }
      if (!flags.isEnabled('core', id)) {
        expect(flags.variant('theme', id)).toBe('plain')
        continue
      }
      isOn++
      if (flags.variant('theme', id) === 'plain') plain++
    }
    expect(plain / isOn).toBeGreaterThan(0.46)
    expect(plain / isOn).toBeLessThan(0.54)
  })

  it('can be overridden, switched off and explained', () => {
    const flags = make({ theme })
    void flags.override('theme', { guildId }, 'grid', { why })
    void flags.override('theme', { userId }, 'cards', { why })
    expect(flags.variant('theme', context)).toBe('cards')
    expect(flags.variant('theme', { guildId })).toBe('grid')
    expect(flags.explain('theme', { guildId: '1' })).toMatchObject({
      reason: 'split',
      percentage: expect.any(Number) as number,
    })
    void flags.disable('theme', { why })
    expect(flags.variant('theme', context)).toBe('plain')
    expect(() => flags.override('theme', { userId }, Object.create(null) as never, { why })).toThrow(
      'is one of "plain"',
    )
    expect(() => flags.override('theme', { userId }, 'crads' as never, { why })).toThrow(
      'An override of "theme" is one of "plain", "cards", "grid", not \'crads\'',
    )
  })
})

describe('a scope', () => {
  it('keeps one truth while the flags change under it', () => {
    const flags = make({
      a: { default: true },
      b: { default: false },
      theme: { default: 'plain', variants: ['plain', 'cards'] },
    })
    const scope = flags.for(context)
    void flags.disable('a', { why })
    void flags.override('b', { guildId }, true, { why })
    void flags.override('theme', { userId }, 'cards', { why })
    expect([scope.isEnabled('a'), scope.isEnabled('b'), scope.variant('theme')]).toEqual([true, false, 'plain'])
    expect(scope.explain('a').reason).toBe('default')
    const later = flags.for(context)
    void flags.removeOverride('b', { guildId }, { why })
    expect([later.isEnabled('a'), later.isEnabled('b'), later.variant('theme')]).toEqual([false, true, 'cards'])
    expect(flags.isEnabled('b', context)).toBe(false)
  })

  it('sees none of the overrides set after it, however many follow', () => {
    const flags = make({ a: {} })
    void flags.override('a', { guildId: '1' }, true, { why })
    const scope = flags.for({ guildId: '2' })
    void flags.override('a', { guildId: '2' }, true, { why })
    void flags.override('a', { guildId: '3' }, true, { why })
    expect(scope.isEnabled('a')).toBe(false)
    expect(flags.status('a').guildOverrides).toBe(3)
  })

  it('runs the path of its own answer', async () => {
    const flags = make({ a: { default: true } })
    const scope = flags.for(context)
    void flags.disable('a', { why })
    await expect(
      scope.run(
        'a',
        () => 'new',
        () => 'old',
      ),
    ).resolves.toBe('new')
    await expect(
      flags.run(
        'a',
        context,
        () => 'new',
        () => 'old',
      ),
    ).resolves.toBe('old')
  })
})

describe('changes', () => {
  it('take dependents down before what they require, and bring them back after it', () => {
    const flags = make({ a: { default: true }, b: { requires: ['a'] }, c: { requires: ['b'] }, other: {} })
    const changes = heard(flags as never)
    void flags.disable('a', { why: 'the index is being rebuilt', by: 'alice' })
    void flags.enable('a', { why: 'rebuilt' })
    expect(changes.map(({ what, from, to }) => [what, from, to])).toEqual([
      ['c', 'active', 'blocked'],
      ['b', 'active', 'blocked'],
      ['a', 'active', 'disabled'],
      ['a', 'disabled', 'active'],
      ['b', 'blocked', 'active'],
      ['c', 'blocked', 'active'],
    ])
    expect(changes[0]).toMatchObject({
      aspect: 'state',
      why: 'the index is being rebuilt',
      by: 'alice',
      severity: 'WARNING',
      message: '"c" is off, because it requires "a", which is disabled by alice: the index is being rebuilt',
    })
    expect(changes[5]?.message).toBe('"c" is back, because "a", which it requires, is back: rebuilt')
  })

  it('of percentages and overrides say from what to what', () => {
    const flags = make({ a: { default: true } })
    const changes = heard(flags as never)
    void flags.setPercentage('a', 25, { why: 'too many errors' })
    void flags.override('a', { userId: 7 }, true, { why: 'a tester', by: 'bob' })
    void flags.override('a', { userId: 7 }, false, { why: 'no longer' })
    void flags.removeOverride('a', { userId: '7' }, { why: 'left' })
    expect(changes.map(({ aspect, from, to }) => [aspect, from, to])).toEqual([
      ['percentage', 100, 25],
      ['override', undefined, true],
      ['override', true, false],
      ['override', false, undefined],
    ])
    expect(changes.map(({ message }) => message)).toEqual([
      '"a" goes from 100 % to 25 % of guilds: too many errors',
      '"a" is on for user 7 by bob: a tester',
      '"a" is off for user 7: no longer',
      'The override of "a" for user 7 is removed: left',
    ])
    expect(changes[1]).toMatchObject({ userId: '7', by: 'bob' })
    expect(flags.status('a')).toMatchObject({ percentage: 25, userOverrides: 0, lastChange: changes[3] })
  })

  it('of all flags at once are one piece of news, and keep what was disabled by name', () => {
    const flags = make({ a: { default: true }, b: { default: true } })
    void flags.disable('b', { why })
    const changes = heard(flags as never)
    void flags.disableAll({ why: 'an incident' })
    expect([flags.isEnabled('a'), flags.explain('a').reason]).toEqual([false, 'all-off'])
    void flags.enableAll({ why: 'over' })
    expect([flags.isEnabled('a'), flags.isEnabled('b')]).toEqual([true, false])
    expect(changes).toMatchObject([
      {
        what: '*',
        aspect: 'all',
        from: 'on',
        to: 'off',
        severity: 'CRITICAL',
        message: 'All flags are off: an incident',
      },
      { what: '*', aspect: 'all', from: 'off', to: 'on', severity: 'INFO' },
    ])
  })

  it('of all flags at once show in the status of each, which then shows no retry either', async () => {
    const flags = make({ a: { default: true } })
    for (let i = 0; i < 5; i++) await flags.run('a', {}, () => Promise.reject(new Error('boom')), vi.fn())
    expect(flags.status('a')).toMatchObject({ state: 'fallen-back', retryAt: expect.any(Number) as number })
    void flags.disableAll({ why })
    expect(flags.status('a')).toMatchObject({ state: 'all-off', retryAt: undefined })
    void flags.enableAll({ why })
    expect(flags.status('a').state).toBe('fallen-back')
    void flags.disable('a', { why })
    expect(flags.status('a')).toMatchObject({ state: 'disabled', retryAt: undefined })
  })

  it('that change nothing are no news', () => {
    const flags = make({ a: { percentage: 5 } })
    void flags.disable('a', { why: 'first' })
    const changes = heard(flags as never)
    void flags.disable('a', { why: 'second' })
    void flags.setPercentage('a', 5, { why })
    void flags.enableAll({ why })
    void flags.removeOverride('a', { guildId }, { why })
    expect(changes).toEqual([])
    expect(flags.explain('a', { guildId }).why).toBe('"a" is disabled: first')
  })

  it('are in force when they are told, and are told one after the other', () => {
    const flags = make({ a: { default: true }, b: { default: true, requires: ['a'] } })
    const story: unknown[] = []
    flags.on('change', ({ what, to }) => {
      story.push([what, to, flags.isEnabled('a')])
      if (what === 'b' && to === 'blocked') void flags.enable('a', { why: 'no, wait' })
    })
    const heardSecond = heard(flags as never)
    void flags.disable('a', { why })
    expect(heardSecond.map(({ what, to }) => [what, to])).toEqual([
      ['b', 'blocked'],
      ['a', 'disabled'],
      ['a', 'active'],
      ['b', 'active'],
    ])
    expect(story).toEqual([
      ['b', 'blocked', false],
      ['a', 'disabled', true],
      ['a', 'active', true],
      ['b', 'active', true],
    ])
  })

  it('of a file show the variants that they tell of, overrides too', async () => {
    const theme = (variants: string[]): object => ({ flags: { theme: { default: 'x', variants } } })
    const source = new HandSource(theme(['x', 'y']))
    const flags = new FeatureFlags<FlagDefinitions>({ flags: {}, environment: {}, sources: [source] })
    await flags.start()
    void flags.override('theme', { guildId }, 'y', { why })
    const seen: unknown[] = []
    flags.on('change', () => seen.push(flags.explain('theme', { guildId }).value))
    source.say(theme(['y', 'x', 'z']))
    expect(seen).toEqual(['y'])
    await flags.stop()
  })

  it.each([
    ['nothing that is an error', Object.create(null)],
    ['what cannot be read', unreadable],
  ])('survive a listener that throws %s', (_, thrown) => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const flags = make({ a: { default: true } })
    flags.once('change', () => {
      throw thrown
    })
    void flags.disable('a', { why })
    expect(flags.isEnabled('a')).toBe(false)
    expect(emitWarning.mock.calls[0]?.[1]).toMatchObject({ code: 'EVENKEEL_LISTENER' })
    const changes = heard(flags as never)
    void flags.enable('a', { why })
    expect(changes).toHaveLength(1)
    emitWarning.mockRestore()
  })

  it.each<[string, (flags: FeatureFlags<{ a: { default: true } }>) => void, string]>([
    ['no reason', (flags) => flags.disable('a', undefined as never), 'Say why, for those who will wonder'],
    ['an empty reason', (flags) => flags.disableAll({ why: ' ' }), 'Say why'],
    [
      'a share above all',
      (flags) => flags.setPercentage('a', 150, { why }),
      'Flag "a": the percentage must be from 0 to 100, not 150',
    ],
    ['no share', (flags) => flags.setPercentage('a', NaN, { why }), 'not NaN'],
    [
      'a share in words',
      (flags) => flags.setPercentage('a', '25' as never, { why }),
      "must be a number from 0 to 100, not '25'",
    ],
    ['no share of a rollout', (flags) => flags.setShare('a', undefined as never, { why }), 'A share is { percentage,'],
    [
      'target guilds that are no list',
      (flags) => flags.setShare('a', { percentage: 1, sequence: 1 } as never, { why }),
      'The targetGuilds of a share must be a list of ids, not undefined',
    ],
    [
      'an override for what is no target',
      (flags) => flags.override('a', Object.create(null) as never, true, { why }),
      'either',
    ],
    [
      'an override that is no value at all',
      (flags) => flags.override('a', { guildId }, Object.create(null) as never, { why }),
      'one of true, false, not [Object: null prototype] {}',
    ],
    [
      'an override for nobody',
      (flags) => flags.override('a', {} as never, true, { why }),
      'is for either a guildId or a userId',
    ],
    ['an override for both', (flags) => flags.override('a', context as never, true, { why }), 'either'],
    [
      'an override that is no answer',
      (flags) => flags.override('a', { guildId }, 'on' as never, { why }),
      "one of true, false, not 'on'",
    ],
  ])('are refused with %s, and change nothing', (_, change, message) => {
    const flags = make({ a: { default: true } })
    const changes = heard(flags as never)
    expect(() => change(flags)).toThrow(message)
    expect(changes).toEqual([])
    expect(flags.isEnabled('a', context)).toBe(true)
  })
})

describe('a flag that the code switches off', () => {
  it('is not let go, and says so by a rejection that ends no bot', async () => {
    const flags = make({ a: { default: true, enabled: false } })
    void flags.enable('a', { why })
    await expect(flags.enable('a', { why })).rejects.toThrow(FlagHeldOffError)
    expect(flags.status('a').state).toBe('disabled')
  })
})

describe('a declaration', () => {
  it.each<[unknown, string]>([
    [null, '`flags` must be an object'],
    [{ a: null }, 'Flag "a": it must be an object such as { default: false }'],
    [{ a: { percentge: 25 } }, 'Flag "a": it has no property "percentge"; did you mean "percentage"?'],
    [{ a: { percentage: -1 } }, 'Flag "a": the percentage must be from 0 to 100, not -1'],
    [{ a: { percentage: '25' } }, "not '25'"],
    [{ a: { default: 'on' } }, "`default` must be true or false, not 'on'"],
    [{ a: { by: 'shard' } }, "`by` must be 'guild' or 'user', not 'shard'"],
    [{ a: { requires: 'b' } }, "`requires` must be a list of flag names, not 'b'"],
    [{ a: { requires: ['b'] }, b: { requires: ['a'] } }, 'in a circle: "a" -> "b" -> "a"'],
    [{ a: { requires: ['t'] }, t: { default: 'x', variants: ['x'] } }, 'requires "t", which has variants'],
    [{ t: { default: 'z', variants: ['x', 'y'] } }, '`default` must be one of "x", "y", not \'z\''],
    [{ t: { default: 'x', variants: ['x', 'x'] } }, 'names one twice'],
    [{ t: { default: 'x', variants: [] } }, '`variants` must name at least one'],
    [{ t: { default: 'x', variants: ['x'], percentage: 5 } }, 'has no property "percentage"'],
    [{ t: { default: 'x', variants: ['x'], weights: { y: 1 } } }, '`weights` names "y"'],
    [{ t: { default: 'x', variants: ['x'], weights: { x: -1 } } }, 'the weight of "x" must be 0 or more, not -1'],
    [{ t: { default: 'x', variants: ['x'], weights: {} } }, '`weights` must add up to more than 0, not 0'],
  ])('%j is refused', (flags, message) => {
    expect(() => make(flags as never)).toThrow(message)
  })

  it.each<[object, string]>([
    [{ failureThreshold: 0 }, 'failureThreshold must be a whole number of calls from 1, not 0'],
    [{ failureRatio: 2 }, 'failureRatio must be from 0 to 1, not 2'],
    [{ retryDelayMs: NaN }, 'retryDelayMs must be a number of milliseconds above 0, not NaN'],
    [{ retryDelayMs: 10, maxRetryDelayMs: 5 }, 'maxRetryDelayMs is 5, below retryDelayMs, which is 10'],
    [{ flags: undefined }, '`flags` must be an object of flags by name'],
    [
      { store: new Map() },
      'store must have entry, compareAndSet, set, delete, scan, watch, as a collection of storage-adapter has; it has no entry, compare',
    ],
    [{ store: null }, 'store must have entry'],
    [{ sources: [{ name: 'a', start: () => undefined }] }, 'each with a name, start and stop'],
    [{ sources: [{ start: () => undefined, stop: () => undefined }] }, 'each with a name, start and stop'],
    [{ retryDelay: 5 }, 'FeatureFlags has no option "retryDelay"; did you mean "retryDelayMs"'],
  ])('with options %j is refused', (options, message) => {
    expect(() => new FeatureFlags({ flags: {}, environment: {}, ...options })).toThrow(message)
  })

  it('without options is refused', () => {
    expect(() => new FeatureFlags(undefined as never)).toThrow('FeatureFlags needs options: { flags: { ... } }')
  })
})
