import { describe, expect, it } from 'vitest'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'

/** Two processes that are logged in; the first owns the events, and each event is of a guild of its own. An event such as `guild-1/unnamed-2` has no id. */
async function two(fleet = new Fleet()): Promise<{ fleet: Fleet; before: FleetProcess; after: FleetProcess }> {
  const before = fleet.process({ context: contextOf })
  await before.begin()
  return { fleet, before, after: await another(fleet) }
}

/** One more that is logged in and stands by. */
async function another(fleet: Fleet): Promise<FleetProcess> {
  const process = fleet.process({ context: contextOf })
  const coming = process.restart.start()
  await fleet.clock.advance(2_000)
  await coming
  process.isLoggedIn = true
  return process
}

function contextOf(event: string): { eventId: string | null; guildId: string | undefined } {
  return { eventId: event.includes('unnamed') ? null : event, guildId: event.split('/')[0] }
}

/** What a process tells of a share or an owner, and why. */
function reasonsOf({ restart }: FleetProcess): string[] {
  const reasons: string[] = []
  restart.on('change', ({ what, to, why }) => {
    if (what === 'share' || what === 'owner') reasons.push(`${what} ${to}: ${why}`)
  })
  return reasons
}

async function takesOver(
  fleet: Fleet,
  process: FleetProcess,
  options: Parameters<FleetProcess['restart']['takeOver']>[0],
  withinMs = 2_000,
): Promise<void> {
  const done = process.restart.takeOver(options)
  await fleet.clock.advance(withinMs)
  await done
}

let sent = 0
/** Sends 400 events, and says who has run which; `guild-0`, `guild-1`, ... are the same each time. */
async function servedBy(fleet: Fleet): Promise<Map<string, string[]>> {
  sent += 1
  const ids = Array.from({ length: 400 }, (_, i) => `guild-${i}`)
  for (const id of ids) fleet.send(`${id}/${sent}`)
  await fleet.clock.advance(0)
  const by = new Map<string, string[]>()
  for (const id of ids) {
    const runs = fleet.runsOf(`${id}/${sent}`)
    expect(runs).toHaveLength(1)
    const version = runs[0]?.by ?? ''
    by.set(version, [...(by.get(version) ?? []), id])
  }
  return by
}

describe('a share of the guilds', () => {
  it('is handled by the process that took it, at once, and the rest by the owner', async () => {
    const { fleet, before, after } = await two()
    await takesOver(fleet, after, { percentage: 25 })
    const by = await servedBy(fleet)
    expect(by.get('v2')?.length).toBeGreaterThan(60)
    expect(by.get('v2')?.length).toBeLessThan(140)
    expect(by.get('v1')).toHaveLength(400 - (by.get('v2')?.length ?? 0))
    expect([before.restart.status, after.restart.status]).toMatchObject([
      { role: 'owner', percentage: 75, takenOver: 0 },
      { role: 'sharing', percentage: 25, takenOver: 0 },
    ])
    expect(before.told).toContain('share 0 > 25')
  })

  it('only grows when it is raised, up to all', async () => {
    const { fleet, before, after } = await two()
    let last: readonly string[] = []
    for (const percentage of [5, 20, 60]) {
      await takesOver(fleet, after, { percentage })
      const guilds = (await servedBy(fleet)).get('v2') ?? []
      expect(last.filter((guild) => !guilds.includes(guild))).toEqual([])
      expect(guilds.length).toBeGreaterThan(last.length)
      last = guilds
    }
    await takesOver(fleet, after, {})
    expect((await servedBy(fleet)).get('v2')).toHaveLength(400)
    expect([before.restart.status.role, after.restart.status.role]).toEqual(['standby', 'owner'])
  })

  it('may be one guild alone', async () => {
    const { fleet, after } = await two()
    await takesOver(fleet, after, { percentage: 0, first: ['guild-7'] })
    expect((await servedBy(fleet)).get('v2')).toEqual(['guild-7'])
  })

  it.each([
    ['is given back', (_: FleetProcess, after: FleetProcess) => after.restart.takeOver({ percentage: 0 })],
    ['is taken back', (before: FleetProcess) => before.restart.takeOver()],
    ['is given back by a drain', (_: FleetProcess, after: FleetProcess) => after.restart.drain()],
    ['is given back by a stop', (_: FleetProcess, after: FleetProcess) => after.restart.stop()],
  ])('%s, and the owner has all again', async (_, giveBack) => {
    const { fleet, before, after } = await two()
    await takesOver(fleet, after, { percentage: 50 })
    const done = giveBack(before, after)
    await fleet.clock.advance(2_000)
    await done
    expect((await servedBy(fleet)).get('v1')).toHaveLength(400)
    expect(before.restart.status).toMatchObject({ role: 'owner', percentage: 100 })
  })

  it('that has become all is given back alike', async () => {
    const { fleet, before, after } = await two()
    await takesOver(fleet, after, {})
    await takesOver(fleet, after, { percentage: 0 })
    expect((await servedBy(fleet)).get('v1')).toHaveLength(400)
    before.kill()
    await fleet.clock.advance(6_000)
    await after.restart.takeOver({ percentage: 0 })
    expect(after.restart.status.role).toBe('owner')
  })

  it('of one who is killed is the owner’s, and nothing of it is lost meanwhile', async () => {
    const { fleet, before, after } = await two()
    await takesOver(fleet, after, { percentage: 50 })
    after.kill()
    for (let i = 0; i < 100; i++) fleet.send(`meanwhile-${i}`)
    await fleet.clock.advance(6_000)
    for (let i = 0; i < 100; i++) expect(fleet.runsOf(`meanwhile-${i}`)).toMatchObject([{ by: 'v1', isEnded: true }])
    expect(before.restart.status).toMatchObject({ role: 'owner', percentage: 100 })
    expect((await servedBy(fleet)).get('v1')).toHaveLength(400)
  })

  it('of one whose owner is killed becomes all', async () => {
    const { fleet, before, after } = await two()
    await takesOver(fleet, after, { percentage: 10 })
    before.kill()
    for (let i = 0; i < 100; i++) fleet.send(`meanwhile-${i}`)
    await fleet.clock.advance(6_000)
    for (let i = 0; i < 100; i++) expect(fleet.runsOf(`meanwhile-${i}`)).toMatchObject([{ by: 'v2', isEnded: true }])
    expect(after.restart.status).toMatchObject({ role: 'owner', percentage: 100 })
  })

  it('lets guilds that stay wait for nobody while it is raised, and those that move only until the owner has agreed', async () => {
    const { fleet, before, after } = await two()
    await takesOver(fleet, after, { percentage: 10 })
    const early = (await servedBy(fleet)).get('v2') ?? []
    before.freeze()
    const raising = after.restart.takeOver({ percentage: 60 })
    await fleet.clock.advance(100)
    expect(after.restart.status).toMatchObject({ role: 'sharing', percentage: 10 })
    for (let i = 0; i < 400; i++) after.receive(`guild-${i}/raised`)
    await fleet.clock.advance(0)
    expect(fleet.runs.filter(({ eventId }) => eventId.endsWith('/raised')).map(({ eventId }) => eventId)).toEqual(
      early.map((guild) => `${guild}/raised`),
    )
    before.thaw()
    await fleet.clock.advance(600)
    await raising
    const moved = (await servedBy(fleet)).get('v2') ?? []
    for (const guild of moved) expect(fleet.runsOf(`${guild}/raised`)).toMatchObject([{ by: 'v2' }])
    expect(after.restart.status).toMatchObject({ role: 'sharing', percentage: 60, takenOver: 0 })
  })

  it('leaves the owner what it is, also while a third process stands still', async () => {
    const { fleet, before, after } = await two()
    const third = await another(fleet)
    third.freeze()
    const taking = after.restart.takeOver({ percentage: 50 })
    for (let i = 0; i < 100; i++) {
      await fleet.clock.advance(10)
      expect(before.restart.status.role).toBe('owner')
    }
    await taking
    expect([before, after].map(({ restart }) => restart.status)).toMatchObject([
      { role: 'owner', percentage: 50 },
      { role: 'sharing', percentage: 50 },
    ])
    const by = await servedBy(fleet)
    expect((by.get('v1')?.length ?? 0) + (by.get('v2')?.length ?? 0)).toBe(400)
  })

  it('loses events without an id only of guilds that move, runs none twice, and counts those that it may have lost', async () => {
    const { fleet, before, after } = await two(new Fleet(() => 0.99))
    await takesOver(fleet, after, { percentage: 10 })
    const early = new Set((await servedBy(fleet)).get('v2'))
    fleet.store.slowMs = 40
    const taking = after.restart.takeOver({ percentage: 60 })
    for (let ms = 0; ms < 1_000; ms++) {
      for (let i = 0; i < 20; i++) fleet.send(`guild-${i}/unnamed-${ms}`)
      await fleet.clock.advance(1)
    }
    await taking
    fleet.store.slowMs = 0
    const late = new Set((await servedBy(fleet)).get('v2'))
    let lost = 0
    for (let i = 0; i < 20; i++) {
      const guild = `guild-${i}`
      const runs = fleet.runs.filter(({ eventId }) => eventId.startsWith(`${guild}/unnamed`))
      expect(new Set(runs.map(({ eventId }) => eventId)).size).toBe(runs.length)
      if (early.has(guild) || !late.has(guild)) expect(runs).toHaveLength(1_000)
      lost += 1_000 - runs.length
    }
    expect(lost).toBeGreaterThan(0)
    expect(before.restart.status.undecided).toBe(0)
    expect(after.restart.status.undecided).toBeGreaterThanOrEqual(lost)
  })

  it('runs no event without an id in one that stood still, while another process has its guild', async () => {
    const { fleet, before } = await two()
    before.freeze()
    await fleet.clock.advance(10_000)
    fleet.send('guild-1/unnamed')
    await fleet.clock.advance(0)
    before.thaw()
    await fleet.clock.advance(1_000)
    expect(fleet.runsOf('guild-1/unnamed').map(({ by }) => by)).toEqual(['v2'])
    expect(before.restart.status.undecided).toBe(1)
  })

  it('begins nowhere before the owner has agreed', async () => {
    const { fleet, before, after } = await two()
    before.freeze()
    const taking = after.restart.takeOver({ percentage: 50 }).catch((error: unknown) => error)
    await fleet.clock.advance(400)
    expect(after.restart.status).toMatchObject({ role: 'standby', percentage: 0 })
    before.thaw()
    await fleet.clock.advance(2_000)
    expect(await taking).toBeUndefined()
  })

  it('is not the owner’s to ask for, and is not needed by one who is alone', async () => {
    const { fleet, before, after } = await two()
    await expect(before.restart.takeOver({ percentage: 50 })).rejects.toMatchObject({
      code: 'NOT_TAKEN_OVER',
      message:
        'Version "v1" has not taken over: it owns the events already, and another process takes a share of them. ' +
        'Call takeOver({ percentage }) in that one.',
    })
    const stopping = after.restart.stop()
    await fleet.clock.advance(2_000)
    await stopping
    await before.restart.takeOver({ percentage: 50 })
    expect(before.restart.status).toMatchObject({ role: 'owner', percentage: 100 })
  })

  it('keeps the guilds that were named when it is raised without them, until other ones are named or all is given back', async () => {
    const { fleet, after } = await two()
    await takesOver(fleet, after, { percentage: 0, first: ['guild-7', 'guild-8'] })
    await takesOver(fleet, after, { percentage: 1 })
    expect((await servedBy(fleet)).get('v2')).toEqual(expect.arrayContaining(['guild-7', 'guild-8']))
    await takesOver(fleet, after, { percentage: 0, first: ['guild-9'] })
    expect((await servedBy(fleet)).get('v2')).toEqual(['guild-9'])
    await takesOver(fleet, after, { percentage: 0 })
    await takesOver(fleet, after, { percentage: 0.000_001 })
    expect((await servedBy(fleet)).get('v2')).toBeUndefined()
  })

  it('is not taken from another process', async () => {
    const { fleet, after } = await two()
    const third = await another(fleet)
    await takesOver(fleet, after, { percentage: 25 })
    await expect(third.restart.takeOver({ percentage: 50 })).rejects.toMatchObject({
      code: 'NOT_TAKEN_OVER',
      applied: 'no',
      message:
        'Version "v3" has not taken over: version "v2" has a share already, and only one process may. ' +
        'Let it give that back first, by takeOver({ percentage: 0 }) there; if it has died, call again in a moment.',
    })
    expect(after.restart.status).toMatchObject({ role: 'sharing', percentage: 25 })
    await takesOver(fleet, after, { percentage: 0 })
    await takesOver(fleet, third, { percentage: 50 })
    expect(third.restart.status).toMatchObject({ role: 'sharing', percentage: 50 })
  })

  it('is all the better where the owner dies while it is asked for: everything', async () => {
    const { fleet, before, after } = await two()
    const third = await another(fleet)
    await takesOver(fleet, after, { percentage: 10 })
    before.kill()
    const taking = takesOver(fleet, after, { percentage: 50, timeoutMs: 8_000 }, 6_000)
    await fleet.clock.advance(3_000)
    third.freeze()
    await taking
    expect(after.restart.status).toMatchObject({ role: 'owner', percentage: 100 })
  })

  it('is missed when another process takes all meanwhile, and the error says what to do', async () => {
    const { fleet, before, after } = await two()
    const third = await another(fleet)
    before.freeze()
    const taking = after.restart.takeOver({ percentage: 50 }).catch((error: unknown) => error)
    await fleet.clock.advance(400)
    const all = third.restart.takeOver()
    await fleet.clock.advance(100)
    before.thaw()
    await fleet.clock.advance(1_000)
    await all
    expect(String(await taking)).toContain('another process took over meanwhile. Whoever owns the events serves')
  })

  it('tells everyone why, and so does whoever takes all', async () => {
    const { fleet, before, after } = await two()
    const [old, young] = [reasonsOf(before), reasonsOf(after)]
    await takesOver(fleet, after, { percentage: 10, why: 'a tenth first' })
    await takesOver(fleet, after, { percentage: 50 })
    await takesOver(fleet, after, { percentage: 0, why: 'it is not well' })
    await takesOver(fleet, after, { why: 'it was well after all' })
    const reasons = [
      'share 10: a tenth first',
      'share 50: it has taken them',
      'share 0: it is not well',
      'owner v2: it was well after all',
    ]
    expect([old, young]).toEqual([reasons, reasons])
  })

  it.each([
    [{ percentage: NaN }],
    [{ percentage: -1 }],
    [{ percentage: 100.1 }],
    [{ percentage: '50' }],
    [{ first: 'a' }],
    [{ first: ['a'] }],
    [10],
    [{ percent: 1 }],
    [{ percentage: 1, why: 7 }],
    [null],
  ])('is refused when it is none: %j', async (options) => {
    const { after } = await two()
    await expect(after.restart.takeOver(options as object)).rejects.toThrow(/percentage|first|why|takeOver takes/)
  })
})

it('a drain refuses options that it does not have', async () => {
  const { after } = await two()
  await expect(after.restart.drain({ timeout: 1 } as object)).rejects.toThrow('drain has no option "timeout"')
})
