import { createHash } from 'node:crypto'
import type { BucketBy, Id } from '../context.js'
import { didYouMean } from '../nearest.js'
import type { Clock } from '../ports.js'
import { literal } from '../setting-problem.js'
import { systemClock } from '../system-clock.js'
import { systemRandom } from '../system-random.js'
import { checkPlan } from './check-plan.js'
import { ERROR_CHECK, LATENCY_CHECK } from './old-path.js'
import type { RollbackTriggers, RolloutPlan } from './plan.js'
import type { BatchSettings } from './rollback.js'
import { rolloutDefaults, type RolloutMeasures, type RolloutOptions } from './rollout-options.js'
import type { RolloutFlags, RolloutStore } from './rollout-ports.js'
import { FLAG_CHECK, type ValidationCheck } from './validation.js'

const others = [
  'flags',
  'flag',
  'plan',
  'store',
  'scope',
  'guilds',
  'check',
  'measure',
  'by',
  'validate',
  'clock',
  'random',
]

/** Options, checked and filled in. */
export interface RolloutSettings extends BatchSettings {
  readonly flags: RolloutFlags
  readonly flag: string
  readonly plan: RolloutPlan
  readonly fingerprint: string
  readonly version: string
  readonly store: RolloutStore
  /** The key of the record. */
  readonly key: string
  readonly isAlone: boolean
  readonly guilds: (() => Iterable<Id>) | undefined
  readonly check: (() => boolean | Promise<boolean>) | undefined
  readonly measure: (() => RolloutMeasures | Promise<RolloutMeasures>) | undefined
  readonly by: BucketBy
  readonly validate: Readonly<Record<string, ValidationCheck>>
  readonly clock: Clock
  readonly random: () => number
  readonly intervalMs: number
  readonly leaseMs: number
  readonly evidenceMs: number
  readonly timeoutMs: number
  readonly maxHoldMs: number
  readonly maxFallenBackMs: number
  readonly checkTimeoutMs: number
  readonly settleMs: number
  readonly gradually: boolean
}

/** The longest delay that a timer takes. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** @throws TypeError, RangeError naming the option, the value and what to write instead; FlagDocumentError for the plan */
export function readOptions(options: RolloutOptions): RolloutSettings {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('Rollout needs options: { flags, flag, plan, store }')
  }
  const known = [...others, ...Object.keys(rolloutDefaults)]
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue
    throw new TypeError(`Rollout has no option ${JSON.stringify(option)}${didYouMean(option, known)}`)
  }
  const { flags, flag, store, guilds, check, measure, clock, random } = options
  requireMethods('flags', flags, ['has', 'status', 'setShare', 'share', 'isEnabled', 'explain', 'on', 'off'])
  if (typeof flag !== 'string' || !flags.has(flag)) {
    throw new TypeError(`There is no flag ${literal(flag)} to roll out; declare it in the \`flags\` of FeatureFlags`)
  }
  // Throws where the flag has variants, and is neither on nor off.
  flags.isEnabled(flag)
  requireMethods('store', store, ['entry', 'compareAndSet', 'delete'])
  if (guilds !== undefined) requireMethods('guilds', options, ['guilds'])
  if (check !== undefined) requireMethods('check', options, ['check'])
  if (measure !== undefined) requireMethods('measure', options, ['measure'])
  if (random !== undefined) requireMethods('random', options, ['random'])
  if (clock !== undefined) requireMethods('clock', clock, ['now', 'monotonic', 'after'])
  const isAlone = readScope(options.scope, store.scope) === 'process'
  const plan = checkPlan(options.plan)
  if (measure === undefined) refuseUnmeasured(plan.triggers)
  const by = options.by ?? flags.status(flag).by ?? 'guild'
  if (by !== 'guild' && by !== 'user') throw new TypeError(`by must be 'guild' or 'user', not ${literal(by)}`)
  const durations = readDurations(options)
  const { gradually, version, batchGuilds } = { ...rolloutDefaults, ...given(options) }
  if (typeof gradually !== 'boolean') throw new TypeError(`gradually must be true or false, not ${literal(gradually)}`)
  if (typeof version !== 'string') throw new TypeError(`version must be a string, not ${literal(version)}`)
  if (!Number.isSafeInteger(batchGuilds) || batchGuilds < 1) {
    throw new RangeError(`batchGuilds must be a whole number of guilds from 1, not ${literal(batchGuilds)}`)
  }
  if (durations.intervalMs * 2 > durations.leaseMs) {
    const why = 'a driver that lives must not seem dead'
    throw new RangeError(
      `leaseMs is ${durations.leaseMs}, less than twice intervalMs, which is ${durations.intervalMs}: ${why}`,
    )
  }
  return {
    flags,
    flag,
    plan,
    fingerprint: fingerprintOf(plan),
    version,
    store,
    key: keyOf(flag),
    isAlone,
    guilds,
    check,
    measure,
    by,
    validate: readChecks(options.validate),
    clock: clock ?? systemClock,
    random: random ?? systemRandom,
    gradually,
    batchGuilds,
    ...durations,
  }
}

/** What each of these triggers goes by, and no call shows. */
const measuredBy = {
  memoryIncrease: 'memory',
  connectionFailures: 'database',
  queryTimeouts: 'database',
  minSatisfaction: 'satisfaction',
} satisfies Partial<Record<keyof RollbackTriggers, keyof RolloutMeasures>>

/** @throws RangeError when there is a trigger that could never fire */
function refuseUnmeasured(triggers: RollbackTriggers): void {
  for (const [trigger, measure] of Object.entries(measuredBy)) {
    if (triggers[trigger as keyof typeof measuredBy] === undefined) continue
    throw new RangeError(
      `The plan's trigger \`${trigger}\` can never fire without the option \`measure\`, which has to give \`${measure}\`. ` +
        'Measure it, or take the trigger out of the plan.',
    )
  }
}

/** Where a flag's rollout is kept. @throws TypeError when the flag's name is no well-formed text */
function keyOf(flag: string): string {
  try {
    return `rollout/${encodeURIComponent(flag)}`
  } catch {
    throw new TypeError(
      `The name of flag ${JSON.stringify(flag)} is no well-formed text, so nothing can be kept for it`,
    )
  }
}

/** Tells an edited plan from the one before. Its second part is about what it is judged by. */
function fingerprintOf(plan: RolloutPlan): string {
  const phases = plan.phases.map(({ name, percentage, targetGuilds, durationMs }) => {
    return [name, percentage, targetGuilds, durationMs]
  })
  const triggers = Object.entries(plan.triggers)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `${digest(phases)}-${digest(triggers)}`
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

const reach = { process: 0, machine: 1, cluster: 2 }

function readScope(asked: unknown, found: unknown): keyof typeof reach {
  const isScope = (scope: unknown): scope is keyof typeof reach =>
    typeof scope === 'string' && Object.hasOwn(reach, scope)
  if (!isScope(found)) {
    throw new TypeError(`store.scope must be 'process', 'machine' or 'cluster', not ${literal(found)}`)
  }
  if (asked === undefined && found === 'process') {
    throw new TypeError(
      'This store serves one process, and other processes of the bot would not see the rollout. ' +
        "If there are none, say so: scope: 'process'. Else pass a store of SQLite, PostgreSQL or Redis.",
    )
  }
  if (asked === undefined) return found
  if (!isScope(asked)) throw new TypeError(`scope must be 'process', 'machine' or 'cluster', not ${literal(asked)}`)
  if (reach[asked] <= reach[found]) return asked
  throw new TypeError(`The bot is served by ${plural[asked]}, but this store agrees only within one ${found}`)
}

const plural = { process: 'one process', machine: 'several processes', cluster: 'several machines' }

const durationNames = [
  'intervalMs',
  'evidenceMs',
  'leaseMs',
  'timeoutMs',
  'maxHoldMs',
  'maxFallenBackMs',
  'batchDelayMs',
  'maxRollbackMs',
  'checkTimeoutMs',
  'settleMs',
] as const

/** May be nothing at all. */
const mayBeZero: readonly string[] = ['settleMs']

type Durations = Record<(typeof durationNames)[number], number>

function readDurations(options: RolloutOptions): Durations {
  const all = { ...rolloutDefaults, ...given(options) }
  const durations = Object.fromEntries(durationNames.map((name) => [name, all[name]])) as Durations
  for (const [name, value] of Object.entries<unknown>(durations)) {
    const isLong = typeof value === 'number' && (value > 0 || (value === 0 && mayBeZero.includes(name)))
    if (isLong && value <= MAX_DELAY_MS) continue
    const least = mayBeZero.includes(name) ? 'from' : 'above'
    throw new RangeError(`${name} must be milliseconds ${least} 0, at most ${MAX_DELAY_MS}, not ${literal(value)}`)
  }
  return durations
}

/** What a rollout looks at by itself. */
const ownChecks: readonly string[] = [FLAG_CHECK, ERROR_CHECK, LATENCY_CHECK]

function readChecks(checks: unknown): Readonly<Record<string, ValidationCheck>> {
  if (checks === undefined) return {}
  if (typeof checks !== 'object' || checks === null) {
    throw new TypeError(
      `validate must be an object of functions, such as { commands: () => ... }, not ${literal(checks)}`,
    )
  }
  for (const [name, check] of Object.entries(checks)) {
    if (typeof check !== 'function') throw new TypeError(`validate: ${JSON.stringify(name)} is not a function`)
    if (ownChecks.includes(name)) throw new TypeError(`validate: ${JSON.stringify(name)} is always looked at`)
  }
  return { ...(checks as Record<string, ValidationCheck>) }
}

function requireMethods(name: string, value: unknown, methods: readonly string[]): void {
  const fields = Object(value) as Record<string, unknown>
  for (const method of methods) {
    if (typeof fields[method] === 'function') continue
    const hint = name === 'store' ? '; pass a collection of @evenkeel/storage-adapter' : ''
    throw new TypeError(`${method === name ? name : `${name}.${method}`} must be a function${hint}`)
  }
}

/** An option that is there but undefined is not given. */
function given<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}
