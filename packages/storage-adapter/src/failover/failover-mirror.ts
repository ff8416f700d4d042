import type { Mutation } from '../backend.js'
import type { Announce, Severity } from '../events.js'
import { mirrorNews } from './failover-news.js'
import type { FailoverEvents, MirrorState } from './failover-state.js'
import { Mirror, type MirrorParts } from './mirror.js'

/** The local copy as people see it: how complete it is, since when, and why. */
export class FailoverMirror {
  readonly #parts: MirrorParts
  readonly #announce: Announce<FailoverEvents>
  readonly #mirror: Mirror
  #state: Pick<MirrorState, 'status' | 'reason' | 'since'>

  constructor(parts: MirrorParts & { readonly announce: Announce<FailoverEvents> }) {
    this.#parts = parts
    this.#announce = parts.announce
    this.#mirror = new Mirror(parts, () => this.#stand('copying', COPYING, 'INFO'))
    this.#state = { status: 'stale', reason: 'Nothing has been copied yet.', since: parts.now() }
  }

  get state(): MirrorState {
    const { value } = this.#parts.local.coverage
    // Names of our own mean nothing to anybody else.
    const covered = value === 'all' ? 'all' : value.filter((name) => !name.startsWith('$'))
    return { ...this.#state, covered, lagMs: this.#lagMs }
  }

  /** Whether the copy lacks something, as far as is known. */
  get isBehind(): boolean {
    return this.#mirror.isBehind
  }

  begin(): void {
    this.#mirror.begin()
  }

  /** The first comparison is about to begin, which is no news. */
  copying(): void {
    this.#state = { status: 'copying', reason: COPYING, since: this.#parts.now() }
  }

  /** The primary serves again; others may have written to it meanwhile. */
  returned(): void {
    if (!this.#parts.follows || this.#parts.local.cursor === undefined) this.#mirror.invalidate()
  }

  invalidate(): void {
    this.#mirror.invalidate()
  }

  /** This process writes to the primary, and the copy follows at once. */
  note(mutations: readonly Mutation[]): void {
    this.#mirror.note(mutations)
  }

  goStale(reason: string): void {
    this.#mirror.invalidate()
    this.#stand('stale', reason, 'WARNING')
  }

  /**
   * Brings the copy up to date.
   *
   * @returns whether it had been behind, and is complete now
   */
  async update(): Promise<boolean> {
    const { follows } = this.#parts
    if (!this.#mirror.isBehind && !follows) return false
    try {
      await this.#mirror.update()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (this.#mirror.isBehind) this.#stand('stale', `The local copy could not be completed: ${why}`, 'WARNING')
      throw error
    }
    if (this.#mirror.isBehind) return false
    const wasFresh = this.#state.status === 'fresh'
    this.#stand('fresh', 'The local copy follows the primary.', 'INFO')
    return !wasFresh
  }

  get #lagMs(): number | undefined {
    const { followedAt } = this.#mirror
    if (followedAt === undefined) return undefined
    const isCurrent = !this.#parts.follows && this.#state.status === 'fresh'
    return isCurrent ? 0 : Math.max(0, this.#parts.now() - followedAt)
  }

  #stand(status: MirrorState['status'], reason: string, severity: Severity): void {
    const from = this.#state.status
    if (from === status) return
    this.#state = { status, reason, since: this.#parts.now() }
    this.#announce('change', mirrorNews(from, status, reason, severity))
  }
}

const COPYING = 'The local copy is compared with the primary.'
