export {
  grammyGate,
  grammyGateDefaults,
  type GatedContext,
  type GrammyGateOptions,
  type GrammyReply,
} from './grammy/grammy-gate.js'
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
