export { FeatureFlags } from './feature-flags.js'
export type { FlagScope, RunOptions } from './scope.js'
export { featureFlagsDefaults, flagDefaults } from './options.js'
export type { FallbackOptions, FeatureFlagsOptions } from './options.js'
export type {
  BooleanFlag,
  BooleanFlagName,
  CheckedDefinitions,
  FlagDefinition,
  FlagDefinitions,
  FlagName,
  FlagValue,
  VariantFlag,
  VariantFlagName,
  WithVariants,
} from './definitions.js'
export type { BucketBy, FlagContext, GuildTarget, Id, OverrideTarget, UserTarget } from './context.js'
export type { Explanation, Reason } from './explain.js'
export type {
  AllFlagsChange,
  ChangeReason,
  FlagChange,
  FlagEvents,
  FlagFailure,
  FlagNews,
  FlagStatus,
  OverrideChange,
  PercentageChange,
  Severity,
  StateChange,
} from './news.js'
export type { FlagState } from './table.js'
export { UnknownFlagError } from './errors.js'
export type { Clock } from './ports.js'
