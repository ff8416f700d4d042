import { describe, expect, it } from 'vitest'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'

/** Two processes that are logged in; the first owns the events, and each event is of a guild of its own. */
async function two(): Promise<{ fleet: Fleet; before: FleetProcess; after: FleetProcess }> {
  const fleet = new Fleet()
  const [before, after] = [fleet.process(), fleet.process()]
  await before.begin()
  const coming = after.restart.start()
  await fleet.clock.advance(2_000)
  await coming
  after.isLoggedIn = true
  return { fleet, before, after }
}

async function takesOver(
  fleet: Fleet,
  process: FleetProcess,
  options: Parameters<FleetProcess['restart']['takeOver']>[0],
): Promise<void> {
  const done = process.restart.takeOver(options)
  await fleet.clock.advance(2_000)
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
    await expect(before.restart.takeOver({ percentage: 50 })).rejects.toMatchObject({ code: 'NOT_TAKEN_OVER' })
    const stopping = after.restart.stop()
    await fleet.clock.advance(2_000)
    await stopping
    await before.restart.takeOver({ percentage: 50 })
    expect(before.restart.status).toMatchObject({ role: 'owner', percentage: 100 })
  })

  it.each([
    [{ percentage: NaN }],
    [{ percentage: -1 }],
    [{ percentage: 100.1 }],
    [{ percentage: '50' }],
    [{ first: 'a' }],
    [{ percent: 1 }],
  ])('is refused when it is none: %j', async (options) => {
    const { after } = await two()
    await expect(after.restart.takeOver(options as object)).rejects.toThrow(/percentage|first|percent/)
  })
})
