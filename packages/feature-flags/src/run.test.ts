import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, vi } from 'vitest'
import { FeatureFlags, type FlagChange, type FlagFailure, type RanCall } from './index.js'

const context = { guildId: '81384788765712384' }
const why = 'a test'
const boom = (): never => {
  throw new Error('boom')
}

function setUp() {
  const clock = new FakeClock()
  const flags = new FeatureFlags({
    flags: {
      core: { default: true },
      newSearch: { default: true, requires: ['core'] },
      premium: { default: true, requires: ['newSearch'] },
      rare: { percentage: 10, salt: 'newSearch' },
    },
    failureThreshold: 3,
    environment: {},
    clock,
  })
  const changes: FlagChange[] = []
  const failures: FlagFailure[] = []
  flags.on('change', (change) => changes.push(change))
  flags.on('failed', (failure) => failures.push(failure))
  const search = (on: () => unknown = boom): Promise<unknown> => flags.run('newSearch', context, on, () => 'old')
  const fallBack = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) await search()
    changes.length = 0
    failures.length = 0
  }
  return { clock, flags, changes, failures, search, fallBack }
}

describe('run', () => {
  it('takes the new path where the flag is on, the old one where it is off', async () => {
    const { flags, search } = setUp()
    await expect(search(() => 'new')).resolves.toBe('new')
    void flags.disable('newSearch', { why })
    await expect(search(() => 'new')).resolves.toBe('old')
  })

  it('times both paths alike, so that what else the event loop has in hand is no evidence against one of them', async () => {
    let nowMs = 0
    const clock = { now: () => nowMs, monotonic: () => nowMs, after: () => () => undefined }
    const flags = new FeatureFlags({ flags: { isOn: { default: true }, isOff: {} }, environment: {}, clock })
    const took: Record<string, number> = {}
    flags.on('ran', ({ flag, tookMs }) => (took[flag] = tookMs))
    const path = async (): Promise<void> => undefined
    const calls = ['isOn', 'isOff'].map((flag) => flags.run(flag as 'isOn', {}, path, path))
    nowMs = 5
    await Promise.all(calls)
    expect(took).toEqual({ isOn: 5, isOff: 5 })
  })

  it.each([
    ['throws', boom],
    ['rejects', () => Promise.reject(new Error('boom'))],
    [
      'throws what is no error',
      () => {
        throw null as unknown as Error
      },
    ],
  ])('lets the old path serve a call whose new path %s, and tells of it', async (_, on) => {
    const { failures, search, changes } = setUp()
    await expect(search(on)).resolves.toBe('old')
    expect(failures).toHaveLength(1)
    expect(failures[0]).toMatchObject({ what: 'newSearch', from: 'on', to: 'off', severity: 'WARNING' })
    expect(changes).toEqual([])
  })

  it('gives the caller the error where the new path may have taken effect, unless doing it twice does no harm', async () => {
    const { flags, failures } = setUp()
    const error = Object.assign(new Error('timed out'), { applied: 'unknown' })
    const on = (): Promise<string> => Promise.reject(error)
    const off = (): string => 'old'
    await expect(flags.run('newSearch', context, on, off)).rejects.toBe(error)
    await expect(flags.run('newSearch', context, on, off, { idempotent: true })).resolves.toBe('old')
    expect(failures.map(({ to, error: thrown }) => [to, thrown])).toEqual([
      ['error', error],
      ['off', error],
    ])
    expect(failures[0]?.message).toBe(
      'The new path of "newSearch" failed, and the caller gets the error, since the new path may have taken effect: timed out',
    )
  })

  it('takes an error for no fault of the user when `isUserError` throws, and warns of that once', async () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const isUserError = (): boolean => {
      throw new Error('no such property')
    }
    const flags = new FeatureFlags({ flags: { a: { default: true }, b: {} }, environment: {}, isUserError })
    const failures: RanCall[] = []
    flags.on('ran', (call) => failures.push(call))
    for (let i = 0; i < 2; i++) await expect(flags.run('a', {}, boom, () => 'old')).resolves.toBe('old')
    await expect(flags.run('b', {}, () => 'new', boom)).rejects.toThrow('boom')
    expect(failures.map(({ path, isFailure }) => [path, isFailure])).toEqual([
      ['on', true],
      ['on', true],
      ['off', true],
    ])
    expect(emitWarning).toHaveBeenCalledTimes(1)
    expect(emitWarning.mock.calls[0]?.[1]).toMatchObject({ code: 'EVENKEEL_USER_ERROR' })
    emitWarning.mockRestore()
  })

  it('rejects as the old path does when that fails too', async () => {
    const { flags } = setUp()
    const worse = new Error('worse')
    await expect(flags.run('newSearch', context, boom, () => Promise.reject(worse))).rejects.toBe(worse)
  })

  it('rejects at once where a path is missing, and counts no failure', async () => {
    const { flags, failures } = setUp()
    const message = 'run("newSearch") needs two functions'
    await expect(flags.run('newSearch', context, undefined as never, () => 1)).rejects.toThrow(message)
    await expect(flags.run('newSearch', context, () => 1, undefined as never)).rejects.toThrow(message)
    expect(failures).toEqual([])
  })

  it('rejects at an unknown flag without running anything', async () => {
    const { flags } = setUp()
    let runs = 0
    const path = (): number => runs++
    await expect(flags.run('nwSearch' as 'newSearch', context, path, path)).rejects.toThrow('did you mean "newSearch"?')
    expect(runs).toBe(0)
  })
})

describe('a flag whose new path keeps failing', () => {
  it('falls back with all that requires it, and leaves alone what it requires itself', async () => {
    const { flags, changes, search } = setUp()
    for (let i = 0; i < 3; i++) await search()
    expect(flags.names.map((name) => flags.isEnabled(name, context))).toEqual([true, false, false, true])
    expect(changes.map(({ what, from, to }) => [what, from, to])).toEqual([
      ['premium', 'active', 'blocked'],
      ['newSearch', 'active', 'fallen-back'],
    ])
    expect(changes[1]?.message).toBe(
      '"newSearch" has fallen back to the old path: 3 of 3 calls failed in 60 s, the last with: boom',
    )
    expect(flags.explain('premium', context)).toMatchObject({ reason: 'required', decidedBy: 'newSearch' })
    expect(flags.status('newSearch')).toMatchObject({ state: 'fallen-back', retryAt: Date.UTC(2026, 0, 1) + 30_000 })
  })

  it('falls back once, however many calls fail together', async () => {
    const { changes, failures, search } = setUp()
    await Promise.all(Array.from({ length: 1_000 }, () => search(() => Promise.reject(new Error('boom')))))
    expect(failures).toHaveLength(1_000)
    expect(changes.filter(({ what }) => what === 'newSearch')).toHaveLength(1)
  })

  it('is tried by one call after the delay, and recovers if that succeeds, dependents after it', async () => {
    const { clock, flags, changes, search, fallBack } = setUp()
    await fallBack()
    await clock.advance(29_999)
    await expect(search(() => 'new')).resolves.toBe('old')
    await clock.advance(1)
    let succeed: (value: string) => void = () => {}
    const trial = search(() => new Promise((resolve) => (succeed = resolve)))
    await expect(search(() => 'new')).resolves.toBe('old')
    expect(flags.isEnabled('newSearch', context)).toBe(false)
    succeed('new')
    await expect(trial).resolves.toBe('new')
    expect(flags.isEnabled('premium', context)).toBe(true)
    expect(changes.map(({ what, to, message }) => [what, to, message])).toEqual([
      ['newSearch', 'active', '"newSearch" is back: a trial of the new path succeeded'],
      [
        'premium',
        'active',
        '"premium" is back, because "newSearch", which it requires, is back: a trial of the new path succeeded',
      ],
    ])
    expect(flags.status('newSearch').retryAt).toBeUndefined()
  })

  it('waits twice as long after each trial that fails, serving that call by the old path', async () => {
    const { clock, flags, changes, failures, search, fallBack } = setUp()
    await fallBack()
    for (const delayMs of [30_000, 60_000, 120_000]) {
      await clock.advance(delayMs - 1)
      await search()
      await clock.advance(1)
      await expect(search()).resolves.toBe('old')
    }
    expect(failures.map(({ message }) => message)).toEqual(
      Array(3).fill('The new path of "newSearch" failed its trial, and the old path serves the call: boom'),
    )
    expect(changes).toEqual([])
    expect(flags.status('newSearch').retryAt).toBe(clock.now() + 240_000)
  })

  it('is tried again although a trial never settles', async () => {
    const { clock, flags, search, fallBack } = setUp()
    await fallBack()
    await clock.advance(30_000)
    void search(() => new Promise(() => {}))
    await clock.advance(60_000)
    await search(() => 'new')
    expect(flags.isEnabled('newSearch', context)).toBe(true)
  })

  it('is tried only for those who would have it, and not while it is off for other reasons', async () => {
    const { clock, flags, search, fallBack } = setUp()
    for (let i = 0; i < 3; i++) await flags.run('rare', context, boom, () => 'old')
    await fallBack()
    await clock.advance(30_000)
    const others = { guildId: '1' } // stands at 22.56 of 100
    await expect(
      flags.run(
        'rare',
        others,
        () => 'new',
        () => 'old',
      ),
    ).resolves.toBe('old')
    await expect(
      flags.run(
        'rare',
        context,
        () => 'new',
        () => 'old',
      ),
    ).resolves.toBe('new')
    void flags.disable('core', { why })
    await expect(search(() => 'new')).resolves.toBe('old')
    void flags.enable('core', { why })
    void flags.disable('newSearch', { why })
    await expect(search(() => 'new')).resolves.toBe('old')
    void flags.disableAll({ why })
    await expect(
      flags.run(
        'rare',
        context,
        () => 'new',
        () => 'old',
      ),
    ).resolves.toBe('old')
  })

  it('is tried in a scope as well, whose other answers stay', async () => {
    const { clock, flags, fallBack } = setUp()
    await fallBack()
    await clock.advance(30_000)
    const scope = flags.for(context)
    await expect(
      scope.run(
        'newSearch',
        () => 'new',
        () => 'old',
      ),
    ).resolves.toBe('new')
    expect(scope.isEnabled('newSearch')).toBe(false)
    expect(flags.isEnabled('newSearch', context)).toBe(true)
  })

  it.each(['before', 'after'])(
    'is not tried in a scope where it is off for another reason %s the scope',
    async (when) => {
      const { clock, flags, fallBack } = setUp()
      await fallBack()
      await clock.advance(30_000)
      if (when === 'before') void flags.setPercentage('newSearch', 0, { why })
      const scope = flags.for(context)
      void flags.setPercentage('newSearch', when === 'before' ? 100 : 0, { why })
      const on = vi.fn()
      await scope.run('newSearch', on, () => 'old')
      expect(on).not.toHaveBeenCalled()
    },
  )

  it('serves every call although the listeners of what happens throw', async () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const { clock, flags, search } = setUp()
    const broken = (): never => {
      throw new Error('listener')
    }
    flags.on('failed', broken).on('change', broken)
    for (let i = 0; i < 3; i++) await expect(search()).resolves.toBe('old')
    expect(flags.status('newSearch').state).toBe('fallen-back')
    await clock.advance(30_000)
    await expect(search(() => 'new')).resolves.toBe('new')
    expect(flags.status('newSearch').state).toBe('active')
    expect(emitWarning).toHaveBeenCalledTimes(3 + 2 + 2)
    emitWarning.mockRestore()
  })

  it('is given back by hand, with its failures forgotten', async () => {
    const { flags, changes, search, fallBack } = setUp()
    await fallBack()
    void flags.enable('newSearch', { why: 'fixed', by: 'alice' })
    expect(flags.status('newSearch')).toMatchObject({ state: 'active', retryAt: undefined })
    await search()
    await search()
    expect(flags.isEnabled('premium', context)).toBe(true)
    expect(changes.map(({ message }) => message)).toEqual([
      '"newSearch" is back by alice: fixed',
      '"premium" is back, because "newSearch", which it requires, is back by alice: fixed',
    ])
    await search()
    expect(flags.status('newSearch').state).toBe('fallen-back')
  })

  it('keeps its delays when the wall clock is set', async () => {
    const { clock, flags, search, fallBack } = setUp()
    await fallBack()
    clock.jump(86_400_000)
    await expect(search(() => 'new')).resolves.toBe('old')
    clock.jump(-2 * 86_400_000)
    await clock.advance(30_000)
    await expect(search(() => 'new')).resolves.toBe('new')
    expect(flags.isEnabled('newSearch', context)).toBe(true)
  })

  it('leaves no timer behind', async () => {
    const { clock, fallBack } = setUp()
    await fallBack()
    expect(clock.pending).toBe(0)
  })
})
