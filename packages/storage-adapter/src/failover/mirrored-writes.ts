import type { Mutation } from '../backend.js'
import type { Doubt } from './local-doubts.js'
import type { BeforeClear, LocalStore } from './local-store.js'
import { isRecordMutation } from './record-mutation.js'
import { mayBeApplied } from './primary.js'
import type { WriterMark } from './writer-mark.js'

/** What writes to the primary and to its copy work with. */
export interface MirroredWritesParts {
  readonly local: LocalStore
  readonly mark: WriterMark
  readonly now: () => number
  /** The copy is about to follow these changes. */
  readonly onFollow: (mutations: readonly Mutation[]) => void
  /** The copy may lack what these changes did. */
  readonly onStale: (mutations: readonly Mutation[], reason: string) => Promise<void>
}

/** What was noted before a write, to be crossed out when its outcome is known. */
interface Intent {
  readonly doubts: readonly Doubt[]
  /** What was known before a clear; `undefined` when there is none. */
  readonly before: BeforeClear | undefined
}

/**
 * Writes to the primary and then to the local copy, so that no crash, and no lost answer, leaves a difference between
 * the two that a later replay would take for the work of somebody else.
 */
export class MirroredWrites {
  readonly #parts: MirroredWritesParts

  constructor(parts: MirroredWritesParts) {
    this.#parts = parts
  }

  /** Resolves when the primary has the batch, whether the copy could be written or not. */
  async commit(mutations: readonly Mutation[]): Promise<void> {
    const intent = await this.#intend(mutations)
    try {
      await this.#parts.mark.commit(mutations)
    } catch (error) {
      if (mayBeApplied(error)) await this.#doubt(mutations)
      else await this.#follow(intent, [])
      throw error
    }
    await this.#follow(intent, mutations)
  }

  /**
   * Notes what is about to be removed, in case this process does not live to see the outcome: what is absent has no
   * version that would tell who removed it.
   */
  async #intend(mutations: readonly Mutation[]): Promise<Intent> {
    const { local, now } = this.#parts
    const cleared = mutations.filter(({ type }) => type === 'clear').map(({ collection }) => collection)
    const removed = mutations.filter((mutation) => mutation.type === 'delete')
    const intent = await this.#withCopy(mutations, async () => {
      const before = cleared.length > 0 ? await local.beginClear(cleared, now()) : undefined
      return { doubts: await local.doubt(removed, now()), before }
    })
    return intent ?? { doubts: [], before: undefined }
  }

  /** The outcome is known: the copy takes it, and the intent ends. */
  async #follow({ doubts, before }: Intent, mutations: readonly Mutation[]): Promise<void> {
    const { local, now, onFollow } = this.#parts
    onFollow(mutations)
    await this.#withCopy(mutations, async () => {
      await local.follow(mutations, doubts, now())
      if (before !== undefined) await local.endClear(before, mutations.length > 0, now())
    })
  }

  /** The outcome is not known. What a `clear` may have removed stays uncovered until it is copied again. */
  async #doubt(mutations: readonly Mutation[]): Promise<void> {
    const { local, now, onStale } = this.#parts
    await this.#withCopy(mutations, () => local.doubt(mutations.filter(isRecordMutation), now()))
    const cleared = mutations.filter(({ type }) => type === 'clear')
    if (cleared.length > 0) await onStale(cleared, 'A clear may have been applied.')
  }

  /** A copy that fails is stale, which is no reason for the write to fail. */
  async #withCopy<T>(mutations: readonly Mutation[], task: () => Promise<T>): Promise<T | undefined> {
    try {
      return await task()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      await this.#parts.onStale(mutations, `The local copy cannot be written: ${why}`)
      return undefined
    }
  }
}
