import { makeRoute, versionFor, type Route } from '../routing.js'
import type { Member, Share, Table } from './records.js'

/** More than ever leave between two looks at the table. */
const maxLeft = 32

// Pure: what each process makes of the record that all of them write. Each returns the next table.

/** Someone comes. Alone, it owns the events at once. */
export function withNewcomer(table: Table, id: string, version: string): Table {
  const epoch = table.epoch + 1
  const isAlone = Object.keys(table.members).length === 0
  const newcomer: Member = { version, beat: 1, acked: epoch, isReady: isAlone }
  const left = table.left.filter((other) => other !== id)
  const next = { ...table, epoch, left, members: { ...table.members, [id]: newcomer } }
  return isAlone ? { ...next, owner: id, ownerEpoch: epoch } : next
}

/** A sign of life of one who acts by this very table. */
export function withBeat(table: Table, id: string): Table {
  const own = table.members[id]
  if (own === undefined) return table
  return { ...table, members: { ...table.members, [id]: { ...own, beat: own.beat + 1, acked: table.epoch } } }
}

/** Some are gone. If the owner is among them, all events go to one who can serve, preferably to `heir`; a share goes back to the owner. */
export function without(table: Table, gone: readonly string[], heir: string | undefined): Table {
  const members = Object.fromEntries(Object.entries(table.members).filter(([id]) => !gone.includes(id)))
  const next = { ...table, epoch: table.epoch + 1, members }
  if (table.owner === null || members[table.owner] === undefined) return withOwner(next, heirOf(members, heir))
  return table.share === null || members[table.share.to] !== undefined
    ? next
    : { ...next, share: null, ownerEpoch: next.epoch }
}

/** Someone goes by itself. */
export function withLeaver(table: Table, id: string): Table {
  return { ...without(table, [id], successorOf(table, id)), left: [...table.left, id].slice(-maxLeft) }
}

/** Those who were there before, and are no more, although they did not say that they would go. */
export function diedBetween(before: Table, after: Table): string[] {
  return Object.keys(before.members).filter((id) => after.members[id] === undefined && !after.left.includes(id))
}

/** Someone else owns all events from this epoch on, as soon as all others act by it. */
export function withOwner(table: Table, owner: string | undefined): Table {
  const epoch = table.epoch + 1
  const next = { ...table, epoch, owner: owner ?? null, share: null, ownerEpoch: epoch }
  const member = owner === undefined ? undefined : table.members[owner]
  if (owner === undefined || member === undefined) return next
  return { ...next, members: { ...table.members, [owner]: { ...member, isReady: true } } }
}

/** Someone has a part of the guilds in the owner's place from this epoch on, as soon as all others act by it; `null` gives it back. */
export function withShare(table: Table, share: Share | null): Table {
  const epoch = table.epoch + 1
  const next = { ...table, epoch, share, ownerEpoch: epoch }
  const member = share === null ? undefined : table.members[share.to]
  if (share === null || member === undefined) return next
  return { ...next, members: { ...table.members, [share.to]: { ...member, isReady: true } } }
}

const routes = new WeakMap<Share, Route>()

/** Who has the events of a guild, or of a user of direct messages. The higher the percentage, the more guilds, and never others. */
export function ownerOf({ owner, share }: Table, unitId: string | undefined): string | null {
  if (share === null || owner === null) return owner
  let route = routes.get(share)
  if (route === undefined)
    routes.set(share, (route = makeRoute(owner, share.to, share.percentage, share.to, share.first)))
  return versionFor(route, unitId)
}

/** Whether some events are this process's. */
export function hasPart({ owner, share }: Table, id: string): boolean {
  return owner === id || share?.to === id
}

/** Who would serve if `id` went: the last that came and is ready. */
export function successorOf(table: Table, id: string): string | undefined {
  const others = Object.entries(table.members).filter(([other]) => other !== id)
  return others.filter(([, member]) => member.isReady).at(-1)?.[0]
}

/** Whether everyone else acts by the change that made `id` the owner, so that none of them begins an event any more. */
export function isOwnerFor(table: Table, id: string): boolean {
  return table.owner === id && haveAcked(table, id, table.ownerEpoch)
}

/** Whether all others act by an epoch. */
export function haveAcked(table: Table, id: string, epoch: number): boolean {
  return Object.entries(table.members).every(([other, member]) => other === id || member.acked >= epoch)
}

/** Whether nobody else is there. */
export function isAloneIn(table: Table, id: string): boolean {
  return Object.keys(table.members).every((other) => other === id)
}

/** Who can serve; where nobody has said so yet, the one who has been there longest. */
function heirOf(members: Table['members'], heir: string | undefined): string | undefined {
  const ready = Object.keys(members).filter((id) => members[id]?.isReady)
  if (heir !== undefined && ready.includes(heir)) return heir
  return ready.at(-1) ?? Object.keys(members)[0]
}
