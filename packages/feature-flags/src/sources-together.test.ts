import { afterEach, describe, expect, it, vi } from 'vitest'
import { FeatureFlags, UnknownFlagError, type FlagDefinitions, type FlagSource } from './index.js'
import { HandSource } from './test-support/hand-source.js'

const variants = { theme: { default: 'plain', variants: ['plain', 'cards'], weights: { cards: 100 } } }
const guild = { guildId: '81384788765712384' }

/** Flags with two sources; the later one goes before the earlier one. */
async function startWith(
  lower: object,
  upper: object,
  environment: Record<string, string> = {},
  code: FlagDefinitions = {},
) {
  const [low, high] = [new HandSource({ flags: lower }, 'lower.json'), new HandSource({ flags: upper }, 'upper.json')]
  const flags = new FeatureFlags<FlagDefinitions>({ flags: code, sources: [low, high], environment })
  const refused: string[] = []
  flags.on('refused', ({ what, why }) => refused.push(`${what}: ${why}`))
  await flags.start()
  return { flags, low, high, refused }
}

describe('a flag that a lower source names, and of which a higher one says what it may answer', () => {
  it.each([[true], [{}], [{ owner: 'alice' }]])('has those variants, the lower one saying %j', async (said) => {
    const { flags, low, refused } = await startWith({ theme: said }, variants)
    expect(flags.variant('theme', guild)).toBe('cards')
    low.say({ flags: { theme: true } })
    expect([flags.variant('theme', guild), ...refused]).toEqual(['cards'])
  })

  it('is off when either says so', async () => {
    const { flags, low } = await startWith({ theme: false }, variants)
    expect(flags.explain('theme', guild)).toMatchObject({
      value: 'plain',
      why: '"theme" is disabled: lower.json says so',
    })
    low.say({ flags: {} })
    expect(flags.variant('theme', guild)).toBe('cards')
  })

  it('keeps them when the higher one does not name it any more', async () => {
    const { flags, high, refused } = await startWith({ theme: true }, variants)
    high.say({ flags: {} })
    expect([flags.variant('theme', guild), ...refused]).toEqual(['plain'])
  })

  it('is refused with both sources named where the lower one gives it a percentage', async () => {
    await expect(startWith({ theme: { percentage: 5 } }, variants)).rejects.toMatchObject({
      reason: expect.stringContaining('Flag "theme" in lower.json: it has no property "percentage"') as string,
      path: ['flags', 'theme'],
    })
  })

  it('takes the name of a variant from the environment', async () => {
    const { flags } = await startWith({ theme: true }, variants, { EVENKEEL_FLAG_THEME: 'plain' })
    expect(flags.explain('theme', guild)).toMatchObject({ value: 'plain', reason: 'environment' })
  })

  it('is not found by a handle of the flag that it seemed to be', async () => {
    const lower = new HandSource({ flags: { theme: true } }, 'lower.json')
    let between: () => void = () => undefined
    const upper: FlagSource = {
      name: 'upper.json',
      async start(feed) {
        between()
        feed.apply({ flags: variants })
      },
      stop: () => Promise.resolve(),
    }
    const flags = new FeatureFlags<FlagDefinitions>({ flags: {}, sources: [lower, upper], environment: {} })
    const handles: { isEnabled(context: object): boolean }[] = []
    between = () => void handles.push(flags.flag('theme') as never)
    await flags.start()
    expect(() => handles[0]?.isEnabled(guild)).toThrow(UnknownFlagError)
  })
})

describe('a lower source that is read again', () => {
  it('is checked without the higher ones, whose requirements may be the other way round', async () => {
    const lower = { a: { requires: ['b'] } }
    const upper = { a: { requires: [] }, b: { requires: ['a', 'c'] }, c: { default: true } }
    const { flags, low, refused } = await startWith(lower, upper, {}, { b: {} })
    low.say({ flags: { ...lower, d: true } })
    expect([flags.has('d'), ...refused]).toEqual([true])
  })

  it('is refused for what a higher one covers, as it would be at the next start', async () => {
    const { low, refused } = await startWith({ a: { percentage: 5 } }, { a: { percentage: 6 } })
    low.say({ flags: { a: { percentage: 500 } } })
    expect(refused).toEqual(['lower.json: Flag "a": the percentage must be from 0 to 100, not 500'])
  })
})

describe('a variable of the environment', () => {
  afterEach(() => vi.restoreAllMocks())

  const warned = () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    return () => emitWarning.mock.calls.map(([message]) => message)
  }
  const withSources = (environment: Record<string, string>, ...documents: object[]) => {
    const sources = documents.map((flags, i) => new HandSource({ flags }, `flags${i}.json`))
    return { flags: new FeatureFlags({ flags: { newSearch: {} }, sources, environment }), sources }
  }

  it('is no misspelt one while a source that may declare its flag is not read', async () => {
    const warnings = warned()
    const { flags } = withSources({ EVENKEEL_FLAG_NEW_SEARCH2: 'on' }, { other: true }, { newSearch2: false })
    await flags.start()
    expect(warnings()).toEqual([])
  })

  it('that is misspelt is warned of once, when all sources are read', async () => {
    const warnings = warned()
    const { flags, sources } = withSources({ EVENKEEL_FLAG_NEW_SERCH: 'on' }, { other: true }, { another: true })
    expect(warnings()).toEqual([])
    await flags.start()
    sources[0]?.say({ flags: { third: true } })
    await flags.stop()
    await flags.start()
    expect(warnings()).toEqual(['EVENKEEL_FLAG_NEW_SERCH sets no flag; did you mean "NEW_SEARCH"?'])
  })

  it('that is misspelt is warned of at once where there is no source', () => {
    const warnings = warned()
    withSources({ EVENKEEL_FLAG_NEW_SERCH: 'on' })
    expect(warnings()).toHaveLength(1)
  })

  it('that no flag of all sources can have is refused when all are read', async () => {
    await expect(startWith({ theme: true }, { other: true }, { EVENKEEL_FLAG_THEME: 'cards' })).rejects.toMatchObject({
      code: 'FLAG_DOCUMENT',
      reason: 'EVENKEEL_FLAG_THEME must be on, off or a percentage from 0 to 100, not "cards"',
    })
  })
})
