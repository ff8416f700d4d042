import type { Mutation } from '../backend.js'
import { StorageTimeoutError, UnavailableError } from '../errors.js'
import type { Announce } from '../events.js'
import { conflictNews, divergedNews } from './failover-news.js'
import type { CheckedOptions } from './failover-options.js'
import type { Divergence, FailoverEvents } from './failover-state.js'
import type { Gate } from './gate.js'
import type { KeyQueue } from '../key-queue.js'
import type { LocalStore } from './local-store.js'
import { isEmptied, type Primary } from './primary.js'
import { replayStep, type ReplayParts } from './replay.js'
import { Turns } from './turns.js'
import { VersionSource } from '../versions.js'
import type { OtherPrimary, WriterMark } from './writer-mark.js'

/** So few batches are replayed while writes wait, before the primary serves again. */
const DRAIN = 20

/** A recovery that cannot keep up with the writes takes its pause after so many steps. */
const MAX_STEPS_BEFORE_DRAIN = 100_000

/** So many changes are replayed in a step, which SQLite does in 5 ms without anybody else having a turn. */
const MAX_LIMIT = 512

/** A step that takes longer than this part of the deadline is followed by a smaller one. */
const SLOW = 1 / 4

/** One batch that cannot be divided may take up to so long, in milliseconds, of a primary that is alive. */
const MAX_PATIENCE_MS = 10 * 60_000

/** What a recovery works with. */
export interface RecoveryParts {
  readonly options: CheckedOptions
  readonly primary: Primary
  readonly local: LocalStore
  readonly mark: WriterMark
  readonly gate: Gate
  readonly locks: KeyQueue
  readonly isOpen: () => boolean
  readonly announce: Announce<FailoverEvents>
  readonly onChanged: (changes: readonly Mutation[]) => void
}

/** What a recovery did. */
export interface Recovered {
  readonly replayed: number
  readonly conflicts: number
}

/** Leads back from the fallback to the primary, when that is steady, is the one that was left, and has the journal. */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly #replay: ReplayParts
  #steadyProbes = 0
  /** On the monotonic clock. */
  #leftAt = -Infinity
  #replayed = 0
  #limit = MAX_LIMIT
  /** How long a step may take, where that is more than any other call. */
  #patienceMs: number | undefined
  /** Whether the last step took long, so that the next one should not make writes wait. */
  #isSlow = true
  readonly #turns: Turns
  #diverged: Divergence | undefined

  constructor(parts: RecoveryParts) {
    const { primary, local, mark, locks, options, onChanged } = parts
    const versions = new VersionSource()
    const turns = new Turns(options.clock)
    this.#parts = parts
    this.#turns = turns
    this.#replay = {
      ...{ primary, local, mark, locks, onChanged },
      merges: options.merge,
      writers: options.writers,
      mint: () => versions.next(),
      now: () => options.clock.now(),
      breathe: () => turns.breathe(),
    }
  }

  /** How many batches the current or the last recovery has replayed. */
  get replayed(): number {
    return this.#replayed
  }

  /** Why a person has to decide. */
  get diverged(): Divergence | undefined {
    return this.#diverged
  }

  /** The storage is opened. */
  begin(): void {
    this.#steadyProbes = 0
    this.#leftAt = -Infinity
    this.#diverged = undefined
  }

  /** The storage has just left the primary. */
  left(): void {
    this.#steadyProbes = 0
    this.#leftAt = this.#parts.options.clock.monotonic()
  }

  /** Something went wrong, so the primary is not steady yet. */
  unsettle(): void {
    this.#steadyProbes = 0
  }

  /**
   * Takes one step on the way back.
   *
   * @param become - called when the primary has everything, and nothing is being written
   * @returns what was done, when the primary serves again
   */
  async attempt(become: () => void): Promise<Recovered | undefined> {
    const { primary, mark, local, options } = this.#parts
    try {
      await primary.probe()
    } catch (error) {
      // Nothing has to be steady to see that.
      if (isEmptied(error)) this.diverge({ kind: 'other store', expected: local.storeId ?? '', found: undefined })
      throw error
    }
    this.#steadyProbes++
    const awayMs = options.clock.monotonic() - this.#leftAt
    if (this.#steadyProbes < options.steadyProbes || awayMs < options.cooldownMs) return undefined
    const other = await mark.claim()
    if (other !== undefined) {
      this.diverge(other)
      return undefined
    }
    this.#diverged = undefined
    return this.#recover(become)
  }

  /** A person has to look at the primary. Told once. */
  diverge(other: OtherPrimary): void {
    const { announce, options } = this.#parts
    const { kind, found } = other
    if (this.#diverged?.kind === kind && this.#diverged.found === found) return
    this.#diverged = { ...other, since: options.clock.now() }
    announce('diverged', divergedNews(other))
  }

  /** A person has looked, and takes the primary as it is. */
  accept(): void {
    this.#diverged = undefined
  }

  /** Replays the journal, the end of it while writes wait, and serves from the primary again. */
  async #recover(become: () => void): Promise<Recovered | undefined> {
    const { local, gate, isOpen, options } = this.#parts
    const conflictsBefore = local.conflictCount
    this.#replayed = 0
    this.#isSlow = true
    this.#turns.begin()
    for (let isBack = false; !isBack;) {
      for (let step = 0; local.journalLength > (this.#isSlow ? 0 : DRAIN) && step < MAX_STEPS_BEFORE_DRAIN; step++) {
        if (!isOpen()) return undefined
        await this.#step()
      }
      if (!isOpen()) return undefined
      // The primary tells what it has in any case, so a disk that fails must not keep us away from it.
      await local.writeForgotten(options.clock.now()).catch(() => undefined)
      await gate.exclusive(async () => {
        // One step is nearly always all. What is left behind a conflict is not worth that writes wait for it.
        if (local.journalLength > 0) await this.#step()
        isBack = local.journalLength === 0
        if (isBack) become()
      })
    }
    return { replayed: this.#replayed, conflicts: local.conflictCount - conflictsBefore }
  }

  async #step(): Promise<void> {
    const { options, announce } = this.#parts
    const { clock, timeoutMs } = options
    const startedMs = clock.monotonic()
    try {
      const bounds = { limit: this.#limit, timeoutMs: this.#patienceMs }
      const { replayed, conflicts } = await replayStep(this.#replay, bounds)
      this.#replayed += replayed
      for (const conflict of conflicts) announce('conflict', conflictNews(conflict))
    } catch (error) {
      this.#isSlow = true
      // It was too much for the deadline. It can be less, unless it is one batch: then the deadline has to be more.
      if (error instanceof StorageTimeoutError) {
        this.#patienceMs = Math.min(MAX_PATIENCE_MS, 2 * (this.#patienceMs ?? timeoutMs))
      }
      const isLate = error instanceof StorageTimeoutError || error instanceof UnavailableError
      if (isLate) this.#limit = Math.max(1, Math.floor(this.#limit / 4))
      throw error
    }
    this.#isSlow = clock.monotonic() - startedMs > timeoutMs * SLOW
    if (!this.#isSlow) this.#patienceMs = undefined
    this.#limit = this.#isSlow ? Math.max(1, Math.floor(this.#limit / 2)) : Math.min(MAX_LIMIT, this.#limit * 2)
    await this.#turns.breathe()
  }
}
