import type { ComponentReport } from '../ports.js'

/** What is known of one implementation when it is chosen. */
export interface Standing {
  readonly name: string
  /** What its flag says of the context. */
  readonly isWanted: boolean
  readonly component: string | undefined
  /** How its component is, as far as it is known; undefined when it has none. */
  readonly report: ComponentReport | undefined
}

/** What was chosen by hand. */
export interface ByHand {
  readonly name: string
  readonly why: string
  readonly by: string | undefined
  /** Monotonic ms; undefined: until it is cleared. */
  readonly untilMs: number | undefined
}

/** Whether an implementation may serve, and why not or why. */
export function verdictOn({ isWanted, component, report }: Standing): {
  readonly mayServe: boolean
  readonly why: string
} {
  if (!isWanted) return { mayServe: false, why: 'its flag says no' }
  if (component === undefined) return { mayServe: true, why: 'it needs no component' }
  const { status, reason } = report ?? { status: 'unknown', reason: 'health does not know it' }
  const why = `component "${component}" is ${status}${reason === '' ? '' : `: ${reason}`}`
  return { mayServe: status !== 'down', why }
}

/**
 * The choice: by hand before everything, else the first that may serve. Those after it are not asked.
 *
 * @returns which one, and why in words for an operator; no name when none may serve
 */
export function choose(
  standings: Iterable<Standing>,
  byHand: ByHand | undefined,
): { readonly name: string | undefined; readonly why: string } {
  if (byHand !== undefined) {
    const { name, why, by } = byHand
    return { name, why: `set by hand${by === undefined ? '' : ` by ${by}`}: ${why}` }
  }
  const passedOver: string[] = []
  for (const standing of standings) {
    const { mayServe, why } = verdictOn(standing)
    if (mayServe)
      return {
        name: standing.name,
        why: passedOver.length === 0 ? `it comes first, and ${why}` : passedOver.join('; '),
      }
    passedOver.push(`"${standing.name}" is passed over: ${why}`)
  }
  return { name: undefined, why: passedOver.join('; ') }
}
