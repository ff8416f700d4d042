import type { Clock } from '../ports.js'
import { readOverride, writeOverride, type OverrideRecord } from './records.js'
import type { StoreLink } from './store-link.js'

/** More lost races than this in a row mean that the store, not a rival, is at fault. */
const maxRaces = 50

/** What somebody does by hand: sets a mode, or, without one, hands back to the rules. */
export interface Deed {
  readonly mode: string | undefined
  readonly why: string
  readonly by: string | undefined
  /** For how long from now, in ms; undefined for no end. */
  readonly forMs: number | undefined
}

/** How to keep what is done by hand. */
export interface SharedOverrideSettings {
  readonly key: string
  readonly clock: Clock
  readonly modes: readonly string[]
  readonly link: StoreLink
  /** Nothing is written. */
  readonly dryRun: boolean
  /** Somebody else did something. */
  readonly follow: (deed: Deed) => void
}

/** A deed that is known of here: done here, or read. */
interface Known {
  readonly epoch: number
  readonly id: string
  readonly deed: Omit<Deed, 'forMs'>
  /** When it ends, monotonic ms. */
  readonly untilMs: number | undefined
}

/** What was done here and is not known to be stored. */
interface Pending extends Omit<Known, 'epoch'> {
  /** What was known when it was done; whatever is newer than that goes before it, once it has had to wait. */
  readonly upon: number | undefined
  hasWaited: boolean
}

/**
 * The mode set by hand, as all processes of a store know it.
 *
 * A record with an epoch, which only grows: an older one never takes the place of a newer one, and a store that has lost
 * it is given it again. When it ends is kept by the wall clock, for a restart, and by its length, so that no wall clock
 * can make it longer.
 */
export class SharedOverride {
  readonly #settings: SharedOverrideSettings
  /** What the id of each deed begins with that was done here. */
  readonly #process = `${globalThis.crypto.randomUUID()}/`
  #deeds = 0
  #known: Known | undefined
  #pending: Pending | undefined
  /** When the store was last asked and answered, monotonic ms: whatever is new has been done since. */
  #askedMs: number | undefined

  constructor(settings: SharedOverrideSettings) {
    this.#settings = settings
  }

  /** Whether something done here is not known to be stored. */
  get isWaiting(): boolean {
    return this.#pending !== undefined
  }

  /** Stores what is done here; here it is in force already. @throws when the store was not reached; it is tried again */
  async store({ forMs, ...deed }: Deed): Promise<void> {
    const { clock, link } = this.#settings
    const untilMs = forMs === undefined ? undefined : clock.monotonic() + forMs
    const id = `${this.#process}${++this.#deeds}`
    const upon = this.#known?.epoch ?? (this.#askedMs === undefined ? undefined : 0)
    this.#pending = { id, deed, untilMs, upon, hasWaited: false }
    await link.inTurn(() => link.told(() => this.look()))
  }

  /** Stores what waits, or reads what others have done. */
  async look(): Promise<void> {
    for (let race = 0; race < maxRaces; race++) {
      const pending = this.#pending
      try {
        if (await this.#exchange(pending)) return
      } catch (error) {
        if (pending !== undefined) pending.hasWaited = true
        throw error
      }
    }
    throw new Error(`the store refused ${maxRaces} writes that others had overtaken`)
  }

  /** @returns whether nothing is left to do */
  async #exchange(pending: Pending | undefined): Promise<boolean> {
    const { link, key, clock } = this.#settings
    const askedMs = clock.monotonic()
    const entry = await link.entry(key)
    const found = entry && readOverride(key, entry.value)
    if (pending !== undefined && found?.id === pending.id) {
      // It has landed although its answer was lost.
      this.#know(pending, found.epoch, askedMs)
      return this.#forget(pending)
    }
    const next = this.#isOvertaken(pending, found) ? undefined : (pending ?? this.#lostTo(found))
    if (next === undefined) {
      this.#read(found, askedMs)
      return this.#forget(pending)
    }
    if (this.#settings.dryRun) return true
    const epoch = pending === undefined ? (this.#known?.epoch ?? 0) : this.#newest(found) + 1
    const written = await link.compareAndSet(key, entry?.version, writeOverride(this.#record(next, epoch)))
    if (written === undefined) return false
    this.#know(next, epoch, askedMs)
    return this.#forget(pending)
  }

  /** What was done here before and has landed late is not newer, whatever its epoch. */
  #isOvertaken(pending: Pending | undefined, found: OverrideRecord | undefined): boolean {
    if (pending?.hasWaited !== true || found === undefined || found.id.startsWith(this.#process)) return false
    return found.epoch > (pending.upon ?? Infinity)
  }

  #newest(found: OverrideRecord | undefined): number {
    return Math.max(found?.epoch ?? 0, this.#known?.epoch ?? 0)
  }

  #know({ id, deed, untilMs }: Omit<Known, 'epoch'>, epoch: number, askedMs: number): void {
    this.#askedMs = askedMs
    this.#known = { epoch, id, deed, untilMs }
  }

  /** @returns whether nothing waits: something else may have been done here while the store answered */
  #forget(pending: Pending | undefined): boolean {
    if (this.#pending === pending) this.#pending = undefined
    return this.#pending === undefined
  }

  /** What is known here and was lost there, when that still matters. */
  #lostTo(found: OverrideRecord | undefined): Known | undefined {
    const known = this.#known
    if (known === undefined || (found?.epoch ?? 0) >= known.epoch) return undefined
    return known
  }

  #record({ id, deed, untilMs }: Omit<Known, 'epoch'>, epoch: number): OverrideRecord {
    const { clock } = this.#settings
    const { mode, why, by } = deed
    if (mode === undefined || untilMs === undefined) {
      return { epoch, id, why, by, mode, forMs: undefined, expiresAt: undefined }
    }
    const forMs = untilMs - clock.monotonic()
    if (forMs <= 0) return { epoch, id, ...expired(mode, why), expiresAt: undefined }
    return { epoch, id, why, by, mode, forMs, expiresAt: Math.round(clock.now() + forMs) }
  }

  #read(found: OverrideRecord | undefined, askedMs: number): void {
    // Left for the next start.
    if (!this.#settings.link.isFollowing) return
    const sinceMs = this.#askedMs === undefined ? Infinity : askedMs - this.#askedMs
    this.#askedMs = askedMs
    const known = this.#known
    if (found === undefined) return
    if (found.id === known?.id) {
      this.#known = { ...known, epoch: found.epoch }
      return
    }
    const { modes, clock, follow } = this.#settings
    const { epoch, id, mode, why, by } = found
    const forMs = this.#remainingMs(found, sinceMs)
    const isOver = mode !== undefined && forMs !== undefined && forMs <= 0
    if (mode !== undefined && !isOver && !modes.includes(mode)) {
      throw new TypeError(`it says ${mode}, set by hand (${why}), and modes has only ${modes.join(', ')}`)
    }
    const untilMs = forMs === undefined ? undefined : clock.monotonic() + forMs
    this.#known = { epoch, id, deed: { mode, why, by }, untilMs }
    // At its first look a process has nothing to hand back, but for what was set here before.
    follow(isOver ? expired(mode, why) : { mode, why, by, forMs })
  }

  /**
   * By the wall clock, which another machine or a correction may have put hours off. But it was never to last longer than
   * it said, and it cannot be older than the time since the store was asked and did not have it.
   */
  #remainingMs({ forMs, expiresAt }: OverrideRecord, sinceMs: number): number | undefined {
    if (forMs === undefined || expiresAt === undefined) return undefined
    return Math.min(forMs, Math.max(expiresAt - this.#settings.clock.now(), forMs - sinceMs))
  }
}

/** What is over hands back to the rules, and nobody did that. */
function expired(mode: string, why: string): Deed {
  const told = `${mode} was set by hand (${why}), and has expired`
  return { mode: undefined, why: told, by: undefined, forMs: undefined }
}
