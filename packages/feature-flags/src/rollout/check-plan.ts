import { literal, quote } from '../setting-problem.js'
import {
  triggerDefaults,
  type PlanDefinition,
  type RollbackTriggers,
  type RolloutPhase,
  type RolloutPlan,
} from './plan.js'
import { readList, readRecord, refuse, refuseUnknown, type Path } from './plan-shape.js'
import { isCount } from './shape.js'

/** A phase as its author wrote it, with what its parts are called there. */
export interface PhaseDraft {
  readonly path: Path
  readonly name: unknown
  readonly percentage: unknown
  readonly targetGuilds: unknown
  readonly durationMs: unknown
  readonly fields: { readonly percentage: string; readonly targetGuilds: string; readonly duration: string }
}

/** The record of a rollout, and each piece of its news, carries the names: they stay within bounds. */
const MAX_PHASES = 1_000
const MAX_NAME = 100

const planFields = ['phases', 'triggers']
const phaseFields = ['name', 'percentage', 'targetGuilds', 'durationMs']
const fields = { percentage: 'percentage', targetGuilds: 'targetGuilds', duration: 'durationMs' }

/**
 * Checks a plan that is written in code, and works it out: a phase for each of a list of percentages, and target guilds
 * that stay in. A plan that was checked passes unchanged.
 *
 * @param definition - the phases in order, and what makes the rollout stop or go back
 * @throws {@link FlagDocumentError} when something in it cannot be; its `path` says where
 *
 * @example
 * ```ts
 * import { checkPlan } from '@evenkeel/feature-flags/rollout'
 *
 * const hour = 3_600_000
 * const { phases } = checkPlan({
 *   phases: [
 *     { name: 'testers', percentage: 0, targetGuilds: ['81384788765712384'], durationMs: 24 * hour },
 *     { name: 'gradual', percentage: [5, 25, 100], durationMs: 12 * hour },
 *   ],
 * })
 * console.log(phases.map(({ name }) => name).join(', ')) // => testers, gradual (5 %), gradual (25 %), gradual (100 %)
 * ```
 */
export function checkPlan(definition: PlanDefinition): RolloutPlan {
  const plan = readRecord(definition, [], 'A plan', '{ phases: [...], triggers: {...} }')
  refuseUnknown(plan, planFields, [], 'A plan')
  const drafts = readList(plan['phases'], ['phases'], 'phases').map((phase, i): PhaseDraft => {
    const path = ['phases', i]
    const record = readRecord(phase, path, 'A phase', "{ name: 'canary', percentage: 5, durationMs: 86_400_000 }")
    refuseUnknown(record, phaseFields, path, 'A phase')
    const { name, percentage, targetGuilds, durationMs } = record
    return { path, name, percentage, targetGuilds, durationMs, fields }
  })
  const phases = checkPhases(drafts)
  return { phases, triggers: checkTriggers(plan['triggers'], ['triggers']) }
}

/** Checks phases and what they are to each other. @throws FlagDocumentError */
export function checkPhases(drafts: readonly PhaseDraft[]): readonly RolloutPhase[] {
  const names = new Set<string>()
  const targets = new Set<string>()
  const phases: RolloutPhase[] = []
  for (const draft of drafts) {
    const { path, fields } = draft
    const name = checkName(draft)
    const durationMs = checkDuration(draft, name)
    for (const guildId of checkGuilds(draft, name)) targets.add(guildId)
    const percentages = checkPercentages(draft, name)
    const isList = Array.isArray(draft.percentage)
    for (const [i, percentage] of percentages.entries()) {
      const at = isList ? [...path, fields.percentage, i] : [...path, fields.percentage]
      const before = phases.at(-1)
      if (before !== undefined && percentage < before.percentage) {
        refuse(
          `Phase ${quote(name)} falls to ${percentage} % from the ${before.percentage} % of ${quote(before.name)}; a percentage never falls from one phase to the next`,
          at,
        )
      }
      const phaseName = isList ? `${name} (${percentage} %)` : name
      if (names.has(phaseName)) {
        refuse(
          `Two phases are called ${quote(phaseName)}; give each a name of its own`,
          isList ? at : [...path, 'name'],
        )
      }
      names.add(phaseName)
      if (phases.length === MAX_PHASES) {
        refuse('A plan has at most 1,000 phases, those of lists of percentages among them', at)
      }
      phases.push({ name: phaseName, percentage, targetGuilds: [...targets], durationMs })
    }
  }
  return phases
}

function checkName({ name, path }: PhaseDraft): string {
  if (name === undefined) refuse('A phase has no name; give it one, such as "canary"', path)
  if (typeof name === 'string' && name.length > MAX_NAME) {
    refuse(`The name of a phase has at most ${MAX_NAME} characters, not ${name.length}`, [...path, 'name'])
  }
  if (typeof name === 'string' && name.trim() !== '') return name
  return refuse(`The name of a phase must be a text that is not empty, not ${literal(name)}`, [...path, 'name'])
}

function checkDuration({ durationMs, path, fields }: PhaseDraft, name: string): number {
  const field = fields.duration
  const example = field === 'durationMs' ? 'such as 86_400_000 for a day' : 'such as "24h"'
  if (durationMs === undefined)
    refuse(`Phase ${quote(name)} has no \`${field}\`; say how long it takes, ${example}`, path)
  if (typeof durationMs === 'number' && Number.isSafeInteger(durationMs) && durationMs > 0) return durationMs
  return refuse(
    `Phase ${quote(name)}: \`${field}\` must be a whole number of milliseconds above 0, ${example}, not ${literal(durationMs)}`,
    [...path, field],
  )
}

function checkPercentages({ percentage, path, fields }: PhaseDraft, name: string): readonly number[] {
  const at = [...path, fields.percentage]
  if (percentage === undefined)
    refuse(`Phase ${quote(name)} has no \`${fields.percentage}\`; give one from 0 to 100`, path)
  if (!Array.isArray(percentage)) return [checkPercentage(percentage, at, name)]
  if (percentage.length === 0) refuse(`Phase ${quote(name)}: the list of percentages is empty; name at least one`, at)
  const checked = (percentage as readonly unknown[]).map((each, i) => checkPercentage(each, [...at, i], name))
  for (const [i, each] of checked.entries()) {
    const before = checked[i - 1] ?? -1
    if (each > before) continue
    refuse(`Phase ${quote(name)}: a list of percentages must rise, and ${each} comes after ${before}`, [...at, i])
  }
  return checked
}

function checkPercentage(percentage: unknown, at: Path, name: string): number {
  if (typeof percentage === 'number' && percentage >= 0 && percentage <= 100) return percentage
  return refuse(`Phase ${quote(name)}: a percentage must be a number from 0 to 100, not ${literal(percentage)}`, at)
}

function checkGuilds({ targetGuilds, path, fields }: PhaseDraft, name: string): readonly string[] {
  if (targetGuilds === undefined) return []
  const at = [...path, fields.targetGuilds]
  if (!Array.isArray(targetGuilds)) {
    refuse(
      `Phase ${quote(name)}: \`${fields.targetGuilds}\` must be a list of guild ids, not ${literal(targetGuilds)}`,
      at,
    )
  }
  return (targetGuilds as readonly unknown[]).map((id, i) => checkGuild(id, [...at, i], name))
}

function checkGuild(id: unknown, at: Path, name: string): string {
  if (typeof id === 'string' && /\d/.test(id)) return id.trim()
  if (typeof id === 'bigint' && id >= 0n) return String(id)
  if (typeof id === 'number') {
    if (Number.isSafeInteger(id) && id >= 0) return String(id)
    refuse(
      `Phase ${quote(name)}: the guild id ${id} is a number that cannot hold every digit of an id, so it may have lost some; quote it: "81384788765712384"`,
      at,
    )
  }
  return refuse(`Phase ${quote(name)}: a guild id must be a text such as "81384788765712384", not ${literal(id)}`, at)
}

/** What each trigger must be. */
const triggerRules: {
  readonly [Name in keyof RollbackTriggers]-?: readonly [isRight: (value: number) => boolean, must: string]
} = {
  errorRateIncrease: [isAboveZero, 'above 0, such as 0.2 for 20 % more'],
  responseTimeIncrease: [isAboveZero, 'above 0, such as 0.5 for 50 % more'],
  userReports: [isCount, 'a whole number, 0 or more, such as 5'],
  memoryIncrease: [isAboveZero, 'above 0, such as 0.3 for 30 % more'],
  connectionFailures: [isCount, 'a whole number, 0 or more, such as 3'],
  queryTimeouts: [isCount, 'a whole number, 0 or more, such as 5'],
  maxErrorRatio: [(value) => value > 0 && value < 1, 'above 0 and below 1, such as 0.05 for 5 %'],
  maxResponseTimeMs: [isAboveZero, 'a number of milliseconds above 0, such as 2_000'],
  minSatisfaction: [Number.isFinite, 'a number'],
}

/** Checks triggers; `undefined` stands for the defaults. @throws FlagDocumentError */
export function checkTriggers(triggers: unknown, path: Path): RollbackTriggers {
  if (triggers === undefined) return triggerDefaults
  const record = readRecord(triggers, path, 'Triggers', '{ errorRateIncrease: 0.2 }')
  refuseUnknown(record, Object.keys(triggerRules), path, 'A rollout')
  const checked: Record<string, number> = {}
  for (const [name, [isRight, must]] of Object.entries(triggerRules)) {
    const value = record[name]
    if (value === undefined) continue
    if (typeof value !== 'number' || !isRight(value)) {
      refuse(`\`${name}\` must be ${must}, not ${literal(value)}`, [...path, name])
    }
    checked[name] = value
  }
  return checked
}

function isAboveZero(value: number): boolean {
  return value > 0 && Number.isFinite(value)
}
