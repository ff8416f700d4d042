import { describe, expect, it, vi } from 'vitest'
import type { RolloutEntry } from './rollout-record.js'
import { hour, pathOf, plan, World } from '../test-support/rollout-bot.js'

const minute = 60_000

describe('a rollout', () => {
  it('goes through its phases and is complete', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    expect(rollout.status).toMatchObject({ state: 'RUNNING', phase: 'testers', percentage: 0, targetGuilds: ['7'] })
    await world.clock.advance(hour + minute)
    expect(rollout.status).toMatchObject({ state: 'RUNNING', phase: 'canary', percentage: 10 })
    expect(world.flag.share).toMatchObject({ percentage: 10, targetGuilds: ['7'] })
    await world.clock.advance(2 * hour + minute)
    expect(await rollout.finished).toEqual({ outcome: 'COMPLETE', why: 'there is evidence enough' })
    expect(pathOf(world.told)).toEqual([
      'PENDING>RUNNING 0 %',
      'RUNNING>RUNNING 10 %',
      'RUNNING>RUNNING 100 %',
      'RUNNING>COMPLETE 100 %',
    ])
    expect(world.flag.share?.percentage).toBe(100)
    await rollout.stop()
    expect(world.clock.pending).toBe(0)
  })

  it('tells each transition as a sentence, with a name of its own', async () => {
    const world = new World()
    const { rollout } = world.process({ version: 'a1b2' })
    await rollout.start()
    await rollout.skip({ why: 'the testers are happy', by: 'alice' })
    expect(world.told[1]).toEqual({
      what: 'newSearch',
      aspect: 'rollout',
      id: 'newSearch#2',
      sequence: 2,
      from: 'RUNNING',
      to: 'RUNNING',
      phase: 'canary',
      fromPercentage: 0,
      percentage: 10,
      version: 'a1b2',
      at: world.clock.now(),
      why: 'the testers are happy',
      by: 'alice',
      severity: 'INFO',
      message: 'The rollout of "newSearch" goes from 0 % to phase "canary", 10 % (alice). Why: the testers are happy.',
    })
    expect(rollout.history.map(({ sequence }: RolloutEntry) => sequence)).toEqual([1, 2])
    await rollout.stop()
  })

  it('does nothing in its constructor, and may be started and stopped twice', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    expect([world.clock.pending, store.writes, rollout.status.state]).toEqual([0, 0, 'PENDING'])
    await Promise.all([rollout.start(), rollout.start()])
    await rollout.start()
    expect(world.told).toHaveLength(1)
    await Promise.all([rollout.stop(), rollout.stop()])
    expect(await rollout.finished).toEqual({ outcome: 'STOPPED', why: 'stop() was called' })
    expect([world.clock.pending, store.tallies]).toEqual([0, []])
    await rollout.start()
    expect(rollout.status).toMatchObject({ state: 'RUNNING', controller: 'DRIVING' })
    expect(world.told).toHaveLength(1)
    await rollout[Symbol.asyncDispose]()
    expect(world.clock.pending).toBe(0)
  })

  it('survives listeners that throw', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const world = new World()
    const { rollout } = world.process()
    rollout.on('change', () => {
      throw new Error('a bad listener')
    })
    await rollout.start()
    await world.clock.advance(4 * hour)
    expect((await rollout.finished).outcome).toBe('COMPLETE')
    expect(String(warn.mock.calls[0]?.[0])).toContain('A listener of Rollout threw')
    warn.mockRestore()
    await rollout.stop()
  })

  it('hands over what users complain of', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    rollout.report({ guildId: '7' })
    rollout.report({ guildId: '8' })
    rollout.report({ guildId: '8' })
    await world.clock.advance(minute)
    expect(Object.values(store.evidence?.counted ?? {})).toMatchObject([
      { green: { reports: 1 }, blue: { reports: 1 } },
    ])
    await rollout.stop()
  })

  it('judges by the calls of flags.run', async () => {
    const world = new World()
    const { rollout, flags, store } = world.process()
    await rollout.start()
    for (let i = 0; i < 5; i++) flags.ran('on')
    await world.clock.advance(minute)
    expect(store.evidence?.judge.calls).toBe(5)
    await rollout.stop()
    flags.ran('on')
    expect(flags.listenerCount('ran') + flags.listenerCount('change')).toBe(0)
  })
})

describe('the time of a phase', () => {
  it('stands still while nobody looks, and nothing is lost but that', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await world.clock.advance(50 * minute)
    first.kill()
    await world.clock.advance(5 * hour)
    const second = world.process()
    await second.rollout.start()
    expect(second.rollout.status).toMatchObject({ controller: 'STANDBY', phase: 'testers' })
    await world.clock.advance(2 * minute)
    expect(second.rollout.status).toMatchObject({ controller: 'DRIVING', phase: 'testers' })
    await world.clock.advance(7 * minute)
    expect(second.rollout.status.phase).toBe('testers')
    await world.clock.advance(3 * minute)
    expect(second.rollout.status.phase).toBe('canary')
    await second.rollout.stop()
  })

  it('does not run when the process stood still, nor by the wall clock', async () => {
    const world = new World()
    let standingMs = 0
    const { clock } = world
    const { rollout } = world.process({
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic() + standingMs,
        after: (delayMs, run) => clock.after(delayMs, run),
      },
    })
    await rollout.start()
    await clock.advance(minute)
    const before = rollout.status.healthyMs
    clock.jump(10 * hour)
    await clock.advance(15_000)
    expect(rollout.status.healthyMs - before).toBe(15_000)
    standingMs = 10 * hour
    await clock.advance(15_000)
    expect(rollout.status.healthyMs - before).toBe(45_000)
    await rollout.stop()
  })

  it('does not run while the flag is off, and goes on when it is back', async () => {
    const world = new World()
    const { rollout, flags } = world.process()
    await rollout.start()
    await world.clock.advance(30 * minute)
    flags.setState('disabled')
    await world.clock.advance(1)
    expect(rollout.status).toMatchObject({ state: 'HOLDING', why: 'the flag is disabled' })
    const { healthyMs } = rollout.status
    await world.clock.advance(3 * hour)
    expect(rollout.status.healthyMs).toBe(healthyMs)
    flags.setState('active')
    await world.clock.advance(minute)
    expect(rollout.status).toMatchObject({ state: 'RUNNING', phase: 'testers' })
    await world.clock.advance(31 * minute)
    expect(rollout.status.phase).toBe('canary')
    await rollout.stop()
  })

  it('waits for a flag that has fallen back, and rolls back when it does not recover', async () => {
    const world = new World()
    const { rollout, flags } = world.process({ maxFallenBackMs: 10 * minute })
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    flags.setState('fallen-back')
    await world.clock.advance(9 * minute)
    expect(rollout.status).toMatchObject({ state: 'HOLDING', why: 'the flag has fallen back to the old path' })
    await world.clock.advance(2 * minute)
    expect((await rollout.finished).why).toBe(
      'the flag fell back to the old path, and did not recover within 10m; all is well now',
    )
    expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
    await rollout.stop()
  })

  it('is not fooled by a flag that recovers only to fall back again', async () => {
    const world = new World()
    const { rollout, flags } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    for (let i = 0; i < 30 && rollout.status.state !== 'ROLLED_BACK'; i++) {
      flags.setState('fallen-back')
      await world.clock.advance(50_000)
      flags.setState('active')
      await world.clock.advance(10_000)
    }
    expect(rollout.status.state).toBe('ROLLED_BACK')
    await rollout.stop()
  })

  it('goes on for good when a person lets pass what the judge paused for', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    world.judge.verdict = { action: 'PAUSE', why: 'the 95th percentile is 612 ms', cause: 'response time' }
    await world.clock.advance(minute)
    expect(rollout.status.state).toBe('PAUSED')
    await rollout.resume({ why: 'that is fine' })
    world.judge.verdict = { action: 'PAUSE', why: 'the 95th percentile is 633 ms', cause: 'response time' }
    await world.clock.advance(hour + minute)
    expect(rollout.status).toMatchObject({ state: 'PAUSED', phase: 'canary', why: 'the 95th percentile is 633 ms' })
    await rollout.skip({ why: 'that is fine, too' })
    await world.clock.advance(minute)
    expect(rollout.status).toMatchObject({ state: 'RUNNING', phase: 'all' })
    await rollout.stop()
  })

  it('is not stopped by nonsense that is measured, which is told', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const world = new World()
    const measure = (): never => ({ memory: null, database: [], satisfaction: 'good', users: { green: 1 } }) as never
    const { rollout } = world.process({ measure })
    let seen: object = {}
    const observe = world.judge.observe.bind(world.judge)
    world.judge.observe = (state, interval) => observe(state, (seen = interval) && interval)
    await rollout.start()
    await world.clock.advance(minute)
    expect(Object.keys(seen).toSorted()).toEqual(['phase', 'processes', 'tookMs'])
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]?.[0]).toContain('measure gave nonsense for database, memory, satisfaction, users')
    warn.mockRestore()
    await rollout.stop()
  })

  it('loses no evidence while the judge fails', async () => {
    const world = new World()
    const { rollout, flags, store } = world.process()
    await rollout.start()
    const observe = world.judge.observe.bind(world.judge)
    world.judge.observe = () => {
      throw new Error('no such metric')
    }
    for (let i = 0; i < 5; i++) flags.ran('on')
    await world.clock.advance(minute)
    world.judge.observe = observe
    await world.clock.advance(minute)
    expect(store.evidence?.judge.calls).toBe(5)
    await rollout.stop()
  })

  it('does not run while the environment decides, and a person is asked', async () => {
    const world = new World()
    const { rollout, flags } = world.process()
    await rollout.start()
    flags.pin = 'EVENKEEL_FLAG_NEW_SEARCH sets "newSearch" to true'
    await world.clock.advance(minute)
    expect(rollout.status).toMatchObject({
      state: 'PAUSED',
      why: 'the environment decides in place of the rollout (EVENKEEL_FLAG_NEW_SEARCH sets "newSearch" to true)',
    })
    await rollout.stop()
  })

  it('does not count what lies before a short fall-back between two looks', async () => {
    const world = new World()
    const { rollout, flags } = world.process({ intervalMs: 20_000 })
    await rollout.start()
    await world.clock.advance(10_000)
    flags.setState('fallen-back')
    flags.setState('active')
    await world.clock.advance(1)
    expect(rollout.status).toMatchObject({ state: 'RUNNING', healthyMs: 0 })
    await rollout.stop()
  })

  it('is held without evidence, and a person is asked when that takes too long', async () => {
    const world = new World()
    world.judge.end = { action: 'hold', why: 'too few calls' }
    const { rollout } = world.process({ maxHoldMs: 2 * hour })
    await rollout.start()
    await world.clock.advance(hour + minute)
    expect(rollout.status).toMatchObject({ state: 'HOLDING', why: 'too few calls', percentage: 0 })
    await world.clock.advance(2 * hour)
    expect(world.told.at(-1)).toMatchObject({ to: 'PAUSED', severity: 'CRITICAL' })
    await rollout.resume({ why: 'look again' })
    expect(rollout.status.state).toBe('HOLDING')
    await rollout.skip({ why: 'go on' })
    expect(rollout.status).toMatchObject({ state: 'RUNNING', phase: 'canary' })
    await rollout.stop()
  })

  it('is paused when somebody sets another percentage, and its own is back when it is resumed', async () => {
    const world = new World()
    const { rollout, flags } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    flags.setPercentage(60)
    await world.clock.advance(1)
    expect(rollout.status).toMatchObject({
      state: 'PAUSED',
      why: 'the flag was set to 60 % in place of the 10 % of the rollout',
    })
    await world.clock.advance(5 * hour)
    expect(flags.status('newSearch').percentage).toBe(60)
    await rollout.resume({ why: 'that was a mistake' })
    expect([flags.status('newSearch').percentage, rollout.status.state]).toEqual([10, 'RUNNING'])
    await rollout.stop()
  })

  it('stops while it is paused, by hand and by the judge', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    await rollout.pause({ why: 'lunch', by: 'bob' })
    await rollout.pause({ why: 'lunch again' })
    await world.clock.advance(5 * hour)
    expect(rollout.status).toMatchObject({ state: 'PAUSED', phase: 'testers', why: 'lunch' })
    await rollout.resume({ why: 'back' })
    world.judge.verdict = { action: 'PAUSE', why: 'the 95th percentile is above 500 ms' }
    await world.clock.advance(minute)
    expect(rollout.status).toMatchObject({ state: 'PAUSED', why: 'the 95th percentile is above 500 ms' })
    await rollout.stop()
  })

  it('does not run while it is paused, not even for part of an interval', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    await rollout.pause({ why: 'lunch' })
    await world.clock.advance(10_000)
    await rollout.resume({ why: 'back' })
    expect(rollout.status.healthyMs).toBe(0)
    await rollout.stop()
  })

  it('begins anew when the plan is edited, and who is in stays in', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    await world.clock.advance(40 * minute)
    await first.rollout.stop()
    const phases = [
      { name: 'testers', percentage: 0, durationMs: hour },
      { name: 'canary', percentage: 15, durationMs: hour },
    ]
    const second = world.process({ plan: { phases } })
    await second.rollout.start()
    expect(second.rollout.status).toMatchObject({ phase: 'canary', percentage: 15, healthyMs: 0, targetGuilds: ['7'] })
    await world.clock.advance(50 * minute)
    expect(second.rollout.status.phase).toBe('canary')
    await second.rollout.stop()
  })

  it('pauses when the judge itself fails', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    world.judge.judge = () => {
      throw new Error('no such metric')
    }
    await world.clock.advance(minute)
    expect(rollout.status).toMatchObject({ state: 'PAUSED', why: 'the judge failed: no such metric' })
    await rollout.stop()
  })
})

describe('a rollback', () => {
  it('switches the flag off at once, looks whether all is well, and says so', async () => {
    const world = new World()
    const { rollout } = world.process({ validate: { errorRate: () => true, data: async () => undefined } })
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    world.judge.verdict = { action: 'ROLLBACK', why: 'three times the errors' }
    await world.clock.advance(minute)
    expect(await rollout.finished).toEqual({ outcome: 'ROLLED_BACK', why: 'three times the errors; all is well now' })
    expect(pathOf(world.told).slice(2)).toEqual(['RUNNING>VALIDATING 0 %', 'VALIDATING>ROLLED_BACK 0 %'])
    expect(world.told.map(({ severity }) => severity).slice(2)).toEqual(['CRITICAL', 'INFO'])
    expect(rollout.status.checks?.map(({ name, isPassed }) => [name, isPassed])).toEqual([
      ['flag is off', true],
      ['errorRate', true],
      ['data', true],
    ])
    expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
    await rollout.stop()
  })

  it('tells what is not well afterwards: a check that says no, throws, or hangs', async () => {
    const world = new World()
    const { rollout } = world.process({
      validate: {
        latency: () => 'the 95th percentile is still 900 ms',
        commands: () => false,
        data: () => {
          throw new Error('12 records are damaged')
        },
        errorRate: () => new Promise<boolean>(() => undefined),
      },
    })
    await rollout.start()
    const rolledBack = rollout.rollback({ why: 'it hurts', by: 'bob' })
    await world.clock.advance(6_000)
    await rolledBack
    expect(await rollout.finished).toEqual({
      outcome: 'ROLLED_BACK',
      why:
        'it hurts; afterwards this was not well: latency (the 95th percentile is still 900 ms), ' +
        'commands (the check says no), data (12 records are damaged), errorRate (the check did not answer within 5000 ms)',
    })
    expect(world.told.at(-1)).toMatchObject({ to: 'ROLLED_BACK', severity: 'CRITICAL' })
    await rollout.stop()
  })

  it('finds that the flag is still on for somebody', async () => {
    const world = new World()
    const { rollout, flags } = world.process({ guilds: () => ['1', 2n] })
    const isEnabled = flags.isEnabled.bind(flags)
    flags.isEnabled = (name, context) => context?.guildId === '2' || isEnabled(name, context)
    await rollout.start()
    await rollout.rollback({ why: 'it hurts' })
    expect((await rollout.finished).why).toBe(
      'it hurts; afterwards this was not well: flag is off (it is on for guild 2)',
    )
    await rollout.stop()
  })

  it('goes in batches of a hundred guilds, thirty seconds apart', async () => {
    const world = new World()
    const guilds = Array.from({ length: 350 }, (_, i) => String(1_000 + i))
    const check = vi.fn(() => true)
    const { rollout, flags } = world.process({ guilds: () => guilds, check })
    const on = (): number => guilds.filter((guildId) => flags.isEnabled('newSearch', { guildId })).length
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    await rollout.skip({ why: 'go on' })
    expect(on()).toBe(350)
    await rollout.rollback({ why: 'it hurts', gradually: true })
    const counts = [on()]
    for (let i = 0; i < 4; i++) {
      await world.clock.advance(29_000)
      expect(on()).toBe(counts.at(-1))
      await world.clock.advance(1_000)
      counts.push(on())
    }
    expect(counts).toEqual([251, 151, 51, 0, 0].map((n, i) => (i === 0 ? 251 : n)))
    expect((await rollout.finished).outcome).toBe('ROLLED_BACK')
    expect(check).toHaveBeenCalledTimes(3)
    await rollout.stop()
  })

  it.each([
    ['says no', () => false, 'the check says no'],
    ['throws', () => Promise.reject(new Error('no answer of the database')), 'no answer of the database'],
    ['hangs', () => new Promise<boolean>(() => undefined), 'the check did not answer within 5000 ms'],
  ])('switches everything off at once when the check between batches %s', async (_, check, found) => {
    const world = new World()
    const { rollout } = world.process({ check })
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    await rollout.rollback({ why: 'it hurts', gradually: true })
    expect(world.flag.share?.percentage).toBe(9)
    await world.clock.advance(36_000)
    expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
    expect(world.told.find(({ to }) => to === 'VALIDATING')).toMatchObject({
      severity: 'CRITICAL',
      why: `the rollback in batches does not help (${found}): it hurts`,
    })
    await rollout.stop()
  })

  it('goes on in batches where the last process left it, and gives nobody the flag', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    await first.rollout.rollback({ why: 'it hurts', gradually: true })
    await world.clock.advance(95_000)
    const before = world.flag.share?.percentage
    first.kill()
    const second = world.process()
    await second.rollout.start()
    await world.clock.advance(20 * minute)
    const percentages = world.flag.shares.slice(2).map(({ percentage }) => percentage)
    expect(percentages).toEqual(percentages.toSorted((a, b) => b - a))
    expect(percentages.length).toBe(10)
    expect([before, percentages.at(-1)]).toEqual([6, 0])
    expect((await second.rollout.finished).outcome).toBe('ROLLED_BACK')
    await second.rollout.stop()
  })

  it.each([
    ['another version', { version: 'v2' }, 'RUNNING'],
    ['an edited plan', { plan: { phases: plan.phases.slice(0, 1) } }, 'ROLLED_BACK'],
  ] as const)('is brought to its end first, whoever takes over: %s', async (_, options, end) => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    await first.rollout.rollback({ why: 'it hurts', gradually: true })
    first.kill()
    const second = world.process(options)
    await second.rollout.start()
    await world.clock.advance(20 * minute)
    expect(world.told.map(({ to }) => to)).toContain('ROLLED_BACK')
    expect(second.rollout.status.state).toBe(end)
    await second.rollout.stop()
  })

  it('is hurried by a rollback at once', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    await rollout.rollback({ why: 'it hurts', gradually: true })
    await rollout.rollback({ why: 'it hurts badly' })
    expect(world.flag.share?.percentage).toBe(0)
    expect(await rollout.finished).toEqual({ outcome: 'ROLLED_BACK', why: 'it hurts badly; all is well now' })
    await rollout.stop()
  })

  it('takes back what is complete, and ends once more', async () => {
    const world = new World()
    const { rollout } = world.process()
    await rollout.start()
    await world.clock.advance(4 * hour)
    const end = rollout.finished
    expect((await end).outcome).toBe('COMPLETE')
    await rollout.rollback({ why: 'users complain' })
    expect((await rollout.finished).outcome).toBe('ROLLED_BACK')
    expect((await end).outcome).toBe('COMPLETE')
    await rollout.stop()
  })

  it('is gone through in batches when nobody asked for it, if that is wanted', async () => {
    const world = new World()
    const { rollout } = world.process({ gradually: true })
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    world.judge.verdict = { action: 'ROLLBACK', why: 'three times the errors' }
    await world.clock.advance(16_000)
    expect(rollout.status).toMatchObject({ state: 'ROLLING_BACK', percentage: 9 })
    await rollout.stop()
  })
})

describe('a rollout that is over', () => {
  it('is not begun anew by the next start of the bot, but by hand or with another version', async () => {
    const world = new World()
    const first = world.process({ version: 'v1' })
    await first.rollout.start()
    await first.rollout.rollback({ why: 'it hurts' })
    await first.rollout.stop()

    const second = world.process({ version: 'v1' })
    await second.rollout.start()
    expect(await second.rollout.finished).toEqual({ outcome: 'ROLLED_BACK', why: 'it hurts; all is well now' })
    expect(second.news).toMatchObject([
      {
        aspect: 'controller',
        severity: 'WARNING',
        why: 'version "v1" was rolled back before; start({ retry: true }) begins anew',
      },
    ])
    expect(world.flag.share?.percentage).toBe(0)
    await second.rollout.stop()
    await second.rollout.start({ retry: true })
    expect(second.rollout.status).toMatchObject({ state: 'RUNNING', phase: 'testers' })
    await second.rollout.abort({ why: 'not today' })
    expect(await second.rollout.finished).toEqual({ outcome: 'ABORTED', why: 'not today' })
    await second.rollout.stop()

    const third = world.process({ version: 'v2' })
    await third.rollout.start()
    expect(third.rollout.status).toMatchObject({ state: 'RUNNING', version: 'v2', targetGuilds: ['7'] })
    const sequences = world.flag.shares.map(({ sequence }) => sequence)
    expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b))
    await third.rollout.stop()
  })

  it('goes further when its plan does', async () => {
    const world = new World()
    const first = world.process({ plan: { phases: plan.phases.slice(0, 2) } })
    await first.rollout.start()
    await world.clock.advance(3 * hour)
    expect((await first.rollout.finished).outcome).toBe('COMPLETE')
    await first.rollout.stop()
    const second = world.process()
    await second.rollout.start()
    expect(second.rollout.status).toMatchObject({ state: 'RUNNING', phase: 'all', percentage: 100 })
    await second.rollout.stop()
  })

  it('goes above the share that is in force when its record was lost', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    await first.rollout.stop()
    world.records.entries.clear()
    const second = world.process()
    await second.rollout.start()
    expect(world.flag.share).toMatchObject({ percentage: 0, sequence: 3 })
    expect(world.told.at(-1)?.id).toBe('newSearch#3')
    await second.rollout.stop()
  })

  it('is not judged by what came before, when it is begun anew', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    await second.rollout.start()
    for (let i = 0; i < 5; i++) second.flags.ran('on')
    await world.clock.advance(minute)
    await first.rollout.abort({ why: 'not today' })
    await first.rollout.stop()
    await first.rollout.start({ retry: true })
    await world.clock.advance(minute)
    expect(first.store.evidence?.judge.calls).toBe(0)
    second.flags.ran('on')
    await world.clock.advance(minute)
    expect(first.store.evidence?.judge.calls).toBe(1)
    await first.rollout.stop()
    await second.rollout.stop()
  })

  it('refuses what has no meaning any more', async () => {
    const world = new World()
    const { rollout } = world.process()
    await expect(rollout.pause({ why: 'lunch' })).rejects.toMatchObject({ code: 'ROLLOUT_STATE', state: 'PENDING' })
    await rollout.start()
    await expect(rollout.resume({ why: '' })).rejects.toThrow('Say why')
    await rollout.resume({ why: 'it runs already' })
    await rollout.abort({ why: 'not today' })
    await rollout.abort({ why: 'not today' })
    for (const name of ['pause', 'resume', 'skip'] as const) {
      const refused = rollout[name]({ why: 'why not' })
      await expect(refused).rejects.toThrow(`Cannot ${name} the rollout of "newSearch": it is ABORTED`)
    }
    await rollout.rollback({ why: 'it is off already' })
    expect(world.told.map(({ to }) => to)).toEqual(['RUNNING', 'ABORTED'])
    await rollout.stop()
  })

  it('may be started again after its process has left by itself, and takes no command before', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    const key = 'rollout/newSearch'
    const entry = world.records.entries.get(key)!
    world.records.entries.set(key, { value: { format: 99 }, version: 'later' })
    await rollout.pause({ why: 'lunch' }).catch(() => undefined)
    await world.clock.advance(minute)
    expect(rollout.status.controller).toBe('STOPPED')
    const { writes } = store
    for (const name of ['pause', 'rollback'] as const) {
      const refused = rollout[name]({ why: 'why not' })
      await expect(refused).rejects.toThrow(
        `Cannot ${name} the rollout of "newSearch": this process takes no part in it`,
      )
    }
    expect(store.writes).toBe(writes)
    world.records.entries.set(key, { ...entry, version: 'again' })
    await rollout.start()
    await world.clock.advance(2 * minute)
    expect(rollout.status).toMatchObject({ controller: 'DRIVING', state: 'RUNNING' })
    await rollout.stop()
    expect(world.clock.pending).toBe(0)
  })
})
