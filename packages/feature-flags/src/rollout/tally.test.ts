import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RanCall } from '../news.js'
import { SampleCollector } from './samples.js'
import { countTallies, difference, noDifference, type Counted, type Tally, type TallyDifference } from './tally.js'
import { seeded } from '../test-support/rollout-story.js'

const call = fc.record<RanCall>({
  flag: fc.constantFrom('search', 'search', 'search', 'theme'),
  path: fc.constantFrom('on', 'off'),
  isFailure: fc.boolean(),
  tookMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
  guildId: fc.constantFrom('1', '2', '__proto__', 'constructor', undefined),
  userId: fc.constant(undefined),
})

/** A process, and the flags whose calls it hears of. */
function startProcess(instance?: string, by?: 'guild' | 'user') {
  const listeners = new Set<(call: RanCall) => void>()
  const time = { nowMs: 0 }
  const collector = new SampleCollector({
    flags: {
      on: (_, listener) => listeners.add(listener),
      off: (_, listener) => listeners.delete(listener),
      isEnabled: (_, context) => context?.guildId === 'green',
    },
    flag: 'search',
    by,
    clock: { monotonic: () => time.nowMs },
    random: seeded(1),
    instance,
  })
  collector.start()
  const run = (each: Partial<RanCall> = {}): void => {
    for (const listener of listeners) {
      const nobody = { guildId: undefined, userId: undefined }
      listener({ flag: 'search', path: 'on', isFailure: false, tookMs: 1, ...nobody, ...each })
    }
  }
  return { collector, run, time, listeners }
}

/** What differences come to together. */
function add(differences: readonly TallyDifference[]) {
  const sum = { green: { ...noDifference.green }, blue: { ...noDifference.blue }, guilds: new Map<string, number[]>() }
  for (const { green, blue, guilds } of differences) {
    for (const [side, counts] of [
      ['green', green],
      ['blue', blue],
    ] as const) {
      sum[side] = {
        calls: sum[side].calls + counts.calls,
        failures: sum[side].failures + counts.failures,
        reports: sum[side].reports + counts.reports,
      }
    }
    for (const [id, counts] of Object.entries(guilds)) {
      sum.guilds.set(
        id,
        counts.map((count, i) => count + (sum.guilds.get(id)?.[i] ?? 0)),
      )
    }
  }
  return { ...sum, guilds: Object.fromEntries([...sum.guilds].sort(([a], [b]) => (a < b ? -1 : 1))) }
}

const copy = (tally: Tally): Tally => JSON.parse(JSON.stringify(tally)) as Tally

/** All calls of some processes, and the tallies that they took on the way. */
const history = fc.array(fc.array(fc.array(call, { maxLength: 6 }), { maxLength: 6 }), { minLength: 1, maxLength: 3 })

function play(processes: readonly (readonly (readonly RanCall[])[])[]): Tally[][] {
  return processes.map((intervals, i) => {
    const { collector, run } = startProcess(`process ${i}`)
    return intervals.map((calls) => {
      for (const each of calls) run(each)
      return copy(collector.take())
    })
  })
}

describe('differences of tallies', () => {
  it('are never negative, and come to the same however they are cut', () => {
    fc.assert(
      fc.property(history, fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }), (processes, isRead) => {
        const calls = processes.flat(2).filter(({ flag }) => flag === 'search')
        const cut: TallyDifference[] = []
        const whole: TallyDifference[] = []
        for (const tallies of play(processes)) {
          const last = tallies.at(-1)
          const read = tallies.filter((tally, i) => tally === last || isRead[i])
          cut.push(...read.map((tally, i) => difference(read[i - 1], tally)))
          if (last !== undefined) whole.push(difference(undefined, last))
        }
        for (const each of cut) {
          for (const count of [
            ...Object.values<number>({ ...each.green }),
            ...Object.values<number>({ ...each.blue }),
            ...Object.values(each.guilds).flat(),
          ]) {
            expect(count).toBeGreaterThanOrEqual(0)
          }
        }
        expect(add(cut)).toEqual(add(whole))
        expect(add(cut).green.calls + add(cut).blue.calls).toBe(calls.length)
        expect(add(cut).green.failures).toBe(calls.filter(({ path, isFailure }) => path === 'on' && isFailure).length)
      }),
    )
  })

  it('are nothing between a tally and itself or an earlier one, and all of another life', () => {
    const { collector, run } = startProcess('a')
    run({ guildId: '1' })
    const first = collector.take()
    run()
    const second = collector.take()
    expect(difference(second, second)).toEqual(noDifference)
    expect(difference(second, first)).toEqual(noDifference)
    const other = { ...first, instance: 'b' }
    expect(difference(second, other)).toMatchObject({ green: { calls: 1 }, guilds: { '1': [1, 0, 0, 0] } })
  })

  it('count nothing twice, whatever is read late, twice, out of order or not at all', () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat(6), { minLength: 36, maxLength: 36 }), (processes, choice) => {
        const played = play(processes)
        let counted: Counted = {}
        const differences: TallyDifference[] = []
        for (let look = 0; look < 12; look++) {
          const read = played.flatMap((tallies, i) => {
            const tally = tallies[choice[look * 3 + i] ?? 0]
            return tally === undefined ? [] : [tally]
          })
          const result = countTallies(counted, [...read, ...read.slice(0, 1), null, { format: 2 }])
          counted = JSON.parse(JSON.stringify(result.counted)) as Counted
          differences.push(...result.differences)
        }
        const most = add(played.flatMap((tallies) => tallies.slice(-1)).map((tally) => difference(undefined, tally)))
        const found = add(differences)
        for (const side of ['green', 'blue'] as const) {
          expect(found[side].calls).toBeLessThanOrEqual(most[side].calls)
          expect(found[side].failures).toBeLessThanOrEqual(most[side].failures)
        }
      }),
    )
  })

  it('lose no more than the last interval of a process that restarts', () => {
    const first = startProcess()
    first.run()
    const once = countTallies({}, [first.collector.take()])
    expect(add(once.differences).green.calls).toBe(1)
    first.run()
    const second = startProcess()
    second.run({ isFailure: true })
    const restarted = countTallies(once.counted, [second.collector.take()])
    expect(add(restarted.differences).green).toEqual({ calls: 1, failures: 1, reports: 0 })
    // The old life shows up once more: it is counted from there on, and what it had done meanwhile is lost.
    const back = countTallies(restarted.counted, [first.collector.take()])
    expect(back.differences).toEqual([])
    first.run()
    expect(add(countTallies(back.counted, [first.collector.take()]).differences).green.calls).toBe(1)
  })
})

describe('what a process counts', () => {
  it('is of one flag, and only while it is started', () => {
    const { collector, run, listeners } = startProcess()
    collector.start()
    run()
    run({ flag: 'theme' })
    run({ path: 'off', isFailure: true, guildId: '7' })
    collector.stop()
    collector.stop()
    expect(listeners.size).toBe(0)
    expect(collector.take()).toMatchObject({
      sequence: 1,
      green: { calls: 1, failures: 0 },
      blue: { calls: 1, failures: 1 },
      guilds: { '7': [0, 0, 1, 1] },
    })
  })

  it('is a fair sample of latencies, of one interval each', () => {
    const { collector, run } = startProcess()
    for (let i = 0; i < 20_000; i++) run({ tookMs: i })
    run({ tookMs: NaN })
    const { latencies, green } = collector.take()
    expect(green.calls).toBe(20_001)
    expect(latencies.green).toHaveLength(128)
    const mean = latencies.green.reduce((sum, [tookMs]) => sum + tookMs, 0) / 128
    expect(mean).toBeGreaterThan(8_500)
    expect(mean).toBeLessThan(11_500)
    expect(collector.take().latencies.green).toEqual([])
  })

  it('is bounded, by guilds that are the same in every process', () => {
    const [a, b] = [startProcess(), startProcess()]
    for (let i = 0; i < 5_000; i++) {
      a.run({ guildId: `guild ${i}` })
      b.run({ guildId: `guild ${4_999 - i}` })
    }
    for (let i = 0; i < 5_000; i++) a.run({ guildId: `guild ${i}` })
    const [ofA, ofB] = [a.collector.take(), b.collector.take()]
    expect(Object.keys(ofA.guilds)).toHaveLength(2_500)
    expect(Object.keys(ofA.guilds).sort()).toEqual(Object.keys(ofB.guilds).sort())
    expect(new Set(Object.values(ofA.guilds).map(([calls]) => calls))).toEqual(new Set([2]))
    expect(ofA.green.calls).toBe(10_000)
  })

  it('counts one complaint of a user in two hours, and three of a guild', () => {
    const { collector, time } = startProcess()
    const complain = (userId?: string): boolean => collector.report({ guildId: 'green', userId })
    expect(['1', '1', '2', undefined, '3'].map(complain)).toEqual([true, false, true, true, false])
    expect(collector.report({ userId: '1' })).toBe(false)
    expect(collector.report({ userId: '4' })).toBe(true)
    time.nowMs = 7_200_000
    expect(complain('1')).toBe(true)
    for (let i = 0; i < 3_000; i++) collector.report({ guildId: String(i) })
    expect(collector.take()).toMatchObject({ green: { reports: 4 }, blue: { reports: 3_001 } })
  })

  it('is by user while the flag is by user', () => {
    const { collector, run } = startProcess('a', 'user')
    run({ guildId: '1', userId: '7', isFailure: true })
    run({ guildId: '1' })
    expect(collector.take()).toMatchObject({
      green: { calls: 2 },
      guilds: { '7': [1, 1, 0, 0] },
      latencies: {
        green: [
          [1, '7'],
          [1, null],
        ],
      },
    })
  })
})
