/** How much of the bot is served: everything, everything but what is optional, or only what is critical. */
export type Mode = 'FULL' | 'DEGRADED' | 'MAINTENANCE'

/** Best first: each step to the right serves less. */
export const modes: readonly Mode[] = ['FULL', 'DEGRADED', 'MAINTENANCE']

/** Whether `mode` serves less than `other`. */
export function isWorse(mode: Mode, other: Mode): boolean {
  return modes.indexOf(mode) > modes.indexOf(other)
}

/** The mode one step better; FULL stays FULL. */
export function stepBetter(mode: Mode): Mode {
  return mode === 'MAINTENANCE' ? 'DEGRADED' : 'FULL'
}
