import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keepRow, noRow, readRow, type GuildRow } from './guild-row.js'
import { addTimes, learnSpeeds, noTimes } from './guild-speeds.js'
import { noDifference } from './tally.js'

describe('what is kept of a guild', () => {
  it('is read again as it was', () => {
    const count = fc.nat(1e6)
    const row = fc.record<GuildRow>({
      calls: count,
      failures: count,
      blueCalls: count,
      blueFailures: count,
      failedOnEnd: count,
      blueFailedOnEnd: count,
      hasNeverWorked: fc.boolean(),
      servedBefore: count,
      hasWitness: fc.boolean(),
    })
    fc.assert(
      fc.property(row, (each) => {
        expect(readRow(JSON.parse(JSON.stringify(keepRow(each))) as number[])).toEqual(each)
      }),
    )
    expect(noRow).toMatchObject({ calls: 0, hasNeverWorked: true, hasWitness: false })
  })

  it('is short where all is well: there may be ten thousand', () => {
    expect(keepRow({ ...noRow, blueCalls: 4, hasNeverWorked: false })).toEqual([4])
    expect(keepRow({ ...noRow, calls: 4, hasNeverWorked: false })).toEqual([0, 4])
    const processes = [{ ...noDifference, latencies: { green: [], blue: [[123.456789, '7'] as const] } }]
    expect(learnSpeeds({}, processes)).toEqual({ 7: [1, 4.816] })
    expect(addTimes(noTimes, processes)).toEqual({ green: {}, blue: { 7: 123.5 } })
  })
})
