import { describe, expect, it } from 'vitest'
import { gaplessRestartDefaults } from '../restart.js'
import { Fleet, twoProcesses, type FleetProcess } from '../test-support/fleet.js'

/** The connection to the store has not survived: the next question is not answered. */
function breakConnection({ store }: FleetProcess): void {
  const entry = store.entry.bind(store)
  store.entry = () => {
    store.entry = entry
    return Promise.reject(new Error('ECONNRESET'))
  }
}

/** Its claims are written, and it hears of that later. */
function delayClaims(fleet: Fleet, { store }: FleetProcess, ms: number): void {
  const set = store.set.bind(store)
  store.set = async (...write) => {
    const written = await set(...write)
    await new Promise<void>((resolve) => fleet.clock.after(ms, resolve))
    return written
  }
}

describe('a process alone', () => {
  it('handles each event at once and writes no claim', async () => {
    const fleet = new Fleet()
    const only = fleet.process()
    await only.begin()
    fleet.store.isDown = true
    fleet.send('1')
    await fleet.clock.advance(0)
    expect(only.answers.get('1')).toBe('1 from v1')
    expect(only.restart.status).toMatchObject({ role: 'owner', ownerVersion: 'v1', versions: ['v1'], kept: 0 })
    fleet.store.isDown = false
    await only.restart.stop()
    expect(fleet.clock.pending).toBe(0)
  })

  it.each([
    ['is out', 'isDown'],
    ['can be read and not written', 'isReadOnly'],
  ] as const)('serves on while the store %s for longer than its lease, and tells of that once', async (_, fault) => {
    const fleet = new Fleet()
    const only = fleet.process()
    await only.begin()
    fleet.store[fault] = true
    await fleet.clock.advance(60_000)
    fleet.send('1')
    await fleet.clock.advance(0)
    expect(only.answers.get('1')).toBe('1 from v1')
    fleet.store[fault] = false
    await fleet.clock.advance(1_000)
    expect(only.restart.status).toMatchObject({ role: 'owner', store: 'up' })
    expect(only.told).toEqual(['owner nobody > v1', 'store up > down', 'store down > up'])
  })

  it('serves on when something else has written the record, and says so', async () => {
    const fleet = new Fleet()
    const only = fleet.process()
    await only.begin()
    const found = await fleet.store.entry('restart:bot')
    await fleet.store.compareAndSet('restart:bot', found?.version, { format: 2 })
    await fleet.clock.advance(10_000)
    fleet.send('1')
    await fleet.clock.advance(0)
    expect(only.answers.get('1')).toBe('1 from v1')
    expect(only.told).toEqual(['owner nobody > v1', 'store up > down'])
  })

  it('that stood still while the store was out asks before it serves: another one may have come', async () => {
    const fleet = new Fleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await before.begin()
    await fleet.clock.advance(10_000)
    fleet.store.isDown = true
    await fleet.clock.advance(2_000)
    before.freeze()
    fleet.store.isDown = false
    const begun = after.begin()
    await fleet.clock.advance(12_000)
    await begun
    for (const id of ['1', '2', '3']) fleet.send(id)
    await fleet.clock.advance(1_000)
    // Its first question after that is not answered, either.
    breakConnection(before)
    before.thaw()
    await fleet.clock.advance(100)
    fleet.send('4')
    await fleet.clock.advance(20_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v2', '2 v2', '3 v2', '4 v2'])
  })

  it('asks the store once whether it may go on after it stood still, for however many events', async () => {
    const fleet = new Fleet(() => 0.5)
    const only = fleet.process()
    await only.begin()
    fleet.store.slowMs = 100
    await fleet.clock.advance(5_000)
    only.freeze()
    await fleet.clock.advance(8_000)
    for (let id = 1; id <= 50; id++) fleet.send(String(id))
    only.thaw()
    await fleet.clock.advance(1_000)
    expect(fleet.runs).toHaveLength(50)
  })

  it('that stops runs what it was claiming', async () => {
    const fleet = new Fleet()
    const [before, only] = await twoProcesses(fleet)
    await before.restart.stop()
    before.isLoggedIn = false
    await fleet.clock.advance(1_000)
    delayClaims(fleet, only, 300)
    fleet.send('1')
    await fleet.clock.advance(0)
    const stopped = only.restart.stop()
    await fleet.clock.advance(1_000)
    await stopped
    expect(only.answers.get('1')).toBe('1 from v2')
  })

  it('handles events again when it is started again', async () => {
    const fleet = new Fleet()
    const only = fleet.process()
    await only.begin()
    await only.restart.stop()
    await only.begin()
    await fleet.clock.advance(10_000)
    fleet.send('1')
    await fleet.clock.advance(0)
    expect(only.answers.get('1')).toBe('1 from v1')
  })

  it('refuses events before start() and after stop()', async () => {
    const fleet = new Fleet()
    const { restart } = fleet.process()
    await expect(restart.handle('1')).rejects.toMatchObject({ code: 'NOT_STARTED', applied: 'no' })
    await restart.start()
    await restart.stop()
    await expect(restart.handle('1')).rejects.toMatchObject({ code: 'NOT_STARTED' })
    await expect(restart.takeOver()).rejects.toMatchObject({ code: 'NOT_TAKEN_OVER', applied: 'no' })
    expect(fleet.runs).toEqual([])
  })

  it('takes the place of one that was killed, after its lease', async () => {
    const fleet = new Fleet()
    const [dead, next] = [fleet.process(), fleet.process()]
    await dead.begin()
    dead.kill()
    const begun = next.begin()
    await fleet.clock.advance(4_000)
    expect(next.isLoggedIn).toBe(false)
    await fleet.clock.advance(1_000)
    await begun
    fleet.send('1')
    await fleet.clock.advance(0)
    expect(next.answers.get('1')).toBe('1 from v2')
  })
})

describe('two processes on one token', () => {
  it('handle each event once, and the new one after it took over', async () => {
    const fleet = new Fleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await before.begin()
    fleet.send('1')
    const started = after.restart.start()
    await fleet.clock.advance(1_000)
    await started
    after.isLoggedIn = true
    fleet.send('2')
    await fleet.clock.advance(2_000)
    const takenOver = after.restart.takeOver()
    await fleet.clock.advance(1_000)
    await takenOver
    fleet.send('3')
    await fleet.clock.advance(2_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '2 v1', '3 v2'])
    expect(before.restart.status).toMatchObject({ role: 'standby', ownerVersion: 'v2', versions: ['v1', 'v2'] })
    expect([before, after].map(({ restart }) => restart.status.kept)).toEqual([0, 0])
    expect(before.told).toEqual(['owner nobody > v1', 'members 1 > 2', 'owner v1 > v2'])
  })

  it('lose no event that comes while the ownership changes', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const back = before.restart.takeOver({ why: 'users complain' })
    for (let i = 0; i < 100; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(10)
    }
    await back
    await fleet.clock.advance(2_000)
    expect(new Set(fleet.runs.map(({ eventId }) => eventId)).size).toBe(100)
    expect(fleet.runs).toHaveLength(100)
    expect([before, after].map(({ restart }) => restart.status.takenOver)).toEqual([0, 0])
    expect(fleet.runs[0]?.by).toBe('v2')
    expect(fleet.runs.at(-1)?.by).toBe('v1')
  })

  it('take over what the owner did not get', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    before.receive('1')
    await fleet.clock.advance(1_499)
    expect(fleet.runs).toEqual([])
    await fleet.clock.advance(1)
    expect(before.answers.get('1')).toBe('1 from v1')
    expect(before.restart.status.takenOver).toBe(1)
    // A late copy of it is nobody's.
    after.receive('1')
    await fleet.clock.advance(2_000)
    expect(fleet.runs).toHaveLength(1)
    expect(after.answers.get('1')).toBeUndefined()
  })

  it('go on with one of them when the owner is killed, and run once more what it had begun', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 10_000
    fleet.send('1')
    await fleet.clock.advance(100)
    after.kill()
    fleet.send('2')
    await fleet.clock.advance(1_500)
    expect(before.answers.get('2')).toBe('2 from v1')
    await fleet.clock.advance(4_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'], repeated: 1, takenOver: 1 })
    expect(before.repeated).toEqual(['1'])
    expect(fleet.runsOf('1').map(({ by, attempt }) => [by, attempt])).toEqual([
      ['v2', 1],
      ['v1', 2],
    ])
    fleet.send('3')
    await fleet.clock.advance(0)
    expect(before.answers.get('3')).toBe('3 from v1')
  })

  it('tell of a death once, with how many are left', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const third = fleet.process()
    const begun = third.restart.start()
    await fleet.clock.advance(1_000)
    await begun
    const told = before.told.length
    third.kill()
    await fleet.clock.advance(6_000)
    expect(before.told.slice(told)).toEqual(['members 3 > 2'])
    after.kill()
    await fleet.clock.advance(6_000)
    expect(before.told.slice(told)).toEqual(['members 3 > 2', 'members 2 > 1', 'owner v2 > v1'])
  })

  it('leave to the owner what came in the moment in which a third one is taken for dead', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const third = fleet.process()
    const begun = third.restart.start()
    await fleet.clock.advance(1_000)
    await begun
    third.kill()
    for (let id = 0; !before.told.includes('members 3 > 2'); id++) {
      before.receive(String(id))
      fleet.clock.after(200, () => after.receive(String(id)))
      await fleet.clock.advance(50)
    }
    await fleet.clock.advance(5_000)
    expect(new Set(fleet.runs.map(({ by }) => by))).toEqual(new Set(['v2']))
    expect(before.restart.status.takenOver).toBe(0)
  })

  it('do not both serve when the one who gave the events away never hears that this was written', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.losesNextAnswer = true
    void after.restart.drain().catch(() => undefined)
    await fleet.clock.advance(1_000)
    expect(before.restart.status.role).toBe('owner')
    fleet.send('1')
    await fleet.clock.advance(3_000)
    expect(fleet.runsOf('1').map(({ by }) => by)).toEqual(['v1'])
  })

  it('leave what came while one was out to those that were there, also when they have gone since', async () => {
    const fleet = new Fleet(() => 0.99)
    const [before, after] = await twoProcesses(fleet)
    before.freeze()
    await fleet.clock.advance(10_000)
    fleet.store.slowMs = 50
    before.thaw()
    while (!before.told.includes('membership in > out')) await fleet.clock.advance(1)
    fleet.send('1')
    await fleet.clock.advance(0)
    before.freeze()
    const stopped = after.restart.stop()
    await fleet.clock.advance(1_000)
    await stopped
    after.isLoggedIn = false
    before.thaw()
    await fleet.clock.advance(20_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', undecided: 0 })
    expect(fleet.runsOf('1').map(({ by }) => by)).toEqual(['v2'])
    fleet.send('2')
    await fleet.clock.advance(100)
    expect(before.answers.get('2')).toBe('2 from v1')
  })

  it('ask the store before one that stood still begins anything, also when it stood still in a write', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.freezesInNextWrite = true
    await fleet.clock.advance(10_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'] })
    after.thaw()
    await fleet.clock.advance(10)
    for (const id of ['1', '2', '3']) fleet.send(id)
    await fleet.clock.advance(20_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '2 v1', '3 v1'])
    expect(after.restart.status).toMatchObject({ undecided: 0, kept: 0 })
  })

  it('ask again when the first question of one that stood still is not answered', async () => {
    const fleet = new Fleet()
    const context = (id: string): { eventId: string | null } => ({ eventId: id === 'unnamed' ? null : id })
    const [before, after] = await twoProcesses(fleet, { context })
    await fleet.clock.advance(5_000)
    after.freeze()
    await fleet.clock.advance(10_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'] })
    breakConnection(after)
    after.thaw()
    for (const id of ['1', '2', 'unnamed']) fleet.send(id)
    await fleet.clock.advance(20_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`).toSorted()).toEqual(['1 v1', '2 v1', 'unnamed v1'])
    expect(after.undecided).toEqual([undefined])
  })

  it('ask by the wall clock, too: the other one stands still while a machine is suspended', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_100)
    after.suspend()
    await fleet.clock.advance(10_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'] })
    // No beat is due for a while, and the first question is not answered either.
    breakConnection(after)
    after.thaw()
    for (const id of ['1', '2', '3']) fleet.send(id)
    await fleet.clock.advance(20_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '2 v1', '3 v1'])
  })

  it('wait before one that comes back begins anything where the others wrote no claims, also when they have gone since', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { redoMs: 6_000 })
    after.freeze()
    await fleet.clock.advance(12_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'] })
    // It goes in the moment in which the other one wakes up. Alone, it has written no claims.
    before.receive('1')
    await fleet.clock.advance(0)
    const stopped = before.restart.stop()
    after.thaw()
    await fleet.clock.advance(0)
    await stopped
    before.isLoggedIn = false
    await fleet.clock.advance(600)
    after.receive('1')
    await fleet.clock.advance(5_000)
    expect(fleet.runsOf('1').map(({ by }) => by)).toEqual(['v1'])
    expect(after.undecided).toEqual(['1'])
    fleet.send('2')
    await fleet.clock.advance(100)
    expect(after.answers.get('2')).toBe('2 from v2')
  })

  it('look for the claims of one that went while the other stood still', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    before.freeze()
    await fleet.clock.advance(2_500)
    after.receive('1')
    await fleet.clock.advance(0)
    const stopped = after.restart.stop()
    await fleet.clock.advance(1_000)
    await stopped
    after.isLoggedIn = false
    before.thaw()
    await fleet.clock.advance(10)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'] })
    before.receive('1')
    await fleet.clock.advance(5_000)
    expect(fleet.runsOf('1').map(({ by }) => by)).toEqual(['v2'])
  })

  it('are joined by one that was taken out while it joined', async () => {
    const fleet = new Fleet()
    const [owner, dead, next] = [fleet.process(), fleet.process(), fleet.process()]
    await owner.begin()
    const begun = dead.restart.start()
    await fleet.clock.advance(1_000)
    await begun
    // It holds the start up until it is taken out.
    dead.kill()
    const started = next.restart.start().then(() => next.restart.status.versions)
    await fleet.clock.advance(60)
    next.freeze()
    await fleet.clock.advance(8_000)
    next.thaw()
    await fleet.clock.advance(1_000)
    expect(await started).toEqual(['v1', 'v3'])
    const takenOver = next.restart.takeOver()
    await fleet.clock.advance(1_000)
    await takenOver
    expect(next.restart.status.role).toBe('owner')
  })

  it('come back once, however often one was taken out while it came back', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet, { redoMs: 6_000 })
    const comings = (): number => before.told.filter((told) => told === 'membership out > in').length
    for (let i = 0; i < 3; i++) {
      before.freeze()
      await fleet.clock.advance(12_000)
      before.thaw()
      // It is one of them again, and not yet for a lease.
      await fleet.clock.advance(1_000)
      expect(comings()).toBe(0)
    }
    await fleet.clock.advance(10_000)
    expect(comings()).toBe(1)
    expect(before.restart.status.role).toBe('standby')
    await before.restart.stop()
  })

  it('run nothing once more that must not be, and say so', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { effects: 'atMostOnce' })
    after.workMs = 10_000
    fleet.send('1')
    await fleet.clock.advance(100)
    after.kill()
    await fleet.clock.advance(6_000)
    expect(before.unfinished).toEqual(['1'])
    expect(fleet.runsOf('1')).toHaveLength(1)
  })

  it('do not repeat what was done before its process died', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    fleet.send('1')
    await fleet.clock.advance(100)
    after.kill()
    await fleet.clock.advance(10_000)
    expect(before.repeated).toEqual([])
    expect(fleet.runsOf('1')).toHaveLength(1)
  })

  it('leave out one that stands still; when it wakes up it begins nothing that the other one has', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.freeze()
    for (let i = 0; i < 10; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(1_000)
    }
    after.thaw()
    fleet.send('10')
    await fleet.clock.advance(10_000)
    expect(fleet.runs.map(({ eventId }) => Number(eventId)).toSorted((a, b) => a - b)).toEqual([...Array(11).keys()])
    expect(fleet.runs.every(({ by }) => by === 'v1')).toBe(true)
    expect(after.told).toContain('membership in > out')
    expect(after.restart.status).toMatchObject({ role: 'standby', ownerVersion: 'v1' })
    expect(before.restart.status.versions).toEqual(['v1', 'v2'])
  })

  it('serve by the last owner while the store is out, and nobody takes over what may have been done', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(3_000)
    fleet.store.isDown = true
    for (let i = 0; i < 20; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(2_000)
    }
    fleet.store.isDown = false
    await fleet.clock.advance(5_000)
    expect(fleet.runs.map(({ by, eventId }) => `${by} ${eventId}`)).toEqual(
      Array.from({ length: 20 }, (_, i) => `v2 ${i}`),
    )
    expect(after.restart.status).toMatchObject({ role: 'owner', unclaimed: 20 })
    expect(before.restart.status).toMatchObject({ role: 'standby', undecided: 20 })
    expect(before.undecided).toHaveLength(20)
  })

  it('serve by the first owner, too, while the store is out', async () => {
    const fleet = new Fleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await before.begin()
    const started = after.restart.start()
    await fleet.clock.advance(10_000)
    await started
    after.isLoggedIn = true
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(5_000)
    expect(fleet.runsOf('1').map(({ by }) => by)).toEqual(['v1'])
    expect(before.restart.status.unclaimed).toBe(1)
  })

  it('take over nothing that came while they stood still, for the owner may have served while the store was out', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(3_000)
    before.receive('1')
    await fleet.clock.advance(0)
    before.freeze()
    fleet.store.isDown = true
    after.receive('1')
    fleet.send('2')
    await fleet.clock.advance(2_000)
    fleet.store.isDown = false
    await fleet.clock.advance(500)
    before.thaw()
    await fleet.clock.advance(10_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v2', '2 v2'])
    expect([before.undecided, after.restart.status.unclaimed]).toEqual([[], 2])
    // Of what comes later, it knows.
    before.receive('3')
    await fleet.clock.advance(2_000)
    expect(before.answers.get('3')).toBe('3 from v1')
  })

  it('serve nothing without a claim that came while they stood still, for the others may have taken it over', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.freeze()
    fleet.send('1')
    await fleet.clock.advance(2_000)
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    after.thaw()
    await fleet.clock.advance(10_000)
    // Of what comes later, nobody else can have claimed anything.
    fleet.send('2')
    await fleet.clock.advance(5_000)
    fleet.store.isDown = false
    await fleet.clock.advance(5_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '2 v2'])
    expect([after.restart.status.unclaimed, after.restart.status.kept]).toEqual([1, 0])
  })

  it('find the claim of one that died also where the store was out for a moment', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 60_000
    await fleet.clock.advance(3_000)
    fleet.send('1')
    await fleet.clock.advance(100)
    before.isCutOff = true
    await fleet.clock.advance(600)
    before.isCutOff = false
    after.kill()
    await fleet.clock.advance(10_000)
    expect(fleet.runs).toMatchObject([{ by: 'v2' }, { by: 'v1', attempt: 2, isEnded: true }])
    expect(before.repeated).toEqual(['1'])
    expect(before.restart.status).toMatchObject({ undecided: 0 })
  })

  it('keep the events until the store is back, where that was asked for', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet, { whenStoreIsOut: 'wait' })
    fleet.store.isDown = true
    fleet.send('1')
    await fleet.clock.advance(5_000)
    expect(fleet.runs).toEqual([])
    fleet.store.isDown = false
    await fleet.clock.advance(1_000)
    expect(after.answers.get('1')).toBe('1 from v2')
    expect(fleet.runs).toHaveLength(1)
  })

  it('keep them for longer than redoMs, if that is how long the store is out', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet, { whenStoreIsOut: 'wait' })
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(70_000)
    fleet.store.isDown = false
    await fleet.clock.advance(1_000)
    expect(after.answers.get('1')).toBe('1 from v2')
  })

  it.each([
    ['its process stops', ({ restart }: FleetProcess): void => void restart.stop()],
    ['there are too many', (process: FleetProcess): void => ['2', '3'].forEach((id) => process.receive(id))],
  ])('tell of an event that waits for the store when %s', async (_, happens) => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet, { whenStoreIsOut: 'wait', maxKept: 2 })
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(5_000)
    expect([after.restart.status.kept, after.undecided]).toEqual([1, []])
    happens(after)
    await fleet.clock.advance(10_000)
    expect([fleet.runs, after.undecided]).toEqual([[], ['1']])
  })

  it('tell of an event of whose claim one hears too late for a stop, for then the others leave it alone', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet, { keepMs: 100, heartbeatMs: 40, storeTimeoutMs: 40 })
    delayClaims(fleet, after, 2_000)
    const entry = after.store.entry.bind(after.store)
    after.store.entry = async (key) => {
      if (key.startsWith('claim:')) await new Promise<void>((resolve) => fleet.clock.after(2_000, resolve))
      return entry(key)
    }
    fleet.send('1')
    await fleet.clock.advance(0)
    const stopped = after.restart.stop()
    await fleet.clock.advance(10_000)
    await stopped
    expect([fleet.runs.length, after.undecided.length]).toEqual([0, 1])
  })

  it('run an event that waited for the store while its guild moved to another one', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { whenStoreIsOut: 'wait' })
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    fleet.send('1')
    await fleet.clock.advance(5_000)
    fleet.store.isDown = false
    const back = before.restart.takeOver()
    await fleet.clock.advance(10_000)
    await back
    expect(fleet.runs).toMatchObject([{ eventId: '1', attempt: 1, isEnded: true }])
    expect([after.undecided, after.restart.status.kept]).toEqual([[], 0])
  })

  it('run once more what a dead one had begun, however long the store does not say what that was', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(2_000)
    after.kill()
    const entry = before.store.entry.bind(before.store)
    before.store.entry = (key) => (key.startsWith('claim:') ? Promise.reject(new Error('timeout')) : entry(key))
    await fleet.clock.advance(70_000)
    before.store.entry = entry
    await fleet.clock.advance(1_000)
    expect(fleet.runsOf('1').map(({ by, attempt }) => `${by} ${attempt}`)).toEqual(['v2 1', 'v1 2'])
  })

  it.each([1_100, 1_400, 1_600])(
    'run an event once when its owner stands still for %d ms over its claim',
    async (ms) => {
      const fleet = new Fleet()
      const [owner, other] = [fleet.process(), fleet.process()]
      await owner.begin()
      void other.restart.start().then(() => (other.isLoggedIn = true))
      await fleet.clock.advance(10_000)
      void owner.restart.handle('e').catch(() => undefined)
      void other.restart.handle('e')
      owner.freeze()
      await fleet.clock.advance(ms)
      owner.thaw()
      await fleet.clock.advance(10_000)
      expect(fleet.runsOf('e').map(({ by }) => by)).toEqual([ms < 1_500 ? owner.version : other.version])
      expect(owner.restart.status).toMatchObject({ role: 'owner', unclaimed: 0 })
    },
  )

  it.each([
    ['by default', {}],
    ['with a store that may take two fifths of keepMs', { storeTimeoutMs: 600, heartbeatMs: 100, leaseMs: 1_000 }],
    ['with a slow store', { storeTimeoutMs: 2_000, keepMs: 5_000, heartbeatMs: 100, leaseMs: 1_000 }],
  ])(
    'run an event once when its owner stands still over a sign of life that fails, for however long: %s',
    async (_, options) => {
      const { heartbeatMs } = { ...gaplessRestartDefaults, ...options }
      for (let ms = 0; ms <= 7_000; ms += 100) {
        const fleet = new Fleet()
        const [other, owner] = await twoProcesses(fleet, options)
        await fleet.clock.advance(10_000)
        owner.freezesInNextWrite = owner.losesNextAnswer = true
        await fleet.clock.advance(heartbeatMs + 50)
        void owner.restart.handle('e').catch(() => undefined)
        void other.restart.handle('e')
        await fleet.clock.advance(ms)
        owner.thaw()
        await fleet.clock.advance(100)
        owner.isCutOff = false
        await fleet.clock.advance(20_000)
        expect(fleet.runsOf('e').length, `after ${ms} ms`).toBe(1)
      }
    },
  )

  it('are not told that they are replaced by one that died in the last moment', async () => {
    const fleet = new Fleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await before.begin()
    void after.begin()
    await fleet.clock.advance(2_000)
    expect(after.restart.status.role).toBe('owner')
    const replaced: string[] = []
    before.restart.on('replaced', ({ message }) => replaced.push(message))
    // So shortly before `bakeMs` that nobody has noticed it by then.
    await fleet.clock.advance(56_000)
    after.kill()
    await fleet.clock.advance(60_000)
    expect([before.restart.status.role, replaced]).toEqual(['owner', []])
  })

  it('tell the old one that it is replaced, when the new one has served for bakeMs', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet)
    const replaced: string[] = []
    before.restart.on('replaced', ({ message }) => replaced.push(message))
    await fleet.clock.advance(58_000)
    expect(replaced).toEqual([])
    // And it waits for the next sign of life.
    await fleet.clock.advance(3_000)
    expect(replaced).toEqual([
      'This process (version "v1") is replaced and may go. Why: version "v2" has served for 60000 ms.',
    ])
  })

  it('hand over when the owner drains, wait for what runs there, and go', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.workMs = 5_000
    fleet.send('1')
    await fleet.clock.advance(100)
    const drained = after.restart.drain()
    await fleet.clock.advance(0)
    fleet.send('2')
    await fleet.clock.advance(6_000)
    expect(await drained).toEqual({ drained: true, running: 0, flows: 0, isHandedOver: true, isConnected: true })
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v2', '2 v1'])
    await after.restart.stop()
    await fleet.clock.advance(1_000)
    expect(before.restart.status).toMatchObject({ role: 'owner', versions: ['v1'] })
    await before.restart.stop()
    expect(fleet.clock.pending).toBe(0)
  })

  it('wait in a drain also for what is being claimed', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    after.workMs = 2_000
    delayClaims(fleet, after, 300)
    fleet.send('1')
    const drained = after.restart.drain()
    await fleet.clock.advance(200)
    const short = after.restart.drain({ timeoutMs: 10 })
    await fleet.clock.advance(50)
    expect(await short).toMatchObject({ drained: false, running: 1 })
    await fleet.clock.advance(5_000)
    expect(await drained).toEqual({ drained: true, running: 0, flows: 0, isHandedOver: true, isConnected: true })
    expect(fleet.runsOf('1')).toMatchObject([{ by: 'v2', isEnded: true }])
  })

  it('end a drain at once for its signal, whatever it waits for', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    after.workMs = 100_000
    fleet.send('1')
    await fleet.clock.advance(0)
    delayClaims(fleet, after, 400)
    fleet.send('2')
    const abort = new AbortController()
    const drained = expect(after.restart.drain({ signal: abort.signal })).rejects.toThrow('enough')
    await fleet.clock.advance(100)
    abort.abort(new Error('enough'))
    await fleet.clock.advance(100)
    await drained
  })

  it('do not wait for ever: a drain says what still runs', async () => {
    const fleet = new Fleet()
    const only = fleet.process()
    await only.begin()
    only.workMs = 100_000
    fleet.send('1')
    await fleet.clock.advance(0)
    const drained = only.restart.drain({ timeoutMs: 1_000 })
    await fleet.clock.advance(1_000)
    expect(await drained).toEqual({ drained: false, running: 1, flows: 0, isHandedOver: false, isConnected: true })
    const aborted = only.restart.drain({ signal: AbortSignal.abort(new Error('enough')) })
    await expect(aborted).rejects.toThrow('enough')
  })

  it('of one version take turns as well: the second one stands by', async () => {
    const fleet = new Fleet()
    const [first, second] = [fleet.process({ version: 'same' }), fleet.process({ version: 'same' })]
    await first.begin()
    const begun = second.restart.start()
    await fleet.clock.advance(1_000)
    await begun
    second.isLoggedIn = true
    for (let i = 0; i < 50; i++) fleet.send(String(i))
    await fleet.clock.advance(5_000)
    expect(fleet.runs).toHaveLength(50)
    expect(fleet.runs.every(({ by }) => by === 'v1')).toBe(true)
  })

  it('are not told that they may go for an owner of before: one that starts again has owned nothing', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet)
    let replaced = 0
    before.restart.on('replaced', () => replaced++)
    await fleet.clock.advance(1_000)
    const stopped = before.restart.stop()
    await fleet.clock.advance(3_000)
    await stopped
    const started = before.restart.start()
    await fleet.clock.advance(3_000)
    await started
    expect(before.restart.status.role).toBe('standby')
    await fleet.clock.advance(100_000)
    expect(replaced).toBe(0)
  })

  it('show in their status what they tell, from the first change on', async () => {
    const fleet = new Fleet()
    const only = fleet.process()
    const roles: string[] = []
    only.restart.on('change', ({ what, to }) => roles.push(`${what} ${to} ${only.restart.status.role}`))
    await only.begin()
    expect(roles).toEqual(['owner v1 owner'])
  })

  it('decide the oldest early where there are too many, and not the one that has just come', async () => {
    const fleet = new Fleet(() => 0.999)
    const [, after] = await twoProcesses(fleet, { maxKept: 2 })
    await fleet.clock.advance(10_000)
    fleet.store.isDown = true
    await fleet.clock.advance(1_500)
    fleet.store.isDown = false
    while (after.restart.status.store === 'down') await fleet.clock.advance(5)
    fleet.store.slowMs = 100
    for (let i = 0; i < 5; i++) after.receive(`${i}/1`)
    await fleet.clock.advance(400)
    expect([fleet.runs.map(({ eventId }) => eventId), after.undecided]).toEqual([
      ['0/1', '1/1', '2/1', '3/1', '4/1'],
      [],
    ])
  })
})
