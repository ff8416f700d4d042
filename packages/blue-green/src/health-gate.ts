import type { HealthSource, HealthStatus } from './ports.js'
import type { UnwellPart } from './report/vitals.js'

const rank: Record<HealthStatus, number> = { up: 0, degraded: 1, down: 2, unknown: 2 }

/** The status of a source that may be missing, throw, or say what is no status: a broken source knows nothing. */
export function statusOf(health: HealthSource | undefined): HealthStatus {
  try {
    if (health === undefined) return 'up'
    const { status } = health
    return Object.hasOwn(rank, status) ? status : 'unknown'
  } catch {
    return 'unknown'
  }
}

/**
 * What speaks against giving green more, if anything.
 *
 * Down and unknown always hold. Degraded holds unless it was so, or worse, when the deployment began, for then green may
 * well be the cure.
 */
export function healthProblem(health: HealthSource | undefined, atStart: HealthStatus): string | undefined {
  const status = statusOf(health)
  const wasNoBetter = atStart === 'degraded' || atStart === 'down'
  const holds = status === 'down' || status === 'unknown' || (status === 'degraded' && !wasNoBetter)
  return holds ? `health is ${status}${culprits(health)}` : undefined
}

/** The parts that are not well, as far as a source says. */
export function unwellIn(health: HealthSource | undefined): readonly UnwellPart[] {
  try {
    const unwell: UnwellPart[] = []
    for (const [name, { status, reason }] of health?.components ?? []) {
      if (rank[status] > 0) unwell.push({ name, status, reason })
    }
    return unwell
  } catch {
    return []
  }
}

function culprits(health: HealthSource | undefined): string {
  const unwell = unwellIn(health).map(({ name, status, reason }) => `${name} ${status}: ${reason}`)
  return unwell.length === 0 ? '' : ` (${unwell.join('; ')})`
}
