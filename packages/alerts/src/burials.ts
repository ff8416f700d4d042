import type { AlertNotice } from './alert.js'
import { warn } from './events.js'
import type { Ledger, SpoolRecord } from './ledger.js'
import type { ResolvedOptions } from './options.js'
import type { DeadLetter } from './spool/dead-letters.js'

/** What could not be written to the dead-letter file is tried again after this. */
const AGAIN_MS = 5_000
/** A disk that takes longer than this for one write is as one that fails. */
const PATIENCE_MS = 5_000
/** So long a write that is under way may take when everything is stopped. */
const GRACE_MS = 1_000

/** Notices that a channel will not get. */
export interface Burial {
  readonly channel: string
  readonly notices: readonly AlertNotice[]
  readonly why: string
  readonly end: 'dead' | 'lost'
}

/** What burials need of their surroundings. */
export interface BurialsHost {
  readonly options: Pick<ResolvedOptions, 'maxPending'>
  readonly ledger: Ledger
  record(record: SpoolRecord): void
  now(): number
  after(delayMs: number, run: () => void): () => void
  /** As `after`, but time in which the event loop stood still does not count. */
  afterRunning(delayMs: number, run: () => void): () => void
  /** Writes to the dead-letter file, if there is one. */
  writeLetters(letters: readonly DeadLetter[]): Promise<void>
  onBuried(burial: Burial): void
  /** Notices ended. */
  onMoved(): void
}

/**
 * What goes to the dead-letter file. From the moment on that it is given up nobody sends it, and it holds up nobody: not
 * its channel, and not whoever stops the alerts, even if the file cannot be written for hours.
 */
export class Burials {
  readonly #host: BurialsHost
  #waiting: Burial[] = []
  /** By channel: what it will not get. */
  readonly #givenUp = new Map<string, Set<string>>()
  /** What no channel will get, oldest first. */
  readonly #leaving = new Set<string>()
  #busy: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  /** The file cannot be written, and that was told. */
  #isBroken = false
  /** Even what is there to be written is too much, and that was told. */
  #isLosing = false
  /** What was begun before a stop ends nothing after it. */
  #life = 0

  constructor(host: BurialsHost) {
    this.#host = host
  }

  /** How many pending notices no channel will get. */
  get leaving(): number {
    return this.#leaving.size
  }

  /** Whether no channel will get it. */
  isLeaving(id: string): boolean {
    return this.#leaving.has(id)
  }

  /** What waits for a channel and may be sent or given up, oldest first. */
  *free(channel: string): Generator<string, void, undefined> {
    const givenUp = this.#givenUp.get(channel)
    for (const id of this.#host.ledger.waiting(channel)) if (givenUp?.has(id) !== true) yield id
  }

  /** One channel will not get these. */
  bury(channel: string, ids: readonly string[], why: string): void {
    const { ledger } = this.#host
    const givenUp = this.#givenUp.get(channel) ?? new Set()
    this.#givenUp.set(channel, givenUp)
    const notices = ids.flatMap((id) => (givenUp.has(id) ? [] : (ledger.pending.get(id)?.notice ?? [])))
    if (notices.length === 0) return
    for (const { id } of notices) givenUp.add(id)
    this.#waiting.push({ channel, notices, why, end: 'dead' })
    this.#pump()
  }

  /** No channel will get these: there is too much. */
  evict(ids: readonly string[]): void {
    const { ledger, options } = this.#host
    const why = `there were more than ${options.maxPending} alerts pending`
    for (const id of ids) this.#leaving.add(id)
    for (const channel of ledger.channelsOf(ids)) {
      this.bury(
        channel,
        ids.filter((id) => ledger.waiting(channel).has(id)),
        why,
      )
    }
    this.#loseExcess()
  }

  /** Ends what is under way, after a moment. What is not in the file waits again. */
  async stop(): Promise<void> {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    if (this.#busy !== undefined) {
      await new Promise<void>((resolve) => {
        const cancel = this.#host.after(GRACE_MS, resolve)
        void this.#busy?.then(() => {
          cancel()
          resolve()
        })
      })
    }
    this.#life++
    this.#busy = undefined
    this.#waiting = []
    this.#givenUp.clear()
    this.#leaving.clear()
  }

  #pump(): void {
    if (this.#busy !== undefined || this.#cancelRetry !== undefined || this.#waiting.length === 0) return
    const life = this.#life
    const busy = this.#write(life).then((isWritten) => {
      if (life !== this.#life) return
      this.#busy = undefined
      if (isWritten) this.#pump()
      else this.#cancelRetry = this.#host.after(AGAIN_MS, () => this.#again())
    })
    this.#busy = busy
  }

  #again(): void {
    this.#cancelRetry = undefined
    this.#pump()
  }

  async #write(life: number): Promise<boolean> {
    const burials = this.#open(this.#waiting.splice(0))
    const at = this.#host.now()
    const cancel = this.#host.afterRunning(PATIENCE_MS, () => this.#break(burials, 'the disk does not answer'))
    try {
      await this.#host.writeLetters(
        burials.flatMap(({ channel, why, notices }) => notices.map((notice) => ({ at, channel, why, notice }))),
      )
    } catch (error) {
      if (life !== this.#life) return false
      this.#waiting = [...this.#open(burials), ...this.#waiting]
      this.#break(burials, String((error as { code?: unknown }).code))
      return false
    } finally {
      cancel()
    }
    if (life !== this.#life) return true
    this.#isBroken = false
    this.#isLosing = false
    for (const burial of this.#open(burials)) this.#end(burial)
    this.#host.onMoved()
    return true
  }

  /** Without what has ended otherwise. */
  #open(burials: readonly Burial[]): Burial[] {
    return burials.flatMap((burial) => {
      const notices = burial.notices.filter(({ id }) => this.#isOpen(id, burial.channel))
      return notices.length === 0 ? [] : [{ ...burial, notices }]
    })
  }

  #isOpen(id: string, channel: string): boolean {
    return this.#host.ledger.pending.get(id)?.channels.get(channel) === 'waiting'
  }

  #break(burials: readonly Burial[], why: string): void {
    if (!this.#isBroken) {
      const count = burials.reduce((sum, { notices }) => sum + notices.length, 0)
      warn('EVENKEEL_DEAD_LETTER', `${count} alerts could not be written to the dead-letter file: ${why}`)
    }
    this.#isBroken = true
    this.#loseExcess()
  }

  #end(burial: Burial): void {
    const { channel, end } = burial
    const ids = burial.notices.map(({ id }) => id)
    this.#host.record({ type: 'settled', channel, ...(end === 'dead' ? { dead: ids } : { lost: ids }) })
    for (const id of ids) {
      this.#givenUp.get(channel)?.delete(id)
      if (!this.#host.ledger.pending.has(id)) this.#leaving.delete(id)
    }
    this.#host.onBuried(burial)
  }

  /** As much as may be pending may wait for the file too. What is more nobody can keep, and that is said. */
  #loseExcess(): void {
    const { options, ledger } = this.#host
    const excess = this.#leaving.size - options.maxPending
    if (!this.#isBroken || excess <= 0) return
    const ids = [...this.#leaving].slice(0, excess)
    if (!this.#isLosing) {
      const text = `more than ${options.maxPending} alerts wait for the dead-letter file, which cannot be written`
      warn('EVENKEEL_ALERTS_LOST', `Alerts are lost from now on: ${text}; accounting.lost counts them`)
    }
    this.#isLosing = true
    const why = 'there was too much, and the dead-letter file cannot be written'
    for (const channel of ledger.channelsOf(ids)) {
      const notices = ids.flatMap((id) => (this.#isOpen(id, channel) ? (ledger.pending.get(id)?.notice ?? []) : []))
      this.#end({ channel, notices, why, end: 'lost' })
    }
    this.#waiting = this.#open(this.#waiting)
    this.#host.onMoved()
  }
}
