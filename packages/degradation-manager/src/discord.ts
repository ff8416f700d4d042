export {
  discordCommandDefaults,
  discordGate,
  discordGateDefaults,
  type DiscordCommandRule,
  type DiscordGateOptions,
} from './discord/discord-gate.js'
export type { EphemeralReply, GatedInteraction } from './discord/interaction.js'
export {
  gateDefaults,
  type CommandRule,
  type GateAdmission,
  type GateContext,
  type GateFlags,
  type GateModes,
  type GateOptions,
  type Refused,
} from './gate/gate-options.js'
export { politeReply, type PoliteExplanation, type PoliteReplyOptions } from './gate/polite-reply.js'
export type { PoliteFacts, PoliteKind, PoliteText, PoliteTexts } from './gate/texts.js'
