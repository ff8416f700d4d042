import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DueTimes } from './due-times.js'

describe('due times', () => {
  it('hand out each key once, at the earliest time noted for it, in order, whatever was noted and deleted', () => {
    const key = fc.integer({ min: 0, max: 20 }).map(String)
    const call = fc.oneof(
      fc.record({ does: fc.constant('note' as const), key, ms: fc.integer({ min: 0, max: 1_000 }) }),
      fc.record({ does: fc.constant('delete' as const), key }),
      fc.record({ does: fc.constant('take' as const), ms: fc.integer({ min: 0, max: 1_000 }) }),
    )
    fc.assert(
      fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
        const due = new DueTimes()
        const model = new Map<string, number>()
        for (const each of calls) {
          if (each.does === 'note') {
            due.note(each.key, each.ms)
            model.set(each.key, Math.min(each.ms, model.get(each.key) ?? Infinity))
          } else if (each.does === 'delete') {
            due.delete(each.key)
            model.delete(each.key)
          } else {
            const taken = due.take(each.ms)
            const times = taken.map((one) => model.get(one) ?? -1)
            expect(times).toEqual([...times].sort((one, other) => one - other))
            expect([...taken].sort()).toEqual([...model].flatMap(([one, ms]) => (ms <= each.ms ? [one] : [])).sort())
            for (const one of taken) model.delete(one)
          }
          expect(due.nextMs).toBe(Math.min(...model.values()))
        }
      }),
    )
  })

  it('keep no more than twice what is noted when keys are noted earlier again and again', () => {
    const due = new DueTimes()
    for (let ms = 20_000; ms > 0; ms--) due.note(`key ${ms % 10}`, ms)
    expect(due.take(20_000)).toHaveLength(10)
    expect(due.nextMs).toBe(Infinity)
  })
})
