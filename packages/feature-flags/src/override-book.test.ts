import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { Subject } from './context.js'
import { evaluate } from './explain.js'
import { FeatureFlags } from './index.js'
import { Layers, type Foundations } from './layers.js'
import { OverrideBook, type OverrideTurn } from './override-book.js'
import type { OverridePlace, OverrideUntil } from './stored-override.js'

const flags = { on: { default: true }, theme: { default: 'a', variants: ['a', 'b'] } }
const of = (flag: string, id = '1'): OverridePlace => ({ flag, whose: 'guilds', id })

const foundationsAt = (at: number): Omit<Foundations, 'definitions'> => ({
  segments: {},
  patterns: false,
  attributes: undefined,
  environment: {},
  at,
  sharesTrips: false,
})

function setUp() {
  const clock = new FakeClock()
  const foundations = foundationsAt(clock.now())
  const layers = new Layers({ ...foundations, definitions: flags })
  const ended: OverrideTurn[] = []
  const book = new OverrideBook(layers, clock, (turn) => ended.push(turn))
  const until = (value: boolean | string, forMs?: number): OverrideUntil => ({
    override: { value, why: 'a test', by: undefined, at: clock.now(), id: String(value) },
    expiresAt: forMs === undefined ? undefined : clock.now() + forMs,
  })
  const answer = (flag: string, guildId = '1'): unknown => {
    const found = layers.current.flags.get(flag)
    return found && evaluate(found, layers.current, new Subject({ guildId }))
  }
  return { clock, layers, book, until, answer, ended }
}

describe('an override', () => {
  it.each([
    ['on', 'b', true],
    ['theme', true, 'a'],
    ['theme', 'gone', 'a'],
  ])(
    'of %s to %j, which another version of the bot has set, leaves the answer to the rules',
    (flag, value, expected) => {
      const { book, until, answer } = setUp()
      book.set(of(flag), until(value))
      expect(answer(flag)).toMatchObject({ value: expected, reason: 'default' })
      expect(book.get(of(flag))?.override.value).toBe(value)
    },
  )

  it('that was set before its flag was known holds once it is', () => {
    const { layers, book, until, answer } = setUp()
    book.replace([
      [of('later'), until('y')],
      [of('on'), until(false)],
    ])
    layers.applyDocument(0, 'flags.json', { flags: { later: { default: 'x', variants: ['x', 'y'] } } })
    book.renew(new Set(['later']))
    expect(answer('later')).toMatchObject({ value: 'y', reason: 'guild-override' })
  })

  it('is replaced together with all others: each flag is worked out once', () => {
    const { layers, book, until, answer } = setUp()
    book.replace([
      [of('on', '1'), until(false)],
      [of('on', '2'), until(false)],
    ])
    const before = layers.hold()
    expect(
      book.replace([
        [of('on', '2'), until(false)],
        [of('on', '3'), until(false)],
        [of('theme', '2'), until('b')],
      ]),
    ).toHaveLength(3)
    expect(['1', '2', '3'].map((id) => (answer('on', id) as { value: unknown }).value)).toEqual([true, false, false])
    expect(before.flags.get('on')?.record.guilds.has('1')).toBe(true)
    expect(answer('theme', '2')).toMatchObject({ value: 'b' })
  })
})

describe('the end of an override', () => {
  it('comes on time, for many that end together at once', async () => {
    const { clock, book, until, answer, ended } = setUp()
    book.set(of('on', '1'), until(false, 1_000))
    book.set(of('on', '2'), until(false, 1_000))
    book.set(of('on', '3'), until(false, 60_000))
    await clock.advance(999)
    expect(ended).toEqual([])
    await clock.advance(1)
    expect(ended.map(({ place, from, to }) => [place.id, from, to])).toEqual([
      ['1', false, undefined],
      ['2', false, undefined],
    ])
    expect(answer('on', '1')).toMatchObject({ value: true })
    await clock.advance(59_000)
    expect(ended).toHaveLength(3)
    expect(clock.pending).toBe(0)
  })

  it('is seen by all as it is told', async () => {
    const clock = new FakeClock()
    const foundations = foundationsAt(clock.now())
    const layers = new Layers({ ...foundations, definitions: flags })
    const seen: number[] = []
    const book: OverrideBook = new OverrideBook(layers, clock, () => seen.push(book.entries().length))
    const override = { value: false, why: 'a test', by: undefined, at: 0, id: 'x' }
    for (const id of ['1', '2']) book.set(of('on', id), { override, expiresAt: clock.now() + 10 })
    await clock.advance(10)
    expect(seen).toEqual([0, 0])
  })

  it('is that of the wall clock, which may leap: it is looked at every few seconds', async () => {
    const { clock, book, until, answer } = setUp()
    book.set(of('on'), until(false, 3_600_000))
    clock.jump(3_600_000)
    await clock.advance(5_000)
    expect(answer('on')).toMatchObject({ value: true })

    book.set(of('on'), until(false, 10_000))
    clock.jump(-60_000)
    await clock.advance(69_999)
    expect(answer('on')).toMatchObject({ value: false })
    await clock.advance(5_000)
    expect(answer('on')).toMatchObject({ value: true })
  })

  it('is not waited for any more once stopped, and again once resumed', async () => {
    const { clock, book, until, answer } = setUp()
    book.set(of('on', '1'), until(false, 1_000))
    book.stop()
    expect(clock.pending).toBe(0)
    book.set(of('on', '2'), until(false, 1_000))
    expect(clock.pending).toBe(0)
    await clock.advance(10_000)
    expect(answer('on', '1')).toMatchObject({ value: false })
    book.set(of('on', '3'), until(false, 1_000))
    book.resume()
    book.resume()
    expect([answer('on', '1'), answer('on', '2')]).toMatchObject([{ value: true }, { value: true }])
    expect([answer('on', '3'), clock.pending]).toMatchObject([{ value: false }, 1])
    await clock.advance(1_000)
    expect([answer('on', '3'), clock.pending]).toMatchObject([{ value: true }, 0])
  })
})

describe('the flags, once stopped,', () => {
  it('leave no timer of an override behind, and end it when started again', async () => {
    const clock = new FakeClock()
    const built = new FeatureFlags({ flags: { search: {} }, environment: {}, clock })
    await built.start()
    await built.override('search', { guildId: '1' }, true, { why: 'a test', forMs: 1_000 })
    await built.stop()
    expect(clock.pending).toBe(0)
    await clock.advance(1_000)
    expect(built.isEnabled('search', { guildId: '1' })).toBe(true)
    await built.start()
    expect(built.isEnabled('search', { guildId: '1' })).toBe(false)
    await built.stop()
  })
})
