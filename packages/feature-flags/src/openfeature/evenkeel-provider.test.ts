import { OpenFeature, ProviderEvents, type EvaluationContext, type Hook, type JsonValue } from '@openfeature/server-sdk'
import { EventEmitter } from 'eventemitter3'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FeatureFlags, type FlagContext } from '../index.js'
import { EvenkeelProvider, type FlagAnswer, type FlagAudience, type ProvidedChange } from '../openfeature.js'

const guildId = '81384788765712384' // stands at 8.67 of 100 for "newSearch"
const userId = '53908099506183680' // stands at 30.64 for "newSearch"
const why = 'a test'

afterEach(async () => {
  await OpenFeature.clearProviders()
  OpenFeature.clearHandlers()
  OpenFeature.clearHooks()
})

/** Flags by shape, with whatever answers, starts and news a test needs. */
class FakeFlags extends EventEmitter<{ change: [ProvidedChange] }> {
  readonly names = ['limit', 'layout', 'list', 'word', 'onOff']
  readonly asked: FlagAudience[] = []
  feed: 'none' | 'live' | 'stale' = 'none'
  starts = 0
  stops = 0
  answers: Record<string, FlagAnswer> = {
    limit: { value: 25, reason: 'default' },
    layout: { value: { columns: 2 }, variant: 'wide', reason: 'split' },
    list: { value: ['a', 'b'], reason: 'environment' },
    word: { value: 'plain', reason: 'default' },
    onOff: { value: true, reason: 'percentage', decidedBy: 'onOff' },
  }
  has(name: string): boolean {
    return Object.hasOwn(this.answers, name)
  }
  explain(name: string, audience: FlagAudience): FlagAnswer {
    this.asked.push(audience)
    return this.answers[name] as FlagAnswer
  }
  become(feed: 'live' | 'stale'): void {
    this.feed = feed
    this.emit('change', { what: '*', aspect: 'feed', to: feed, message: `The store is ${feed}` })
  }
  async start(): Promise<void> {
    this.starts++
  }
  async stop(): Promise<void> {
    this.stops++
  }
}

function makeFlags() {
  return new FeatureFlags({
    flags: {
      search: { default: true },
      newSearch: { percentage: 9, requires: ['search'], salt: 'newSearch' },
      byUser: { percentage: 31, by: 'user', salt: 'newSearch' },
      theme: { default: 'plain', variants: ['plain', 'cards'], weights: { plain: 50, cards: 50 } },
      limit: { default: 10, variants: [10, 50], rules: [{ when: { plan: 'pro' }, value: 50 }] },
      layout: { default: 'narrow', variants: { narrow: { columns: 1 }, wide: { columns: 2 } }, weights: { wide: 50 } },
    },
    environment: {},
  })
}

async function clientOf(provider: EvenkeelProvider, domain = 'bot') {
  await OpenFeature.setProviderAndWait(domain, provider)
  return OpenFeature.getClient(domain)
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('an evaluation through the SDK', () => {
  it('answers with what the flags say, the variant, the reason and who decided', async () => {
    const flags = makeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    expect(await client.getBooleanDetails('newSearch', false, { guildId })).toEqual({
      flagKey: 'newSearch',
      value: true,
      variant: 'on',
      reason: 'SPLIT',
      flagMetadata: { reason: 'percentage', decidedBy: 'newSearch' },
    })
    await flags.disable('search', { why })
    expect(await client.getBooleanDetails('newSearch', true, { guildId })).toMatchObject({
      value: false,
      variant: 'off',
      reason: 'TARGETING_MATCH',
      flagMetadata: { reason: 'required', decidedBy: 'search' },
    })
    expect(await client.getStringValue('theme', 'none', { guildId })).toBe(flags.variant('theme', { guildId }))
  })

  it.each<[string, 'String' | 'Number' | 'Object' | 'Boolean', JsonValue, object]>([
    ['word', 'String', '', { value: 'plain', variant: 'plain', reason: 'DEFAULT' }],
    ['limit', 'Number', 0, { value: 25, variant: '25', reason: 'DEFAULT' }],
    ['layout', 'Object', {}, { value: { columns: 2 }, variant: 'wide', reason: 'SPLIT' }],
    ['list', 'Object', [], { value: ['a', 'b'], variant: '["a","b"]', reason: 'STATIC' }],
    ['onOff', 'Boolean', false, { value: true, variant: 'on', reason: 'SPLIT' }],
  ])('reads %s as a %s', async (name, type, defaultValue, details) => {
    const client = await clientOf(new EvenkeelProvider({ flags: new FakeFlags() }))
    const read = client[`get${type}Details`].bind(client) as (name: string, value: JsonValue) => Promise<object>
    expect(await read(name, defaultValue)).toMatchObject(details)
  })

  it.each([
    ['all-off', 'DISABLED'],
    ['disabled', 'DISABLED'],
    ['fallen-back', 'DISABLED'],
    ['required', 'TARGETING_MATCH'],
    ['environment', 'STATIC'],
    ['user-override', 'TARGETING_MATCH'],
    ['guild-override', 'TARGETING_MATCH'],
    ['target-guild', 'TARGETING_MATCH'],
    ['rule', 'TARGETING_MATCH'],
    ['percentage', 'SPLIT'],
    ['split', 'SPLIT'],
    ['default', 'DEFAULT'],
    ['a reason of another library', 'UNKNOWN'],
  ])('calls %s %s', async (reason, standard) => {
    const flags = new FakeFlags()
    flags.answers['onOff'] = { value: true, reason }
    const client = await clientOf(new EvenkeelProvider({ flags }))
    const details = await client.getBooleanDetails('onOff', false)
    expect(details).toMatchObject({ reason: standard, flagMetadata: { reason, decidedBy: 'onOff' } })
  })

  it('takes the cheaper way to an answer where there is one', async () => {
    const flags = Object.assign(new FakeFlags(), { evaluate: () => ({ value: false, reason: 'disabled' }) })
    const client = await clientOf(new EvenkeelProvider({ flags }))
    expect(await client.getBooleanDetails('onOff', true)).toMatchObject({ value: false, reason: 'DISABLED' })
    expect(flags.asked).toEqual([])
  })

  it('says what the flags explain, for any flag and any context', async () => {
    const flags = makeFlags()
    await flags.override('theme', { userId: '7' }, 'cards', { why })
    await flags.override('newSearch', { guildId: '8' }, true, { why })
    const client = await clientOf(new EvenkeelProvider({ flags }))
    const id = fc.option(fc.oneof(fc.stringMatching(/^[1-9]\d{0,18}$/), fc.integer({ min: 0 })), { nil: undefined })
    const plan = fc.constantFrom('pro', 'free')
    const context = fc.record({ guildId: id, userId: id, plan }, { requiredKeys: [] })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...flags.names), context, async (name, { plan, ...ids }) => {
        const { guildId, userId } = ids
        const asked = { ...ids, ...(plan === undefined ? {} : { plan }) } as EvaluationContext
        const { value, variant, reason, decidedBy } = flags.explain(name, { guildId, userId, attributes: { plan } })
        const details = await {
          boolean: () => client.getBooleanDetails(name, value === false, asked),
          string: () => client.getStringDetails(name, 'none', asked),
          number: () => client.getNumberDetails(name, 0, asked),
          object: () => client.getObjectDetails(name, {}, asked),
        }[typeof value as 'boolean' | 'string' | 'number' | 'object']()
        expect(details).toMatchObject({ value, variant, flagMetadata: { reason, decidedBy } })
        expect(details.errorCode).toBeUndefined()
      }),
    )
  })
})

describe('an evaluation context', () => {
  it('names the user by its targeting key', async () => {
    const flags = makeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    expect(await client.getBooleanValue('byUser', false, { targetingKey: userId })).toBe(true)
    expect(await client.getBooleanValue('newSearch', true, { targetingKey: userId })).toBe(false)
  })

  it('names the guild by its targeting key where told so', async () => {
    const flags = makeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags, targetingKey: 'guild' }))
    expect(await client.getBooleanValue('newSearch', false, { targetingKey: guildId })).toBe(true)
    expect(await client.getBooleanValue('byUser', true, { targetingKey: userId })).toBe(false)
  })

  it('goes by its own ids before the targeting key, and brings all it holds as attributes', async () => {
    const flags = new FakeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    const context = { targetingKey: '1', guildId: '2', userId: '3', plan: 'pro', since: new Date(0) }
    await client.getBooleanValue('onOff', false, context)
    expect(flags.asked).toEqual([{ guildId: '2', userId: '3', attributes: context }])
  })

  it('goes by its own guild before a targeting key that is one', async () => {
    const flags = new FakeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags, targetingKey: 'guild' }))
    await client.getBooleanValue('onOff', false, { targetingKey: '1', guildId: '2' })
    expect(flags.asked).toMatchObject([{ guildId: '2', userId: undefined }])
  })

  it('is made of those of the SDK, the client and the hooks', async () => {
    const flags = new FakeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    const addPlan: Hook = { before: () => ({ plan: 'pro' }) }
    client.setContext({ guildId: '2' }).addHooks(addPlan)
    await client.getBooleanValue('onOff', false, { targetingKey: '1' })
    const [audience] = flags.asked
    expect(audience).toMatchObject({ guildId: '2', userId: '1', attributes: { plan: 'pro' } })
  })

  it.each<[string, EvaluationContext]>([
    ['an empty id', { guildId: '' }],
    ['an empty targeting key', { targetingKey: '' }],
    ['a number that has lost digits', { guildId: 81384788765712384 }],
    ['an object', { userId: { id: '7' } }],
  ])('is refused with %s', async (_, context) => {
    const client = await clientOf(new EvenkeelProvider({ flags: makeFlags() }))
    for (const defaultValue of [true, false]) {
      const details = await client.getBooleanDetails('search', defaultValue, context)
      expect(details).toMatchObject({ value: defaultValue, reason: 'ERROR', errorCode: 'INVALID_CONTEXT' })
      expect(details.errorMessage).toMatch(/guildId|userId/)
    }
  })
})

describe('without an answer', () => {
  it.each(['serch', '__proto__', 'constructor', ''])('gives the default for the unknown flag %j', async (name) => {
    const client = await clientOf(new EvenkeelProvider({ flags: makeFlags() }))
    expect(await client.getBooleanDetails(name, true)).toMatchObject({
      value: true,
      reason: 'ERROR',
      errorCode: 'FLAG_NOT_FOUND',
      errorMessage: `There is no flag ${JSON.stringify(name)}`,
    })
  })

  it('gives the default for a flag that has just gone', async () => {
    const flags = new FakeFlags()
    flags.explain = () => {
      throw Object.assign(new TypeError('There is no flag "onOff"'), { code: 'UNKNOWN_FLAG' })
    }
    const client = await clientOf(new EvenkeelProvider({ flags }))
    expect(await client.getBooleanDetails('onOff', true)).toMatchObject({ value: true, errorCode: 'FLAG_NOT_FOUND' })
  })

  it('gives the default where the flag answers with another type', async () => {
    const client = await clientOf(new EvenkeelProvider({ flags: makeFlags() }))
    const all = [
      await client.getStringDetails('search', 'none'),
      await client.getNumberDetails('search', 7),
      await client.getObjectDetails('theme', { a: 1 }),
      await client.getBooleanDetails('theme', true),
    ]
    expect(all.map(({ value }) => value)).toEqual(['none', 7, { a: 1 }, true])
    expect(new Set(all.map(({ errorCode }) => errorCode))).toEqual(new Set(['TYPE_MISMATCH']))
    expect(all[0]?.errorMessage).toBe('Flag "search" answers with a boolean, not a string')
  })

  it('never throws, whatever it is asked and whatever the flags do', async () => {
    const unreadable: unknown = new Proxy(
      {},
      {
        get: () => {
          throw new Error('do not look')
        },
      },
    )
    const flags = new FakeFlags()
    const provider = new EvenkeelProvider({ flags })
    for (const context of [undefined, null, 7, unreadable]) {
      const { value, errorCode } = await provider.resolveBooleanEvaluation('onOff', false, context as never)
      expect([value, errorCode]).toEqual(
        context === 7 ? [true, undefined] : [false, context === unreadable ? 'GENERAL' : 'INVALID_CONTEXT'],
      )
    }
    for (const thrown of [new Error('no table'), unreadable, undefined, Symbol('a')]) {
      flags.explain = () => {
        throw thrown
      }
      const details = await provider.resolveBooleanEvaluation('onOff', true, {})
      expect(details).toMatchObject({ value: true, errorCode: 'GENERAL' })
    }
    for (const name of [undefined, null, 7n, Symbol('a'), {}]) {
      const { value, reason } = await provider.resolveBooleanEvaluation(name as never, true, {})
      expect([value, reason]).toEqual([true, 'ERROR'])
    }
  })
})

describe('events', () => {
  it('tells the flags that changed together, once', async () => {
    const flags = makeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    const heard = vi.fn()
    client.addHandler(ProviderEvents.ConfigurationChanged, heard)
    await Promise.all([flags.setPercentage('byUser', 50, { why }), flags.disable('search', { why })])
    await nextTurn()
    expect(heard).toHaveBeenCalledTimes(1)
    expect(heard.mock.calls[0]?.[0]).toMatchObject({ providerName: 'evenkeel', domain: 'bot' })
    const [details] = heard.mock.calls[0] as [{ flagsChanged: string[] }]
    expect(details.flagsChanged.sort()).toEqual(['byUser', 'newSearch', 'search'])
    await flags.disableAll({ why })
    await nextTurn()
    expect(heard.mock.calls[1]?.[0]).toMatchObject({ flagsChanged: flags.names, message: 'All flags are off: a test' })
  })

  it('is stale while the store is out of reach, says so in every answer, and is ready again', async () => {
    const flags = new FakeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    const stale = vi.fn()
    const ready = vi.fn()
    client.addHandler(ProviderEvents.Stale, stale)
    client.addHandler(ProviderEvents.Ready, ready)
    ready.mockClear() // It is ready already, and told so.
    flags.become('stale')
    expect(client.providerStatus).toBe('STALE')
    const details = await client.getBooleanDetails('onOff', false)
    expect(details).toMatchObject({ value: true, reason: 'STALE', flagMetadata: { reason: 'percentage' } })
    flags.become('live')
    expect(client.providerStatus).toBe('READY')
    expect((await client.getBooleanDetails('onOff', false)).reason).toBe('SPLIT')
    expect(stale.mock.calls).toMatchObject([[{ message: 'The store is stale', domain: 'bot' }]])
    expect(ready).toHaveBeenCalledTimes(1)
  })

  it('is stale from the beginning when the flags are, though the SDK takes what has started for ready', async () => {
    const flags = new FakeFlags()
    flags.start = async () => flags.become('stale')
    const client = await clientOf(new EvenkeelProvider({ flags }))
    await nextTurn()
    expect(client.providerStatus).toBe('STALE')
  })

  it('tells a handler as often as it was added, and no more when it is removed', () => {
    const { events } = new EvenkeelProvider({ flags: new FakeFlags() })
    const heard = vi.fn()
    events.addHandler(ProviderEvents.Stale, heard)
    events.addHandler(ProviderEvents.Stale, heard)
    events.emit(ProviderEvents.Stale)
    events.removeHandler(ProviderEvents.Stale, heard)
    events.removeHandler(ProviderEvents.Stale, vi.fn())
    events.emit(ProviderEvents.Stale)
    expect([heard.mock.calls.length, events.getHandlers(ProviderEvents.Stale)]).toEqual([3, [heard]])
    events.removeAllHandlers(ProviderEvents.Stale)
    events.addHandler(ProviderEvents.Ready, heard)
    events.removeAllHandlers()
    events.emit(ProviderEvents.Stale)
    events.emit(ProviderEvents.Ready)
    expect(heard).toHaveBeenCalledTimes(3)
  })

  it('lets a handler that fails stop no other', async () => {
    const flags = new FakeFlags()
    const provider = new EvenkeelProvider({ flags })
    await clientOf(provider)
    const logger = { error: vi.fn(), warn: vi.fn(), info: vi.fn(), debug: vi.fn() }
    const last = vi.fn()
    provider.events.setLogger(logger)
    provider.events.addHandler(ProviderEvents.Stale, () => {
      throw new Error('first')
    })
    provider.events.addHandler(ProviderEvents.Stale, () => Promise.reject(new Error('second')))
    provider.events.addHandler(ProviderEvents.Stale, last)
    flags.become('stale')
    await nextTurn()
    expect(last).toHaveBeenCalledTimes(1)
    expect(logger.error).toHaveBeenCalledTimes(2)
  })
})

describe('a life', () => {
  it('starts and stops the flags with the provider, and follows them no longer', async () => {
    const flags = new FakeFlags()
    const client = await clientOf(new EvenkeelProvider({ flags }))
    expect([flags.starts, flags.stops, flags.listenerCount('change')]).toEqual([1, 0, 1])
    flags.emit('change', { what: 'onOff', aspect: 'state', to: 'disabled', message: 'told to nobody' })
    await OpenFeature.close()
    await OpenFeature.close()
    expect([flags.starts, flags.stops, flags.listenerCount('change')]).toEqual([1, 1, 0])
    expect(await client.getBooleanValue('onOff', false)).toBe(true)
  })

  it('lives on while any domain uses it, and begins anew when it is set again', async () => {
    const flags = new FakeFlags()
    const provider = new EvenkeelProvider({ flags })
    const other = new EvenkeelProvider({ flags: new FakeFlags() })
    await clientOf(provider, 'a')
    await clientOf(provider, 'b')
    await clientOf(other, 'a')
    expect([flags.starts, flags.stops]).toEqual([1, 0])
    await clientOf(other, 'b')
    expect([flags.starts, flags.stops]).toEqual([1, 1])
    const client = await clientOf(provider, 'a')
    flags.become('stale')
    expect([flags.starts, client.providerStatus, flags.listenerCount('change')]).toEqual([2, 'STALE', 1])
  })

  it('keeps domains apart', async () => {
    const one = await clientOf(new EvenkeelProvider({ flags: makeFlags() }), 'one')
    const other = await clientOf(new EvenkeelProvider({ flags: new FakeFlags() }), 'other')
    expect(await one.getBooleanValue('search', false)).toBe(true)
    expect((await other.getBooleanDetails('search', false)).errorCode).toBe('FLAG_NOT_FOUND')
  })

  it('leaves flags alone that something else starts', async () => {
    const flags = new FakeFlags()
    await clientOf(new EvenkeelProvider({ flags, managed: false }))
    await OpenFeature.close()
    expect([flags.starts, flags.stops]).toEqual([0, 0])
  })

  it('answers though the start failed, and is ready when the feed comes alive', async () => {
    const flags = new FakeFlags()
    flags.start = () => Promise.reject(new Error('the store is down'))
    await expect(clientOf(new EvenkeelProvider({ flags }))).rejects.toThrow('the store is down')
    const client = OpenFeature.getClient('bot')
    expect([client.providerStatus, await client.getBooleanValue('onOff', false)]).toEqual(['ERROR', true])
    flags.become('live')
    expect(client.providerStatus).toBe('READY')
  })

  it('follows the flags once, however often it is begun', async () => {
    const flags = new FakeFlags()
    const provider = new EvenkeelProvider({ flags })
    await provider.initialize()
    await provider.initialize()
    expect(flags.listenerCount('change')).toBe(1)
  })

  it('says nothing of what changed just before it was closed', async () => {
    const flags = new FakeFlags()
    const provider = new EvenkeelProvider({ flags })
    const heard = vi.fn()
    provider.events.addHandler(ProviderEvents.ConfigurationChanged, heard)
    await provider.initialize()
    flags.emit('change', { what: 'onOff', aspect: 'state', to: 'disabled', message: 'a change' })
    await provider.onClose()
    await nextTurn()
    expect(heard).not.toHaveBeenCalled()
  })

  it('says nothing more when it was closed while it started', async () => {
    const flags = new FakeFlags()
    let finish = (): void => {}
    flags.start = () => new Promise((resolve) => (finish = resolve))
    const provider = new EvenkeelProvider({ flags })
    const heard = vi.fn()
    provider.events.addHandler(ProviderEvents.Stale, heard)
    const starting = provider.initialize()
    flags.become('stale')
    await provider.onClose()
    finish()
    await starting
    await nextTurn()
    expect(heard).not.toHaveBeenCalled()
  })
})

describe('hooks and tracking', () => {
  it('runs the hooks of the SDK around its answers', async () => {
    const client = await clientOf(new EvenkeelProvider({ flags: makeFlags() }))
    const hook = { before: vi.fn(), after: vi.fn(), error: vi.fn(), finally: vi.fn() }
    OpenFeature.addHooks(hook)
    await client.getBooleanValue('search', false)
    await client.getBooleanValue('serch', false)
    const calls = [hook.before, hook.after, hook.error, hook.finally].map(({ mock }) => mock.calls.length)
    expect(calls).toEqual([2, 1, 1, 2])
    expect(hook.after.mock.calls[0]?.[1]).toMatchObject({ reason: 'DEFAULT', variant: 'on' })
  })

  it('hands on what is tracked, with whose it was', async () => {
    const onTrack = vi.fn()
    const client = await clientOf(new EvenkeelProvider({ flags: makeFlags(), onTrack }))
    client.track('rated', { targetingKey: '7', guildId: '8' }, { value: 5 })
    expect(onTrack).toHaveBeenCalledWith({
      name: 'rated',
      audience: { guildId: '8', userId: '7', attributes: { targetingKey: '7', guildId: '8' } },
      details: { value: 5 },
    })
  })

  it('lets tracking be where nobody wants to know', async () => {
    const client = await clientOf(new EvenkeelProvider({ flags: makeFlags() }))
    expect(() => client.track('rated', {}, { value: 5 })).not.toThrow()
  })
})

describe('the constructor', () => {
  it.each<[unknown, string]>([
    [undefined, 'EvenkeelProvider needs options: { flags }'],
    [{}, 'EvenkeelProvider needs `flags`'],
    [{ flags: new Map() }, 'EvenkeelProvider needs `flags`'],
    [{ flags: makeFlags(), targetingKey: 'team' }, "targetingKey must be 'user' or 'guild', not \"team\""],
    [{ flags: makeFlags(), managed: 'no' }, 'managed must be true or false'],
    [{ flags: makeFlags(), onTrack: true }, 'onTrack must be a function'],
    [{ flags: makeFlags(), targettingKey: 'user' }, 'no option "targettingKey"; did you mean "targetingKey"?'],
  ])('refuses %o', (options, message) => {
    expect(() => new EvenkeelProvider(options as never)).toThrow(message)
  })
})

it('takes an evaluation context of any kind for one of ours', () => {
  const context: FlagContext = { guildId: '1', attributes: {} }
  expect(context satisfies FlagAudience).toBe(context)
})
