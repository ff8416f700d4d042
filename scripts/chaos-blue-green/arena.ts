import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startStandin, type StandinProcess } from '@evenkeel-examples/discord-standin'
import { storageFromUrl } from '@evenkeel/storage-adapter/url'
import { Actor } from './actor.js'
import type { Programs } from './bundle.js'
import type { Blow } from './causes.js'
import { ownerOf, type Fact } from './facts.js'
import { weighted, type Action, type Kind, type Plan, type Store } from './plan.js'
import { judge, type Remark, type Sent, type Verdict } from './truth.js'
import { paid } from './work.js'

/** How long a run waits for the last of its events: twice what the slowest honest way takes, of what a process has missed. */
const patienceMs = 30_000
/** How long a kill waits until nobody is lost by it. */
const sparePatienceMs = 3_000
/** How long it may take until the effects are counted, in ms. */
const countingMs = 60_000
const maxActors = 3

/** Addresses of the servers, each for a store that is to be used. */
export type Servers = Readonly<Partial<Record<Store, string>>>

/** What came of the runs of one arena. */
export interface Outcome extends Verdict {
  readonly kills: number
  readonly freezes: number
  /** What was done in a run, and what was said of an event. */
  readonly story: (of: Remark) => readonly string[]
}

/**
 * A platform, a store, and the processes of one bot, for some runs one after the other: whoever is alive at the end of a run is there at
 * the beginning of the next.
 */
export class Arena {
  readonly #kind: Kind
  readonly #programs: Programs
  readonly #standin: StandinProcess
  readonly #url: string
  readonly #folder: string
  readonly #actors: Actor[] = []
  readonly #byName = new Map<string, Actor>()
  /** The processes of versions, as they have said. */
  readonly #workers: { readonly by: string; readonly pid: number }[] = []
  readonly #facts: Fact[] = []
  readonly #sent = new Map<string, Sent>()
  readonly #unsettled = new Set<string>()
  /** What a run has waited for in vain. The next one does not. */
  readonly #leftOpen = new Set<string>()
  readonly #blows = new Map<string, Blow[]>()
  /** When each process ended, or last said that the others had gone on without it: it may not have what it got before. */
  readonly #outAt = new Map<string, number>()
  readonly #done: string[] = []
  readonly #wakes = new Set<() => void>()
  readonly #faults: Remark[] = []
  #names = 0
  #kills = 0
  #freezes = 0
  #run = 0
  #isReckless = false

  private constructor(kind: Kind, programs: Programs, standin: StandinProcess, url: string, folder: string) {
    this.#kind = kind
    this.#programs = programs
    this.#standin = standin
    this.#url = url
    this.#folder = folder
  }

  static async open(kind: Kind, store: Store, server: string | undefined, programs: Programs): Promise<Arena> {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-chaos-'))
    const name = folder.slice(-6).toLowerCase()
    const standin = await startStandin({ guilds: 20, heartbeatIntervalMs: 45_000 })
    return new Arena(kind, programs, standin, addressOf(store, server, join(folder, 'bot.db'), name), folder)
  }

  /** Lives through one run. What is wrong is found by {@link Arena.judge}. */
  async live(plan: Plan, random: () => number): Promise<void> {
    this.#run = plan.run
    this.#isReckless = plan.isReckless
    this.#note(`run ${plan.run} begins`)
    await this.#heal()
    const doubled = plan.isDoubled ? await this.#standin.inject({ kind: 'duplicate-events', times: 2 }) : undefined
    const traffic = this.#traffic(plan, random)
    const pending: Promise<void>[] = []
    for (const action of plan.actions) {
      await sleep(action.afterMs)
      pending.push(...(await this.#act(action, plan)))
    }
    await Promise.all(pending)
    await this.#heal()
    await sleep(100)
    await traffic()
    await this.#until(() => this.#isQuiet(), patienceMs)
    for (const id of this.#unsettled) this.#leftOpen.add(id)
    if (doubled !== undefined) await this.#standin.clear(doubled.id)
    this.#note(`run ${plan.run} ends`)
  }

  /** Ends everything, and says what came of all runs. */
  async judge(): Promise<Outcome> {
    // Second runs of what was frozen may come yet.
    await this.#until(() => this.#actors.every(({ isFrozen }) => !isFrozen), patienceMs)
    await this.#until(() => !this.#isAtWork(), patienceMs)
    await Promise.all(this.#actors.map((actor) => actor.end()))
    // Of each run that is said to have ended, the platform has heard by now.
    const { events } = await this.#standin.ledger()
    const effects = await this.#effects()
    const { tally, faults, letGo } = judge({
      sent: this.#sent,
      events,
      facts: this.#facts,
      effects,
      blows: this.#blows,
    })
    const story = ({ run, id }: Remark): string[] => {
      const event = events.find((one) => one.id === id)
      const said = this.#facts.filter((fact) => fact.id === id).map((fact) => JSON.stringify(fact))
      const from = this.#done.findIndex((line) => line.endsWith(`run ${run} begins`))
      const to = this.#done.findIndex((line) => line.endsWith(`run ${run} ends`))
      const got = JSON.stringify(this.#sent.get(id))
      return [`ledger ${JSON.stringify(event)}`, `sent ${got}`, ...said, ...this.#done.slice(from, to + 1)]
    }
    return { tally, faults: [...this.#faults, ...faults], letGo, kills: this.#kills, freezes: this.#freezes, story }
  }

  async close(): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor.end()))
    await this.#standin.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  // Traffic

  /** Sends events until the result is called, which resolves when the last one is on its way. */
  #traffic({ perSecond, run }: Plan, random: () => number): () => Promise<void> {
    let isOver = false
    const send = async (): Promise<void> => {
      while (!isOver) {
        await sleep(Math.min(200, (-Math.log(1 - random()) * 1_000) / perSecond))
        const command = weighted(commands[this.#kind], random)
        const ms = Math.round(weighted(works, random) * random())
        await this.#send(run, command, ms)
      }
    }
    const sending = send()
    return () => {
      isOver = true
      return sending
    }
  }

  async #send(run: number, command: string, ms: number): Promise<void> {
    const recipients = this.#actors
      .filter(({ readyAt, isGone }) => readyAt < Infinity && !isGone)
      .map(({ name }) => name)
    // What nobody can get proves nothing.
    if (recipients.length === 0) return
    const at = Date.now()
    const { id } = await this.#standin.command({ name: command, options: { ms } })
    this.#sent.set(id, { run, command, at, recipients, isReckless: this.#isReckless })
    if (!this.#facts.some((fact) => fact.id === id && this.#settles(fact))) this.#unsettled.add(id)
  }

  // What is done

  /** @returns what has to end before the run does */
  async #act(action: Action, { isReckless }: Plan): Promise<Promise<void>[]> {
    const { what, pick, ms, line } = action
    const owner = this.#owner()
    const others = this.#serving().filter((actor) => actor !== owner)
    const other = others[Math.floor(pick * others.length)]
    const some = this.#serving()[Math.floor(pick * this.#serving().length)]
    switch (what) {
      case 'start':
        return this.#hasRoom() ? [this.#readied(this.#start())] : []
      case 'doubleStart':
        if (!this.#hasRoom()) return []
        return [this.#readied(this.#start()), this.#readied(this.#start())]
      case 'takeOver':
        this.#tell(other ?? some, 'takeOver')
        return []
      case 'leave':
        return this.#leave(some)
      case 'killOwner':
        if (pick < 0.7) await this.#giveWork()
        return this.#kill(owner, isReckless)
      case 'killOther':
        return this.#kill(other, isReckless)
      case 'killNewcomer': {
        if (!this.#hasRoom()) return []
        const newcomer = this.#start()
        return [sleep(ms).then(() => void this.#kill(newcomer, isReckless))]
      }
      case 'freezeOwner':
        return this.#freeze(owner, ms)
      case 'freezeOther':
        return this.#freeze(other, ms)
      case 'blink':
        return some === undefined ? [] : [this.#blink(some, pick)]
      case 'reconnect':
        this.#note('all connections break')
        await this.#standin.inject({ kind: pick < 0.5 ? 'drop' : 'reconnect' })
        return []
      case 'killVersion':
        this.#killWorker(pick)
        return []
      case 'freezeVersion':
        return this.#freezeWorker(pick, ms)
      case 'stumble':
        await this.#send(this.#run, 'stumble', 0)
        return []
      case 'jump':
        this.#tell(some, line ?? `jump ${ms}`)
        return []
      case 'doubleDeploy':
        for (const actor of this.#serving()) this.#tell(actor, line ?? '')
        this.#tell(owner, (line ?? '').replace(/ v\d/, ' v1'))
        return []
      default:
        this.#tell(owner, line ?? what)
        return []
    }
  }

  /** Something is under way when this resolves. */
  async #giveWork(): Promise<void> {
    const before = this.#facts.length
    await this.#send(this.#run, 'pay', 400)
    await this.#until(() => this.#facts.slice(before).some(({ fact }) => fact === 'began'), 1_000)
  }

  #start(): Actor {
    this.#names += 1
    const name = `p${this.#names}`
    const { api, token } = this.#standin
    const isBot = this.#kind === 'bots'
    const program = isBot ? this.#programs.bot : this.#programs.owner
    const more = isBot ? [] : [this.#programs.version, this.#kind === 'pair' ? 'pair' : 'one']
    const actor = new Actor(name, program, [api, token, this.#url, ...more], (fact) => this.#heard(fact))
    actor.onEnd((how, last) => this.#ended(actor, how, last))
    this.#actors.push(actor)
    this.#byName.set(name, actor)
    this.#note(`${name} starts`)
    return actor
  }

  /** It is there, or has died on the way. */
  async #readied(actor: Actor): Promise<void> {
    await this.#until(() => actor.isGone || actor.isServing, patienceMs)
  }

  /** Somebody has to be there. */
  async #heal(): Promise<void> {
    while (this.#serving().length === 0) {
      const coming = this.#actors.find(({ isGone, isLeaving }) => !isGone && !isLeaving)
      await this.#readied(coming ?? this.#start())
    }
  }

  #tell(actor: Actor | undefined, line: string): void {
    if (actor === undefined) return
    this.#note(`${actor.name} is told: ${line}`)
    actor.tell(line)
  }

  #leave(actor: Actor | undefined): Promise<void>[] {
    if (actor === undefined || this.#serving().length < 2) return []
    actor.isLeaving = true
    this.#tell(actor, 'leave')
    return []
  }

  /** Without recklessness only when all that it has got is also with another one that stays. */
  #kill(actor: Actor | undefined, isReckless: boolean): Promise<void>[] {
    if (actor === undefined || actor.isGone) return []
    return isReckless ? this.#killNow(actor) : [this.#whenSpare(actor, () => void this.#killNow(actor))]
  }

  async #whenSpare(actor: Actor, strike: () => void): Promise<void> {
    if (!this.#isSpare(actor) && this.#serving().length < 2 && this.#hasRoom()) this.#start()
    await this.#until(() => actor.isGone || this.#isSpare(actor), sparePatienceMs)
    if (!actor.isGone && !actor.isFrozen && this.#isSpare(actor)) strike()
    else this.#note(`${actor.name} is spared: it alone has events, or it has gone`)
  }

  #killNow(actor: Actor): Promise<void>[] {
    this.#strike(actor.name, 'ended')
    this.#outAt.set(actor.name, Infinity)
    this.#kills += 1
    this.#note(`${actor.name} is killed`)
    actor.kill()
    if (this.#kind !== 'owner') return []
    // As a process manager does.
    return [this.#readied(this.#start())]
  }

  #freeze(actor: Actor | undefined, ms: number): Promise<void>[] {
    if (actor === undefined) return []
    let thawed: Promise<void> | undefined
    const strike = (): void => {
      const blow = this.#strike(actor.name, 'frozen')
      this.#freezes += 1
      this.#note(`${actor.name} is frozen for ${ms} ms`)
      actor.freeze()
      thawed = sleep(ms).then(() => this.#thaw(actor, blow))
    }
    return [this.#whenSpare(actor, strike).then(() => thawed)]
  }

  /** For so short a time that nobody can notice, or ought to mind. */
  async #blink(actor: Actor, pick: number): Promise<void> {
    const ms = Math.round(pick * 300)
    this.#note(`${actor.name} stands still for ${ms} ms`)
    const blow = this.#strike(actor.name, 'frozen')
    actor.freeze()
    await sleep(ms)
    this.#thaw(actor, blow)
  }

  #thaw(actor: Actor, blow: Blow): void {
    this.#note(`${actor.name} goes on`)
    blow.untilAt = Date.now()
    actor.thaw()
  }

  #killWorker(pick: number): void {
    const worker = this.#someWorker(pick)
    if (worker === undefined) return
    this.#strike(worker.by, 'ended')
    this.#kills += 1
    this.#note(`${worker.by} is killed`)
    signal(worker.pid, 'SIGKILL')
  }

  #freezeWorker(pick: number, ms: number): Promise<void>[] {
    const worker = this.#someWorker(pick)
    if (worker === undefined) return []
    const blow = this.#strike(worker.by, 'frozen')
    this.#freezes += 1
    this.#note(`${worker.by} is frozen for ${ms} ms`)
    signal(worker.pid, 'SIGSTOP')
    const thaw = (): void => {
      blow.untilAt = Date.now()
      signal(worker.pid, 'SIGCONT')
    }
    return [sleep(ms).then(thaw)]
  }

  #someWorker(pick: number): { readonly by: string; readonly pid: number } | undefined {
    const alive = this.#workers.filter(({ by, pid }) => {
      return this.#byName.get(ownerOf(by))?.isServing === true && !this.#blows.has(by) && signal(pid, 0)
    })
    return alive[Math.floor(pick * alive.length)]
  }

  // What is so

  #serving(): Actor[] {
    return this.#actors.filter((actor) => actor.isServing)
  }

  /** Whoever said last that the events are its own. */
  #owner(): Actor | undefined {
    return this.#serving().sort((a, b) => b.ownerAt - a.ownerAt)[0]
  }

  #hasRoom(): boolean {
    return this.#kind !== 'owner' && this.#actors.filter(({ isGone }) => !isGone).length < maxActors
  }

  /** Whether another one that stays has got each event that this one has, and that nobody has settled yet. */
  #isSpare(actor: Actor): boolean {
    if (actor.readyAt === Infinity) return true
    const staying = this.#serving().filter((one) => one !== actor)
    if (staying.length === 0) return false
    return [...this.#unsettled].every((id) => staying.some(({ name }) => this.#holders(id).includes(name)))
  }

  #isQuiet(): boolean {
    if (this.#actors.some(({ isLeaving, isGone }) => isLeaving && !isGone)) return false
    return ![...this.#unsettled].some((id) => !this.#leftOpen.has(id) && this.#holders(id).length > 0)
  }

  /** Whether a run is under way, also one of what its process was counted out with, for which nothing else waits. */
  #isAtWork(): boolean {
    const over = new Set(this.#facts.filter((fact) => this.#settles(fact)).map((fact) => this.#runOf(fact)))
    const isThere = (by: string): boolean => {
      return this.#byName.get(ownerOf(by))?.isGone === false && !this.#blows.get(by)?.some(({ how }) => how === 'ended')
    }
    return this.#facts.some((fact) => fact.fact === 'began' && isThere(fact.by) && !over.has(this.#runOf(fact)))
  }

  /** Where a version runs an event, its owner says that it is over. */
  #runOf({ by, id }: Fact): string {
    return `${ownerOf(by)} ${id}`
  }

  /** Those who got an event, and neither ended nor were counted out since. */
  #holders(id: string): readonly string[] {
    const { recipients = [], at = 0 } = this.#sent.get(id) ?? {}
    return recipients.filter((name) => (this.#outAt.get(name) ?? -Infinity) < at)
  }

  #strike(by: string, how: Blow['how'], at = Date.now()): Blow {
    const blow: Blow = { how, at }
    this.#blows.set(by, [...(this.#blows.get(by) ?? []), blow])
    return blow
  }

  /** Whether an event is over: where a version runs it, once its owner has told the platform. */
  #settles({ fact }: Fact): boolean {
    return fact === 'unfinished' || fact === 'failed' || fact === (this.#kind === 'bots' ? 'ended' : 'answered')
  }

  #heard(fact: Fact): void {
    this.#facts.push(fact)
    const { by, id } = fact
    if (fact.fact === 'up' && fact.version !== undefined && fact.pid !== undefined) {
      this.#workers.push({ by, pid: fact.pid })
    }
    if (fact.fact === 'dies') {
      // It may be heard later than what follows from it.
      this.#strike(by, 'ended', fact.at)
      this.#kills += 1
    }
    if (fact.fact === 'out') this.#outAt.set(by, fact.at)
    if (id !== undefined && this.#settles(fact)) this.#unsettled.delete(id)
    if (id === undefined) this.#note(`${by}: ${fact.fact} ${fact.why ?? ''}`)
    for (const wake of [...this.#wakes]) wake()
  }

  #ended(actor: Actor, how: string | undefined, last: string): void {
    // It may have been the only one that had got something, and whoever is there has to know.
    if (how !== undefined) {
      this.#outAt.set(actor.name, Infinity)
      this.#strike(actor.name, 'ended')
      this.#faults.push({ run: this.#run, id: actor.name, what: `ended by itself: ${how}\n${last}` })
    }
    for (const wake of [...this.#wakes]) wake()
  }

  async #until(isSo: () => boolean, timeoutMs: number): Promise<void> {
    const endsMs = performance.now() + timeoutMs
    while (!isSo() && performance.now() < endsMs) {
      const heard = new AbortController()
      const wake = (): void => heard.abort()
      this.#wakes.add(wake)
      await Promise.race([once(heard.signal, 'abort'), sleep(endsMs - performance.now(), undefined, heard)]).catch(
        () => undefined,
      )
      this.#wakes.delete(wake)
    }
  }

  #note(line: string): void {
    this.#done.push(`${new Date().toISOString().slice(11, 23)} ${line}`)
  }

  /** A server that is too busy to answer is asked again: the runs are over, and what they left changes no more. */
  async #effects(): Promise<Map<string, number>> {
    const endsMs = performance.now() + countingMs
    for (;;) {
      try {
        return await this.#effectsInStore()
      } catch (error) {
        if (performance.now() >= endsMs) throw error
        this.#note(`the effects cannot be counted yet: ${String(error)}`)
        await sleep(500)
      }
    }
  }

  async #effectsInStore(): Promise<Map<string, number>> {
    const storage = storageFromUrl(this.#url)
    const effects = new Map<string, number>()
    try {
      for await (const { key } of storage.collection(paid).scan()) {
        const id = key.slice(0, key.indexOf(':'))
        effects.set(id, (effects.get(id) ?? 0) + 1)
      }
    } finally {
      await storage.stop()
    }
    return effects
  }
}

const commands: Readonly<Record<Kind, readonly (readonly [string, number])[]>> = {
  bots: [
    ['reply', 5],
    ['pay', 4],
    ['once', 1],
  ],
  owner: [
    ['reply', 1],
    ['pay', 1],
  ],
  pair: [
    ['reply', 1],
    ['pay', 1],
  ],
}

/** How long a handler works at most, in ms. */
const works: readonly (readonly [number, number])[] = [
  [0, 5],
  [100, 4],
  [500, 1],
]

/** @returns whether the process is there */
function signal(pid: number, what: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, what)
  } catch {
    return false
  }
}

function addressOf(store: Store, server: string | undefined, path: string, name: string): string {
  if (store === 'sqlite') return `sqlite:${path}`
  if (server === undefined) throw new Error(`There is no address of a server for ${store}`)
  const parameter = store === 'redis' ? `prefix=chaos-${name}:` : `schema=chaos_${name.replaceAll('-', '_')}&poolSize=2`
  return `${server}${server.includes('?') ? '&' : '?'}${parameter}`
}
