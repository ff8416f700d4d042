import { isAtLeast } from './alert.js'
import type { TakenIn } from './intake.js'
import type { Silence } from './silences.js'

/** What came in while nothing was running. */
export type EarlyCall =
  | { readonly does: 'occur'; readonly taken: TakenIn; times: number }
  | { readonly does: 'resolve'; readonly key: string; readonly message: string | undefined }
  | { readonly does: 'silence'; readonly silence: Silence }

/** More different ones are not kept: a bot that never starts its alerts must not grow. */
const MAX_CALLS = 1_000

/** Alerts from before the start, or after the stop, in order, equal ones together. */
export class EarlyCalls {
  #calls: EarlyCall[] = []
  readonly #last = new Map<string, EarlyCall & { does: 'occur' }>()
  /** How many there was no room for. */
  lost = 0

  occur(taken: TakenIn): void {
    const same = this.#last.get(taken.key)
    if (same !== undefined && isAtLeast(same.taken.severity, taken.severity)) {
      same.times++
      return
    }
    if (this.#calls.length >= MAX_CALLS) {
      this.lost++
      return
    }
    const call = { does: 'occur' as const, taken, times: 1 }
    this.#calls.push(call)
    this.#last.set(taken.key, call)
  }

  /** @returns whether it may have begun: who knows what an earlier process left */
  resolve(key: string, message: string | undefined): boolean {
    const isKnown = this.#last.delete(key)
    if (this.#calls.length < MAX_CALLS) this.#calls.push({ does: 'resolve', key, message })
    return isKnown
  }

  silence(silence: Silence): void {
    if (this.#calls.length < MAX_CALLS) this.#calls.push({ does: 'silence', silence })
  }

  /** Hands them out, and has none any more. */
  take(): readonly EarlyCall[] {
    const calls = this.#calls
    this.#calls = []
    this.#last.clear()
    return calls
  }
}
