import type { HealthStatus } from '../ports.js'
import { NotBegunError } from '../slots/errors.js'
import type { MemoryReading, Slot, SlotDeath } from '../slots/slot.js'

/** How a slot starts: at once, not at all, never deaf to its signal, or never and deaf. */
type Start = 'starts' | 'fails' | 'hangs' | 'is deaf'

/** An event as these tests send it. */
export interface Call {
  readonly id?: string
  readonly guildId?: string
  readonly run?: (version: string) => unknown
}

/** A version that lives and dies when a test says so, for what depends on the moment: real workers are in `versions.test.ts`. */
export class SlotOnStrings implements Slot<Call, unknown> {
  readonly restarts = { maxRestarts: 1_000, windowMs: 60_000, delayMs: 100, maxDelayMs: 100 }
  readonly #name: string
  readonly #listeners = new Set<(death: SlotDeath) => void>()
  starting: Start = 'starts'
  /** It starts no sooner. */
  ready: Promise<void> = Promise.resolve()
  /** Called in the tick in which it has started. */
  started: () => void = () => undefined
  uses: (reading: MemoryReading) => void = () => undefined
  starts = 0
  stops = 0
  #isUp = false

  constructor(name: string) {
    this.#name = name
  }

  async start({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.starts += 1
    await this.ready
    if (this.starting === 'fails') throw new Error(`${this.#name} cannot start`)
    if (this.starting === 'hangs') {
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    }
    if (this.starting === 'is deaf') await new Promise(() => undefined)
    this.#isUp = true
    this.started()
  }

  async handle({ run }: Call): Promise<unknown> {
    if (!this.#isUp) throw new NotBegunError(this.#name, 'it is down')
    return run === undefined ? this.#name : run(this.#name)
  }

  health(): HealthStatus {
    return this.#isUp ? 'up' : 'down'
  }

  onDeath(listener: (death: SlotDeath) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onMemory(listener: (reading: MemoryReading) => void): () => void {
    this.uses = listener
    return () => undefined
  }

  async drain(): Promise<{ drained: boolean; running: number }> {
    return { drained: true, running: 0 }
  }

  async stop(): Promise<void> {
    this.stops += 1
    this.#isUp = false
  }

  /** @param next - how it starts from now on */
  dies(next: Start = 'starts'): void {
    this.starting = next
    this.#isUp = false
    for (const tell of this.#listeners) tell({ why: 'it was pulled', at: 0, notBegun: 0, begun: 0 })
  }
}
