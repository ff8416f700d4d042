import type { Sides } from '@evenkeel/canary-judge'
import { randomUUID } from 'node:crypto'
import type { BucketBy, FlagContext } from '../context.js'
import { guildIdOf, userIdOf } from '../context.js'
import type { RanCall } from '../news.js'
import type { Clock } from '../ports.js'
import { FairGuilds } from './fair-guilds.js'
import type { RolloutFlags } from './rollout-ports.js'
import type { GuildCounts, Tally, TimedCall } from './tally.js'

/** The flags, as narrow as calls are counted by them. */
interface CountedFlags extends Pick<RolloutFlags, 'isEnabled'> {
  on(event: 'ran', listener: (call: RanCall) => void): unknown
  off(event: 'ran', listener: (call: RanCall) => void): unknown
}

/** Options of {@link SampleCollector}. */
export interface SampleCollectorOptions {
  /** Of which calls are counted. */
  readonly flags: CountedFlags
  /** The flag. */
  readonly flag: string
  /**
   * What the flag's percentage is a share of: those are counted apart.
   *
   * @defaultValue `'guild'`
   */
  readonly by?: BucketBy | undefined
  /** Where time comes from: a user's complaint counts once in two hours. */
  readonly clock: Pick<Clock, 'monotonic'>
  /** Draws which latencies are kept: from 0 to 1, 1 excluded. */
  readonly random: () => number
  /**
   * What names this life of this process, and no other one ever.
   *
   * @defaultValue a random UUID
   */
  readonly instance?: string | undefined
}

/** Of so many guilds, or users, a process counts apart. */
const MOST_COUNTED = 2_500
/** So many latencies of each path are kept for an interval. */
const MOST_LATENCIES = 128
/** A user complains once in so long. */
const REPORT_MS = 7_200_000
/** So many of one guild's complaints count in that time, or one guild would speak for all. */
const REPORTS_PER_GUILD = 3
/** So many complaints are remembered by whom they were. */
const MOST_REPORTERS = 2_000

/**
 * Counts what the calls of one flag come to in this process. The new path is green and the old one blue.
 *
 * What it takes in memory is bounded: 2,500 guilds or users, of more of them a fixed share that stands for all, and 128 latencies
 * of each path, drawn at random (reservoir sampling, Vitter 1985).
 */
export class SampleCollector {
  readonly #flags: CountedFlags
  readonly #flag: string
  readonly #by: BucketBy
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #random: () => number
  readonly #instance: string
  readonly #counts: Sides<{ calls: number; failures: number; reports: number }> = { green: none(), blue: none() }
  readonly #guilds = new FairGuilds<[number, number, number, number]>(MOST_COUNTED)
  readonly #reporters = new Map<string, readonly number[]>()
  #latencies: Sides<Reservoir> = { green: emptyReservoir(), blue: emptyReservoir() }
  #sequence = 0
  readonly #count = (call: RanCall): void => this.#add(call)

  /** @param options - which calls, and what is needed to count them */
  constructor({ flags, flag, by = 'guild', clock, random, instance = randomUUID() }: SampleCollectorOptions) {
    this.#flags = flags
    this.#flag = flag
    this.#by = by
    this.#clock = clock
    this.#random = random
    this.#instance = instance
  }

  /** Begins to count. May be called twice. */
  start(): void {
    this.stop()
    this.#flags.on('ran', this.#count)
  }

  /** Counts no more. What was counted stays. May be called twice. */
  stop(): void {
    this.#flags.off('ran', this.#count)
  }

  /**
   * A user complained. Of one user one complaint counts in two hours, and of one guild three; where no user is named, one
   * of the guild.
   *
   * @param context - who
   * @returns whether it counts
   */
  report(context: FlagContext): boolean {
    const [guildId, userId] = [guildIdOf(context), userIdOf(context)]
    const guild = guildId === undefined ? undefined : `guild ${guildId}`
    const who = userId === undefined ? `someone ${guild ?? ''}` : `user ${userId}`
    if (!this.#mayReport(who, 1) || (guild !== undefined && !this.#mayReport(guild, REPORTS_PER_GUILD))) return false
    for (const name of guild === undefined ? [who] : [who, guild]) this.#hasReported(name)
    this.#counts[this.#flags.isEnabled(this.#flag, context) ? 'green' : 'blue'].reports++
    return true
  }

  #mayReport(name: string, most: number): boolean {
    return this.#recentReports(name).length < most
  }

  #recentReports(name: string): readonly number[] {
    const now = this.#clock.monotonic()
    return (this.#reporters.get(name) ?? []).filter((atMs) => now - atMs < REPORT_MS)
  }

  #hasReported(name: string): void {
    const recent = this.#recentReports(name)
    this.#reporters.delete(name)
    this.#reporters.set(name, [...recent, this.#clock.monotonic()])
    const [oldest] = this.#reporters.keys()
    if (oldest !== undefined && this.#reporters.size > MOST_REPORTERS) this.#reporters.delete(oldest)
  }

  /** What has been counted until now. The next one's latencies begin here. */
  take(): Tally {
    const { green, blue } = this.#latencies
    this.#latencies = { green: emptyReservoir(), blue: emptyReservoir() }
    return {
      format: 1,
      instance: this.#instance,
      sequence: ++this.#sequence,
      green: { ...this.#counts.green },
      blue: { ...this.#counts.blue },
      guilds: Object.fromEntries(Array.from(this.#guilds.entries, ([id, counts]) => [id, [...counts] as GuildCounts])),
      latencies: { green: green.kept, blue: blue.kept },
    }
  }

  #add({ flag, path, isFailure, tookMs, guildId, userId }: RanCall): void {
    if (flag !== this.#flag) return
    const side = path === 'on' ? 'green' : 'blue'
    const id = this.#by === 'guild' ? guildId : userId
    this.#counts[side].calls++
    if (isFailure) this.#counts[side].failures++
    if (Number.isFinite(tookMs) && tookMs >= 0)
      this.#keep(this.#latencies[side], [Math.round(tookMs * 100) / 100, id ?? null])
    if (id === undefined) return
    const counts = this.#guilds.get(id) ?? [0, 0, 0, 0]
    const at = path === 'on' ? 0 : 2
    counts[at]++
    if (isFailure) counts[at + 1]!++
    this.#guilds.set(id, counts)
  }

  /** Every call of the interval is kept with the same chance. */
  #keep(reservoir: Reservoir, call: TimedCall): void {
    reservoir.seen++
    if (reservoir.kept.length < MOST_LATENCIES) reservoir.kept.push(call)
    else {
      const place = Math.floor(this.#random() * reservoir.seen)
      if (place < MOST_LATENCIES) reservoir.kept[place] = call
    }
  }
}

interface Reservoir {
  seen: number
  readonly kept: TimedCall[]
}

function emptyReservoir(): Reservoir {
  return { seen: 0, kept: [] }
}

function none(): { calls: number; failures: number; reports: number } {
  return { calls: 0, failures: 0, reports: 0 }
}
