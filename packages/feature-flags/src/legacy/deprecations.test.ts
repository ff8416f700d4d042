import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FeatureFlags, type FlagContext } from '../index.js'
import { Deprecations, RemovedError, type Deprecation, type DeprecationsOptions } from '../legacy.js'

const old: Deprecation = { name: 'search.find', reason: 'it is slow', removedIn: '3.0.0', instead: 'search.query' }

function make(options: DeprecationsOptions = {}): Deprecations {
  return new Deprecations({ emitWarnings: false, clock: new FakeClock(1_000), ...options })
}

/** The process warnings of a test. */
function warnings() {
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  onTestFinished(() => spy.mockRestore())
  return spy
}

describe('a wrapped function', () => {
  it('returns what the function returns, by the same `this` and the same arguments', () => {
    const deprecations = make()
    const words = {
      prefix: 'a',
      find: deprecations.wrap(function (this: { prefix: string }, ...rest: string[]) {
        return [this.prefix, ...rest]
      }, old),
    }
    expect(words.find('b', 'c')).toEqual(['a', 'b', 'c'])
  })

  it('throws what the function throws, and is as synchronous as it was', async () => {
    const deprecations = make()
    const error = new Error('no index')
    const throwing = deprecations.wrap(
      () => {
        throw error
      },
      { ...old, name: 'throwing' },
    )
    const promise = Promise.resolve(7)
    const later = deprecations.wrap(() => promise, { ...old, name: 'later' })
    const rejecting = deprecations.wrap(async () => Promise.reject(error), { ...old, name: 'rejecting' })
    expect(throwing).toThrow(error)
    expect(later()).toBe(promise)
    await expect(rejecting()).rejects.toBe(error)
  })

  it('keeps its name, its length and what hangs on it', () => {
    const find = (a: string, b: string): string => a + b
    const wrapped = make().wrap(Object.assign(find, { limit: 7 }), old)
    expect([wrapped.name, wrapped.length, wrapped.limit]).toEqual(['find', 2, 7])
    function Old(this: { word: string }) {
      this.word = 'a'
    }
    Object.assign(Old.prototype as object, {
      shout(this: { word: string }) {
        return this.word.toUpperCase()
      },
    })
    const Wrapped = make().wrap(Old, old) as unknown as new () => { shout(): string }
    expect(new Wrapped().shout()).toBe('A')
  })

  it('counts its uses, and when', async () => {
    const clock = new FakeClock(1_000)
    const deprecations = make({ clock })
    const find = deprecations.wrap(() => 1, old)
    deprecations.wrap(() => 1, { ...old, name: 'unused', instead: undefined })
    find()
    await clock.advance(500)
    find()
    expect(deprecations.report()).toMatchObject([
      { ...old, uses: 2, replaced: 0, firstUsedAt: 1_000, lastUsedAt: 1_500, isOverdue: false },
      { name: 'unused', instead: undefined, uses: 0, firstUsedAt: undefined, lastUsedAt: undefined, callSites: [] },
    ])
  })

  it('tells of each use', () => {
    const deprecations = make()
    const used = vi.fn()
    const onUse = vi.fn()
    deprecations.on('used', used)
    const find = deprecations.wrap(() => 1, { ...old, onUse })
    find()
    find()
    expect(used.mock.calls).toEqual(onUse.mock.calls)
    expect(used.mock.calls[1]).toEqual([
      {
        what: 'search.find',
        uses: 2,
        to: 'old',
        at: 1_000,
        why: 'it is slow',
        severity: 'INFO',
        message: 'The deprecated search.find was called; 2 calls so far',
      },
    ])
  })

  it('is not broken by a listener that throws', () => {
    const emitWarning = warnings()
    const deprecations = make()
    const throwing = (): void => {
      throw new Error('a listener')
    }
    deprecations.on('used', throwing).on('change', throwing)
    const find = deprecations.wrap(() => 1, { ...old, onUse: throwing })
    expect(find()).toBe(1)
    expect(emitWarning).toHaveBeenCalledTimes(3)
    expect(emitWarning.mock.calls[0]?.[1]).toMatchObject({
      code: 'EVENKEEL_LISTENER',
      detail: expect.stringContaining('a listener') as string,
    })
  })

  it('is counted with others of its name, and refuses a name that is taken', () => {
    const deprecations = make()
    deprecations.wrap(() => 1, old)()
    deprecations.wrap(() => 2, { ...old })()
    expect(deprecations.report().map(({ uses }) => uses)).toEqual([2])
    expect(() => deprecations.wrap(() => 3, { ...old, removedIn: '4.0.0' })).toThrow(
      'search.find is deprecated already, and otherwise; give this one a name of its own',
    )
  })

  it('takes hostile names for names', () => {
    const deprecations = make()
    for (const name of ['__proto__', 'constructor']) deprecations.wrap(() => 1, { ...old, name })()
    expect(deprecations.report().map(({ name, uses }) => [name, uses])).toEqual([
      ['__proto__', 1],
      ['constructor', 1],
    ])
  })
})

describe('a calling place', () => {
  it('is warned of once, with a stable code, the place and what to do', () => {
    const emitWarning = warnings()
    const deprecations = make({ emitWarnings: true })
    const change = vi.fn()
    deprecations.on('change', change)
    const find = deprecations.wrap(() => 1, { ...old, reason: 'It is slow.' })
    const firstPlace = (): number => find()
    const secondPlace = (): number => find()
    for (let i = 0; i < 5; i++) firstPlace()
    secondPlace()
    expect(emitWarning).toHaveBeenCalledTimes(2)
    const [message, options] = emitWarning.mock.calls[0] as unknown as [string, object]
    expect(message).toMatch(
      /^search\.find is deprecated: It is slow\. Use search\.query instead\. It will be gone in 3\.0\.0\. Called from firstPlace .*deprecations\.test\.ts:\d+/,
    )
    expect(options).toMatchObject({ type: 'DeprecationWarning', code: 'EVENKEEL_DEPRECATED' })
    expect(change.mock.calls.map(([{ from, to, severity }]) => [from, to, severity] as unknown)).toEqual([
      [0, 1, 'WARNING'],
      [1, 2, 'WARNING'],
    ])
    expect(deprecations.report()[0]?.callSites).toEqual([
      expect.stringContaining('firstPlace'),
      expect.stringContaining('secondPlace'),
    ])
  })

  it('is that of the code that called, where the engine stands between', () => {
    const deprecations = make()
    const find = deprecations.wrap((word: string) => word, old)
    function handler(): void {
      ;['a', 'b'].map(find)
    }
    handler()
    expect(deprecations.report()[0]?.callSites).toEqual([expect.stringContaining('handler')])
  })

  it('is looked for ever more rarely, so that a busy function costs no stack per call', () => {
    const capture = vi.spyOn(Error, 'captureStackTrace')
    onTestFinished(() => capture.mockRestore())
    const find = make({ random: () => 0.5 }).wrap(() => 1, old)
    for (let i = 0; i < 100_000; i++) find()
    expect(capture.mock.calls.length).toBeGreaterThan(100)
    expect(capture.mock.calls.length).toBeLessThan(200)
  })

  it('is kept up to `maxCallSites`, and then no stack is taken any more', () => {
    const deprecations = make({ maxCallSites: 2 })
    const find = deprecations.wrap(() => 1, old)
    const places = [(): number => find(), (): number => find(), (): number => find()]
    for (const call of places) call()
    const capture = vi.spyOn(Error, 'captureStackTrace')
    onTestFinished(() => capture.mockRestore())
    for (let i = 0; i < 1_000; i++) for (const call of places) call()
    expect(capture).not.toHaveBeenCalled()
    const [report] = deprecations.report()
    expect([report?.callSites.length, report?.isCallSitesFull, report?.uses]).toEqual([2, true, 3_003])
  })

  it('is not looked for at all with a `maxCallSites` of 0', () => {
    const emitWarning = warnings()
    const deprecations = make({ maxCallSites: 0, emitWarnings: true })
    deprecations.wrap(() => 1, old)()
    expect(emitWarning).not.toHaveBeenCalled()
    expect(deprecations.report()[0]?.uses).toBe(1)
  })

  it('is one place where stacks cannot be read, and the stack limit stays what it was', () => {
    const before = {
      prepareStackTrace: Reflect.get(Error, 'prepareStackTrace') as unknown,
      stackTraceLimit: Error.stackTraceLimit,
    }
    onTestFinished(() => void Object.assign(Error, before))
    Error.prepareStackTrace = (_, sites) => sites
    Error.stackTraceLimit = 3
    const deprecations = make()
    const find = deprecations.wrap(() => 1, old)
    for (let i = 0; i < 3; i++) find()
    expect(deprecations.report()[0]?.callSites).toEqual(['a place that cannot be read'])
    expect(Error.stackTraceLimit).toBe(3)
  })

  it('is a DeprecationWarning of the process, which Node prints', async () => {
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    make({ emitWarnings: true }).wrap(() => 1, old)()
    const { name, code, message } = await warned
    expect([name, code]).toEqual(['DeprecationWarning', 'EVENKEEL_DEPRECATED'])
    expect(message).toContain('search.find is deprecated')
  })
})

describe('after the version of removal', () => {
  it.each([
    ['2.9.9', false],
    ['3.0.0-beta.1', false],
    ['3.0.0', true],
    ['10.0.0', true],
  ])('in version %s, says that it is overdue: %s', (version, isOverdue) => {
    const deprecations = make({ version })
    const messages: string[] = []
    deprecations.on('change', ({ message }) => messages.push(message))
    expect(deprecations.wrap(() => 1, old)()).toBe(1)
    expect(deprecations.report()[0]?.isOverdue).toBe(isOverdue)
    expect(messages[0]).toContain(isOverdue ? 'It should have been gone since 3.0.0.' : 'It will be gone in 3.0.0.')
  })

  it('throws where told so, counts that, and says what to use', () => {
    const deprecations = make({ version: '3.1.0', afterRemoval: 'throw' })
    const fn = vi.fn()
    const find = deprecations.wrap(fn as () => void, old)
    expect(find).toThrow(RemovedError)
    expect(find).toThrow('search.find was removed in 3.0.0, and this is 3.1.0; use search.query')
    try {
      find()
    } catch (error) {
      expect(error).toMatchObject({ code: 'REMOVED', applied: 'no', retryable: false, deprecated: 'search.find' })
    }
    expect(fn).not.toHaveBeenCalled()
    expect(deprecations.report()[0]).toMatchObject({ uses: 3, isOverdue: true })
    expect(deprecations.report()[0]?.callSites.length).toBeGreaterThan(0)
  })

  it('rejects where the function is async', async () => {
    const deprecations = make({ version: '3.0.0', afterRemoval: 'throw' })
    const find = deprecations.wrap(async () => 1, old)
    await expect(find()).rejects.toThrow(RemovedError)
  })

  it('leaves alone what is not due', () => {
    const deprecations = make({ version: '2.0.0', afterRemoval: 'throw' })
    expect(deprecations.wrap(() => 1, old)()).toBe(1)
  })
})

describe('a switch by a flag', () => {
  const makeFlags = () => new FeatureFlags({ flags: { newSearch: {} }, environment: {} })

  it('lets the replacement serve where the flag is on, by the arguments of the call', async () => {
    const flags = makeFlags()
    const deprecations = make({ flags })
    const find = deprecations.wrap((guildId: string) => `old ${guildId}`, {
      ...old,
      switchTo: { flag: 'newSearch', fn: (guildId) => `new ${guildId}`, context: (guildId) => ({ guildId }) },
    })
    await flags.override('newSearch', { guildId: '7' }, true, { why: 'a test' })
    expect([find('7'), find('8')]).toEqual(['new 7', 'old 8'])
    expect(deprecations.report()[0]).toMatchObject({ uses: 2, replaced: 1 })
    await flags.disable('newSearch', { why: 'a test' })
    expect(find('7')).toBe('old 7')
  })

  it('keeps `this` for the replacement', async () => {
    const flags = makeFlags()
    await flags.setPercentage('newSearch', 100, { why: 'a test' })
    const service = {
      word: 'tea',
      find: make({ flags }).wrap(
        function (this: { word: string }) {
          return `old ${this.word}`
        },
        {
          ...old,
          switchTo: {
            flag: 'newSearch',
            fn(this: { word: string }) {
              return `new ${this.word}`
            },
          },
        },
      ),
    }
    expect(service.find()).toBe('new tea')
  })

  it.each<[string, (id: string) => FlagContext]>([
    [
      'that throws',
      () => {
        throw new Error('no guild here')
      },
    ],
    ['that gives a bad id', () => ({ guildId: 2 ** 53 })],
    ['that gives no context', () => null as never],
  ])('serves the old function where the flag is asked for a context %s, and warns of that once', async (_, context) => {
    const emitWarning = warnings()
    const flags = makeFlags()
    await flags.setPercentage('newSearch', 100, { why: 'a test' })
    const deprecations = make({ flags })
    const find = deprecations.wrap((id: string) => `old ${id}`, {
      ...old,
      switchTo: { flag: 'newSearch', fn: (id) => `new ${id}`, context },
    })
    expect([find('7'), find('8')]).toEqual(['old 7', 'old 8'])
    expect(deprecations.report()[0]).toMatchObject({ uses: 2, replaced: 0 })
    expect(emitWarning).toHaveBeenCalledTimes(1)
    expect(emitWarning.mock.calls[0]).toMatchObject([
      'search.find: whether its replacement serves could not be asked, so the old function does',
      { code: 'EVENKEEL_SWITCH' },
    ])
  })

  it('is refused without flags, without such a flag, and without a function', () => {
    const wrapped = (deprecations: Deprecations, switchTo: object) => () =>
      deprecations.wrap(() => 1, { ...old, switchTo: switchTo as never })
    expect(wrapped(make(), { flag: 'newSearch', fn: () => 2 })).toThrow('needs the `flags` of Deprecations')
    const deprecations = make({ flags: makeFlags() })
    expect(wrapped(deprecations, { flag: 'newSaerch', fn: () => 2 })).toThrow('there is no flag "newSaerch"')
    expect(wrapped(deprecations, { flag: 'newSearch' })).toThrow('switchTo needs a function')
    expect(wrapped(deprecations, { flag: 'newSearch', fn: () => 2, context: {} })).toThrow('must be a function')
    expect(deprecations.report()).toEqual([])
  })
})

describe('an adapter', () => {
  interface OldSearch {
    readonly version: string
    find(word: string): string[]
    count(word: string): number
    loudly(word: string): string[]
    close?(): void
  }
  const query = (text: string): string[] => [text, `${text}s`]

  function adapted(deprecations: Deprecations): OldSearch {
    return deprecations.adapt<OldSearch>({
      name: 'OldSearch',
      reason: 'there is a new service',
      removedIn: '3.0.0',
      methods: {
        find: query,
        count: { fn: (word) => query(word).length, instead: 'service.total' },
        loudly(word) {
          return this.find(word.toUpperCase())
        },
      },
      values: { version: () => '1.0.0' },
    })
  }

  it('serves the old interface by the new service, each use counted', () => {
    const deprecations = make()
    const search = adapted(deprecations)
    expect([search.find('cat'), search.count('cat'), search.version]).toEqual([['cat', 'cats'], 2, '1.0.0'])
    expect(Object.keys(search)).toEqual(['find', 'count', 'loudly', 'version'])
    const report = deprecations.report().map(({ name, uses, instead }) => [name, uses, instead])
    expect(report).toEqual([
      ['OldSearch.find', 1, undefined],
      ['OldSearch.count', 1, 'service.total'],
      ['OldSearch.loudly', 0, undefined],
      ['OldSearch.version', 1, undefined],
    ])
  })

  it('is `this` in its methods', () => {
    expect(adapted(make()).loudly('cat')).toEqual(['CAT', 'CATs'])
  })

  it('can be made again, and is counted as one', () => {
    const deprecations = make()
    for (let i = 0; i < 3; i++) adapted(deprecations).find('a')
    expect(deprecations.report()[0]?.uses).toBe(3)
  })

  it.each<[object, string]>([
    [{ methods: { find: 7 } }, 'OldSearch.find needs a function that serves it'],
    [{ methods: { find: undefined } }, 'OldSearch.find needs a function that serves it'],
    [{ methods: undefined }, 'adapt needs `methods` by name'],
    [{ methods: {}, values: { version: '1' } }, 'OldSearch.version needs a function that serves it'],
    [{ method: {} }, 'A deprecation has no "method"; did you mean "methods"?'],
  ])('refuses %o', (adapter, message) => {
    const common = { name: 'OldSearch', reason: 'it is old', removedIn: '3.0.0' }
    expect(() => make().adapt({ ...common, ...adapter } as never)).toThrow(message)
  })
})

describe('what cannot be', () => {
  it.each<[unknown, string]>([
    [undefined, 'Say what is deprecated and why'],
    [{ ...old, name: '' }, 'A deprecation needs a `name`'],
    [{ ...old, reason: ' ' }, 'A deprecation needs a `reason`'],
    [{ ...old, removedIn: 'soon' }, 'search.find: removedIn must be a whole version such as \'3.0.0\', not "soon"'],
    [{ ...old, removedIn: undefined }, 'removedIn must be a whole version'],
    [{ ...old, instead: 7 }, 'instead must be a string'],
    [{ ...old, onUse: 7 }, 'onUse must be a function'],
    [{ ...old, onUsed: () => {} }, 'A deprecation has no "onUsed"; did you mean "onUse"?'],
  ])('is refused as a deprecation: %o', (deprecation, message) => {
    expect(() => make().wrap(() => 1, deprecation as never)).toThrow(message)
  })

  it('is refused as a function', () => {
    expect(() => make().wrap(7 as never, old)).toThrow('wrap needs a function')
    expect(() => make().wrap(class Old {} as never, old)).toThrow('search.find is a class')
  })

  it.each<[object, string]>([
    [{ version: '3' }, 'version must be a whole version such as \'2.4.1\', not "3"'],
    [{ afterRemoval: 'explode' }, "afterRemoval must be 'warn' or 'throw'"],
    [{ afterRemoval: 'throw' }, "afterRemoval: 'throw' needs the `version` of the program"],
    [{ maxCallSites: -1 }, 'maxCallSites must be a whole number from 0, not -1'],
    [{ emitWarnings: 1 }, 'emitWarnings must be true or false'],
    [{ maxCallSits: 7 }, 'Deprecations has no option "maxCallSits"; did you mean "maxCallSites"?'],
  ])('is refused as an option: %o', (options, message) => {
    expect(() => new Deprecations(options as never)).toThrow(message)
  })
})
