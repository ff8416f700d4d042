import type { EventClaims } from './event-claims.js'

/** An event that began here without a claim. */
interface Begun {
  readonly eventId: string
  /** Whether a second run does no harm. */
  readonly isHarmless: boolean
  isRunning: boolean
}

/** What becomes of them. */
export interface UnclaimedHooks {
  /** One that ran here was claimed `by` another process before. */
  repeated(eventId: string, by: string, attempt: number, isHarmless: boolean): void
  /** One never gets a claim. */
  forgotten(eventId: string): void
}

/** So many are remembered; of more, the oldest is forgotten, and told. */
const maxUnclaimed = 10_000
/** How many are claimed at the same time. */
const maxAtOnce = 16

/** The events that the owner ran without a claim, as the store was out, until they have one. */
export class Unclaimed {
  readonly #id: string
  readonly #claims: EventClaims
  readonly #hooks: UnclaimedHooks
  /** Oldest first. */
  readonly #begun = new Set<Begun>()
  /** While they get their claims. */
  #catchingUp: Promise<void> | undefined

  /** @param id - this process, by which the claims are */
  constructor(id: string, claims: EventClaims, hooks: UnclaimedHooks) {
    this.#id = id
    this.#claims = claims
    this.#hooks = hooks
  }

  /** One more has begun; `call` settles when it has ended. */
  note(eventId: string, call: Promise<unknown>, isHarmless: boolean): void {
    const begun: Begun = { eventId, isHarmless, isRunning: true }
    const ended = (): void => {
      begun.isRunning = false
    }
    call.then(ended, ended)
    this.#begun.add(begun)
    const [oldest] = this.#begun
    if (this.#begun.size > maxUnclaimed && oldest !== undefined) this.#forgetOne(oldest)
  }

  /**
   * Each gets a claim, as far as the store answers, so that it runs nowhere else. Where another process was first, that is told. The newest
   * first: another process may get its copy of those just now, and claims it after `keepMs`.
   */
  catchUp(): Promise<void> {
    return (this.#catchingUp ??= this.#claimAll().finally(() => (this.#catchingUp = undefined)))
  }

  /** There will be no claims any more; one that is being written may be there all the same. */
  forget(): void {
    for (const begun of this.#begun) this.#forgetOne(begun)
  }

  async #claimAll(): Promise<void> {
    let hasAnswered = true
    while (this.#begun.size > 0 && hasAnswered) {
      const newest = [...this.#begun].slice(-maxAtOnce).reverse()
      hasAnswered = !(await Promise.all(newest.map((begun) => this.#claim(begun)))).includes(false)
    }
  }

  /** @returns whether the store has answered */
  async #claim(begun: Begun): Promise<boolean> {
    const { eventId, isHarmless, isRunning } = begun
    const theirs = await this.#claims.catchUp(eventId, !isRunning)
    if (theirs?.kind === 'unreachable') return false
    // Otherwise it was forgotten meanwhile, and told.
    if (!this.#begun.delete(begun)) return true
    const { by, attempt } = theirs?.claim ?? { by: this.#id, attempt: 0 }
    if (by !== this.#id) this.#hooks.repeated(eventId, by, attempt + 1, isHarmless)
    // It ended before there was a claim to finish, as far as the store said.
    else if (!begun.isRunning && (isRunning || theirs !== undefined)) void this.#claims.finish(eventId, undefined)
    return true
  }

  #forgetOne(begun: Begun): void {
    this.#begun.delete(begun)
    this.#hooks.forgotten(begun.eventId)
  }
}
