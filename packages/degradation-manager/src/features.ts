import { modes, type Mode } from './mode.js'
import type { FeatureState, Settings } from './options.js'
import type { Priority } from './priority.js'

/** What each mode does to a feature that says nothing else. */
const byPriority: Readonly<Record<Priority, Readonly<Record<Mode, FeatureState>>>> = {
  critical: { FULL: 'on', DEGRADED: 'on', MAINTENANCE: 'on' },
  high: { FULL: 'on', DEGRADED: 'on', MAINTENANCE: 'off' },
  normal: { FULL: 'on', DEGRADED: 'on', MAINTENANCE: 'off' },
  optional: { FULL: 'on', DEGRADED: 'off', MAINTENANCE: 'off' },
}

/** One table per mode, made once, so that asking costs one look-up. */
export type FeatureTables = Readonly<Record<Mode, ReadonlyMap<string, FeatureState>>>

export function featureTables(features: Settings['features']): FeatureTables {
  const tableOf = (mode: Mode): Map<string, FeatureState> => {
    const table = new Map<string, FeatureState>()
    for (const [name, feature] of features) table.set(name, feature.in?.[mode] ?? byPriority[feature.priority][mode])
    return table
  }
  return Object.fromEntries(modes.map((mode) => [mode, tableOf(mode)])) as Record<Mode, Map<string, FeatureState>>
}
