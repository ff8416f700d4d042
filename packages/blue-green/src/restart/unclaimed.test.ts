import { describe, expect, it } from 'vitest'
import { Fleet, twoProcesses } from '../test-support/fleet.js'
import { alone, successor } from '../test-support/flow-fleet.js'

describe('what an owner served without a claim', () => {
  it('runs nowhere else, though another process gets its copy when the store is back', async () => {
    for (let ms = 0; ms < 1_500; ms += 50) {
      const fleet = new Fleet()
      const [before, after] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      fleet.store.isDown = true
      await fleet.clock.advance(1_000)
      after.receive('1')
      await fleet.clock.advance(1_250)
      fleet.store.isDown = false
      await fleet.clock.advance(ms)
      before.receive('1')
      await fleet.clock.advance(10_000)
      expect(
        fleet.runsOf('1').map(({ by }) => by),
        `${ms} ms later`,
      ).toEqual(['v2'])
    }
  })

  it.each([[10], [50], [100], [200], [1_100]])(
    'is claimed before a late copy of the last of %i events is due',
    async (count) => {
      const fleet = new Fleet(() => 0.999)
      const before = await alone(fleet)
      const after = await successor(fleet)
      await fleet.clock.advance(10_000)
      fleet.store.slowMs = 20
      fleet.store.isDown = true
      await fleet.clock.advance(1_000)
      for (let i = 0; i < count; i++) after.receive(`${i}/1`)
      await fleet.clock.advance(2_000)
      after.receive('last/1')
      await fleet.clock.advance(1_300)
      fleet.store.isDown = false
      while (before.restart.status.store === 'down') await fleet.clock.advance(10)
      await fleet.clock.advance(50)
      before.receive('last/1')
      await fleet.clock.advance(120_000)
      expect([after.restart.status.unclaimed, fleet.runsOf('last/1').map(({ by }) => by)]).toEqual([count + 1, ['v2']])
    },
    60_000,
  )

  it('has its claim finished, too, whose answer was lost', async () => {
    const fleet = new Fleet(() => 0.5)
    const before = await alone(fleet)
    const after = await successor(fleet)
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 20
    after.receive('7/1')
    await fleet.clock.advance(15) // the claim is written, its answer is lost
    fleet.store.isDown = true
    await fleet.clock.advance(1_300)
    fleet.store.isDown = false
    await fleet.clock.advance(100)
    before.receive('7/1')
    await fleet.clock.advance(10_000)
    expect([after.restart.status.unclaimed, fleet.runsOf('7/1')]).toMatchObject([1, [{ by: 'v2', isEnded: true }]])
    after.kill()
    await fleet.clock.advance(20_000)
    expect(fleet.runsOf('7/1')).toHaveLength(1)
  })

  it('is told by one that was cut off and stops then', async () => {
    const fleet = new Fleet(() => 0.5)
    await alone(fleet)
    const after = await successor(fleet)
    await fleet.clock.advance(10_000)
    after.isCutOff = true
    for (let i = 0; i < 60; i++) {
      fleet.send(`${i}/1`)
      await fleet.clock.advance(100)
    }
    const stopped = after.restart.stop()
    after.isLoggedIn = false
    await fleet.clock.advance(60_000)
    await stopped
    const twice = [...new Set(fleet.runs.map(({ eventId }) => eventId))].filter((id) => fleet.runsOf(id).length > 1)
    const told = new Set(fleet.processes.flatMap(({ repeated, undecided }) => [...repeated, ...undecided]))
    expect(twice.filter((id) => !told.has(id))).toEqual([])
  })

  it('is told of if it ran twice, however much it is', async () => {
    const fleet = new Fleet()
    await alone(fleet)
    const after = await successor(fleet)
    await fleet.clock.advance(10_000)
    after.isCutOff = true
    for (let i = 0; i < 3_000; i++) {
      fleet.send(`${i}/1`)
      await fleet.clock.advance(20)
    }
    after.isCutOff = false
    await fleet.clock.advance(60_000)
    const counts = new Map<string, number>()
    for (const { eventId } of fleet.runs) counts.set(eventId, (counts.get(eventId) ?? 0) + 1)
    const twice = [...counts].filter(([, n]) => n > 1).map(([id]) => id)
    const told = new Set(fleet.processes.flatMap(({ repeated, undecided }) => [...repeated, ...undecided]))
    expect(twice.filter((id) => !told.has(id))).toEqual([])
  }, 60_000)

  it.each([0, 50, 100, 200, 400])(
    'is claimed or told by an owner that stops %i ms after the store is back',
    async (ms) => {
      const fleet = new Fleet(() => 0.999)
      const [before, after] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      fleet.store.slowMs = 20
      fleet.store.isDown = true
      await fleet.clock.advance(1_000)
      const events = Array.from({ length: 400 }, (_, i) => `${i}/1`)
      for (const event of events) after.receive(event)
      await fleet.clock.advance(3_000)
      fleet.store.isDown = false
      while (after.restart.status.store === 'down') await fleet.clock.advance(10)
      await fleet.clock.advance(ms)
      let isStopped = false
      // It ends as soon as it has stopped.
      void after.restart.stop().then(() => {
        isStopped = true
        after.kill()
      })
      for (let i = 0; i < 2_000 && !isStopped; i++) await fleet.clock.advance(5)
      // The copies of the other one come late.
      for (const event of events) before.receive(event)
      await fleet.clock.advance(20_000)
      const told = new Set(fleet.processes.flatMap(({ repeated, undecided }) => [...repeated, ...undecided]))
      const untold = events.filter((event) => fleet.runsOf(event).length > 1 && !told.has(event))
      expect([isStopped, after.restart.status.unclaimed, untold]).toEqual([true, 400, []])
    },
  )

  it('is told where the store is so slow that a stop cannot wait for the claims', async () => {
    const fleet = new Fleet(() => 0.999)
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    const events = Array.from({ length: 2_000 }, (_, i) => `${i}/1`)
    for (const event of events) after.receive(event)
    await fleet.clock.advance(3_000)
    fleet.store.slowMs = 400
    fleet.store.isDown = false
    while (after.restart.status.store === 'down') await fleet.clock.advance(10)
    const beganMs = fleet.clock.monotonic()
    let stoppedMs = NaN
    void after.restart.stop().then(() => {
      stoppedMs = fleet.clock.monotonic() - beganMs
      after.kill()
    })
    for (let i = 0; i < 1_000 && Number.isNaN(stoppedMs); i++) await fleet.clock.advance(100)
    expect(stoppedMs).toBeLessThan(10_000)
    fleet.store.slowMs = 0
    let claims = 0
    for (const event of events) if ((await fleet.store.entry(`claim:bot:${event}`)) !== undefined) claims++
    expect(claims + after.undecided.length).toBeGreaterThanOrEqual(2_000)
  })
})
