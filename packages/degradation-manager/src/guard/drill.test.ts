import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, vi } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { withSignal } from '../with-signal.js'
import { guard } from './stand-alone.js'

const fails = async (_text: string): Promise<string> => {
  throw new Error('the service is away')
}

describe('a fallback that does something', () => {
  it('is not run by a drill: its own drill is, with the same this and arguments', async () => {
    const told: unknown[] = []
    const announce = guard('announce', fails, {
      fallback: {
        name: 'the other bot',
        serve: async (text) => `announced ${text}`,
        async drill(...args) {
          told.push(this, ...args)
        },
      },
    })
    const bot = { announce }
    const report = await bot.announce.drill.call(bot, 'a thing')
    expect(report).toMatchObject({ works: true, steps: [{ name: 'the other bot', works: true }] })
    expect(told).toEqual([bot, 'a thing'])
    expect(await announce('a thing')).toBe('announced a thing')
  })

  it('does not work when its drill rejects, or is not done in time; a signal ends it then', async () => {
    const clock = new FakeClock()
    const refused = new Error('the other bot has no token')
    const signals: AbortSignal[] = []
    const serve = async (text: string): Promise<string> => text
    const announce = guard('announce', fails, {
      clock,
      timeoutMs: 2_000,
      fallback: [
        { serve, drill: () => Promise.reject(refused) },
        {
          serve,
          timeoutMs: 500,
          drill: withSignal((signal: AbortSignal) => {
            signals.push(signal)
            return new Promise(() => {})
          }),
        },
      ],
    })
    const drilled = announce.drill('a thing')
    await clock.advance(500)
    const { works, steps } = await drilled
    expect(works).toBe(false)
    expect(steps.map(({ error }) => error)).toMatchObject([refused, { code: 'TIMEOUT' }])
    expect(signals[0]?.aborted).toBe(true)
  })

  it('is drilled within its own bounds', async () => {
    const admission = new Bulkhead({ name: 'the other bot', maxConcurrent: 1, maxWaiting: 0 })
    const inside: number[] = []
    const announce = guard('announce', fails, {
      fallback: { serve: async (text) => text, admission, drill: () => inside.push(admission.inFlight) },
    })
    await announce.drill('a thing')
    expect([inside, admission.inFlight]).toEqual([[1], 0])
  })

  it('refuses a drill that is no function', () => {
    const drill = 'yes' as unknown as () => void
    expect(() => guard('announce', fails, { fallback: { serve: async (text) => text, drill } })).toThrow(
      'drill of the fallback of "announce" must be a function',
    )
  })
})

describe('a guard without a manager', () => {
  it('tells when a drill on schedule has found that a fallback would not work, once', async () => {
    const clock = new FakeClock()
    const told = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const call = guard('call', () => 'well', {
      clock,
      drillEveryMs: 1_000,
      fallback: () => Promise.reject(new Error('the other bot is away')),
    })
    for (let second = 0; second < 5; second++) {
      await clock.advance(1_000)
      await call()
    }
    await clock.advance(0)
    expect(told.mock.calls.map(([words]) => String(words))).toEqual([expect.stringContaining('the other bot is away')])
    told.mockRestore()
  })

  it('without a fallback has none that works', async () => {
    expect(await guard('call', () => 'well').drill()).toEqual({ works: false, steps: [] })
  })

  it.each([10_000, Infinity])('drills after a long silence once, with a deadline of %i ms', async (timeoutMs) => {
    const clock = new FakeClock()
    const fallback = vi.fn(() => 'kept')
    const call = guard('call', () => 'well', { clock, timeoutMs, drillEveryMs: 1_000, fallback })
    await clock.advance(60_000)
    for (let turn = 0; turn < 5; turn++) await call()
    await clock.advance(0)
    expect(fallback).toHaveBeenCalledTimes(1)
  })
})
