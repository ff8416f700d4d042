import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SharedFlag } from '../test-support/fake-flags.js'
import { hour, pathOf, World } from '../test-support/rollout-bot.js'

const minute = 60_000

describe('several processes with one rollout', () => {
  it('begin it once, however many start at once, and each transition is told once', async () => {
    const world = new World()
    const all = Array.from({ length: 5 }, () => world.process())
    await Promise.all(all.map(({ rollout }) => rollout.start()))
    await world.clock.advance(4 * hour)
    const ends = await Promise.all(all.map(({ rollout }) => rollout.finished))
    expect(ends.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 5 }, () => 'COMPLETE'))
    expect(pathOf(world.told)).toEqual([
      'PENDING>RUNNING 0 %',
      'RUNNING>RUNNING 10 %',
      'RUNNING>RUNNING 100 %',
      'RUNNING>COMPLETE 100 %',
    ])
    expect(world.flag.shares.map(({ percentage }) => percentage)).toEqual([0, 10, 100])
    await Promise.all(all.map(({ rollout }) => rollout.stop()))
    expect(world.clock.pending).toBe(0)
  })

  it('have one that drives; when it stops another takes over, and when it dies after leaseMs', async () => {
    const world = new World()
    const [first, second, third] = [world.process(), world.process(), world.process()] as const
    for (const { rollout } of [first, second, third]) await rollout.start()
    const drivers = (): string[] => [first, second, third].map(({ rollout }) => rollout.status.controller)
    expect(drivers()).toEqual(['DRIVING', 'STANDBY', 'STANDBY'])
    await first.rollout.stop()
    await world.clock.advance(11_000)
    expect(drivers()).toEqual(['STOPPED', 'DRIVING', 'STANDBY'])
    second.kill()
    await world.clock.advance(58_000)
    expect(third.rollout.status.controller).toBe('STANDBY')
    await world.clock.advance(20_000)
    expect(third.rollout.status.controller).toBe('DRIVING')
    await world.clock.advance(4 * hour)
    expect((await third.rollout.finished).outcome).toBe('COMPLETE')
    await third.rollout.stop()
  })

  it('judge by what all of them have counted, each call once, whoever drives', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    await second.rollout.start()
    for (let i = 0; i < 3; i++) first.flags.ran('on')
    for (let i = 0; i < 4; i++) second.flags.ran('off')
    await world.clock.advance(minute)
    expect(first.store.evidence?.judge.calls).toBe(7)
    await first.rollout.stop()
    for (let i = 0; i < 5; i++) second.flags.ran('on')
    await world.clock.advance(2 * minute)
    expect(second.rollout.status.controller).toBe('DRIVING')
    expect(second.store.evidence?.judge.calls).toBe(12)
    await second.rollout.stop()
    expect(second.store.tallies).toEqual([])
  })

  it('need no store for their flags: each learns the share from the record, also after a restart', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    const apart = new SharedFlag()
    second.flags.world = apart
    await first.rollout.start()
    await second.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    await world.clock.advance(11_000)
    expect(apart.share).toMatchObject({ percentage: 10, targetGuilds: ['7'], sequence: 2 })
    await world.clock.advance(4 * hour)
    await first.rollout.stop()
    await second.rollout.stop()
    second.flags.world = new SharedFlag()
    await second.rollout.start()
    expect(second.flags.status('newSearch').percentage).toBe(100)
    expect(world.told).toHaveLength(4)
    await second.rollout.stop()
  })

  it('hold while one of them holds the flag off for itself, and roll back when that goes on', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    await second.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    second.flags.localState = 'fallen-back'
    await world.clock.advance(30_000)
    expect(first.rollout.status.state).toBe('HOLDING')
    expect(first.rollout.status.why).toMatch(/^in process [0-9a-f-]{36} the flag has fallen back to the old path$/)
    second.flags.localState = 'active'
    await world.clock.advance(minute)
    expect(first.rollout.status.state).toBe('RUNNING')
    second.flags.localState = 'fallen-back'
    await world.clock.advance(12 * minute)
    expect(first.rollout.status.state).toBe('ROLLED_BACK')
    await first.rollout.stop()
    await second.rollout.stop()
  })

  it('leave a rollout to its version, also in a rolling deploy', async () => {
    const world = new World()
    const old = world.process({ version: 'v1' })
    await old.rollout.start()
    await world.clock.advance(hour + minute)
    const shorter = { phases: [{ name: 'testers', percentage: 50, durationMs: hour }] }
    const next = world.process({ version: 'v2', plan: shorter })
    await next.rollout.start()
    await old.rollout.stop()
    await world.clock.advance(minute)
    expect(next.rollout.status).toMatchObject({ version: 'v2', controller: 'DRIVING', percentage: 50 })
    const late = world.process({ version: 'v2', plan: shorter })
    await late.rollout.start()
    next.kill()
    await world.clock.advance(3 * minute)
    expect(late.rollout.status).toMatchObject({ version: 'v2', controller: 'DRIVING' })
    await late.rollout.stop()
  })

  it('of an old version do not drive by their own plan what a newer one has begun', async () => {
    const world = new World()
    const old = world.process({ version: 'v1' })
    await old.rollout.start()
    const shorter = { phases: [{ name: 'testers', percentage: 50, durationMs: hour }] }
    const next = world.process({ version: 'v2', plan: shorter })
    await next.rollout.start()
    old.store.isDown = true
    await world.clock.advance(3 * minute)
    old.store.isDown = false
    await world.clock.advance(minute)
    expect(next.rollout.status).toMatchObject({ version: 'v2', controller: 'DRIVING' })
    next.kill()
    await world.clock.advance(10 * minute)
    expect(old.rollout.status).toMatchObject({ version: 'v2', controller: 'STANDBY', state: 'RUNNING' })
    expect(old.flags.share('newSearch')?.percentage).toBe(50)
    await old.rollout.stop()
  })

  it('forget the tally of one that was killed', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    await second.rollout.start()
    await world.clock.advance(minute)
    expect(first.store.tallies).toHaveLength(1)
    second.kill()
    await world.clock.advance(3 * minute)
    expect(first.store.tallies).toEqual([])
    await first.rollout.stop()
  })

  it('do not listen to one that froze and wakes up after another took over', async () => {
    const world = new World()
    const first = world.process()
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    // The write of an advance is under way when the process freezes.
    let isFrozen = false
    let wake: () => void = () => undefined
    first.store.beforeWrite = () => (isFrozen ? new Promise<void>((resolve) => (wake = resolve)) : undefined)
    isFrozen = true
    await world.clock.advance(16_000)
    const second = world.process()
    await second.rollout.start()
    await world.clock.advance(70_000)
    expect(second.rollout.status.controller).toBe('DRIVING')
    await second.rollout.rollback({ why: 'harm' })
    isFrozen = false
    wake()
    await world.clock.advance(minute)
    expect(first.rollout.status).toMatchObject({ controller: 'STANDBY', state: 'ROLLED_BACK' })
    expect((await first.rollout.finished).outcome).toBe('ROLLED_BACK')
    expect(world.flag.share).toMatchObject({ percentage: 0 })
    expect(world.told.map(({ id }) => id)).toEqual(['newSearch#1', 'newSearch#2', 'newSearch#3', 'newSearch#4'])
    await first.rollout.stop()
    await second.rollout.stop()
  })

  it('take a command from any of them, and the driver tells it', async () => {
    const world = new World()
    const [driver, other] = [world.process(), world.process()]
    await driver.rollout.start()
    await other.rollout.start()
    await other.rollout.skip({ why: 'go on', by: 'alice' })
    expect(world.flag.share?.percentage).toBe(10)
    await world.clock.advance(16_000)
    expect(driver.news.filter(({ aspect }) => aspect === 'rollout')).toHaveLength(2)
    expect(other.news.filter(({ aspect }) => aspect === 'rollout')).toHaveLength(0)
    expect(world.told[1]).toMatchObject({ by: 'alice', percentage: 10 })
    expect(driver.rollout.status.controller).toBe('DRIVING')
    await driver.rollout.stop()
    await other.rollout.stop()
  })

  it('let a rollback win over an advance that is being written, whichever is first', async () => {
    for (const isFirst of [true, false]) {
      const world = new World()
      const [driver, other] = [world.process(), world.process()]
      await driver.rollout.start()
      await other.rollout.start()
      await world.clock.advance(hour - 20_000)
      driver.store.beforeWrite = async () => {
        if (driver.rollout.status.healthyMs < hour - 16_000) return
        driver.store.beforeWrite = undefined
        if (isFirst) await other.rollout.rollback({ why: 'harm' })
        else void other.rollout.rollback({ why: 'harm' })
      }
      await world.clock.advance(2 * minute)
      expect(driver.rollout.status).toMatchObject({ state: 'ROLLED_BACK', percentage: 0 })
      expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
      const shares = world.flag.shares.map(({ sequence }) => sequence)
      expect(shares).toEqual([...new Set(shares)].toSorted((a, b) => a - b))
      await driver.rollout.stop()
      await other.rollout.stop()
    }
  })

  it('let a rollback win over an advance of the same process that the store does not answer', async () => {
    const world = new World()
    const { rollout, store, flags } = world.process()
    await rollout.start()
    await world.clock.advance(hour - 1_000)
    // First the evidence, then the record.
    store.faults.set(store.writes + 2, 'written but hangs')
    await world.clock.advance(1_500)
    const rolledBack = rollout.rollback({ why: 'harm' })
    await world.clock.advance(20_000)
    await rolledBack
    expect(world.flag.shares.map(({ percentage }) => percentage)).not.toContain(10)
    expect(flags.status('newSearch').percentage).toBe(0)
    // What was written was told, also what was never put in force.
    expect(pathOf(world.told)).toEqual([
      'PENDING>RUNNING 0 %',
      'RUNNING>RUNNING 10 %',
      'RUNNING>VALIDATING 0 %',
      'VALIDATING>ROLLED_BACK 0 %',
    ])
    await rollout.stop()
  })

  it.each(['while it is written', 'before it is written'])(
    'let a rollback win over an advance of the same process: %s',
    async (when) => {
      const world = new World()
      let rolledBack: Promise<void> | undefined
      const rollBack = (): void => {
        if (process.rollout.status.healthyMs >= hour - 15_000) rolledBack ??= process.rollout.rollback({ why: 'harm' })
      }
      const process = world.process(when === 'before it is written' ? { measure: () => (rollBack(), {}) } : {})
      if (when === 'while it is written') process.store.beforeWrite = rollBack
      await process.rollout.start()
      await world.clock.advance(hour - 1_500)
      await world.clock.advance(20_000)
      await rolledBack
      expect(process.rollout.status.state).toBe('ROLLED_BACK')
      expect(world.flag.shares.every(({ percentage }) => percentage === 0)).toBe(true)
      expect(pathOf(world.told).includes('RUNNING>RUNNING 10 %')).toBe(when === 'while it is written')
      await process.rollout.stop()
    },
  )

  it('take a command once from a store that forgets that it did so', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    store.faults.set(store.writes + 1, 'written but says no')
    await rollout.skip({ why: 'go on' })
    expect(rollout.status.phase).toBe('canary')
    await rollout.stop()
  })

  it('roll back what one of them has switched off and could not write down before it ended', async () => {
    const world = new World()
    const [first, second] = [world.process(), world.process()]
    await first.rollout.start()
    second.store.isDown = true
    await second.rollout.start()
    await expect(second.rollout.rollback({ why: 'users complain' })).rejects.toThrow('connection refused')
    expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
    await second.rollout.stop()
    await world.clock.advance(minute)
    expect(first.rollout.status).toMatchObject({ state: 'ROLLED_BACK' })
    expect((await first.rollout.finished).why).toContain('switched it off')
    await first.rollout.stop()
  })

  it('never tell a transition twice nor leave one out, whoever starts, stops, and asks for what', async () => {
    const step = fc.record({
      who: fc.nat({ max: 2 }),
      what: fc.constantFrom('start', 'stop', 'pause', 'resume', 'skip', 'rollback', 'gradually', 'down', 'up'),
      waitMs: fc.constantFrom(0, 1, 20_000, 90_000, hour),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const world = new World()
        const all = [world.process(), world.process(), world.process()]
        const asked: Promise<unknown>[] = []
        for (const { who, what, waitMs } of [{ who: 0, what: 'start', waitMs: 0 }, ...steps]) {
          const { rollout, store } = all[who]!
          const reason = { why: what }
          if (what === 'down' || what === 'up') store.isDown = what === 'down'
          else if (what === 'start' || what === 'stop') asked.push(rollout[what]())
          else if (what === 'gradually') asked.push(rollout.rollback({ ...reason, gradually: true }))
          else asked.push(rollout[what as 'pause'](reason))
          asked.at(-1)?.catch(() => undefined)
          await world.clock.advance(waitMs)
        }
        for (const { store } of all) store.isDown = false
        for (const { rollout } of all) void rollout.start()
        await world.clock.advance(30 * minute)
        const { record } = all[0]!.store
        const sequences = world.told.map(({ sequence }) => sequence)
        expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b))
        expect(sequences.at(-1)).toBe(record?.sequence)
        const { sequence, ...share } = record!.run.share
        expect(world.flag.share).toMatchObject(share)
        // What was switched off in an outage has a sequence of its own.
        if (share.percentage > 0) expect(world.flag.share?.sequence).toBe(sequence)
        const shares = world.flag.shares.map(({ sequence }) => sequence)
        expect(shares).toEqual([...new Set(shares)].toSorted((a, b) => a - b))
        await Promise.all([...all.map(({ rollout }) => rollout.stop()), world.clock.advance(minute)])
        expect(world.clock.pending).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
