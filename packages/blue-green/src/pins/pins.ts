import { defined, readCount, readDuration, requireKnown } from '../checked-options.js'
import type { Clock } from '../ports.js'
import { PinnedElsewhereError } from './errors.js'

/**
 * What keeps a flow where it began: a `collector` of discord.js, a `followUp` of an answer, a `wizard` of several steps, or a connection for
 * `voice`.
 */
export type PinKind = 'collector' | 'followUp' | 'wizard' | 'voice'

/** How a flow is pinned. */
export interface PinOptions {
  /** What kind of flow it is, for the status; `wizard` unless given. `voice` stays, and has no `maxMs` unless you give one. */
  readonly kind?: PinKind | undefined
  /**
   * How long the pin holds at most, in ms; 900,000 unless given, which is how long Discord takes answers to a command.
   */
  readonly maxMs?: number | undefined
  /**
   * Whether the flow stays also when its version is rolled back, and when it has been drained for `drainMs`: until it is released.
   * Its version is not given up before that; once it is being ended, nothing can be pinned to it any more. Voice stays unless you say `false`.
   */
  readonly stays?: boolean | undefined
}

/** A flow that stays where it began, until one of both ends it. */
export interface Pin extends Disposable {
  /** What events of the flow have in common. */
  readonly key: string
  /** The version that has it. */
  readonly version: string
  /** What kind of flow it is. */
  readonly kind: PinKind
  /** `moved`: its events go where all others go, as the version was rolled back, drained or died, or was being ended when it was pinned, or there were more than `maxPins`. `expired`: so do they after `maxMs`. */
  readonly state: 'held' | 'released' | 'moved' | 'expired'
  /** Aborts when it is moved or expires, so that the flow can end itself. */
  readonly signal: AbortSignal
  /** The flow is over. May be called twice. */
  release(): void
}

/** The pins of one version. */
export interface PinCounts extends Readonly<Record<PinKind, number>> {
  /** Of all kinds, now. */
  readonly held: number
  /** Those that were moved: by a rollback, a drain that took too long, a death, or `maxPins`. */
  readonly moved: number
  /** Those that nobody released within `maxMs`. */
  readonly expired: number
}

const kinds = ['collector', 'followUp', 'wizard', 'voice'] as const satisfies readonly PinKind[]
const defaultMaxMs = 900_000

/** What the registry is made of. */
export interface PinsSettings {
  readonly clock: Clock
  /** More pins than this end the oldest that does not stay. */
  readonly maxPins: number
}

/** Who holds a key, and how many times: a flow may begin another one with the same key. */
interface Held {
  readonly version: string
  readonly pins: Set<HeldPin>
}

/**
 * Which flows stay on which version.
 *
 * @remarks
 * While there is none, routing need not ask: `size` is 0. A version is never given up while a pin that stays is on it.
 */
export class Pins {
  readonly #clock: Clock
  readonly #maxPins: number
  readonly #keys = new Map<string, Held>()
  /** In the order in which they were made. */
  readonly #all = new Set<HeldPin>()
  /** Versions on which nothing begins any more: a call that still runs there may pin a flow late. */
  readonly #left = new Set<string>()
  /** Those of them on which nothing can stay either. */
  readonly #ended = new Set<string>()
  readonly #ends = new Map<string, { moved: number; expired: number }>()
  /** What waits for a version that has no pin any more, or none that could move. */
  readonly #waits = new Set<{ readonly version: string; readonly stays: boolean; readonly run: () => void }>()

  constructor({ clock, maxPins }: PinsSettings) {
    this.#clock = clock
    this.#maxPins = readCount('maxPins', maxPins, 1)
  }

  /** What is pinned. */
  get keys(): readonly string[] {
    return [...this.#keys.keys()]
  }

  has(key: string): boolean {
    return this.#keys.has(key)
  }

  /** How many keys are pinned. */
  get size(): number {
    return this.#keys.size
  }

  /** Where events of a flow go; `undefined` when they go where all others go. */
  versionOf(key: string): string | undefined {
    return this.#keys.get(key)?.version
  }

  /** What is pinned where. Only versions that have or had a pin are in it. */
  get counts(): ReadonlyMap<string, PinCounts> {
    const versions = new Set([...this.#ends.keys(), ...[...this.#all].map(({ version }) => version)])
    return new Map([...versions].map((version) => [version, this.countsOf(version)]))
  }

  countsOf(version: string): PinCounts {
    const { moved, expired } = this.#ends.get(version) ?? { moved: 0, expired: 0 }
    const counts = { held: 0, collector: 0, followUp: 0, wizard: 0, voice: 0, moved, expired }
    for (const pin of this.#all) {
      if (pin.version !== version) continue
      counts.held += 1
      counts[pin.kind] += 1
    }
    return counts
  }

  /**
   * Keeps a flow on the version where it began.
   *
   * @throws {@link PinnedElsewhereError} when the key is pinned to another version
   * @throws TypeError or RangeError when the key or an option is wrong
   */
  pin(version: string, key: string, options: PinOptions = {}): Pin {
    requireKnown('pin', options, ['kind', 'maxMs', 'stays'])
    if (typeof key !== 'string' || key === '')
      throw new TypeError('the key of a pin must be a string with something in it')
    const { kind = 'wizard', maxMs, stays = kind === 'voice' } = defined(options)
    if (!kinds.includes(kind)) throw new RangeError(`kind of a pin must be ${kinds.join(', ')}, not ${String(kind)}`)
    if (typeof stays !== 'boolean') throw new TypeError(`stays of a pin must be true or false, not ${String(stays)}`)
    const endsMs = maxMs === undefined && kind === 'voice' ? undefined : readDuration('maxMs', maxMs ?? defaultMaxMs)
    const held = this.#keys.get(key)
    if (held !== undefined && held.version !== version) throw new PinnedElsewhereError(key, version, held.version)
    const pin: HeldPin = new HeldPin(key, version, kind, stays, () => this.#forget(pin))
    if (this.#ended.has(version) || (!stays && this.#left.has(version))) {
      this.#end(pin, 'moved')
      return pin
    }
    if (this.#all.size >= this.#maxPins && !this.#makeRoom()) {
      this.#end(pin, 'moved')
      return pin
    }
    if (endsMs !== undefined) pin.cancel = this.#clock.after(endsMs, () => this.#end(pin, 'expired'))
    this.#all.add(pin)
    const there = this.#keys.get(key)
    if (there === undefined) this.#keys.set(key, { version, pins: new Set([pin]) })
    else there.pins.add(pin)
    return pin
  }

  /**
   * What can be moved goes where all others go, now and until `keep`: the version was rolled back, or had its time to drain.
   * Returns how many.
   */
  move(version: string): number {
    this.#left.add(version)
    return this.#endAll(version, (pin) => !pin.stays)
  }

  /** Another process has the flow. */
  lose(key: string): void {
    for (const pin of this.#keys.get(key)?.pins ?? []) this.#end(pin, 'moved')
  }

  /** Nothing can stay on a version that is dead. Returns how many were moved. */
  died(version: string): number {
    return this.#endAll(version, () => true)
  }

  /** The version was free and is being ended: what a call that still runs there pins goes where all others go, until `keep`. */
  ended(version: string): void {
    this.#ended.add(version)
  }

  /**
   * Resolves when no pin that could move is left on a version, at the latest after `timeoutMs`; then the rest is moved. When the signal
   * is aborted, the version is wanted again, and nothing is moved.
   */
  async drained(version: string, timeoutMs: number, signal: AbortSignal): Promise<number> {
    if (signal.aborted) return 0
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        this.#waits.delete(wait)
        resolve()
      }
      const wait = this.#await(version, false, end)
      const cancel = this.#clock.after(timeoutMs, end)
      signal.addEventListener('abort', end)
      this.#settle(version)
    })
    return signal.aborted ? 0 : this.move(version)
  }

  /** The version may be given up: moves what can be moved, and runs it when no pin is left, which may be at once. */
  whenFree(version: string, run: () => void): void {
    this.keep(version)
    this.move(version)
    this.#await(version, true, run)
    this.#settle(version)
  }

  /** The version is wanted again: what was to run when it is free does not. */
  keep(version: string): void {
    this.#left.delete(version)
    this.#ended.delete(version)
    for (const wait of this.#waits) if (wait.version === version && wait.stays) this.#waits.delete(wait)
  }

  #await(version: string, stays: boolean, run: () => void): { version: string; stays: boolean; run: () => void } {
    const wait = { version, stays, run }
    this.#waits.add(wait)
    return wait
  }

  #endAll(version: string, isMeant: (pin: HeldPin) => boolean): number {
    const meant = [...this.#all].filter((pin) => pin.version === version && isMeant(pin))
    for (const pin of meant) this.#end(pin, 'moved')
    return meant.length
  }

  #end(pin: HeldPin, how: 'moved' | 'expired'): void {
    const ends = this.#ends.get(pin.version) ?? { moved: 0, expired: 0 }
    this.#ends.set(pin.version, ends)
    ends[how] += 1
    // Its events go elsewhere before anyone hears of it.
    this.#forget(pin)
    pin.end(how)
  }

  #forget(pin: HeldPin): void {
    const { key, version } = pin
    if (!this.#all.delete(pin)) return
    pin.cancel?.()
    const held = this.#keys.get(key)
    held?.pins.delete(pin)
    if (held?.pins.size === 0) this.#keys.delete(key)
    this.#settle(version)
  }

  #settle(version: string): void {
    if (this.#waits.size === 0) return
    const left = [...this.#all].filter((pin) => pin.version === version)
    for (const wait of this.#waits) {
      if (wait.version !== version || left.some(({ stays }) => wait.stays || !stays)) continue
      this.#waits.delete(wait)
      wait.run()
    }
  }

  #makeRoom(): boolean {
    for (const pin of this.#all) {
      if (pin.stays) continue
      this.#end(pin, 'moved')
      return true
    }
    return false
  }
}

class HeldPin implements Pin {
  readonly key: string
  readonly version: string
  readonly kind: PinKind
  readonly stays: boolean
  cancel: (() => void) | undefined
  readonly #released: () => void
  #state: Pin['state'] = 'held'
  #stop: AbortController | undefined

  constructor(key: string, version: string, kind: PinKind, stays: boolean, released: () => void) {
    this.key = key
    this.version = version
    this.kind = kind
    this.stays = stays
    this.#released = released
  }

  get state(): Pin['state'] {
    return this.#state
  }

  get signal(): AbortSignal {
    this.#stop ??= new AbortController()
    if (this.#state === 'moved' || this.#state === 'expired') this.end(this.#state)
    return this.#stop.signal
  }

  release(): void {
    if (this.#state !== 'held') return
    this.#state = 'released'
    this.#released()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  end(how: 'moved' | 'expired'): void {
    this.#state = how
    this.#stop?.abort(
      new DOMException(
        `The pin of "${this.key}" on version "${this.version}" has ${how === 'moved' ? 'been moved' : how}`,
        'AbortError',
      ),
    )
  }
}
