import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { manualPlan } from '../test-support/manual-plan.js'
import { triggerDefaults } from './plan.js'
import { parsePlan, readPlan } from './plan-text.js'

const day = 86_400_000

/** A plan of one phase, and what else stands in it. */
const withTriggers = (triggers: string): string => `rollout_strategy:
  type: canary
  phases: [{ name: a, percentage: 5, duration: 1h }]
  rollback_triggers:
${triggers}
`

const withPhase = (phase: string): string => `rollout_strategy:
  type: canary
  phases:
    - ${phase}
`

describe('a plan from a file', () => {
  it('is read from YAML as it has always been written', async () => {
    const testers = ['81384788765712384', '110373943822540800']
    const all = [...testers, '222078108977594368']
    const gradual = [10, 25, 50, 75].map((percentage) => {
      return { name: `gradual_rollout (${percentage} %)`, percentage, targetGuilds: all, durationMs: 1.5 * day }
    })
    expect(await parsePlan(manualPlan, 'yaml')).toEqual({
      phases: [
        { name: 'internal_testing', percentage: 0, targetGuilds: testers, durationMs: day },
        { name: 'beta', percentage: 5, targetGuilds: all, durationMs: 2 * day },
        ...gradual,
        { name: 'full', percentage: 100, targetGuilds: all, durationMs: 7 * day },
      ],
      triggers: { errorRateIncrease: 0.2, responseTimeIncrease: 0.5, userReports: 5 },
    })
  })

  it('is the same from JSON, and from a file of either', async () => {
    const json = JSON.stringify({
      rollout_strategy: {
        type: 'canary',
        phases: [{ name: 'a', percentage: '5%', duration: '1h' }],
        rollback_triggers: [{ error_rate_increase: 20 }],
      },
    })
    const plan = await parsePlan(json, 'json')
    expect(await parsePlan(withTriggers('    - error_rate_increase: 20'), 'yaml')).toEqual(plan)
    const directory = await mkdtemp(join(tmpdir(), 'plan-'))
    try {
      for (const [name, text] of [
        ['plan.json', json],
        ['plan.yml', withTriggers('    - error_rate_increase: "20 %"')],
      ] as const) {
        await writeFile(join(directory, name), text)
        expect(await readPlan(join(directory, name))).toEqual(plan)
      }
      await expect(readPlan(join(directory, 'none.yaml'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(readPlan(join(directory, 'plan.toml'))).rejects.toThrow(/ends in \.yaml, \.yml or \.json/)
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('has the usual triggers when it names none, and may name every one', async () => {
    expect((await parsePlan(withPhase('{ name: a, percentage: 5, duration: 1h }'), 'yaml')).triggers).toEqual(
      triggerDefaults,
    )
    expect((await parsePlan(withTriggers('    []'), 'yaml')).triggers).toEqual({})
    const every = `    - error_rate_increase: 20%
    - response_time_degradation: 50%
    - user_complaints: 5
    - memory_usage_increase: 30%
    - database_connection_failures: 3
    - database_query_timeouts: 5
    - max_error_rate: 0.5%
    - max_response_time: 2s
    - min_satisfaction: 4.2`
    expect((await parsePlan(withTriggers(every), 'yaml')).triggers).toEqual({
      errorRateIncrease: 0.2,
      responseTimeIncrease: 0.5,
      userReports: 5,
      memoryIncrease: 0.3,
      connectionFailures: 3,
      queryTimeouts: 5,
      maxErrorRatio: 0.005,
      maxResponseTimeMs: 2_000,
      minSatisfaction: 4.2,
    })
  })

  it.each<[string, string, string]>([
    [
      'a guild id without quotes',
      withPhase('{ name: a, percentage: 5, duration: 1h, target_guilds: [81384788765712384] }'),
      '4:63: a number cannot hold every digit of 81384788765712384; put it in quotes',
    ],
    [
      'a misspelt field',
      withPhase('{ name: a, percent: 5, duration: 1h }'),
      '4:18: A phase has no "percent"; did you mean "percentage"?',
    ],
    [
      'a list with a plain duration',
      withPhase('{ name: a, percentage: [5, 10], duration: 1h }'),
      '4:39: A phase with a list of percentages takes `duration_per_phase`, not `duration`',
    ],
    [
      'one percentage with a duration of each',
      withPhase('{ name: a, percentage: 5, duration_per_phase: 1h }'),
      '4:33: A phase with one percentage takes `duration`, not `duration_per_phase`',
    ],
    [
      'no duration',
      withPhase('{ name: a, percentage: 5 }'),
      '4:7: Phase "a" has no `duration`; say how long it takes, such as "24h"',
    ],
    [
      'no duration of each',
      withPhase('{ name: a, percentage: [5] }'),
      '4:7: Phase "a" has no `duration_per_phase`; say how long it takes, such as "24h"',
    ],
    [
      'a duration without a unit',
      withPhase('{ name: a, percentage: 5, duration: 24 }'),
      '4:33: A duration is written "30s", "15m", "24h", "7d" or "1h30m", not 24',
    ],
    [
      'a duration of nothing',
      withPhase('{ name: a, percentage: 5, duration: 0h }'),
      `4:33: A duration is written "30s", "15m", "24h", "7d" or "1h30m", not '0h'`,
    ],
    [
      'a percentage that is a text',
      withPhase(`{ name: a, percentage: '5', duration: 1h }`),
      '4:18: A percentage is written 5 or "5%", not "5"',
    ],
    [
      'an unknown trigger',
      withTriggers('    - error_rate: 5%'),
      '5:7: A rollout has no "error_rate"; did you mean "max_error_rate"?',
    ],
    [
      'a percentage as a text without a unit',
      withTriggers("    - error_rate_increase: '20'"),
      '5:7: `error_rate_increase` is "20", a text without a unit; write 20%',
    ],
    [
      'a ratio',
      withTriggers('    - error_rate_increase: 0.2'),
      '5:7: `error_rate_increase` is 0.2: write 20% if it is a ratio, or "0.2%" if it is meant so small',
    ],
    [
      'a ratio as a limit',
      withTriggers('    - max_error_rate: 0.07'),
      '5:7: `max_error_rate` is 0.07: write 7% if it is a ratio, or "0.07%" if it is meant so small',
    ],
    [
      'a limit of everything',
      withTriggers('    - max_error_rate: 100%'),
      '5:7: `max_error_rate` must be above 0 and below 1, such as 0.05 for 5 %, not 1',
    ],
    [
      'a time that is too short to be meant',
      withTriggers('    - max_response_time: 2'),
      '5:7: `max_response_time` is a time, written "500ms", "2s" or 500 (milliseconds), not 2',
    ],
    [
      'reports as a percentage',
      withTriggers('    - user_complaints: 5%'),
      "5:7: `user_complaints` must be a whole number, 0 or more, such as 5, not '5%'",
    ],
    [
      'nothing for its triggers',
      withTriggers(''),
      '4:3: `rollback_triggers` is empty; write [] for a plan by time alone, or leave it out for the usual ones',
    ],
    [
      'triggers without dashes',
      withTriggers('    error_rate_increase: 20%'),
      '4:3: `rollback_triggers` must be a list of one trigger each, such as "- error_rate_increase: 20%"',
    ],
    [
      'two triggers in one',
      withTriggers('    - error_rate_increase: 20%\n      user_complaints: 5'),
      '5:7: Each of `rollback_triggers` names one trigger; put "- " before each of them',
    ],
    [
      'a trigger twice',
      withTriggers('    - user_complaints: 5\n    - user_complaints: 6'),
      '6:7: `user_complaints` is given twice; which one counts?',
    ],
    [
      'another type',
      'rollout_strategy: { type: big_bang, phases: [] }',
      `1:21: The only \`type\` is "canary", not 'big_bang'`,
    ],
    ['no type', 'rollout_strategy: { phases: [] }', '1:1: `rollout_strategy` has no `type`; write type: "canary"'],
    [
      'no phases',
      'rollout_strategy: { type: canary, phases: [] }',
      '1:35: `phases` is empty; a plan has at least one phase',
    ],
    [
      'something beside it',
      'rollout_strategi: {}',
      '1:1: A plan has no "rollout_strategi"; did you mean "rollout_strategy"?',
    ],
    [
      'a list',
      '- 1',
      '1:1: A plan must be an object such as { rollout_strategy: { type: "canary", phases: [...] } }, not [ 1 ]',
    ],
    ['a text that is no YAML', 'a: [', 'it is not YAML'],
  ])('is refused with %s', async (_, text, message) => {
    const error: unknown = await parsePlan(text, 'yaml', 'rollout.yaml').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'FLAG_DOCUMENT', source: 'rollout.yaml' })
    expect((error as Error).message).toContain(message)
    expect((error as Error).message).toMatch(/^rollout\.yaml:\d+:\d+: /)
  })
})
