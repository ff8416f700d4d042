export { startStandin, type StandinProcess } from './process.js'
export { DiscordStandin, type InProcessOptions } from './standin.js'
export { standinDefaults, type StandinOptions } from './options.js'
export type {
  Answer,
  AskRequest,
  CommandRequest,
  LedgerQuery,
  PressRequest,
  Standin,
  TrafficCommand,
  TrafficPlan,
} from './contract.js'
export type {
  CloseFault,
  DropFault,
  DuplicateEventsFault,
  Fault,
  InvalidSessionFault,
  RateLimit,
  ReconnectFault,
  RefuseGatewayFault,
  RestFault,
  RestOutcome,
  SilenceFault,
  ZombieFault,
} from './faults.js'
export type {
  CommandOptions,
  Ledger,
  LedgerAttempt,
  LedgerEvent,
  LedgerFollowUp,
  LedgerGateway,
  LedgerMessage,
  LedgerPress,
  RepeatedNonce,
} from './ledger.js'
export type { StandinGuild } from './world.js'
