export { FeatureFlags } from './feature-flags.js'
export type { FlagScope, RunOptions } from './scope.js'
export type { FlagHandle, VariantHandle } from './handle.js'
export { featureFlagsDefaults, flagDefaults } from './options.js'
export type { FallbackOptions, FeatureFlagsOptions, SharingOptions } from './options.js'
export type {
  BooleanFlag,
  BooleanFlagName,
  BooleanRule,
  CheckedDefinitions,
  CommonFlag,
  FlagDefinition,
  FlagDefinitions,
  FlagName,
  FlagValue,
  JsonValue,
  OverrideValue,
  RuleMatch,
  SegmentDefinition,
  SegmentDefinitions,
  VariantAnswer,
  VariantFlag,
  VariantFlagName,
  VariantKey,
  VariantRule,
  VariantValue,
  WithVariants,
} from './definitions.js'
export type { Condition, ConditionOperators, Conditions, Scalar } from './conditions/conditions.js'
export type {
  AttributesOf,
  AttributeType,
  AttributeTypes,
  ContextArgument,
  ContextFor,
  TypedContext,
} from './attributes.js'
export type { Attributes, BucketBy, FlagContext, GuildTarget, Id, OverrideTarget, UserTarget } from './context.js'
export type { Evaluation, Explanation, Reason } from './explain.js'
export type {
  AllFlagsChange,
  ChangeReason,
  DeclarationChange,
  FeedChange,
  FlagChange,
  FlagEvents,
  FlagExpiry,
  FlagFailure,
  FlagNews,
  FlagRefusal,
  FlagStatus,
  OverrideChange,
  OverrideReason,
  PercentageChange,
  RanCall,
  Severity,
  StateChange,
  TargetChange,
} from './news.js'
export type { FlagShare, FlagState } from './table.js'
export type { FlagFeed, FlagSource } from './sources.js'
export { FlagDocumentError, type TextPlace } from './document-error.js'
export { FlagHeldOffError, FlagStoreError, UnknownFlagError } from './errors.js'
export type { Clock, FlagStore, StoredRecord, StoredValue, StoredVersion, StoreNotice } from './ports.js'
