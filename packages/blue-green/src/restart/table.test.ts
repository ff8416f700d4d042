import { describe, expect, it } from 'vitest'
import { noTable, readTable, type Table } from './records.js'
import { holds, isAgreed, percentageOf, withBeat, withNewcomer, withOwner, withShare } from './table.js'

/** `a` owns the events, and `b` is there; both act by this table. */
function two(): Table {
  return withBeat(withNewcomer(withNewcomer(noTable, 'a', 'v1'), 'b', 'v2'), 'a')
}

function shared(table: Table, percentage: number, to = 'b'): Table {
  return withBeat(withShare(table, { to, percentage, first: [`guild-of-${to}`] }), to)
}

describe('a table', () => {
  it('gives a guild to the next one when the one before has acknowledged, and forgets then what was before', () => {
    const asked = shared(two(), 50)
    expect(holds(asked, 'b', 'guild-of-b')).toBe(false)
    expect(asked.past).toHaveLength(1)
    const agreed = withBeat(asked, 'a')
    expect(holds(agreed, 'b', 'guild-of-b')).toBe(true)
    expect(agreed.past).toEqual([])
  })

  it('keeps a guild where it was, whatever else moves, and says the least that is so all the while', () => {
    const raised = shared(withBeat(shared(two(), 10), 'a'), 60)
    expect(holds(raised, 'b', 'guild-of-b')).toBe(true)
    expect([percentageOf(raised, 'b'), percentageOf(raised, 'a'), percentageOf(withBeat(raised, 'a'), 'b')]).toEqual([
      10, 40, 60,
    ])
  })

  it('waits for nobody who never had the guild', () => {
    const three = withBeat(withBeat(withNewcomer(two(), 'c', 'v3'), 'a'), 'b')
    const asked = withBeat(shared(three, 50), 'a')
    expect(asked.members['c']?.acked).toBeLessThan(asked.ownerEpoch)
    expect([holds(asked, 'b', 'guild-of-b'), isAgreed(asked, 'b')]).toEqual([true, true])
  })

  it('waits for everyone when it cannot tell any more by what someone may act', () => {
    const three = withBeat(withBeat(withNewcomer(two(), 'c', 'v3'), 'a'), 'b')
    let table = three
    for (let i = 0; i < 50; i++) table = withBeat(withOwner(withBeat(table, 'a'), i % 2 === 0 ? 'b' : 'a'), 'b')
    table = withBeat(table, 'a')
    expect(table.past).toHaveLength(32)
    expect([holds(table, 'a', 'guild-1'), percentageOf(table, 'a')]).toEqual([false, 0])
    expect(holds(withBeat(table, 'c'), 'a', 'guild-1')).toBe(true)
  })

  it.each<[string, unknown]>([
    ['is nothing', null],
    ['is a word', 'v1'],
    ['has no version', { beat: 1, acked: 1, isReady: true }],
    ['does not say whether it is ready', { version: 'v1', beat: 1, acked: 1 }],
    ['has half a beat', { version: 'v1', beat: 0.5, acked: 1, isReady: true }],
    ['has a pin that is a number', { version: 'v1', beat: 1, acked: 1, isReady: true, pins: [5] }],
  ])('is not taken for one of this release where a member %s', (_, member) => {
    const read = (): Table => readTable('restart:bot', { ...noTable, members: { a: member } })
    expect(read).toThrow(expect.objectContaining({ code: 'STATE_FORMAT' }))
  })
})
