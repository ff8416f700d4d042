import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventContext } from '../context.js'
import { Fleet, standby, twoProcesses, type FleetProcess } from '../test-support/fleet.js'
import type { Kept } from './kept.js'
import { whenDue, whenLeft, whenOld, whenUnclaimed, whenUntold, type Judge, type Verdict } from './missed.js'
import { gaplessRestartDefaults } from './options.js'
import { noTable, type Member, type Table } from './records.js'

const hourMs = 3_600_000

/** Three processes, of which the last one owns the events, some time after they have come. */
async function three(options: Parameters<Fleet['process']>[0] = {}): Promise<{
  readonly fleet: Fleet
  readonly first: FleetProcess
  readonly second: FleetProcess
  readonly owner: FleetProcess
}> {
  const fleet = new Fleet()
  const [second, owner] = await twoProcesses(fleet, options)
  const first = await standby(fleet, options)
  await fleet.clock.advance(10_000)
  return { fleet, first, second, owner }
}

describe('a process whose clock was moved forward, as after a sleep of its machine', () => {
  it('runs what came then, where all others have died, and tells so', async () => {
    const { fleet, first, second, owner } = await three()
    first.skewMs += hourMs
    owner.workMs = second.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(100)
    owner.kill()
    fleet.send('2')
    await fleet.clock.advance(200)
    second.kill()
    fleet.send('3')
    await fleet.clock.advance(20_000)
    expect(first.undecided).toEqual([])
    for (const id of ['1', '2', '3'])
      expect(fleet.runsOf(id).at(-1)).toMatchObject({ by: first.version, isEnded: true })
    expect(first.repeated.toSorted()).toEqual(['1', '2', '3'])
  })

  it('reports what came then and must not run twice', async () => {
    const { fleet, first, second, owner } = await three({ effects: 'atMostOnce' })
    first.skewMs += hourMs
    fleet.send('1')
    owner.kill()
    second.kill()
    await fleet.clock.advance(20_000)
    expect([first.unfinished, first.undecided, fleet.runs.length]).toEqual([['1'], [], 0])
  })

  it('and another one alike: one of them runs what the owner has left', async () => {
    const { fleet, first, second, owner } = await three()
    first.skewMs += hourMs
    second.skewMs += hourMs
    owner.kill()
    fleet.send('1')
    await fleet.clock.advance(20_000)
    expect(fleet.runsOf('1')).toMatchObject([{ attempt: 2, isEnded: true }])
    expect([...first.repeated, ...second.repeated]).toEqual(['1'])
    expect([...first.undecided, ...second.undecided]).toEqual([])
  })

  it('runs what came then to it alone, for the first time', async () => {
    const { fleet, first } = await three()
    first.skewMs += hourMs
    first.receive('1')
    await fleet.clock.advance(20_000)
    expect(fleet.runsOf('1')).toMatchObject([{ by: first.version, attempt: 1 }])
    expect([first.repeated, first.undecided]).toEqual([[], []])
  })

  it('leaves what came then to the owner that has served it without a claim', async () => {
    const { fleet, first, owner } = await three()
    first.skewMs += hourMs
    fleet.store.isDown = true
    fleet.send('1')
    await fleet.clock.advance(1_400)
    fleet.store.isDown = false
    await fleet.clock.advance(20_000)
    expect(fleet.runsOf('1')).toMatchObject([{ by: owner.version }])
    expect(first.repeated).toEqual([])
  })

  it('is not misled by a sign of life that the owner had begun before it served without a claim', async () => {
    // What comes a lease after that, or later, has not come in a sleep.
    for (let offsetMs = 0; offsetMs < 2_000; offsetMs += 30) {
      const fleet = new Fleet()
      const [first, owner] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000 + ((offsetMs * 7) % 500))
      first.skewMs += hourMs
      await fleet.clock.advance(1_000 + offsetMs)
      const honest = {
        set: owner.store.set.bind(owner.store),
        compareAndSet: owner.store.compareAndSet.bind(owner.store),
      }
      owner.store.set = () => Promise.reject(new Error('the connection was reset'))
      owner.store.compareAndSet = async (...write) => {
        await new Promise<void>((resolve) => fleet.clock.after(400, resolve))
        return honest.compareAndSet(...write)
      }
      fleet.send('1')
      await fleet.clock.advance(3_000)
      Object.assign(owner.store, honest)
      await fleet.clock.advance(20_000)
      expect(fleet.runsOf('1'), `${offsetMs} ms later`).toMatchObject([{ by: owner.version, attempt: 1 }])
    }
  })

  it('runs what came then to it alone, or says that it does not, also where it stops at once', async () => {
    const { fleet, first } = await three()
    first.skewMs += hourMs
    first.receive('1')
    await fleet.clock.advance(0)
    const stopped = first.restart.stop()
    await fleet.clock.advance(20_000)
    await stopped
    expect(fleet.runsOf('1').length + first.undecided.length).toBe(1)
  })
})

/** The machine of some processes is suspended; when it wakes up, something may have become of them. */
async function sleepForAnHour(fleet: Fleet, processes: readonly FleetProcess[], then = (): void => {}): Promise<void> {
  for (const process of processes) process.suspend()
  await fleet.clock.advance(hourMs)
  then()
  for (const process of processes) process.thaw()
}

/** What became of the events: each run, and what was told of it. */
function storyOf({ processes, runs }: Fleet): string[] {
  const ran = runs.map(({ eventId, by, attempt }) => `${eventId} ran on ${by} #${attempt}`)
  const told = processes.flatMap(({ version, repeated, undecided }) => [
    ...repeated.map((eventId) => `${version} repeats ${eventId}`),
    ...undecided.map((eventId) => `${version} lets ${eventId} go`),
  ])
  return [...ran, ...told]
}

describe('a process that missed something', () => {
  it.each([
    ['tells that it runs once more what the owner has served without a claim, and died with', true],
    ['leaves to the owner what that has served without a claim', false],
  ])('as its machine was suspended, and has an event due before its next sign of life, %s', async (_, dies) => {
    for (let offsetMs = 0; offsetMs < 500; offsetMs += 20) {
      const fleet = new Fleet()
      const [first, owner] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000 + offsetMs)
      first.receive('1')
      await fleet.clock.advance(1_400)
      first.suspend()
      fleet.store.isDown = true
      owner.receive('1')
      await fleet.clock.advance(1_250)
      if (dies) owner.kill()
      fleet.store.isDown = false
      first.thaw()
      await fleet.clock.advance(30_000)
      const again = dies ? ['1 ran on v1 #2', 'v1 repeats 1'] : []
      const story = storyOf(fleet).filter((line) => !line.includes('lets'))
      expect(story, `${offsetMs} ms later`).toEqual(['1 ran on v2 #1', ...again])
    }
  })

  it('tells that it runs once more what was served without a claim by one that it had not yet read of', async () => {
    for (let offsetMs = 0; offsetMs < 500; offsetMs += 20) {
      const fleet = new Fleet()
      const [first] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000 + offsetMs)
      first.skewMs += hourMs
      const third = fleet.process()
      void third.begin()
      await fleet.clock.advance(2_400)
      first.skewMs += hourMs
      await fleet.clock.advance(2_000)
      fleet.store.isDown = true
      fleet.send('1')
      await fleet.clock.advance(1_250)
      third.kill()
      fleet.store.isDown = false
      await fleet.clock.advance(30_000)
      const again = fleet.runs.length - 1
      expect(
        fleet.processes.flatMap(({ repeated }) => repeated),
        `${offsetMs} ms later`,
      ).toHaveLength(again)
    }
  })

  it('and is taken for dead before it has decided, decides all the same', async () => {
    const fleet = new Fleet()
    const [first] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    first.skewMs += hourMs
    first.receive('1')
    await fleet.clock.advance(1_600)
    first.freeze()
    await fleet.clock.advance(6_000)
    first.thaw()
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v1 #1'])
    expect([first.answers.get('1'), first.restart.status.kept]).toEqual(['1 from v1', 0])
  })

  it('does not take an event for one that nobody has claimed when its claim has expired in a sleep of the machine', async () => {
    const fleet = new Fleet()
    const both = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    fleet.send('1')
    await fleet.clock.advance(1_000)
    await sleepForAnHour(fleet, both)
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v2 #1', 'v1 lets 1 go'])
  })

  it('runs it once more, and tells so, where all others have died since', async () => {
    const fleet = new Fleet()
    const [first, owner] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    owner.kill()
    fleet.send('1')
    await fleet.clock.advance(1_000)
    await sleepForAnHour(fleet, [first])
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v1 #2', 'v1 repeats 1'])
  })

  it('lets go what one had claimed that dies after such a sleep', async () => {
    const fleet = new Fleet()
    const [first, owner] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    owner.workMs = 60_000
    fleet.send('1')
    await fleet.clock.advance(5_000)
    await sleepForAnHour(fleet, [first, owner], () => owner.kill())
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v2 #1', 'v1 lets 1 go'])
  })

  it('forgets nothing of one that may have died in the meantime', async () => {
    const fleet = new Fleet()
    const [, owner] = await twoProcesses(fleet)
    owner.workMs = 120_000
    await fleet.clock.advance(10_000)
    fleet.send('1')
    await fleet.clock.advance(2_000)
    owner.kill()
    fleet.store.isDown = true
    await fleet.clock.advance(70_000)
    fleet.store.isDown = false
    await fleet.clock.advance(20_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v2 #1', '1 ran on v1 #2', 'v1 repeats 1'])
  })

  it.each([
    ['hang', () => new Promise<never>(() => undefined)],
    ['are refused', () => Promise.reject(new Error('the connection was reset'))],
  ])('is not misled by an owner that serves without a claim as its claims %s, and dies with it', async (_, claim) => {
    for (let offsetMs = 0; offsetMs < 900; offsetMs += 100) {
      for (const lateMs of [0, 400, 800, 1_200]) {
        const fleet = new Fleet()
        const [first, owner] = await twoProcesses(fleet)
        await fleet.clock.advance(10_000 + ((offsetMs * 7) % 500))
        first.skewMs += 2_000
        await fleet.clock.advance(1_000 + offsetMs)
        owner.store.set = claim
        first.receive('1')
        await fleet.clock.advance(lateMs)
        owner.receive('1')
        for (let ms = 0; ms < 3_000 && fleet.runs.length === 0; ms += 5) await fleet.clock.advance(5)
        await fleet.clock.advance(5)
        owner.kill()
        await fleet.clock.advance(30_000)
        const again = fleet.runs.length - 1
        expect(first.repeated, `${offsetMs} ms later, its copy ${lateMs} ms`).toHaveLength(again)
      }
    }
  })

  it('takes up what one had claimed that died while this one was taken for dead', async () => {
    const fleet = new Fleet()
    const [first, owner] = await twoProcesses(fleet)
    owner.workMs = 5 * 60_000
    await fleet.clock.advance(10_000)
    fleet.send('1')
    await fleet.clock.advance(2_000)
    first.freeze()
    await fleet.clock.advance(20_000)
    owner.kill()
    await fleet.clock.advance(50_000)
    first.thaw()
    await fleet.clock.advance(30_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v2 #1', '1 ran on v1 #2', 'v1 repeats 1'])
  })

  it('lets go what belongs to a flow of another process, when its claim has expired while the store was out', async () => {
    const fleet = new Fleet()
    const context = (id: string): EventContext => ({ eventId: id, guildId: '7', pin: 'flow' })
    const [first, owner] = await twoProcesses(fleet, { context })
    await fleet.clock.advance(5_000)
    first.restart.pin('flow', { kind: 'collector', maxMs: 2 * hourMs })
    await fleet.clock.advance(5_000)
    first.receive('1')
    await fleet.clock.advance(100)
    fleet.store.isDown = true
    await fleet.clock.advance(600)
    owner.receive('1')
    await fleet.clock.advance(16 * 60_000)
    fleet.store.isDown = false
    await fleet.clock.advance(30_000)
    expect(storyOf(fleet)).toEqual(['1 ran on v1 #1', 'v2 lets 1 go'])
  })

  it.each([
    ['', false],
    [' as it comes back', true],
  ])('gives up what it cannot claim, and leaves the store in peace%s', async (_, wasOut) => {
    const fleet = new Fleet()
    const [first] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    if (wasOut) {
      first.freeze()
      await fleet.clock.advance(6_000)
    }
    for (let i = 0; i < 100; i++) first.receive(String(i))
    let writes = 0
    first.store.set = () => {
      writes += 1
      return Promise.reject(new Error('permission denied'))
    }
    first.thaw()
    await fleet.clock.advance(60_000)
    expect([first.restart.status.kept, first.undecided.length]).toEqual([0, 100])
    expect(writes).toBeLessThan(1_000)
  })

  it('keeps no more of it than maxKept', async () => {
    const fleet = new Fleet()
    const [first] = await twoProcesses(fleet, { maxKept: 10 })
    await fleet.clock.advance(10_000)
    first.skewMs += hourMs
    let most = 0
    for (let i = 0; i < 1_000; i++) {
      first.receive(String(i))
      await fleet.clock.advance(1)
      most = Math.max(most, first.restart.status.kept)
    }
    await fleet.clock.advance(20_000)
    expect(most).toBeLessThanOrEqual(11)
    expect(first.undecided.length + fleet.runs.length).toBe(1_000)
  })
})

const { keepMs, redoMs, claimMs, storeTimeoutMs } = gaplessRestartDefaults
const member: Member = { version: 'v1', beat: 1, acked: 1, isReady: true }

/** An event, and where a process stands that has kept it: whatever both can be, a day after time began. */
const situations = fc.record({
  agoMs: fc.constantFrom(0, keepMs, redoMs, claimMs - 2 * keepMs - 1, claimMs - 2 * keepMs, 2 * claimMs),
  sleptMs: fc.constantFrom(0, claimMs),
  doubtedForMs: fc.constantFrom(undefined, -1, 0, 1, redoMs),
  event: fc.record({
    state: fc.constantFrom('waiting' as const, 'claiming' as const, 'stalled' as const, 'theirs' as const),
    by: fc.constantFrom(undefined, 'me', 'other', 'gone'),
    wasOut: fc.boolean(),
    lateByMs: fc.constantFrom(0, 5_000),
    needsClaim: fc.boolean(),
    mayWait: fc.boolean(),
  }),
  standing: fc.record({ isIn: fc.boolean(), isStoreUp: fc.boolean() }),
  seesAll: fc.boolean(),
  isOtherThere: fc.boolean(),
  hasGone: fc.constantFrom('died', 'left'),
  quietEpoch: fc.constantFrom(1, 9),
})

type Situation = typeof situations extends fc.Arbitrary<infer One> ? One : never

/** What a judge says then; `laterMs` later with `kept` as it is by then. */
function judged(judge: Judge, given: Situation, laterMs = 0, change: Partial<Kept> = {}): Verdict | undefined {
  const nowMs = 24 * hourMs + laterMs
  const cameMs = 24 * hourMs - given.agoMs
  const others = { other: member, gone: member }
  const kept: Kept = {
    ...given.event,
    eventId: '1',
    unitId: '7',
    pin: undefined,
    event: undefined as never,
    cameMs,
    cameAt: cameMs - given.sleptMs,
    arrivedMs: cameMs,
    heldUntilMs: cameMs,
    isOwn: false,
    since: { ...noTable, epoch: 5, members: { me: member, ...others } },
    members: ['me', 'other', 'gone'],
    former: undefined,
    doubtedUntilMs: given.doubtedForMs === undefined ? undefined : 24 * hourMs + given.doubtedForMs,
    resolve: () => undefined,
    reject: () => undefined,
    ...change,
  }
  const table = {
    ...noTable,
    epoch: 10,
    quietEpoch: given.quietEpoch,
    members: given.isOtherThere ? { me: member, other: member } : { me: member },
    [given.hasGone]: ['gone'],
  }
  const sees = (): boolean => given.seesAll
  const standing = {
    ...given.standing,
    table,
    hasClaimsSince: ({ epoch }: Table) => table.quietEpoch <= epoch,
    haveCaughtUpSince: sees,
    hasLivedSince: sees,
    hasReachedStoreSince: sees,
  }
  const clock = { now: () => nowMs, monotonic: () => nowMs, after: () => () => undefined }
  return judge(kept, standing, { id: 'me', clock, keepMs, redoMs, claimMs, storeTimeoutMs })
}

describe.each(Object.entries({ whenDue, whenLeft, whenOld, whenUnclaimed, whenUntold }))('%s', (_, judge) => {
  it('begins nothing for the first time whose claim may have expired', () => {
    fc.assert(
      fc.property(situations, (given) => {
        const mayHaveExpired = given.agoMs + given.sleptMs >= claimMs - 2 * keepMs
        if (mayHaveExpired) expect(judged(judge, given)?.kind).not.toBe('begin')
      }),
      { numRuns: 2_000 },
    )
  })

  it('waits for nobody any longer than redoMs, however often it is asked', () => {
    fc.assert(
      fc.property(situations, (given) => {
        const first = judged(judge, given)
        if (first?.kind !== 'doubt') return
        const { doubtedUntilMs } = first
        const leftMs = doubtedUntilMs - 24 * hourMs
        expect(leftMs).toBe(given.doubtedForMs ?? redoMs)
        const again = judged(judge, given, leftMs - 1, { doubtedUntilMs })
        if (again?.kind === 'doubt') expect(again).toEqual(first)
        expect(judged(judge, given, leftMs, { doubtedUntilMs })?.kind).not.toBe('doubt')
      }),
      { numRuns: 2_000 },
    )
  })
})
