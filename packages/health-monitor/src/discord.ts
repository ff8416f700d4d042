export {
  discordCheck,
  discordCheckDefaults,
  type DiscordCheckOptions,
  type DiscordClient,
  type DiscordGateway,
  type DiscordShard,
} from './checks/discord-check.js'
export {
  discordRestCheck,
  discordRestCheckDefaults,
  type DiscordRest,
  type DiscordRestCheck,
  type DiscordRestCheckOptions,
  type DiscordRestClient,
  type DiscordRestRequest,
  type DiscordRestResponse,
} from './checks/discord-rest-check.js'
export type { CheckOutcome, HealthCheck } from './check-result.js'
export type { Clock } from './ports.js'
