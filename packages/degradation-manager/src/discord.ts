export {
  discordCommandDefaults,
  discordGate,
  discordGateDefaults,
  type DiscordCommandRule,
  type DiscordGateOptions,
} from './discord/discord-gate.js'
export type { EphemeralReply, GatedInteraction } from './discord/interaction.js'
export type {
  CommandRule,
  GateAdmission,
  GateContext,
  GateFlags,
  GateModes,
  GateOptions,
  Refused,
} from './gate/gate-options.js'
export { politeReply, type PoliteExplanation, type PoliteReplyOptions } from './gate/polite-reply.js'
export type { PoliteFacts, PoliteKind, PoliteText, PoliteTexts } from './gate/texts.js'
