/** How much of the bot is served: everything, everything but what is optional, or only what is critical. */
export type Mode = 'FULL' | 'DEGRADED' | 'MAINTENANCE'

/** The modes of a manager that names none, best first: each step to the right serves less. */
export const defaultModes: readonly Mode[] = ['FULL', 'DEGRADED', 'MAINTENANCE']

/** The best mode: everything is served. */
export const bestMode = 'FULL'
/** The worst mode: only what is critical is served. */
export const worstMode = 'MAINTENANCE'

/** Whether `mode` serves less than `other`; `modes` lists them best first. */
export function isWorse(modes: readonly string[], mode: string, other: string): boolean {
  return modes.indexOf(mode) > modes.indexOf(other)
}

/** The mode one step better; the best one stays. */
export function stepBetter(modes: readonly string[], mode: string): string {
  return modes[Math.max(0, modes.indexOf(mode) - 1)] ?? mode
}
