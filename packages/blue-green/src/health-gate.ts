import type { HealthSource, HealthStatus } from './ports.js'

const rank: Record<HealthStatus, number> = { up: 0, degraded: 1, down: 2, unknown: 2 }

/** The status of a source that may be missing or throw: a broken source knows nothing. */
export function statusOf(health: HealthSource | undefined): HealthStatus {
  try {
    return health?.status ?? 'up'
  } catch {
    return 'unknown'
  }
}

/**
 * What speaks against giving green more, if anything.
 *
 * Down and unknown always hold. Degraded holds unless it was so when the deployment began, for then green may well be
 * the cure.
 */
export function healthProblem(health: HealthSource | undefined, atStart: HealthStatus): string | undefined {
  const status = statusOf(health)
  const holds = status === 'down' || status === 'unknown' || (status === 'degraded' && atStart === 'up')
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
