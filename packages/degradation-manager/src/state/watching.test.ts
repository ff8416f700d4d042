import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { DegradationManager, type StateStore } from '../index.js'
import { StandInStore } from '../test-support/stand-in-store.js'

let clock: FakeClock
let store: StandInStore

beforeEach(() => {
  clock = new FakeClock()
  store = new StandInStore()
})

const started = async (watch: NonNullable<StateStore['watch']>) => {
  const modes = new DegradationManager({ clock, store: Object.assign(store, { watch }), features: { remind: {} } })
  await modes.start()
  return modes
}

describe('a store that tells of changes', () => {
  it('is listened to again after a stop and a start', async () => {
    const listeners = new Set<() => void>()
    const modes = await started(async function* ({ signal }) {
      while (!signal.aborted) {
        yield 'notice'
        await new Promise<void>((resolve) => {
          listeners.add(resolve)
          signal.addEventListener('abort', () => resolve())
        })
      }
    })
    await modes.stop()
    await modes.start()
    await new DegradationManager({ clock, store: store.inner, scope: 'process', features: { remind: {} } }).setMode(
      'DEGRADED',
      { why: 'elsewhere' },
    )
    listeners.forEach((wake) => wake())
    await clock.advance(0)
    expect(modes.mode).toBe('DEGRADED')
    await modes.stop()
    expect(clock.pending).toBe(0)
  })

  const silent: NonNullable<StateStore['watch']> = async function* ({ signal }) {
    yield 'reset'
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  }
  const elsewhere = () =>
    new DegradationManager({ clock, store: store.inner, scope: 'process', features: { remind: {} } })

  it('is asked every five seconds all the same, because a notice may be lost', async () => {
    const modes = await started(silent)
    await clock.advance(10_000)
    await elsewhere().setMode('DEGRADED', { why: 'elsewhere' })
    await clock.advance(5_000)
    expect(modes.mode).toBe('DEGRADED')
  })

  it('and after a start no longer does is asked twice a second', async () => {
    let isSilent = false
    const modes = await started(async function* (options) {
      if (isSilent) await new Promise<void>((resolve) => options.signal.addEventListener('abort', () => resolve()))
      else yield* silent(options)
    })
    await clock.advance(1_000)
    await modes.stop()
    isSilent = true
    await modes.start()
    await elsewhere().setMode('DEGRADED', { why: 'elsewhere' })
    await clock.advance(500)
    expect(modes.mode).toBe('DEGRADED')
  })

  it('is asked once for many notices at a time, and not at all after a stop', async () => {
    const modes = await started(async function* (options) {
      for (let notice = 0; notice < 100; notice++) yield notice
      yield* silent(options)
    })
    await clock.advance(0)
    expect(store.calls).toBeLessThan(30)
    store.fault = 'hung'
    await clock.advance(5_000) // One look hangs, and
    await clock.advance(5_000) // the next one is planned.
    await modes.stop()
    const { calls } = store
    await clock.advance(60_000)
    expect([store.calls, clock.pending]).toEqual([calls, 0])
  })

  it('is not listened to when it was stopped before it had started', async () => {
    store.fault = 'hung'
    const telling = Object.assign(store, { watch: silent })
    const modes = new DegradationManager({ clock, store: telling, features: { remind: {} } })
    const starting = modes.start()
    await modes.stop()
    await clock.advance(2_000)
    await starting
    expect(clock.pending).toBe(0)
  })

  it.each(['throws', 'fails', 'ends'])(
    'and whose telling %s at once is listened to again with each look',
    async (how) => {
      let begun = 0
      const fail = (): AsyncIterable<unknown> => ({
        [Symbol.asyncIterator]: () => ({
          // Should it be asked without a pause, the test would never end.
          next: () => {
            if (begun > 100) return new Promise<IteratorResult<unknown>>(() => undefined)
            if (how === 'fails') return Promise.reject(new Error('read ECONNRESET'))
            return Promise.resolve({ done: true, value: undefined })
          },
        }),
      })
      const modes = await started(() => {
        begun += 1
        if (how === 'throws' && begun <= 100) throw new Error('the pool is closed')
        return fail()
      })
      await clock.advance(10_000)
      expect(begun).toBeGreaterThan(5)
      expect(begun).toBeLessThanOrEqual(21)
      await new DegradationManager({ clock, store: store.inner, scope: 'process', features: { remind: {} } }).setMode(
        'DEGRADED',
        { why: 'elsewhere' },
      )
      await clock.advance(1_000)
      expect(modes.mode).toBe('DEGRADED')
      await modes.stop()
      expect(clock.pending).toBe(0)
    },
  )
})
