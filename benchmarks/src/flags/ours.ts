import { FeatureFlags, type BooleanFlag } from '@evenkeel/feature-flags'
import { forEachFlag, percentage, tiers, type Asker } from './asked-flag.js'
import type { BareContext } from './floor.js'

/** Our flags: the same hundred as all others have. */
export function ours(): FeatureFlags<Record<string, BooleanFlag>> {
  const flag: BooleanFlag = { rules: [{ when: { tier: tiers }, percentage }] }
  return new FeatureFlags({ flags: forEachFlag(() => flag), environment: {} })
}

export function contextsOf(all: readonly Asker[]): BareContext[] {
  return all.map(({ id, tier }) => ({ guildId: id, attributes: { tier } }))
}
