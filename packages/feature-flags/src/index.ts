export { FeatureFlags } from './feature-flags.js'
export type { FlagScope, RunOptions } from './scope.js'
export type { FlagHandle, VariantHandle } from './handle.js'
export { featureFlagsDefaults, flagDefaults } from './options.js'
export type { FallbackOptions, FeatureFlagsOptions, RuleOptions, SharingOptions } from './options.js'
export type {
  BooleanFlag,
  BooleanFlagName,
  BooleanRule,
  CheckedDefinitions,
  CheckedRule,
  CheckedRules,
  CheckedWeights,
  CommonFlag,
  DeclaredBoolean,
  FlagDefinition,
  FlagDefinitions,
  FlagName,
  FlagOf,
  FlagValue,
  FoundFlag,
  FoundVariantFlag,
  JsonValue,
  LookedUp,
  LookedUpVariants,
  NoOthers,
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
export type {
  AttributeName,
  CheckedCondition,
  CheckedConditions,
  CheckedNegation,
  Condition,
  ConditionOperators,
  Conditions,
  ConditionsOn,
  Scalar,
} from './conditions/conditions.js'
export type {
  AttributesOf,
  AttributeType,
  AttributeTypes,
  AttributeValue,
  ContextArgument,
  ContextFor,
  FullContext,
  OmittedContext,
  OptionalAttribute,
  TypedContext,
} from './attributes.js'
export type {
  BucketByOf,
  Counted,
  CountedGuild,
  CountedId,
  CountedUser,
  CountingFlag,
  CountsIds,
  Lender,
  NamedByRequires,
  OwnBucketBy,
  WithBucketBy,
  WithPercentage,
  WithRequired,
  WithRequires,
  WithRules,
  WithShares,
  WithWeights,
} from './counted-id.js'
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
export type {
  Clock,
  FlagStore,
  RemovedNotice,
  ResetNotice,
  StoreCondition,
  StoredNotice,
  StoredRecord,
  StoredValue,
  StoredVersion,
  StoreNotice,
  StoreSetOptions,
} from './ports.js'
