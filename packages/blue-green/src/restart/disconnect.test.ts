import { afterEach, describe, expect, it, vi } from 'vitest'
import { Fleet, stopOf, twoProcesses, type FleetProcess } from '../test-support/fleet.js'

afterEach(() => void vi.restoreAllMocks())

const runsOf = (fleet: Fleet, eventId: string): [string, number, boolean][] =>
  fleet.runsOf(eventId).map(({ by, attempt, isEnded }) => [by, attempt, isEnded])

/** It stops, and has all the time that it may need. */
async function stopped(process: FleetProcess, fleet: Fleet, withinMs: number): Promise<void> {
  const stop = stopOf(process)
  await fleet.clock.advance(withinMs)
  await stop.done
}

describe('a process that ends its client as it stops', () => {
  it('runs what came in its last moment to one that died with it right then, and tells so', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { disconnect: () => before.disconnect() })
    after.workMs = 10_000
    const drain = before.restart.drain()
    await fleet.clock.advance(1_000)
    await drain
    before.onDisconnect = async () => {
      fleet.send('1')
      await new Promise<void>((resolve) => fleet.clock.after(7, resolve))
      expect(runsOf(fleet, '1')).toEqual([['v2', 1, false]])
      after.kill()
    }
    await stopped(before, fleet, 20_000)
    expect(runsOf(fleet, '1')).toEqual([
      ['v2', 1, false],
      ['v1', 2, true],
    ])
    expect(before.repeated).toEqual(['1'])
  })

  it('runs what came in its last moment to it alone', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet, { disconnect: () => before.disconnect() })
    before.onDisconnect = async () => before.receive('1')
    await stopped(before, fleet, 10_000)
    expect(runsOf(fleet, '1')).toEqual([['v1', 1, true]])
  })

  it('leaves what came in its last moment to another one that gets it later', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { disconnect: () => before.disconnect() })
    before.onDisconnect = async () => {
      before.receive('1')
      fleet.clock.after(300, () => after.receive('1'))
    }
    await stopped(before, fleet, 10_000)
    expect(runsOf(fleet, '1')).toEqual([['v2', 1, true]])
  })

  it('does so as long as it owns all there is, where it is alone, and refuses nothing until then', async () => {
    const fleet = new Fleet()
    const only = fleet.process({ disconnect: () => only.disconnect() })
    await only.begin()
    only.onDisconnect = async () => {
      fleet.send('1')
      await new Promise<void>((resolve) => fleet.clock.after(100, resolve))
      fleet.send('2')
    }
    await stopped(only, fleet, 10_000)
    expect([runsOf(fleet, '1'), runsOf(fleet, '2'), only.errors]).toEqual([[['v1', 1, true]], [['v1', 1, true]], []])
    await expect(only.restart.handle('3')).rejects.toMatchObject({ code: 'NOT_STARTED' })
  })

  it('is done within a lease where nothing is wrong', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { disconnect: () => before.disconnect() })
    after.workMs = 60_000
    const drain = before.restart.drain()
    await fleet.clock.advance(1_000)
    await drain
    fleet.send('1')
    before.onDisconnect = async () => fleet.send('2')
    const stop = stopOf(before)
    await fleet.clock.advance(3_000)
    expect(stop.isOver).toBe(true)
    await stop.done
  })

  it.each([
    ['does not end it in time', () => new Promise(() => undefined), /it has not ended within 30000 ms/],
    ['cannot end it', () => Promise.reject(new Error('no socket')), /no socket/],
    [
      'cannot even try',
      () => {
        throw new Error('no client')
      },
      /no client/,
    ],
  ])('and %s: it stops all the same, with a warning', async (_, disconnect, message) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    for (const isAlone of [true, false]) {
      warned.mockClear()
      const fleet = new Fleet()
      const before = fleet.process({ disconnect })
      await before.begin()
      if (!isAlone) {
        const after = fleet.process().begin()
        await fleet.clock.advance(1_000)
        await after
      }
      await stopped(before, fleet, 40_000)
      expect(before.restart.status.role).toBe('stopped')
      expect(warned).toHaveBeenCalledOnce()
      const { code, detail } = warned.mock.calls[0]?.[1] as unknown as { code: string; detail: string }
      expect(code).toBe('EVENKEEL_DISCONNECT')
      expect(detail).toMatch(message)
    }
  })

  it('ends it once, however often it is stopped, also where it had not started, and once more after the next start', async () => {
    const fleet = new Fleet()
    const disconnect = vi.fn()
    const only = fleet.process({ disconnect })
    for (const calls of [1, 1, 2, 2]) {
      if (calls === 2 && disconnect.mock.calls.length === 1) await only.begin()
      await stopped(only, fleet, 10_000)
      expect(disconnect).toHaveBeenCalledTimes(calls)
    }
  })

  it('takes over what nobody claims as ever while the end of its client takes its time', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet, { disconnect: () => before.disconnect() })
    before.onDisconnect = () => new Promise((resolve) => fleet.clock.after(20_000, resolve))
    const stop = stopOf(before)
    await fleet.clock.advance(2_500)
    before.receive('1')
    await fleet.clock.advance(1_600)
    expect(runsOf(fleet, '1')).toEqual([['v1', 1, true]])
    await fleet.clock.advance(60_000)
    await stop.done
  })

  it('refuses nothing until then either where one has come that cannot serve yet', async () => {
    const fleet = new Fleet()
    const before = fleet.process({ disconnect: () => before.disconnect() })
    await before.begin()
    await fleet.clock.advance(10_000)
    const started = fleet.process().restart.start()
    await fleet.clock.advance(1_000)
    await started
    before.onDisconnect = () => new Promise((resolve) => fleet.clock.after(300, resolve))
    const stop = stopOf(before)
    for (let i = 0; i < 20; i++) {
      await fleet.clock.advance(50)
      fleet.send(String(i))
    }
    await fleet.clock.advance(10_000)
    await stop.done
    expect(before.errors).toEqual([])
    expect(fleet.runs.map(({ eventId }) => eventId)).toEqual([...before.answers.keys()])
  })

  it('is given no events any more by one that drains meanwhile', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, {
      disconnect: () => before.disconnect(),
      context: (id) => ({ eventId: id === 'last' ? id : null, guildId: '7' }),
    })
    await fleet.clock.advance(10_000)
    // A handler keeps it from going.
    before.workMs = 15_000
    before.onDisconnect = async () => before.receive('last')
    const stop = stopOf(before)
    await fleet.clock.advance(4_000)
    expect([runsOf(fleet, 'last'), stop.isOver]).toEqual([[['v1', 1, false]], false])
    before.workMs = 0
    const drain = after.restart.drain()
    for (let i = 0; i < 100; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(100)
    }
    expect(fleet.runs.slice(1).map(({ by }) => by)).toEqual(Array<string>(100).fill('v2'))
    await fleet.clock.advance(60_000)
    await Promise.all([drain, stop.done])
  })

  it('tells that its connection is down, also where it ends its client first', async () => {
    const fleet = new Fleet()
    const before = fleet.process({ disconnect: () => before.disconnect() })
    await before.begin()
    await fleet.clock.advance(10_000)
    const started = fleet.process().restart.start()
    await fleet.clock.advance(1_000)
    await started
    before.isConnected = false
    await fleet.clock.advance(1_000)
    await stopped(before, fleet, 60_000)
    expect(before.told.filter((news) => news.startsWith('connection'))).toEqual(['connection down > left'])
  })

  it.each([
    ['its handlers', 60_000, false],
    ['its handlers, and the end of its client', 90_000, true],
  ])('is stopped at last where %s never end', async (_, atMostMs, hangs) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet, { disconnect: () => (hangs ? new Promise(() => undefined) : undefined) })
    before.workMs = 10_000_000
    const stop = stopOf(before)
    before.receive('1')
    await fleet.clock.advance(atMostMs)
    expect(stop.isOver).toBe(true)
  })

  it('does not take its own end for a connection that is down', async () => {
    const fleet = new Fleet()
    let hasEnded = false
    const [before] = await twoProcesses(fleet, {
      isConnected: () => !hasEnded,
      disconnect: () => void (hasEnded = true),
    })
    const stop = stopOf(before)
    await fleet.clock.advance(5_000)
    expect(stop.isOver).toBe(true)
    await stop.done
    expect(before.told.filter((news) => news.startsWith('connection'))).toEqual([])
  })
})
