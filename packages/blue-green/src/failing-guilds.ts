import type { Clock } from './ports.js'

/** A guild that has been silent for this long says nothing about today. */
const windowMs = 3_600_000
/** The guilds that are remembered per version; the one that was silent longest goes first. */
const maxGuilds = 10_000

/** How the guilds of one version fare. */
export interface Census {
  /** Guilds that called lately. */
  readonly seen: number
  /** Those of them whose last calls all failed. */
  readonly failing: number
}

/**
 * The catastrophe rule: too many guilds fail on green, and blue does not fail alike.
 *
 * @remarks
 * Shares are compared, since green serves few guilds at first and blue few at last. A factor of three is beyond what
 * chance does to guilds that are broken anyway; a fault of the platform hits both alike and rolls nothing back. This
 * is a stop for what is plain to see. It is no statistical test, and finds no small harm.
 */
export function isCatastrophe(green: Census, blue: Census, maxFailingGuilds: number): boolean {
  if (green.failing <= maxFailingGuilds) return false
  // The shares multiplied out: 0.9 > 3 * 0.3 would hold in floating point.
  return green.failing * Math.max(1, blue.seen) > 3 * blue.failing * green.seen
}

interface Guild {
  failuresInRow: number
  /** It failed on blue already when it came, so its failures are no evidence against green. */
  excused: boolean
  seenMs: number
}

/** What the guilds of one version have been through, in bounded memory. */
export class GuildLedger {
  /** Ordered by the last call, the most silent first. */
  readonly #guilds = new Map<string, Guild>()
  readonly #clock: Clock
  readonly #failuresPerGuild: number
  #failing = 0

  constructor(clock: Clock, failuresPerGuild: number) {
    this.#clock = clock
    this.#failuresPerGuild = failuresPerGuild
  }

  succeeded(id: string): void {
    const guild = this.#visit(id, false)
    if (this.#counts(guild)) this.#failing -= 1
    guild.failuresInRow = 0
    guild.excused = false
  }

  /** @param excused - whether the guild fails on the other version too; counts only when it is new here */
  failed(id: string, excused: boolean): void {
    const guild = this.#visit(id, excused)
    const counted = this.#counts(guild)
    guild.failuresInRow += 1
    if (!counted && this.#counts(guild)) this.#failing += 1
  }

  /** Whether the last calls of this guild all failed here, for whatever reason. */
  isFailing(id: string): boolean {
    return (this.#guilds.get(id)?.failuresInRow ?? 0) >= this.#failuresPerGuild
  }

  census(): Census {
    this.#forgetSilent()
    return { seen: this.#guilds.size, failing: this.#failing }
  }

  clear(): void {
    this.#guilds.clear()
    this.#failing = 0
  }

  #visit(id: string, excused: boolean): Guild {
    const nowMs = this.#clock.monotonic()
    const known = this.#guilds.get(id)
    if (known !== undefined) this.#forget(id, known)
    const isRecent = known !== undefined && known.seenMs > nowMs - windowMs
    const guild = isRecent ? known : { failuresInRow: 0, excused, seenMs: nowMs }
    guild.seenMs = nowMs
    this.#guilds.set(id, guild)
    if (this.#counts(guild)) this.#failing += 1
    // Looking for the oldest is slow after many deletions, so it is done for many at once.
    if (this.#guilds.size > maxGuilds * 1.1) this.#forgetSilent()
    return guild
  }

  #counts(guild: Guild): boolean {
    return !guild.excused && guild.failuresInRow >= this.#failuresPerGuild
  }

  #forgetSilent(): void {
    const oldestMs = this.#clock.monotonic() - windowMs
    for (const [id, guild] of this.#guilds) {
      if (guild.seenMs > oldestMs && this.#guilds.size <= maxGuilds) return
      this.#forget(id, guild)
    }
  }

  #forget(id: string, guild: Guild): void {
    this.#guilds.delete(id)
    if (this.#counts(guild)) this.#failing -= 1
  }
}
