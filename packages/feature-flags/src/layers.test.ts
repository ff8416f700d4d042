import { afterEach, describe, expect, it, vi } from 'vitest'
import { Subject } from './context.js'
import { explain } from './explain.js'
import { FlagDocumentError, UnknownFlagError } from './index.js'
import { Layers, type Foundations } from './layers.js'
import { trip, untouched } from './runtime-state.js'
import { flagAt, type CompiledFlag, type FlagRecord } from './table.js'

const declaredAt = Date.UTC(2026, 0, 1)
const cause = { why: 'it kept failing', by: undefined, at: declaredAt, process: 'p' }

function layersOf(definitions: object, foundations: Partial<Foundations> = {}): Layers {
  const rest = {
    segments: {},
    patterns: false,
    attributes: undefined,
    environment: {},
    at: declaredAt,
    sharesTrips: false,
  }
  return new Layers({ ...rest, definitions, ...foundations })
}

function flagOf(layers: Layers, name: string): CompiledFlag {
  const flag = layers.current.flags.get(name)
  if (flag === undefined) throw new Error(`there is no ${name}`)
  return flag
}

const recordOf = (layers: Layers, name: string): FlagRecord => flagOf(layers, name).record

function refusalOf(layers: Layers, document: unknown, index = 0): FlagDocumentError {
  try {
    layers.applyDocument(index, `flags${index}.json`, document)
  } catch (error) {
    if (error instanceof FlagDocumentError) return error
    throw error
  }
  throw new Error('the document was not refused')
}

describe('a flag that only a document declares', () => {
  const theme = { default: 'a', variants: ['a', 'b'] }

  it.each([
    [theme, true],
    [theme, { percentage: 5 }],
    [true, theme],
    [false, theme],
  ])('keeps its kind: what was %j does not become %j', (first, second) => {
    const layers = layersOf({})
    layers.applyDocument(0, 'flags.json', { flags: { theme: first } })
    const before = layers.current
    const refusal = refusalOf(layers, { flags: { theme: second } })
    expect(refusal.path).toEqual(['flags', 'theme', 'variants'])
    expect(refusal.reason).toContain('when it was first read; give the other one a new name')
    expect(layers.current).toBe(before)
  })

  it('is switched off by one word, whatever its kind', () => {
    const layers = layersOf({})
    layers.applyDocument(0, 'flags.json', { flags: { theme } })
    layers.applyDocument(0, 'flags.json', { flags: { theme: false } })
    expect(flagOf(layers, 'theme')).toMatchObject({ state: 'disabled', kind: 'variant' })
    layers.applyDocument(0, 'flags.json', { flags: { theme: { ...theme, default: 'b' } } })
    expect(flagOf(layers, 'theme').state).toBe('active')
  })

  it('keeps its kind also while no document names it', () => {
    const layers = layersOf({})
    layers.applyDocument(0, 'flags.json', { flags: { theme } })
    layers.applyDocument(0, 'flags.json', { flags: {} })
    expect(refusalOf(layers, { flags: { theme: { percentage: 5 } } }).path).toEqual(['flags', 'theme', 'variants'])
    layers.applyDocument(0, 'flags.json', { flags: { theme: { ...theme, default: 'b' } } })
    expect(flagOf(layers, 'theme').record.spec.default).toBe(1)
  })

  it('can be renamed to another spelling of the same variable', () => {
    const layers = layersOf({}, { environment: { EVENKEEL_FLAG_NEW_SEARCH: 'on' } })
    layers.applyDocument(0, 'flags.json', { flags: { new_search: { percentage: 5 } } })
    layers.applyDocument(0, 'flags.json', { flags: { newSearch: { percentage: 5 } } })
    expect(recordOf(layers, 'newSearch').pin?.value).toBe(true)
    expect(recordOf(layers, 'new_search').pin).toBeUndefined()
    const both = { flags: { newSearch: {}, new_search: {} } }
    expect(refusalOf(layers, both).reason).toContain('are both set by EVENKEEL_FLAG_NEW_SEARCH')
  })

  it('is forgotten when more than 10,000 others have gone after it, and its handle finds no other flag', () => {
    const layers = layersOf({ a: {} })
    layers.applyDocument(0, 'flags.json', { flags: { old: true } })
    const { slot } = recordOf(layers, 'old')
    const many = Array.from({ length: 10_000 }, (_, i) => [`f${i}`, true])
    layers.applyDocument(0, 'flags.json', { flags: Object.fromEntries(many) as object })
    layers.applyDocument(0, 'flags.json', { flags: { next: true } })
    expect(layers.current.flags.has('old')).toBe(false)
    expect(layers.current.flags.has('f0')).toBe(true)
    expect(() => flagAt(layers.current, { slot, name: 'old' })).toThrow(UnknownFlagError)
    layers.applyDocument(0, 'flags.json', { flags: {} })
    expect(layers.current.flags.has('f0')).toBe(false)
    expect(layers.current.flags.has('next')).toBe(true)
  })
})

describe('a handle', () => {
  it('of other flags does not answer for the one that stands in its place here', () => {
    const layers = layersOf({ here: {} })
    const { slot } = recordOf(layers, 'here')
    expect(() => flagAt(layers.current, { slot, name: 'elsewhere' })).toThrow(UnknownFlagError)
    expect(flagAt(layers.current, { slot, name: 'here' }).record.spec.name).toBe('here')
  })
})

describe('a trip', () => {
  const tripped = trip('a', cause).apply(untouched)

  it('that other processes left in the store does not count where trips belong to each process', () => {
    const layers = layersOf({ a: { default: true } }, { sharesTrips: false })
    layers.applyRuntime(tripped)
    expect(flagOf(layers, 'a').state).toBe('active')
    layers.applyTrips(tripped)
    expect(flagOf(layers, 'a').state).toBe('fallen-back')
  })

  it('that is shared counts where trips are shared', () => {
    const layers = layersOf({ a: { default: true } }, { sharesTrips: true })
    layers.applyRuntime(tripped)
    expect(flagOf(layers, 'a').state).toBe('fallen-back')
  })
})

describe('what is read again', () => {
  const flags = { a: { percentage: 5, rules: [{ when: { plan: 'pro' } }] }, b: { requires: ['a'] }, c: false }

  it('and says the same is not worked out anew', () => {
    const layers = layersOf({ d: {} })
    const read = (document: object): void => layers.applyDocument(0, 'flags.json', structuredClone(document))
    read({ flags })
    const before = layers.current
    read({ flags })
    for (const name of ['a', 'b', 'c', 'd']) expect(recordOf(layers, name)).toBe(before.flags.get(name)?.record)
    read({ flags: { ...flags, a: { percentage: 6 } } })
    expect(recordOf(layers, 'a').spec).toMatchObject({ percentage: 6, rules: [] })
    expect(recordOf(layers, 'b').spec.requires[0]).toBe(recordOf(layers, 'a').spec)
    expect(recordOf(layers, 'c')).toBe(before.flags.get('c')?.record)
  })

  it('with other segments is worked out anew', () => {
    const layers = layersOf({ a: { rules: [{ segment: 'staff' }] } }, { segments: { staff: { guildId: '1' } } })
    const asked = (guildId: string): unknown =>
      explain(recordOf(layers, 'a'), layers.current, new Subject({ guildId })).value
    layers.applyDocument(0, 'flags.json', { segments: { staff: { guildId: '2' } }, flags: {} })
    expect([asked('1'), asked('2')]).toEqual([false, true])
    layers.applyDocument(0, 'flags.json', { flags: {} })
    expect([asked('1'), asked('2')]).toEqual([true, false])
  })

  it('from an object that its source has changed in place is another document', () => {
    const layers = layersOf({})
    const document = { flags: { a: { rules: [{ when: { guildId: ['1'] } }] } }, segments: { s: { guildId: ['1'] } } }
    layers.applyDocument(0, 'flags.json', document)
    document.flags.a.rules[0]?.when.guildId.push('2')
    layers.applyDocument(0, 'flags.json', document)
    expect(explain(recordOf(layers, 'a'), layers.current, new Subject({ guildId: '2' })).value).toBe(true)
  })
})

describe('what holds a flag off', () => {
  const off = { enabled: false, flags: { a: false } }

  it('since when is told: since its document said so first', () => {
    const layers = layersOf({ a: {}, b: { enabled: false } })
    const says = (document: object, at: number): void => layers.applyDocument(0, 'flags.json', document, at)
    says({ flags: {} }, declaredAt + 1)
    says(off, declaredAt + 2)
    says(off, declaredAt + 3)
    expect(recordOf(layers, 'a').disabled).toEqual({ why: 'flags.json says so', by: undefined, at: declaredAt + 2 })
    expect(layers.current.killed?.at).toBe(declaredAt + 2)
    expect(recordOf(layers, 'b').disabled?.at).toBe(declaredAt)
    says({ flags: {} }, declaredAt + 4)
    says(off, declaredAt + 5)
    expect(recordOf(layers, 'a').disabled?.at).toBe(declaredAt + 5)
    expect(layers.current.killed?.at).toBe(declaredAt + 5)
  })
})

describe('overrides', () => {
  const place = (flag: string, id: string) => ({ flag, whose: 'guilds', id }) as const

  it('set together make one new table, and none where nothing is another', () => {
    const layers = layersOf({ a: {}, b: { default: 'x', variants: ['x', 'y'] } })
    const held = layers.hold()
    layers.setOverrides([
      { ...place('a', '1'), value: true },
      { ...place('a', '2'), value: true },
      { ...place('b', '1'), value: 1 },
      { ...place('unknown', '1'), value: true },
    ])
    expect([...recordOf(layers, 'a').guilds]).toEqual([
      ['1', true],
      ['2', true],
    ])
    expect([...recordOf(layers, 'b').guilds]).toEqual([['1', 1]])
    expect(held.flags.get('a')?.record.guilds.size).toBe(0)
    const before = layers.hold()
    layers.setOverrides([{ ...place('a', '1'), value: true }])
    expect(layers.current).toBe(before)
    layers.setOverrides([
      { ...place('a', '1'), value: undefined },
      { ...place('a', '2'), value: undefined },
    ])
    expect(flagOf(layers, 'a').hasOverrides).toBe(false)
    expect(before.flags.get('a')?.record.guilds.size).toBe(2)
  })
})

describe('the code', () => {
  it('is read once: what the bot changes in its own objects later says nothing', () => {
    const when = { guildId: ['1'] }
    const definitions = { a: { percentage: 0, rules: [{ when }, { segment: 'staff' }], weird: undefined } }
    const segments = { staff: { guildId: ['5'] } }
    const layers = layersOf(definitions, { segments })
    when.guildId.push('2')
    segments.staff.guildId.push('2')
    definitions.a.percentage = 100
    definitions.a.rules.length = 0
    layers.applyDocument(0, 'flags.json', { segments: { other: { guildId: '9' } }, flags: { a: { owner: 'alice' } } })
    const { spec } = recordOf(layers, 'a')
    expect([spec.owner, spec.rules.length]).toEqual(['alice', 2])
    for (const guildId of ['1', '5', '2']) {
      const { value } = explain(recordOf(layers, 'a'), layers.current, new Subject({ guildId }))
      expect(value).toBe(guildId !== '2')
    }
  })
})

describe('the environment', () => {
  afterEach(() => vi.restoreAllMocks())

  it('is read once: what is set later says nothing', () => {
    const environment: Record<string, string> = { EVENKEEL_FLAG_A: '50' }
    const layers = layersOf({ a: {} }, { environment })
    environment['EVENKEEL_FLAG_A'] = 'nonsense'
    environment['EVENKEEL_FLAGS'] = 'off'
    layers.applyDocument(0, 'flags.json', { flags: { b: true } })
    expect(recordOf(layers, 'a').pin).toEqual({ variable: 'EVENKEEL_FLAG_A', percentage: 50 })
    expect(layers.current.killed).toBeUndefined()
  })

  it('warns of a misspelt variable once, however often documents are read', () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const layers = layersOf({ newSearch: {} }, { environment: { EVENKEEL_FLAG_NEW_SERCH: 'on' } })
    layers.documentsRead()
    for (const owner of ['a', 'b']) layers.applyDocument(0, 'flags.json', { flags: { newSearch: { owner } } })
    expect(emitWarning).toHaveBeenCalledTimes(1)
  })
})

describe('an explanation', () => {
  const guild = new Subject({ guildId: '1' })

  it('looks at none but the flags that are required, at any depth, each once', () => {
    const others = Array.from({ length: 1_000 }, (_, i) => [`other${i}`, {}])
    const layers = layersOf({
      ...(Object.fromEntries(others) as object),
      root: { default: true },
      left: { default: true, requires: ['root'] },
      right: { default: true, requires: ['root'] },
      top: { default: true, requires: ['left', 'right'] },
    })
    const asked: string[] = []
    const flags = {
      get: (name: string) => {
        asked.push(name)
        return layers.current.flags.get(name)
      },
    } as unknown as ReadonlyMap<string, CompiledFlag>
    expect(explain(recordOf(layers, 'top'), { ...layers.current, flags }, guild).reason).toBe('default')
    expect(asked).toEqual(['root', 'left', 'right'])
  })

  it('names the flag at the root, below a chain of 20,000', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => [
      `f${i}`,
      { default: i > 0, requires: i === 0 ? [] : [`f${i - 1}`] },
    ])
    const layers = layersOf(Object.fromEntries(chain) as object)
    expect(explain(recordOf(layers, 'f19999'), layers.current, guild)).toMatchObject({
      value: false,
      reason: 'required',
      decidedBy: 'f0',
    })
  })
})
