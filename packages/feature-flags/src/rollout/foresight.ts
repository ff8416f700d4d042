import { formatDuration } from './duration.js'
import type { PhasePower, RolloutTraffic } from './rollout-judge.js'
import type { Traffic } from './traffic.js'

/** So long a flag is looked at before its traffic is known, in milliseconds. */
const KNOWN_MS = 3_600_000

/** What the evidence of a rollout will be able to show. */
export interface Foresight {
  readonly traffic: RolloutTraffic
  /** Whether each phase sees a doubling of the errors within its time. */
  readonly isSufficient: boolean
  /** As a clause. */
  readonly why: string
}

/** The traffic of a flag, once that is known. */
export function trafficOf({ forMs, calls, guilds, before }: Traffic): RolloutTraffic | undefined {
  if (forMs < KNOWN_MS || before.calls === 0 || guilds === 0) return undefined
  return { callsPerMinute: calls / (forMs / 60_000), errorRatio: before.failures / before.calls, guilds }
}

/** What can be foreseen of the phases in which both paths are called. */
export function foresightOf(traffic: RolloutTraffic, phases: readonly PhasePower[]): Foresight {
  const compared = phases.filter(({ percentage }) => percentage > 0 && percentage < 100)
  const told = compared.map((phase) => {
    const within = `${JSON.stringify(phase.name)} (${phase.percentage} %, ${formatDuration(phase.durationMs)})`
    return `${within}: ${soon('twice the errors', phase, 2)}, ${soon('20 % more', phase, 1.2)}`
  })
  const { callsPerMinute, errorRatio } = traffic
  const calls = `${short(callsPerMinute)} calls a minute, of which ${short(errorRatio * 100)} % fail`
  return {
    traffic,
    isSufficient: compared.every((phase) => minutesOf(phase, 2) * 60_000 <= phase.durationMs),
    why: `with ${calls}, what can be seen is, in ${told.length === 0 ? 'no phase, nothing' : told.join('; ')}`,
  }
}

function soon(what: string, phase: PhasePower, ratio: number): string {
  const minutes = minutesOf(phase, ratio)
  if (minutes === Infinity) return `${what} not within a week`
  // It is an estimate.
  const about = minutes < 600 ? minutes : Math.round(minutes / 60) * 60
  return `${what} in about ${formatDuration(about * 60_000)}`
}

function minutesOf({ powers }: PhasePower, ratio: number): number {
  return powers.find((power) => power.ratio === ratio)?.minutes ?? Infinity
}

function short(value: number): number {
  return Number(value.toPrecision(2))
}
