/*
 * How often a judge of rollouts is wrong, and how soon it is right, in many simulated rollouts and deployments; and how often a
 * monitor is misled by noise.
 *
 *   pnpm simulate --seed 7 --runs 2000
 *   pnpm simulate --of deployments --seed 7 --runs 200
 *   pnpm simulate --of health --seed 7 --days 100
 *
 * The same seed gives the same figures.
 */
import { parseArgs } from 'node:util'
import {
  errorStory,
  guildStory,
  incident,
  latencyStory,
  manyMetricsStory,
  seeded,
  simulate,
} from '../packages/canary-judge/src/test-support/simulation.js'
import { tell, type Story } from '../packages/feature-flags/src/test-support/rollout-story.js'
import { blips, detectionMs, flipsADay, noise } from '../packages/health-monitor/src/test-support/noise.js'
import { simulateDeployments } from './simulate-deployments.js'

const { values } = parseArgs({
  options: {
    of: { type: 'string', default: 'judge' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    days: { type: 'string', default: '100' },
  },
})
const seed = Number(values.seed)
const runs = Number(values.runs ?? (values.of === 'deployments' ? 200 : 2_000))
const days = Number(values.days)
if (
  ![seed, runs, days].every(Number.isInteger) ||
  runs < 1 ||
  days < 1 ||
  !['judge', 'deployments', 'health'].includes(values.of)
) {
  console.error(
    '--seed, --runs and --days are whole numbers, and --of is judge, deployments or health: --of health --days 100',
  )
  process.exit(2)
}
if (values.of === 'deployments') {
  await simulateDeployments(seed, runs)
  process.exit()
}
if (values.of === 'health') {
  console.log(`seed ${seed}, a component that is well, ${days} days of each kind`)
  console.log(`  changes a day when one look in twenty fails   ${await flipsADay(noise(seed), days, seed)}`)
  console.log(`  changes a day at 20 blips of 2 s an hour      ${await flipsADay(blips(seed), days, seed)}`)
  console.log(
    `  an outage is told after                       ${((await detectionMs(200)) / 1_000).toFixed(2)} s on average`,
  )
  process.exit()
}
const random = seeded(seed)
const many = { green: 200, blue: 1_800 }
const few = { green: 20, blue: 180 }
const stalling = { ...few, sigma: 0.8, stalls: 0.1 }

console.log(`seed ${seed}, ${runs} rollouts of each kind; guilds and latencies a quarter of that`)
const stories = [
  ['no difference, 240 looks', 240, 1, errorStory(random, { ...many, ratio: 1 })],
  ['no difference, a tenth of the traffic, 240 looks', 240, 1, errorStory(random, { ...few, ratio: 1 })],
  [
    'no difference, growing share, platform fails for 20 min',
    60,
    1,
    errorStory(random, { ...many, ...incident, ratio: 1 }),
  ],
  ['no difference, four metrics over seven phases, 240 looks', 240, 1, manyMetricsStory(random)],
  ['errors x 1.2', 60, 1, errorStory(random, { ...many, ratio: 1.2 })],
  ['errors x 1.5', 60, 1, errorStory(random, { ...many, ratio: 1.5 })],
  ['errors x 2', 60, 1, errorStory(random, { ...many, ratio: 2 })],
  ['errors x 5', 60, 1, errorStory(random, { ...many, ratio: 5 })],
  ['errors x 5, a tenth of the traffic', 60, 1, errorStory(random, { ...few, ratio: 5 })],
  ['latency, no difference', 60, 4, latencyStory(random, { ...few, ratio: 1, sigma: 0.8 })],
  ['latency x 1.5', 60, 4, latencyStory(random, { ...few, ratio: 1.5, sigma: 0.8 })],
  ['latency, no difference, one call in ten stalls', 60, 4, latencyStory(random, { ...stalling, ratio: 1 })],
  ['latency x 2, one call in ten stalls', 60, 4, latencyStory(random, { ...stalling, ratio: 2, maxIncrease: 0.5 })],
  ['guilds, errors alike, no difference', 6, 4, guildStory(random, 'iid', 1)],
  ['guilds, some fail always, no difference', 6, 4, guildStory(random, 'persistent', 1)],
  ['guilds, bursts, no difference', 6, 4, guildStory(random, 'bursts', 1)],
  ['guilds, bursts, errors x 3', 6, 4, guildStory(random, 'bursts', 3)],
] as const
for (const [name, looks, part, story] of stories) {
  const { found, medianLook } = simulate(Math.max(1, Math.round(runs / part)), looks, story)
  const when = medianLook === undefined ? '' : `half of them by look ${medianLook}`
  console.log(`  ${name.padEnd(58)} ${`${(100 * found).toFixed(2)} %`.padStart(9)} found harmful  ${when}`)
}

/** Rollouts of a flag by a plan of seven phases of an hour each, told from the first to the last. */
const bot = { by: 'guild', errors: 1, slowness: 1, guilds: 400 } as const
const users = { by: 'user', errors: 1, slowness: 1 } as const
const rollouts: readonly (readonly [name: string, part: number, story: Story])[] = [
  ['by user, no difference', 20, users],
  ['by user, some always fail and call often, no difference', 20, { ...users, broken: 0.4 }],
  ['the same with a history', 20, { ...users, broken: 0.4, before: 16 }],
  ['by guild, no difference, no history', 5, { ...bot, guilds: 120 }],
  ['by guild, no difference', 5, { ...bot, guilds: 120, before: 24 }],
  ['by user, errors x 2, no history', 20, { ...users, errors: 2 }],
  ['by user, errors x 2, from the fourth phase on, no history', 20, { ...users, errors: 2, fromPhase: 3 }],
  ['by guild, errors x 2, no history', 20, { ...bot, errors: 2 }],
  ['by guild, errors x 2', 20, { ...bot, errors: 2, before: 24 }],
  ['by guild, slowness x 2', 20, { ...bot, guilds: 120, slowness: 2, before: 24 }],
]
console.log('flags rolled out over seven phases of an hour: a twentieth, of harmless ones by guild a fifth')
for (const [name, part, story] of rollouts) {
  const count = Math.max(1, Math.round(runs / part))
  const stopped = Array.from({ length: count }, () => tell(random, story)).filter(({ action }) => action !== 'CONTINUE')
  const phases = stopped.map(({ phase }) => phase + 1).sort((a, b) => a - b)
  const when = phases.length === 0 ? '' : `half of them by phase ${phases[Math.floor(phases.length / 2)]}`
  console.log(
    `  ${name.padEnd(58)} ${`${((100 * stopped.length) / count).toFixed(2)} %`.padStart(9)} stopped        ${when}`,
  )
}
