import { describe, expect, it } from 'vitest'
import type { EventContext } from '../context.js'
import { PinnedElsewhereError } from '../pins/errors.js'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'
import { randomFrom } from '../test-support/random.js'

/** `EVENKEEL_RUNS=2000 EVENKEEL_SEED=1` for the long form. */
const runs = Number(process.env['EVENKEEL_RUNS'] ?? 60)
const seed = Number(process.env['EVENKEEL_SEED'] ?? 1)

/** What may happen to a bot, beside its traffic. */
interface World {
  readonly kills: boolean
  readonly freezes: boolean
  readonly outages: boolean
  /** Wall clocks are moved, forward and back. */
  readonly jumps: boolean
  /** Connections to the platform break, and come back. */
  readonly breaks: boolean
  /** Kills also the last one that is to stay, while another one leaves. */
  readonly reckless: boolean
}

const calm: World = { kills: false, freezes: false, outages: false, jumps: false, breaks: false, reckless: false }

/**
 * A bot for some minutes: processes come, take over, drain and go; they are killed and stand still, alone or with their machine; the store is
 * slow, and goes away, or cannot be written; clocks are moved; connections break; flows are pinned and released; and each process gets each event once, twice, late, or not at all.
 */
async function live(random: () => number, world: World): Promise<{ readonly fleet: Fleet; readonly sent: number }> {
  const fleet = new Fleet(random)
  const { clock, store } = fleet
  const below = (end: number): number => Math.floor(random() * end)
  const flowOf = (id: string | number): string => `flow ${Number(id) % 6}`
  // For how long one that stands still finds the claims of those that went on without it.
  const redoMs = [30_000, 45_000, 60_000][below(3)] ?? 0
  const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))
  const breakFor = (one: FleetProcess, ms: number): void => {
    one.isConnected = false
    clock.after(ms, () => one.reconnect())
  }
  /** Its connection takes its time, and may break at once. */
  const logIn = async (one: FleetProcess): Promise<void> => {
    await one.restart.start()
    await wait(below(2) * below(1_500))
    one.isConnected = false
    await wait(below(2_000))
    one.isConnected = one.isLoggedIn = true
    if (below(3) === 0) clock.after(below(3_000), () => one.isConnected && breakFor(one, below(20_000)))
    await one.restart.takeOver()
  }
  const begin = (): void => {
    const context = (id: string): EventContext => ({ eventId: id, guildId: id, pin: flowOf(id) })
    // What comes after that is lost to anyone, where the client of one that goes is ended by nobody but itself.
    const ends = world.reckless || below(2) === 0
    const next: FleetProcess = fleet.process({
      random,
      redoMs,
      context,
      ...(ends && { disconnect: () => next.disconnect() }),
    })
    next.onDisconnect = () => wait(below(below(4) === 0 ? 20_000 : 300))
    next.workMs = below(4_000)
    const begun = world.breaks && fleet.processes.length > 1 ? logIn(next) : next.begin()
    begun.catch(() => undefined)
  }
  /** How much later than the event a copy of it comes: the copies are less than `keepMs` apart. */
  // Where connections break, what is on its way to one that goes would be lost to anyone.
  const lateMs = (): number => below(world.breaks ? 20 : below(10) === 0 ? 1_400 : 200)
  /** Those that serve, and will. */
  const staying = (): FleetProcess[] =>
    fleet.processes.filter((one) => one.isLoggedIn && !one.isDead && !leaving.has(one))
  const leaving = new Set<FleetProcess>()
  const going = (): FleetProcess[] => [...leaving].filter((one) => one.isLoggedIn)
  const some = (): FleetProcess | undefined => staying()[below(staying().length)]
  store.slowMs = below(40)
  begin()
  await clock.advance(1_000)
  let [sent, frozenMs, downMs] = [0, 0, 0]
  let frozen: FleetProcess | undefined
  for (let elapsedMs = 0; elapsedMs < 120_000;) {
    const alive = staying()
    switch (below(25)) {
      case 0:
        if (alive.length < 3) begin()
        break
      case 1:
        void some()
          ?.restart.takeOver()
          .catch(() => undefined)
        break
      case 5:
        void some()
          ?.restart.takeOver({ percentage: below(101) })
          .catch(() => undefined)
        break
      case 2: {
        const goes = some()
        if (goes === undefined || alive.length < 2 || frozen !== undefined) break
        leaving.add(goes)
        void goes.end(below(3) > 0)
        break
      }
      case 7:
        try {
          const pin = some()?.restart.pin(flowOf(below(6)), { kind: below(4) === 0 ? 'voice' : 'collector' })
          clock.after(below(40_000), () => pin?.release())
        } catch (error) {
          // Another process has it.
          if (!(error instanceof PinnedElsewhereError)) throw error
        }
        break
      case 3:
        // Never the last one: what nobody received is lost to anyone.
        if (world.kills && alive.length + (world.reckless ? going().length : 0) > 1 && frozen === undefined)
          some()?.kill()
        break
      case 4:
        if (!world.freezes || frozen !== undefined || alive.length < 2) break
        frozen = some()
        if (below(2) === 0) frozen?.freeze()
        else frozen?.suspend()
        frozenMs = below(12_000)
        break
      case 6:
        if (!world.outages || store.isDown || store.isReadOnly) break
        if (below(2) === 0) store.isDown = true
        else store.isReadOnly = true
        downMs = below(8_000)
        break
      case 8: {
        const moved = some()
        // By hours; but where nothing may be lost, by less than a claim lasts.
        const most = 2 ** below(world.outages ? 24 : 19)
        if (world.jumps && moved !== undefined) moved.skewMs += Math.floor((random() - 0.3) * most)
        break
      }
      case 9:
        for (const one of below(2) === 0 ? alive : [some()]) {
          if (!world.breaks || one?.isConnected !== true) continue
          breakFor(one, below(below(3) === 0 ? 30_000 : 3_000))
        }
        break
      default: {
        sent += 1
        const id = String(sent)
        // Where processes are killed, what only one of them got is lost to anyone.
        const mayMiss = !world.kills && alive.length > 1 && random() < 0.1
        const misses = mayMiss ? some() : undefined
        for (const process of [...alive, ...leaving]) {
          const copies = process === misses ? 0 : random() < 0.05 ? 2 : 1
          for (let copy = 0; copy < copies; copy++) clock.after(lateMs(), () => process.receive(id))
        }
      }
    }
    const passesMs = below(300)
    elapsedMs += passesMs
    await clock.advance(passesMs)
    frozenMs -= passesMs
    downMs -= passesMs
    if (frozenMs <= 0) {
      frozen?.thaw()
      frozen = undefined
    }
    if (downMs <= 0) store.isDown = store.isReadOnly = false
  }
  store.isDown = store.isReadOnly = false
  frozen?.thaw()
  await clock.advance(90_000)
  return { fleet, sent }
}

/** What is wrong, if anything, by the ledger of all runs. */
function faultsOf(fleet: Fleet, isTold: (eventId: string) => boolean): string[] {
  const faults: string[] = []
  // Of those that are there to the end. One that stood still was left out, and what it had is with the others.
  const toTheEnd = fleet.processes.filter(
    (one) => !one.isDead && !one.hasStoodStill && one.restart.status.role !== 'stopped',
  )
  const received = new Set(toTheEnd.flatMap(({ answers }) => [...answers.keys()]))
  for (const id of received) {
    if (!fleet.runsOf(id).some(({ isEnded }) => isEnded)) faults.push(`${id} lost: ${JSON.stringify(fleet.runsOf(id))}`)
  }
  for (const id of new Set(fleet.runs.map(({ eventId }) => eventId))) {
    const all = fleet.runsOf(id)
    if (all.length > 1 && !isTold(id)) faults.push(`${id} ran ${all.length} times, untold: ${JSON.stringify(all)}`)
  }
  // Also of those that stood still.
  const there = fleet.processes.filter((one) => !one.isDead && one.restart.status.role !== 'stopped')
  for (const { version, restart } of there) {
    if (restart.status.kept > 0) faults.push(`${version} keeps ${restart.status.kept} events for ever`)
  }
  const told = new Set(fleet.processes.flatMap(({ undecided, unfinished }) => [...undecided, ...unfinished]))
  for (const id of new Set(there.flatMap(({ answers }) => [...answers.keys()]))) {
    if (fleet.runsOf(id).some(({ isEnded }) => isEnded)) continue
    if (!told.has(id)) faults.push(`${id} let go, and nobody said so: ${JSON.stringify(fleet.runsOf(id))}`)
  }
  // Whoever has left in good order has left what it got to those who lived still when its client had ended.
  for (const { version, answers, hasLeft, endedMs, hasStoodStill } of fleet.processes) {
    if (!hasLeft || hasStoodStill || endedMs === Infinity) continue
    const late = fleet.processes.filter(({ isDead, killedMs }) => isDead && killedMs > endedMs)
    for (const id of answers.keys()) {
      const isDone = fleet.runsOf(id).some(({ isEnded, by }) => isEnded || late.some((one) => one.version === by))
      if (!isDone && !told.has(id)) faults.push(`${id} lost, as ${version} left: ${JSON.stringify(fleet.runsOf(id))}`)
    }
  }
  return faults
}

describe('processes that come, take over and go', () => {
  it.each([
    ['while nothing fails', calm],
    ['and their connections break', { ...calm, breaks: true }],
    ['and are killed', { ...calm, kills: true }],
    ['and are killed, the last one that is to stay, too', { ...calm, kills: true, reckless: true }],
    ['and stand still', { ...calm, freezes: true }],
    ['and are killed, and stand still', { ...calm, kills: true, freezes: true }],
    ['are killed, stand still, and their connections break', { ...calm, kills: true, freezes: true, breaks: true }],
    ['are killed, stand still, and have their clocks moved', { ...calm, kills: true, freezes: true, jumps: true }],
  ])('lose no event and run none twice untold, %s', async (_, world) => {
    for (let i = 0; i < runs / 4; i++) {
      const { fleet, sent } = await live(randomFrom(seed * 10_000 + i), world)
      const told = new Set(fleet.processes.flatMap(({ repeated }) => repeated))
      if (!world.kills && !world.freezes) expect([...told]).toEqual([])
      // Also what only one that has gone was sent.
      const ran = new Set(fleet.runs.map(({ eventId }) => eventId))
      if (world.breaks && !world.kills) expect(ran.size, `seed ${seed}, run ${i}`).toBe(sent)
      expect(
        faultsOf(fleet, (id) => told.has(id)),
        `seed ${seed}, run ${i}`,
      ).toEqual([])
    }
  })

  it.each([
    ['', { ...calm, outages: true }],
    [' and they stand still', { ...calm, freezes: true, outages: true }],
    [', they stand still and their clocks are moved', { ...calm, freezes: true, outages: true, jumps: true }],
    [' and their connections break', { ...calm, outages: true, breaks: true }],
    [
      ', and everything else happens',
      { ...calm, kills: true, freezes: true, outages: true, jumps: true, breaks: true },
    ],
  ])('run no event twice untold while the store goes away%s, and tell what they do not know', async (_, world) => {
    for (let i = 0; i < runs / 4; i++) {
      const { fleet } = await live(randomFrom(seed * 20_000 + i), world)
      const told = new Set(fleet.processes.flatMap(({ repeated }) => repeated))
      const undecided = new Set(fleet.processes.flatMap((process) => process.undecided))
      const faults = faultsOf(fleet, (id) => told.has(id)).filter((fault) => {
        // Who leaves while the store is out cannot see whether the others live.
        if (fault.includes('lost, as')) return false
        return !fault.includes('lost') || !undecided.has(fault.split(' ')[0])
      })
      expect(faults, `seed ${seed}, run ${i}`).toEqual([])
    }
  })
})
