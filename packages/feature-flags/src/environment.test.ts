import { afterEach, describe, expect, it, vi } from 'vitest'
import { FeatureFlags } from './index.js'
import { variableOf } from './environment.js'

const context = { guildId: '81384788765712384' }

function make(environment: Record<string, string | undefined>) {
  return new FeatureFlags({
    flags: { newSearch: { percentage: 10 }, theme: { default: 'plain', variants: ['plain', 'cards'] } },
    environment,
  })
}

describe('the environment', () => {
  afterEach(() => vi.restoreAllMocks())

  it.each([
    ['newSearch', 'EVENKEEL_FLAG_NEW_SEARCH'],
    ['new-search', 'EVENKEEL_FLAG_NEW_SEARCH'],
    ['HTTPServer2', 'EVENKEEL_FLAG_HTTP_SERVER2'],
    ['searchV2Beta', 'EVENKEEL_FLAG_SEARCH_V2_BETA'],
    ['suche-über', 'EVENKEEL_FLAG_SUCHE_ÜBER'],
    ['__proto__', 'EVENKEEL_FLAG__PROTO_'],
  ])('names %s %s', (flag, variable) => {
    expect(variableOf(flag)).toBe(variable)
  })

  it.each([
    ['on', true],
    ['ON', true],
    [' off ', false],
    ['', false],
    ['0', false],
    ['100', true],
    ['85.2', true],
    ['22.5', true],
  ])('decides by %j', (value, expected) => {
    // The place of this guild for this flag is 8.67 of 100.
    const flags = new FeatureFlags({
      flags: { newSearch: { percentage: 8 } },
      environment: { EVENKEEL_FLAG_NEW_SEARCH: value },
    })
    expect(flags.isEnabled('newSearch', context)).toBe(expected)
  })

  it('goes before overrides with on, off and a variant, and only replaces the number with a percentage', () => {
    const pinned = make({ EVENKEEL_FLAG_NEW_SEARCH: 'off', EVENKEEL_FLAG_THEME: 'cards' })
    void pinned.override('newSearch', context, true, { why: 'beta' })
    void pinned.override('theme', context, 'plain', { why: 'beta' })
    expect(pinned.isEnabled('newSearch', context)).toBe(false)
    expect(pinned.variant('theme', context)).toBe('cards')
    expect(pinned.explain('newSearch', context)).toMatchObject({ reason: 'environment', decidedBy: 'newSearch' })

    const shared = make({ EVENKEEL_FLAG_NEW_SEARCH: '0' })
    void shared.override('newSearch', context, true, { why: 'beta' })
    expect(shared.isEnabled('newSearch', context)).toBe(true)
  })

  it('goes before what is set while running, and the news of that says so', () => {
    const flags = make({ EVENKEEL_FLAG_NEW_SEARCH: '50' })
    const messages: string[] = []
    flags.on('change', ({ message }) => messages.push(message))
    void flags.setPercentage('newSearch', 90, { why: 'all is well' })
    expect(flags.status('newSearch').percentage).toBe(50)
    expect(messages).toEqual([
      '"newSearch" goes from 10 % to 90 % of guilds (without effect while EVENKEEL_FLAG_NEW_SEARCH is set): all is well',
    ])
  })

  it('goes after what is switched off by hand', () => {
    const flags = make({ EVENKEEL_FLAG_NEW_SEARCH: 'on' })
    void flags.disable('newSearch', { why: 'it fails' })
    expect(flags.explain('newSearch', context)).toMatchObject({ value: false, reason: 'disabled' })
  })

  it('switches everything off with one variable, which no call undoes', () => {
    const flags = make({ EVENKEEL_FLAGS: 'off', EVENKEEL_FLAG_NEW_SEARCH: 'on', EVENKEEL_FLAG_THEME: 'cards' })
    const changes: unknown[] = []
    flags.on('change', (change) => changes.push(change))
    void flags.enableAll({ why: 'please' })
    void flags.disableAll({ why: 'by hand as well' })
    expect(flags.isEnabled('newSearch', context)).toBe(false)
    expect(flags.variant('theme', context)).toBe('plain')
    expect(flags.explain('theme', context)).toMatchObject({
      reason: 'all-off',
      why: 'All flags are off: EVENKEEL_FLAGS is off',
    })
    expect(changes).toEqual([])
  })

  it.each([
    [
      { EVENKEEL_FLAG_NEW_SEARCH: 'yes' },
      'EVENKEEL_FLAG_NEW_SEARCH must be on, off or a percentage from 0 to 100, not "yes"',
    ],
    [{ EVENKEEL_FLAG_NEW_SEARCH: '101' }, 'EVENKEEL_FLAG_NEW_SEARCH: the percentage must be from 0 to 100, not 101'],
    [{ EVENKEEL_FLAG_NEW_SEARCH: '1e1' }, 'not "1e1"'],
    [{ EVENKEEL_FLAG_NEW_SEARCH: '-5' }, 'not "-5"'],
    [{ EVENKEEL_FLAG_THEME: 'crads' }, 'EVENKEEL_FLAG_THEME must be one of "plain", "cards", not "crads"'],
    [{ EVENKEEL_FLAGS: '1' }, 'EVENKEEL_FLAGS must be off, on or not set, not "1"'],
  ])('is refused when it says %j', (environment, message) => {
    expect(() => make(environment)).toThrow(message)
  })

  it('is refused when it sets two flags by one variable, and only then', () => {
    const flags = { 'new-search': {}, newSearch: {} }
    expect(() => new FeatureFlags({ flags, environment: { EVENKEEL_FLAG_NEW_SEARCH: '5' } })).toThrow(
      'Flags "new-search" and "newSearch" are both set by EVENKEEL_FLAG_NEW_SEARCH; rename one',
    )
    const environment = { EVENKEEL_FLAG_NEW_SEARCH: ' ', EVENKEEL_FLAG_OTHER: 'on' }
    expect(new FeatureFlags({ flags, environment }).names).toEqual(['new-search', 'newSearch'])
  })

  it('warns of a variable that looks like a misspelt one, and not of one that is foreign', () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    make({ EVENKEEL_FLAG_NEW_SERCH: 'on', EVENKEEL_FLAG_PAYMENTS: 'on' })
    expect(emitWarning.mock.calls.map(([warning]) => warning)).toEqual([
      'EVENKEEL_FLAG_NEW_SERCH sets no flag; did you mean "NEW_SEARCH"?',
    ])
  })
})
