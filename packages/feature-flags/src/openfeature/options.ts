import type { TrackingEventDetails } from '@openfeature/server-sdk'
import { didYouMean } from '../nearest.js'
import type { TargetingKeyOf } from './audience.js'
import type { FlagAudience, ProvidedFlags } from './ports.js'

/** What was tracked through the SDK. */
export interface TrackedEvent {
  /** Its name. */
  readonly name: string
  /** Whose it was. */
  readonly audience: FlagAudience
  /** What else was said of it, such as a `value`. */
  readonly details: TrackingEventDetails
}

/** Options of `EvenkeelProvider`. */
export interface EvenkeelProviderOptions {
  /** The flags to answer from. */
  readonly flags: ProvidedFlags
  /**
   * Whose id the `targetingKey` of an evaluation context is. Where the context has a `guildId` or a `userId` of its own,
   * that one counts.
   * @defaultValue `'user'`
   */
  readonly targetingKey?: TargetingKeyOf
  /**
   * Whether the flags are started when the SDK takes the provider, and stopped when it lets it go. `false` where
   * something else does so.
   * @defaultValue `true`
   */
  readonly managed?: boolean
  /** Takes what is tracked through the SDK. Without it, tracking does nothing. */
  readonly onTrack?: (event: TrackedEvent) => void
}

/** What `EvenkeelProvider` does unless its options say otherwise. */
export const evenkeelProviderDefaults: Required<Pick<EvenkeelProviderOptions, 'targetingKey' | 'managed'>> = {
  targetingKey: 'user',
  managed: true,
}

/** @throws TypeError naming the option and what to write instead */
export function checkOptions(options: EvenkeelProviderOptions): EvenkeelProviderOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError('EvenkeelProvider needs options: { flags }')
  const known = ['flags', 'onTrack', ...Object.keys(evenkeelProviderDefaults)]
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw new TypeError(`EvenkeelProvider has no option ${JSON.stringify(option)}${didYouMean(option, known)}`)
    }
  }
  const { flags, targetingKey, managed, onTrack } = options
  const methods = ['has', 'explain', 'on', 'off'] as const
  if (
    !methods.every((method) => typeof (flags as Partial<ProvidedFlags> | null | undefined)?.[method] === 'function')
  ) {
    throw new TypeError('EvenkeelProvider needs `flags`, such as a FeatureFlags: with has, explain, on and off')
  }
  if (targetingKey !== undefined && targetingKey !== 'user' && targetingKey !== 'guild') {
    throw new TypeError(`targetingKey must be 'user' or 'guild', not ${JSON.stringify(targetingKey)}`)
  }
  if (managed !== undefined && typeof managed !== 'boolean') throw new TypeError('managed must be true or false')
  if (onTrack !== undefined && typeof onTrack !== 'function') throw new TypeError('onTrack must be a function')
  return options
}
