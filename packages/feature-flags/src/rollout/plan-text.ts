import { readFile } from 'node:fs/promises'
import { FlagDocumentError } from '../document-error.js'
import { formatOf, parseText, withPlace } from '../file/parse-text.js'
import { literal, quote } from '../setting-problem.js'
import { checkPhases, checkTriggers, type PhaseDraft } from './check-plan.js'
import { durationExamples, parseDuration } from './duration.js'
import { triggerDefaults, type RollbackTriggers, type RolloutPlan } from './plan.js'
import { readList, readRecord, refuse, refuseUnknown, type Path } from './plan-shape.js'

/** How a plan is written down. */
export type PlanFormat = 'yaml' | 'json'

/**
 * Reads a plan from a file of YAML (`.yaml`, `.yml`; needs the package `yaml`) or JSON (`.json`).
 *
 * @param path - of the file
 * @throws {@link FlagDocumentError} when something in it cannot be: with the line and what to write instead
 * @throws the error of the file system when it cannot be read
 *
 * @example
 * ```ts
 * import { mkdtemp, writeFile } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { readPlan } from '@evenkeel/feature-flags/rollout'
 *
 * const path = join(await mkdtemp(join(tmpdir(), 'plan-')), 'rollout.yaml')
 * await writeFile(path, `
 * rollout_strategy:
 *   type: "canary"
 *   phases:
 *     - name: "canary"
 *       percentage: 5
 *       duration: "24h"
 *   rollback_triggers:
 *     - error_rate_increase: 20%
 * `)
 * console.log((await readPlan(path)).triggers) // => { errorRateIncrease: 0.2 }
 * ```
 */
export async function readPlan(path: string): Promise<RolloutPlan> {
  const format = formatOf(path)
  if (format === undefined) {
    throw new TypeError(`A plan is a file that ends in .yaml, .yml or .json, unlike ${quote(path)}`)
  }
  return parsePlan(await readFile(path, 'utf8'), format, path)
}

/**
 * Reads a plan from a text.
 *
 * @param text - with `rollout_strategy` at its top
 * @param format - how it is written
 * @param name - what messages call it, such as the path of a file
 * @throws {@link FlagDocumentError} when something in it cannot be: with the line and what to write instead
 *
 * @example
 * ```ts
 * import { parsePlan } from '@evenkeel/feature-flags/rollout'
 *
 * const phases = [{ name: 'canary', percentage: [5, 25, 100], duration_per_phase: '1h30m' }]
 * const plan = await parsePlan(JSON.stringify({ rollout_strategy: { type: 'canary', phases } }), 'json')
 * console.log(plan.phases[1]?.name, plan.phases[1]?.durationMs) // => canary (25 %) 5400000
 * ```
 */
export async function parsePlan(text: string, format: PlanFormat, name = 'plan'): Promise<RolloutPlan> {
  const parsed = await parseText(text, format, name)
  try {
    return readDocument(parsed.value)
  } catch (error) {
    throw withPlace(error, name, parsed)
  }
}

const strategyFields = ['type', 'phases', 'rollback_triggers']
const phaseFields = ['name', 'percentage', 'target_guilds', 'duration', 'duration_per_phase']

function readDocument(value: unknown): RolloutPlan {
  const document = readRecord(value, [], 'A plan', '{ rollout_strategy: { type: "canary", phases: [...] } }')
  refuseUnknown(document, ['rollout_strategy'], [], 'A plan')
  const path = ['rollout_strategy']
  const strategy = readRecord(
    document['rollout_strategy'],
    path,
    '`rollout_strategy`',
    '{ type: "canary", phases: [...] }',
  )
  refuseUnknown(strategy, strategyFields, path, '`rollout_strategy`')
  const { type } = strategy
  if (type === undefined) refuse('`rollout_strategy` has no `type`; write type: "canary"', path)
  if (type !== 'canary') refuse(`The only \`type\` is "canary", not ${literal(type)}`, [...path, 'type'])
  const list = readList(strategy['phases'], [...path, 'phases'], 'phases')
  const phases = checkPhases(list.map((phase, i) => readPhase(phase, [...path, 'phases', i])))
  return { phases, triggers: readTriggers(strategy['rollback_triggers'], [...path, 'rollback_triggers']) }
}

function readPhase(value: unknown, path: Path): PhaseDraft {
  const phase = readRecord(value, path, 'A phase', '{ name: "canary", percentage: 5, duration: "24h" }')
  refuseUnknown(phase, phaseFields, path, 'A phase')
  const isList = Array.isArray(phase['percentage'])
  const [duration, other] = isList
    ? (['duration_per_phase', 'duration'] as const)
    : (['duration', 'duration_per_phase'] as const)
  if (phase[other] !== undefined) {
    const what = isList ? 'a list of percentages' : 'one percentage'
    refuse(`A phase with ${what} takes \`${duration}\`, not \`${other}\``, [...path, other])
  }
  const percentage = isList
    ? (phase['percentage'] as readonly unknown[]).map((each, i) => readShare(each, [...path, 'percentage', i]))
    : readShare(phase['percentage'], [...path, 'percentage'])
  return {
    path,
    name: phase['name'],
    percentage,
    targetGuilds: phase['target_guilds'],
    durationMs: readDuration(phase[duration], [...path, duration]),
    fields: { percentage: 'percentage', targetGuilds: 'target_guilds', duration },
  }
}

/** A share of guilds may be written `5` or `5%`: both are percent. */
function readShare(value: unknown, path: Path): unknown {
  if (typeof value !== 'string') return value
  return percentOf(value) ?? refuse(`A percentage is written 5 or "5%", not ${quote(value)}`, path)
}

function readDuration(value: unknown, path: Path): unknown {
  if (value === undefined) return undefined
  const ms = typeof value === 'string' ? parseDuration(value) : undefined
  if (ms === undefined || ms === 0) refuse(`A duration is written ${durationExamples}, not ${literal(value)}`, path)
  return ms
}

/** How each trigger is written, and what it means. */
const triggerNames: Readonly<
  Record<string, readonly [name: keyof RollbackTriggers, read: (value: unknown, path: Path, name: string) => unknown]>
> = {
  error_rate_increase: ['errorRateIncrease', readRatio],
  response_time_degradation: ['responseTimeIncrease', readRatio],
  user_complaints: ['userReports', asItIs],
  memory_usage_increase: ['memoryIncrease', readRatio],
  database_connection_failures: ['connectionFailures', asItIs],
  database_query_timeouts: ['queryTimeouts', asItIs],
  max_error_rate: ['maxErrorRatio', readRatio],
  max_response_time: ['maxResponseTimeMs', readTime],
  min_satisfaction: ['minSatisfaction', asItIs],
}

function readTriggers(value: unknown, path: Path): RollbackTriggers {
  if (value === undefined) return triggerDefaults
  if (value === null) {
    refuse('`rollback_triggers` is empty; write [] for a plan by time alone, or leave it out for the usual ones', path)
  }
  if (!Array.isArray(value)) {
    refuse('`rollback_triggers` must be a list of one trigger each, such as "- error_rate_increase: 20%"', path)
  }
  const triggers: Record<string, unknown> = {}
  for (const [i, each] of (value as readonly unknown[]).entries()) {
    const at = [...path, i]
    const trigger = readRecord(each, at, 'A trigger', '{ error_rate_increase: "20%" }')
    refuseUnknown(trigger, Object.keys(triggerNames), at, 'A rollout')
    const [written, ...more] = Object.keys(trigger)
    if (written === undefined || more.length > 0) {
      refuse('Each of `rollback_triggers` names one trigger; put "- " before each of them', at)
    }
    const [name, read] = triggerNames[written] as (typeof triggerNames)[string]
    if (Object.hasOwn(triggers, name)) refuse(`\`${written}\` is given twice; which one counts?`, [...at, written])
    const number = read(trigger[written], [...at, written], written)
    checkTrigger(name, written, number, [...at, written])
    triggers[name] = number
  }
  return checkTriggers(triggers, path)
}

/** Tells of a wrong value by the name under which it was written. */
function checkTrigger(name: string, written: string, value: unknown, path: Path): void {
  try {
    checkTriggers({ [name]: value }, [])
  } catch (error) {
    if (error instanceof FlagDocumentError) refuse(error.reason.replace(name, written), path)
    throw error
  }
}

function asItIs(value: unknown): unknown {
  return value
}

/** @returns a ratio: 0.2 of `20%` and of `20` */
function readRatio(value: unknown, path: Path, name: string): number {
  if (typeof value === 'string') {
    const percent = percentOf(value)
    if (percent !== undefined) return percent / 100
    if (value.trim() !== '' && Number.isFinite(Number(value))) {
      refuse(`\`${name}\` is ${quote(value)}, a text without a unit; write ${value.trim()}%`, path)
    }
  }
  if (typeof value === 'number' && value > 0 && value < 1) {
    const percent = Number((value * 100).toPrecision(12))
    refuse(`\`${name}\` is ${value}: write ${percent}% if it is a ratio, or "${value}%" if it is meant so small`, path)
  }
  if (typeof value === 'number' && Number.isFinite(value)) return value / 100
  return refuse(`\`${name}\` is a percentage, written 20% or 20, not ${literal(value)}`, path)
}

/** Shorter than this is more likely to be meant as seconds. */
const LEAST_MS = 10

/** @returns milliseconds of `2s`, of `500ms`, and of `500` */
function readTime(value: unknown, path: Path, name: string): number {
  const ms = typeof value === 'string' ? parseDuration(value) : value
  if (typeof ms === 'number' && ms >= LEAST_MS) return ms
  return refuse(`\`${name}\` is a time, written "500ms", "2s" or 500 (milliseconds), not ${literal(value)}`, path)
}

/** @returns 20 of `20%`; `undefined` when it is no percentage */
function percentOf(text: string): number | undefined {
  const digits = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
