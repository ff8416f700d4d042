import { describe, expect, it } from 'vitest'
import { Fleet, standby, twoProcesses, type FleetProcess } from '../test-support/fleet.js'

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
