import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bucketOf, thresholdOf } from './bucketing.js'
import { variableOf } from './environment.js'
import { FeatureFlags } from './index.js'
import { murmur3 } from './murmur3.js'

// A second, slow and recursive reading of the rules, to hold the compiled table against.

interface Model {
  readonly default: boolean
  readonly percentage: number | undefined
  readonly by: 'guild' | 'user' | undefined
  readonly salt: string | undefined
  readonly requires: readonly number[]
  readonly environment: 'on' | 'off' | number | undefined
  readonly isDisabled: boolean
  readonly livePercentage: number | undefined
  readonly users: readonly [string, boolean][]
  readonly guilds: readonly [string, boolean][]
  readonly targetGuilds: readonly string[]
  readonly rules: readonly ModelRule[]
}

interface ModelRule {
  readonly when: { readonly guildId?: readonly string[]; readonly plan?: string }
  readonly value?: boolean
  readonly percentage?: number
}

interface Context {
  readonly guildId: string | null
  readonly userId: string | null
  readonly attributes: { readonly plan: string }
}

/** A property of a flag's own or, failing that, of the first flag that it requires. */
function inherited<K extends 'by' | 'salt'>(models: readonly Model[], index: number, key: K, atRoot: string): string {
  const { [key]: own, requires } = models[index] as Model
  if (own !== undefined) return own
  return requires[0] === undefined
    ? atRoot
    : inherited(models, requires[0], key, key === 'salt' ? `flag${requires[0]}` : atRoot)
}

function answer(models: readonly Model[], index: number, context: Context): boolean {
  const model = models[index] as Model
  if (model.isDisabled) return false
  if (!model.requires.every((other) => answer(models, other, context))) return false
  if (model.environment === 'on' || model.environment === 'off') return model.environment === 'on'
  const override = new Map(model.users).get(context.userId ?? ' ') ?? new Map(model.guilds).get(context.guildId ?? ' ')
  if (override !== undefined) return override
  if (context.guildId !== null && model.targetGuilds.includes(context.guildId)) return true
  const rule = model.rules.find(
    ({ when }) =>
      (when.guildId === undefined || (context.guildId !== null && when.guildId.includes(context.guildId))) &&
      (when.plan === undefined || when.plan === context.attributes.plan),
  )
  if (rule !== undefined && rule.percentage === undefined) return rule.value ?? true
  const percentage =
    rule?.percentage ??
    model.environment ??
    model.livePercentage ??
    (model.targetGuilds.length > 0 ? 0 : model.percentage)
  if (percentage === undefined) return model.default
  const by = inherited(models, index, 'by', 'guild')
  const id = by === 'user' ? context.userId : (context.guildId ?? context.userId)
  if (id === null) return percentage === 100 || (percentage > 0 && model.default)
  return bucketOf(murmur3(id), murmur3(inherited(models, index, 'salt', `flag${index}`))) < thresholdOf(percentage)
}

const ids = ['1', '2', '3', '4', '5', '6']
const anId = fc.constantFrom(...ids)
// More on than off, or hardly anything that requires several flags would ever be on.
const aPercentage = fc.oneof(
  fc.constantFrom(0, 100, 100),
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 60, max: 100 }),
)
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 1 })
const someOverrides = fc.uniqueArray(fc.tuple(anId, fc.boolean()), { maxLength: 3, selector: ([id]) => id })
const aPlan = fc.constantFrom('free', 'pro')
const aContext: fc.Arbitrary<Context> = fc.record({
  guildId: fc.option(anId),
  userId: fc.option(anId),
  attributes: fc.record({ plan: aPlan }),
})
const aRule: fc.Arbitrary<ModelRule> = fc
  .record({
    when: fc.oneof(
      fc.record({ plan: aPlan }),
      fc.record({ guildId: fc.uniqueArray(anId, { minLength: 1 }) }),
      fc.record({ plan: aPlan, guildId: fc.uniqueArray(anId, { minLength: 1 }) }),
    ),
    answer: fc.oneof(fc.boolean(), aPercentage, fc.constant(undefined)),
  })
  .map(({ when, answer }) => {
    if (answer === undefined) return { when }
    return typeof answer === 'number' ? { when, percentage: answer } : { when, value: answer }
  })

const someModels: fc.Arbitrary<readonly Model[]> = fc.integer({ min: 1, max: 7 }).chain((count) =>
  fc.tuple(
    ...Array.from({ length: count }, (_, index) =>
      fc.record<Model>({
        default: fc.nat(3).map((n) => n > 0),
        percentage: maybe(aPercentage),
        by: fc.option(fc.constantFrom('guild' as const, 'user' as const), { nil: undefined, freq: 2 }),
        salt: fc.option(fc.constantFrom('x', 'y'), { nil: undefined, freq: 2 }),
        requires: index === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(index - 1), { maxLength: 3 }),
        environment: fc.option(fc.oneof(fc.constantFrom('on' as const, 'off' as const), aPercentage), {
          nil: undefined,
          freq: 4,
        }),
        isDisabled: fc.nat(19).map((n) => n === 0),
        livePercentage: maybe(aPercentage),
        users: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, someOverrides),
        guilds: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, someOverrides),
        targetGuilds: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.uniqueArray(anId, { maxLength: 2 })),
        rules: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(aRule, { maxLength: 3 })),
      }),
    ),
  ),
)

function build(models: readonly Model[]): FeatureFlags {
  const environment: Record<string, string> = {}
  const flags: Record<string, object> = {}
  for (const [index, model] of models.entries()) {
    const { percentage, by, salt, requires } = model
    flags[`flag${index}`] = {
      default: model.default,
      percentage,
      by,
      salt,
      requires: requires.map((other) => `flag${other}`),
      rules: model.rules,
    }
    if (model.environment !== undefined) environment[variableOf(`flag${index}`)] = String(model.environment)
  }
  const built = new FeatureFlags({ flags, environment })
  const why = 'a test'
  for (const [index, model] of models.entries()) {
    const name = `flag${index}`
    for (const [userId, value] of model.users) void built.override(name, { userId }, value, { why })
    for (const [guildId, value] of model.guilds) void built.override(name, { guildId }, value, { why })
    const { targetGuilds, livePercentage = 0 } = model
    if (targetGuilds.length > 0)
      void built.setShare(name, { targetGuilds, percentage: livePercentage, sequence: 1 }, { why })
    else if (model.livePercentage !== undefined) void built.setPercentage(name, model.livePercentage, { why })
    if (model.isDisabled) void built.disable(name, { why })
  }
  return built
}

describe('the rules', () => {
  it('answer the same compiled, in a scope, explained, and read one by one', () => {
    fc.assert(
      fc.property(someModels, fc.array(aContext, { minLength: 1, maxLength: 5 }), (models, contexts) => {
        const flags = build(models)
        for (const context of contexts) {
          const scope = flags.for(context)
          for (const [index] of models.entries()) {
            const name = `flag${index}`
            const expected = answer(models, index, context)
            const answers = [flags.isEnabled(name, context), scope.isEnabled(name), flags.explain(name, context).value]
            expect(answers).toEqual([expected, expected, expected])
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('only ever add ids as a percentage rises, to the flag and to all that require it', () => {
    fc.assert(
      fc.property(someModels, fc.nat(6), aPercentage, aPercentage, (models, pick, one, other) => {
        const raised = pick % models.length
        const [low, high] = [Math.min(one, other), Math.max(one, other)]
        const flags = build(models.map((model) => ({ ...model, environment: undefined })))
        const answersAt = (percentage: number): boolean[] => {
          void flags.setPercentage(`flag${raised}`, percentage, { why: 'a test' })
          return flags.names.flatMap((name) => ids.map((guildId) => flags.isEnabled(name, { guildId })))
        }
        const before = answersAt(low)
        const after = answersAt(high)
        for (const [i, wasOn] of before.entries()) if (wasOn) expect(after[i]).toBe(true)
        expect(answersAt(low)).toEqual(before)
      }),
      { numRuns: 500 },
    )
  })

  it('come in the declared order: each, once taken away, leaves the answer to the next', () => {
    const context = { guildId: '1', userId: '2' }
    const why = 'a test'
    const rules = [{ when: { guildId: '1' } }]
    const declared = {
      core: { default: true },
      flag: { default: false, percentage: 100, requires: ['core'], rules },
    } as const
    const make = (environment: Record<string, string>) => new FeatureFlags({ flags: declared, environment })
    const flags = make({ EVENKEEL_FLAG_FLAG: 'off' })
    const reason = (): string => flags.explain('flag', context).reason
    void flags.disableAll({ why })
    void flags.disable('flag', { why })
    void flags.disable('core', { why })
    const unpinned = make({})
    for (const each of [flags, unpinned]) {
      void each.override('flag', { userId: '2' }, true, { why })
      void each.override('flag', { guildId: '1' }, false, { why })
    }
    const reasons = [reason()]
    void flags.enableAll({ why })
    reasons.push(reason())
    void flags.enable('flag', { why })
    reasons.push(reason())
    void flags.enable('core', { why })
    reasons.push(reason())
    const next = (): string => unpinned.explain('flag', context).reason
    reasons.push(next())
    void unpinned.removeOverride('flag', { userId: '2' }, { why })
    reasons.push(next())
    void unpinned.setShare('flag', { percentage: 100, targetGuilds: ['1'], sequence: 1 }, { why })
    void unpinned.removeOverride('flag', { guildId: '1' }, { why })
    reasons.push(next())
    void unpinned.setShare('flag', { percentage: 100, targetGuilds: [], sequence: 2 }, { why })
    reasons.push(next(), unpinned.explain('flag', { guildId: '2' }).reason, unpinned.explain('core', context).reason)
    expect(reasons).toEqual([
      'all-off',
      'disabled',
      'required',
      'environment',
      'user-override',
      'guild-override',
      'target-guild',
      'rule',
      'percentage',
      'default',
    ])
  })
})
