import { within } from '../deadline.js'
import type { Clock } from '../ports.js'
import type { FlagProblem } from './decision.js'
import { RolloutStoreError } from './rollout-errors.js'
import type { RolloutStore } from './rollout-ports.js'
import { messageOf } from './validation.js'

/** What an exchange needs. */
export interface ExchangeSettings {
  readonly store: RolloutStore
  /** The keys of the tallies begin with it. */
  readonly prefix: string
  readonly instance: string
  readonly clock: Clock
  readonly timeoutMs: number
  /** A tally that stood unchanged for so long is of a process that is gone. */
  readonly staleMs: number
}

/** How the processes that share a rollout show each other what they have counted. */
export class TallyExchange {
  readonly #settings: ExchangeSettings
  readonly #seen = new Map<string, { version: string; sinceMs: number }>()
  #isShown = false

  constructor(settings: ExchangeSettings) {
    this.#settings = settings
  }

  /** Shows the driver what this process has counted, and what the flag is like here. */
  async show(tally: unknown, flagState: string): Promise<void> {
    const { store, prefix, instance } = this.#settings
    if (store.set === undefined || store.scan === undefined) return
    this.#isShown = true
    await this.#ask('Writing', async () => store.set?.(prefix + instance, { ...Object(tally), flagState }))
  }

  /** What the other processes have counted. Those that are gone are left out, and their tallies removed. */
  async others(): Promise<unknown[]> {
    const { store, prefix, instance, clock, staleMs } = this.#settings
    if (store.scan === undefined) return []
    const found = await this.#ask('Reading', () => this.#scan())
    const nowMs = clock.monotonic()
    const tallies: unknown[] = []
    for (const { key, version, value } of found) {
      if (key === prefix + instance) continue
      const seen = this.#seen.get(key)
      const sinceMs = seen?.version === version ? seen.sinceMs : nowMs
      this.#seen.set(key, { version, sinceMs })
      if (nowMs - sinceMs >= staleMs) {
        this.#seen.delete(key)
        await this.#remove(key)
      } else tallies.push(value)
    }
    return tallies
  }

  /** Takes back what this process has shown. */
  async stop(): Promise<void> {
    if (this.#isShown) await this.#remove(this.#settings.prefix + this.#settings.instance)
    this.#isShown = false
  }

  async #scan(): Promise<{ key: string; version: string; value: unknown }[]> {
    const { store, prefix } = this.#settings
    const found = []
    for await (const each of store.scan?.({ prefix }) ?? []) found.push(each)
    return found
  }

  /** Rubbish that stays for now does no harm. */
  async #remove(key: string): Promise<void> {
    await this.#ask('Removing', async () => this.#settings.store.delete(key)).catch(() => undefined)
  }

  async #ask<T>(what: string, run: () => Promise<T>): Promise<T> {
    const { prefix, clock, timeoutMs } = this.#settings
    try {
      return await within(clock, timeoutMs, 'the store', run)
    } catch (error) {
      throw new RolloutStoreError(`${what} under ${prefix} failed: ${messageOf(error)}`, 'unknown', error)
    }
  }
}

/** What keeps the flag off in one of the processes that have shown their tallies, though it may be on in the others. */
export function heldOffBy(tallies: readonly unknown[]): FlagProblem | undefined {
  const held = tallies
    .map((tally) => Object(tally) as { readonly instance?: unknown; readonly flagState?: unknown })
    .filter(({ flagState }) => typeof flagState === 'string' && flagState !== 'active')
  const fallenBack = held.find(({ flagState }) => flagState === 'fallen-back')
  if (fallenBack !== undefined) {
    const why = `in process ${String(fallenBack.instance)} the flag has fallen back to the old path`
    return { kind: 'FALLEN_BACK', why }
  }
  const [first] = held
  return first && { kind: 'OFF', why: `in process ${String(first.instance)} the flag is ${String(first.flagState)}` }
}
