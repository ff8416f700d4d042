import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import {
  FeatureFlags,
  FlagDocumentError,
  type FlagChange,
  type FlagDefinitions,
  type FlagHandle,
  type FlagRefusal,
} from './index.js'
import { HandSource } from './test-support/hand-source.js'

const why = 'a test'
const guilds = Array.from({ length: 200 }, (_, i) => ({ guildId: String(81384788765712384n + BigInt(i) * 4_194_304n) }))

async function setUp<const D extends FlagDefinitions>(flags: D, ...documents: readonly unknown[]) {
  const sources = documents.map((document, i) => new HandSource(document, `flags${i + 1}.json`))
  const built = new FeatureFlags({ flags: flags as never, environment: {}, clock: new FakeClock(), sources })
  const changes: FlagChange[] = []
  const refusals: FlagRefusal[] = []
  built.on('change', (change) => changes.push(change))
  built.on('refused', (refusal) => refusals.push(refusal))
  await built.start()
  const isOn = (name: string, context: object = { ...guilds[0] }): boolean => built.isEnabled(name as never, context)
  const share = (name: string): number => guilds.filter((context) => isOn(name, context)).length / guilds.length
  return {
    flags: built as unknown as FeatureFlags,
    sources: sources as [HandSource, ...HandSource[]],
    changes,
    refusals,
    isOn,
    share,
  }
}

describe('a document', () => {
  it('goes before the code, field by field, and a later one before an earlier one', async () => {
    const { flags, share } = await setUp(
      { search: { percentage: 10, by: 'user', salt: 'x' } },
      { flags: { search: { percentage: 40 } } },
      { flags: { search: { by: 'guild' } } },
    )
    expect(flags.status('search').percentage).toBe(40)
    expect(share('search')).toBeCloseTo(0.4, 0)
    expect(flags.explain('search', guilds[0]).why).toContain('40 % of guilds')
  })

  it('of the plain shape says on, off, and for how many', async () => {
    const { flags, isOn, share } = await setUp(
      { on: {}, off: { default: true }, some: {}, none: { percentage: 100 }, rolled: { percentage: 3 } },
      {
        flags: { on: true, off: false, some: true, none: true, new: true },
        rollout_percentages: { some: 50, none: 0, rolled: 80.5 },
      },
    )
    expect(['on', 'off', 'none', 'new'].map((name) => isOn(name))).toEqual([true, false, false, true])
    expect(share('some')).toBeGreaterThan(0.4)
    expect(share('some')).toBeLessThan(0.6)
    expect(flags.status('rolled').percentage).toBe(80.5)
    expect(flags.explain('off', guilds[0])).toMatchObject({
      reason: 'disabled',
      why: '"off" is disabled: flags1.json says so',
    })
  })

  it('declares flags of its own, and a name once known is never unknown again', async () => {
    const { flags, sources, isOn } = await setUp(
      {},
      { flags: { extra: true, theme: { default: 'a', variants: ['a', 'b'] } } },
    )
    expect(isOn('extra')).toBe(true)
    expect(flags.variant('theme', guilds[0] as never)).toBe('a')
    sources[0].say({ flags: { other: true } })
    expect(isOn('extra')).toBe(false)
    expect(flags.variant('theme', guilds[0] as never)).toBe('a')
    expect(flags.explain('extra', guilds[0]).why).toBe('"extra" is disabled: no source names it any more')
  })

  it('switches everything off with one word, and back', async () => {
    const { sources, isOn, changes } = await setUp({ a: { default: true } }, { flags: {} })
    sources[0].say({ enabled: false, flags: {} })
    expect(isOn('a')).toBe(false)
    sources[0].say({ flags: {} })
    expect(isOn('a')).toBe(true)
    expect(changes.map(({ message }) => message)).toEqual([
      'All flags are off: flags1.json says so',
      'All flags follow their own rules again: flags1.json says so',
    ])
  })

  it('brings rules and segments', async () => {
    const { flags, sources, isOn } = await setUp(
      { search: {} },
      {
        segments: { staff: [{ guildId: ['1'] }, { plan: 'internal' }] },
        flags: { search: { rules: [{ segment: 'staff' }, { when: { plan: 'pro' }, percentage: 0 }] } },
      },
    )
    expect(isOn('search', { guildId: '1' })).toBe(true)
    expect(isOn('search', { guildId: '2', attributes: { plan: 'internal' } })).toBe(true)
    expect(flags.explain('search', { guildId: '2', attributes: { plan: 'pro' } })).toMatchObject({
      value: false,
      reason: 'rule',
      percentage: 0,
    })
    sources[0].say({ segments: { staff: { guildId: '2' } }, flags: { search: { rules: [{ segment: 'staff' }] } } })
    expect([isOn('search', { guildId: '1' }), isOn('search', { guildId: '2' })]).toEqual([false, true])
  })

  it('is told as what it changes, and nothing is told of what stays', async () => {
    const { sources, changes } = await setUp(
      { a: { percentage: 5 }, b: { default: true, requires: ['a'] } },
      { flags: { a: { percentage: 10 } } },
    )
    changes.length = 0
    sources[0].say({ flags: { a: { percentage: 10 } } })
    expect(changes).toEqual([])
    sources[0].say({ flags: { a: { percentage: 20, owner: 'alice', enabled: false } } })
    expect(changes.map(({ message }) => message)).toEqual([
      '"a" has another `owner`: flags1.json says so',
      '"a" goes from 10 % to 20 % of guilds: flags1.json says so',
      '"b" is off, because it requires "a", which is disabled: flags1.json says so',
      '"a" is disabled: flags1.json says so',
    ])
  })

  it('never undoes what was done at run time', async () => {
    const { flags, sources, isOn } = await setUp(
      { a: { percentage: 5 }, b: {} },
      { flags: { a: { percentage: 100 }, b: true } },
    )
    void flags.setPercentage('a', 0, { why: 'rolled back' })
    void flags.disable('b', { why: 'rolled back' })
    sources[0].say({ flags: { a: { percentage: 90 }, b: true } })
    expect([isOn('a'), isOn('b')]).toEqual([false, false])
  })

  it('that says off is believed whatever was done at run time, and `enable` says where to change it', async () => {
    const { flags, isOn } = await setUp({ a: {} }, { flags: { a: false } })
    void flags.setPercentage('a', 100, { why })
    void flags.override('a', { guildId: guilds[0]?.guildId as string }, true, { why })
    expect(isOn('a')).toBe(false)
    await expect(flags.enable('a', { why })).rejects.toThrow(
      'Flag "a" stays off because flags1.json says so; change it there',
    )
  })

  it.each<[unknown, readonly (string | number)[], string]>([
    [[], [], 'a document of flags is an object such as { "flags": {} }, not []'],
    [null, [], 'a document of flags is an object'],
    ['flags', [], 'a document of flags is an object'],
    [{}, [], '`flags` must be an object of flags by name, not undefined'],
    [{ flags: null }, ['flags'], '`flags` must be an object of flags by name, not null'],
    [{ flags: [] }, ['flags'], '`flags` must be an object of flags by name, not []'],
    [{ flag: {}, flags: {} }, ['flag'], 'there is no property "flag"; did you mean "flags"?'],
    [{ flags: { a: 'on' } }, ['flags', 'a'], 'Flag "a" must be true, false, or an object'],
    [
      { flags: { a: { percentage: 101 } } },
      ['flags', 'a', 'percentage'],
      'Flag "a": the percentage must be from 0 to 100, not 101',
    ],
    ...[-9e15, 9e15, '2027-02-30', '2027-01-31T10:00', '2027-01-31 or so', 'soon', null].map(
      (expiresAt): [unknown, readonly string[], string] => [
        { flags: { a: { expiresAt } } },
        ['flags', 'a', 'expiresAt'],
        "must be a date such as '2027-01-31'",
      ],
    ),
    [{ flags: { a: { percentge: 1 } } }, ['flags', 'a', 'percentge'], 'did you mean "percentage"?'],
    [
      { flags: {}, rollout_percentages: { a: '5' } },
      ['rollout_percentages', 'a'],
      "must be a number from 0 to 100, not '5'",
    ],
    [
      { flags: { a: { percentage: 1 } }, rollout_percentages: { a: 5 } },
      ['flags', 'a', 'percentage'],
      'has its percentage twice',
    ],
    [
      { flags: { a: { requires: ['b'] }, b: { requires: ['a'] } } },
      ['flags', 'a', 'requires'],
      'in a circle: "a" -> "b" -> "a"',
    ],
    [{ flags: { a: { requires: ['c'] } } }, ['flags', 'a', 'requires'], 'requires "c", which is not declared'],
    [
      { flags: { theme: { variants: ['c'], default: 'c' } } },
      ['flags', 'theme', 'variants'],
      'its `variants` are those of the code',
    ],
    [
      { flags: { a: { variants: ['c'], default: 'c' } } },
      ['flags', 'a', 'variants'],
      'its `variants` are those of the code',
    ],
    [
      { flags: { theme: { default: 'z' } } },
      ['flags', 'theme', 'default'],
      '`default` must be one of "plain", "cards", not',
    ],
    [
      { flags: { a: { rules: [{ when: { guildId: '1' } }, { value: true }] } } },
      ['flags', 'a', 'rules', 1],
      'a rule needs `when` or `segment`',
    ],
    [{ flags: { a: { rules: [{ segment: 'x' }] } } }, ['flags', 'a', 'rules', 0, 'segment'], "there is no segment 'x'"],
    [
      { flags: { a: { rules: [{ when: { plan: { matches: 'x' } } }] } } },
      ['flags', 'a', 'rules', 0, 'when', 'plan', 'matches'],
      'patterns',
    ],
    [{ flags: {}, segments: { s: [{ guildId: [] }] } }, ['segments', 's', 0, 'guildId'], 'empty'],
  ])('that says %j is refused, and the last good one stays', async (document, path, message) => {
    const declared = { a: {}, b: {}, theme: { default: 'plain', variants: ['plain', 'cards'] } } as const
    const { sources, refusals, changes, isOn } = await setUp(declared, { flags: { a: true } })
    changes.length = 0
    sources[0].say(document)
    const [refusal] = refusals
    expect(refusal?.error).toBeInstanceOf(FlagDocumentError)
    expect((refusal?.error as FlagDocumentError).path).toEqual(path)
    expect(refusal?.error.message).toContain(message)
    expect(refusal?.message).toContain('flags1.json is refused, and what it said before stays in force')
    expect(isOn('a')).toBe(true)
    expect(changes).toEqual([])
  })

  it('that cannot be used at the start rejects the start, and nothing follows it', async () => {
    const source = new HandSource({ flags: { a: { percentage: 'all' } } })
    const flags = new FeatureFlags({ flags: { a: { default: true } }, environment: {}, sources: [source] })
    await expect(flags.start()).rejects.toThrow(FlagDocumentError)
    source.say({ flags: { a: false } })
    expect(flags.isEnabled('a')).toBe(true)
  })

  it.each([
    ['2027-01-31', Date.UTC(2027, 0, 31)],
    ['2027-01-31T10:00+02:00', Date.UTC(2027, 0, 31, 8)],
    ['2027-01-31T10:00:30.5Z', Date.UTC(2027, 0, 31, 10, 0, 30, 500)],
    [1_800_000_000_000, 1_800_000_000_000],
    [-8.64e15, -8.64e15],
  ])('says by %j when a flag should be gone, whatever the zone of the machine', async (expiresAt, at) => {
    const { flags } = await setUp({ a: {} }, { flags: { a: { expiresAt } } })
    expect(flags.status('a').expiresAt).toBe(at)
  })

  it('with hostile names says nothing of other flags', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    const document = JSON.parse(`{"flags":{${names.map((name) => `${JSON.stringify(name)}: true`).join()}}}`) as object
    const { flags, isOn } = await setUp({ a: {} }, document)
    expect(names.map((name) => isOn(name))).toEqual([true, true, true, true])
    expect(isOn('a')).toBe(false)
    void flags.override('__proto__', { guildId: guilds[0]?.guildId as string }, false, { why })
    expect([isOn('__proto__'), isOn('constructor')]).toEqual([false, true])
  })

  it('leaves a scope its answers, and a handle follows it', async () => {
    const { flags, sources } = await setUp({ a: {} }, { flags: { a: true } })
    const scope = flags.for(guilds[0])
    const handle = flags.flag('a') as unknown as FlagHandle
    sources[0].say({ flags: { a: false, b: true } })
    expect([scope.isEnabled('a'), scope.isEnabled(handle), handle.isEnabled(guilds[0])]).toEqual([true, true, false])
    expect(() => scope.isEnabled(flags.flag('b') as never)).toThrow('There is no flag "b"')
  })

  it('that moves the variants of a flag keeps its overrides', async () => {
    const theme = (variants: string[]): object => ({ flags: { theme: { default: 'a', variants } } })
    const { flags, sources } = await setUp({}, theme(['a', 'b']))
    void flags.override('theme', { guildId: '1' }, 'b', { why })
    sources[0].say(theme(['c', 'b', 'a']))
    expect(flags.variant('theme', { guildId: '1' })).toBe('b')
    sources[0].say(theme(['a']))
    expect(flags.variant('theme', { guildId: '1' })).toBe('a')
    sources[0].say(theme(['a', 'b']))
    expect(flags.variant('theme', { guildId: '1' })).toBe('b')
  })
})
