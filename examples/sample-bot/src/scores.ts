import type { Storage } from '@evenkeel/storage-adapter'

/** A member and how often they asked for a reminder. */
export interface Score {
  readonly userId: string
  readonly points: number
}

/** Counts, per guild and member. */
export class Scores {
  readonly #kept

  constructor(storage: Storage) {
    this.#kept = storage.collection<number>('scores')
  }

  async add(guildId: string, userId: string): Promise<void> {
    await this.#kept.update(`${guildId}:${userId}`, (points) => points + 1, { initial: 0 })
  }

  async best(guildId: string, limit: number): Promise<Score[]> {
    const scores: Score[] = []
    for await (const { key, value } of this.#kept.scan({ prefix: `${guildId}:` })) {
      scores.push({ userId: key.slice(guildId.length + 1), points: value })
    }
    return scores.sort((a, b) => b.points - a.points).slice(0, limit)
  }
}
