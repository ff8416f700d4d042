import { isAtLeast } from './alert.js'
import type { TakenIn } from './intake.js'
import type { Silence } from './silences.js'

/** What came in while nothing was running. */
export type EarlyCall =
  | { readonly does: 'occur'; readonly taken: TakenIn; times: number }
  | { readonly does: 'resolve'; readonly key: string; readonly message: string | undefined }
  | { readonly does: 'silence'; readonly silence: Silence }
  | { readonly does: 'unsilence'; readonly id: string }

/** More different ones are not kept: a bot that never starts its alerts must not grow. */
const MAX_CALLS = 1_000

/** Alerts from before the start, or after the stop, in order, equal ones together. */
export class EarlyCalls {
  #calls: EarlyCall[] = []
  readonly #last = new Map<string, EarlyCall & { does: 'occur' }>()
  #lost = 0

  occur(taken: TakenIn): void {
    const same = this.#last.get(taken.key)
    if (same !== undefined && isAtLeast(same.taken.severity, taken.severity)) {
      same.times++
      return
    }
    if (this.#calls.length >= MAX_CALLS) {
      this.#lost++
      return
    }
    const call = { does: 'occur' as const, taken, times: 1 }
    this.#calls.push(call)
    this.#last.set(taken.key, call)
  }

  /** @returns whether it began while nothing was running */
  resolve(key: string, message: string | undefined): boolean {
    const isKnown = this.#last.delete(key)
    // What has begun must end: there is at most one such for each that began.
    if (isKnown || this.#calls.length < MAX_CALLS) this.#calls.push({ does: 'resolve', key, message })
    return isKnown
  }

  get silences(): readonly Silence[] {
    return this.#calls.flatMap((call) => (call.does === 'silence' ? [call.silence] : []))
  }

  silence(silence: Silence): void {
    if (this.#calls.length < MAX_CALLS) this.#calls.push({ does: 'silence', silence })
  }

  /** @returns whether it was asked for while nothing was running */
  unsilence(id: string): boolean {
    const index = this.#calls.findIndex((call) => call.does === 'silence' && call.silence.id === id)
    if (index !== -1) this.#calls.splice(index, 1)
    else if (this.#calls.length < MAX_CALLS) this.#calls.push({ does: 'unsilence', id })
    return index !== -1
  }

  /** Hands them out, and how many there was no room for, and has none any more. */
  take(): { readonly calls: readonly EarlyCall[]; readonly lost: number } {
    const taken = { calls: this.#calls, lost: this.#lost }
    this.#calls = []
    this.#lost = 0
    this.#last.clear()
    return taken
  }
}
