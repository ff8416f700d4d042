import { makeRoute, versionFor, type Route } from '../routing.js'
import { noTable, type Holding, type Member, type Share, type Table } from './records.js'

/** More than ever leave between two looks at the table. */
const maxLeft = 32
/** More changes than ever wait for one member. Of more, the oldest is forgotten, and whoever may act by it is waited for. */
const maxPast = 32
/** Characters of a reason, which is in a record that is written at every beat. */
const maxWhy = 1_000

// Pure: what each process makes of the record that all of them write. Each returns the next table.

/** Someone comes. Alone, it owns the events at once. */
export function withNewcomer(table: Table, id: string, version: string): Table {
  const epoch = table.epoch + 1
  const isAlone = Object.keys(table.members).length === 0
  const newcomer: Member = { version, beat: 1, acked: epoch, isReady: isAlone }
  const left = table.left.filter((other) => other !== id)
  const next = { ...table, epoch, left, members: { ...table.members, [id]: newcomer } }
  return isAlone ? { ...next, owner: id, share: null, ownerEpoch: epoch, past: [], why: null } : next
}

/** Those who gave no sign of life are taken out. */
export function withoutDead(table: Table, dead: readonly string[], heir: string): Table {
  return { ...without(table, dead, heir), died: [...table.died, ...dead].slice(-maxLeft) }
}

/** Events are, or were, handled without claims up to this epoch or from it on. */
export function withQuiet(table: Table): Table {
  const epoch = table.epoch + 1
  return { ...table, epoch, quietEpoch: epoch }
}

/** A sign of life of one who acts by this very table. */
export function withBeat(table: Table, id: string): Table {
  const own = table.members[id]
  if (own === undefined) return table
  const members = { ...table.members, [id]: { ...own, beat: own.beat + 1, acked: table.epoch } }
  return { ...table, members, past: earlierSince(table, lastAckOf(members, undefined)) ?? table.past }
}

/** What stays with a process, whoever owns the events. Of more than before, the others are to know from a new epoch on. */
export function withPins(table: Table, id: string, keys: readonly string[]): Table {
  const own = table.members[id]
  if (own === undefined) return table
  const { pins: before = [], pinsEpoch, ...member } = own
  const known = new Set(before)
  const isMore = keys.some((key) => !known.has(key))
  if (!isMore && keys.length === before.length) return table
  const epoch = isMore ? table.epoch + 1 : table.epoch
  const pinned = keys.length === 0 ? member : { ...member, pins: keys, pinsEpoch: isMore ? epoch : (pinsEpoch ?? 0) }
  return { ...table, epoch, members: { ...table.members, [id]: pinned } }
}

/** With whom a flow stays; `undefined` for none of those who are there. Where two have pinned it in the same moment, with the one that came first. */
export function pinnedIn({ members }: Table, key: string): string | undefined {
  let index = pinIndexes.get(members)
  if (index === undefined) {
    pinIndexes.set(members, (index = new Map<string, string>()))
    for (const [id, { pins = [] }] of Object.entries(members))
      for (const one of pins) if (!index.has(one)) index.set(one, id)
  }
  return index.get(key)
}

const pinIndexes = new WeakMap<Table['members'], Map<string, string>>()

/** Whether all others know that a flow stays with `id`. */
export function arePinsKnown(table: Table, id: string): boolean {
  return haveAcked(table, id, table.members[id]?.pinsEpoch ?? Infinity)
}

/** Some are gone. If the owner is among them, all events go to one who can serve, preferably to `heir`; a share goes back to the owner. */
export function without(table: Table, gone: readonly string[], heir: string | undefined): Table {
  const members = Object.fromEntries(Object.entries(table.members).filter(([id]) => !gone.includes(id)))
  const next = { ...table, epoch: table.epoch + 1, members }
  if (table.owner === null || members[table.owner] === undefined) return withOwner(next, heirOf(members, heir))
  return table.share === null || members[table.share.to] !== undefined ? next : changed(next, table.owner, null, null)
}

/** Someone can serve no more, and goes. */
export function withoutService(table: Table, id: string): Table {
  const own = table.members[id]
  return own === undefined ? table : { ...table, members: { ...table.members, [id]: { ...own, isReady: false } } }
}

/** Someone goes by itself. */
export function withLeaver(table: Table, id: string): Table {
  return { ...without(table, [id], successorOf(table, id)), left: [...table.left, id].slice(-maxLeft) }
}

/** Those who were there before, and are no more, although they did not say that they would go. */
export function diedBetween(before: Table, after: Table): string[] {
  return Object.keys(before.members).filter((id) => isGone(after, id))
}

/** Whether one that was there, or had claimed something, is no more, and has not said that it would go. */
export function isGone({ members, left }: Table, id: string): boolean {
  return members[id] === undefined && !left.includes(id)
}

/** Of those who were there before, or have come since: who did not say that they would go. The last of them. */
export function diedSince(table: Table, before: Table): readonly string[] {
  return [...diedBetween(before, table), ...table.died.filter((id) => !before.died.includes(id))]
}

/** Those but `id` who are there, and were before. */
export function othersSince(table: Table, before: Table, id: string): readonly string[] {
  return Object.keys(before.members).filter((other) => other !== id && table.members[other] !== undefined)
}

/** Whether it goes on from there. One that is older was written into a store that has lost its records, and with them the claims. */
export function isNoOlder(table: Table, before: Table): boolean {
  return table.epoch >= before.epoch
}

/** The same, of a time of which nobody knows any more who has handled events without claims. */
export function withoutTrace(table: Table): Table {
  return { ...table, epoch: -1 }
}

/** Someone else owns all events from this epoch on, as soon as all others act by it. */
export function withOwner(table: Table, owner: string | undefined, why: string | null = null): Table {
  const next = changed(table, owner ?? null, null, why)
  const member = owner === undefined ? undefined : table.members[owner]
  if (owner === undefined || member === undefined) return next
  return { ...next, members: { ...table.members, [owner]: { ...member, isReady: true } } }
}

/** Someone has a part of the guilds in the owner's place from this epoch on, as soon as all others act by it; `null` gives it back. */
export function withShare(table: Table, share: Share | null, why: string | null = null): Table {
  const next = changed(table, table.owner, share, why)
  const member = share === null ? undefined : table.members[share.to]
  if (share === null || member === undefined) return next
  return { ...next, members: { ...table.members, [share.to]: { ...member, isReady: true } } }
}

function changed(table: Table, owner: string | null, share: Share | null, why: string | null): Table {
  const epoch = table.epoch + 1
  const before: Holding = { owner: table.owner, share: table.share, ownerEpoch: table.ownerEpoch }
  const said = why === null ? null : [...why].slice(0, maxWhy).join('')
  return { ...table, epoch, owner, share, ownerEpoch: epoch, past: [...table.past, before].slice(-maxPast), why: said }
}

const routes = new WeakMap<Share, Route>()

/** Who has the events of a guild, or of a user of direct messages. The higher the percentage, the more guilds, and never others. */
export function ownerOf({ owner, share }: Holding, unitId: string | undefined): string | null {
  if (share === null || owner === null) return owner
  let route = routes.get(share)
  if (route === undefined)
    routes.set(share, (route = makeRoute(owner, share.to, share.percentage, share.to, share.first)))
  return versionFor(route, unitId)
}

/** Whether a guild was `id`'s until the last change, and whoever has it now does not act by that yet. */
export function isOnItsWay(table: Table, id: string, unitId: string | undefined): boolean {
  const owner = ownerOf(table, unitId)
  const acked = owner === null || owner === id ? Infinity : (table.members[owner]?.acked ?? Infinity)
  return acked < table.ownerEpoch && table.past.some((past) => ownerOf(past, unitId) === id)
}

/** Whether some events are this process's. */
export function hasPart({ owner, share }: Holding, id: string): boolean {
  return owner === id || share?.to === id
}

/** Whether the events of a guild are `id`'s, and nobody else begins one of them. */
export function holds(table: Table, id: string, unitId: string | undefined): boolean {
  return ownerOf(table, unitId) === id && isLeftBy(table, id, (past, other) => ownerOf(past, unitId) === other)
}

/** Whether everyone else acts by the last change, as far as it takes something away. */
export function isAgreed(table: Table, id: string): boolean {
  return isLeftBy(table, id, hasPart)
}

/** How many percent of the guilds are `id`'s, and nobody else begins one of their events; apart from those that were named. */
export function percentageOf(table: Table, id: string): number {
  return Math.min(...inForce(table, id).map((one) => partOf(one, id)))
}

/** Whether some guilds are `id`'s, and nobody else begins one of their events. */
export function isServingIn(table: Table, id: string): boolean {
  return inForce(table, id).every((one) => hasPart(one, id))
}

/** The last change, and what others may still act by. */
function inForce(table: Table, id: string): readonly Holding[] {
  if (isAgreed(table, id)) return [table]
  const earlier = earlierSince(table, lastAckOf(table.members, id))
  return earlier === undefined ? [noTable] : [...earlier, table]
}

function partOf({ owner, share }: Holding, id: string): number {
  if (owner === id) return 100 - (share?.percentage ?? 0)
  return share?.to === id ? share.percentage : 0
}

/**
 * Whether nobody else may still act by a table in which something was theirs. What nobody else had can have no two owners: of two
 * processes, the one with the newer table would have to find in it that the other one has left the thing, or never had it.
 */
function isLeftBy(table: Table, id: string, had: (past: Holding, other: string) => boolean): boolean {
  return Object.entries(table.members).every(([other, { acked }]) => {
    if (other === id) return true
    const earlier = earlierSince(table, acked)
    return earlier !== undefined && !earlier.some((past) => had(past, other))
  })
}

/** What a process may act by that has acknowledged an epoch, apart from the last change; `undefined` when that is forgotten. */
function earlierSince({ ownerEpoch, past }: Table, acked: number): readonly Holding[] | undefined {
  if (acked >= ownerEpoch) return []
  const first = past.findLastIndex((one) => one.ownerEpoch <= acked)
  return first === -1 ? undefined : past.slice(first)
}

function lastAckOf(members: Table['members'], except: string | undefined): number {
  const acked = Object.entries(members).map(([id, member]) => (id === except ? Infinity : member.acked))
  return Math.min(...acked)
}

/** Who would serve if `id` went: the last that came and is ready. */
export function successorOf(table: Table, id: string): string | undefined {
  const others = Object.entries(table.members).filter(([other]) => other !== id)
  return others.filter(([, member]) => member.isReady).at(-1)?.[0]
}

/** Whether `id` is the owner, and nobody else takes itself for that any more. */
export function isOwnerFor(table: Table, id: string): boolean {
  return table.owner === id && isLeftBy(table, id, ({ owner }, other) => owner === other)
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
