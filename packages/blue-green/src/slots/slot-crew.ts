import { EventEmitter } from 'eventemitter3'
import type { Severity } from '../changes.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { warn } from '../warn.js'
import { failureOf, NotBegunError } from './errors.js'
import {
  isSlot,
  type RestartPolicy,
  type Slot,
  type SlotDeath,
  type SlotDrained,
  type SlotDrainOptions,
} from './slot.js'
import { readMs, requireKnown, workerSlotDefaults } from './worker-options.js'

/** How soon versions that all refuse are asked again, in ms, if none says before that it is up. */
const askAgainMs = 50

/** What {@link SlotCrew} takes. */
export interface SlotCrewOptions<Event, Named extends Record<string, Slot<Event>>> {
  /** The versions by name. */
  readonly slots: Named
  /** Which version serves what no deployment moves: it is started again when it dies. `() => blueGreen.status.active`. */
  readonly active: () => string
  /** The id of an event, the same however often it comes. */
  readonly eventId: (event: Event) => string | undefined
  /**
   * How long after its arrival an event may wait for a version that can take it, in ms; then it is refused. Discord waits for
   * 3,000 ms, and the handler needs some.
   */
  readonly budgetMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The value of each option of {@link SlotCrew} that is not given. */
export const slotCrewDefaults: Readonly<Record<'budgetMs', number>> = { budgetMs: 1_500 }

/** What happened to a version, or to an event of one. */
export interface CrewNews {
  /** What it is about. */
  readonly what: 'version' | 'event'
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** A version died, was started again, or was given up. */
export interface VersionNews extends CrewNews {
  /** The version. */
  readonly version: string
}

/** An event went to another version, or nobody knows what became of it. */
export interface EventNews extends CrewNews {
  /** The version that had it. */
  readonly from: string
  /** The version that has it now; `undefined` when none has. */
  readonly to: string | undefined
  /** Its id. */
  readonly eventId: string | undefined
  /** Whether the first version had begun it, so that this is a second run. */
  readonly isRepeat: boolean
}

/** The events of {@link SlotCrew}. */
export interface SlotCrewEvents {
  /** A version died by itself. Roll back if it is the new one. Told before its events go elsewhere. */
  died: [news: VersionNews]
  /** The active version was started again. */
  restarted: [news: VersionNews]
  /** The active version dies again and again, and is not started any more. */
  gaveUp: [news: VersionNews]
  /** An event went to another version. */
  redelivered: [news: EventNews]
  /** A version died over an event that is not run again. */
  unknown: [news: EventNews]
}

/**
 * Versions in processes, threads or elsewhere, as handlers for `BlueGreen`: what one that dies had not begun goes to another at
 * once, and what it had begun is repeated or reported, by the declared effects.
 *
 * @remarks
 * An event goes to the version that it was routed to, or, while that one is down, to any other that is up. What a version had
 * begun is repeated once at most, for an event may be what kills them. The active version is started again by its own
 * `restarts`; a new one that dies is not.
 *
 * *Gotchas*: `redelivered` and `unknown` tell of every event that did not take the plain way; write them down.
 *
 * @example
 * ```ts
 * import { BlueGreen, memoryState } from '@evenkeel/blue-green'
 * import { childProcessSlot, SlotCrew } from '@evenkeel/blue-green/workers'
 *
 * interface Command {
 *   readonly id: string
 *   readonly guildId: string
 * }
 * const crew = new SlotCrew({
 *   slots: {
 *     v1: childProcessSlot<Command, string>({ entry: 'dist/v1.js', effects: 'keyed' }),
 *     v2: childProcessSlot<Command, string>({ entry: 'dist/v2.js', effects: 'keyed' }),
 *   },
 *   active: () => blueGreen.status.active,
 *   eventId: (command: Command) => command.id,
 * })
 * const blueGreen: BlueGreen<Command> = new BlueGreen<Command>({
 *   versions: crew.versions,
 *   initial: 'v1',
 *   context: ({ id, guildId }) => ({ eventId: id, guildId }),
 *   store: memoryState(),
 * })
 * crew.on('died', ({ version, why }) => {
 *   if (blueGreen.deployment?.to === version) void blueGreen.rollback({ why })
 * })
 * ```
 */
export class SlotCrew<
  Event = unknown,
  Named extends Record<string, Slot<Event>> = Record<string, Slot<Event>>,
> extends EventEmitter<SlotCrewEvents> {
  /** A handler for each version, for `versions` of `BlueGreen`. */
  readonly versions: Readonly<Record<keyof Named & string, (event: Event) => ReturnType<Named[keyof Named]['handle']>>>
  readonly #slots: ReadonlyMap<string, Slot<Event>>
  readonly #active: () => string
  readonly #eventId: (event: Event) => string | undefined
  readonly #budgetMs: number
  readonly #clock: Clock
  /** When each version died, for its crash loop. */
  readonly #deaths = new Map<string, number[]>()
  /** Those who wait for a version that can take an event. */
  readonly #waiting = new Set<() => void>()
  readonly #restarting = new Map<string, () => void>()
  #isStopped = false

  /** @throws TypeError or RangeError that names the option, its value, and what would do */
  constructor(options: SlotCrewOptions<Event, Named>) {
    super()
    requireKnown('SlotCrew', options, ['slots', 'active', 'eventId', 'budgetMs', 'clock'])
    const slots = new Map(Object.entries(options.slots ?? {}))
    for (const [name, slot] of slots) {
      if (!isSlot(slot)) throw new TypeError(`slots: "${name}" is no slot; make one with childProcessSlot, say`)
    }
    if (slots.size === 0) throw new TypeError('slots must be an object of slots, such as { v1: childProcessSlot(...) }')
    for (const name of ['active', 'eventId'] as const) {
      if (typeof options[name] !== 'function') throw new TypeError(`${name} of SlotCrew must be a function`)
    }
    this.#slots = slots
    this.#active = options.active
    this.#eventId = options.eventId
    this.#budgetMs = readMs('budgetMs', options.budgetMs ?? slotCrewDefaults.budgetMs)
    this.#clock = options.clock ?? systemClock
    const handlers = [...slots.keys()].map((name) => [name, (event: Event) => this.#deliver(name, event)])
    this.versions = Object.fromEntries(handlers) as typeof this.versions
    for (const [name, slot] of slots) slot.onDeath((death) => this.#died(name, slot, death))
  }

  /**
   * Starts a version: the active one before events come, the new one before `deploy`.
   *
   * @throws {@link SlotStartError} when it does not become ready
   */
  async stage(version: keyof Named & string, options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    this.#isStopped = false
    this.#deaths.delete(version)
    await this.#slot(version).start(options)
    this.#wake()
  }

  /** Drains a version that has no traffic any more, and stops it. */
  async retire(version: keyof Named & string, options?: SlotDrainOptions): Promise<SlotDrained> {
    const slot = this.#slot(version)
    const drained = await slot.drain(options)
    await slot.stop()
    return drained
  }

  /** Starts the active version. */
  start(): Promise<void> {
    return this.stage(this.#active())
  }

  /** Stops all versions, and starts none again. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const cancel of this.#restarting.values()) cancel()
    this.#restarting.clear()
    await Promise.all([...this.#slots.values()].map((slot) => slot.stop()))
    this.#wake()
  }

  /** The same as {@link SlotCrew.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #slot(version: string): Slot<Event> {
    const slot = this.#slots.get(version)
    if (slot === undefined) throw new RangeError(`"${version}" is none of ${[...this.#slots.keys()].join(', ')}`)
    return slot
  }

  async #deliver(version: string, event: Event): Promise<Awaited<ReturnType<Named[keyof Named]['handle']>>> {
    const eventId = this.#eventId(event)
    const untilMs = this.#clock.monotonic() + this.#budgetMs
    /** Versions that have just refused it, whatever they say of their health. */
    const refused = new Set<string>()
    let isRepeat = false
    let last: { readonly from: string; readonly error: Error; readonly wasBegun: boolean } | undefined
    for (;;) {
      const to = this.#pick(version, refused)
      if (to === undefined) {
        const leftMs = untilMs - this.#clock.monotonic()
        if (leftMs <= 0 || this.#isStopped) throw last?.error ?? new NotBegunError(version, 'no version can take it')
        await this.#change(Math.min(askAgainMs, leftMs))
        refused.clear()
        continue
      }
      if (last !== undefined) this.#tellEvent('redelivered', { ...last, to, eventId })
      try {
        const answer = await this.#slot(to).handle(event, { eventId, isRepeat })
        return answer as Awaited<ReturnType<Named[keyof Named]['handle']>>
      } catch (error) {
        const failure = failureOf(error)
        if (failure === undefined) throw error
        const wasBegun = failure.kind === 'unknown'
        last = { from: to, error: error as Error, wasBegun }
        // A second version that dies over it says that the event is what kills them.
        if (wasBegun && (!failure.mayRepeat || isRepeat)) {
          this.#tellEvent('unknown', { ...last, to: undefined, eventId })
          throw error
        }
        isRepeat ||= wasBegun
        refused.add(to)
      }
    }
  }

  /** The version it was routed to, else one that is up, else one that is about to be. */
  #pick(version: string, refused: ReadonlySet<string>): string | undefined {
    const can = (name: string, ...healths: (string | undefined)[]): boolean =>
      !refused.has(name) && healths.includes(this.#slot(name).health?.() ?? 'up')
    if (can(version, 'up', 'degraded', 'unknown')) return version
    return [...this.#slots.keys()].find((name) => can(name, 'up', 'degraded'))
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#waiting.delete(done)
        resolve()
      }
      const cancel = this.#clock.after(timeoutMs, done)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  // Deaths and restarts

  #died(version: string, slot: Slot<Event>, { why }: SlotDeath): void {
    const severity = this.#active() === version ? 'CRITICAL' : 'WARNING'
    this.#tellVersion('died', { version, why, severity, message: `Version "${version}" died: ${why}.` })
    this.#restart(version, slot, why)
  }

  /** With twice the patience each time, until there were too many deaths. */
  #restart(version: string, slot: Slot<Event>, why: string): void {
    if (this.#isStopped || this.#active() !== version || this.#restarting.has(version)) return
    const policy: RestartPolicy = slot.restarts ?? workerSlotDefaults.restarts
    const nowMs = this.#clock.monotonic()
    const deaths = (this.#deaths.get(version) ?? []).filter((atMs) => nowMs - atMs < policy.windowMs)
    deaths.push(nowMs)
    this.#deaths.set(version, deaths)
    if (deaths.length > policy.maxRestarts) {
      const message = `Version "${version}" has died ${deaths.length} times within ${policy.windowMs} ms and is not started again: ${why}. Repair it, and call stage("${version}").`
      return this.#tellVersion('gaveUp', { version, why, severity: 'CRITICAL', message })
    }
    const delayMs = Math.min(policy.delayMs * 2 ** (deaths.length - 1), policy.maxDelayMs)
    const cancel = this.#clock.after(delayMs, () => void this.#startAgain(version, slot))
    this.#restarting.set(version, cancel)
  }

  async #startAgain(version: string, slot: Slot<Event>): Promise<void> {
    try {
      await slot.start()
      this.#restarting.delete(version)
      const message = `Version "${version}" was started again.`
      this.#tellVersion('restarted', { version, why: 'it had died', severity: 'INFO', message })
      this.#wake()
    } catch (error) {
      // Unless `stop()` was called meanwhile.
      if (this.#restarting.delete(version)) this.#restart(version, slot, (error as Error).message)
    }
  }

  #tellVersion(name: 'died' | 'restarted' | 'gaveUp', news: Omit<VersionNews, 'what' | 'at'>): void {
    this.#tell(name, { what: 'version', at: this.#clock.now(), ...news })
  }

  #tellEvent(
    name: 'redelivered' | 'unknown',
    {
      from,
      to,
      eventId,
      error,
      wasBegun,
    }: Pick<EventNews, 'from' | 'to' | 'eventId'> & { error: Error; wasBegun: boolean },
  ): void {
    const event = `Event ${eventId ?? 'without an id'}`
    const again = wasBegun ? 'is run a second time' : 'goes to another version'
    const message =
      to === undefined
        ? `${event}: ${error.message}. It is not run again.`
        : `${event} ${again}, on "${to}": ${error.message}.`
    const severity = wasBegun ? 'WARNING' : 'INFO'
    const at = this.#clock.now()
    this.#tell(name, {
      what: 'event',
      at,
      why: error.message,
      severity,
      message,
      from,
      to,
      eventId,
      isRepeat: wasBegun,
    })
  }

  #tell(name: keyof SlotCrewEvents, news: VersionNews | EventNews): void {
    try {
      // Of a union of names, the emitter's types cannot work out the arguments.
      ;(this as EventEmitter).emit(name, news)
    } catch (error) {
      warn('EVENKEEL_LISTENER', `A listener of "${name}" threw; those registered after it missed the event`, error)
    }
  }
}
