import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkPlan } from './check-plan.js'
import { triggerDefaults, type PlanDefinition } from './plan.js'

const hour = 3_600_000
const phase = { name: 'canary', percentage: 5, durationMs: hour }

describe('a plan from code', () => {
  it('has a phase of each percentage of a list, and target guilds that stay in', () => {
    const plan = checkPlan({
      phases: [
        { name: 'testers', percentage: 0, targetGuilds: ['1'], durationMs: hour },
        { name: 'beta', percentage: 1, targetGuilds: [2n, '1', 3], durationMs: 2 * hour },
        { name: 'gradual', percentage: [5, 25, 100], durationMs: hour },
      ],
      triggers: { errorRateIncrease: 0.5 },
    })
    expect(plan).toEqual({
      phases: [
        { name: 'testers', percentage: 0, targetGuilds: ['1'], durationMs: hour },
        { name: 'beta', percentage: 1, targetGuilds: ['1', '2', '3'], durationMs: 2 * hour },
        { name: 'gradual (5 %)', percentage: 5, targetGuilds: ['1', '2', '3'], durationMs: hour },
        { name: 'gradual (25 %)', percentage: 25, targetGuilds: ['1', '2', '3'], durationMs: hour },
        { name: 'gradual (100 %)', percentage: 100, targetGuilds: ['1', '2', '3'], durationMs: hour },
      ],
      triggers: { errorRateIncrease: 0.5 },
    })
  })

  it('has the usual triggers unless it names its own, or none', () => {
    expect(checkPlan({ phases: [phase] }).triggers).toEqual(triggerDefaults)
    expect(checkPlan({ phases: [phase], triggers: {} }).triggers).toEqual({})
  })

  it.each<[string, unknown, RegExp, (string | number)[]]>([
    ['no object', null, /^A plan must be an object .*, not null$/, []],
    ['no phases', {}, /^`phases` is missing; a plan has at least one phase$/, []],
    ['an empty list', { phases: [] }, /^`phases` is empty/, ['phases']],
    ['an unknown field', { phases: [phase], trigers: {} }, /has no "trigers"; did you mean "triggers"\?$/, ['trigers']],
    ['`__proto__`', JSON.parse('{"phases":[],"__proto__":{}}'), /has no "__proto__"/, ['__proto__']],
    ['a phase that is none', { phases: [[]] }, /^A phase must be an object .*, not \[\]$/, ['phases', 0]],
    [
      'a misspelt field',
      { phases: [{ ...phase, percent: 5 }] },
      /has no "percent"; did you mean "percentage"\?$/,
      ['phases', 0, 'percent'],
    ],
    ['no name', { phases: [{ ...phase, name: undefined }] }, /^A phase has no name; give it one/, ['phases', 0]],
    [
      'an empty name',
      { phases: [{ ...phase, name: ' ' }] },
      /must be a text that is not empty, not ' '$/,
      ['phases', 0, 'name'],
    ],
    ['one name twice', { phases: [phase, phase] }, /^Two phases are called "canary"; give each/, ['phases', 1, 'name']],
    [
      'a name that a list has taken',
      {
        phases: [
          { ...phase, percentage: [5, 10] },
          { ...phase, name: 'canary (5 %)', percentage: 20 },
        ],
      },
      /^Two phases are called "canary \(5 %\)"/,
      ['phases', 1, 'name'],
    ],
    [
      'a percentage that falls',
      {
        phases: [
          { ...phase, percentage: [5, 20] },
          { ...phase, name: 'b', percentage: 10 },
        ],
      },
      /^Phase "b" falls to 10 % from the 20 % of "canary \(20 %\)"; a percentage never falls/,
      ['phases', 1, 'percentage'],
    ],
    [
      'a list that does not rise',
      { phases: [{ ...phase, percentage: [5, 5] }] },
      /a list of percentages must rise, and 5 comes after 5$/,
      ['phases', 0, 'percentage', 1],
    ],
    [
      'an empty list of percentages',
      { phases: [{ ...phase, percentage: [] }] },
      /the list of percentages is empty/,
      ['phases', 0, 'percentage'],
    ],
    ...[-1, 100.5, NaN, Infinity, '5', null].map(
      (percentage) =>
        [
          `a percentage of ${percentage}`,
          { phases: [{ ...phase, percentage }] },
          /^Phase "canary": a percentage must be a number from 0 to 100, not /,
          ['phases', 0, 'percentage'],
        ] as [string, unknown, RegExp, (string | number)[]],
    ),
    ['no percentage', { phases: [{ name: 'a', durationMs: 1 }] }, /^Phase "a" has no `percentage`/, ['phases', 0]],
    [
      'no duration',
      { phases: [{ name: 'a', percentage: 1 }] },
      /^Phase "a" has no `durationMs`; say how long/,
      ['phases', 0],
    ],
    ...[0, -1, 1.5, NaN, '24h'].map(
      (durationMs) =>
        [
          `a duration of ${durationMs}`,
          { phases: [{ ...phase, durationMs }] },
          /`durationMs` must be a whole number of milliseconds above 0/,
          ['phases', 0, 'durationMs'],
        ] as [string, unknown, RegExp, (string | number)[]],
    ),
    [
      'a guild id that lost digits',
      { phases: [{ ...phase, targetGuilds: ['1', 81384788765712384] }] },
      /the guild id 81384788765712380 is a number .* may have lost some; quote it: "81384788765712384"$/,
      ['phases', 0, 'targetGuilds', 1],
    ],
    [
      'a guild id that is none',
      { phases: [{ ...phase, targetGuilds: [''] }] },
      /a guild id must be a text/,
      ['phases', 0, 'targetGuilds', 0],
    ],
    [
      'a guild id without a digit',
      { phases: [{ ...phase, targetGuilds: ['my server'] }] },
      /a guild id must be a text such as "81384788765712384", not 'my server'$/,
      ['phases', 0, 'targetGuilds', 0],
    ],
    [
      'a name that is too long',
      { phases: [{ ...phase, name: 'x'.repeat(101) }] },
      /^The name of a phase has at most 100 characters, not 101$/,
      ['phases', 0, 'name'],
    ],
    [
      'too many phases',
      { phases: Array.from({ length: 1_001 }, (_, i) => ({ ...phase, name: `${i}` })) },
      /^A plan has at most 1,000 phases/,
      ['phases', 1_000, 'percentage'],
    ],
    [
      'target guilds that are no list',
      { phases: [{ ...phase, targetGuilds: '1' }] },
      /must be a list of guild ids, not '1'$/,
      ['phases', 0, 'targetGuilds'],
    ],
    [
      'an unknown trigger',
      { phases: [phase], triggers: { errorRate: 1 } },
      /^A rollout has no "errorRate"; /,
      ['triggers', 'errorRate'],
    ],
    [
      'a trigger of nonsense',
      { phases: [phase], triggers: { errorRateIncrease: NaN } },
      /^`errorRateIncrease` must be above 0, .*, not NaN$/,
      ['triggers', 'errorRateIncrease'],
    ],
    [
      'a limit above 1',
      { phases: [phase], triggers: { maxErrorRatio: 5 } },
      /^`maxErrorRatio` must be above 0 and below 1/,
      ['triggers', 'maxErrorRatio'],
    ],
    [
      'half a report',
      { phases: [phase], triggers: { userReports: 1.5 } },
      /^`userReports` must be a whole number/,
      ['triggers', 'userReports'],
    ],
  ])('is refused with %s', (_, definition, reason, path) => {
    expect(() => checkPlan(definition as PlanDefinition)).toThrow(
      expect.objectContaining({ code: 'FLAG_DOCUMENT', reason: expect.stringMatching(reason) as string, path }),
    )
  })

  it('takes a guild id without the spaces around it', () => {
    const { phases } = checkPlan({ phases: [{ ...phase, targetGuilds: [' 7', '7 ', '8'] }] })
    expect(phases[0]?.targetGuilds).toEqual(['7', '8'])
  })

  it('only ever adds guilds, and passes again unchanged', () => {
    const definition = fc
      .array(
        fc.record({
          percentage: fc.oneof(
            fc.integer({ min: 0, max: 100 }),
            fc.uniqueArray(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 5 }),
          ),
          targetGuilds: fc.array(fc.bigInt({ min: 1n, max: 2n ** 63n }), { maxLength: 4 }),
          durationMs: fc.integer({ min: 1, max: 1e10 }),
        }),
        { minLength: 1, maxLength: 6 },
      )
      .map((phases) => phases.map((each, i) => ({ ...each, name: `phase ${i}` })))
    fc.assert(
      fc.property(definition, (phases) => {
        let plan
        try {
          plan = checkPlan({ phases })
        } catch (error) {
          expect(error).toMatchObject({
            code: 'FLAG_DOCUMENT',
            reason: expect.stringMatching(/falls|must rise/) as string,
          })
          return
        }
        for (const [i, later] of plan.phases.entries()) {
          const earlier = plan.phases[i - 1]
          if (earlier === undefined) continue
          expect(later.percentage).toBeGreaterThanOrEqual(earlier.percentage)
          expect(later.targetGuilds.slice(0, earlier.targetGuilds.length)).toEqual(earlier.targetGuilds)
        }
        expect(new Set(plan.phases.map(({ name }) => name)).size).toBe(plan.phases.length)
        expect(checkPlan(plan)).toEqual(plan)
        expect(checkPlan(JSON.parse(JSON.stringify(plan)) as PlanDefinition)).toEqual(plan)
      }),
    )
  })
})
