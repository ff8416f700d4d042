import { statusOf, unwellIn } from '../health-gate.js'
import type { VersionCounters } from '../lane.js'
import type { HealthSource, HealthStatus, PartHealth } from '../ports.js'

/** A part of the bot that is not well. */
export interface UnwellPart extends PartHealth {
  /** Its name at the source. */
  readonly name: string
}

/** How the bot is, as its source of health says. */
export interface DeploymentHealth {
  /** The bot as a whole; `unknown` also when the source is broken. */
  readonly status: HealthStatus
  /** The parts that are not `up`, with the reason. Empty where the source names none. */
  readonly unwell: readonly UnwellPart[]
}

/** How the guilds of a version fare: of the last hour. */
export interface GuildCounters {
  /** Guilds, and users of direct messages, that called it. */
  readonly guilds: number
  /** Those of them whose last `failuresPerGuild` calls all failed; on green, without those that were failing on blue when they came. */
  readonly failingGuilds: number
}

/** How one of the two versions of a deployment fares in this process. */
export interface VersionHealth extends VersionCounters, GuildCounters {
  /** Its name. */
  readonly version: string
  /** Why it is dead, as a clause; `null` unless it has died by itself and does not live again. A function cannot die. */
  readonly death: string | null
}

/** How everything fares that a deployment rests on. */
export interface Vitals {
  /** How the bot is; `undefined` where nobody was asked to look (`health`). */
  readonly health: DeploymentHealth | undefined
  /** How the version fares that served when it began. */
  readonly blue: VersionHealth
  /** How the version fares that is to serve. */
  readonly green: VersionHealth
  /** What the evidence says, as a clause; `null` where nothing is judged. */
  readonly evidence: string | null
}

/** What a source says, as plain JSON. */
export function healthOf(source: HealthSource | undefined): DeploymentHealth | undefined {
  return source && { status: statusOf(source), unwell: unwellIn(source) }
}
