import { murmur3 } from '../murmur3.js'

/**
 * Something of each guild, for so many guilds at most. Of more it keeps those whose ids have the smallest hash: the same
 * ones every time and in every process, whatever they do, so that they stand for all.
 */
export class FairGuilds<T> {
  readonly #most: number
  readonly #guilds: Map<string, T>
  /** The last guild in the order of the hashes, once there is no room; `undefined` when it must be looked for. */
  #last: { readonly id: string; readonly hash: number } | undefined

  /**
   * @param most - so many guilds
   * @param entries - what is known of each
   */
  constructor(most: number, entries: Iterable<readonly [guildId: string, value: T]> = []) {
    this.#most = most
    const all = [...entries]
    if (all.length > most) all.sort(([a], [b]) => hashOf(a) - hashOf(b)).splice(most)
    this.#guilds = new Map(all)
  }

  /** What is known of a guild. */
  get(guildId: string): T | undefined {
    return this.#guilds.get(guildId)
  }

  /** Puts something in place of what is known of a guild, if there is room for it. */
  set(guildId: string, value: T): void {
    if (this.#guilds.has(guildId) || this.#guilds.size < this.#most) {
      this.#guilds.set(guildId, value)
      return
    }
    const last = (this.#last ??= this.#findLast())
    if (last === undefined || hashOf(guildId) >= last.hash) return
    this.#guilds.delete(last.id)
    this.#guilds.set(guildId, value)
    this.#last = undefined
  }

  /** The guilds that are kept. */
  get entries(): Iterable<readonly [guildId: string, value: T]> {
    return this.#guilds
  }

  /** By guild. */
  toJSON(): Readonly<Record<string, T>> {
    return Object.fromEntries(this.#guilds)
  }

  #findLast(): { readonly id: string; readonly hash: number } | undefined {
    let last: { id: string; hash: number } | undefined
    for (const id of this.#guilds.keys()) {
      const hash = hashOf(id)
      if (last === undefined || hash > last.hash) last = { id, hash }
    }
    return last
  }
}

function hashOf(guildId: string): number {
  return murmur3(guildId) >>> 0
}
