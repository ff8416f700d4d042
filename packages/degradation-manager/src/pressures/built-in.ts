import type { Clock } from '../ports.js'
import { cpuPressure } from './cpu-pressure.js'
import { loopDelayPressure } from './loop-delay-pressure.js'
import { memoryPressure } from './memory-pressure.js'

/** The pressures that a rule may name without their being given. */
export type BuiltInPressure = 'cpu' | 'memory' | 'loopDelay'

const makers: Readonly<Record<BuiltInPressure, (options: { readonly clock: Clock }) => () => number>> = {
  cpu: cpuPressure,
  memory: memoryPressure,
  loopDelay: loopDelayPressure,
}

/** Measures it; undefined when it is none of ours. */
export function builtInPressure(name: string, clock: Clock): (() => number) | undefined {
  return Object.hasOwn(makers, name) ? makers[name as BuiltInPressure]({ clock }) : undefined
}
