export { answerOnce, deferOnce, isAlreadyAnswered, isTooLate } from './discord/answer-once.js'
export type { AnswerOutcome, DeferrableInteraction } from './discord/answer-once.js'
export { AnswerWindow, answerWindowDefaults, type AnswerWindowOptions } from './discord/answer-window.js'
export {
  contextOf,
  contextOfDispatch,
  type DiscordContext,
  type GatewayDispatch,
  type WholeInteraction,
} from './discord/context-of.js'
export type { AnyDiscordEvent, DiscordEvent } from './discord/discord-event.js'
export { forwardEvents, type EventSource, type EventTaker, type ForwardOptions } from './discord/forward-events.js'
export { gatewayBudgetCheck, type GatewayRest } from './discord/gateway-budget-check.js'
export {
  isConnected,
  type ConnectedClient,
  type ConnectedGateway,
  type ConnectedGuild,
  type ConnectedGuilds,
  type ConnectedShard,
} from './discord/is-connected.js'
export { nonceOf } from './discord/nonce-of.js'
export { SessionHeldError } from './discord/session/errors.js'
export type { SessionChange, SessionHandoverEvents } from './discord/session/events.js'
export {
  sessionHandoverDefaults,
  type SessionHandoverDefaults,
  type SessionHandoverOptions,
} from './discord/session/options.js'
export type { GatewayManager, SessionInfo } from './discord/session/ports.js'
export {
  SessionHandover,
  type SessionDrained,
  type SessionDrainOptions,
  type SessionHandoverStatus,
  type SessionProgress,
} from './discord/session/session-handover.js'
export { StateFormatError, StoreUnavailableError } from './errors.js'
export type { EventOfTheDead, Replaced } from './restart/events.js'
export type { EventWork } from './restart/options.js'
export type { ClaimWrite, SharedStore } from './restart/ports.js'
export type { Effects } from './slots/worker-options.js'
export { CheckFailedError } from './preparation/check.js'
export {
  identifyBudgetDefaults,
  type IdentifyBudget,
  type IdentifyBudgetOptions,
} from './preparation/identify-budget-check.js'
export type { Severity } from './changes.js'
export type { EventContext, Id } from './context.js'
export type { Clock, StateStore, StoredValue, StoredVersion } from './ports.js'
