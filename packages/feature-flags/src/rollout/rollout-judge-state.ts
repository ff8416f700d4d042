import type { JudgeState, MemorySample, MemoryState, Metrics, Sides } from '@evenkeel/canary-judge'
import type { GuildSpeeds, TimedGuilds } from './guild-speeds.js'
import type { GuildWatch } from './guild-watch.js'
import type { DatabaseCounts, RecentHour } from './recent-hour.js'
import type { TallyDifference } from './tally.js'
import type { WorstGuilds } from './worst-guilds.js'

/** What happened since the last time. */
export interface RolloutInterval {
  /** How long that was, in milliseconds on a clock that is not set back. Nonsense counts as no time. */
  readonly tookMs: number
  /** Which phase of the plan it was, from 0. */
  readonly phase: number
  /** What each process did. */
  readonly processes: readonly TallyDifference[]
  /** How many guilds or users were on each path, or anything in proportion, for reports; by default the calls. */
  readonly users?: Sides<number> | undefined
  /** What processes of the new and the old version used, where the two do not share processes. */
  readonly memory?: readonly MemorySample[] | undefined
  /** Failures of the database: of each path if they can be told apart, else of both. */
  readonly database?: DatabaseCounts | Sides<DatabaseCounts> | undefined
  /** What users say, in the unit of `minSatisfaction`. */
  readonly satisfaction?: number | undefined
  /** How often the new version was started anew, unasked, in the last five minutes. */
  readonly restarts?: number | undefined
  /** Whether each path reaches its database. */
  readonly storage?: Sides<boolean> | undefined
}

/** What is known of a rollout. A plain value: keep it as JSON, and go on from there after a crash. */
export interface RolloutJudgeState {
  /** The version of this format. */
  readonly format: 1
  /** How long the rollout has been watched. */
  readonly elapsedMs: number
  /** The phase that runs, from 0. */
  readonly phase: number
  /** How many phases have begun, one that begins anew among them. */
  readonly begun: number
  /** The evidence of the whole rollout. */
  readonly whole: JudgeState<Metrics>
  /** The evidence since the phase began, for a harm that more traffic brings to light. */
  readonly sincePhase: JudgeState<Metrics>
  /** What memory was used; `null` when nobody said. */
  readonly memory: MemoryState | null
  /** The last hour, for absolute limits. */
  readonly hour: RecentHour
  /** Guilds, and what is usual for each. */
  readonly guilds: GuildWatch
  /** How fast each guild is. */
  readonly speeds: GuildSpeeds
  /** Calls that were measured in the present window of ten minutes. */
  readonly timed: TimedGuilds
  /** Calls of the new path since the phase began. */
  readonly green: {
    /** How many there were. */
    readonly calls: number
    /** How many of them failed. */
    readonly failures: number
    /** In which guilds, or for which users, most of them failed. */
    readonly worst: WorstGuilds
  }
  /** Calls of the old path, until everybody has the new one. */
  readonly blue: {
    /** How many there were. */
    readonly calls: number
    /** How many of them failed. */
    readonly failures: number
  }
  /** How often each metric compared both paths since the phase began. */
  readonly compared: Readonly<Record<string, number>>
  /** Why to go back without waiting for evidence; `null` for no reason. */
  readonly catastrophe: string | null
}
