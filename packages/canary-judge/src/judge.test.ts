import { describe, expect, it } from 'vitest'
import { findCatastrophe, type Emergency } from './catastrophe.js'
import { errorRate } from './error-rate.js'
import { Judge } from './judge.js'
import { memoryGrowth } from './memory-growth.js'
import { powerReport } from './power.js'
import { userReports } from './user-reports.js'

const requests = (greenErrors: number, blueErrors: number) => {
  return { green: { requests: 1_000, errors: greenErrors }, blue: { requests: 1_000, errors: blueErrors } }
}

describe('Judge', () => {
  const judge = new Judge({ metrics: { commands: errorRate(), database: errorRate() } })

  it('says UNKNOWN before anything is known, and holds', () => {
    expect(judge.judge(judge.start())).toMatchObject({ verdict: 'UNKNOWN', evidence: 1 })
    expect(judge.endPhase(judge.start()).action).toBe('hold')
  })

  it('shares one budget: two metrics need twice the evidence of one', () => {
    const alone = new Judge({ metrics: { commands: errorRate() } })
    let [one, both] = [alone.start(), judge.start()]
    one = alone.observe(one, 'commands', requests(40, 14))
    both = judge.observe(both, 'commands', requests(40, 14))
    expect(judge.judge(both).evidence).toBeCloseTo((alone.judge(one).evidence + 1) / 2, 9)
  })

  it('names the metric that is worse', () => {
    const state = judge.observe(judge.start(), 'database', requests(90, 10))
    expect(judge.judge(state)).toMatchObject({ verdict: 'HARMFUL' })
    expect(judge.judge(state).message).toMatch(/^database: the new version has 9\.00 times as much, evidence /)
    expect(judge.endPhase(state).action).toBe('roll back')
  })

  it('is SAFE when what is cared about is ruled out in every metric', () => {
    let state = judge.start()
    for (let i = 0; i < 400; i++) state = judge.observe(state, 'commands', requests(10, 10))
    expect(judge.judge(state).verdict).toBe('UNKNOWN')
    for (let i = 0; i < 400; i++) state = judge.observe(state, 'database', requests(10, 10))
    expect(judge.judge(state).verdict).toBe('SAFE')
    expect(judge.endPhase(state).action).toBe('advance')
  })

  it('ends a phase of UNKNOWN when a harm of three times is ruled out', () => {
    let state = judge.start()
    for (const name of ['commands', 'database'] as const) state = judge.observe(state, name, requests(15, 15))
    expect(judge.judge(state).verdict).toBe('UNKNOWN')
    expect(judge.endPhase(state)).toMatchObject({ action: 'advance' })
  })

  it('holds a phase for memory that grows, and never rolls back for it', () => {
    const other = new Judge({ metrics: { memory: memoryGrowth({ windowMs: 8 }), reports: userReports() } })
    let state = other.start()
    expect(other.endPhase(state).action).toBe('advance')
    for (let ageMs = 0; ageMs < 8; ageMs++) {
      state = other.observe(state, 'memory', { side: 'blue', ageMs, bytes: 1 })
      state = other.observe(state, 'memory', { side: 'green', ageMs, bytes: 9 })
    }
    expect(other.judge(state).verdict).toBe('UNKNOWN')
    expect(other.endPhase(state).action).toBe('hold')
  })

  it('goes on after a crash with the evidence that it had', () => {
    const before = judge.observe(judge.start(), 'commands', requests(25, 12))
    const after = JSON.parse(JSON.stringify(before)) as typeof before
    const next = requests(25, 12)
    expect(judge.judge(judge.observe(after, 'commands', next))).toEqual(
      judge.judge(judge.observe(before, 'commands', next)),
    )
  })

  it('refuses what is no plan', () => {
    expect(() => new Judge({ metrics: {} })).toThrow(/^metrics is empty; name at least one$/)
    expect(() => new Judge({ metrics: { a: errorRate() }, falseAlarmRatio: 1 })).toThrow(
      /falseAlarmRatio must be above 0/,
    )
    expect(() => judge.observe(judge.start(), 'latency' as 'commands', requests(0, 0))).toThrow(
      /There is no metric "latency"; there are commands, database/,
    )
  })
})

describe('findCatastrophe', () => {
  it.each<[string, Emergency]>([
    ['it is started anew again and again', { restarts: 3 }],
    ['it has lost its database, alone', { storage: { green: false, blue: true } }],
    ['nothing works in three guilds, alone', { greenFailing: ['1', '2', '3'], blueFailing: [], blueActive: 50 }],
  ])('is one when %s', (_, emergency) => {
    expect(findCatastrophe(emergency)).toMatch(/^(The new version|Nothing works) /)
  })

  it.each<[string, Emergency]>([
    ['nothing is known', {}],
    ['both have lost the database', { storage: { green: false, blue: false } }],
    ['two guilds fail', { greenFailing: ['1', '2'], blueActive: 50 }],
    ['one guild fails three times', { greenFailing: ['1', '1', '1'], blueActive: 50 }],
    ['the old version fails alike', { greenFailing: ['1', '2', '3'], blueFailing: ['7'], blueActive: 50 }],
    ['hardly anybody is on the old version', { greenFailing: ['1', '2', '3'], blueActive: 2 }],
    ['nobody is on the old version', { greenFailing: ['1', '2', '3'], blueActive: 0 }],
  ])('is none when %s', (_, emergency) => {
    expect(findCatastrophe(emergency)).toBeUndefined()
  })
})

describe('powerReport', () => {
  it('says how long the evidence takes, or that it never comes', () => {
    const { powers, message } = powerReport({ greenPerMinute: 200, bluePerMinute: 1_800, errorRatio: 0.01 })
    expect(powers.map(({ minutes }) => minutes)).toEqual([768, 31, 9, 3, 1])
    expect(message).toContain('2 times as many errors are found in about 9 minutes')
    const none = powerReport({ greenPerMinute: 0.1, bluePerMinute: 1, errorRatio: 0.01 })
    expect(none.message).toContain('1.2 times as many errors cannot be seen in a week')
    expect(powerReport({ greenPerMinute: 10, bluePerMinute: 0, errorRatio: 0.5 }).powers[4]?.minutes).toBeUndefined()
    expect(powerReport({ greenPerMinute: 0, bluePerMinute: 0, errorRatio: 0 }).powers[4]?.minutes).toBeUndefined()
  })

  it.each([{ greenPerMinute: -1 }, { bluePerMinute: NaN }, { errorRatio: 2 }, { metrics: 0 }, { falseAlarmRatio: 0 }])(
    'refuses %j',
    (wrong) => {
      const traffic = { greenPerMinute: 1, bluePerMinute: 1, errorRatio: 0.01, ...wrong }
      expect(() => powerReport(traffic)).toThrow(RangeError)
    },
  )
})
