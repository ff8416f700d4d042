export { acknowledgeDefaults, acknowledgeInTime, type AcknowledgeOptions } from './bolt/acknowledge-in-time.js'
export type { BoltArgs } from './bolt/bolt-args.js'
export { boltGate, type BoltGateOptions } from './bolt/bolt-gate.js'
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
