import type { CheckResult, HealthCheck } from '../check-result.js'
import { runCheck } from '../check-result.js'

/** One look of a check, as the monitor takes it. */
export function look(check: HealthCheck, signal: AbortSignal = new AbortController().signal): Promise<CheckResult> {
  return runCheck(check, signal)
}
