import { describe, expect, it } from 'vitest'
import { randomFrom } from '../test-support/random.js'
import { planTick, type DuePolicy } from './plan.js'
import type { JobRecord } from './records.js'
import { byFunction, every } from './times.js'

const fresh: JobRecord = { format: 1, kind: 'process', epoch: 1, lastAt: 0, dealt: [], run: null }
const policy: DuePolicy = { times: every(100), missed: 'run-once', missedAfterMs: 1_000, overlap: 'wait' }

describe('what to do about a due time', () => {
  it('waits until it comes', () => {
    expect(planTick(fresh, policy, 50)).toEqual({ do: 'wait', nextAt: 100 })
  })

  it('runs it when it has come, and then the next', () => {
    const first = planTick(fresh, policy, 100)
    expect(first).toMatchObject({
      do: 'run',
      scheduledAt: 100,
      missed: false,
      progress: { lastAt: 100, dealt: [[100, 100]] },
    })
    const progress = first.do === 'run' ? first.progress : undefined
    const second = planTick({ ...fresh, ...progress }, policy, 230)
    expect(second).toMatchObject({
      do: 'run',
      scheduledAt: 200,
      missed: false,
      progress: { lastAt: 200, dealt: [[100, 200]] },
    })
  })

  it('runs the last of those that were missed, and remembers that the others were not run', () => {
    const record = { ...fresh, lastAt: 200, dealt: [[100, 200]] as const }
    const tick = planTick(record, policy, 950)
    expect(tick).toMatchObject({ do: 'run', scheduledAt: 900, missed: true, progress: { lastAt: 900, dealt: [[100, 200], [900, 900]] } }) // prettier-ignore
  })

  it.each([
    [1_000, 'run'],
    [1_001, 'skip'],
  ])('%d ms late, with missed: skip: %s', (lateMs, what) => {
    const times = every(10_000)
    const tick = planTick(fresh, { ...policy, times, missed: 'skip' }, 10_000 + lateMs)
    expect(tick).toMatchObject({ do: what, scheduledAt: 10_000, progress: { lastAt: 10_000 } })
  })

  it.each([
    ['wait', 'run'],
    ['skip', 'skip'],
  ] as const)('what came during the run before, with overlap: %s: %s', (overlap, what) => {
    const run = {
      id: '',
      by: '',
      version: '',
      epoch: 1,
      scheduledAt: 100,
      attempt: 1,
      state: 'done',
      endedAt: 250,
    } as const
    const record = { ...fresh, lastAt: 100, run }
    expect(planTick(record, { ...policy, overlap }, 260)).toMatchObject({ do: what, scheduledAt: 200 })
    expect(planTick(record, { ...policy, overlap }, 300)).toMatchObject({ do: 'run', scheduledAt: 300 })
  })

  it('waits for the next due time when the clock is less than a period behind', () => {
    const record = { ...fresh, lastAt: 200, dealt: [[100, 200]] as const }
    expect(planTick(record, policy, 120)).toEqual({ do: 'wait', nextAt: 300 })
  })

  it('goes on by the present time when the last due time is far ahead, and passes what was run', () => {
    const record = { ...fresh, lastAt: 900, dealt: [[100, 200], [700, 900]] as const } // prettier-ignore
    const rewound = planTick(record, policy, 350)
    expect(rewound).toEqual({ do: 'rewind', progress: { lastAt: 350, dealt: record.dealt } })
    const next = { ...record, lastAt: 350 }
    expect(planTick(next, policy, 400)).toMatchObject({ do: 'run', scheduledAt: 400, missed: false })
    expect(planTick(next, policy, 820)).toMatchObject({ do: 'run', scheduledAt: 600, missed: true })
    expect(planTick({ ...next, lastAt: 600 }, policy, 820)).toMatchObject({ do: 'pass', scheduledAt: 800 })
  })

  it('is never due again when the function says so', () => {
    const times = byFunction((at) => (at < 500 ? 500 : undefined))
    expect(planTick(fresh, { ...policy, times }, 100)).toEqual({ do: 'wait', nextAt: 500 })
    const tick = planTick(fresh, { ...policy, times }, 600)
    expect(tick).toMatchObject({ do: 'run', scheduledAt: 500 })
    expect(planTick({ ...fresh, lastAt: 500 }, { ...policy, times }, 600)).toEqual({ do: 'wait', nextAt: undefined })
  })

  it('runs no due time twice, and none that has not come, however the clock leaps', () => {
    const offsets = [70, 160, 300, 520]
    const uneven = byFunction((at) => {
      const round = Math.floor(at / 300) * 300
      return offsets.map((ms) => round + ms - 220).find((due) => due > at) ?? round + 300
    })
    const faults: string[] = []
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomFrom(seed)
      const below = (end: number): number => Math.floor(random() * end)
      const times = seed % 2 === 0 ? every(100) : uneven
      const missed = seed % 3 === 0 ? 'skip' : 'run-once'
      const ran = new Set<number>()
      let record = { ...fresh, lastAt: 10_000 }
      let nowAt = 10_000
      for (let step = 0; step < 300; step++) {
        nowAt += below(12) === 0 ? below(4_000) - 2_000 : below(120)
        const tick = planTick(record, { ...policy, times, missed }, nowAt)
        if (tick.do === 'wait') continue
        record = { ...record, ...tick.progress }
        if (record.dealt.length > 16) faults.push(`seed ${seed}, step ${step}: ${record.dealt.length} stretches`)
        if (tick.do !== 'run') continue
        if (ran.has(tick.scheduledAt)) faults.push(`seed ${seed}, step ${step}: ${tick.scheduledAt} once more`)
        if (tick.scheduledAt > nowAt) faults.push(`seed ${seed}, step ${step}: ${tick.scheduledAt} at ${nowAt}`)
        ran.add(tick.scheduledAt)
      }
      if (ran.size < 10) faults.push(`seed ${seed}: only ${ran.size} runs`)
    }
    expect(faults).toEqual([])
  })
})

describe('due times', () => {
  it('are the multiples of a period', () => {
    const times = every(100)
    expect([times.after(0), times.after(99), times.after(100)]).toEqual([100, 100, 200])
    expect([times.last(0, 99), times.last(0, 100), times.last(100, 199), times.last(100, 250)]).toEqual([undefined, 100, undefined, 200]) // prettier-ignore
  })

  it('of a function are found by few calls, however many there were', () => {
    let calls = 0
    const times = byFunction((at) => {
      calls += 1
      return (Math.floor(at / 1_000) + 1) * 1_000
    })
    const monthMs = 30 * 86_400_000
    expect(times.last(0, monthMs + 1)).toBe(monthMs)
    expect(calls).toBeLessThan(40)
  })

  it('of a function agree with counting them one by one', () => {
    const random = randomFrom(7)
    const all = Array.from({ length: 60 }, () => Math.floor(random() * 1_000)).sort((a, b) => a - b)
    const times = byFunction((at) => all.find((due) => due > at))
    for (let from = 0; from < 1_000; from += 13) {
      for (let until = from; until < 1_000; until += 17) {
        expect(times.last(from, until)).toBe(all.findLast((due) => due > from && due <= until))
      }
    }
  })

  it.each([[5], [4], [NaN], [Infinity], ['soon'], [null]])('cannot be %s after 5', (next) => {
    expect(() => byFunction(() => next as number).after(5)).toThrow(/must give a later time/)
  })
})
