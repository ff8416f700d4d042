import type { EventEmitter } from 'eventemitter3'
import { Announcer } from './announcer.js'
import { changesBetween, feedChange, overrideChange, type Occasion } from './changes.js'
import type { FlagChange, FlagEvents, FlagExpiry, FlagFailure, RanCall } from './news.js'
import { describeError } from './outcome.js'
import type { OverrideTurn } from './override-book.js'
import type { Clock } from './ports.js'
import type { ChangeCause } from './runtime-state.js'
import { literal } from './setting-problem.js'
import type { Cause, Table } from './table.js'

/** Why something is changed, as those who ask for it say. */
interface GivenReason {
  readonly why: string
  readonly by?: string | undefined
}

/** What news of flags are made with. */
export interface NewsHost {
  readonly emitter: Pick<EventEmitter<FlagEvents>, 'emit' | 'listenerCount'>
  readonly clock: Clock
  /** Names this process among all that share a store. */
  readonly process: string
  /** The number of the state in force. */
  epoch(): number
}

/** Tells what has happened to the flags, once it is in force. */
export class FlagNews {
  readonly #host: NewsHost
  readonly #announcer = new Announcer('FeatureFlags')
  readonly #lastChanges = new Map<string, FlagChange>()
  readonly #tellRan = (call: RanCall): void => this.#announcer.announce([() => this.#host.emitter.emit('ran', call)])
  #feed: 'none' | 'live' | 'stale' = 'none'
  #epochTold = 0

  constructor(host: NewsHost) {
    this.#host = host
  }

  get feed(): 'none' | 'live' | 'stale' {
    return this.#feed
  }

  lastChange(flag: string): FlagChange | undefined {
    return this.#lastChanges.get(flag)
  }

  /** @throws TypeError when it does not say why */
  cause(reason: GivenReason): ChangeCause {
    const { why, by } = (reason ?? {}) as Partial<GivenReason>
    if (typeof why !== 'string' || why.trim() === '') {
      throw new TypeError(`Say why, for those who will wonder: { why: 'moving hosts' }, not ${literal(reason)}`)
    }
    if (by !== undefined && typeof by !== 'string') {
      throw new TypeError(`Who does it, \`by\`, must be a name or an id as a string, not ${literal(by)}`)
    }
    return { why, by, at: this.#host.clock.now(), process: this.#host.process }
  }

  /** Does what changes the table, and tells what is another now. */
  tellSwap(current: () => Table, swap: () => void, killChange?: Cause, cause: Cause = this.#elsewhere()): void {
    const before = current()
    swap()
    this.#report(changesBetween(before, current(), killChange, this.#occasion(cause)))
  }

  /** @param cause - who has done it; somebody elsewhere unless told */
  tellOverride(table: Table, { place, from, to }: OverrideTurn, cause: Cause = this.#elsewhere()): void {
    const flag = table.flags.get(place.flag)
    if (flag === undefined) return
    const target = place.whose === 'users' ? { userId: place.id } : { guildId: place.id }
    this.#report([overrideChange(flag.record, target, from, to?.override.value, this.#occasion(cause))])
  }

  /** Whether what others change is seen. The first time that it is is no news. */
  tellFeed(isLive: boolean, why: string): void {
    const from = this.#feed
    this.#feed = isLive ? 'live' : 'stale'
    if (from === this.#feed || (from === 'none' && isLive)) return
    this.#report([feedChange(isLive, this.#occasion(this.cause({ why })))])
  }

  /** Nobody looks any more. */
  endFeed(): void {
    this.#feed = 'none'
  }

  tellRefused(source: string, error: Error): void {
    const why = describeError(error)
    const message = `${source} is refused, and what it said before stays in force: ${why}`
    const facts = { what: source, at: this.#host.clock.now(), why, message, epoch: this.#epoch(), error }
    this.#announcer.announce([() => this.#host.emitter.emit('refused', { ...facts, severity: 'WARNING' })])
  }

  tellFailed(failure: Omit<FlagFailure, 'epoch'>): void {
    const epoch = this.#epoch()
    this.#announcer.announce([() => this.#host.emitter.emit('failed', { ...failure, epoch })])
  }

  tellExpired(expiry: Omit<FlagExpiry, 'epoch'>): void {
    this.#announcer.announce([() => this.#host.emitter.emit('expired', { ...expiry, epoch: this.#epoch() })])
  }

  /** Whom to tell of each call; `undefined` while nobody listens. */
  get ranTeller(): ((call: RanCall) => void) | undefined {
    return this.#host.emitter.listenerCount('ran') === 0 ? undefined : this.#tellRan
  }

  #occasion(cause: Cause): Occasion {
    return { cause, epoch: this.#epoch() }
  }

  /** That of the state in force. Of what waits for the store not all may come to be; what is told never goes back. */
  #epoch(): number {
    this.#epochTold = Math.max(this.#epochTold, this.#host.epoch())
    return this.#epochTold
  }

  #elsewhere(): Cause {
    return this.cause({ why: 'another process changed it' })
  }

  /** Everything is in force by now, so a listener that looks at a flag sees what it is told. */
  #report(news: readonly FlagChange[]): void {
    for (const change of news) if (change.what !== '*') this.#lastChanges.set(change.what, change)
    this.#announcer.announce(news.map((change) => () => this.#host.emitter.emit('change', change)))
  }
}
