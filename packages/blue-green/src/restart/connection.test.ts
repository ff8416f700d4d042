import { afterEach, describe, expect, it, vi } from 'vitest'
import { Fleet, standby, stopOf, twoProcesses, type FleetProcess } from '../test-support/fleet.js'
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

const newsOf = ({ told }: FleetProcess): string[] => told.filter((news) => news.startsWith('connection'))

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
    await fleet.clock.advance(1_000)
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
    const asked = vi.fn(() => fleet.processes[0]?.isConnected !== false)
    const [before] = await cutOff(fleet, { isConnected: asked })
    const stop = before.restart.stop()
    await fleet.clock.advance(5_000)
    expect(before.restart.status.versions).toContain('v1')
    expect(asked.mock.calls.length).toBeLessThan(300)
    fleet.send('2')
    before.reconnect()
    await fleet.clock.advance(5_000)
    await stop
    expect([by(fleet, '1'), by(fleet, '2')]).toEqual([['v1'], ['v2']])
    expect([before.errors, newsOf(before)]).toEqual([[], ['connection down > awaited']])
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
    expect([fleet.clock.pending, newsOf(only)]).toEqual([0, []])
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

  it('waits for drainMs at most, whether it has drained or not', async () => {
    for (const drains of [false, true]) {
      const fleet = new Fleet()
      const [before] = await twoProcesses(fleet)
      const drained = drains ? before.restart.drain() : undefined
      await fleet.clock.advance(2_000)
      await drained
      before.isConnected = false
      const stop = stopOf(before)
      await fleet.clock.advance(29_000)
      expect(stop.isOver).toBe(false)
      await fleet.clock.advance(5_000)
      await stop.done
    }
  })

  it('has also what comes while it looks after something else, as a client noticed late that its connection was gone', async () => {
    const fleet = new Fleet()
    let isNoticed = false
    const before = fleet.process({ isConnected: () => !isNoticed || before.isConnected })
    await before.begin()
    before.isConnected = false
    fleet.send('1')
    const after = fleet.process()
    const begun = after.begin()
    await fleet.clock.advance(2_000)
    await begun
    // Another connection of it is well, and what comes by that takes a while.
    before.isConnected = true
    before.receive('2')
    before.isConnected = false
    before.workMs = 5_000
    const stop = stopOf(before)
    await fleet.clock.advance(3_000)
    isNoticed = true
    await fleet.clock.advance(1_000)
    before.reconnect()
    await fleet.clock.advance(60_000)
    await stop.done
    expect([by(fleet, '1'), by(fleet, '2')]).toEqual([['v1'], ['v1']])
  })

  it('decides in time what it has while it waits', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(100)
    const stop = stopOf(before)
    await fleet.clock.advance(10)
    before.receive('2')
    await fleet.clock.advance(10)
    before.isConnected = false
    await fleet.clock.advance(3_000)
    expect([stop.isOver, by(fleet, '2')]).toEqual([false, ['v1']])
    before.reconnect()
    await fleet.clock.advance(60_000)
    await stop.done
  })

  it('knows of one that has taken over a moment ago', async () => {
    const fleet = new Fleet()
    const before = await alone(fleet)
    before.isConnected = false
    fleet.send('1')
    const after = await standby(fleet)
    const taken = after.restart.takeOver()
    await fleet.clock.advance(0)
    const stop = stopOf(before)
    await fleet.clock.advance(1_000)
    before.reconnect()
    await fleet.clock.advance(10_000)
    await Promise.all([stop.done, taken])
    expect(by(fleet, '1')).toEqual(['v1'])
  })

  it('waits anew for a connection that was up since it waited in vain', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    before.isConnected = false
    const drain = before.restart.drain({ timeoutMs: 1_000 })
    await fleet.clock.advance(1_500)
    expect(await drain).toMatchObject({ isConnected: false })
    before.reconnect()
    const back = before.restart.takeOver()
    await fleet.clock.advance(1_000)
    await back
    const gone = stopOf(after)
    await fleet.clock.advance(10_000)
    await gone.done
    after.isLoggedIn = false
    before.isConnected = false
    fleet.send('1')
    const next = fleet.process()
    const begun = next.begin()
    await fleet.clock.advance(2_000)
    await begun
    const stop = stopOf(before)
    await fleet.clock.advance(300)
    before.reconnect()
    await fleet.clock.advance(10_000)
    await stop.done
    expect(by(fleet, '1')).toEqual(['v1'])
  })

  it('lets a heartbeat pass, for a client may say that it is connected before it has passed on what it had missed', async () => {
    for (const what of ['drain', 'stop'] as const) {
      const fleet = new Fleet()
      const [before] = await cutOff(fleet)
      const drained = what === 'drain' ? before.restart.drain() : undefined
      const stop = what === 'stop' ? stopOf(before) : undefined
      await fleet.clock.advance(1_000)
      before.isConnected = true
      await fleet.clock.advance(200)
      before.reconnect()
      await fleet.clock.advance(5_000)
      await drained
      const { done } = stop ?? stopOf(before)
      await fleet.clock.advance(5_000)
      await done
      expect(by(fleet, '1')).toEqual(['v1'])
    }
  })

  it('is counted in again while it waits, and has its events then', async () => {
    const fleet = new Fleet()
    const [before] = await cutOff(fleet)
    const stop = stopOf(before)
    await fleet.clock.advance(500)
    before.isCutOff = true
    await fleet.clock.advance(6_000)
    before.isCutOff = false
    await fleet.clock.advance(5_000)
    before.reconnect()
    await fleet.clock.advance(20_000)
    await stop.done
    expect([by(fleet, '1'), before.undecided]).toEqual([['v1'], []])
  })

  it('stops waiting in a drain when it owns the events again', async () => {
    const fleet = new Fleet()
    const [before] = await cutOff(fleet)
    const drained = vi.fn()
    const drain = before.restart.drain().then(drained)
    await fleet.clock.advance(1_000)
    const back = before.restart.takeOver()
    await fleet.clock.advance(1_000)
    await Promise.all([back, drain])
    expect(drained).toHaveBeenCalledWith(expect.objectContaining({ isHandedOver: false, isConnected: false }))
  })

  it('does not wait where it has not started, or has stopped', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet)
    const stop = stopOf(before)
    await fleet.clock.advance(10_000)
    await stop.done
    before.isConnected = false
    const never = fleet.process({ isConnected: () => false })
    expect(await before.restart.drain()).toMatchObject({ isConnected: false })
    expect(await never.restart.drain()).toMatchObject({ isConnected: false })
  })

  it('does not hang in one moment, whatever isConnected says', async () => {
    const fleet = new Fleet()
    let asked = 0
    const [before] = await twoProcesses(fleet, { isConnected: () => (asked += 1) % 2 === 0 })
    const stop = stopOf(before)
    asked = 0
    await fleet.clock.advance(60_000)
    await stop.done
    expect(asked).toBeLessThan(5_000)
  })

  it('says that it did not wait where nobody could serve yet', async () => {
    const fleet = new Fleet()
    const only = await alone(fleet)
    const whys: string[] = []
    only.restart.on('change', ({ what, why }) => {
      if (what === 'connection') whys.push(why)
    })
    only.isConnected = false
    await standby(fleet)
    const stop = stopOf(only)
    await fleet.clock.advance(5_000)
    await stop.done
    expect(whys).toEqual(['there was nobody yet who could serve meanwhile'])
  })

  it('waits for what has begun while it waited, be it with a drain before or not', async () => {
    const fleet = new Fleet()
    let isUp = false
    const [before] = await cutOff(fleet, { isConnected: () => isUp })
    before.workMs = 5_000
    const stop = stopOf(before)
    await fleet.clock.advance(500)
    // One of its connections; another one is still down.
    before.reconnect()
    await fleet.clock.advance(2_500)
    expect(fleet.runsOf('1').map(({ isEnded }) => isEnded)).toEqual([false])
    isUp = true
    while (!stop.isOver) await fleet.clock.advance(100)
    expect(fleet.runsOf('1').map(({ isEnded }) => isEnded)).toEqual([true])
  })

  it.each(['isCutOff', 'freezes'] as const)(
    'waits until it knows who has what came while it was out: it %s',
    async (how) => {
      for (const gapMs of [10, 100, 500, 1_000]) {
        const fleet = new Fleet()
        const [before] = await cutOff(fleet)
        const stop = stopOf(before)
        await fleet.clock.advance(500)
        if (how === 'isCutOff') before.isCutOff = true
        else before.freeze()
        await fleet.clock.advance(8_000)
        before.isCutOff = false
        before.thaw()
        await fleet.clock.advance(gapMs)
        before.reconnect()
        await fleet.clock.advance(40_000)
        await stop.done
        expect([by(fleet, '1'), before.undecided], String(gapMs)).toEqual([['v1'], []])
      }
    },
  )

  it('gives its guilds away as soon as the store is back', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet)
    const back = before.restart.takeOver()
    await fleet.clock.advance(1_000)
    await back
    before.isConnected = false
    fleet.store.isDown = true
    await fleet.clock.advance(600)
    const stop = stopOf(before)
    await fleet.clock.advance(1_500)
    fleet.store.isDown = false
    await fleet.clock.advance(2_000)
    expect([stop.isOver, before.restart.status.ownerVersion]).toEqual([false, 'v2'])
    before.reconnect()
    await fleet.clock.advance(10_000)
    await stop.done
  })

  it.each([
    [false, 36_000],
    [true, 66_000],
  ])('waits for drainMs once where the connection comes and goes (with a drain: %s)', async (drains, atMostMs) => {
    const fleet = new Fleet()
    const isConnected = (): boolean => Math.floor(fleet.clock.monotonic() / 200) % 2 === 0
    const [before] = await twoProcesses(fleet, { isConnected })
    const drained = drains ? before.restart.drain() : Promise.resolve(undefined)
    let isOver = false
    const stop = drained.then(async (found) => {
      await before.restart.stop()
      isOver = true
      return found
    })
    await fleet.clock.advance(atMostMs)
    expect(isOver).toBe(true)
    if (drains) expect(await stop).toMatchObject({ isConnected: false })
    expect(newsOf(before).at(-1)).toBe('connection down > left')
  })
})

describe('a process whose connection is down while another one leaves', () => {
  it('runs nothing that the other one has run, however late it comes', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    before.isConnected = after.isConnected = false
    for (const id of ['1', '2', '3']) fleet.send(id)
    await fleet.clock.advance(600)
    before.reconnect()
    const end = before.restart.drain().then(() => before.restart.stop())
    await fleet.clock.advance(5_000)
    await end
    before.isLoggedIn = false
    await fleet.clock.advance(10_000)
    after.reconnect()
    await fleet.clock.advance(10_000)
    expect(['1', '2', '3'].map((id) => by(fleet, id))).toEqual([['v1'], ['v1'], ['v1']])
    // Then it is alone as ever, and runs each event in the tick in which it comes.
    fleet.send('4')
    await fleet.clock.advance(0)
    expect(by(fleet, '4')).toEqual(['v2'])
  })

  it('waits for the claim of it, where the store is out when it comes', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    before.isConnected = after.isConnected = false
    fleet.send('1')
    await fleet.clock.advance(600)
    before.reconnect()
    const end = before.restart.drain().then(() => before.restart.stop())
    await fleet.clock.advance(5_000)
    await end
    before.isLoggedIn = false
    fleet.store.isDown = true
    await fleet.clock.advance(5_000)
    after.reconnect()
    await fleet.clock.advance(10_000)
    fleet.store.isDown = false
    await fleet.clock.advance(10_000)
    expect([by(fleet, '1'), after.repeated, after.undecided]).toEqual([['v1'], [], []])
  })

  it('serves on where the store is out, with its connection down or back', async () => {
    for (const isBack of [false, true]) {
      const fleet = new Fleet()
      const [, after] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      fleet.store.isDown = true
      await fleet.clock.advance(5_000)
      after.isConnected = false
      await fleet.clock.advance(1_000)
      if (isBack) after.reconnect()
      // By one of its connections that is well.
      after.isConnected = true
      fleet.send('1')
      after.isConnected = isBack
      await fleet.clock.advance(2_000)
      expect(by(fleet, '1')).toEqual(['v2'])
    }
  })

  it.each([0, 1_500])(
    'runs nothing twice either where the client has noticed for %s ms that it is gone',
    async (ms) => {
      const fleet = new Fleet()
      let isNoticed = false
      const before: FleetProcess = fleet.process({ isConnected: () => !isNoticed || before.isConnected })
      await before.begin()
      await fleet.clock.advance(5_000)
      before.isConnected = false
      const after = fleet.process()
      const begun = after.begin()
      await fleet.clock.advance(2_000)
      await begun
      fleet.send('1')
      await fleet.clock.advance(1_000)
      const end = after.restart.drain().then(() => after.restart.stop())
      await fleet.clock.advance(3_000)
      await end
      after.isLoggedIn = false
      await fleet.clock.advance(5_000)
      isNoticed = true
      await fleet.clock.advance(ms)
      // Within one heartbeat, what was missed comes before the client says that it is connected.
      if (ms === 0) before.restart.handle('1').catch(() => undefined)
      before.reconnect()
      await fleet.clock.advance(5_000)
      expect(by(fleet, '1')).toEqual(['v2'])
    },
  )

  it('asks nothing of it any more once it has been alone for as long as claims stay', async () => {
    const fleet = new Fleet()
    const asked = vi.fn(() => true)
    const [before, after] = await twoProcesses(fleet, { isConnected: asked })
    before.kill()
    await fleet.clock.advance(1_000_000)
    asked.mockReturnValue(false)
    asked.mockClear()
    after.receive('1')
    await fleet.clock.advance(0)
    expect([by(fleet, '1'), asked.mock.calls.length]).toEqual([['v2'], 0])
  })

  it('is not taken for connected as it stood still while it was asked', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const back = before.restart.takeOver()
    await fleet.clock.advance(1_000)
    await back
    after.isConnected = false
    fleet.send('1')
    const stop = stopOf(before)
    await fleet.clock.advance(6_000)
    await stop.done
    before.isLoggedIn = false
    const entry = after.store.entry.bind(after.store)
    after.store.entry = async (key) => {
      after.store.entry = entry
      after.freeze()
      return entry(key)
    }
    await fleet.clock.advance(3_800)
    after.thaw()
    await fleet.clock.advance(2_000)
    after.reconnect()
    await fleet.clock.advance(10_000)
    expect(by(fleet, '1')).toEqual(['v1'])
  })
})
