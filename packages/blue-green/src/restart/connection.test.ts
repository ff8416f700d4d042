import { afterEach, describe, expect, it, vi } from 'vitest'
import { Fleet, twoProcesses, type FleetProcess } from '../test-support/fleet.js'
import { alone } from '../test-support/flow-fleet.js'

/** An event waits in the session of the old process alone: the new one has logged in after it was sent, and has taken over. */
async function cutOff(
  fleet: Fleet,
  options: Parameters<Fleet['process']>[0] = {},
): Promise<readonly [FleetProcess, FleetProcess]> {
  const before = fleet.process(options)
  await before.begin()
  before.isConnected = false
  fleet.send('1')
  const after = fleet.process(options)
  const begun = after.begin()
  await fleet.clock.advance(2_000)
  await begun
  return [before, after]
}

const by = (fleet: Fleet, eventId: string): string[] => fleet.runsOf(eventId).map((run) => run.by)

afterEach(() => void vi.restoreAllMocks())

describe('a process that is to go while its connection is down', () => {
  it('drains when it is up again, and has what was sent to it alone', async () => {
    const fleet = new Fleet()
    const [before] = await cutOff(fleet)
    const drained = vi.fn()
    const drain = before.restart.drain().then(drained)
    await fleet.clock.advance(5_000)
    expect(drained).not.toHaveBeenCalled()
    before.reconnect()
    await fleet.clock.advance(100)
    await drain
    expect(drained).toHaveBeenCalledWith({
      drained: true,
      running: 0,
      flows: 0,
      isHandedOver: true,
      isConnected: true,
    })
    const stopped = before.restart.stop()
    await fleet.clock.advance(5_000)
    await stopped
    expect(by(fleet, '1')).toEqual(['v1'])
  })

  it('stops when it is up again, without a drain', async () => {
    const fleet = new Fleet()
    const asked = vi.fn(() => before.isConnected)
    const [before] = await cutOff(fleet, { isConnected: () => asked() })
    const stop = before.restart.stop()
    await fleet.clock.advance(5_000)
    expect(before.restart.status.versions).toContain('v1')
    expect(asked.mock.calls.length).toBeLessThan(150)
    fleet.send('2')
    before.reconnect()
    await fleet.clock.advance(5_000)
    await stop
    expect([by(fleet, '1'), by(fleet, '2')]).toEqual([['v1'], ['v2']])
    expect([before.errors, before.told.filter((told) => told.startsWith('connection'))]).toEqual([[], []])
  })

  it('stops when it is up again where it went down after the drain', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const drain = before.restart.drain()
    await fleet.clock.advance(1_000)
    await drain
    before.isConnected = false
    after.isLoggedIn = false
    fleet.send('1')
    after.isLoggedIn = true
    const stop = before.restart.stop()
    await fleet.clock.advance(5_000)
    before.reconnect()
    await fleet.clock.advance(5_000)
    await stop
    expect(by(fleet, '1')).toEqual(['v1'])
  })

  it('looks once more when all is done, for a client may notice late that its connection is gone', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(100)
    // It waits for a sign of life of the one that has claimed the event.
    const stopped = vi.fn()
    const stop = before.restart.stop().then(stopped)
    await fleet.clock.advance(50)
    before.isConnected = false
    before.receive('2')
    await fleet.clock.advance(10_000)
    expect(stopped).not.toHaveBeenCalled()
    before.reconnect()
    await fleet.clock.advance(5_000)
    await stop
    expect(by(fleet, '2')).toEqual(['v1'])
  })

  it('gives up after drainMs, says so, and a stop does not wait once more', async () => {
    const fleet = new Fleet()
    const [before] = await cutOff(fleet, { drainMs: 3_000 })
    const drain = before.restart.drain()
    await fleet.clock.advance(3_100)
    expect(await drain).toMatchObject({ isHandedOver: true, isConnected: false, drained: true })
    const stop = before.restart.stop()
    await fleet.clock.advance(2_000)
    await stop
    expect(before.told).toContain('connection down > left')
  })

  it('gives up after drainMs in a stop without a drain', async () => {
    const fleet = new Fleet()
    const [before] = await cutOff(fleet, { drainMs: 3_000 })
    const stopped = vi.fn()
    const stop = before.restart.stop().then(stopped)
    await fleet.clock.advance(2_500)
    expect(stopped).not.toHaveBeenCalled()
    await fleet.clock.advance(12_000)
    await stop
    expect(before.told).toContain('connection down > left')
  })

  it('ends the wait by the signal of the drain', async () => {
    const fleet = new Fleet()
    const [before] = await cutOff(fleet)
    const ending = new AbortController()
    const drain = before.restart.drain({ signal: ending.signal })
    const refused = expect(drain).rejects.toThrow('enough')
    await fleet.clock.advance(1_000)
    ending.abort(new Error('enough'))
    await refused
  })

  it('goes at once where nobody else is there', async () => {
    const fleet = new Fleet()
    const only = await alone(fleet)
    only.isConnected = false
    expect(await only.restart.drain()).toMatchObject({ drained: true, isConnected: false })
    await only.restart.stop()
    expect([fleet.clock.pending, only.told.filter((told) => told.startsWith('connection'))]).toEqual([0, []])
  })

  it.each([
    [
      'throws',
      (): boolean => {
        throw new Error('no client')
      },
    ],
    ['returns what is no answer', (async () => false) as unknown as () => boolean],
  ])('goes, and warns, where isConnected %s', async (_, isConnected) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const fleet = new Fleet()
    const [before] = await cutOff(fleet, { isConnected })
    const drain = before.restart.drain()
    await fleet.clock.advance(1_000)
    expect(await drain).toMatchObject({ isConnected: true })
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('isConnected failed'), {
      code: 'EVENKEEL_IS_CONNECTED',
      detail: expect.stringMatching(/no client|must return true or false, not object/) as string,
    })
  })
})
