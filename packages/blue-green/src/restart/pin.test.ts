import { describe, expect, it } from 'vitest'
import { Fleet } from '../test-support/fleet.js'
import { alone, flowProcess, servedBy, successor } from '../test-support/flow-fleet.js'

describe('a drain', () => {
  it('that is over keeps no flow from beginning where the process owns the events again, as the new one died', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const after = await successor(fleet)
    const drained = before.restart.drain({ timeoutMs: 1_000 })
    await fleet.clock.advance(2_000)
    await drained
    after.kill()
    await fleet.clock.advance(20_000)
    expect(before.restart.status.role).toBe('owner')
    expect(before.restart.pin('7/order').state).toBe('held')
  })

  it('that is over keeps no flow from beginning where the new process gives the events back', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const after = await successor(fleet)
    const drained = before.restart.drain({ timeoutMs: 1_000 })
    await fleet.clock.advance(2_000)
    await drained
    const given = after.restart.takeOver({ percentage: 0 })
    await fleet.clock.advance(20_000)
    await given
    expect(before.restart.status.role).toBe('owner')
    expect(before.restart.pin('7/order').state).toBe('held')
  })

  it('moves no flow of a process that owns the events again before it is over', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const pin = before.restart.pin('7/order', { maxMs: 600_000 })
    const after = await successor(fleet)
    const drained = before.restart.drain({ timeoutMs: 30_000 })
    await fleet.clock.advance(5_000)
    after.kill()
    await fleet.clock.advance(60_000)
    const result = await drained
    expect([pin.state, before.restart.status.role, result.isHandedOver]).toEqual(['held', 'owner', false])
  })

  it('moves no flow of a process that takes over again meanwhile', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const pin = before.restart.pin('7/order', { maxMs: 600_000 })
    await successor(fleet)
    const drained = before.restart.drain({ timeoutMs: 30_000 })
    await fleet.clock.advance(5_000)
    const taken = before.restart.takeOver()
    await fleet.clock.advance(60_000)
    await Promise.all([drained, taken])
    expect([pin.state, before.restart.status.role]).toEqual(['held', 'owner'])
    expect(before.restart.pin('8/order').state).toBe('held')
  })

  it('does not say that every handler has ended while that of the last event of a flow runs', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.workMs = 5_000
    const pin = before.restart.pin('7/order')
    await successor(fleet)
    let result: unknown
    void before.restart.drain({ timeoutMs: 30_000 }).then((found) => (result = found))
    await fleet.clock.advance(3_000)
    fleet.send('7/order/last')
    await fleet.clock.advance(100)
    expect(before.restart.status.running).toBe(1)
    pin.release() // as the handler of the last press does
    await fleet.clock.advance(1_000)
    expect([before.restart.status.running, result]).toEqual([1, undefined])
  })

  it('counts the flows that are there at its end, and not what maxPins moved', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet, { maxPins: 2 })
    before.restart.pin('7/a')
    await successor(fleet)
    const drained = before.restart.drain({ timeoutMs: 10_000 })
    await fleet.clock.advance(1_000)
    const pins = ['b', 'c', 'd', 'e'].map((key) => before.restart.pin(`7/${key}`))
    await fleet.clock.advance(1_000)
    for (const pin of pins) pin.release()
    await fleet.clock.advance(20_000)
    expect(await drained).toMatchObject({ flows: 0 })
  })
})

describe('pin', () => {
  it.each([[0], [1], [100], [400]])(
    'holds a stop up no longer, in a store that hangs, for all of %i flows',
    async (count) => {
      const fleet = new Fleet(() => 0.999)
      const before = await alone(fleet)
      await successor(fleet)
      await fleet.clock.advance(5_000)
      fleet.store.slowMs = 1e9
      for (let i = 0; i < count; i++) before.restart.pin(`7/${i}`)
      const beganMs = fleet.clock.monotonic()
      let stoppedMs = NaN
      void before.restart.stop().then(() => (stoppedMs = fleet.clock.monotonic() - beganMs))
      for (let i = 0; i < 600 && Number.isNaN(stoppedMs); i++) await fleet.clock.advance(1_000)
      expect(stoppedMs).toBeLessThan(15_000)
    },
  )

  it('writes once for all that is pinned in a tick', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    await successor(fleet)
    let writes = 0
    const cas = fleet.store.compareAndSet.bind(fleet.store)
    fleet.store.compareAndSet = (...args) => (writes++, cas(...args))
    for (let i = 0; i < 500; i++) before.restart.pin(`7/${i}`)
    await fleet.clock.advance(100)
    expect(writes).toBeLessThan(5)
  })

  it('leaves the other flows known, however many come', async () => {
    let seed = 7
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647
    const fleet = new Fleet(random)
    const before = await alone(fleet)
    await successor(fleet)
    before.restart.pin('7/order', { kind: 'collector' })
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 20
    const by: string[] = []
    for (let i = 0; i < 400; i++) {
      before.restart.pin(`8/${i}`)
      await fleet.clock.advance(10)
      if (i % 20 === 0) fleet.send(`7/order/n${i}`)
    }
    await fleet.clock.advance(20_000)
    for (let i = 0; i < 400; i += 20) by.push(...fleet.runsOf(`7/order/n${i}`).map((run) => run.by))
    expect(by.filter((one) => one !== 'v1')).toEqual([])
  })

  it('moves the new one where none of maxPins may move', async () => {
    const fleet = new Fleet()
    const only = await alone(fleet, { maxPins: 10 })
    for (let i = 0; i < 5_000; i++) only.restart.pin(`voice/${i}`, { kind: 'voice' })
    await successor(fleet)
    const size = JSON.stringify(await fleet.store.entry('restart:bot')).length
    expect(only.restart.status.pins.held).toBeLessThanOrEqual(10)
    expect(size).toBeLessThan(1_000)
  })

  it('writes nothing while nobody else is there', async () => {
    const fleet = new Fleet()
    const only = await alone(fleet)
    only.restart.pin('7/order')
    await fleet.clock.advance(2_000)
    expect(JSON.stringify(await fleet.store.entry('restart:bot'))).not.toContain('order')
  })

  it('refuses a key that another process has, and names its version', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.restart.pin('7/order')
    const after = await successor(fleet)
    expect(() => after.restart.pin('7/order')).toThrowError(
      expect.objectContaining({ code: 'PINNED_ELSEWHERE', key: '7/order', version: 'v1' }) as Error,
    )
    before.kill()
    await fleet.clock.advance(10_000)
    expect(after.restart.pin('7/order').state).toBe('held')
  })

  it('is the older process’s where two pin the same key in the same moment, and the other one hears of it', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    const after = await successor(fleet)
    const pins = [after, before].map(({ restart }) => restart.pin('7/order'))
    await fleet.clock.advance(2_000)
    expect(pins.map(({ state }) => state)).toEqual(['moved', 'held'])
    expect(await servedBy(fleet, '7/order/1')).toEqual(['v1'])
  })

  it('holds nothing before the start and after the stop', async () => {
    const fleet = new Fleet()
    const only = flowProcess(fleet)
    expect(only.restart.pin('7/order').state).toBe('moved')
    await only.begin()
    const pin = only.restart.pin('7/order')
    await only.restart.stop()
    expect([pin.state, only.restart.pin('7/order').state]).toEqual(['moved', 'moved'])
    expect(fleet.clock.pending).toBe(0)
    await only.begin()
    expect(only.restart.pin('7/order').state).toBe('held')
  })

  it('moves the oldest where there are more than maxPins', async () => {
    const only = await alone(new Fleet(), { maxPins: 2 })
    const pins = ['1', '2', '3'].map((key) => only.restart.pin(key))
    expect(pins.map(({ state }) => state)).toEqual(['moved', 'held', 'held'])
  })

  it.each([
    ['', {}, 'a string with something in it'],
    [7, {}, 'a string with something in it'],
    ['x'.repeat(201), {}, 'has 201 characters, more than 200'],
    ['a', { kind: 'thread' }, 'kind of a pin must be'],
    ['a', { maxMs: -1 }, 'maxMs must be'],
  ])('refuses the key %j with %j', async (key, options, message) => {
    const only = await alone()
    expect(() => only.restart.pin(key as string, options as never)).toThrow(message)
  })
})
