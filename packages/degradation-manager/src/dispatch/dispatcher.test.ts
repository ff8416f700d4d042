import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { DegradationManager } from '../degradation-manager.js'
import { ShedError } from '../errors.js'
import { dispatcher, type DispatcherOptions } from './dispatcher.js'

type Feature = 'remind' | 'translate'

interface Command {
  readonly id: string
  readonly feature: Feature | 'ping'
  readonly guildId?: string | null
  readonly userId?: string
}

let clock: FakeClock
let handled: string[]
let shed: string[]
let modes: DegradationManager<Feature>
let admission: Bulkhead

beforeEach(() => {
  clock = new FakeClock()
  handled = []
  shed = []
  modes = new DegradationManager({
    clock,
    features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
  })
  admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 100, maxWaitMs: 60_000, clock })
})

function aDispatcher(options: Partial<DispatcherOptions<Feature, Command, string>> = {}) {
  return dispatcher<Feature, Command, string>({
    modes,
    admission,
    classify: ({ feature, guildId, userId }) => (feature === 'ping' ? undefined : { feature, guildId, userId }),
    handle: async ({ id }) => {
      handled.push(id)
      await new Promise<void>((resolve) => clock.after(10, resolve))
      return `${id} is done`
    },
    onShed: ({ id }, { retryAfterMs }) => {
      shed.push(id)
      return `${id} may come again in ${retryAfterMs} ms`
    },
    ...options,
  })
}

describe('a dispatcher', () => {
  it('handles what matters first, and gives every guild its turn', async () => {
    const handle = aDispatcher()
    const all: Promise<string>[] = [handle({ id: 'first', feature: 'remind', guildId: 'quiet' })]
    for (let call = 1; call <= 20; call++) {
      all.push(handle({ id: `noisy ${call}`, feature: 'remind', guildId: 'noisy' }))
    }
    all.push(handle({ id: 'words', feature: 'translate', guildId: 'quiet' }))
    all.push(handle({ id: 'quiet', feature: 'remind', guildId: 'quiet' }))
    all.push(handle({ id: 'alone', feature: 'remind', guildId: null, userId: 'someone' }))
    await clock.advance(1_000)
    await Promise.all(all)
    expect(handled.slice(0, 4)).toEqual(['first', 'noisy 1', 'quiet', 'alone'])
    expect(handled.at(-1)).toBe('words')
    expect(handled).toHaveLength(24)
  })

  it('answers politely what is switched off or has no place, and does not handle it', async () => {
    const handle = aDispatcher({ admission: new Bulkhead({ maxConcurrent: 1, clock }) })
    const first = handle({ id: 'first', feature: 'remind' })
    expect(await handle({ id: 'second', feature: 'remind' })).toBe('second may come again in 1000 ms')
    await modes.setMode('DEGRADED', { why: 'a test', forMs: 60_000 })
    expect(await handle({ id: 'third', feature: 'translate' })).toBe('third may come again in 60000 ms')
    await clock.advance(10)
    expect(await first).toBe('first is done')
    expect(handled).toEqual(['first'])
  })

  it('lets the error through where nobody answers politely', async () => {
    const handle = aDispatcher({ onShed: undefined })
    await modes.setMode('DEGRADED', { why: 'a test' })
    await expect(handle({ id: 'first', feature: 'translate' })).rejects.toBeInstanceOf(ShedError)
  })

  it('does not answer for a handler that has begun, whatever it fails with', async () => {
    const inner = new ShedError('another limiter', 'full', 10, '')
    const handle = aDispatcher({ handle: () => Promise.reject(inner) })
    await expect(handle({ id: 'first', feature: 'remind' })).rejects.toBe(inner)
    expect(shed).toEqual([])
    expect(admission.inFlight).toBe(0)
  })

  it('passes on at once what has nothing to do with load', async () => {
    void admission.run(() => new Promise(() => {}))
    const answer = aDispatcher()({ id: 'ping', feature: 'ping' })
    await clock.advance(10)
    expect(await answer).toBe('ping is done')
  })

  it('drops what its signal has ended while it waits', async () => {
    const controller = new AbortController()
    const place = await admission.acquire()
    const handle = aDispatcher({ classify: () => ({ feature: 'remind', signal: controller.signal }) })
    const gone = handle({ id: 'gone', feature: 'remind' })
    controller.abort(new Error('the member left'))
    await expect(gone).rejects.toThrow('the member left')
    place.release()
    expect(handled).toEqual([])
  })

  it('gives every user a turn where there is no guild', async () => {
    const handle = aDispatcher()
    const all = [handle({ id: 'first', feature: 'remind', guildId: null, userId: 'noisy' })]
    for (let call = 1; call <= 3; call++) all.push(handle({ id: `noisy ${call}`, feature: 'remind', userId: 'noisy' }))
    all.push(handle({ id: 'quiet', feature: 'remind', userId: 'quiet' }))
    await clock.advance(100)
    await Promise.all(all)
    expect(handled).toEqual(['first', 'noisy 1', 'quiet', 'noisy 2', 'noisy 3'])
  })

  it('handles a feature that some mode leaves to its fallback', async () => {
    const some = new DegradationManager<Feature>({
      clock,
      features: { remind: {}, translate: { priority: 'high', in: { DEGRADED: 'fallback', MAINTENANCE: 'off' } } },
    })
    const handle = aDispatcher({ modes: some })
    const words = handle({ id: 'words', feature: 'translate' })
    await clock.advance(10)
    expect(await words).toBe('words is done')
    // Its handler has the fallback; how much is handled at once holds for it too, and so does its priority.
    await some.setMode('DEGRADED', { why: 'a test' })
    handled = []
    const all = [
      handle({ id: 'first', feature: 'remind' }),
      handle({ id: 'second', feature: 'translate' }),
      handle({ id: 'third', feature: 'remind' }),
    ]
    expect([admission.inFlight, admission.waiting]).toEqual([1, 2])
    await clock.advance(30)
    await Promise.all(all)
    expect(handled).toEqual(['first', 'second', 'third'])
    await some.setMode('MAINTENANCE', { why: 'a test' })
    expect(await handle({ id: 'last', feature: 'translate' })).toMatch('last may come again')
  })

  it('rejects an event whose feature nobody declared, and what classifying it threw', async () => {
    const handle = aDispatcher({ classify: () => ({ feature: 'remnid' as 'remind' }) })
    await expect(handle({ id: 'first', feature: 'remind' })).rejects.toThrow('There is no feature "remnid"')
    const broken = aDispatcher({
      classify: () => {
        throw new Error('no guild')
      },
    })
    await expect(broken({ id: 'first', feature: 'remind' })).rejects.toThrow('no guild')
  })

  it('refuses options that it cannot honour', () => {
    expect(() => aDispatcher({ handle: 5 as never })).toThrow('A dispatcher needs handle, a function of the event')
    expect(() => aDispatcher({ limit: 5 } as never)).toThrow('A dispatcher cannot have "limit"')
    expect(() => aDispatcher({ admission: undefined as never })).toThrow('needs an admission')
    expect(() => aDispatcher({ admission: { run: () => {} } as never })).toThrow('must be a Bulkhead')
    expect(() => aDispatcher({ modes: undefined as never })).toThrow('needs modes')
    expect(() => aDispatcher({ timeoutMs: Number.NaN })).toThrow('timeoutMs')
    expect(() => aDispatcher({ onShed: 'sorry' as never })).toThrow('onShed must be a function')
  })
})
