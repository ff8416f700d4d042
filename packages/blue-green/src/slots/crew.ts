import type { Severity } from '../changes.js'
import type { Clock } from '../ports.js'
import { warn } from '../warn.js'
import { messageOf, runBounded } from '../bounded.js'
import { failureOf, NotBegunError } from './errors.js'
import { isFunctionSlot } from './function-slot.js'
import { defaultRestarts, type MemoryReading, type Slot, type SlotDeath } from './slot.js'

/** How soon versions that all refuse are asked again, in ms, if none says before that it is up. */
const askAgainMs = 50

/** An event did not take the plain way: it went to another version, or nobody knows what became of it. */
export interface EventNews {
  /** Which thing this is about. */
  readonly what: 'event'
  /** The version that had it. */
  readonly from: string
  /** The version that has it now; `undefined` when none has. */
  readonly to: string | undefined
  /** Its id. */
  readonly eventId: string | undefined
  /** Whether the first version had begun it, so that this is a second run. */
  readonly isRepeat: boolean
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `WARNING` when a version had begun it, or may have. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** What a crew asks and tells. None of it may throw. */
export interface CrewHooks {
  /** Whether a version is started again when it dies. */
  isToLive(version: string): boolean
  /** The versions that may get the events of one that is down: what nobody has tried, or was taken back, is none of them. */
  mayServeFor(version: string): readonly string[]
  /** A version died by itself. Told before its events go elsewhere. */
  died(version: string, why: string): void
  /** The active version was started again. */
  revived(version: string): void
  /** A version says what memory it uses. */
  measured(version: string, reading: MemoryReading): void
  /** An event went to another version. */
  redelivered(news: EventNews): void
  /** A version died over an event that is not run again. */
  unknown(news: EventNews): void
}

/** What a crew is made of. */
export interface CrewSettings {
  readonly slots: ReadonlyMap<string, Slot<never>>
  /** How long an event may wait for a version that can take it, in ms. */
  readonly maxWaitMs: number
  /** How long a version that is given up may take to end what it runs, in ms. */
  readonly drainMs: number
  /** How long a version may take to get ready, or to end when it runs nothing, in ms. */
  readonly stageTimeoutMs: number
  readonly clock: Clock
}

/** What the giver of an event wants to know of it. */
export interface Delivered {
  readonly eventId: string | undefined
  /** Another version has it now, if only for as long as it takes to refuse it. */
  moved(to: string): void
  /** No version has begun it, and none will. */
  refused(): void
}

/** A version that could not serve an event. */
interface Failed {
  readonly from: string
  readonly error: Error
  readonly wasBegun: boolean
}

/** A start that is to come, or under way. */
interface Planned {
  /** Takes it back, and ends it. */
  readonly stop: AbortController
  /** Why it died before it counted as started. */
  died: string | undefined
}

/** Why an event goes elsewhere that its version never had. */
function notUp(version: string): Failed {
  return { from: version, error: new NotBegunError(version, 'it is not up'), wasBegun: false }
}

/**
 * The versions of a bot where some are more than functions: gives an event to another version when the one that it was routed to dies.
 *
 * @remarks
 * What a version had not begun goes to any other that is up, at once. What it had begun is run once more at most, if its
 * effects allow that, for an event may be what kills them. The active version is started again by its `restarts`; a new one
 * that dies is not.
 */
export class Crew {
  readonly #settings: CrewSettings
  readonly #hooks: CrewHooks
  /** When each version died, for its crash loop. */
  readonly #deaths = new Map<string, number[]>()
  /** Those who wait for a version that can take an event. */
  readonly #waiting = new Set<() => void>()
  /** Starts that are to come, or under way. */
  readonly #toStart = new Map<string, Planned>()
  /** Starts and ends of each version, one after the other. */
  readonly #lives = new Map<string, Promise<unknown>>()
  #isStopped = false

  constructor(settings: CrewSettings, hooks: CrewHooks) {
    this.#settings = settings
    this.#hooks = hooks
    for (const [name, slot] of settings.slots) {
      slot.onDeath((death) => this.#died(name, slot, death))
      slot.onMemory?.((reading) => hooks.measured(name, reading))
    }
  }

  /** Starts a version, when its former life has ended. @throws whatever keeps it from getting ready */
  async stage(version: string, signal: AbortSignal): Promise<void> {
    this.#isStopped = false
    this.#deaths.delete(version)
    this.#unplan(version)
    await this.#next(version, () => this.#start(version, signal))
    this.#wake()
  }

  /** A version that is to serve did not get ready, while another one serves: it is started again like one that has died. */
  startLater(version: string, why: string): void {
    this.#restart(version, this.#slot(version), why)
  }

  /** Ends a version when it is done with what it runs. Never rejects. */
  async retire(version: string): Promise<void> {
    this.#unplan(version)
    const { drainMs, stageTimeoutMs, clock } = this.#settings
    try {
      await this.#next(version, async () => {
        const slot = this.#slot(version)
        const { signal } = new AbortController()
        try {
          // It keeps its own deadline; one that does not must not keep everybody waiting.
          await runBounded(() => slot.drain({ timeoutMs: drainMs }), drainMs + stageTimeoutMs, clock, signal)
        } finally {
          await runBounded(() => slot.stop(), stageTimeoutMs, clock, signal)
        }
      })
    } catch (error) {
      warn('EVENKEEL_SLOT', `Version "${version}" could not be ended`, error)
    }
  }

  /** Ends every version, and starts none again. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#settings.slots.keys()].map((version) => this.retire(version)))
    this.#wake()
  }

  /** Gives an event to a version and to no other. */
  call(version: string, event: unknown): Promise<unknown> {
    return this.#slot(version).handle(event as never)
  }

  /** Gives an event to a version, or to another when that one cannot take it. */
  async deliver(version: string, event: unknown, delivered: Delivered): Promise<unknown> {
    const { eventId } = delivered
    const { clock, maxWaitMs } = this.#settings
    const untilMs = clock.monotonic() + maxWaitMs
    /** Versions that have just refused it, whatever they say of their health. */
    const refused = new Set<string>()
    let at = version
    /** Who has it, as far as was told. */
    let told: string | undefined = version
    let isRepeat = false
    let last: Failed | undefined
    for (;;) {
      const to = this.#pick(version, refused)
      if (to === undefined) {
        const leftMs = untilMs - clock.monotonic()
        if (leftMs <= 0 || this.#isStopped) {
          if (last?.wasBegun === true) this.#hooks.unknown(this.#newsOf(last, undefined, eventId))
          else delivered.refused()
          throw last?.error ?? new NotBegunError(version, 'no version can take it')
        }
        await this.#change(Math.min(askAgainMs, leftMs))
        refused.clear()
        continue
      }
      if (to !== at) delivered.moved(to)
      at = to
      if (to !== told) {
        told = to
        this.#hooks.redelivered(this.#newsOf(last ?? notUp(version), to, eventId))
      }
      const slot = this.#slot(to)
      try {
        return await slot.handle(event as never, { eventId, isRepeat })
      } catch (error) {
        const failure = isFunctionSlot(slot) ? undefined : failureOf(error)
        if (failure === undefined) throw error
        // Too much for one is not given to the other, unless a dead one had begun it.
        if (failure.kind === 'shed' && !isRepeat) {
          delivered.refused()
          throw error
        }
        const wasBegun = failure.kind === 'unknown'
        const failed: Failed = { from: to, error: error as Error, wasBegun }
        // A second version that dies over it says that the event is what kills them.
        if (wasBegun && (!failure.mayRepeat || isRepeat)) {
          this.#hooks.unknown(this.#newsOf(failed, undefined, eventId))
          throw error
        }
        // Once a version has begun it, that is what there is to tell, whoever refuses it later, and of each that gets it.
        if (!isRepeat) last = failed
        if (wasBegun) told = undefined
        isRepeat ||= wasBegun
        refused.add(to)
      }
    }
  }

  #slot(version: string): Slot<never> {
    const slot = this.#settings.slots.get(version)
    if (slot === undefined) throw new Error(`there is no version "${version}"; this is a fault of blue-green`)
    return slot
  }

  /** The version it was routed to, else another one that may; none while none is up, for one that is starting may take longer than an event can wait. */
  #pick(version: string, refused: ReadonlySet<string>): string | undefined {
    const can = (name: string): boolean => {
      const health = this.#slot(name).health?.() ?? 'up'
      return !refused.has(name) && (health === 'up' || health === 'degraded')
    }
    return can(version) ? version : this.#hooks.mayServeFor(version).find(can)
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#waiting.delete(done)
        resolve()
      }
      const cancel = this.#settings.clock.after(timeoutMs, done)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  #next<T>(version: string, step: () => Promise<T>): Promise<T> {
    const done = (this.#lives.get(version) ?? Promise.resolve()).then(step)
    this.#lives.set(
      version,
      done.catch(() => undefined),
    )
    return done
  }

  /** Ends with the signal also where the slot does not hear it: its next life must not wait for ever. */
  #start(version: string, signal: AbortSignal): Promise<void> {
    const { stageTimeoutMs, clock } = this.#settings
    return runBounded((stop) => this.#slot(version).start({ signal: stop }), stageTimeoutMs, clock, signal)
  }

  #unplan(version: string): void {
    this.#toStart.get(version)?.stop.abort(new Error('it is not wanted any more'))
    this.#toStart.delete(version)
  }

  // Deaths and restarts

  #died(version: string, slot: Slot<never>, { why }: SlotDeath): void {
    const planned = this.#toStart.get(version)
    this.#hooks.died(version, why)
    if (planned === undefined) this.#restart(version, slot, why)
    else planned.died = why
  }

  /** With twice the patience each time, until there were too many deaths. */
  #restart(version: string, slot: Slot<never>, why: string): void {
    if (this.#isStopped || !this.#hooks.isToLive(version) || this.#toStart.has(version)) return
    const { maxRestarts, windowMs, delayMs, maxDelayMs } = slot.restarts ?? defaultRestarts
    const nowMs = this.#settings.clock.monotonic()
    const deaths = (this.#deaths.get(version) ?? []).filter((atMs) => nowMs - atMs < windowMs)
    deaths.push(nowMs)
    this.#deaths.set(version, deaths)
    if (deaths.length > maxRestarts) {
      const times = `it has died ${deaths.length} times within ${windowMs} ms and is not started again`
      return this.#hooks.died(version, `${times}; repair it, and start the bot again; the last time ${why}`)
    }
    const pauseMs = Math.min(delayMs * 2 ** (deaths.length - 1), maxDelayMs)
    const planned: Planned = { stop: new AbortController(), died: undefined }
    const cancel = this.#settings.clock.after(pauseMs, () => void this.#startAgain(version, slot, planned))
    planned.stop.signal.addEventListener('abort', cancel, { once: true })
    this.#toStart.set(version, planned)
  }

  async #startAgain(version: string, slot: Slot<never>, planned: Planned): Promise<void> {
    const isWanted = (): boolean => this.#toStart.get(version) === planned
    try {
      await this.#next(version, async () => {
        if (!isWanted()) return
        await this.#start(version, planned.stop.signal)
      })
      if (!isWanted()) return
      // It may die in the tick in which it is ready.
      if (planned.died !== undefined) throw new Error(planned.died)
      this.#toStart.delete(version)
      this.#hooks.revived(version)
      this.#wake()
    } catch (error) {
      if (!isWanted()) return
      this.#toStart.delete(version)
      this.#restart(version, slot, messageOf(error))
    }
  }

  #newsOf({ from, error, wasBegun }: Failed, to: string | undefined, eventId: string | undefined): EventNews {
    const event = `Event ${eventId ?? 'without an id'}`
    const again = wasBegun ? 'is run a second time' : 'goes to another version'
    const message =
      to === undefined
        ? `${event}: ${error.message}. It is not run again.`
        : `${event} ${again}, on "${to}": ${error.message}.`
    const severity = wasBegun ? 'WARNING' : 'INFO'
    const at = this.#settings.clock.now()
    return { what: 'event', from, to, eventId, isRepeat: wasBegun, at, why: error.message, severity, message }
  }
}
