import type { HealthSource, HealthStatus } from './ports.js'

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

function culprits(health: HealthSource | undefined): string {
  try {
    const bad: string[] = []
    for (const [name, { status, reason }] of health?.components ?? []) {
      if (rank[status] > 0) bad.push(`${name} ${status}: ${reason}`)
    }
    return bad.length === 0 ? '' : ` (${bad.join('; ')})`
  } catch {
    return ''
  }
}
