import { Claims } from '../../claims.js'
import type { Clock } from '../../ports.js'
import { EventClaims, type Claimed } from '../../restart/event-claims.js'
import type { EventWork } from '../../restart/options.js'
import type { SharedStore } from '../../restart/ports.js'
import type { Effects } from '../../slots/worker-options.js'
import { warn } from '../../warn.js'
import type { GatewayDispatch } from '../context-of.js'

/** More ids than this are not remembered. */
const maxSeen = 10_000

/** What a desk is made of. */
export interface SessionDeskSettings {
  readonly store: SharedStore
  readonly name: string
  readonly id: string
  readonly clock: Clock
  readonly claimMs: number
  readonly heartbeatMs: number
  readonly storeTimeoutMs: number
  readonly handle: (dispatch: GatewayDispatch, work: EventWork) => unknown
  readonly onError: (error: unknown, dispatch: GatewayDispatch) => void
  readonly effectsOf: (dispatch: GatewayDispatch) => Effects
}

/** Where this process stands. */
export interface SessionStanding {
  /** Whether it may begin an event; asks the store where its own lease has run out. */
  mayBegin(): Promise<boolean>
  /** Whether it may run one that it has claimed, also when it begins no other. */
  mayRun(): Promise<boolean>
  /** Whether it may begin one without a claim, as the store is out of reach. */
  mayServeUnclaimed(): boolean
  /** Whether a process can still finish what it has claimed. */
  isThere(id: string): boolean
}

/** What a desk tells. */
export interface SessionDeskHooks {
  repeated(eventId: string, attempt: number, isHarmless: boolean): void
  unfinished(eventId: string, attempt: number): void
}

/** How many events went which way. */
export interface SessionDeskCounts {
  /** Handlers that run now. */
  running: number
  /** Events that were handled before, here or by an earlier process, and came again. */
  duplicates: number
  /** Events of a process that died with them, run once more here. */
  repeated: number
  /** Events handled without a claim, as the store was out of reach. */
  unclaimed: number
}

/** What becomes of each event that comes: it runs here, or another process has done it, or does it still. */
export class SessionDesk {
  readonly #settings: SessionDeskSettings
  readonly #standing: SessionStanding
  readonly #hooks: SessionDeskHooks
  readonly #claims: EventClaims
  readonly #seen: Claims
  /** What is being done with an event that has an id. */
  readonly #underWay = new Map<string, Promise<boolean>>()
  readonly #running = new Set<Promise<unknown>>()
  readonly counts: SessionDeskCounts = { running: 0, duplicates: 0, repeated: 0, unclaimed: 0 }

  constructor(settings: SessionDeskSettings, standing: SessionStanding, hooks: SessionDeskHooks) {
    this.#settings = settings
    this.#standing = standing
    this.#hooks = hooks
    const { store, name, id, clock, claimMs, storeTimeoutMs } = settings
    this.#claims = new EventClaims({ store, prefix: `session-claim:${name}:`, id, clock, claimMs, storeTimeoutMs })
    this.#seen = new Claims(clock, claimMs, maxSeen)
  }

  /** Everything that is under way here; settles when it is over. */
  get underWay(): readonly Promise<unknown>[] {
    return [...this.#underWay.values(), ...this.#running]
  }

  /**
   * Never rejects.
   *
   * @returns `true` when the event is done, here or elsewhere; `false` when it is the next process's
   */
  take(eventId: string | undefined, dispatch: GatewayDispatch): Promise<boolean> {
    if (eventId === undefined) return this.#takeUnnamed(dispatch)
    const claim = this.#seen.take(eventId)
    if (claim === undefined) {
      this.counts.duplicates += 1
      return this.#underWay.get(eventId) ?? Promise.resolve(true)
    }
    const outcome = this.#settle(eventId, dispatch)
    this.#underWay.set(eventId, outcome)
    void outcome.then((isDone) => {
      this.#underWay.delete(eventId)
      // It comes again if this process has the session once more, and is no duplicate then.
      if (!isDone) this.#seen.release(claim)
    })
    return outcome
  }

  async #takeUnnamed(dispatch: GatewayDispatch): Promise<boolean> {
    if (!(await this.#standing.mayBegin())) return false
    await this.#run(dispatch, { eventId: undefined, attempt: 1 })
    return true
  }

  async #settle(eventId: string, dispatch: GatewayDispatch): Promise<boolean> {
    const { clock, heartbeatMs } = this.#settings
    for (let look = 0; await this.#standing.mayBegin(); look++) {
      const claimed = look === 0 ? await this.#claims.take(eventId, 0) : await this.#lookAgain(eventId)
      if (await this.#follow(eventId, dispatch, claimed)) return true
      await new Promise<void>((resolve) => clock.after(heartbeatMs / 5, resolve))
    }
    return false
  }

  /** A claim of this process that the store had not confirmed is as good as any, for nobody has begun the event. */
  async #lookAgain(eventId: string): Promise<Claimed> {
    const found = await this.#claims.look(eventId)
    if (found?.kind !== 'theirs' || found.claim.by !== this.#settings.id || found.claim.done) {
      return found ?? this.#claims.take(eventId, 0)
    }
    return { kind: 'mine', attempt: found.claim.attempt, version: found.version }
  }

  /** @returns whether it is done; otherwise it is to be looked at again */
  async #follow(eventId: string, dispatch: GatewayDispatch, claimed: Claimed): Promise<boolean> {
    switch (claimed.kind) {
      case 'mine':
        return this.#runClaimed(eventId, dispatch, claimed)
      case 'unreachable':
        if (!this.#standing.mayServeUnclaimed()) return false
        this.counts.unclaimed += 1
        await this.#run(dispatch, { eventId, attempt: 1 })
        await this.#claims.finish(eventId, undefined)
        return true
      case 'theirs': {
        if (!claimed.claim.done)
          return this.#standing.isThere(claimed.claim.by) ? false : this.#takeUp(eventId, dispatch, claimed)
        this.counts.duplicates += 1
        return true
      }
    }
  }

  async #runClaimed(
    eventId: string,
    dispatch: GatewayDispatch,
    { attempt, version }: { readonly attempt: number; readonly version: string },
  ): Promise<boolean> {
    // The claim may have taken longer than the lease: then another process has gone on.
    if (!(await this.#standing.mayRun())) return false
    if (attempt > 1) {
      this.counts.repeated += 1
      this.#hooks.repeated(eventId, attempt, this.#effectsOf(eventId, dispatch) !== 'atLeastOnce')
    }
    await this.#run(dispatch, { eventId, attempt })
    await this.#claims.finish(eventId, version)
    return true
  }

  /** Whoever had claimed it is gone: nobody knows how far it came. */
  async #takeUp(
    eventId: string,
    dispatch: GatewayDispatch,
    theirs: Extract<Claimed, { kind: 'theirs' }>,
  ): Promise<boolean> {
    if (this.#effectsOf(eventId, dispatch) === 'atMostOnce') {
      this.#hooks.unfinished(eventId, theirs.claim.attempt)
      return true
    }
    const { claim, version } = theirs
    const claimed = await this.#claims.takeFrom(eventId, version, claim.attempt + 1, 0)
    return claimed.kind === 'mine' && this.#runClaimed(eventId, dispatch, claimed)
  }

  /** Settles when the handler has; what it threw is told. */
  async #run(dispatch: GatewayDispatch, work: EventWork): Promise<void> {
    const { handle, onError } = this.#settings
    const call = new Promise((resolve) => resolve(handle(dispatch, work)))
    this.#running.add(call)
    this.counts.running += 1
    try {
      await call
    } catch (error) {
      tell(onError, error, dispatch)
    } finally {
      this.#running.delete(call)
      this.counts.running -= 1
    }
  }

  #effectsOf(eventId: string, dispatch: GatewayDispatch): Effects {
    try {
      return this.#settings.effectsOf(dispatch)
    } catch (error) {
      warn('EVENKEEL_EFFECTS', `effects threw for event ${eventId}, so it is not run once more`, error)
      return 'atMostOnce'
    }
  }
}

function tell(onError: SessionDeskSettings['onError'], error: unknown, dispatch: GatewayDispatch): void {
  try {
    onError(error, dispatch)
  } catch (thrown) {
    warn('EVENKEEL_ON_ERROR', `onError threw for event ${dispatch.t}`, thrown)
  }
}
