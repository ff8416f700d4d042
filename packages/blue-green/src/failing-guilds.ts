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
 * The size of a catastrophe: too many guilds fail on green, and blue does not fail alike.
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

/** How the guilds of one version have fared since a moment. */
export interface Standing {
  /** Guilds that fail. */
  readonly failing: number
  /** Guilds whose last call went well. */
  readonly working: number
}

/** The chance that is borne that so many of the failing guilds are on green by luck. */
const maxChance = 0.01

/** What the failing guilds of green come to: it is worse than blue, or it fails with nobody to compare it with. */
export type Catastrophe = 'WORSE' | 'ALONE'

/**
 * Whether so many guilds fail on green that nobody should wait for evidence.
 *
 * @remarks
 * Which guilds are on green is drawn by a hash. So what fails for both versions alike, be it an outage or a guild's own
 * settings, picks its guilds without regard to that, and the busiest fail first, on either side. A guild of blue speaks
 * for blue only by what it did since the failures of green began: what worked before an outage says nothing of it. What
 * is left is the chance that this split is one of luck (Fisher's exact test, 1922): three guilds that fail are enough on
 * a small share where blue serves a dozen others, and on a half of the guilds while few or none on green work any more.
 *
 * Where blue has no traffic, nothing tells an outage from a fault of the version. Then it takes more guilds that fail
 * than work, or a share of them that blue, when it last served, was far from: of the last hour, for to choose a moment
 * by the failures would find what chance has put together. Who began to fail in an outage that health saw does not count.
 *
 * @param isBlueServing - whether blue has a share of the traffic
 * @param wellSinceMs - since when health has been well
 */
export function findCatastrophe(
  green: GuildLedger,
  blue: GuildLedger,
  maxFailingGuilds: number,
  isBlueServing: boolean,
  wellSinceMs: number,
): Catastrophe | undefined {
  const [here, there] = [green.census(), blue.census()]
  if (!isCatastrophe(here, there, maxFailingGuilds)) return undefined
  if (!isBlueServing || there.seen === 0) {
    const sinceMs = green.failingSince(maxFailingGuilds + 1)
    return failsAlone(green, blue, maxFailingGuilds, { sinceMs, wellSinceMs }) ? 'ALONE' : undefined
  }
  const sinceMs = green.failingSince(1)
  // One call that failed is enough against blue: it has had no time for more.
  const beside = blue.standing(sinceMs, 1)
  const failing = Math.max(beside.failing, there.failing)
  const { working } = green.standing(sinceMs)
  const chance = chanceOf({ failing: here.failing, working }, { failing, working: beside.working })
  return chance <= maxChance ? 'WORSE' : undefined
}

/** Whether green fails, by itself: of late, or more than blue did. */
export function failsAlone(
  green: GuildLedger,
  blue: GuildLedger,
  maxFailingGuilds: number,
  { sinceMs, wellSinceMs }: { readonly sinceMs: number; readonly wellSinceMs: number },
): boolean {
  const { failing, working } = green.standing(Math.max(sinceMs, wellSinceMs))
  if (failing > Math.max(maxFailingGuilds, working)) return true
  const [here, before] = [green.census(wellSinceMs), blue.census()]
  const isFar = before.seen > 0 && isCatastrophe(here, before, maxFailingGuilds)
  return isFar && chanceOf(standingOf(here), standingOf(before)) <= maxChance
}

function standingOf({ seen, failing }: Census): Standing {
  return { failing, working: seen - failing }
}

/** The chance that so many of the failing guilds, or more, are on green, if who fails has nothing to do with who is there. */
export function chanceOf(green: Standing, blue: Standing): number {
  const [failing, onGreen] = [green.failing + blue.failing, green.failing + green.working]
  const all = onGreen + blue.failing + blue.working
  const ways = logChoose(all, onGreen)
  let chance = 0
  for (let here = green.failing; here <= Math.min(failing, onGreen); here++) {
    chance += Math.exp(logChoose(failing, here) + logChoose(all - failing, onGreen - here) - ways)
  }
  return Math.min(1, chance)
}

function logChoose(all: number, some: number): number {
  if (some < 0 || some > all) return -Infinity
  return logFactorial(all) - logFactorial(some) - logFactorial(all - some)
}

/** Stirling's series: right to a thousandth. */
function logFactorial(n: number): number {
  if (n < 2) return 0
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + 1 / (12 * n) - 1 / (360 * n ** 3)
}

interface Guild {
  failuresInRow: number
  /** When the first of these failed. */
  failingSinceMs: number
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
    if (guild.failuresInRow === 0) guild.failingSinceMs = guild.seenMs
    guild.failuresInRow += 1
    if (!counted && this.#counts(guild)) this.#failing += 1
  }

  /** Whether the last calls of this guild all failed here, for whatever reason. */
  isFailing(id: string): boolean {
    return (this.#guilds.get(id)?.failuresInRow ?? 0) >= this.#failuresPerGuild
  }

  /** @param sinceMs - who was last seen before, or began to fail before, does not count */
  census(sinceMs: number = -Infinity): Census {
    this.#forgetSilent()
    if (sinceMs === -Infinity) return { seen: this.#guilds.size, failing: this.#failing }
    let [seen, failing] = [0, 0]
    for (const guild of this.#guilds.values()) {
      if (guild.seenMs >= sinceMs) seen += 1
      if (this.#counts(guild) && guild.failingSinceMs >= sinceMs) failing += 1
    }
    return { seen, failing }
  }

  /** When the guild began to fail that did so as the last but so many; -Infinity for fewer. */
  failingSince(newest: number): number {
    const begun: number[] = []
    for (const guild of this.#guilds.values()) if (this.#counts(guild)) begun.push(guild.failingSinceMs)
    return begun.sort((a, b) => b - a)[newest - 1] ?? -Infinity
  }

  /**
   * How those fared that called since a moment.
   *
   * @param leastInRow - failed calls in a row that make a guild a failing one
   */
  standing(sinceMs: number, leastInRow: number = this.#failuresPerGuild): Standing {
    let [failing, working] = [0, 0]
    for (const { failuresInRow, excused, seenMs } of this.#guilds.values()) {
      if (seenMs < sinceMs) continue
      if (failuresInRow === 0) working += 1
      else if (failuresInRow >= leastInRow && !excused) failing += 1
    }
    return { failing, working }
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
    const guild = isRecent ? known : { failuresInRow: 0, failingSinceMs: nowMs, excused, seenMs: nowMs }
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
