import type { StandardResolutionReasons } from '@openfeature/server-sdk'
import type { Reason } from '../explain.js'

/** The reasons that OpenFeature has words for. */
export type StandardReason = keyof typeof StandardResolutionReasons

/** A requirement counts as a rule: it looks at the context, and the flag itself is not disabled. */
const standardReasons = {
  'all-off': 'DISABLED',
  disabled: 'DISABLED',
  'fallen-back': 'DISABLED',
  required: 'TARGETING_MATCH',
  environment: 'STATIC',
  'user-override': 'TARGETING_MATCH',
  'guild-override': 'TARGETING_MATCH',
  'target-guild': 'TARGETING_MATCH',
  rule: 'TARGETING_MATCH',
  percentage: 'SPLIT',
  split: 'SPLIT',
  default: 'DEFAULT',
} as const satisfies Record<Reason, StandardReason>

const byReason: ReadonlyMap<string, StandardReason> = new Map(Object.entries(standardReasons))

/** What OpenFeature calls the rule that answered. */
export function standardReason(reason: string): StandardReason {
  return byReason.get(reason) ?? 'UNKNOWN'
}
