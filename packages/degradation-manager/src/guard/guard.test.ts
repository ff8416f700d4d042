import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  DegradationManager,
  FallbackError,
  ShedError,
  TimeoutError,
  withSignal,
  type FallbackServed,
} from '../index.js'

let clock: FakeClock
let modes: DegradationManager<'remind' | 'translate' | 'report'>
const unhandled = vi.fn()

const translated = async (text: string): Promise<string> => `translated ${text}`
const fails = async (_text: string): Promise<string> => {
  throw new Error('ECONNREFUSED')
}
const neverAnswers = (_text: string): Promise<string> => new Promise(() => {})
const turnTranslateOff = (): Promise<void> => modes.setMode('DEGRADED', { why: 'a test', forMs: 60_000 })

beforeEach(() => {
  clock = new FakeClock()
  modes = new DegradationManager({
    clock,
    features: {
      remind: { priority: 'critical' },
      translate: { priority: 'optional' },
      report: { in: { DEGRADED: 'fallback' } },
    },
  })
  unhandled.mockClear()
  process.on('unhandledRejection', unhandled)
})

afterEach(async () => {
  await clock.advance(0)
  vi.restoreAllMocks()
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})

describe('a guarded function', () => {
  it('answers as the function does, and leaves no timer behind', async () => {
    const translate = modes.guard('translate', translated, { timeoutMs: 2_000, fallback: (text) => text })
    expect(await translate('tea')).toBe('translated tea')
    expect(await translate.outcome('tea')).toEqual({ value: 'translated tea', degraded: false, why: undefined })
    await clock.advance(2_000)
    expect(clock.pending).toBe(0)
  })

  it('passes on this, to the call and to the fallback', async () => {
    class Api {
      readonly base = 'https://example.org'
      readonly get = modes.guard(
        'translate',
        async function (this: Api, path: string) {
          if (path === 'broken') throw new Error('500')
          return this.base + path
        },
        {
          fallback(path) {
            return `${this.base} has no ${path}`
          },
        },
      )
    }
    const api = new Api()
    expect(await api.get('/a')).toBe('https://example.org/a')
    expect(await api.get('broken')).toBe('https://example.org has no broken')
    expect((await api.get.outcome.call(api, '/b')).value).toBe('https://example.org/b')
  })

  it.each([undefined, null, false, 0, ''])('passes on %s as an answer', async (answer) => {
    expect(await modes.guard('remind', async () => answer, { fallback: () => undefined })()).toBe(answer)
  })

  it('calls the function in the same turn, as an unguarded call would', () => {
    const fn = vi.fn(translated)
    void modes.guard('translate', fn)('tea')
    expect(fn).toHaveBeenCalledOnce()
  })

  it('turns a synchronous throw into a rejection', async () => {
    const broken = modes.guard('translate', (): string => {
      throw new Error('out of ink')
    })
    await expect(broken()).rejects.toThrow('out of ink')
  })

  it('takes a synchronous function and any thenable', async () => {
    expect(await modes.guard('translate', (n: number) => n + 1)(1)).toBe(2)
    const thenable = { then: (resolve: (value: number) => void) => resolve(3) } as PromiseLike<number>
    expect(await modes.guard('translate', () => thenable)()).toBe(3)
    await clock.advance(10_000)
    expect(clock.pending).toBe(0)
  })
})

describe('while the feature is off', () => {
  it('rejects without a call, and says when to come back', async () => {
    const fn = vi.fn(translated)
    const translate = modes.guard('translate', fn)
    await turnTranslateOff()
    await clock.advance(20_000)
    const error = await translate('tea').catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ShedError)
    expect(error).toMatchObject({
      code: 'SHED',
      retryable: true,
      applied: 'no',
      feature: 'translate',
      retryAfterMs: 40_000,
    })
    expect((error as ShedError).message).toContain(
      '"translate" (optional) is off in DEGRADED mode: set by hand: a test',
    )
    expect((error as ShedError).stack?.split('\n')).toHaveLength(1)
    expect(Error.stackTraceLimit).toBeGreaterThan(0)
    expect(fn).not.toHaveBeenCalled()
  })

  it('promises no return when the mode was set by hand without an end', async () => {
    await modes.setMode('DEGRADED', { why: 'a test' })
    await expect(modes.run('translate', () => 1)).rejects.toMatchObject({ retryAfterMs: undefined })
  })

  it('is served by the fallback, with the reason', async () => {
    const translate = modes.guard('translate', fails, { fallback: (text) => text })
    await turnTranslateOff()
    expect(await translate.outcome('tea')).toEqual({
      value: 'tea',
      degraded: true,
      why: '"translate" (optional) is off in DEGRADED mode: set by hand: a test',
    })
  })

  it('is served by the fallback where the feature asks for that', async () => {
    const report = modes.guard('report', async () => 'long', { fallback: () => 'short' })
    expect(await report()).toBe('long')
    await turnTranslateOff()
    expect(await report()).toBe('short')
  })

  it('refuses a guard without the fallback that its feature will want, before it is needed', async () => {
    expect(() => modes.guard('report', translated)).toThrow(/"report" is served by its fallback in DEGRADED mode/)
    await expect(modes.run('report', () => 1)).rejects.toThrow(TypeError)
  })
})

describe('a failed call', () => {
  it('is answered by the fallback, which may be asynchronous', async () => {
    const translate = modes.guard('translate', fails, { fallback: async (text) => `(${text})` })
    expect(await translate.outcome('tea')).toEqual({
      value: '(tea)',
      degraded: true,
      why: 'the call failed: ECONNREFUSED',
    })
  })

  it('rejects with its own error when there is no fallback', async () => {
    const error = new Error('its own')
    await expect(modes.run('translate', () => Promise.reject(error))).rejects.toBe(error)
  })

  it.each([
    ['nothing known of it', {}, 'fallback'],
    ['not applied', { applied: 'no' }, 'fallback'],
    ['perhaps applied', { applied: 'unknown' }, 'rejected'],
    ['perhaps applied, further down', { cause: { applied: 'unknown' } }, 'rejected'],
    ['a deadline of its own', { name: 'TimeoutError' }, 'rejected'],
    ['a lost connection', { cause: { code: 'ECONNRESET' } }, 'rejected'],
    ['a refused connection', { cause: { code: 'ECONNREFUSED' } }, 'fallback'],
  ])('%s: %j -> %s', async (_name, facts, expected) => {
    const call = (): Promise<string> => Promise.reject(Object.assign(new Error('rejected'), facts))
    expect(await modes.run('remind', call, { fallback: () => 'fallback' }).catch((error: Error) => error.message)).toBe(
      expected,
    )
    expect(await modes.run('remind', call, { fallback: () => 'fallback', idempotent: true })).toBe('fallback')
  })

  it.each([
    undefined,
    null,
    'a string',
    Object.create(null),
    Object.assign(new Error('x'), { message: Object.create(null) as string }),
  ] as Error[])('may reject with %o', async (thrown) => {
    const call = (): Promise<string> => Promise.reject(thrown)
    expect(await modes.run('remind', call, { fallback: () => 'fallback' })).toBe('fallback')
  })

  it('reaches the caller untouched when it is the user’s own mistake', async () => {
    const mistake = Object.assign(new Error('no such language'), { status: 400 })
    const fallback = vi.fn(() => 'fallback')
    const isUserError = (error: unknown): boolean => (error as { status?: number }).status === 400
    await expect(modes.run<string>('translate', () => Promise.reject(mistake), { fallback, isUserError })).rejects.toBe(
      mistake,
    )
    expect(fallback).not.toHaveBeenCalled()
    expect(await modes.run('translate', () => fails('tea'), { fallback, isUserError })).toBe('fallback')
  })

  it('reaches the caller untouched from the fallback too', async () => {
    const mistake = new Error('no such language')
    const call = modes.run('translate', () => fails(''), {
      fallback: () => Promise.reject(mistake),
      isUserError: (error) => error === mistake,
    })
    await expect(call).rejects.toBe(mistake)
  })

  it('is taken for no user error when the predicate throws, which is told as a warning', async () => {
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const isUserError = (): boolean => {
      throw new Error('bug')
    }
    expect(await modes.run('translate', () => fails(''), { fallback: () => 'fallback', isUserError })).toBe('fallback')
    expect(await warned).toMatchObject({ code: 'EVENKEEL_LISTENER', message: expect.stringContaining('bug') as string })
  })

  it('and a failed fallback reject together', async () => {
    const failure = new Error('first')
    const cause = new Error('second')
    const call = modes.run('translate', () => Promise.reject(failure), { fallback: () => Promise.reject(cause) })
    const error = await call.catch((error: unknown) => error)
    expect(error).toBeInstanceOf(FallbackError)
    expect(error).toMatchObject({ code: 'FALLBACK_FAILED', applied: 'no', failure, cause, feature: 'translate' })
    expect((error as Error).message).toBe(
      'The fallback of "translate" failed: second. It was asked because the call failed: first',
    )
  })
})

describe('the deadline', () => {
  it('rejects, and no other path serves, because the call may have taken effect', async () => {
    const fallback = vi.fn((text: string) => text)
    const call = modes.guard('translate', neverAnswers, { timeoutMs: 2_000, fallback })('tea')
    const outcome = expect(call).rejects.toThrow(TimeoutError)
    await clock.advance(1_999)
    expect(clock.pending).toBe(1)
    await clock.advance(1)
    await outcome
    await expect(call).rejects.toMatchObject({
      code: 'TIMEOUT',
      applied: 'unknown',
      retryable: false,
      timeoutMs: 2_000,
    })
    expect(fallback).not.toHaveBeenCalled()
    expect(clock.pending).toBe(0)
  })

  it('lets the fallback serve what is declared idempotent', async () => {
    const options = { timeoutMs: 2_000, idempotent: true, fallback: (text: string) => text }
    const call = modes.guard('translate', neverAnswers, options).outcome('tea')
    await clock.advance(2_000)
    expect(await call).toMatchObject({ value: 'tea', degraded: true })
  })

  it('is 10 s unless given, and none when infinite', async () => {
    const call = expect(modes.guard('translate', neverAnswers)('tea')).rejects.toMatchObject({ timeoutMs: 10_000 })
    void modes.guard('translate', neverAnswers, { timeoutMs: Infinity })('tea')
    expect(clock.pending).toBe(1)
    await clock.advance(10_000)
    await call
  })

  it('bounds the fallback too', async () => {
    const call = modes.run('translate', () => fails(''), { timeoutMs: 500, fallback: () => neverAnswers('') })
    const outcome = expect(call).rejects.toMatchObject({
      code: 'FALLBACK_FAILED',
      applied: 'unknown',
      cause: {
        code: 'TIMEOUT',
        message: expect.stringContaining('The fallback of "translate" was not done') as string,
      },
    })
    await clock.advance(500)
    await outcome
  })

  it('leaves open what happened although the fallback failed for sure', async () => {
    const call = modes.run('translate', () => neverAnswers(''), {
      timeoutMs: 500,
      idempotent: true,
      fallback: () => fails(''),
    })
    const outcome = expect(call).rejects.toMatchObject({ code: 'FALLBACK_FAILED', applied: 'unknown' })
    await clock.advance(500)
    await outcome
  })

  it.each(['resolves', 'rejects'])('drops a call that %s too late', async (how) => {
    const call = modes.run(
      'remind',
      () =>
        new Promise((resolve, reject) =>
          clock.after(3_000, () => (how === 'resolves' ? resolve('late') : reject(new Error('late')))),
        ),
      { timeoutMs: 1_000 },
    )
    const outcome = expect(call).rejects.toThrow(TimeoutError)
    await clock.advance(10_000)
    await outcome
  })

  it('of the inner and the outer guard is the shorter one', async () => {
    const inner = modes.guard('translate', neverAnswers, { timeoutMs: 5_000 })
    const impatient = modes.guard('remind', inner, { timeoutMs: 1_000 })
    const patient = modes.guard('remind', inner, { timeoutMs: 9_000 })
    const outcomes = Promise.all([
      expect(impatient('tea')).rejects.toMatchObject({ feature: 'remind', timeoutMs: 1_000 }),
      expect(patient('tea')).rejects.toMatchObject({ feature: 'translate', timeoutMs: 5_000 }),
    ])
    await clock.advance(9_000)
    await outcomes
    expect(clock.pending).toBe(0)
  })

  it('does not move with the wall clock', async () => {
    const call = expect(modes.guard('translate', neverAnswers, { timeoutMs: 1_000 })('tea')).rejects.toThrow(
      TimeoutError,
    )
    clock.jump(-3_600_000)
    await clock.advance(999)
    expect(clock.pending).toBe(1)
    await clock.advance(1)
    await call
  })

  it.each([0, -1, NaN, 2 ** 31])('cannot be %s', (timeoutMs) => {
    expect(() => modes.guard('translate', translated, { timeoutMs })).toThrow(RangeError)
  })
})

describe('withSignal', () => {
  it('passes a signal before the arguments, and aborts it with the reason at the deadline', async () => {
    let reason: unknown
    const listens = withSignal((signal: AbortSignal, text: string): Promise<string> => {
      signal.addEventListener('abort', () => {
        reason = signal.reason
      })
      return neverAnswers(text)
    })
    const call = modes.guard('translate', listens, { timeoutMs: 1_000 })('tea')
    const outcome = call.catch((error: unknown) => error)
    await clock.advance(1_000)
    expect(await outcome).toBeInstanceOf(TimeoutError)
    expect(reason).toBe(await outcome)
  })

  it('leaves alone what has answered in time', async () => {
    let seen: AbortSignal | undefined
    const listens = withSignal(async (signal: AbortSignal) => void (seen = signal))
    await modes.guard('translate', listens, { timeoutMs: 1_000 })()
    await clock.advance(5_000)
    expect(seen?.aborted).toBe(false)
  })

  it('makes no AbortController for functions that do not ask for one', async () => {
    const made = vi.spyOn(globalThis, 'AbortController')
    await modes.guard('translate', translated, { timeoutMs: 1_000 })('tea')
    expect(made).not.toHaveBeenCalled()
    const listens = withSignal(async () => 'tea')
    await modes.guard('translate', listens, { timeoutMs: 1_000 })()
    expect(made).toHaveBeenCalledOnce()
  })

  it('works without a guard, with optional arguments left out, and keeps this', async () => {
    const source = {
      lang: 'en',
      say: withSignal(async function (this: { lang: string }, signal: AbortSignal, text: string, lang?: string) {
        return `${text} ${lang ?? this.lang} ${signal.aborted}`
      }),
    }
    expect(await source.say('tea')).toBe('tea en false')
    expect(await modes.guard('translate', source.say).call(source, 'tea')).toBe('tea en false')
    expect(await modes.guard('translate', source.say).call(source, 'tea', 'de')).toBe('tea de false')
  })

  it('is honoured by run as well', async () => {
    const listens = withSignal(async (signal: AbortSignal) => signal.aborted)
    expect(await modes.run('translate', listens)).toBe(false)
  })

  it('is refused for what is no function', () => {
    expect(() => withSignal(undefined as never)).toThrow('withSignal marks a function, not undefined')
  })

  it('is understood on a fallback, and by another copy of the package', async () => {
    const fallback = withSignal((signal: AbortSignal, text: string) => `${text} ${signal.aborted}`)
    expect(await modes.guard('translate', fails, { fallback })('tea')).toBe('tea false')
    const elsewhere = Object.assign(() => 'unguarded', {
      [Symbol.for('evenkeel.withSignal')]: (signal: AbortSignal) => `guarded ${signal.aborted}`,
    })
    expect(await modes.guard('translate', elsewhere)()).toBe('guarded false')
  })
})

describe('the fallback event', () => {
  it('tells each time that a fallback answered, and what the call had failed with', async () => {
    const served: FallbackServed[] = []
    modes.on('fallback', (event) => served.push(event))
    const translate = modes.guard('translate', fails, { fallback: (text) => text })
    await translate('tea')
    await turnTranslateOff()
    await translate('tea')
    expect(served).toMatchObject([
      {
        what: 'translate',
        severity: 'WARNING',
        at: clock.now(),
        why: 'the call failed: ECONNREFUSED',
        message: 'The fallback of "translate" answered: the call failed: ECONNREFUSED.',
        error: { message: 'ECONNREFUSED' },
      },
      { what: 'translate', severity: 'INFO', error: undefined },
    ])
  })

  it('does not break the answer when a listener throws', async () => {
    const warned = new Promise((resolve) => process.once('warning', resolve))
    modes.on('fallback', () => {
      throw new Error('listener')
    })
    expect(await modes.guard('translate', fails, { fallback: (text) => text })('tea')).toBe('tea')
    expect(await warned).toMatchObject({ code: 'EVENKEEL_LISTENER' })
  })
})
