import { describe, expect, it } from 'vitest'
import { Fleet, twoProcesses, type FleetProcess } from '../test-support/fleet.js'

/** An event that waits in the session of the first one, while the store is out for a moment and the owner serves. */
async function servedMeanwhile(
  options: Parameters<Fleet['process']>[0] = {},
): Promise<{ readonly fleet: Fleet; readonly first: FleetProcess; readonly owner: FleetProcess }> {
  const fleet = new Fleet()
  const [first, owner] = await twoProcesses(fleet, options)
  await fleet.clock.advance(10_000)
  first.isConnected = false
  await fleet.clock.advance(1_000)
  fleet.store.isDown = true
  await fleet.clock.advance(600)
  fleet.send('1')
  await fleet.clock.advance(2_000)
  expect(fleet.runsOf('1')).toMatchObject([{ by: 'v2', attempt: 1 }])
  return { fleet, first, owner }
}

const attempts = (fleet: Fleet, eventId: string): [string, number][] =>
  fleet.runsOf(eventId).map(({ by, attempt }) => [by, attempt])

describe('what has waited in a session while the owner served without claims', () => {
  it.each([0, 2_000, 10_000, 100_000])(
    'and died before it had one runs once more, told, where the connection is back %s ms after the store',
    async (ms) => {
      const { fleet, first, owner } = await servedMeanwhile()
      owner.kill()
      fleet.store.isDown = false
      await fleet.clock.advance(ms)
      first.reconnect()
      await fleet.clock.advance(20_000)
      expect(attempts(fleet, '1')).toEqual([
        ['v2', 1],
        ['v1', 2],
      ])
      expect([first.repeated, first.undecided]).toEqual([['1'], []])
    },
  )

  it('is reported where that must not be', async () => {
    const { fleet, first, owner } = await servedMeanwhile({ effects: 'atMostOnce' })
    owner.kill()
    fleet.store.isDown = false
    await fleet.clock.advance(10_000)
    first.reconnect()
    await fleet.clock.advance(20_000)
    expect([attempts(fleet, '1'), first.unfinished]).toEqual([[['v2', 1]], ['1']])
  })

  it.each([
    ['is there still', false],
    ['has left since', true],
  ])('and %s: another one does not run it', async (_, leaves) => {
    const { fleet, first, owner } = await servedMeanwhile()
    fleet.store.isDown = false
    await fleet.clock.advance(2_000)
    if (leaves) {
      const left = owner.restart.stop()
      await fleet.clock.advance(8_000)
      await left
      owner.isLoggedIn = false
    }
    first.reconnect()
    await fleet.clock.advance(20_000)
    expect([attempts(fleet, '1'), first.repeated]).toEqual([[['v2', 1]], []])
  })

  it('and left without a claim of it: that is told, and another one lets it go', async () => {
    const { fleet, first, owner } = await servedMeanwhile()
    const set = owner.store.set.bind(owner.store)
    owner.store.set = () => Promise.reject(new Error('the connection was reset'))
    fleet.store.isDown = false
    await fleet.clock.advance(2_000)
    const left = owner.restart.stop()
    await fleet.clock.advance(20_000)
    await left
    owner.isLoggedIn = false
    owner.store.set = set
    first.reconnect()
    await fleet.clock.advance(20_000)
    expect([attempts(fleet, '1'), owner.undecided, first.undecided]).toEqual([[['v2', 1]], ['1'], ['1']])
  })

  it('waits for the store where that is out still', async () => {
    const { fleet, first, owner } = await servedMeanwhile()
    owner.kill()
    first.reconnect()
    await fleet.clock.advance(30_000)
    expect(attempts(fleet, '1')).toEqual([['v2', 1]])
    fleet.store.isDown = false
    await fleet.clock.advance(30_000)
    // What falls due while the store is out is let go, as ever.
    expect([...first.repeated, ...first.undecided]).toEqual(['1'])
  })
})

describe('what has waited in the session of the owner, and comes while the store is out', () => {
  it.each([
    ['waits for that, where another one may have taken it over before', 3_000, 0, 1],
    ['runs at once, where the store was out before it was sent', 0, 1, 1],
  ])('%s', async (_, untilOutMs, meanwhile, atLast) => {
    for (const dies of [false, true]) {
      const fleet = new Fleet()
      const [other, owner] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      if (untilOutMs === 0) {
        fleet.store.isDown = true
        await fleet.clock.advance(1_500)
      }
      owner.isConnected = false
      await fleet.clock.advance(600)
      fleet.send('1')
      await fleet.clock.advance(untilOutMs)
      fleet.store.isDown = true
      await fleet.clock.advance(600)
      const before = fleet.runs.length
      owner.reconnect()
      await fleet.clock.advance(2_000)
      expect(fleet.runs.length - before).toBe(meanwhile)
      if (dies) owner.kill()
      fleet.store.isDown = false
      await fleet.clock.advance(20_000)
      expect(fleet.runs.filter(({ attempt }) => attempt === 1)).toHaveLength(atLast)
      expect(fleet.runs).toHaveLength(1 + other.repeated.length)
    }
  })
})

describe('what has waited in the session of one process alone', () => {
  it.each([
    ['of a standby', false],
    ['of the owner', true],
  ])('%s runs there for the first time, also where the store was out meanwhile', async (_, owns) => {
    for (const isOut of [false, true]) {
      const fleet = new Fleet()
      const [first, second] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      const process = owns ? second : first
      const other = owns ? first : second
      process.isConnected = false
      await fleet.clock.advance(1_000)
      if (isOut) fleet.store.isDown = true
      other.isLoggedIn = false
      fleet.send('1')
      await fleet.clock.advance(1_000)
      fleet.store.isDown = false
      await fleet.clock.advance(5_000)
      process.reconnect()
      await fleet.clock.advance(owns ? 100 : 10_000)
      expect(attempts(fleet, '1')).toEqual([[process.version, 1]])
      expect([process.repeated, process.undecided]).toEqual([[], []])
    }
  })

  it('of one that has taken over since runs there at once, where the store has answered all the time', async () => {
    const fleet = new Fleet()
    const [first, owner] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    first.isConnected = false
    owner.isLoggedIn = false
    fleet.send('1')
    await fleet.clock.advance(3_000)
    const taken = first.restart.takeOver()
    await fleet.clock.advance(1_000)
    await taken
    first.reconnect()
    await fleet.clock.advance(100)
    expect(attempts(fleet, '1')).toEqual([['v1', 1]])
  })

  it('of one that was alone, and wrote no claims, until another one came, runs there once', async () => {
    for (let offsetMs = 0; offsetMs < 3_000; offsetMs += 100) {
      const fleet = new Fleet()
      const [first, owner] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      const left = owner.end(true)
      await fleet.clock.advance(2_000 + offsetMs)
      await left
      first.isConnected = false
      fleet.send('1')
      await fleet.clock.advance(1_000)
      const next = fleet.process().begin()
      await fleet.clock.advance(5_000)
      await next
      first.reconnect()
      await fleet.clock.advance(10_000)
      expect([attempts(fleet, '1'), first.undecided], `${offsetMs} ms later`).toEqual([[['v1', 1]], []])
    }
  })

  it('of one that has logged in long after its start waits for nobody, whoever has died since', async () => {
    const fleet = new Fleet()
    const [, owner] = await twoProcesses(fleet)
    const late = fleet.process({ effects: 'atMostOnce' })
    const started = late.restart.start()
    await fleet.clock.advance(10_000)
    await started
    fleet.store.isDown = true
    await fleet.clock.advance(2_000)
    fleet.store.isDown = false
    owner.kill()
    await fleet.clock.advance(600_000)
    late.isLoggedIn = true
    late.receive('1')
    await fleet.clock.advance(2_000)
    expect(attempts(fleet, '1')).toEqual([['v3', 1]])
  })
})

describe('an event without an id that has waited in a session', () => {
  it.each([
    ['is let go where another one owned its guild when it was sent', false, 0, 1],
    ['runs where its guild was this one’s all the time', true, 1, 0],
  ])('%s', async (_, owns, runs, undecided) => {
    const fleet = new Fleet()
    const [first, second] = await twoProcesses(fleet, { context: () => ({ eventId: null, guildId: '7' }) })
    await fleet.clock.advance(10_000)
    const process = owns ? second : first
    process.isConnected = false
    process.receive('1')
    await fleet.clock.advance(2_000)
    if (!owns) second.kill()
    await fleet.clock.advance(10_000)
    process.reconnect()
    await fleet.clock.advance(1_000)
    expect([fleet.runs.length, process.restart.status.undecided]).toEqual([runs, undecided])
  })
})

/** The connection breaks, and comes back. */
async function blink(fleet: Fleet, process: FleetProcess, ms = 600): Promise<void> {
  process.isConnected = false
  await fleet.clock.advance(ms)
  process.reconnect()
}

/** So it does every 2.6 s; each time something happens when it has been back for a moment. */
async function flap(
  fleet: Fleet,
  process: FleetProcess,
  times: number,
  then = (_i: number): void => {},
): Promise<void> {
  for (let i = 0; i < times; i++) {
    await blink(fleet, process)
    await fleet.clock.advance(700)
    then(i)
    await fleet.clock.advance(1_300)
  }
}

describe('a process whose connection comes and goes', () => {
  it('runs what comes, alone, after the other one served without claims and left', async () => {
    const fleet = new Fleet()
    const [first, owner] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    await flap(fleet, first, 1)
    fleet.store.isDown = true
    await fleet.clock.advance(600)
    fleet.send('before')
    await fleet.clock.advance(2_000)
    fleet.store.isDown = false
    await flap(fleet, first, 2)
    const left = owner.end(true)
    await flap(fleet, first, 5)
    await left
    await flap(fleet, first, 50, (i) => fleet.send(String(i)))
    expect(fleet.runs.filter(({ eventId }) => eventId !== 'before')).toHaveLength(50)
  })

  it.each(['keyed', 'atMostOnce'] as const)(
    'runs what comes for the first time, after the other one has died (%s)',
    async (effects) => {
      const fleet = new Fleet()
      const [first, owner] = await twoProcesses(fleet, { effects })
      await fleet.clock.advance(10_000)
      await flap(fleet, first, 1)
      fleet.store.isDown = true
      await fleet.clock.advance(600)
      fleet.store.isDown = false
      await flap(fleet, first, 2)
      owner.kill()
      await flap(fleet, first, 5)
      await flap(fleet, first, 50, (i) => fleet.send(String(i)))
      expect(fleet.runs.map(({ attempt }) => attempt)).toEqual(Array<number>(50).fill(1))
    },
  )

  it.each([true, false])('serves on while the store is out (with another one: %s)', async (isShared) => {
    const fleet = new Fleet()
    const [other, owner] = await twoProcesses(fleet)
    if (!isShared) await Promise.all([other.end(false), fleet.clock.advance(10_000)])
    await fleet.clock.advance(60_000)
    await flap(fleet, owner, 2)
    fleet.store.isDown = true
    await flap(fleet, owner, 25, (i) => fleet.send(String(i)))
    expect(fleet.runs).toHaveLength(25)
  })

  it.each([
    ['right after it has taken over', ['7']],
    ['after other guilds were given to another one', ['8']],
  ])('handles what has no id, %s', async (_, first) => {
    const fleet = new Fleet()
    const [other, owner] = await twoProcesses(fleet, { context: () => ({ eventId: null, guildId: '7' }) })
    await fleet.clock.advance(60_000)
    const taken = other.restart.takeOver({ percentage: 1, first })
    await fleet.clock.advance(2_000)
    await taken
    await blink(fleet, first.includes('7') ? other : owner)
    for (let i = 0; i < 30; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(100)
    }
    expect(fleet.runs).toHaveLength(30)
  })

  it('begins what comes at once after a busy login, where the store is well', async () => {
    const fleet = new Fleet()
    const before = fleet.process()
    await before.begin()
    await fleet.clock.advance(10_000)
    const after = fleet.process()
    const started = after.restart.start()
    await fleet.clock.advance(1_200)
    await started
    after.isConnected = false
    await fleet.clock.advance(500)
    after.freeze()
    await fleet.clock.advance(1_100)
    after.thaw()
    await fleet.clock.advance(500)
    after.isConnected = after.isLoggedIn = true
    await fleet.clock.advance(10)
    const taken = after.restart.takeOver()
    await fleet.clock.advance(1_600)
    await taken
    fleet.send('1')
    await fleet.clock.advance(100)
    expect(attempts(fleet, '1')).toEqual([['v2', 1]])
  })
})

describe('what has waited in the first session of a process, which was up for a moment only,', () => {
  it.each([400, 1_500, 4_000])('for %s ms, is judged so, too', async (upMs) => {
    const fleet = new Fleet()
    const owner = fleet.process()
    await owner.begin()
    await fleet.clock.advance(10_000)
    const late = fleet.process()
    const started = late.restart.start().then(() => {
      late.isConnected = false
      late.isLoggedIn = true
    })
    await fleet.clock.advance(1_000)
    await started
    await fleet.clock.advance(500)
    late.isConnected = true
    await fleet.clock.advance(upMs)
    late.isConnected = false
    await fleet.clock.advance(1_000)
    fleet.store.isDown = true
    await fleet.clock.advance(600)
    fleet.send('1')
    await fleet.clock.advance(2_000)
    owner.kill()
    fleet.store.isDown = false
    await fleet.clock.advance(10_000)
    late.reconnect()
    await fleet.clock.advance(20_000)
    expect([attempts(fleet, '1').length, late.repeated]).toEqual([2, ['1']])
  })
})

describe('a process of which one of several connections is down', () => {
  /** The connection of guild 8 is. */
  const oneIsDown = (isDown: () => boolean) => (unitId?: string) =>
    !isDown() || (unitId !== undefined && unitId !== '8')

  it.each(['keyed', 'atMostOnce'] as const)(
    'runs what comes by the others for the first time (%s)',
    async (effects) => {
      const fleet = new Fleet()
      let isDown = false
      const [, owner] = await twoProcesses(fleet, { effects, isConnected: oneIsDown(() => isDown) })
      await fleet.clock.advance(10_000)
      isDown = true
      await fleet.clock.advance(1_000)
      fleet.store.isDown = true
      await fleet.clock.advance(600)
      fleet.store.isDown = false
      await fleet.clock.advance(5_000)
      owner.kill()
      await fleet.clock.advance(60_000)
      for (let i = 0; i < 50; i++) {
        fleet.send(`7/${i}`)
        await fleet.clock.advance(100)
      }
      expect(fleet.runs.map(({ attempt }) => attempt)).toEqual(Array<number>(50).fill(1))
      // Of the one that is down, the dead one may have begun what comes.
      fleet.send('8/1')
      await fleet.clock.advance(10_000)
      expect(fleet.runsOf('8/1').length + fleet.processes.flatMap(({ unfinished }) => unfinished).length).toBe(1)
      expect(fleet.runsOf('8/1').every(({ attempt }) => attempt === 2)).toBe(true)
    },
  )

  it('serves what comes by the others while the store is out', async () => {
    const fleet = new Fleet()
    let isDown = false
    await twoProcesses(fleet, { isConnected: oneIsDown(() => isDown) })
    await fleet.clock.advance(10_000)
    isDown = true
    await fleet.clock.advance(5_000)
    fleet.store.isDown = true
    await fleet.clock.advance(1_000)
    for (let i = 0; i < 50; i++) {
      fleet.send(`7/${i}`)
      await fleet.clock.advance(100)
    }
    await fleet.clock.advance(2_000)
    expect(fleet.runs).toHaveLength(50)
  })

  it('handles what comes by the others without an id', async () => {
    const fleet = new Fleet()
    let isDown = false
    const context = (): { eventId: null; guildId: string } => ({ eventId: null, guildId: '7' })
    const [other] = await twoProcesses(fleet, { context, isConnected: oneIsDown(() => isDown) })
    await fleet.clock.advance(10_000)
    isDown = true
    await fleet.clock.advance(600)
    const taken = other.restart.takeOver()
    await fleet.clock.advance(1_000)
    await taken
    for (let i = 0; i < 50; i++) {
      fleet.send(String(i))
      await fleet.clock.advance(100)
    }
    expect(fleet.runs).toHaveLength(50)
  })
})

describe('what has waited in a session, and was served by one that died,', () => {
  it.each([12_000, 15_000])(
    'runs once more, told, where its process was out, and could not come back for %s ms',
    async (outMs) => {
      const fleet = new Fleet()
      const [first, owner] = await twoProcesses(fleet)
      await fleet.clock.advance(10_000)
      first.isConnected = false
      await fleet.clock.advance(600)
      first.freeze()
      await fleet.clock.advance(6_100)
      first.thaw()
      const isThere = async (): Promise<boolean> => {
        const found = await fleet.store.entry('restart:bot')
        return Object.keys((found?.value as { members: object }).members).length === 2
      }
      for (let i = 0; i < 300 && !(await isThere()); i++) await fleet.clock.advance(1)
      fleet.store.isDown = true
      await fleet.clock.advance(600)
      fleet.send('1')
      await fleet.clock.advance(outMs)
      owner.kill()
      await fleet.clock.advance(1_000)
      fleet.store.isDown = false
      await fleet.clock.advance(20_000)
      first.reconnect()
      await fleet.clock.advance(20_000)
      expect(attempts(fleet, '1')).toHaveLength(1 + first.repeated.length)
      expect([...first.repeated, ...first.undecided]).toEqual(['1'])
    },
  )

  it('is let go, told, where its claim may have expired', async () => {
    const fleet = new Fleet()
    const [first] = await twoProcesses(fleet)
    await fleet.clock.advance(10_000)
    first.isConnected = false
    await fleet.clock.advance(100)
    fleet.send('1')
    await fleet.clock.advance(899_000)
    first.reconnect()
    await fleet.clock.advance(20_000)
    expect([attempts(fleet, '1'), first.undecided]).toEqual([[['v2', 1]], ['1']])
  })

  it('and has no id, is late also where the store is slow to say who is there', async () => {
    for (const slowMs of [0, 100, 200, 250]) {
      const fleet = new Fleet(() => 0.999)
      const [first] = await twoProcesses(fleet, { context: () => ({ eventId: null, guildId: '7' }) })
      await fleet.clock.advance(10_000)
      first.isConnected = false
      await fleet.clock.advance(600)
      fleet.send('1')
      await fleet.clock.advance(100)
      const taken = first.restart.takeOver()
      await fleet.clock.advance(1_000)
      await taken
      await fleet.clock.advance(2_000)
      first.freeze()
      await fleet.clock.advance(3_600)
      fleet.store.slowMs = slowMs
      first.thaw()
      first.reconnect()
      await fleet.clock.advance(3_000)
      expect([fleet.runs.length, first.restart.status.undecided], `${slowMs} ms`).toEqual([1, 1])
    }
  })
})
