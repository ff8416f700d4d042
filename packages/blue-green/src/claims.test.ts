import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Claims } from './claims.js'

describe('Claims', () => {
  it('agrees with a list of every id and time that was ever seen', async () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c', '__proto__'),
      waitMs: fc.nat(80),
      isReleased: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new FakeClock()
        const claims = new Claims(clock, 100, 1_000)
        const takenMs = new Map<string, number>()
        for (const { id, waitMs, isReleased } of steps) {
          await clock.advance(waitMs)
          const isFirst = clock.monotonic() >= (takenMs.get(id) ?? -Infinity) + 100
          if (isFirst) takenMs.set(id, clock.monotonic())
          expect(claims.take(id)).toBe(isFirst)
          if (!isReleased) continue
          claims.release(id)
          takenMs.delete(id)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('remembers no more than its limit, and forgets the oldest first', () => {
    const claims = new Claims(new FakeClock(), 1_000_000, 3)
    for (const id of ['a', 'b', 'c', 'd']) expect(claims.take(id)).toBe(true)
    expect(claims.size).toBe(3)
    expect(claims.take('b')).toBe(false)
    expect(claims.take('a')).toBe(true)
  })

  it('keeps no trace of what was released', () => {
    const claims = new Claims(new FakeClock(), 1_000_000, 3)
    claims.take('kept')
    for (let i = 0; i < 10_000; i++) {
      claims.take('a')
      claims.release('a')
    }
    claims.release('never taken')
    expect([claims.size, claims.take('kept'), claims.take('a')]).toEqual([1, false, true])
  })

  it('frees what has expired', async () => {
    const clock = new FakeClock()
    const claims = new Claims(clock, 1_000, 10_000)
    for (let i = 0; i < 5_000; i++) claims.take(String(i))
    await clock.advance(1_000)
    claims.take('new')
    expect(claims.size).toBe(1)
  })
})
