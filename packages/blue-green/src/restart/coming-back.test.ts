import { describe, expect, it } from 'vitest'
import { Fleet, standby, twoProcesses } from '../test-support/fleet.js'
import { noTable } from './records.js'

/** Who ran an event, and what was told of it. */
function storyOf(
  fleet: Fleet,
  eventId: string,
): { readonly runs: readonly string[]; readonly told: readonly string[] } {
  const runs = fleet.runsOf(eventId).map(({ by, attempt }) => `${by} ${attempt}`)
  const told = fleet.processes.flatMap(({ version, repeated, unfinished, undecided }) => {
    return Object.entries({ repeated, unfinished, undecided }).flatMap(([what, ids]) => {
      return ids.filter((id) => id === eventId).map(() => `${version} ${what}`)
    })
  })
  return { runs, told }
}

describe('processes of which one was taken for dead and comes back', () => {
  it('handle what came to one that stood still after the others had gone', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    after.freeze()
    await fleet.clock.advance(12_000)
    fleet.send('1')
    await fleet.clock.advance(100)
    await before.restart.stop()
    before.isLoggedIn = false
    fleet.send('2')
    after.thaw()
    await fleet.clock.advance(1_000)
    fleet.send('3')
    await fleet.clock.advance(10_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '2 v2', '3 v2'])
    expect(after.restart.status).toMatchObject({ repeated: 0, undecided: 0, kept: 0 })
  })

  it('tell of it where those who have gone wrote no claims, as they were alone for long, or the store was out', async () => {
    for (const isOut of [false, true]) {
      const fleet = new Fleet()
      const [before, after] = await twoProcesses(fleet, isOut ? {} : { redoMs: 6_000 })
      after.freeze()
      await fleet.clock.advance(12_000)
      fleet.store.isDown = isOut
      fleet.send('1')
      await fleet.clock.advance(2_000)
      fleet.store.isDown = false
      await fleet.clock.advance(2_000)
      await before.restart.stop()
      before.isLoggedIn = false
      fleet.send('2')
      after.thaw()
      await fleet.clock.advance(20_000)
      expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1'])
      // What ran while the store was out has got its claim since.
      expect(after.undecided).toEqual(isOut ? ['2'] : ['1', '2'])
    }
  })

  it('tell of it also where the claims of those who have gone are too old to be there', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { claimMs: 63_000, leaseMs: 10_000 })
    after.freeze()
    fleet.send('1')
    // The other one writes claims still: the death was noticed late.
    await fleet.clock.advance(70_000)
    await before.restart.stop()
    before.isLoggedIn = false
    after.thaw()
    await fleet.clock.advance(20_000)
    expect([fleet.runs.map(({ by }) => by), after.undecided]).toEqual([['v1'], ['1']])
  })

  it('run once more what came to one that stood still, if those who may have begun it died', async () => {
    const fleet = new Fleet()
    const effects = (id: string): 'keyed' | 'atMostOnce' => (id === 'once' ? 'atMostOnce' : 'keyed')
    const [before, after] = await twoProcesses(fleet, { effects })
    after.freeze()
    await fleet.clock.advance(12_000)
    fleet.send('1')
    await fleet.clock.advance(1_000)
    before.kill()
    fleet.send('2')
    fleet.send('once')
    after.thaw()
    await fleet.clock.advance(20_000)
    expect(fleet.runs).toMatchObject([
      { eventId: '1', by: 'v1', attempt: 1 },
      { eventId: '2', by: 'v2', attempt: 2, isEnded: true },
    ])
    expect([after.repeated, after.unfinished, after.undecided]).toEqual([['2'], ['once'], []])
  })

  it('look after what came to one that was out, should the other one die with it when that is back', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    before.workMs = 20_000
    after.freeze()
    await fleet.clock.advance(12_000)
    fleet.send('1')
    await fleet.clock.advance(100)
    after.thaw()
    await fleet.clock.advance(5_000)
    expect([after.answers.has('1'), after.restart.status.kept]).toEqual([true, 1])
    before.kill()
    await fleet.clock.advance(10_000)
    expect(fleet.runs).toMatchObject([{ by: 'v1' }, { by: 'v2', attempt: 2, isEnded: true }])
    expect(after.repeated).toEqual(['1'])
  })

  it('do not run an event twice whose claim one wrote right before it was taken for dead', async () => {
    for (const isWithBoth of [true, false]) {
      const fleet = new Fleet()
      const [before, after] = await twoProcesses(fleet)
      await fleet.clock.advance(5_000)
      after.freezeInNextClaim()
      after.receive('1')
      if (isWithBoth) before.receive('1')
      await fleet.clock.advance(10_000)
      after.thaw()
      await fleet.clock.advance(10_000)
      const by = isWithBoth ? 'v1' : 'v2'
      expect(fleet.runs).toMatchObject([{ eventId: '1', by, attempt: isWithBoth ? 2 : 1, isEnded: true }])
      expect([before.repeated, after.repeated]).toEqual([isWithBoth ? ['1'] : [], []])
    }
  })

  it('write claims for as long as one that was taken for dead may come back, and none after that', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet, { redoMs: 20_000 })
    const claimsOf = async (id: string): Promise<boolean> => (await fleet.store.entry(`claim:bot:${id}`)) !== undefined
    after.freeze()
    await fleet.clock.advance(10_000)
    expect(before.restart.status.versions).toEqual(['v1'])
    before.receive('1')
    await fleet.clock.advance(20_000)
    before.receive('2')
    await fleet.clock.advance(100)
    expect([await claimsOf('1'), await claimsOf('2')]).toEqual([true, false])
    expect(fleet.runs.map(({ eventId }) => eventId)).toEqual(['1', '2'])
  })

  it('tell of an event that ran twice as the store went away between its claim and its other copy', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    before.receive('1')
    const stopped = before.restart.stop()
    await fleet.clock.advance(10)
    fleet.store.isDown = true
    after.receive('1')
    await fleet.clock.advance(10_000)
    await stopped
    expect(after.repeated).toEqual([])
    fleet.store.isDown = false
    await fleet.clock.advance(2_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '1 v2'])
    expect(after.repeated).toEqual(['1'])
  })

  it('lose nothing that came while the other one had started, and had no session yet', async () => {
    const fleet = new Fleet()
    const [before, after] = [fleet.process(), fleet.process()]
    await before.begin()
    await fleet.clock.advance(5_000)
    const started = after.restart.start()
    await fleet.clock.advance(1_000)
    await started
    before.freeze()
    await fleet.clock.advance(6_000)
    for (const id of ['1', '2', '3']) fleet.send(id)
    before.thaw()
    await fleet.clock.advance(20_000)
    expect(fleet.runs.map(({ eventId, by }) => `${eventId} ${by}`)).toEqual(['1 v1', '2 v1', '3 v1'])
  })

  it('handle what came to that one alone', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.freeze()
    await fleet.clock.advance(6_000)
    after.receive('1')
    after.thaw()
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet, '1')).toEqual({ runs: ['v2 1'], told: [] })
  })

  it('do not leave an event to each other when two come back at once', async () => {
    const fleet = new Fleet()
    const [one, two] = await twoProcesses(fleet)
    const three = fleet.process()
    const begun = three.begin()
    await fleet.clock.advance(2_000)
    await begun
    for (const process of [one, two]) process.freeze()
    await fleet.clock.advance(8_000)
    expect(three.restart.status.versions).toEqual(['v3'])
    for (const process of [one, two]) process.thaw()
    const ids = Array.from({ length: 40 }, (_, i) => `e${i}`)
    for (const id of ids) {
      await fleet.clock.advance(20)
      if (id === 'e5') {
        three.isLoggedIn = false
        void three.restart.stop()
      }
      fleet.send(id)
    }
    await fleet.clock.advance(20_000)
    for (const id of ids) expect(storyOf(fleet, id), id).toMatchObject({ runs: { length: 1 }, told: [] })
  })

  it('find the claim that was made up for, also of what ran without one before the second of two sleeps', async () => {
    const fleet = new Fleet()
    const [before, after] = await twoProcesses(fleet)
    const back = before.restart.takeOver()
    await fleet.clock.advance(2_000)
    await back
    await fleet.clock.advance(5_000)
    after.freeze()
    fleet.store.isDown = true
    before.receive('1')
    await fleet.clock.advance(2_500)
    fleet.store.isDown = false
    await fleet.clock.advance(600)
    after.thaw()
    await fleet.clock.advance(600)
    after.receive('1')
    await fleet.clock.advance(100)
    after.freeze()
    await fleet.clock.advance(8_000)
    const stopped = before.restart.stop()
    await fleet.clock.advance(1_000)
    await stopped
    before.isLoggedIn = false
    after.thaw()
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet, '1')).toEqual({ runs: ['v1 1'], told: [] })
  })

  it('tell of an event that one had claimed, and has not begun when it stops before it is back', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.freezeInNextClaim()
    after.receive('1')
    await fleet.clock.advance(10_000)
    after.thaw()
    await fleet.clock.advance(20)
    const stopped = after.restart.stop()
    await fleet.clock.advance(20_000)
    await stopped
    expect(storyOf(fleet, '1')).toEqual({ runs: [], told: ['v2 undecided'] })
  })

  it('tell of what came to one alone that stops before it is back, for the others may not have got it', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.freeze()
    await fleet.clock.advance(6_000)
    fleet.store.slowMs = 200
    after.thaw()
    while (!after.told.includes('membership in > out')) await fleet.clock.advance(1)
    after.receive('1')
    await fleet.clock.advance(0)
    const stopped = after.restart.stop()
    await fleet.clock.advance(20_000)
    await stopped
    expect(storyOf(fleet, '1')).toEqual({ runs: [], told: ['v2 undecided'] })
  })

  it('settle what waits for the store when one has stopped', async () => {
    const fleet = new Fleet()
    const [, after] = await twoProcesses(fleet)
    await fleet.clock.advance(5_000)
    after.freezeInNextClaim()
    after.receive('1')
    const stopped = after.restart.stop()
    await fleet.clock.advance(3_500)
    fleet.store.isDown = true
    after.thaw()
    await fleet.clock.advance(10_000)
    await stopped
    expect([after.answers.has('1'), after.restart.status.kept]).toEqual([true, 0])
    expect(storyOf(fleet, '1').told).toEqual(['v2 undecided'])
  })
})

it('an event that comes before the store is known to be back is no proof that its owner could claim it', async () => {
  for (let copyMs = 800; copyMs < 1_400; copyMs += 100) {
    for (let backMs = 1_250; backMs < 1_800; backMs += 50) {
      const fleet = new Fleet()
      const [standby, owner] = await twoProcesses(fleet)
      await fleet.clock.advance(5_000)
      fleet.store.isDown = true
      await fleet.clock.advance(1_000)
      owner.receive('1')
      fleet.clock.after(copyMs, () => standby.receive('1'))
      fleet.clock.after(backMs, () => (fleet.store.isDown = false))
      await fleet.clock.advance(20_000)
      const { runs, told } = storyOf(fleet, '1')
      expect(runs.length === 1 || told.includes('v2 repeated'), `copy ${copyMs}, back ${backMs}`).toBe(true)
    }
  }
})

describe('a process that comes back', () => {
  it('does not run what one that has gone in good order had begun, and is doing', async () => {
    for (const effects of ['keyed', 'atMostOnce'] as const) {
      const fleet = new Fleet()
      const [before, after] = await twoProcesses(fleet, { effects })
      await fleet.clock.advance(10_000)
      after.workMs = 8_000
      fleet.send('7/1')
      // It is cut off as its copy is due.
      await fleet.clock.advance(1_498)
      before.isCutOff = true
      await fleet.clock.advance(20)
      const stopped = after.restart.stop().then(() => (after.isLoggedIn = false))
      await fleet.clock.advance(2_000)
      await stopped
      before.isCutOff = false
      await fleet.clock.advance(20_000)
      expect(fleet.runsOf('7/1')).toMatchObject([{ by: 'v2', isEnded: true }])
      expect([before.repeated, before.unfinished]).toEqual([[], []])
    }
  })

  it('takes over when it is told to, although it was taken for dead', async () => {
    const fleet = new Fleet()
    const before = fleet.process()
    await before.begin()
    const after = await standby(fleet)
    after.freeze()
    await fleet.clock.advance(8_000)
    after.thaw()
    const taken = after.restart.takeOver()
    await fleet.clock.advance(8_000)
    await taken
    expect([after.restart.status.role, before.restart.status.role]).toEqual(['owner', 'standby'])
  })

  it('tells of no other owner where there is none', async () => {
    const fleet = new Fleet()
    const [before] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    before.told.length = 0
    before.freeze()
    await fleet.clock.advance(10_000)
    before.thaw()
    await fleet.clock.advance(20_000)
    expect(before.told.filter((one) => one.startsWith('owner'))).toEqual([])
    expect(before.told).toEqual(expect.arrayContaining(['membership in > out', 'membership out > in']))
  })

  it('takes nothing from one that took over while it stood still', async () => {
    const fleet = new Fleet()
    const before = fleet.process()
    await before.begin()
    const second = await standby(fleet)
    const third = await standby(fleet)
    await fleet.clock.advance(5_000)
    second.freeze()
    const taking = second.restart.takeOver().catch((error: unknown) => error)
    await fleet.clock.advance(5_500)
    const taken = third.restart.takeOver()
    await fleet.clock.advance(1_500)
    await taken
    second.thaw()
    await fleet.clock.advance(20_000)
    expect(await taking).toMatchObject({
      code: 'NOT_TAKEN_OVER',
      message: expect.stringContaining('another process took over meanwhile') as string,
    })
    expect([second.restart.status.role, third.restart.status.role]).toEqual(['standby', 'owner'])
  })

  it('takes over when it handles events again, and not before', async () => {
    const fleet = new Fleet()
    const before = fleet.process()
    await before.begin()
    const after = await standby(fleet)
    await fleet.clock.advance(5_000)
    after.freeze()
    // The other one writes no claims any more.
    await fleet.clock.advance(80_000)
    after.thaw()
    const taking = after.restart.takeOver()
    const late: string[] = []
    for (let n = 0; n < 80; n++) {
      fleet.send(`7/${n}`)
      await fleet.clock.advance(100)
      const due = `7/${n - 10}`
      if (n >= 10 && fleet.runsOf(due).length === 0) late.push(due)
    }
    await taking
    expect([late, after.restart.status.role]).toEqual([[], 'owner'])
  })
})

describe('processes whose store loses their record', () => {
  it('agree anew, and run each event once', async () => {
    const fleet = new Fleet()
    const [first, owner] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    await fleet.store.set('restart:bot', noTable)
    await fleet.clock.advance(10_000)
    for (const { restart } of [first, owner]) expect(restart.status.versions.toSorted()).toEqual(['v1', 'v2'])
    for (let i = 0; i < 20; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(100)
    }
    await fleet.clock.advance(10_000)
    expect(fleet.runs).toHaveLength(20)
  })
})
