import { StateFormatError } from './errors.js'
import type { HealthStatus } from './ports.js'
import type { DeploymentState, State } from './transitions.js'

/** The only format so far. A release that changes the shape raises it and keeps reading the old one. */
const format = 1

/** One transition as it stands in the store: the state, who wrote it, and why. */
export interface StateRecord {
  readonly format: typeof format
  /** The fencing token: each controller that takes over raises it. */
  readonly epoch: number
  /** One more with each attempt to write. */
  readonly sequence: number
  /** Tells two controllers apart that raised to the same epoch at once. */
  readonly controller: string
  /** When, in epoch ms. For people; nothing is ordered by it. */
  readonly at: number
  readonly cause: string
  readonly state: State
}

export function makeRecord(fields: Omit<StateRecord, 'format'>): StateRecord {
  return { format, ...fields }
}

/**
 * Checks what the store returned before anything is routed by it.
 *
 * @throws StateFormatError when it is newer than this release, or nothing that this package wrote
 */
export function readRecord(key: string, value: unknown): StateRecord {
  if (!isObject(value) || typeof value['format'] !== 'number') {
    throw new StateFormatError(key, undefined, format, 'it carries no format version')
  }
  if (value['format'] !== format) {
    throw new StateFormatError(key, value['format'], format, `it has format ${value['format']}`)
  }
  const wrong = firstWrong(value, recordShape) ?? firstWrong(value['state'], stateShape)
  if (wrong !== undefined)
    throw new StateFormatError(key, format, format, `its field "${wrong}" is missing or malformed`)
  return value as unknown as StateRecord
}

type Shape = Record<string, (value: unknown) => boolean>

const recordShape: Shape = {
  epoch: isCount,
  sequence: isCount,
  controller: isText,
  cause: isText,
  at: isFinite,
  state: isObject,
}

const stateShape: Shape = {
  active: isText,
  rolledBack: (value) => Array.isArray(value) && value.every(isText),
  deployment: (value) => value === null || isDeployment(value),
}

const phases: Record<DeploymentState['phase'], true> = {
  GREEN_STAGING: true,
  CANARY_TESTING: true,
  SHIFTING_TRAFFIC: true,
  HOLD: true,
  DRAINING_BLUE: true,
  COMPLETE: true,
  ROLLING_BACK: true,
  ROLLED_BACK: true,
}

const healthStatuses: Record<HealthStatus, true> = { up: true, degraded: true, down: true, unknown: true }

const deploymentShape: Shape = {
  id: isText,
  from: isText,
  to: isText,
  salt: isText,
  phase: (value) => isText(value) && Object.hasOwn(phases, value),
  healthAtStart: (value) => isText(value) && Object.hasOwn(healthStatuses, value),
  percentages: (value) => Array.isArray(value) && value.length > 0 && value.every(isPercentage),
  percentage: isPercentage,
  step: (value) => value === -1 || isCount(value),
  stepMs: isDuration,
  maxHoldMs: isDuration,
  elapsedMs: isDuration,
  first: (value) => Array.isArray(value) && value.every(isText),
  heldByHand: (value) => value === null || isText(value),
}

function isDeployment(value: unknown): boolean {
  if (!isObject(value) || firstWrong(value, deploymentShape) !== undefined) return false
  const { step, percentages } = value as unknown as DeploymentState
  return step < percentages.length
}

function firstWrong(value: unknown, shape: Shape): string | undefined {
  const fields = value as Record<string, unknown>
  return Object.keys(shape).find((name) => !Object.hasOwn(fields, name) || shape[name]?.(fields[name]) !== true)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isFinite(value: unknown): value is number {
  return Number.isFinite(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isDuration(value: unknown): boolean {
  return isFinite(value) && value >= 0
}

function isPercentage(value: unknown): boolean {
  return isFinite(value) && value >= 0 && value <= 100
}
