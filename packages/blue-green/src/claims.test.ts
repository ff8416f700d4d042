import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Claims, type Claim } from './claims.js'

describe('Claims', () => {
  it('agrees with a list of every id and time that was ever seen', async () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c', '__proto__'),
      waitMs: fc.nat(80),
      releases: fc.option(fc.nat(60), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new FakeClock()
        const claims = new Claims(clock, 100, 1_000)
        const taken: Claim[] = []
        /** The claim that holds each id, and since when. */
        const held = new Map<string, { claim: Claim; sinceMs: number }>()
        for (const { id, waitMs, releases } of steps) {
          await clock.advance(waitMs)
          const isFirst = clock.monotonic() >= (held.get(id)?.sinceMs ?? -Infinity) + 100
          const claim = claims.take(id)
          expect(claim !== undefined).toBe(isFirst)
          if (claim !== undefined) {
            taken.push(claim)
            held.set(id, { claim, sinceMs: clock.monotonic() })
          }
          // Any that was ever taken, be it long expired or released before.
          const released = releases === undefined ? undefined : taken.at(-1 - (releases % taken.length))
          if (released === undefined) continue
          claims.release(released)
          if (held.get(released.id)?.claim === released) held.delete(released.id)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('remembers no more than its limit, and forgets the oldest first', () => {
    const claims = new Claims(new FakeClock(), 1_000_000, 3)
    for (const id of ['a', 'b', 'c', 'd']) expect(claims.take(id)).toMatchObject({ id })
    expect(claims.size).toBe(3)
    expect(claims.take('b')).toBeUndefined()
    expect(claims.take('a')).toBeDefined()
  })

  it('keeps no trace of what was released', () => {
    const claims = new Claims(new FakeClock(), 1_000_000, 3)
    claims.take('kept')
    for (let i = 0; i < 10_000; i++) claims.release(claims.take('a') as Claim)
    expect([claims.size, claims.take('kept'), claims.take('a')?.id]).toEqual([1, undefined, 'a'])
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
