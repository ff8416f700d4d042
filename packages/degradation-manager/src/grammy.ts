export {
  grammyGate,
  type GatedContext,
  type GrammyEntity,
  type GrammyGateOptions,
  type GrammyReply,
} from './grammy/grammy-gate.js'
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
