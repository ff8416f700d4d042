import { describe, expect, it } from 'vitest'
import { Fleet, standby, stopOf, twoProcesses, type FleetProcess } from '../test-support/fleet.js'
import { alone, successor } from '../test-support/flow-fleet.js'

/** A process has claimed an event, and works for a minute. */
async function begins(fleet: Fleet, process: FleetProcess, eventId: string): Promise<void> {
  process.workMs = 60_000
  fleet.send(eventId)
  await fleet.clock.advance(100)
}

describe('a process that stops', () => {
  it('refuses what comes still where only one is there that cannot serve yet, and leaves it to nobody', async () => {
    const fleet = new Fleet()
    const only = await alone(fleet)
    only.workMs = 2_000
    fleet.send('1')
    const next = fleet.process()
    const started = next.restart.start()
    await fleet.clock.advance(1_000)
    await started
    const stopped = only.restart.stop()
    await fleet.clock.advance(5_000)
    await stopped
    fleet.send('2')
    await fleet.clock.advance(0)
    expect(only.errors).toMatchObject([{ code: 'NOT_STARTED' }])
  })

  it('leaves no timer behind, be it the owner or not', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const after = await successor(fleet)
    for (const { restart } of [after, before]) {
      const stopped = restart.stop()
      await fleet.clock.advance(20_000)
      await stopped
    }
    expect(fleet.clock.pending).toBe(0)
  })

  it('finds that the owner is dead, and has what it had begun before it goes', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await begins(fleet, after, '1')
    after.kill()
    // Nobody knows of that yet.
    const drained = before.restart.drain()
    await fleet.clock.advance(100)
    const stop = stopOf(before)
    await fleet.clock.advance(10_000)
    await stop.done
    await drained
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v2', '1 v1'])
    expect(before.restart.status).toMatchObject({ role: 'stopped', repeated: 1 })
  })

  it('looks after what comes meanwhile, should the owner die before it goes', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const third = fleet.process()
    // One that has begun something dies, so that the stop waits for it.
    const begun = third.begin()
    await fleet.clock.advance(2_000)
    await begun
    third.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(100)
    const taken = after.restart.takeOver()
    await fleet.clock.advance(2_000)
    await taken
    third.kill()
    const stop = stopOf(before)
    await fleet.clock.advance(500)
    fleet.send('2')
    await fleet.clock.advance(500)
    after.kill()
    fleet.send('3')
    await fleet.clock.advance(30_000)
    await stop.done
    expect(fleet.runsOf('2').map(({ by }) => by)).toEqual(['v2'])
    expect([fleet.runsOf('3').map(({ by }) => by), fleet.runsOf('1').length]).toEqual([['v1'], 2])
  })

  it('waits also for what came back while the drain waited for something else', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 4_000
    fleet.send('1')
    await fleet.clock.advance(100)
    const first = after.restart.drain()
    await fleet.clock.advance(1_000)
    const second = before.restart.drain()
    await fleet.clock.advance(1_000)
    expect(await second).toMatchObject({ isHandedOver: true })
    after.workMs = 20_000
    fleet.send('2')
    await fleet.clock.advance(3_000)
    expect(await first).toMatchObject({ drained: true })
    const stop = stopOf(after)
    await fleet.clock.advance(1_000)
    expect([stop.isOver, fleet.runsOf('2')[0]?.isEnded]).toEqual([false, false])
    await fleet.clock.advance(20_000)
    await stop.done
    expect(fleet.runsOf('2')[0]?.isEnded).toBe(true)
  })

  it('waits also for what it is given while it waits for a sign of life', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await begins(fleet, after, '1')
    const stop = stopOf(before)
    const drained = after.restart.drain()
    before.workMs = 5_000
    for (let i = 2; i < 12; i++) {
      await fleet.clock.advance(50)
      fleet.send(String(i))
    }
    await fleet.clock.advance(1_000)
    const begun = fleet.runs.filter(({ by, eventId }) => by === 'v1' && eventId !== '1')
    expect(begun.length).toBeGreaterThan(0)
    expect([stop.isOver, begun.every(({ isEnded }) => isEnded)]).toEqual([false, false])
    await fleet.clock.advance(60_000)
    await Promise.all([stop.done, drained])
    expect(begun.every(({ isEnded }) => isEnded)).toBe(true)
  })

  it('waits for one sign of life of the owner, and no longer', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await begins(fleet, after, '1')
    const stop = stopOf(before)
    await fleet.clock.advance(1_000)
    expect(stop.isOver).toBe(true)
    await stop.done
  })

  it('waits for nobody while the store is out', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await begins(fleet, after, '1')
    fleet.store.isDown = true
    const stop = stopOf(before)
    await fleet.clock.advance(2_000)
    expect(stop.isOver).toBe(true)
    await stop.done
  })

  it('waits for what came back to it after its drain, from another one that went', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const first = after.restart.drain()
    await fleet.clock.advance(1_000)
    expect(await first).toMatchObject({ drained: true, isHandedOver: true })
    const second = before.restart.drain()
    await fleet.clock.advance(1_000)
    expect(await second).toMatchObject({ drained: true, isHandedOver: true })
    after.workMs = 5_000
    fleet.send('1')
    await fleet.clock.advance(100)
    const stop = stopOf(after)
    await fleet.clock.advance(4_000)
    expect([fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`), stop.isOver]).toEqual([['1 v2'], false])
    await fleet.clock.advance(2_000)
    await stop.done
    expect(after.answers.get('1')).toBe('1 from v2')
  })

  it('gives its guilds away before it waits for what it has begun', async () => {
    const fleet = new Fleet(() => 0.999)
    const context = (event: string) => ({
      eventId: event.includes('unnamed') ? null : event,
      guildId: event.split('/')[0],
    })
    const [before, after] = await twoProcesses(fleet, { context })
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 20
    after.workMs = 20_000
    fleet.send('7/1')
    const stop = stopOf(after)
    for (let i = 0; i < 100; i++) {
      fleet.send(`7/unnamed${i}`)
      await fleet.clock.advance(50)
    }
    expect([stop.isOver, before.restart.status.role]).toEqual([false, 'owner'])
    const runs = fleet.runs.filter(({ eventId }) => eventId.includes('unnamed'))
    expect(runs.length).toBeGreaterThan(80)
    // Of what came while the guild moved, it is told.
    const undecided = before.restart.status.undecided + after.restart.status.undecided
    expect(undecided + new Set(runs.map(({ eventId }) => eventId)).size).toBeGreaterThanOrEqual(100)
    expect(new Set(runs.map(({ eventId }) => eventId)).size).toBe(runs.length)
    await fleet.clock.advance(20_000)
    await stop.done
    expect(after.restart.status.undecided).toBeGreaterThan(0)
    expect(fleet.runsOf('7/1')).toMatchObject([{ isEnded: true }])
  })

  it('gives its share back before it waits for what it has begun', async () => {
    const fleet = new Fleet(() => 0.999)
    const before = await alone(fleet)
    const after = await standby(fleet)
    const taken = after.restart.takeOver({ percentage: 0, first: ['7'] })
    await fleet.clock.advance(10_000)
    await taken
    fleet.store.slowMs = 20
    after.workMs = 20_000
    fleet.send('7/1')
    const stop = stopOf(after)
    await fleet.clock.advance(500)
    expect([stop.isOver, before.restart.status.role, before.restart.status.percentage]).toEqual([false, 'owner', 100])
    await fleet.clock.advance(20_000)
    await stop.done
  })

  it('ends a takeOver() that is under way, though the store is out', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    after.freeze()
    const taking = before.restart.takeOver().catch((error: unknown) => error)
    let isOver = false
    void taking.then(() => (isOver = true))
    await fleet.clock.advance(500)
    fleet.store.isDown = true
    const stop = stopOf(before)
    for (let i = 0; i < 30 && !stop.isOver; i++) await fleet.clock.advance(100)
    await fleet.clock.advance(600)
    expect([stop.isOver, isOver]).toEqual([true, true])
    expect(await taking).toMatchObject({
      code: 'NOT_TAKEN_OVER',
      message: expect.stringContaining('it was stopped') as string,
    })
  })

  it.each<[string, (fleet: Fleet, process: FleetProcess) => void]>([
    ['refuses', (fleet) => (fleet.store.isDown = true)],
    [
      'hangs',
      (fleet, { store }) => {
        fleet.store.isDown = true
        store.entry = store.set = store.compareAndSet = () => new Promise<never>(() => undefined)
      },
    ],
  ])('begins nothing any more and waits for nothing new, where the store %s', async (_, breaks) => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    after.workMs = 10_000
    breaks(fleet, after)
    await fleet.clock.advance(2_000)
    const stop = stopOf(after)
    const beganMs = fleet.clock.monotonic()
    for (let n = 0; n < 60 && !stop.isOver; n++) {
      fleet.send(`7/${n}`)
      await fleet.clock.advance(100)
    }
    expect(fleet.clock.monotonic() - beganMs).toBeLessThan(2_500)
    expect(fleet.runs).toEqual([])
  })

  it('does not wait for what was begun while it gave its guilds away: it begins nothing', async () => {
    const fleet = new Fleet(() => 0.999)
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 100
    after.workMs = 10_000
    const stop = stopOf(after)
    for (let n = 0; n < 30; n++) {
      fleet.send(`7/${n}`)
      await fleet.clock.advance(100)
    }
    expect(stop.isOver).toBe(true)
    await fleet.clock.advance(20_000)
    expect(fleet.runs.map(({ by }) => by)).toEqual(Array.from({ length: 30 }, () => 'v1'))
  })

  it('is over in time, however many events come', async () => {
    let seed = 1
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    const fleet = new Fleet(random)
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 10
    before.workMs = after.workMs = 2_000
    let count = 0
    const traffic = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 10) {
        for (let i = 0; i < 4; i++) fleet.send(`7/${count++}`)
        await fleet.clock.advance(10)
      }
    }
    await traffic(2_000)
    let isDrained = false
    void after.restart.drain().then(() => (isDrained = true))
    while (!isDrained) await traffic(100)
    const beganMs = fleet.clock.monotonic()
    const stop = stopOf(after)
    for (let i = 0; i < 100 && !stop.isOver; i++) await traffic(100)
    expect(fleet.clock.monotonic() - beganMs).toBeLessThan(6_000)
    after.isLoggedIn = false
    await traffic(3_000)
    await fleet.clock.advance(1_000)
    const runs = fleet.runs.map(({ eventId }) => eventId)
    expect([new Set(runs).size, runs.length]).toEqual([count, count])
  }, 60_000)

  it('refuses to take over', async () => {
    const fleet = new Fleet(() => 0.999)
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 100
    const stop = stopOf(after)
    await fleet.clock.advance(50)
    const taking = after.restart.takeOver().catch((error: unknown) => error)
    await fleet.clock.advance(3_000)
    expect(await taking).toMatchObject({ code: 'NOT_TAKEN_OVER' })
    expect([stop.isOver, before.restart.status.role]).toEqual([true, 'owner'])
  })

  it.each([
    [false, {}],
    [true, {}],
    [false, { heartbeatMs: 5_000, leaseMs: 20_000, keepMs: 12_500 }],
    [true, { heartbeatMs: 5_000, leaseMs: 20_000, keepMs: 12_500 }],
  ])('has drained in its time before, be the other one dead (%s), with %j', async (isDead, options) => {
    const fleet = new Fleet()
    const [before, after] = [fleet.process(options), fleet.process(options)]
    await before.begin()
    const begun = after.begin()
    await fleet.clock.advance(32_345)
    await begun
    if (isDead) before.kill()
    let isOver = false
    void after.restart.drain({ timeoutMs: 100 }).then(() => (isOver = true))
    for (let i = 0; i < 5; i++) await fleet.clock.advance(25)
    expect(isOver).toBe(true)
  })

  it('has ended what it has begun, however late its claim is answered', async () => {
    const cut: number[] = []
    let served = 0
    for (let ms = 0; ms < 1_000; ms += 10) {
      const fleet = new Fleet()
      const other = await alone(fleet)
      const leaver = await successor(fleet)
      const owner = await successor(fleet)
      await fleet.clock.advance(10_000)
      await begins(fleet, owner, '1')
      owner.kill()
      // Nobody knows of that yet: it becomes the owner while it stops.
      const stop = stopOf(leaver)
      leaver.workMs = other.workMs = 400
      await fleet.clock.advance(3_900)
      other.isCutOff = true
      await fleet.clock.advance(800)
      other.isCutOff = false
      await fleet.clock.advance(ms)
      // The store is slow from here on, also with the last word of the leaver.
      const pause = (): Promise<void> => new Promise((resolve) => fleet.clock.after(200, resolve))
      const set = leaver.store.set.bind(leaver.store)
      const compareAndSet = leaver.store.compareAndSet.bind(leaver.store)
      leaver.store.set = async (...write) => {
        const written = await set(...write)
        await pause()
        return written
      }
      leaver.store.compareAndSet = async (...write) => {
        await pause()
        return compareAndSet(...write)
      }
      leaver.receive('2')
      other.receive('2')
      // Its process ends as soon as it has stopped.
      void stop.done.then(() => leaver.kill())
      await fleet.clock.advance(60_000)
      const runs = fleet.runsOf('2')
      if (!runs.some(({ isEnded }) => isEnded)) cut.push(ms)
      if (runs.some(({ by }) => by === leaver.version)) served += 1
    }
    expect(cut).toEqual([])
    expect(served).toBeGreaterThan(0)
  })
})
