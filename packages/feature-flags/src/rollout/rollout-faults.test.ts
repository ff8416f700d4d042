import { describe, expect, it } from 'vitest'
import type { Fault, FaultyRolloutStore } from '../test-support/faulty-rollout-store.js'
import { hour, World, type Process } from '../test-support/rollout-bot.js'

const minute = 60_000
const faults: Fault[] = [
  'refused',
  'written but refused',
  'written but says no',
  'hangs',
  'written but hangs',
  'lands late',
]

/** With few looks, each write of the story can fail in a test of its own. */
const slow = { intervalMs: 5 * minute, leaseMs: 10 * minute }

/** The steps of a story that passes through every kind of write, up to a gradual rollback and its end. */
const steps: ((process: Process, world: World) => Promise<unknown>)[] = [
  ({ rollout }, { clock }) => during(clock.advance(10_000), rollout.start()),
  calls(3),
  (_, { clock }) => clock.advance(hour + minute),
  calls(4),
  ({ rollout }, { clock }) => during(clock.advance(10_000), rollout.pause({ why: 'lunch' })),
  ({ rollout }, { clock }) => during(clock.advance(10_000), rollout.resume({ why: 'back' })),
  (_, { clock }) => clock.advance(2 * minute),
  ({ rollout }, { clock }) => during(clock.advance(10_000), rollout.rollback({ why: 'harm', gradually: true })),
  (_, { clock }) => clock.advance(20 * minute),
]

function calls(count: number) {
  return async ({ flags }: Process): Promise<void> => {
    for (let i = 0; i < count; i++) flags.ran('on')
  }
}

/** The clock has to move for a deadline to pass. A person whose command fails says it again. */
async function during(clock: Promise<void>, command: Promise<unknown>): Promise<void> {
  await Promise.all([clock, command.catch(() => undefined)])
}

/** Says again what failed, as a person would. */
async function insist(process: Process, world: World): Promise<void> {
  const { rollout } = process
  if (rollout.status.state === 'ROLLED_BACK') return
  await during(world.clock.advance(20_000), rollout.rollback({ why: 'harm', gradually: true }))
  await world.clock.advance(20 * minute)
}

/** All calls that were ever judged. */
function callsOf(evidence: FaultyRolloutStore['evidence']): number {
  return (evidence?.judge.calls ?? 0) + (evidence?.judge.earlier ?? 0)
}

/** What must hold whatever went wrong. */
function expectSound(world: World, process: Process): void {
  const { record } = process.store
  expect(record?.run.state).toBe('ROLLED_BACK')
  expect(record?.owner).toBeNull()
  // The evidence is there, and it is small.
  expect(process.store.evidence).toMatchObject({ counted: {} })
  expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
  expect(world.flag.share?.sequence).toBe(record?.run.share.sequence)
  // Every transition was told, in order, and none was left out.
  const ids = [...new Set(world.told.map(({ sequence }) => sequence))]
  expect(ids).toEqual(Array.from({ length: record?.sequence ?? 0 }, (_, i) => i + 1))
  for (const told of world.told) expect(told.to).toBe(record?.history.find((e) => e.sequence === told.sequence)?.to)
  const sequences = world.flag.shares.map(({ sequence }) => sequence)
  expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b))
  const start = record?.history.find(({ to }) => to === 'ROLLING_BACK')?.sequence ?? Infinity
  const down = world.flag.shares.filter(({ sequence }) => sequence >= start).map(({ percentage }) => percentage)
  expect(down).toEqual(down.toSorted((a, b) => b - a))
}

/** How many writes the story takes when nothing goes wrong. */
async function countWrites(): Promise<number> {
  const world = new World()
  const process = world.process(slow)
  for (const step of steps) await step(process, world)
  expectSound(world, process)
  expect(world.told.length).toBe(process.store.record?.sequence)
  return process.store.writes
}

const allWrites = await countWrites()
const writes = Array.from({ length: allWrites }, (_, i) => i + 1)

/** Whatever evidence was left behind is gone as soon as somebody drives again. */
async function expectTidy(world: World): Promise<void> {
  const { rollout, store } = world.process(slow)
  await rollout.start({ retry: true })
  expect(store.allEvidence).toEqual([store.record?.evidence])
  await rollout.stop()
}

describe(`a store that fails once, at any of ${allWrites} writes`, () => {
  it.each(faults)('does not lead astray a process that lives on: %s', async (fault) => {
    for (const write of writes) {
      const world = new World()
      const process = world.process(slow)
      process.store.faults.set(write, fault)
      for (const step of steps) {
        await step(process, world)
        process.store.land()
      }
      await insist(process, world)
      expectSound(world, process)
      // Nobody died, so nothing was told twice, and no call was counted twice or lost.
      expect(world.told.length).toBe(process.store.record?.sequence)
      expect(process.store.evidence?.judge).toEqual({ calls: 0, earlier: 7 })
      await process.rollout.stop()
      await expectTidy(world)
      expect(world.clock.pending).toBe(0)
    }
  })

  it.each(faults)('is taken up where it was after a crash in that moment: %s', async (fault) => {
    for (const write of writes) {
      const world = new World()
      let process = world.process(slow)
      process.store.faults.set(write, fault)
      process.store.beforeWrite = (n) => {
        if (n === write) process.store.isDead = true
      }
      let isReplaced = false
      for (const step of steps) {
        await step(process, world)
        if (isReplaced || process.store.writes < write) continue
        isReplaced = true
        process.store.land()
        const before = process.store.record
        const known = process.store.evidence
        process.kill()
        process = world.process(slow)
        await process.rollout.start()
        const isOver = before?.owner === null
        for (let i = 0; i < 90 && !isOver && process.store.record?.token === before?.token; i++) {
          await world.clock.advance(10_000)
        }
        const { record } = process.store
        expect(record?.token).toBe(isOver ? before.token : (before?.token ?? 0) + 1)
        expect(callsOf(process.store.evidence)).toBe(callsOf(known))
        expect(record?.run.phase).toBe(before?.run.phase ?? 0)
        expect(record?.run.healthyMs).toBe(before?.run.healthyMs ?? 0)
      }
      await insist(process, world)
      expectSound(world, process)
      await process.rollout.stop()
      await expectTidy(world)
    }
  })
})

describe('a flag that cannot be set in that moment', () => {
  it.each(['rejects', 'is set, but rejects', 'hangs'] as const)(
    'is set later, or by whoever takes over: %s',
    async (how) => {
      for (const isKilled of [false, true]) {
        for (let at = 1; at <= 14; at++) {
          const world = new World()
          let process = world.process(slow)
          let n = 0
          const { flags } = process
          const setShare = flags.setShare.bind(flags)
          flags.setShare = async (...share) => {
            n += 1
            if (n !== at) return setShare(...share)
            if (how === 'is set, but rejects') await setShare(...share)
            if (how === 'hangs') return new Promise(() => undefined)
            throw new Error('connection refused')
          }
          let isReplaced = false
          for (const step of steps) {
            await step(process, world)
            if (!isKilled || isReplaced || n < at) continue
            isReplaced = true
            process.kill()
            process = world.process(slow)
            await process.rollout.start()
            if (step !== steps.at(-1)) await world.clock.advance(12 * minute)
          }
          await insist(process, world)
          expectSound(world, process)
          if (!isKilled) expect(world.told.length).toBe(process.store.record?.sequence)
          await process.rollout.stop()
        }
      }
    },
  )

  it('is in force before it is told', async () => {
    const world = new World()
    const { rollout, flags } = world.process()
    const setShare = flags.setShare.bind(flags)
    flags.setShare = async (...share) => {
      await new Promise<void>((resolve) => world.clock.after(2_000, resolve))
      return setShare(...share)
    }
    const inForce: (readonly [number, number])[] = []
    rollout.on('transition', ({ percentage }) => inForce.push([percentage, flags.status('newSearch').percentage]))
    await Promise.all([rollout.start(), world.clock.advance(4 * hour)])
    expect(inForce).toEqual([
      [0, 0],
      [10, 10],
      [100, 100],
      [100, 100],
    ])
    await rollout.stop()
  })
})

describe('a store that is out of reach', () => {
  it('shifts nothing, is told once, and goes on when it is back', async () => {
    const world = new World()
    const process = world.process()
    await process.rollout.start()
    await world.clock.advance(50 * minute)
    process.store.isDown = true
    await world.clock.advance(5 * hour)
    expect(process.rollout.status).toMatchObject({ phase: 'testers', store: 'down' })
    const { healthyMs } = process.rollout.status
    process.store.isDown = false
    await world.clock.advance(1_000)
    expect(process.rollout.status).toMatchObject({ phase: 'testers', store: 'up', healthyMs })
    await world.clock.advance(10 * minute)
    expect(process.rollout.status.phase).toBe('canary')
    const told = process.news.filter(({ aspect }) => aspect === 'store')
    expect(told.map(({ to, severity }) => [to, severity])).toEqual([
      ['down', 'WARNING'],
      ['up', 'INFO'],
    ])
    await process.rollout.stop()
  })

  it('does not stop a start, which goes on when it is back', async () => {
    const world = new World()
    const process = world.process()
    process.store.isDown = true
    await process.rollout.start()
    expect(process.rollout.status).toMatchObject({ state: 'PENDING', store: 'down' })
    process.store.isDown = false
    await world.clock.advance(1_000)
    expect(process.rollout.status).toMatchObject({ state: 'RUNNING', store: 'up' })
    await process.rollout.stop()
  })

  it('does not keep the flag on: a rollback is in force here at once, and written down later', async () => {
    const world = new World()
    const { rollout, store, flags } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    store.isDown = true
    world.flag.isDown = true
    await expect(rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE', applied: 'unknown' })
    expect(flags.status('newSearch').percentage).toBe(0)
    expect(store.record?.run.state).toBe('RUNNING')
    await world.clock.advance(hour)
    store.isDown = false
    world.flag.isDown = false
    await world.clock.advance(2_000)
    expect(await rollout.finished).toMatchObject({ outcome: 'ROLLED_BACK' })
    expect(world.flag.share).toMatchObject({ percentage: 0, targetGuilds: [] })
    await rollout.stop()
  })

  it('does not keep a harmful flag on either: what this process sees itself is enough', async () => {
    const world = new World()
    const { rollout, store, flags } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    store.isDown = true
    world.flag.isDown = true
    world.judge.verdict = { action: 'ROLLBACK', why: 'the new path loses its database' }
    await world.clock.advance(minute)
    expect(flags.status('newSearch').percentage).toBe(0)
    store.isDown = false
    world.flag.isDown = false
    await world.clock.advance(2_000)
    expect((await rollout.finished).why).toBe('the new path loses its database; all is well now')
    await rollout.stop()
  })

  it('does not keep the flag on where somebody asks a process that stands by', async () => {
    const world = new World()
    const [driver, other] = [world.process(), world.process()]
    await driver.rollout.start()
    await other.rollout.start()
    await driver.rollout.skip({ why: 'go on' })
    await world.clock.advance(11_000)
    for (const { store } of [driver, other]) store.isDown = true
    world.flag.isDown = true
    await expect(other.rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE' })
    expect(other.flags.status('newSearch').percentage).toBe(0)
    for (const { store } of [driver, other]) store.isDown = false
    world.flag.isDown = false
    await world.clock.advance(minute)
    expect(driver.rollout.status.state).toBe('ROLLED_BACK')
    expect(world.flag.share?.percentage).toBe(0)
    await driver.rollout.stop()
    await other.rollout.stop()
  })

  it('does not make a process forget what was asked of it before it ever reached the store', async () => {
    const world = new World()
    const first = world.process({ version: 'v1' })
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    await first.rollout.stop()
    const second = world.process({ version: 'v2' })
    second.store.isDown = true
    await second.rollout.start()
    await expect(second.rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE' })
    expect(second.flags.status('newSearch').percentage).toBe(0)
    second.store.faults.set(second.store.writes + 1, 'refused')
    second.store.isDown = false
    await world.clock.advance(minute)
    expect(second.rollout.status).toMatchObject({ state: 'ROLLED_BACK', version: 'v1' })
    expect((await second.rollout.finished).why).toBe('harm; all is well now')
    await world.clock.advance(hour)
    expect(second.rollout.status.state).toBe('ROLLED_BACK')
    await second.rollout.stop()
  })

  it('does not make a process begin what it was asked to roll back before that had begun', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    store.isDown = true
    await rollout.start()
    await expect(rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE' })
    store.isDown = false
    await world.clock.advance(hour)
    expect(rollout.status.state).toBe('PENDING')
    await rollout.stop()
  })

  it('does not keep the flag on for as long as the store hangs', async () => {
    for (const who of ['a person', 'the judge']) {
      const world = new World()
      const { rollout, store, flags } = world.process()
      await rollout.start()
      await rollout.skip({ why: 'go on' })
      await world.clock.advance(14_000)
      store.faults.set(store.writes + 1, 'hangs')
      if (who === 'the judge') world.judge.verdict = { action: 'ROLLBACK', why: 'harm' }
      const asked = who === 'a person' ? rollout.rollback({ why: 'harm' }).catch(() => undefined) : undefined
      await world.clock.advance(asked === undefined ? 1_100 : 1)
      expect(flags.status('newSearch').percentage).toBe(0)
      await world.clock.advance(minute)
      await asked
      expect((await rollout.finished).why).toBe('harm; all is well now')
      // The share that came first is that of the transition that was written then.
      expect(world.told.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
      expect(world.flag.share?.sequence).toBe(3)
      await rollout.stop()
    }
  })

  it('is told from a flag that cannot be set because of a mistake', async () => {
    const world = new World()
    const { rollout, flags, news } = world.process()
    flags.setShare = () => {
      throw new TypeError('"newSearch" has variants')
    }
    await expect(rollout.start()).rejects.toThrow('has variants')
    expect(news.map(({ aspect }) => aspect)).not.toContain('store')
    await rollout.stop()
  })

  it('does not keep a rollback waiting for an answer when it is known to be gone', async () => {
    const world = new World()
    const { rollout, store, flags } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    store.isDown = true
    await world.clock.advance(minute)
    store.isDead = true
    const refused = expect(rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE' })
    await world.clock.advance(1)
    expect(flags.status('newSearch').percentage).toBe(0)
    await world.clock.advance(minute)
    await refused
    const stopped = rollout.stop()
    await world.clock.advance(minute)
    await stopped
  })

  it('does not make anybody forget a rollback that was never written down', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    await rollout.skip({ why: 'go on' })
    store.isDown = true
    await expect(rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE' })
    await rollout.stop()
    store.isDown = false
    await rollout.start()
    await world.clock.advance(2 * minute)
    expect(rollout.status).toMatchObject({ state: 'ROLLED_BACK', percentage: 0 })
    expect((await rollout.finished).why).toMatch('a process switched it off, and could not write that down')
    await rollout.stop()
  })

  it('does not make a late rollback of one version harm the next', async () => {
    const world = new World()
    const [first, second] = [world.process({ version: 'v1' }), world.process({ version: 'v2' })]
    await first.rollout.start()
    await first.rollout.skip({ why: 'go on' })
    first.store.isDown = true
    world.flag.isDown = true
    await expect(first.rollout.rollback({ why: 'harm' })).rejects.toMatchObject({ code: 'ROLLOUT_STORE' })
    world.flag.isDown = false
    await second.rollout.start()
    await world.clock.advance(2 * minute)
    expect(second.rollout.status).toMatchObject({ state: 'RUNNING', version: 'v2', controller: 'DRIVING' })
    first.store.isDown = false
    await world.clock.advance(2 * minute)
    expect(second.rollout.status).toMatchObject({ state: 'RUNNING', version: 'v2', controller: 'DRIVING' })
    expect(first.rollout.status.controller).toBe('STANDBY')
    await first.rollout.stop()
    await second.rollout.stop()
  })

  it('is no reason to hang: stop() ends within its deadline', async () => {
    const world = new World()
    const { rollout, store } = world.process()
    await rollout.start()
    store.isDead = true
    const stopped = rollout.stop()
    await world.clock.advance(10_000)
    await stopped
    expect(world.clock.pending).toBe(0)
  })
})
