import { describe, expect, it } from 'vitest'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'

const context = (event: string) => {
  const [guildId, ...rest] = event.split('/')
  return { eventId: event, guildId, pin: rest.length > 1 ? `${guildId}/${rest[0]}` : undefined }
}

/** The first has a flow, the second owns the events; the store answers all the time. */
async function withFlow(fleet: Fleet): Promise<readonly [FleetProcess, FleetProcess]> {
  const before = fleet.process({ context })
  await before.begin()
  before.restart.pin('7/order', { kind: 'collector' })
  const after = fleet.process({ context })
  const begun = after.begin()
  await fleet.clock.advance(2_000)
  await begun
  await fleet.clock.advance(10_000)
  return [before, after]
}

describe.each([1_200, 2_000, 4_000])(
  'a flow whose process stood still for %i ms, and was not taken for dead',
  (pauseMs) => {
    it('goes on there as soon as its process is awake', async () => {
      const fleet = new Fleet()
      const [before] = await withFlow(fleet)
      before.freeze()
      await fleet.clock.advance(pauseMs)
      before.thaw()
      await fleet.clock.advance(1_000)
      expect(before.restart.status).toMatchObject({ role: 'standby', store: 'up', pins: { held: 1 } })
      fleet.send('7/order/1')
      await fleet.clock.advance(100)
      expect(fleet.runsOf('7/order/1').map(({ by }) => by)).toEqual(['v1'])
    })

    it('has no event that is told as undecided, as the store was never out, and the other process is there', async () => {
      const fleet = new Fleet()
      const [before, after] = await withFlow(fleet)
      before.freeze()
      await fleet.clock.advance(pauseMs)
      before.thaw()
      await fleet.clock.advance(1_000)
      fleet.send('7/order/1')
      await fleet.clock.advance(10_000)
      expect(fleet.runsOf('7/order/1')).toHaveLength(1)
      expect([before.undecided, after.undecided]).toEqual([[], []])
    })

    it('is beside an owner whose own events, after such a pause, begin as soon as it is awake', async () => {
      const fleet = new Fleet()
      const [, after] = await withFlow(fleet)
      after.freeze()
      await fleet.clock.advance(pauseMs)
      after.thaw()
      await fleet.clock.advance(1_000)
      fleet.send('7/1')
      await fleet.clock.advance(100)
      expect(fleet.runsOf('7/1').map(({ by }) => by)).toEqual(['v2'])
    })
  },
)
