import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chanceOf, findCatastrophe, GuildLedger, isCatastrophe } from './failing-guilds.js'

describe('the catastrophe rule', () => {
  it.each([
    // failing and seen on green, failing and seen on blue
    [2, 2, 0, 100, false, 'two guilds are not enough'],
    [3, 3, 0, 100, true, 'three are'],
    [3, 1_000, 0, 100_000, true, 'however many are well'],
    [3, 100, 1, 100, false, 'exactly three times the share of blue is not beyond it'],
    [4, 100, 1, 100, true, 'more than three times is'],
    [9, 10, 30, 100, false, 'an incident hits both'],
    [10, 10, 34, 100, false, 'blue fails so much that nothing can be three times worse'],
    [3, 100, 0, 0, true, 'at 100 % blue has nothing to compare with'],
    [3, 100, 5, 5, false, 'blue is quite dead'],
  ])('%d of %d on green against %d of %d on blue gives %s: %s', (here, seenHere, there, seenThere, verdict) => {
    const green = { failing: here, seen: seenHere }
    expect(isCatastrophe(green, { failing: there, seen: seenThere }, 2)).toBe(verdict)
  })

  it('never fires where green does no worse than blue', () => {
    const census = fc
      .tuple(fc.nat(1_000), fc.nat(1_000))
      .map(([a, b]) => ({ failing: Math.min(a, b), seen: Math.max(a, b) }))
    fc.assert(
      fc.property(census, census, (green, blue) => {
        const isWorse = green.failing * Math.max(1, blue.seen) > blue.failing * green.seen
        return isWorse || !isCatastrophe(green, blue, 2)
      }),
    )
  })
})

describe('the chance of a split', () => {
  it.each([
    // failing and working on green, failing and working on blue
    [3, 0, 0, 3, 1 / 20],
    [5, 0, 0, 5, 1 / 252],
    [3, 0, 0, 9, 1 / 220],
    [1, 1, 1, 1, 5 / 6],
    [0, 7, 3, 7, 1],
    [3, 0, 0, 0, 1],
    [0, 0, 0, 0, 1],
  ])('that %d fail and %d work on green beside %d and %d on blue is %d', (failing, working, there, well, chance) => {
    expect(chanceOf({ failing, working }, { failing: there, working: well })).toBeCloseTo(chance, 3)
  })

  it('adds up to one, of however many guilds', () => {
    for (const all of [10, 1_000, 20_000]) {
      const [failing, onGreen] = [all / 5, all / 2]
      const some = { failing: failing / 2 + 1, working: onGreen - failing / 2 - 1 }
      const rest = { failing: failing - some.failing, working: all - onGreen - (failing - some.failing) }
      const other = { failing: rest.failing + 1, working: rest.working - 1 }
      const less = { failing: some.failing - 1, working: some.working + 1 }
      // Half of the guilds are on each side, so at least so many here is at most so many less there.
      expect(chanceOf(some, rest) + chanceOf(other, less)).toBeCloseTo(1, 2)
    }
  })
})

describe('what blue says of the failures of green', () => {
  /** Three guilds that have just begun to fail on green, of which each call takes a second. */
  async function failing(before: (blue: GuildLedger) => void, meanwhile: (blue: GuildLedger, second: number) => void) {
    const clock = new FakeClock()
    const [green, blue] = [new GuildLedger(clock, 3), new GuildLedger(clock, 3)]
    before(blue)
    for (let second = 0; second < 9; second++) {
      await clock.advance(1_000)
      green.failed('abc'[second % 3] ?? '', false)
      meanwhile(blue, second)
    }
    return {
      clock,
      found: (isBlueServing = true) => findCatastrophe(green, blue, 2, isBlueServing, -Infinity),
      blue,
      green,
    }
  }
  const many = (blue: GuildLedger): void => {
    for (let i = 0; i < 100; i++) blue.succeeded(String(i))
  }
  const nothing = (): void => undefined

  it('is nothing where it worked before, and has not been called since', async () => {
    const { found, blue } = await failing(many, nothing)
    expect(found()).toBeUndefined()
    many(blue)
    expect(found()).toBe('WORSE')
  })

  it('is that it fails, too, from the first call on', async () => {
    const { found } = await failing(many, (blue, second) => blue.failed(String(second), false))
    expect(found()).toBeUndefined()
  })

  it('is that green is worse where it works', async () => {
    const { found } = await failing(nothing, (blue, second) => blue.succeeded(String(second)))
    expect(found()).toBe('WORSE')
  })

  it('is nothing where it has no traffic any more, whatever it was before', async () => {
    const { found, green } = await failing(many, many)
    expect(found(false)).toBe('ALONE')
    for (let i = 0; i < 4; i++) green.succeeded(String(i))
    // Now more work than fail; of so few that is no more than chance would have it.
    expect(found(false)).toBe('ALONE')
    for (let i = 0; i < 90; i++) green.succeeded(String(i))
    expect(found(false)).toBeUndefined()
  })
})

describe('guilds that fail on green, where blue serves nobody', () => {
  /** All of a hundred guilds were well on blue, and so they are on green, until three begin to fail within seconds. */
  async function three(wellSinceMs: (failedAtMs: number) => number) {
    const clock = new FakeClock()
    const [green, blue] = [new GuildLedger(clock, 3), new GuildLedger(clock, 3)]
    for (const ledger of [blue, green]) for (let i = 0; i < 100; i++) ledger.succeeded(String(i))
    await clock.advance(60_000)
    for (let call = 0; call < 9; call++) green.failed('abc'[call % 3] ?? '', false)
    const failedAtMs = clock.monotonic()
    await clock.advance(1_000)
    for (let i = 0; i < 6; i++) green.succeeded(String(i))
    return { green, found: () => findCatastrophe(green, blue, 2, false, wellSinceMs(failedAtMs)) }
  }

  it('are not compared with those alone that called since, for chance puts three failures together now and then', async () => {
    const { found, green } = await three(() => -Infinity)
    expect(found()).toBeUndefined()
    for (const id of 'defghij') for (let call = 0; call < 3; call++) green.failed(id, false)
    expect(found()).toBe('ALONE')
  })

  it('do not count when they began to in an outage that health saw', async () => {
    const { found, green } = await three((failedAtMs) => failedAtMs + 500)
    for (const id of 'abc') green.failed(id, false)
    for (const id of 'abc') for (let call = 0; call < 20; call++) green.failed(`${id}${call}`, false)
    expect(found()).toBeUndefined()
    for (const id of 'defghijklmno') for (let call = 0; call < 3; call++) green.failed(id, false)
    expect(found()).toBe('ALONE')
  })
})

describe('GuildLedger', () => {
  it('agrees with a plain recount, whatever happens', async () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', '__proto__'),
      what: fc.constantFrom('failed', 'failed', 'failed', 'excused', 'succeeded'),
      waitMs: fc.constantFrom(0, 0, 0, 1_000_000),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const clock = new FakeClock()
        const ledger = new GuildLedger(clock, 2)
        const model = new Map<string, { inRow: number; excused: boolean; seenMs: number }>()
        for (const { id, what, waitMs } of steps) {
          await clock.advance(waitMs)
          for (const [key, { seenMs }] of model) if (seenMs <= clock.monotonic() - 3_600_000) model.delete(key)
          const guild = model.get(id) ?? { inRow: 0, excused: what === 'excused', seenMs: 0 }
          model.set(id, guild)
          guild.seenMs = clock.monotonic()
          if (what === 'succeeded') ledger.succeeded(id)
          else ledger.failed(id, what === 'excused')
          if (what === 'succeeded') Object.assign(guild, { inRow: 0, excused: false })
          else guild.inRow += 1
          const failing = [...model.values()].filter(({ inRow, excused }) => inRow >= 2 && !excused)
          expect(ledger.census()).toEqual({ seen: model.size, failing: failing.length })
          expect(ledger.isFailing(id)).toBe(guild.inRow >= 2)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('remembers 10,000 guilds and no more', () => {
    const ledger = new GuildLedger(new FakeClock(), 1)
    for (let i = 0; i < 12_000; i++) ledger.failed(String(i), false)
    expect(ledger.census()).toEqual({ seen: 10_000, failing: 10_000 })
    expect(ledger.isFailing('1999')).toBe(false)
    expect(ledger.isFailing('2000')).toBe(true)
  })

  it('starts afresh when cleared', () => {
    const ledger = new GuildLedger(new FakeClock(), 1)
    ledger.failed('a', false)
    ledger.clear()
    expect(ledger.census()).toEqual({ seen: 0, failing: 0 })
  })
})
