import { within } from '../deadline.js'
import type { Clock } from '../ports.js'
import type { RolloutFlags } from './rollout-ports.js'

/**
 * Looks whether something is well after a rollback: the error rate, the latency, the commands, the data.
 *
 * @returns whether it is; a string says what is wrong, nothing at all that nothing is
 * @throws whatever says what is wrong
 */
export type ValidationCheck = () => boolean | string | void | Promise<boolean | string | void>

/** What one check found. */
export interface CheckResult {
  /** Its name. */
  readonly name: string
  /** Whether all is well, or nothing is known to be wrong: see `isUntold`. */
  readonly isPassed: boolean
  /** There were not enough calls to tell; left out otherwise. */
  readonly isUntold?: true
  /** What it found, as a clause. */
  readonly why: string
}

/** The name of the check that is always made. */
export const FLAG_CHECK = 'flag is off'

/** What checks have found, as a clause. */
export function summarise(checks: readonly CheckResult[]): { found: string; isWell: boolean } {
  const failed = checks.filter(({ isPassed }) => !isPassed).map(({ name, why }) => `${name} (${why})`)
  if (failed.length > 0) return { found: `afterwards this was not well: ${failed.join(', ')}`, isWell: false }
  const untold = checks.filter(({ isUntold }) => isUntold === true).map(({ name }) => name)
  if (untold.length === 0) return { found: 'all is well now', isWell: true }
  return { found: `nothing is wrong now, with not enough calls to tell of ${untold.join(' and ')}`, isWell: true }
}

/** Runs the checks side by side. Never rejects: one that throws or hangs has failed. */
export async function validate(
  checks: Readonly<Record<string, ValidationCheck>>,
  clock: Clock,
  timeoutMs: number,
): Promise<CheckResult[]> {
  return Promise.all(Object.entries(checks).map(([name, check]) => run(name, check, clock, timeoutMs)))
}

async function run(name: string, check: ValidationCheck, clock: Clock, timeoutMs: number): Promise<CheckResult> {
  try {
    const found = await within(clock, timeoutMs, 'the check', async () => check())
    if (found === undefined || found === true) return { name, isPassed: true, why: 'all is well' }
    return { name, isPassed: false, why: typeof found === 'string' && found !== '' ? found : 'the check says no' }
  } catch (error) {
    return { name, isPassed: false, why: messageOf(error) }
  }
}

/** Whether a flag is off for everyone, and what it is on for if not. */
export function checkFlagIsOff(flags: RolloutFlags, flag: string, guilds: Iterable<string>): string | undefined {
  const { state, percentage } = flags.status(flag)
  const targets = flags.share(flag)?.targetGuilds ?? []
  const isHeldOff = state !== 'active'
  if (!isHeldOff && percentage !== 0)
    return `it is at ${percentage === undefined ? 'no percentage' : `${percentage} %`}`
  if (!isHeldOff && targets.length > 0) return `it is on for the target guilds ${targets.slice(0, 5).join(', ')}`
  if (flags.isEnabled(flag)) return 'it is on for a context without ids'
  for (const guildId of guilds) if (flags.isEnabled(flag, { guildId })) return `it is on for guild ${guildId}`
  return undefined
}

/** What was thrown, in words. Anything can be thrown, also what throws when it is looked at. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'an error that cannot be read'
  }
}
