import { describe, expect, it } from 'vitest'
import { Fleet } from '../test-support/fleet.js'
import { alone, flowProcess, servedBy, successor } from '../test-support/flow-fleet.js'

describe('a flow', () => {
  it('stays in the process where it began when another one takes over, and ends there', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const pin = before.restart.pin('7/order', { kind: 'collector' })
    const after = await successor(fleet)
    expect(await servedBy(fleet, '7/1')).toEqual(['v2'])
    expect(await servedBy(fleet, '7/order/1')).toEqual(['v1'])
    expect([before, after].map(({ restart }) => restart.status)).toMatchObject([
      { role: 'standby', takenOver: 0, pins: { held: 1, collector: 1 } },
      { role: 'owner', takenOver: 0, pins: { held: 0 } },
    ])
    pin.release()
    await fleet.clock.advance(1_000)
    expect(await servedBy(fleet, '7/order/2')).toEqual(['v2'])
    await fleet.clock.advance(10_000)
    expect(fleet.runs).toHaveLength(3)
  })

  it('has its events begun where it is in the tick in which they come, as soon as the other one owns the rest', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.restart.pin('7/order')
    const after = flowProcess(fleet)
    let isOwner = false
    const begun = after.begin().then(() => (isOwner = true))
    while (!isOwner) await fleet.clock.advance(10)
    await begun
    expect([await servedBy(fleet, '7/order/1'), await servedBy(fleet, '7/1')]).toEqual([['v1'], ['v2']])
  })

  it('stays from the first moment: its events are never begun by the new owner, however soon they come', async () => {
    for (let ms = 0; ms < 2_000; ms += 50) {
      const fleet = new Fleet(() => 0.5)
      const before = await alone(fleet)
      fleet.store.slowMs = 30
      const coming = flowProcess(fleet)
      const begun = coming.begin()
      await fleet.clock.advance(ms)
      before.restart.pin('7/order')
      await fleet.clock.advance(2_000 - ms)
      await begun
      fleet.send('7/order/1')
      await fleet.clock.advance(5_000)
      const runs = fleet.runsOf('7/order/1').map(({ by }) => by)
      // Pinned when the other one owned the events already, it may be too late for an event that comes within two beats.
      expect(ms < 1_000 ? runs : runs.length).toEqual(ms < 1_000 ? ['v1'] : 1)
    }
  })

  it('that is pinned by one who does not own the events is known to the others after two signs of life', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    await successor(fleet)
    before.restart.pin('7/order')
    expect(await servedBy(fleet, '7/order/1', 2_000)).toHaveLength(1)
    expect(await servedBy(fleet, '7/order/2')).toEqual(['v1'])
  })

  it('stays when its guild is in a share, when there are three, and when its process owns the events again', async () => {
    const fleet = new Fleet()
    const first = await alone(fleet)
    first.restart.pin('7/order')
    const second = flowProcess(fleet)
    const starting = second.restart.start()
    await fleet.clock.advance(2_000)
    await starting
    second.isLoggedIn = true
    const sharing = second.restart.takeOver({ percentage: 0, first: ['7'] })
    await fleet.clock.advance(2_000)
    await sharing
    expect([await servedBy(fleet, '7/1'), await servedBy(fleet, '7/order/1')]).toEqual([['v2'], ['v1']])
    second.restart.pin('7/wizard')
    await fleet.clock.advance(2_000)
    await successor(fleet)
    expect(await servedBy(fleet, '7/2')).toEqual(['v3'])
    expect([await servedBy(fleet, '7/order/2'), await servedBy(fleet, '7/wizard/1')]).toEqual([['v1'], ['v2']])
    const back = first.restart.takeOver()
    await fleet.clock.advance(2_000)
    await back
    expect([await servedBy(fleet, '7/order/3'), await servedBy(fleet, '7/wizard/2')]).toEqual([['v1'], ['v2']])
    await fleet.clock.advance(10_000)
    expect(fleet.runs).toHaveLength(7)
  })

  it('moves when its process is killed: what it had not begun is taken over, and later events are the owner’s', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.restart.pin('7/order')
    const after = await successor(fleet)
    before.kill()
    expect(await servedBy(fleet, '7/order/1', 1_500)).toEqual(['v2'])
    expect(after.restart.status.takenOver).toBe(1)
    await fleet.clock.advance(10_000)
    expect(await servedBy(fleet, '7/order/2')).toEqual(['v2'])
  })

  it('runs once more elsewhere what its process died with', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.workMs = 60_000
    before.restart.pin('7/order')
    const after = await successor(fleet)
    expect(await servedBy(fleet, '7/order/1', 100)).toEqual(['v1'])
    before.kill()
    await fleet.clock.advance(10_000)
    expect(fleet.runsOf('7/order/1').map(({ by, attempt }) => [by, attempt])).toEqual([['v1', 1], ['v2', 2]]) // prettier-ignore
    expect(after.repeated).toEqual(['7/order/1'])
  })

  it('is waited for by drain, which moves it when its time is over; a voice connection stays until the stop', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const pins = ['7/order', '8/order'].map((key) => before.restart.pin(key))
    const voice = before.restart.pin('9/voice', { kind: 'voice' })
    await successor(fleet)
    const drained = before.restart.drain({ timeoutMs: 20_000 })
    await fleet.clock.advance(10_000)
    expect(await servedBy(fleet, '7/order/1')).toEqual(['v1'])
    pins[0]?.release()
    await fleet.clock.advance(10_000)
    expect(await drained).toEqual({ drained: true, running: 0, flows: 2, isHandedOver: true, isConnected: true })
    expect(pins.map(({ state, signal }) => [state, signal.aborted])).toEqual([['released', false], ['moved', true]]) // prettier-ignore
    await fleet.clock.advance(1_000)
    expect([await servedBy(fleet, '8/order/1'), await servedBy(fleet, '9/voice/1')]).toEqual([['v2'], ['v1']])
    const stopped = before.restart.stop()
    await fleet.clock.advance(20_000)
    await stopped
    before.isLoggedIn = false
    expect(voice.state).toBe('moved')
    expect(await servedBy(fleet, '9/voice/2')).toEqual(['v2'])
  })

  it('is let go at once by drain when it ends, and by one who goes alone', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const pin = before.restart.pin('7/order')
    expect(await before.restart.drain()).toMatchObject({ drained: true, flows: 1, isHandedOver: false })
    await successor(fleet)
    const drained = before.restart.drain()
    await fleet.clock.advance(1_000)
    pin.release()
    expect(await drained).toMatchObject({ drained: true, flows: 0, isHandedOver: true })
  })

  it('is lost to nobody while its process stops', async () => {
    for (let ms = 0; ms < 3_000; ms += 100) {
      const fleet = new Fleet(() => 0.5)
      const before = await alone(fleet)
      fleet.store.slowMs = 30
      before.restart.pin('7/order')
      await successor(fleet)
      const stopped = before.restart.stop().then(() => (before.isLoggedIn = false))
      await fleet.clock.advance(ms)
      fleet.send('7/order/1')
      await fleet.clock.advance(30_000)
      await stopped
      expect(fleet.runsOf('7/order/1'), `${ms} ms after`).toHaveLength(1)
      expect(fleet.clock.pending).toBeGreaterThan(0)
    }
  })

  it('ends by itself after maxMs', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const pin = before.restart.pin('7/order', { maxMs: 10_000 })
    await successor(fleet)
    expect(await servedBy(fleet, '7/order/1')).toEqual(['v1'])
    await fleet.clock.advance(10_000)
    expect([pin.state, pin.signal.aborted]).toEqual(['expired', true])
    expect(await servedBy(fleet, '7/order/2')).toEqual(['v2'])
  })

  it('is still there when its process had been taken for dead, and others had its events meanwhile', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.restart.pin('7/order')
    await successor(fleet)
    before.freeze()
    await fleet.clock.advance(10_000)
    expect(await servedBy(fleet, '7/order/1')).toEqual(['v2'])
    before.thaw()
    await fleet.clock.advance(10_000)
    expect(await servedBy(fleet, '7/order/2')).toEqual(['v1'])
    await fleet.clock.advance(10_000)
    expect(fleet.runs).toHaveLength(2)
  })

  it('does not concern an event that has no id, of which no two processes may take care', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.restart.pin('7/order')
    await successor(fleet)
    expect(await servedBy(fleet, '7/order/unnamed')).toEqual(['v2'])
  })
})

describe('a flow while the store is out', () => {
  it('has no event served without a claim that its process has run, of which the owner gets its copy when the flow has ended', async () => {
    const faults: string[] = []
    for (let ms = 0; ms < 1_400; ms += 50) {
      const fleet = new Fleet()
      const before = await alone(fleet)
      const pin = before.restart.pin('7/order')
      const after = await successor(fleet)
      await fleet.clock.advance(10_000)
      before.receive('7/order/last')
      await fleet.clock.advance(0)
      expect(fleet.runsOf('7/order/last')).toHaveLength(1)
      pin.release()
      await fleet.clock.advance(ms)
      fleet.store.isDown = true
      await fleet.clock.advance(10)
      after.receive('7/order/last')
      await fleet.clock.advance(5_000)
      fleet.store.isDown = false
      await fleet.clock.advance(20_000)
      const runs = fleet.runsOf('7/order/last')
      if (runs.length > 1) faults.push(`${ms} ms after`)
    }
    expect(faults).toEqual([])
  })

  it('has no event served without a claim that its process has claimed, when the flow ends and the store goes meanwhile', async () => {
    const faults: string[] = []
    for (let ms = 0; ms < 1_400; ms += 10) {
      const fleet = new Fleet(() => 0.5)
      const before = await alone(fleet)
      const pin = before.restart.pin('7/order')
      await successor(fleet)
      fleet.store.slowMs = 60
      await fleet.clock.advance(10_000)
      fleet.send('7/order/last')
      await fleet.clock.advance(70)
      pin.release()
      await fleet.clock.advance(ms)
      fleet.store.isDown = true
      await fleet.clock.advance(5_000)
      fleet.store.isDown = false
      await fleet.clock.advance(20_000)
      const runs = fleet.runsOf('7/order/last')
      if (runs.length > 1) faults.push(`${ms} ms after`)
    }
    expect(faults).toEqual([])
  })

  it('is not taken for known where it was pinned after an agreement whose answer was lost', async () => {
    const faults: string[] = []
    for (let ms = 0; ms < 600; ms += 20) {
      const fleet = new Fleet()
      const before = await alone(fleet)
      const after = flowProcess(fleet)
      const starting = after.restart.start()
      await fleet.clock.advance(2_000)
      await starting
      after.isLoggedIn = true
      const taken = after.restart.takeOver()
      before.losesNextAnswer = true
      await fleet.clock.advance(4_000)
      await taken
      expect([before.isCutOff, after.restart.status.role]).toEqual([true, 'owner'])
      before.isCutOff = before.losesNextAnswer = false
      before.restart.pin('7/order')
      await fleet.clock.advance(ms)
      fleet.store.isDown = true
      fleet.send('7/order/1')
      await fleet.clock.advance(5_000)
      fleet.store.isDown = false
      await fleet.clock.advance(20_000)
      const runs = fleet.runsOf('7/order/1')
      if (runs.length !== 1) faults.push(`${ms} ms after`)
    }
    expect(faults).toEqual([])
  })

  it.each([
    ['lives', false, ['v1']],
    ['dies', true, ['v2']],
  ])('has its events wait for the store, and lost to nobody: its process %s', async (_, isKilled, by) => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.restart.pin('7/order')
    await successor(fleet)
    await fleet.clock.advance(10_000)
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    for (const event of ['7/order/1', '7/1']) fleet.send(event)
    await fleet.clock.advance(5_000)
    expect(fleet.runs.map(({ eventId, by: version }) => [eventId, version])).toEqual([['7/1', 'v2']])
    if (isKilled) before.kill()
    fleet.store.isDown = false
    await fleet.clock.advance(20_000)
    expect(fleet.runsOf('7/order/1').map(({ by: version }) => version)).toEqual(by)
  })

  it('that nobody else knew of yet runs its events once at most', async () => {
    for (let ms = 0; ms < 1_500; ms += 50) {
      const fleet = new Fleet(() => 0.5)
      const before = await alone(fleet)
      fleet.store.slowMs = 30
      const after = await successor(fleet)
      await fleet.clock.advance(10_000)
      before.restart.pin('7/order')
      await fleet.clock.advance(ms)
      fleet.store.isDown = true
      fleet.send('7/order/1')
      await fleet.clock.advance(5_000)
      fleet.store.isDown = false
      await fleet.clock.advance(30_000)
      const runs = fleet.runsOf('7/order/1').length
      expect(runs, `${ms} ms after`).toBe(1)
      expect(after.repeated).toEqual([])
    }
  })
})
