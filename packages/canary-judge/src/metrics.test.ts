import { describe, expect, it } from 'vitest'
import { affectedGuilds, GuildHistory } from './affected-guilds.js'
import { errorRate } from './error-rate.js'
import { latency } from './latency.js'
import { memoryGrowth } from './memory-growth.js'
import { seeded } from './test-support/simulation.js'
import { userReports } from './user-reports.js'

const requests = (green: number, greenErrors: number, blue: number, blueErrors: number) => {
  return { green: { requests: green, errors: greenErrors }, blue: { requests: blue, errors: blueErrors } }
}

describe('errorRate', () => {
  const metric = errorRate()

  it.each([
    ['NaN', requests(100, NaN, 100, 1)],
    ['Infinity', requests(100, 1, Infinity, 1)],
    ['a negative count, as of a counter that was reset', requests(100, -3, 100, 1)],
    ['more errors than requests', requests(10, 11, 100, 1)],
    ['a missing side', { green: { requests: 100, errors: 90 } } as never],
    ['a missing count', { green: { errors: 90 }, blue: { requests: 100, errors: 1 } } as never],
  ])('learns nothing from %s, and says so', (_, sample) => {
    const state = metric.observe(metric.start(), sample)
    expect(state.evidence).toEqual(metric.start().evidence)
    expect(metric.assess(state, 'errors')).toMatchObject({
      evidence: 1,
      ignored: 1,
      isEffectReached: false,
      isSafe: false,
    })
    expect(metric.assess(state, 'errors').message).toContain('1 samples could not be used')
  })

  it.each([
    ['the new version has no traffic', requests(0, 0, 1_000, 10)],
    ['the old version has none any more', requests(1_000, 500, 0, 0)],
  ])('learns nothing while %s', (_, sample) => {
    const state = metric.observe(metric.start(), sample)
    expect(metric.assess(state, 'errors')).toMatchObject({ evidence: 1, ignored: 0, isSafe: false, holdsPhase: true })
  })

  it('takes no version for worse whose evidence is there and whose harm is too small to be cared about', () => {
    let state = metric.start()
    for (let minute = 0; minute < 2_000; minute++) state = metric.observe(state, requests(1e6, 11_000, 1e6, 10_000))
    expect(metric.assess(state, 'errors')).toMatchObject({ isEffectReached: false })
  })

  it('rules a harm out after enough traffic', () => {
    let state = metric.start()
    for (let minute = 0; minute < 60; minute++) state = metric.observe(state, requests(10_000, 100, 10_000, 100))
    expect(metric.assess(state, 'errors')).toMatchObject({ isSafe: true, ruledOut: 1.2, holdsPhase: false })
  })

  it.each([0, -0.2, NaN, Infinity])('refuses an increase of %s', (maxIncrease) => {
    expect(() => errorRate({ maxIncrease })).toThrow(RangeError)
  })
})

describe('latency', () => {
  const metric = latency({ random: seeded(1) })

  it('learns nothing from a version without calls, or from what is no latency', () => {
    const state = [
      { green: [], blue: [100] },
      { green: [NaN], blue: [100] },
      { green: [-1], blue: [100] },
      { green: undefined as never, blue: [100] },
    ].reduce((before, sample) => metric.observe(before, sample), metric.start())
    expect(metric.assess(state, 'latency')).toMatchObject({ evidence: 1, ignored: 3 })
  })

  it('compares each call once, whichever version has more of them', () => {
    const [few, many] = [Array.from({ length: 10 }, () => 200), Array.from({ length: 1_000 }, () => 100)]
    const slower = metric.observe(metric.start(), { green: few, blue: many })
    expect(slower.evidence).toMatchObject({ green: 10, blue: 0 })
    const faster = metric.observe(metric.start(), { green: many, blue: few })
    expect(faster.evidence).toMatchObject({ green: 0, blue: 10 })
  })

  it('tells the ratio of the percentile', () => {
    const blue = Array.from({ length: 1_000 }, (_, i) => i + 1)
    const state = metric.observe(metric.start(), { green: blue.map((ms) => 2 * ms), blue })
    expect(metric.assess(state, 'latency').ratio).toBeGreaterThan(1.9)
    expect(metric.assess(state, 'latency').ratio).toBeLessThan(2.1)
  })

  const calls = (count: number, ms: (i: number) => number) => Array.from({ length: count }, (_, i) => ms(i))

  it('takes half as slow again in the middle for an effect, where both stall at the end', () => {
    // One call in ten stalls, for as long on either.
    const state = metric.observe(metric.start(), {
      green: calls(1_000, (i) => (i % 10 === 0 ? 5_000 : 160)),
      blue: calls(1_000, (i) => (i % 10 === 0 ? 5_000 : 100)),
    })
    const { isEffectReached, evidence, ratio, message } = metric.assess(state, 'latency')
    expect(isEffectReached && evidence > 1e6).toBe(true)
    expect(ratio).toBeCloseTo(1.6, 1)
    expect(message).toMatch(/^latency, call by call: the new version has 1\.[56]\d times as much/)
  })

  it('takes an end that is half as slow again for an effect, where the middle is the same', () => {
    const state = metric.observe(metric.start(), {
      green: calls(1_000, (i) => (i % 10 === 0 ? 5_000 : 100)),
      blue: calls(1_000, (i) => (i % 10 === 0 ? 500 : 100)),
    })
    expect(metric.assess(state, 'latency')).toMatchObject({ isEffectReached: true })
    expect(metric.assess(state, 'latency').message).toMatch(/^p95 of latency: the new version has 10 times as much/)
  })

  it('takes no effect from so few calls that chance makes it', () => {
    const few = metric.observe(metric.start(), { green: calls(19, () => 300), blue: calls(19, () => 100) })
    expect(metric.assess(few, 'latency')).toMatchObject({ isEffectReached: false })
    const enough = metric.observe(few, { green: [300], blue: [100] })
    expect(metric.assess(enough, 'latency')).toMatchObject({ isEffectReached: true })
    // The 95th percentile of 99 calls is that of the five slowest.
    const ends = (count: number) =>
      metric.observe(metric.start(), {
        green: calls(count, (i) => (i % 10 === 0 ? 900 : 100)),
        blue: calls(count, () => 100),
      })
    expect(metric.assess(ends(99), 'latency')).toMatchObject({ isEffectReached: false })
    expect(metric.assess(ends(100), 'latency')).toMatchObject({ isEffectReached: true })
  })

  it('is not misled by a share that grows while the platform is slow', () => {
    let state = metric.start()
    for (const [share, slow] of [
      [0.1, 1],
      [0.9, 4],
    ] as const) {
      const spread = (count: number) => calls(count, (i) => slow * (80 + ((i * 37) % 41)))
      state = metric.observe(state, { green: spread(1_000 * share), blue: spread(1_000 * (1 - share)) })
    }
    // Most calls of the new version were made while all were slow; its median is four times that of the old one.
    expect(state.shift).toBeDefined()
    expect(metric.assess(state, 'latency').message).toMatch(/^p95 of latency/)
    expect(metric.assess(state, 'latency').evidence).toBeLessThan(20)
  })

  it.each([0, 100, NaN])('refuses the percentile %s', (percentile) => {
    expect(() => latency({ percentile })).toThrow(RangeError)
  })
})

describe('affectedGuilds', () => {
  it('expects of each guild what it did before', () => {
    const history = new GuildHistory()
    for (let i = 0; i < 100; i++)
      history.add([
        ['always', true],
        ['never', false],
      ])
    expect(history.expected('always')).toBeGreaterThan(0.97)
    expect(history.expected('never')).toBeLessThan(0.03)
    expect(history.expected('unknown')).toBeCloseTo(0.5, 1)
    const saved = new GuildHistory(JSON.parse(JSON.stringify(history)) as never)
    expect(saved.expected('always')).toBe(history.expected('always'))
  })

  it('takes bad luck for bad luck where all fail alike, and for a habit where some always fail', () => {
    // In each of three windows fails another one of a hundred guilds. Each by itself it would be seventy times as likely to again.
    const alike = new GuildHistory()
    for (let i = 0; i < 3; i++) alike.add(Array.from({ length: 100 }, (_, at) => [String(at), at === i] as const))
    expect(alike.expected('0') / alike.expected('50')).toBeLessThan(6)
    const apart = new GuildHistory()
    for (let i = 0; i < 3; i++) apart.add(Array.from({ length: 100 }, (_, at) => [String(at), at < 3] as const))
    expect(apart.expected('0')).toBeGreaterThan(0.9)
    expect(apart.expected('50')).toBeLessThan(0.01)
  })

  it('takes a guild that always fails for no evidence', () => {
    const metric = affectedGuilds()
    const history = new GuildHistory()
    const guilds = Array.from({ length: 50 }, (_, i) => [String(i), i === 0] as const)
    for (let i = 0; i < 24; i++) history.add(guilds)
    let state = metric.start()
    for (let i = 0; i < 100; i++)
      state = metric.observe(
        state,
        history.sample(guilds, (guildId) => Number(guildId) < 5),
      )
    expect(metric.assess(state, 'guilds').evidence).toBeLessThan(20)
  })
})

describe('a window of guilds', () => {
  const ids = Array.from({ length: 100 }, (_, i) => String(i))
  const isGreen = (guildId: string): boolean => Number(guildId) < 10
  const learnt = (): GuildHistory => {
    const history = new GuildHistory()
    for (let i = 0; i < 24; i++) history.add(ids.map((id, at) => [id, at % 24 === i]))
    return history
  }

  it.each([1, 10, 50, 99, 100])('expects as many as failed in all: %s of 100', (failing) => {
    const guilds = ids.map((id, i) => [id, i < failing] as const)
    const { green, blue } = learnt().sample(guilds, isGreen)
    expect(green.affected + blue.affected).toBe(failing)
    expect(green.expected + blue.expected).toBeCloseTo(failing, 6)
  })

  it('takes what the whole platform does for no evidence, however it changes', () => {
    const metric = affectedGuilds()
    const history = learnt()
    let state = metric.start()
    for (let window = 0; window < 100; window++) {
      // From 4 guilds of 100 to all of them, in turn.
      const guilds = ids.map((id, i) => [id, (i * 37 + window * 13) % 100 < 4 + window] as const)
      state = metric.observe(state, history.sample(guilds, isGreen))
    }
    expect(metric.assess(state, 'guilds').evidence).toBeLessThan(5)
  })

  it('changes the history of both versions alike, and a tenth as much as before the rollout', () => {
    const history = new GuildHistory()
    const guilds = [
      ['1', true],
      ['2', true],
    ] as const
    history.sample(guilds, () => false)
    history.sample(guilds, (guildId) => guildId === '1')
    history.sample(guilds, (guildId) => guildId === '1')
    expect(history.toJSON()).toEqual({ '1': [1.2, 1.2], '2': [1.2, 1.2] })
  })
})

describe('userReports', () => {
  const metric = userReports()
  const sample = (atMs: number, reports: number) => {
    return { atMs, green: { reports, users: 100 }, blue: { reports: 0, users: 900 } }
  }

  it('takes more than five within two hours for an effect, and forgets those before', () => {
    let state = metric.observe(metric.start(), sample(0, 4))
    state = metric.observe(state, sample(3_600_000, 2))
    expect(metric.assess(state, 'reports').isEffectReached).toBe(true)
    state = metric.observe(state, sample(7_200_000, 0))
    expect(metric.assess(state, 'reports').isEffectReached).toBe(false)
  })

  it('ignores a sample that comes late, or that has no time', () => {
    let state = metric.observe(metric.start(), sample(1_000, 1))
    state = metric.observe(state, sample(999, 9))
    state = metric.observe(state, sample(NaN, 9))
    expect(metric.assess(state, 'reports')).toMatchObject({ ignored: 2, isEffectReached: false })
  })

  it('holds no phase while nobody complains', () => {
    expect(metric.assess(metric.start(), 'reports')).toMatchObject({ holdsPhase: false, isSafe: false })
  })
})

describe('memoryGrowth', () => {
  const metric = memoryGrowth({ windowMs: 80_000 })
  const observe = (side: 'green' | 'blue', toMs: number, bytes: (ageMs: number) => number, state = metric.start()) => {
    for (let ageMs = 0; ageMs < toMs; ageMs += 1_000)
      state = metric.observe(state, { side, ageMs, bytes: bytes(ageMs) })
    return state
  }
  const grows = (ageMs: number): number => 100e6 + ageMs * 1_000

  it('compares at the same age: what is young uses less', () => {
    const blue = observe('blue', 400_000, grows)
    const same = observe('green', 80_000, grows, blue)
    expect(metric.assess(same, 'memory')).toMatchObject({ isEffectReached: false, isSafe: true, holdsPhase: false })
    const leak = observe('green', 80_000, (ageMs) => 1.4 * grows(ageMs), blue)
    expect(metric.assess(leak, 'memory')).toMatchObject({ isEffectReached: true, isSafe: false, holdsPhase: true })
  })

  it('tells nothing before it has seen a whole window', () => {
    const state = observe('green', 40_000, (ageMs) => 2 * grows(ageMs), observe('blue', 400_000, grows))
    expect(metric.assess(state, 'memory')).toMatchObject({ isEffectReached: false, isSafe: false })
  })

  it('is not moved by one sample', () => {
    const state = observe(
      'green',
      80_000,
      (ageMs) => (ageMs % 10_000 === 0 ? 900e6 : grows(ageMs)),
      observe('blue', 80_000, grows),
    )
    expect(metric.assess(state, 'memory')).toMatchObject({ isEffectReached: false, isSafe: true })
  })

  it('names the value and the remedy when a window is no time', () => {
    expect(() => memoryGrowth({ windowMs: 0 })).toThrow(/^windowMs must be above 0, such as 14_400_000 .*, not 0$/)
  })

  it('counts what makes no sense', () => {
    const state = metric.observe(metric.start(), { side: 'green', ageMs: NaN, bytes: 1 })
    expect(metric.assess(state, 'memory').ignored).toBe(1)
  })
})
