import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkPlan } from './check-plan.js'
import type { RollbackTriggers } from './plan.js'
import { isAbove } from './recent-hour.js'
import { RolloutJudge, type RolloutInterval, type RolloutJudgeState } from './rollout-judge.js'
import type { GuildCounts, TallyDifference } from './tally.js'
import { seeded } from '../test-support/rollout-story.js'

const minute = 60_000

function judgeOf(triggers?: RollbackTriggers, by: 'guild' | 'user' = 'user', phases = 1, percentage = 10) {
  const plan = checkPlan({
    phases: Array.from({ length: phases }, (_, i) => ({ name: `phase ${i}`, percentage, durationMs: 60 * minute })),
    triggers,
  })
  return new RolloutJudge({ plan, by, random: seeded(1) })
}

/** What a process did: calls and failures of the new path, and of the old one. By default each call is of another user. */
function process(
  counts: GuildCounts,
  {
    turn = 0,
    guilds = crowd(counts, turn),
    ms = [],
    blueMs = [],
    reports = 0,
  }: { turn?: number; guilds?: Record<string, GuildCounts>; ms?: number[]; blueMs?: number[]; reports?: number } = {},
): TallyDifference {
  const [calls, failures, blueCalls, blueFailures] = counts
  return {
    green: { calls, failures, reports },
    blue: { calls: blueCalls, failures: blueFailures, reports: 0 },
    guilds,
    latencies: { green: ms.map((each) => [each, null] as const), blue: blueMs.map((each) => [each, null] as const) },
  }
}

/** Users who make one call each. For whom it fails is another one with each turn. */
function crowd([calls, failures, blueCalls, blueFailures]: GuildCounts, turn: number): Record<string, GuildCounts> {
  if (![calls, blueCalls].every((count) => count >= 0 && count < 1e4)) return {}
  const fails = (i: number, all: number, some: number): number => ((i + turn * some) % all < some ? 1 : 0)
  const green = Array.from({ length: calls }, (_, i) => [`user ${i}`, [1, fails(i, calls, failures), 0, 0]] as const)
  const blue = Array.from({ length: blueCalls }, (_, i) => {
    return [`user ${calls + i}`, [0, 0, 1, fails(i, blueCalls, blueFailures)]] as const
  })
  return Object.fromEntries<GuildCounts>([...green, ...blue])
}

/** The same counts in each interval, of users for whom it fails in turn. */
const inTurn =
  (...counts: GuildCounts) =>
  (turn: number): Partial<RolloutInterval> => ({ processes: [process(counts, { turn })] })

/** The calls of many guilds, which make the same each. */
function guilds(from: number, to: number, counts: GuildCounts): Record<string, GuildCounts> {
  return Object.fromEntries(Array.from({ length: to - from }, (_, i) => [String(from + i), counts]))
}

function observe(
  judge: RolloutJudge,
  times: number,
  interval: Partial<RolloutInterval> | ((i: number) => Partial<RolloutInterval>),
  state = judge.start(),
): RolloutJudgeState {
  for (let i = 0; i < times; i++) {
    const each = typeof interval === 'function' ? interval(i) : interval
    state = judge.observe(state, { tookMs: minute, phase: state.phase, processes: [], ...each })
  }
  return state
}

describe('a rollout', () => {
  it('goes on and holds while nothing is known', () => {
    const judge = judgeOf()
    expect(judge.judge(judge.start())).toMatchObject({ action: 'CONTINUE', evidence: 1 })
    expect(judge.endPhase(judge.start())).toMatchObject({ action: 'hold' })
  })

  it('is rolled back for errors that double, and not when the platform fails for both', () => {
    const judge = judgeOf()
    expect(judge.judge(observe(judge, 20, inTurn(200, 8, 1_800, 18)))).toMatchObject({
      action: 'ROLLBACK',
      why: expect.stringMatching(/^users with errors: the new version has 4\.\d\d times as much/) as string,
    })
    // Eight users of whom nothing was known are eight failures, however often they fail.
    expect(judge.judge(observe(judge, 200, { processes: [process([200, 8, 1_800, 18])] })).action).toBe('CONTINUE')
    expect(judge.judge(observe(judge, 20, { processes: [process([200, 100, 1_800, 900])] })).action).toBe('CONTINUE')
  })

  it('compares within each process: one on a bad machine is bad for both', () => {
    const judge = judgeOf()
    const slow = Array.from({ length: 20 }, (_, i) => 200 + i)
    const fast = Array.from({ length: 20 }, (_, i) => 100 + i)
    const processes = [process([20, 0, 2, 0], { ms: slow, blueMs: [205, 214] })]
    processes.push(process([2, 0, 20, 0], { ms: [105, 114], blueMs: fast }))
    expect(judge.judge(observe(judge, 60, { processes })).action).toBe('CONTINUE')
  })

  it('advances when a harm of three times is ruled out', () => {
    const judge = judgeOf({ errorRateIncrease: 0.2 })
    const state = observe(judge, 60, inTurn(200, 2, 1_800, 18))
    expect(judge.endPhase(state)).toMatchObject({
      action: 'advance',
      why: expect.stringMatching(/^a harm of three/) as string,
    })
  })

  it('advances when nothing fails at all in thousands of calls, and not after dozens', () => {
    const judge = judgeOf({ errorRateIncrease: 0.2 })
    const interval = { processes: [process([100, 0, 900, 0])] }
    expect(judge.endPhase(observe(judge, 10, interval)).action).toBe('hold')
    expect(judge.endPhase(observe(judge, 40, interval))).toMatchObject({
      action: 'advance',
      why: expect.stringMatching(/^of 4000 calls of the new path 0 failed/) as string,
    })
  })

  it('advances by time alone when it has no triggers, and while nobody has it on', () => {
    expect(judgeOf({}).endPhase(judgeOf({}).start())).toMatchObject({ action: 'advance' })
    const nobody = judgeOf(undefined, 'guild', 1, 0)
    expect(nobody.endPhase(nobody.start())).toMatchObject({ action: 'advance' })
  })

  it('finds a harm that begins in a late phase', () => {
    const judge = judgeOf(undefined, 'user', 4)
    let state = observe(judge, 40, inTurn(0, 0, 1_000, 10))
    state = observe(judge, 60, inTurn(100, 1, 900, 9), state)
    state = observe(judge, 30, (i) => ({ ...inTurn(500, 10, 500, 5)(i), phase: 1 }), state)
    // As if the days before had outweighed it.
    expect(judge.judge({ ...state, whole: judge.start().whole })).toMatchObject({
      action: 'ROLLBACK',
      why: expect.stringMatching(/^since the phase began, /) as string,
    })
    // A phase that begins anew has a smaller share of what may go wrong, and no evidence from before.
    const again = observe(judge, 1, { phase: 0 }, state)
    expect(again).toMatchObject({ phase: 0, begun: 3, green: { calls: 0 } })
  })

  it.each<[string, Partial<RolloutInterval>]>([
    ['no traffic', {}],
    ['traffic of the new path alone', { processes: [process([1_000, 500, 0, 0])] }],
    ['traffic of the old path alone', { processes: [process([0, 0, 1_000, 500])] }],
    [
      'NaN',
      {
        processes: [process([NaN, NaN, NaN, NaN], { ms: [NaN], blueMs: [1] })],
        tookMs: NaN,
        phase: NaN,
        satisfaction: NaN,
        restarts: NaN,
      },
    ],
    [
      'negative counts',
      { processes: [process([-10, -5, 100, 1])], tookMs: -1, database: { green: { queryTimeouts: -9 }, blue: {} } },
    ],
    ['more failures than calls', { processes: [process([1, 1_000, 1_000, 1])] }],
    ['infinite counts', { processes: [process([Infinity, Infinity, 10, 0])], tookMs: Infinity }],
  ])('is not judged by %s', (_, interval) => {
    for (const by of ['guild', 'user'] as const) {
      const judge = judgeOf(
        { errorRateIncrease: 0.2, responseTimeIncrease: 0.5, queryTimeouts: 1, minSatisfaction: 3 },
        by,
      )
      const state = observe(judge, 100, interval)
      expect(judge.judge(state).action).toBe('CONTINUE')
      expect(judge.endPhase(state).action).toBe('hold')
    }
  })

  it('is judged the same after it was kept as JSON, wherever that happens', () => {
    const count = fc.nat(40)
    const interval = fc.record({
      counts: fc.tuple(count, count, count, count),
      guild: fc.constantFrom('1', '2', '3', '__proto__', 'toString'),
      phase: fc.nat(2),
      ms: fc.array(fc.double({ min: 0, max: 1e5, noNaN: true }), { maxLength: 5 }),
      satisfaction: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
      timeouts: fc.nat(3),
    })
    fc.assert(
      fc.property(
        fc.array(interval, { maxLength: 25 }),
        fc.nat(25),
        fc.constantFrom('guild', 'user'),
        (intervals, at, by) => {
          const triggers = {
            errorRateIncrease: 0.2,
            responseTimeIncrease: 0.5,
            userReports: 5,
            queryTimeouts: 2,
            minSatisfaction: 2,
            memoryIncrease: 0.3,
            maxErrorRatio: 0.5,
          }
          const twin = judgeOf(triggers, by, 3)
          const same = judgeOf(triggers, by, 3)
          let [one, other] = [twin.start(), same.start()]
          for (const [i, { counts, guild, phase, ms, satisfaction, timeouts }] of intervals.entries()) {
            const [calls, failures, blueCalls, blueFailures] = counts
            const row: GuildCounts = [calls, Math.min(calls, failures), blueCalls, Math.min(blueCalls, blueFailures)]
            const sample = {
              tookMs: 5 * minute,
              phase,
              satisfaction,
              processes: [{ ...process(row, { guilds: Object.fromEntries([[guild, row]]), blueMs: ms, ms }) }],
              database: i % 2 === 0 ? { queryTimeouts: timeouts } : { green: { queryTimeouts: timeouts }, blue: {} },
              memory: [{ side: 'green' as const, ageMs: i, bytes: calls }],
            }
            one = twin.observe(one, sample)
            other = same.observe(other, sample)
            if (i === at) other = JSON.parse(JSON.stringify(other)) as RolloutJudgeState
            expect(same.judge(other)).toEqual(twin.judge(one))
            expect(same.endPhase(other)).toEqual(twin.endPhase(one))
          }
          expect(JSON.parse(JSON.stringify(other))).toEqual(other)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('a rollout by guild', () => {
  it('takes a guild that always failed for no evidence, however often it does', () => {
    const judge = judgeOf({ errorRateIncrease: 0.2 }, 'guild')
    const rest = { ...guilds(10, 50, [5, 0, 0, 0]), ...guilds(50, 500, [0, 0, 5, 0]) }
    const before = { ...guilds(10, 500, [0, 0, 5, 0]), '1': [0, 0, 90, 90] as const }
    let state = observe(judge, 240, { processes: [process([0, 0, 2_500, 90], { guilds: before })] })
    state = observe(
      judge,
      600,
      { processes: [process([290, 90, 2_250, 0], { guilds: { ...rest, '1': [90, 90, 0, 0] } })] },
      state,
    )
    expect(judge.judge(state).action).toBe('CONTINUE')
    expect(judge.judge(state).evidence).toBeLessThan(20)
  })

  it('keeps what is usual for each guild when it starts again', () => {
    const judge = judgeOf(undefined, 'guild')
    const state = observe(judge, 60, { processes: [process([0, 0, 50, 5], { guilds: guilds(0, 10, [0, 0, 5, 1]) })] })
    const again = judge.startAgain(state)
    expect(again).toEqual({
      ...judge.start(),
      guilds: { ...judge.start().guilds, history: state.guilds.history },
      speeds: state.speeds,
    })
    expect(Object.keys(again.guilds.history)).toHaveLength(10)
  })

  it('remembers ten thousand guilds at most', () => {
    const judge = judgeOf(undefined, 'guild')
    const state = observe(judge, 11, {
      processes: [process([0, 0, 1, 0], { guilds: guilds(0, 12_000, [0, 0, 1, 0]) })],
    })
    expect(Object.keys(state.guilds.history)).toHaveLength(10_000)
  })

  it.each<[string, 'ROLLBACK' | 'CONTINUE', Record<string, GuildCounts>]>([
    ['three where nothing works, and the old path works', 'ROLLBACK', guilds(0, 3, [2, 2, 0, 0])],
    ['three where nothing ever worked', 'CONTINUE', guilds(3, 6, [2, 2, 0, 0])],
    ['three of very many', 'CONTINUE', { ...guilds(0, 3, [2, 2, 0, 0]), ...guilds(500, 600, [5, 0, 0, 0]) }],
    ['two', 'CONTINUE', guilds(0, 2, [9, 9, 0, 0])],
    ['three where something works', 'CONTINUE', guilds(0, 3, [9, 8, 0, 0])],
    [
      'three, and the old path fails alike',
      'CONTINUE',
      { ...guilds(0, 3, [2, 2, 0, 0]), ...guilds(600, 605, [0, 0, 2, 2]) },
    ],
  ])('looks for guilds that break at once: %s', (_, action, failing) => {
    const judge = judgeOf({}, 'guild')
    const rest = guilds(100, 200, [0, 0, 5, 0])
    const before = { ...rest, ...guilds(0, 3, [0, 0, 1, 0]) }
    let state = observe(judge, 1, { processes: [process([0, 0, 0, 0], { guilds: before })] })
    const processes = [process([0, 0, 0, 0], { guilds: { ...rest, ...failing } })]
    state = observe(judge, 2, { processes }, state)
    // Until it fails again after the old path has served, it may be the platform.
    expect(judge.judge(state).action).toBe('CONTINUE')
    state = observe(judge, 1, { processes }, state)
    expect(judge.judge(state).action).toBe(action)
    expect(judge.endPhase(state).action).toBe(action === 'ROLLBACK' ? 'roll back' : 'advance')
  })

  it('does not blame the new path for guilds in which things often failed before', () => {
    const judge = judgeOf({}, 'guild')
    const old = { ...guilds(100, 200, [0, 0, 5, 0]), ...guilds(0, 3, [0, 0, 5, 5]) }
    let state = observe(judge, 60, { processes: [process([0, 0, 0, 0], { guilds: old })] })
    state = observe(
      judge,
      30,
      {
        processes: [
          process([0, 0, 0, 0], { guilds: { ...guilds(100, 200, [0, 0, 5, 0]), ...guilds(0, 3, [5, 5, 0, 0]) } }),
        ],
      },
      state,
    )
    expect(judge.judge(state).action).toBe('CONTINUE')
  })
})

describe('catastrophes', () => {
  it.each<[string, Partial<RolloutInterval>]>([
    ['a crash loop', { restarts: 3 }],
    ['a database that is lost on one path', { storage: { green: false, blue: true } }],
  ])('roll back at once: %s', (_, interval) => {
    const judge = judgeOf({})
    expect(judge.judge(observe(judge, 1, interval)).action).toBe('ROLLBACK')
  })
})

describe('limits', () => {
  it('of errors roll back when they are passed beyond doubt, and forget after an hour', () => {
    const judge = judgeOf({ maxErrorRatio: 0.05 })
    expect(judge.judge(observe(judge, 1, { processes: [process([2, 1, 10, 0])] })).action).toBe('CONTINUE')
    const state = observe(judge, 10, { processes: [process([20, 10, 0, 0])] })
    expect(judge.judge(state)).toMatchObject({
      action: 'ROLLBACK',
      why: '100 of 200 calls failed within an hour, more than the 5 % that are allowed',
    })
    expect(judge.judge(observe(judge, 66, {}, state)).action).toBe('CONTINUE')
  })

  it('of errors pause when the old path passes them too, or when one guild does it all', () => {
    const judge = judgeOf({ maxErrorRatio: 0.05 }, 'guild')
    expect(judge.judge(observe(judge, 10, { processes: [process([20, 10, 20, 10])] }))).toMatchObject({
      action: 'PAUSE',
      why: expect.stringMatching(/but so did 100 of 200 of the old path$/) as string,
    })
    const one = [process([20, 10, 20, 0], { guilds: { '1': [20, 10, 0, 0] } })]
    expect(judge.judge(observe(judge, 10, { processes: one }))).toMatchObject({
      action: 'PAUSE',
      why: expect.stringMatching(/but in one guild alone$/) as string,
    })
    const three = [process([20, 10, 20, 0], { guilds: guilds(0, 3, [6, 3, 0, 0]) })]
    expect(judge.judge(observe(judge, 10, { processes: three })).action).toBe('ROLLBACK')
    const noisy = { '1': [10, 10, 0, 0] as const, ...guilds(2, 12, [10, 0, 0, 0]), '20': [1, 1, 0, 0] as const }
    const loud = { processes: [process([111, 13, 20, 0], { guilds: { ...noisy, '22': [90, 2, 0, 0] } })] }
    expect(judge.judge(observe(judge, 10, loud))).toMatchObject({
      action: 'PAUSE',
      why: expect.stringMatching(/but not beyond doubt without the two worst guilds$/) as string,
      cause: 'error ratio',
    })
  })

  it('of time and satisfaction pause', () => {
    const judge = judgeOf({ maxResponseTimeMs: 1_000, minSatisfaction: 4 })
    const slow = { processes: [process([10, 0, 10, 0], { ms: [900, 1_100, 1_200], blueMs: [1] })] }
    expect(judge.judge(observe(judge, 20, slow))).toMatchObject({
      action: 'PAUSE',
      why: '40 of 60 calls took longer than 1000 ms within an hour',
    })
    expect(judge.judge(observe(judge, 1, { satisfaction: 3.5 }))).toMatchObject({
      action: 'PAUSE',
      why: 'satisfaction is 3.5, below 4',
    })
    expect(judge.judge(observe(judge, 1, { satisfaction: 4 })).action).toBe('CONTINUE')
    expect(judge.endPhase(observe(judge, 1, { satisfaction: 3 })).action).toBe('hold')
    // What a person has let pass hides nothing else.
    const both = observe(judge, 1, { satisfaction: 3 }, observe(judge, 20, slow))
    expect(judge.judge(both)).toMatchObject({ cause: 'response time' })
    expect(judge.judge(both, ['response time'])).toMatchObject({ action: 'PAUSE', cause: 'satisfaction' })
    expect(judge.endPhase(both, ['response time', 'satisfaction']).action).toBe('advance')
  })

  it('of the database pause when nobody knows on which path, and roll back when it is the new one', () => {
    const judge = judgeOf({ connectionFailures: 3 })
    expect(judge.judge(observe(judge, 4, { database: { connectionFailures: 1 } }))).toMatchObject({
      action: 'PAUSE',
      why: '4 connections to the database failed within an hour, and nobody knows on which path',
    })
    expect(judge.judge(observe(judge, 3, { database: { connectionFailures: 1 } })).action).toBe('CONTINUE')
    const processes = [process([100, 0, 900, 0])]
    const green = { processes, database: { green: { connectionFailures: 2 }, blue: {} } }
    expect(judge.judge(observe(judge, 10, green)).action).toBe('ROLLBACK')
    const both = { processes, database: { green: { connectionFailures: 1 }, blue: { connectionFailures: 9 } } }
    expect(judge.judge(observe(judge, 10, both)).action).toBe('CONTINUE')
  })

  it('are passed by evidence only', () => {
    expect(isAbove(1, 2, 0.05)).toBe(false)
    expect(isAbove(5, 5, 0.05)).toBe(true)
    expect(isAbove(0, 0, 0.05)).toBe(false)
    expect(isAbove(51, 1_000, 0.05)).toBe(false)
    expect(isAbove(100, 1_000, 0.05)).toBe(true)
  })
})

describe('the end of a phase', () => {
  const phases = (...percentages: number[]) => {
    const plan = checkPlan({
      phases: percentages.map((percentage, i) => ({ name: `phase ${i}`, percentage, durationMs: 60 * minute })),
    })
    return new RolloutJudge({ plan, by: 'user', random: seeded(1) })
  }

  it('holds when nobody has called the new path in it, whatever was known before', () => {
    const judge = phases(10, 50)
    let state = observe(judge, 60, inTurn(200, 0, 1_800, 18))
    expect(judge.endPhase(state).action).toBe('advance')
    state = observe(judge, 60, (i) => ({ ...inTurn(0, 0, 2_000, 20)(i), phase: 1 }), state)
    expect(judge.endPhase(state)).toEqual({ action: 'hold', why: 'nobody has called the new path in this phase' })
  })

  it.each<[number, string, RegExp]>([
    [500, 'roll back', /^15000 of 30000 calls of the new path failed, more than 3 times as many as before/],
    [12, 'advance', /^nobody is left to compare with; 360 of 30000 .*, and before 1080 of 108000 of the old path$/],
    [0, 'advance', /^nobody is left to compare with, and 0 of 30000/],
  ])('at 100 %% is judged by what failed on the old path before: %s of 1,000 fail', (failures, action, why) => {
    const judge = phases(10, 100)
    let state = observe(judge, 60, inTurn(200, 2, 1_800, 18))
    state = observe(judge, 30, (i) => ({ ...inTurn(1_000, failures, 0, 0)(i), phase: 1 }), state)
    expect(judge.endPhase(state)).toMatchObject({ action, why: expect.stringMatching(why) as string })
  })

  it('of target guilds alone is their time and twenty calls', () => {
    const plan = checkPlan({
      phases: [
        { name: 'internal', percentage: 0, targetGuilds: ['1', '2'], durationMs: 24 * 60 * minute },
        { name: 'beta', percentage: 5, durationMs: 48 * 60 * minute },
      ],
    })
    const judge = new RolloutJudge({ plan, by: 'guild', random: seeded(1) })
    const serve = (times: number, failures: number) => {
      const rows = { ...guilds(1, 3, [1, failures, 0, 0]), ...guilds(10, 60, [0, 0, 5, 0]) }
      return observe(judge, times, { processes: [process([2, 2 * failures, 250, 0], { guilds: rows })] })
    }
    expect(judge.endPhase(serve(9, 0)).action).toBe('hold')
    expect(judge.endPhase(serve(20, 0))).toEqual({
      action: 'advance',
      why: 'the time is over, and target guilds alone are no comparison: 0 of 40 calls of the new path failed',
    })
    expect(judge.endPhase(serve(20, 1)).action).toBe('hold')
  })

  it('never says that something is ruled out of which it has no samples', () => {
    const judge = judgeOf({ errorRateIncrease: 0.2, responseTimeIncrease: 0.5, queryTimeouts: 1, memoryIncrease: 0.3 })
    const { action, why } = judge.endPhase(observe(judge, 60, inTurn(200, 2, 1_800, 18)))
    expect(action).toBe('advance')
    expect(why).toMatch(/^a harm of three times is ruled out: users with errors: [^;]*; [^;]*; not measured: /)
    expect(why).toMatch(/; not measured: latency, query timeouts, memory$/)
  })
})

describe('a guild whose flag falls back', () => {
  it('belongs to the new path, though the old one serves most of its calls', () => {
    const judge = judgeOf({ errorRateIncrease: 0.2 }, 'guild')
    let state = observe(judge, 60, { processes: [process([0, 0, 1, 0], { guilds: guilds(0, 200, [0, 0, 5, 0]) })] })
    const rows = { ...guilds(0, 40, [2, 1, 3, 0]), ...guilds(40, 200, [0, 0, 5, 0]) }
    state = observe(judge, 20, { processes: [process([80, 40, 920, 0], { guilds: rows })] }, state)
    expect(judge.judge(state)).toMatchObject({
      action: 'ROLLBACK',
      why: expect.stringMatching(/^guilds with errors: /) as string,
    })
  })
})

describe('memory and reports', () => {
  it('pauses for memory that is above that of the old version for four hours of its age', () => {
    const judge = judgeOf({ memoryIncrease: 0.3 })
    const ages = Array.from({ length: 16 }, (_, i) => (i + 0.5) * 15 * minute)
    const memory = ages.flatMap((ageMs) => [
      { side: 'blue' as const, ageMs, bytes: 100 },
      { side: 'green' as const, ageMs, bytes: 140 },
    ])
    const state = observe(judge, 1, { memory })
    expect(judge.judge(state)).toMatchObject({ action: 'PAUSE', why: expect.stringMatching(/^memory: /) as string })
  })

  it('rolls back for more than five reports in two hours, if the new path draws them', () => {
    const judge = judgeOf({ userReports: 5 })
    const users = { green: 10, blue: 90 }
    expect(
      judge.judge(observe(judge, 8, { users, processes: [process([100, 0, 900, 0], { reports: 1 })] })).action,
    ).toBe('ROLLBACK')
    expect(
      judge.judge(observe(judge, 5, { users, processes: [process([100, 0, 900, 0], { reports: 1 })] })).action,
    ).toBe('CONTINUE')
  })

  it('pauses for more than five reports, whoever they are', () => {
    const judge = judgeOf({ userReports: 5 })
    const users = { green: 10, blue: 10 }
    const state = observe(judge, 6, { users, processes: [process([100, 0, 100, 0], { reports: 1 })] })
    expect(judge.judge(state)).toMatchObject({
      action: 'PAUSE',
      why: expect.stringMatching(/^more than 5 users complained within two hours /) as string,
      cause: 'reports',
    })
  })
})

describe('the power of a plan', () => {
  it('is told beforehand, phase by phase', () => {
    const judge = judgeOf(undefined, 'user')
    expect(judge.power({ callsPerMinute: 2_000, errorRatio: 0.01 })).toMatch(
      /^What each phase can find by itself: "phase 0" \(10 %, 1h\): 1\.5 times the errors, in about \d+m\.$/,
    )
    expect(judge.power({ callsPerMinute: 1, errorRatio: 0.01 })).toMatch(
      /"phase 0" \(10 %, 1h\): not even 5 times the errors, so it will hold/,
    )
    expect(judgeOf({}).power({ callsPerMinute: 1, errorRatio: 0 })).toBe('The plan does not compare errors.')
  })

  it('by guild depends on how many there are', () => {
    const judge = judgeOf(undefined, 'guild')
    expect(() => judge.power({ callsPerMinute: 2_000, errorRatio: 0.01 })).toThrow(/^guilds is missing/)
    expect(judge.power({ callsPerMinute: 2_000, errorRatio: 0.01, guilds: 5_000 })).toMatch(
      /times the errors, in about /,
    )
    expect(judge.power({ callsPerMinute: 2_000, errorRatio: 0.01, guilds: 0 })).toMatch(/so it will hold/)
  })
})
