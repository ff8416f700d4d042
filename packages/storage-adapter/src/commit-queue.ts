import type { Mutation } from './backend.js'
import type { Kept } from './storage.js'

/** A commit that waits for the disk. */
export interface WaitingCommit {
  readonly mutations: readonly Mutation[]
  /** The time by which its expiry is judged, in epoch milliseconds. */
  readonly now: number
  readonly resolve: (kept: Kept) => void
  readonly reject: (error: unknown) => void
}

/**
 * Settles each commit of a group, or fails, which rejects every one of them. What needs no waiting gives `undefined`: each
 * wait is a detour for everybody who commits.
 */
export type WriteGroup = (group: readonly WaitingCommit[]) => Promise<void> | undefined

/** A group takes no further commit once its values have so many characters: its lines are put together in memory. */
const MAX_CHARACTERS = 16_000_000

/**
 * Group commit: what is committed while one group is being written forms the next one, and shares its sync.
 *
 * One group is written at a time, in the order in which its commits came.
 */
export class CommitQueue {
  readonly #maxGroup: number
  readonly #maxCharacters: number
  readonly #writeGroup: WriteGroup
  #waiting: WaitingCommit[] = []
  #tasks: (() => Promise<void>)[] = []
  #flushing: Promise<void> | undefined

  /**
   * @param maxGroup - so many commits at most are one group, so that the first of them need not wait for the last
   * @param writeGroup - writes a group
   * @param maxCharacters - a group that holds so much JSON takes no further commit; one commit alone may hold more
   */
  constructor(maxGroup: number, writeGroup: WriteGroup, maxCharacters: number = MAX_CHARACTERS) {
    this.#maxGroup = maxGroup
    this.#maxCharacters = maxCharacters
    this.#writeGroup = writeGroup
  }

  /** How many commits wait for their group to be written. */
  get length(): number {
    return this.#waiting.length
  }

  /** Resolves when nothing is left to be written; `undefined` when nothing is. */
  get flushing(): Promise<void> | undefined {
    return this.#flushing
  }

  /** Takes a commit, and settles when it is durable or refused. */
  add(mutations: readonly Mutation[], now: number): Promise<Kept> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ mutations, now, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Refuses the first `count` of those that wait. */
  reject(count: number, error: unknown): void {
    rejectAll(this.#waiting.splice(0, count), error)
  }

  /** Runs a task between two groups: while it runs, nothing is written. */
  runAlone<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => task().then(resolve, reject))
      this.#flushing ??= this.#flush()
    })
  }

  async #flush(): Promise<void> {
    // Whoever commits in this same turn of the event loop joins the first group.
    await Promise.resolve()
    for (;;) {
      const task = this.#tasks.shift()
      if (task !== undefined) {
        await task()
        continue
      }
      if (this.#waiting.length === 0) break
      const writing = this.#write(this.#takeGroup())
      // Between two groups those of the first are told.
      if (writing !== undefined || this.#waiting.length > 0) await writing
    }
    // In the same turn as the last look at the queue: a commit that comes now must find nobody flushing.
    this.#flushing = undefined
  }

  #takeGroup(): readonly WaitingCommit[] {
    const all = this.#waiting
    if (all.length === 1) {
      this.#waiting = []
      return all
    }
    let count = 0
    let characters = 0
    while (count < all.length && count < this.#maxGroup) {
      characters += charactersOf(all[count]?.mutations ?? [])
      if (count > 0 && characters > this.#maxCharacters) break
      count++
    }
    return all.splice(0, count)
  }

  #write(group: readonly WaitingCommit[]): Promise<void> | undefined {
    try {
      return this.#writeGroup(group)?.catch((error: unknown) => rejectAll(group, error))
    } catch (error) {
      rejectAll(group, error)
      return undefined
    }
  }
}

function rejectAll(group: readonly WaitingCommit[], error: unknown): void {
  for (const { reject } of group) reject(error)
}

function charactersOf(mutations: readonly Mutation[]): number {
  let characters = 0
  for (const mutation of mutations) if (mutation.type === 'put') characters += mutation.json.length
  return characters
}
