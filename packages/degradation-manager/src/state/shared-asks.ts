import type { Clock } from '../ports.js'
import type { Ask } from '../transitions.js'
import { readAsks, writeAsks, type AskRecord, type AskRecords } from './records.js'
import type { StoreLink } from './store-link.js'

/** How often a process that asks for something shows that it lives. */
const beatMs = 5_000
/** Who has shown no sign for so long is gone, and what it asked for with it. */
const goneMs = 4 * beatMs
const maxRaces = 50

/** How to share what is asked for. */
export interface SharedAsksSettings {
  readonly key: string
  readonly clock: Clock
  readonly modes: readonly string[]
  readonly link: StoreLink
  /** Nothing is written. */
  readonly dryRun: boolean
  /** What the other processes ask for. */
  readonly follow: (asks: readonly Ask[]) => void
}

/**
 * What shared rules ask for, as all processes of a store know it: each writes what its own ask for, and shows again and
 * again that it lives. Whether another one does is judged by this process's own monotonic clock.
 */
export class SharedAsks {
  readonly #settings: SharedAsksSettings
  readonly #process: string = globalThis.crypto.randomUUID()
  #own: Ask | undefined
  #beats = 0
  /** Whether the store knows what this process asks for. */
  isStored = true
  #wroteMs = 0
  /** Since when each process has shown no other sign, monotonic ms. */
  #signs = new Map<string, { readonly beat: number; readonly sinceMs: number }>()
  #askedMs = -Infinity

  constructor(settings: SharedAsksSettings) {
    this.#settings = settings
  }

  /** What this process asks of the others from now on; undefined: nothing. Stored by the next look. */
  ask(own: Ask | undefined): void {
    const isSame = own?.mode === this.#own?.mode
    // Why may be another one with each sample; it is written with the next sign of life.
    this.#own = own
    if (isSame) return
    this.isStored = false
    this.#settings.link.lookSoon()
  }

  /** Writes what this process asks for, if that is due, and reads what the others do. */
  async look(): Promise<void> {
    const { clock, link, key } = this.#settings
    for (let race = 0; race < maxRaces; race++) {
      const nowMs = clock.monotonic()
      const entry = await link.entry(key)
      const found: AskRecords = entry === undefined ? new Map() : readAsks(key, entry.value)
      const living = this.#living(found, nowMs)
      const own = this.#own
      if (this.#isDue(found, living, nowMs)) {
        const others = new Map<string, AskRecord>(living)
        if (own !== undefined) others.set(this.#process, { ...own, beat: ++this.#beats })
        const written = await link.compareAndSet(key, entry?.version, writeAsks(others))
        if (written === undefined) continue
        this.#wroteMs = nowMs
        this.isStored = own?.mode === this.#own?.mode
      }
      if (link.isFollowing) this.#settings.follow(this.#understood(living))
      if (this.isStored) return
    }
    throw new Error(`the store refused ${maxRaces} writes that others had overtaken`)
  }

  /**
   * A store that has lost what this process asks for is given it again. Who is gone is taken out, or else whoever starts
   * later would follow it for as long as it takes to judge that.
   */
  #isDue(found: AskRecords, living: readonly unknown[], nowMs: number): boolean {
    if (this.#settings.dryRun) return false
    const knowsOwn = found.has(this.#process)
    if (!this.isStored || knowsOwn !== (this.#own !== undefined)) return true
    if (found.size - (knowsOwn ? 1 : 0) > living.length) return true
    return this.#own !== undefined && nowMs - this.#wroteMs >= beatMs
  }

  /** Those of the others that have shown a sign of life. While the store was gone nobody could. */
  #living(found: AskRecords, nowMs: number): [string, AskRecord][] {
    const wasGone = nowMs - this.#askedMs > goneMs / 2
    this.#askedMs = nowMs
    const before = this.#signs
    this.#signs = new Map()
    return [...found].filter(([process, { beat }]) => {
      if (process === this.#process) return false
      const last = before.get(process)
      const isSilent = last?.beat === beat && !wasGone
      const sinceMs = isSilent ? last.sinceMs : nowMs
      this.#signs.set(process, { beat, sinceMs })
      return nowMs - sinceMs < goneMs
    })
  }

  #understood(living: readonly (readonly [string, AskRecord])[]): Ask[] {
    const { modes } = this.#settings
    return living.flatMap(([, { mode, why }]) =>
      modes.includes(mode) ? [{ mode, why: `another process: ${why}` }] : [],
    )
  }
}
