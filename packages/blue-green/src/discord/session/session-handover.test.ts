import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SessionFleet, type SessionProcess } from '../../test-support/session-fleet.js'
import { LowWaterMark } from './low-water-mark.js'

/** Starts it, whatever that has to wait for. */
async function begin(fleet: SessionFleet, process: SessionProcess, withinMs = 6_000): Promise<void> {
  const begun = process.start()
  await fleet.clock.advance(withinMs)
  await begun
}

describe('a session that is handed over', () => {
  it('goes from one process to the next, which leaves to the old one what that is at work on', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    before.workMs = 10_000
    fleet.send('1')
    await fleet.clock.advance(100)
    before.workMs = 0
    fleet.send('2')
    await fleet.clock.advance(100)
    expect(before.handover.status.sessions.get(0)).toEqual({ received: 3, done: 1, open: 1 })
    await begin(fleet, after, 1_000)
    expect([before, after].map(({ handover }) => handover.status.role)).toEqual(['closing', 'owner'])
    expect(before.isReplaced).toBe(true)
    fleet.send('3')
    await fleet.clock.advance(100)
    expect(after.handover.status.sessions.get(0)).toMatchObject({ done: 1, open: 1 })
    await fleet.clock.advance(10_000)
    expect(['1', '2', '3'].map((id) => fleet.runsOf(id))).toEqual([['v1 1'], ['v1 1'], ['v2 1']])
    expect(after.handover.status).toMatchObject({ running: 0, duplicates: 2, repeated: 0, unclaimed: 0 })
    expect(after.handover.status.sessions.get(0)).toMatchObject({ open: 0 })
    expect(fleet.gateway).toMatchObject({ identifies: 1, resumes: 1 })
    await before.handover.stop()
    await after.handover.stop()
    expect(fleet.clock.pending).toBe(0)
  })

  it('waits in the store where the old process is stopped first', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    before.workMs = 1_000
    fleet.send('1')
    await fleet.clock.advance(100)
    const stopped = before.handover.stop()
    await fleet.clock.advance(100)
    fleet.send('2')
    await fleet.clock.advance(2_000)
    await stopped
    await begin(fleet, after, 100)
    expect(['1', '2'].map((id) => fleet.runsOf(id))).toEqual([['v1 1'], ['v2 1']])
    expect(after.told).toEqual(['session resumed'])
  })

  it('of a process that was killed is resumed after its lease; what it was at work on runs again, and is reported', async () => {
    const fleet = new SessionFleet()
    const [dead, next] = [fleet.process(), fleet.process()]
    await begin(fleet, dead)
    fleet.send('1')
    await fleet.clock.advance(100)
    dead.workMs = 1_000
    fleet.send('2')
    await fleet.clock.advance(100)
    dead.kill()
    fleet.send('3')
    const begun = next.start()
    await fleet.clock.advance(4_000)
    expect(next.handover.status.role).toBe('joining')
    await fleet.clock.advance(2_000)
    await begun
    expect(['1', '2', '3'].map((id) => fleet.runsOf(id))).toEqual([['v1 1'], ['v1 1', 'v2 2'], ['v2 1']])
    expect(next.repeated).toEqual(['2'])
  })

  it('leaves alone what must not run twice, and says so', async () => {
    const fleet = new SessionFleet()
    const [dead, next] = [fleet.process(), fleet.process({ effects: () => 'atMostOnce' })]
    await begin(fleet, dead)
    dead.workMs = 1_000
    fleet.send('1')
    await fleet.clock.advance(100)
    dead.kill()
    await begin(fleet, next)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(next.unfinished).toEqual(['1'])
  })

  it('is not taken back by a process that stood still', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    before.body.freeze()
    fleet.send('1')
    await begin(fleet, after)
    fleet.send('2')
    before.body.thaw()
    await fleet.clock.advance(10_000)
    fleet.send('3')
    await fleet.clock.advance(100)
    expect(['1', '2', '3'].map((id) => fleet.runsOf(id))).toEqual([['v2 1'], ['v2 1'], ['v2 1']])
    expect(before.told).toEqual(['session new', 'membership out'])
    expect(before.handover.status.role).toBe('out')
    expect(fleet.gateway).toMatchObject({ identifies: 1, resumes: 1 })
    await before.handover.stop()
  })

  it('is resumed although the process was killed as soon as it had identified', async () => {
    const fleet = new SessionFleet()
    const [dead, next] = [fleet.process(), fleet.process()]
    await begin(fleet, dead, 10)
    dead.kill()
    fleet.send('1')
    await begin(fleet, next)
    expect(fleet.runsOf('1')).toEqual(['v2 1'])
    expect(fleet.gateway).toMatchObject({ identifies: 1, resumes: 1 })
  })

  it('is not taken before the connection of the old process is closed', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    const destroy = before.manager.destroy.bind(before.manager)
    before.manager.destroy = async (options) => {
      await new Promise<void>((resolve) => fleet.clock.after(900, resolve))
      await destroy(options)
    }
    const begun = after.start()
    await fleet.clock.advance(1_000)
    expect([before, after].map(({ handover }) => handover.status.role)).toEqual(['closing', 'joining'])
    await fleet.clock.advance(1_000)
    await begun
    expect(after.handover.status.role).toBe('owner')
  })

  it('is given on at once by a process that waits for what another one is at work on; nothing of that is lost', async () => {
    const fleet = new SessionFleet()
    const [first, second, third] = [fleet.process(), fleet.process(), fleet.process()]
    await begin(fleet, first)
    first.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(100)
    await begin(fleet, second, 2_000)
    const stopped = second.handover.stop()
    await fleet.clock.advance(200)
    await stopped
    first.kill()
    await begin(fleet, third)
    expect(fleet.runsOf('1')).toEqual(['v1 1', 'v3 2'])
    expect(third.repeated).toEqual(['1'])
  })

  it('leaves an event to the next process that was claimed by one that then stood still', async () => {
    const fleet = new SessionFleet(() => 0.5)
    // It hears that the claim was written only when it wakes up.
    const [before, after] = [fleet.process({ storeTimeoutMs: 60_000 }), fleet.process()]
    await begin(fleet, before)
    fleet.fleet.store.slowMs = 100
    fleet.send('1')
    await fleet.clock.advance(10)
    before.body.freeze()
    await begin(fleet, after, 10_000)
    before.body.thaw()
    await fleet.clock.advance(10_000)
    expect(fleet.runsOf('1')).toEqual(['v2 2'])
  })

  it('loses nothing of what came to a process that stood still, and nothing is overtaken by what comes when it wakes up', async () => {
    const fleet = new SessionFleet(() => 0.7)
    const [before, after] = [fleet.process(), fleet.process()]
    fleet.fleet.store.slowMs = 10
    await begin(fleet, before, 10_000)
    before.body.freeze()
    await fleet.clock.advance(8_000)
    for (const id of ['1', '2', '3']) fleet.send(id)
    before.body.thaw()
    const begun = after.start()
    fleet.send('4')
    await fleet.clock.advance(1)
    for (const id of ['5', '6']) fleet.send(id)
    await fleet.clock.advance(60)
    fleet.send('7')
    await fleet.clock.advance(30_000)
    await begun
    const ids = ['1', '2', '3', '4', '5', '6', '7']
    expect(ids.map((id) => fleet.runsOf(id).length)).toEqual([1, 1, 1, 1, 1, 1, 1])
    expect(fleet.runs.map(({ id }) => id)).toEqual(ids)
  })

  it('asks the store once whether it may go on after it stood still, for however many events', async () => {
    const fleet = new SessionFleet(() => 0.5)
    const only = fleet.process()
    await begin(fleet, only)
    fleet.fleet.store.slowMs = 100
    only.body.freeze()
    await fleet.clock.advance(8_000)
    for (let id = 1; id <= 50; id++) fleet.send(String(id))
    only.body.thaw()
    await fleet.clock.advance(1_000)
    expect(fleet.runs).toHaveLength(50)
  })

  it('is given to the next process from before an event that came late, as its frame took longer to inflate', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    fleet.gateway.inflateMs = 5
    for (const id of ['1', '2']) fleet.send(id)
    await fleet.clock.advance(1)
    expect(before.handover.status.sessions.get(0)).toEqual({ received: 3, done: 1, open: 0 })
    before.workMs = 60_000
    await fleet.clock.advance(2_000)
    expect(before.handover.status.sessions.get(0)).toEqual({ received: 3, done: 1, open: 1 })
    before.kill()
    await begin(fleet, after)
    expect(['1', '2'].map((id) => fleet.runsOf(id))).toEqual([['v1 1', 'v2 2'], ['v1 1']])
  })

  it('of which Discord has left a number out is resumed from behind it all the same', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    const { manager } = only
    const receive = manager.receive.bind(manager)
    manager.receive = (dispatch) => {
      if (dispatch.s !== 2) receive(dispatch)
    }
    for (const id of ['1', '2']) fleet.send(id)
    await fleet.clock.advance(100)
    expect(only.handover.status.sessions.get(0)).toEqual({ received: 3, done: 1, open: 0 })
    await fleet.clock.advance(1_000)
    expect(only.handover.status.sessions.get(0)).toEqual({ received: 3, done: 3, open: 0 })
  })

  it('is taken again by a process that had left it, which then does what it had left to others', async () => {
    const fleet = new SessionFleet()
    const [dead, again] = [fleet.process(), fleet.process()]
    await begin(fleet, dead)
    dead.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(100)
    await begin(fleet, again, 2_000)
    const stopped = again.handover.stop()
    await fleet.clock.advance(200)
    await stopped
    dead.kill()
    await begin(fleet, again)
    expect(fleet.runsOf('1')).toEqual(['v1 1', 'v2 2'])
    expect(again.repeated).toEqual(['1'])
  })

  it('is given up, too, by a process that has just taken it again, and could not write since', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    await before.handover.stop()
    before.manager.connect = () => new Promise(() => {})
    const overtaken = expect(before.start()).rejects.toMatchObject({ code: 'SESSION_HELD' })
    await fleet.clock.advance(100)
    const { store } = fleet.fleet
    const compareAndSet = store.compareAndSet.bind(store)
    store.compareAndSet = (key, ...write) => {
      return key === 'session:bot' ? Promise.reject(new Error('connection refused')) : compareAndSet(key, ...write)
    }
    const begun = after.start()
    await fleet.clock.advance(600)
    store.compareAndSet = compareAndSet
    await fleet.clock.advance(2_000)
    await begun
    await overtaken
    expect([before, after].map(({ handover }) => handover.status.role)).toEqual(['stopped', 'owner'])
  })

  it('is given up although the store does not take that the first time', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    const { store } = before.body
    const compareAndSet = store.compareAndSet.bind(store)
    store.compareAndSet = (key, version, value) => {
      const isGivenUp = key === 'session:bot' && !(value as { isOpen: boolean }).isOpen
      if (!isGivenUp) return compareAndSet(key, version, value)
      store.compareAndSet = compareAndSet
      return Promise.reject(new Error('ECONNRESET'))
    }
    await begin(fleet, after, 2_000)
    expect([before, after].map(({ handover }) => handover.status.role)).toEqual(['closing', 'owner'])
    expect(before.isReplaced).toBe(true)
    for (const { handover } of [before, after]) await handover.stop()
    expect(fleet.clock.pending).toBe(0)
  })

  it('is not taken by one that is told to end while it waits for it', async () => {
    const fleet = new SessionFleet()
    const [dead, next] = [fleet.process(), fleet.process()]
    await begin(fleet, dead)
    dead.kill()
    const refused = expect(next.start()).rejects.toMatchObject({ code: 'SESSION_HELD' })
    await fleet.clock.advance(1_000)
    expect(await next.handover.drain()).toEqual({ drained: true, running: 0 })
    await fleet.clock.advance(10_000)
    await refused
    expect(next.handover.status.role).toBe('stopped')
    expect(fleet.gateway).toMatchObject({ identifies: 1, resumes: 0 })
  })

  it('goes on to one that asks for it while another one still connects; the start of that one ends', async () => {
    const fleet = new SessionFleet()
    const [first, overtaken, last] = [fleet.process(), fleet.process(), fleet.process()]
    await begin(fleet, first)
    overtaken.manager.connect = () => new Promise(() => {})
    const started = expect(overtaken.start()).rejects.toMatchObject({ code: 'SESSION_HELD', applied: 'no' })
    await fleet.clock.advance(2_000)
    expect(overtaken.handover.status.role).toBe('owner')
    await begin(fleet, last, 2_000)
    await started
    await overtaken.handover.stop()
    expect([overtaken, last].map(({ handover }) => handover.status.role)).toEqual(['stopped', 'owner'])
  })

  it('is left by a stop also while the gateway does not answer', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    only.manager.connect = () => new Promise(() => {})
    const started = expect(only.start()).rejects.toMatchObject({ code: 'SESSION_HELD' })
    await fleet.clock.advance(1_000)
    const stopped = only.handover.stop()
    await fleet.clock.advance(2_000)
    await started
    await stopped
    expect(only.handover.status.role).toBe('stopped')
    expect(fleet.clock.pending).toBe(0)
  })

  it('is not given on by a start that fails before what that had begun has ended', async () => {
    const fleet = new SessionFleet()
    const [failing, next] = [fleet.process(), fleet.process()]
    failing.workMs = 5_000
    const connect = failing.manager.connect.bind(failing.manager)
    failing.manager.connect = async () => {
      await connect()
      fleet.send('1')
      await new Promise<void>((resolve) => fleet.clock.after(100, resolve))
      throw new Error('the second shard cannot connect')
    }
    const started = expect(failing.start()).rejects.toThrow('the second shard')
    await fleet.clock.advance(1_000)
    await begin(fleet, next, 10_000)
    await started
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(next.repeated).toEqual([])
  })

  it('is not asked for again by one that has given it up and was not stopped', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    await begin(fleet, after)
    await expect(before.start()).rejects.toThrow('it has given the session up')
    await before.handover.stop()
    await begin(fleet, before)
    expect(before.handover.status.role).toBe('owner')
  })

  it('that Discord has ended is given up for a new one', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    fleet.gateway.endSession()
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(100)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(only.told).toEqual(['session new', 'session lost', 'session new'])
    expect(only.handover.status.sessions.get(0)).toEqual({ received: 2, done: 2, open: 0 })
  })

  it('is kept through a connection that breaks, without anything sent again', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    only.workMs = 5_000
    fleet.send('1')
    await fleet.clock.advance(100)
    fleet.gateway.drop()
    fleet.send('2')
    await fleet.clock.advance(10_000)
    expect(['1', '2'].map((id) => fleet.runsOf(id))).toEqual([['v1 1'], ['v1 1']])
    expect(only.handover.status.duplicates).toBe(0)
    expect(fleet.gateway).toMatchObject({ identifies: 1, resumes: 1 })
  })

  it('is refused to one process when another one asks for it too, and one has it', async () => {
    const fleet = new SessionFleet()
    const [before, one, other] = [fleet.process(), fleet.process(), fleet.process()]
    await begin(fleet, before)
    const starts = [one, other].map((process) => process.start())
    const settled = Promise.allSettled(starts)
    await fleet.clock.advance(10_000)
    const outcomes = await settled
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Error] : []))
    for (const error of refused) expect(error).toMatchObject({ code: 'SESSION_HELD', applied: 'no' })
    expect([one, other].filter(({ handover }) => handover.status.role === 'owner')).toHaveLength(1)
    fleet.send('1')
    await fleet.clock.advance(100)
    expect(fleet.runsOf('1')).toHaveLength(1)
  })

  it('is refused when the process before does not let go in time, and that one serves on', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process({ startTimeoutMs: 10 })]
    await begin(fleet, before)
    const begun = expect(after.start()).rejects.toMatchObject({ code: 'SESSION_HELD', retryable: true })
    await fleet.clock.advance(2_000)
    await begun
    fleet.send('1')
    await fleet.clock.advance(100)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(before.isReplaced).toBe(false)
  })

  it('goes on although nobody answers the close of the connection', async () => {
    const fleet = new SessionFleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await begin(fleet, before)
    before.manager.destroy = () => new Promise(() => {})
    await begin(fleet, after)
    fleet.send('1')
    await fleet.clock.advance(100)
    expect(fleet.runsOf('1')).toEqual(['v2 1'])
  })
})

describe('the number from which a session is resumed', () => {
  it('waits for one that has not come although a larger one has, but not for ever', () => {
    const mark = new LowWaterMark(10)
    const passes = (number: number): number => {
      mark.begin(number)
      mark.end(number)
      return mark.resumable
    }
    expect(passes(13)).toBe(10)
    mark.giveUpGaps()
    expect([mark.resumable, passes(11)]).toEqual([10, 11])
    mark.begin(12)
    expect([mark.resumable, mark.open]).toEqual([11, 1])
    mark.end(12)
    expect(mark.resumable).toBe(13)
    expect([passes(16), passes(15), passes(14)]).toEqual([13, 13, 16])
    expect(passes(20)).toBe(16)
    mark.giveUpGaps()
    mark.giveUpGaps()
    expect(mark.resumable).toBe(20)
    expect(passes(5_000_000)).toBe(5_000_000)
  })
})

describe('a store that is out', () => {
  it('lets the owner handle events without claims, and takes them up again', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    fleet.fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(10_000)
    fleet.send('2')
    await fleet.clock.advance(100)
    expect(['1', '2'].map((id) => fleet.runsOf(id))).toEqual([['v1 1'], ['v1 1']])
    expect(only.handover.status).toMatchObject({ store: 'down', unclaimed: 2 })
    fleet.fleet.store.isDown = false
    await fleet.clock.advance(2_000)
    fleet.send('3')
    await fleet.clock.advance(100)
    expect(only.handover.status).toMatchObject({ store: 'up', unclaimed: 2 })
    expect(only.told).toEqual(['session new', 'store down', 'store up'])
  })

  it('as it can be read and not written lets the owner serve on, and is told of once', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    fleet.fleet.store.isReadOnly = true
    await fleet.clock.advance(30_000)
    fleet.send('1')
    await fleet.clock.advance(1_000)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(only.told).toEqual(['session new', 'store down'])
  })

  it.each([
    ['was written', true],
    ['was not written', false],
  ])('for one claim, which %s, delays the event and no more', async (_, isWritten) => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    const { store } = fleet.fleet
    const set = store.set.bind(store)
    store.set = async (...write) => {
      store.set = set
      if (isWritten) await set(...write)
      throw new Error('the connection was lost')
    }
    fleet.send('1')
    await fleet.clock.advance(1_000)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(only.handover.status).toMatchObject({ unclaimed: 0, running: 0 })
    expect(only.handover.status.sessions.get(0)).toMatchObject({ open: 0 })
  })

  it('makes events wait where that was asked for', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process({ whenStoreIsOut: 'wait' })
    await begin(fleet, only)
    fleet.fleet.store.isDown = true
    await fleet.clock.advance(10_000)
    fleet.send('1')
    await fleet.clock.advance(10_000)
    expect(fleet.runsOf('1')).toEqual([])
    fleet.fleet.store.isDown = false
    await fleet.clock.advance(2_000)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
  })

  it('refuses a start, which may be tried again', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    fleet.fleet.store.isDown = true
    await expect(only.start()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    fleet.fleet.store.isDown = false
    await begin(fleet, only)
    expect(only.handover.status.role).toBe('owner')
  })

  it('with a record of another release in it is left alone', async () => {
    const fleet = new SessionFleet()
    await fleet.fleet.store.compareAndSet('session:bot', undefined, { format: 2 })
    const only = fleet.process()
    const begun = expect(only.start()).rejects.toMatchObject({ code: 'STATE_FORMAT' })
    await fleet.clock.advance(6_000)
    await begun
    expect((await fleet.fleet.store.entry('session:bot'))?.value).toEqual({ format: 2 })
  })
})

describe('an event that is sent more than once', () => {
  it('is handled once, also while it is under way', async () => {
    const fleet = new SessionFleet()
    const only = fleet.process()
    await begin(fleet, only)
    only.workMs = 1_000
    for (let copy = 0; copy < 3; copy++) fleet.send('1')
    await fleet.clock.advance(500)
    expect(only.handover.status.sessions.get(0)).toEqual({ received: 4, done: 1, open: 3 })
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(500)
    expect(fleet.runsOf('1')).toEqual(['v1 1'])
    expect(only.handover.status.duplicates).toBe(3)
    expect(only.handover.status.sessions.get(0)).toEqual({ received: 5, done: 5, open: 0 })
  })
})

describe('a handler that throws', () => {
  it('has ended, and its error is told', async () => {
    const fleet = new SessionFleet()
    const failure = new Error('boom')
    const only = fleet.process({
      handle: ({ t }) => {
        if (t === 'INTERACTION_CREATE') throw failure
      },
    })
    await begin(fleet, only)
    fleet.send('1')
    await fleet.clock.advance(100)
    expect(only.errors).toEqual([failure])
    expect(only.handover.status.sessions.get(0)).toEqual({ received: 2, done: 2, open: 0 })
  })
})

describe('the options', () => {
  it.each([
    [{ leaseMs: 100 }, 'leaseMs must be at least four times heartbeatMs (500), not 100'],
    [{ scope: 'machine' as const }, 'store reaches one process, and two processes have to meet in it'],
    [{ effects: 'twice' as never }, 'SessionHandover needs effects'],
    [{ context: 1 as never }, 'context must be a function'],
    [{ whenStoreIsOut: 'die' as never }, "whenStoreIsOut must be 'serve' or 'wait', not die"],
    [{ wait: 1 } as never, 'SessionHandover has no option "wait"'],
  ])('%j are refused', (options, message) => {
    expect(() => new SessionFleet().process(options)).toThrow(message)
  })
})

describe('whatever happens', () => {
  const step = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({ do: fc.constant('send' as const), workMs: fc.constantFrom(0, 0, 50, 3_000) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 30, 400, 2_000, 8_000) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom('start', 'stop', 'again', 'kill', 'freeze', 'thaw', 'drop') }),
    },
  )

  const manySteps = fc.array(step, { minLength: 10, maxLength: 60 })

  it('no event is lost, and none runs twice but one that is reported', async () => {
    await fc.assert(
      fc.asyncProperty(manySteps, fc.nat(30), fc.constantFrom(0, 5), async (steps, slowMs, inflateMs) => {
        const fleet = new SessionFleet(() => 0.7)
        fleet.fleet.store.slowMs = slowMs
        fleet.gateway.inflateMs = inflateMs
        const all: SessionProcess[] = []
        let sent = 0
        const begins = (process: SessionProcess): void => {
          process.start().catch((error: unknown) => process.errors.push(error))
        }
        const start = (): void => {
          const process = fleet.process({ startTimeoutMs: 60_000 })
          all.push(process)
          begins(process)
        }
        const living = (): SessionProcess[] => all.filter(({ body }) => !body.isDead)
        start()
        await fleet.clock.advance(10_000)
        for (const each of steps) {
          const youngest = living().at(-1)
          if (each.do === 'send') {
            if (youngest !== undefined && 'workMs' in each) youngest.workMs = each.workMs
            fleet.send(String(++sent))
          } else if (each.do === 'advance') {
            if ('ms' in each) await fleet.clock.advance(each.ms)
          } else if (each.do === 'start') start()
          else if (each.do === 'stop') void living()[0]?.handover.stop()
          else if (each.do === 'again')
            living()
              .filter(({ handover }) => handover.status.role === 'stopped')
              .forEach(begins)
          else if (each.do === 'kill') living()[0]?.kill()
          else if (each.do === 'freeze') youngest?.body.freeze()
          else if (each.do === 'thaw') for (const { body } of all) body.thaw()
          else fleet.gateway.drop()
        }
        for (const { body } of all) body.thaw()
        await fleet.clock.advance(30_000)
        start()
        await fleet.clock.advance(60_000)
        const repeated = new Set(all.flatMap((process) => process.repeated))
        const runs = Array.from({ length: sent }, (_, i) => [String(i + 1), fleet.runsOf(String(i + 1))] as const)
        expect(runs.filter(([, by]) => by.length === 0)).toEqual([])
        expect(runs.filter(([id, by]) => by.length > 1 && !repeated.has(id))).toEqual([])
        expect(fleet.gateway.identifies).toBe(1)
      }),
      { numRuns: 40 },
    )
  }, 60_000)
})
