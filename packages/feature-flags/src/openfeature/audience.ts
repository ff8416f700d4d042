import type { EvaluationContext } from '@openfeature/server-sdk'
import type { Id } from '../context.js'
import type { FlagAudience } from './ports.js'

/** Whose id an evaluation context's `targetingKey` is. */
export type TargetingKeyOf = 'user' | 'guild'

/**
 * For whom an evaluation context asks. `guildId` and `userId` go before the targeting key. The context itself serves as
 * the attributes: nothing is copied on the way of every call, and that it holds the ids as well does no harm.
 */
export function audienceOf(context: EvaluationContext, targetingKeyOf: TargetingKeyOf): FlagAudience {
  // Whatever they are: the flags refuse what is no id.
  const { guildId, userId, targetingKey } = context as Readonly<Record<string, Id | null | undefined>>
  return targetingKeyOf === 'guild'
    ? { guildId: guildId ?? targetingKey, userId, attributes: context }
    : { guildId, userId: userId ?? targetingKey, attributes: context }
}
