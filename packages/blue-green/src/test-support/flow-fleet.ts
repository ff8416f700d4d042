import { Fleet, type FleetProcess } from './fleet.js'

type Options = Parameters<Fleet['process']>[0]

/** Event `7/order/1` is the first of the flow `7/order` of guild 7; `7/1` is of none; `7/order/unnamed` has no id. */
function contextOf(event: string): { eventId: string | null; guildId: string | undefined; pin: string | undefined } {
  const [guildId, ...rest] = event.split('/')
  const pin = rest.length > 1 ? `${guildId}/${rest[0]}` : undefined
  return { eventId: event.includes('unnamed') ? null : event, guildId, pin }
}

/** A process of a bot with flows, which has not started yet. */
export function flowProcess(fleet: Fleet, options: Options = {}): FleetProcess {
  return fleet.process({ context: contextOf, ...options })
}

/** The first process, alone. */
export async function alone(fleet = new Fleet(), options: Options = {}): Promise<FleetProcess> {
  const only = flowProcess(fleet, options)
  await only.begin()
  return only
}

/** One more takes over from those that are there. */
export async function successor(fleet: Fleet, options: Options = {}): Promise<FleetProcess> {
  const next = flowProcess(fleet, options)
  const begun = next.begin()
  await fleet.clock.advance(2_000)
  await begun
  return next
}

/** Who has run an event, in the tick in which it came if `withinMs` is not given. */
export async function servedBy(fleet: Fleet, event: string, withinMs = 0): Promise<string[]> {
  fleet.send(event)
  await fleet.clock.advance(withinMs)
  return fleet.runsOf(event).map(({ by }) => by)
}
