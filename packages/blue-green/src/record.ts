import { StateFormatError } from './errors.js'
import { checksumOf } from './checksum.js'
import type { BackupMade, Migrated, PlannedMigration, ProbeResult } from './plan.js'
import type { HealthStatus } from './ports.js'
import {
  isOver,
  type DeploymentState,
  type Descent,
  type MigrationInPlace,
  type Phase,
  type State,
} from './transitions.js'

/** A release that changes the shape raises it and keeps reading the old ones. */
const format = 2

/** A transition that the deployment has behind it. */
export interface LogEntry {
  /** When, in epoch ms. */
  readonly at: number
  /** The phase from then on. */
  readonly phase: Phase
  /** Green's share from then on, 0 to 100. */
  readonly percentage: number
  /** Why, as a clause. */
  readonly why: string
}

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
  /** What the cause rests on, as a sentence; `null` where it says all. */
  readonly evidence: string | null
  readonly state: State
  /** The transitions of the last deployment, the last of them if they are many. */
  readonly log: readonly LogEntry[]
  /** Of all the other fields. */
  readonly checksum: string
}

/** So many transitions are kept: the first of a deployment are what anybody asks for, and the last. */
const maxLog = 100

export function makeRecord(fields: Omit<StateRecord, 'format' | 'checksum'>): StateRecord {
  const record = { format, ...fields } as const
  return { ...record, checksum: checksumOf(record) }
}

/** Whether a record was written after another one, which may be missing. */
export function isNewer(record: StateRecord, than: Pick<StateRecord, 'epoch' | 'sequence'> | undefined): boolean {
  if (than === undefined || record.epoch !== than.epoch) return than === undefined || record.epoch > than.epoch
  return record.sequence > than.sequence
}

/** The log with a transition more, if it is one. A deployment begins its own. */
export function logged(
  log: readonly LogEntry[],
  before: State,
  after: State,
  why: string,
  at: number,
): readonly LogEntry[] {
  const { deployment } = after
  if (deployment === null) return log
  const own = deployment.id === before.deployment?.id ? log : []
  const { phase, percentage } = deployment
  const last = own.at(-1)
  if (last?.phase === phase && last.percentage === percentage) return own
  const next = [...own, { at, phase, percentage, why }]
  return next.length <= maxLog ? next : [...next.slice(0, maxLog / 2), ...next.slice(-maxLog / 2)]
}

/**
 * Checks what the store returned before anything is routed by it.
 *
 * @throws StateFormatError when it is newer than this release, damaged, or nothing that this package wrote
 */
export function readRecord(key: string, value: unknown): StateRecord {
  if (!isObject(value) || typeof value['format'] !== 'number') {
    throw new StateFormatError(key, undefined, format, 'it carries no format version')
  }
  if (value['format'] === 1) return readRecord(key, upgraded(key, value))
  if (value['format'] !== format) {
    throw new StateFormatError(key, value['format'], format, `it has format ${value['format']}`)
  }
  const { state } = value
  const wrong = firstWrong(value, recordShape) ?? firstWrong(state, stateShape) ?? wrongInPlace(state)
  if (wrong !== undefined) {
    throw new StateFormatError(key, format, format, `its field "${wrong}" is missing or malformed`)
  }
  const { checksum, ...rest } = value
  if (checksum !== checksumOf(rest))
    throw new StateFormatError(key, format, format, 'it is damaged: its checksum differs')
  return completed(value as unknown as StateRecord)
}

/** What was written before there were acceptance tests has none. */
function completed(record: StateRecord): StateRecord {
  const { deployment } = record.state
  if (deployment === null || Object.hasOwn(deployment, 'acceptanceTests')) return record
  return { ...record, state: { ...record.state, deployment: { ...deployment, acceptanceTests: [] } } }
}

/** What the first release wrote: steps by time, and nothing around them. */
function upgraded(key: string, value: Record<string, unknown>): StateRecord {
  const wrong = firstWrong(value, firstRecordShape) ?? firstWrong(value['state'], firstStateShape)
  if (wrong !== undefined) throw new StateFormatError(key, 1, format, `its field "${wrong}" is missing or malformed`)
  const { epoch, sequence, controller, at, cause, state } = value as unknown as StateRecord
  const { active, rolledBack, deployment } = state
  const count = deployment === null ? 0 : 1
  return makeRecord({
    epoch,
    sequence,
    controller,
    at,
    cause,
    evidence: null,
    log: [],
    state: {
      active,
      rolledBack,
      count,
      deployment: deployment && {
        ...deployment,
        number: count,
        bakeMs: 0,
        advance: 'time',
        minEvents: 0,
        backup: false,
        migration: null,
        checks: [],
        smokeTests: [],
        canaryTests: [],
        acceptanceTests: [],
        validations: [],
        awaitsEvidence: false,
        isOverruled: false,
        migrated: 'NO',
        backedUp: null,
        results: [],
        descent: null,
      },
    },
  })
}

type Shape = Record<string, (value: unknown) => boolean>

const firstRecordShape: Shape = {
  epoch: isCount,
  sequence: isCount,
  controller: isText,
  cause: isText,
  at: isFinite,
  state: isObject,
}

const recordShape: Shape = {
  ...firstRecordShape,
  evidence: (value) => value === null || isText(value),
  log: (value) => isListOf(value, (entry) => isObject(entry) && firstWrong(entry, logShape) === undefined),
  checksum: isText,
}

const logShape: Shape = { at: isFinite, phase: isPhase, percentage: isPercentage, why: isText }

const firstStateShape: Shape = {
  active: isText,
  rolledBack: isTexts,
  deployment: (value) => value === null || isDeployment(value, firstDeploymentShape, 0),
}

const stateShape: Shape = {
  ...firstStateShape,
  count: isCount,
  deployment: (value) => value === null || isDeployment(value, deploymentShape, 1),
}

const phases: Record<Phase, true> = {
  IDLE: true,
  PRECHECK: true,
  BACKUP: true,
  MIGRATING: true,
  GREEN_STAGING: true,
  SMOKE: true,
  CANARY_TESTING: true,
  SHIFTING_TRAFFIC: true,
  HOLD: true,
  BAKING: true,
  DRAINING_BLUE: true,
  COMPLETE: true,
  ROLLING_BACK: true,
  VALIDATING_ROLLBACK: true,
  ROLLED_BACK: true,
  FROZEN: true,
  FAILED: true,
}

const healthStatuses: Record<HealthStatus, true> = { up: true, degraded: true, down: true, unknown: true }
const migratedStates: Record<Migrated, true> = {
  NO: true,
  BEGUN: true,
  DONE: true,
  UNDOING: true,
  UNDONE: true,
  STUCK: true,
}
const probeKinds: Record<ProbeResult['kind'], true> = {
  checks: true,
  smokeTests: true,
  canaryTests: true,
  acceptanceTests: true,
  validations: true,
}

const firstDeploymentShape: Shape = {
  id: isText,
  from: isText,
  to: isText,
  salt: isText,
  phase: (value) => isPhase(value) && value !== 'IDLE',
  healthAtStart: oneOf(healthStatuses),
  percentages: (value) => isListOf(value, isPercentage) && value.length > 0,
  percentage: isPercentage,
  step: (value) => value === -1 || isCount(value),
  stepMs: isDuration,
  maxHoldMs: isDuration,
  elapsedMs: isDuration,
  first: isTexts,
  heldByHand: (value) => value === null || isText(value),
}

const deploymentShape: Shape = {
  ...firstDeploymentShape,
  number: isCount,
  stepMs: (value) => isDuration(value) || isListOf(value, isDuration),
  bakeMs: isDuration,
  advance: (value) => value === 'evidence' || value === 'time',
  minEvents: isCount,
  backup: isBoolean,
  migration: shaped<PlannedMigration>({ name: isText, irreversible: isBoolean, isUndoable: isBoolean }),
  checks: isTexts,
  smokeTests: isTexts,
  canaryTests: isTexts,
  validations: isTexts,
  awaitsEvidence: isBoolean,
  isOverruled: isBoolean,
  migrated: oneOf(migratedStates),
  backedUp: shaped<BackupMade>({ id: isText, at: isFinite, bytes: (value) => value === null || isFinite(value) }),
  results: (value) => isListOf(value, (each) => each !== null && isResult(each)),
  descent: shaped<Descent>({ percentages: (value) => isListOf(value, isPercentage), pauseMs: isDuration }),
}

/** Either of the first two is absent. */
const areBatches = (value: unknown): boolean => {
  if (value === null) return true
  const { percentages, size, pauseMs } = Object(value) as Record<string, unknown>
  const isList = percentages === undefined || isListOf(percentages, isPercentage)
  return isList && (size === undefined || isPercentage(size)) && isDuration(pauseMs)
}

const isResult = shaped<ProbeResult>({
  kind: oneOf(probeKinds),
  name: isText,
  isPassed: isBoolean,
  why: isText,
  tookMs: isDuration,
})

const isInPlace = shaped<MigrationInPlace>({
  deploymentId: isText,
  from: isText,
  name: isText,
  irreversible: isBoolean,
})

function wrongInPlace(state: unknown): string | undefined {
  const { inPlace = [] } = state as { readonly inPlace?: unknown }
  return Array.isArray(inPlace) && inPlace.every((each) => each !== null && isInPlace(each)) ? undefined : 'inPlace'
}

/** @param beyond - how far beyond the last share the step may be */
function isDeployment(value: unknown, shape: Shape, beyond: number): boolean {
  if (!isObject(value) || firstWrong(value, shape) !== undefined) return false
  const {
    step,
    percentages,
    stepMs,
    phase,
    rollbackBatches = null,
    acceptanceTests = [],
  } = value as unknown as DeploymentState
  if (!areBatches(rollbackBatches) || !isTexts(acceptanceTests)) return false
  if (typeof stepMs !== 'number' && stepMs.length !== percentages.length) return false
  const most = (isOver(phase) ? 1 : beyond) + (acceptanceTests.length > 0 ? 1 : 0)
  return step < percentages.length + most
}

/** `null`, or an object of this shape. */
function shaped<T>(shape: Record<keyof T & string, (value: unknown) => boolean>): (value: unknown) => boolean {
  return (value) => value === null || (isObject(value) && firstWrong(value, shape) === undefined)
}

function firstWrong(value: unknown, shape: Shape): string | undefined {
  const fields = value as Record<string, unknown>
  return Object.keys(shape).find((name) => !Object.hasOwn(fields, name) || shape[name]?.(fields[name]) !== true)
}

function oneOf(known: object): (value: unknown) => boolean {
  return (value) => isText(value) && Object.hasOwn(known, value)
}

function isListOf(value: unknown, isOne: (each: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isOne)
}

function isTexts(value: unknown): boolean {
  return isListOf(value, isText)
}

function isPhase(value: unknown): value is Phase {
  return isText(value) && Object.hasOwn(phases, value)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
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
