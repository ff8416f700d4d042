/*
 * Deployments of a bot, told call by call, judged with the defaults: how many of the harmless ones are rolled back, and how many
 * of the harmful ones, and when. Each is told in one of several processes; its seed alone decides what becomes of it.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import {
  tellDeployment,
  type DeploymentEnd,
  type DeploymentStory,
} from '../packages/blue-green/src/test-support/deployment-story.js'

const minute = 60_000

/** Half an hour after the step began, for ten minutes. */
const outage = { afterMs: 30 * minute, forMs: 10 * minute, hitRatio: 1, isNoticed: false }

const large = { guilds: 1_500, callsPerWindow: 4_000 }
/** As many calls, and as even ones, as a judge is told in its own simulation. */
const even = { guilds: 1_500, callsPerWindow: 20_000, isEven: true, beforeMs: 120 * minute }

/** So many of each, for the number of runs that is asked for. */
const stories: readonly (readonly [name: string, part: number, story: DeploymentStory])[] = [
  ['no difference', 1, {}],
  ['no difference, a bot that has served for two hours only', 0.5, { beforeMs: 120 * minute }],
  ['no difference, outage for all at 50 %', 0.5, { incident: { ...outage, step: 1 } }],
  [
    'no difference, outage for a third of the guilds at 50 %',
    0.5,
    { incident: { ...outage, step: 1, hitRatio: 1 / 3 } },
  ],
  ['no difference, outage for all at 100 %, with health', 0.5, { incident: { ...outage, step: 2, isNoticed: true } }],
  ['no difference, outage for all at 100 %, without health', 0.25, { incident: { ...outage, step: 2 } }],
  ['errors x 2', 0.5, { errors: 2 }],
  ['errors x 3', 0.5, { errors: 3 }],
  ['errors x 5', 0.5, { errors: 5 }],
  ['half as slow again', 0.5, { slowness: 1.5 }],
  ['twice as slow', 0.5, { slowness: 2 }],
  ['complaints x 10 (userReports: 5)', 0.5, { complaints: 10, judge: { userReports: 5 } }],
  ['every call fails', 0.5, { broken: 100 }],
  ['larger bot, no difference', 0.25, large],
  ['larger bot, no difference, outage for all at 50 %', 0.25, { ...large, incident: { ...outage, step: 1 } }],
  ['larger bot, errors x 2', 0.25, { ...large, errors: 2 }],
  ['larger bot, errors x 3', 0.25, { ...large, errors: 3 }],
  ['even bot, no difference', 0.25, even],
  ['even bot, errors x 2', 0.25, { ...even, errors: 2 }],
  ['even bot, errors x 5', 0.25, { ...even, errors: 5 }],
  ['even bot, half as slow again', 0.25, { ...even, slowness: 1.5 }],
]

interface Task {
  readonly name: string
  readonly seed: number
}

type Told = Task & DeploymentEnd

/** Tells what it is sent, one deployment after the other. */
function work(): void {
  process.on('message', ({ name, seed }: Task) => {
    const [, , story] = stories.find(([each]) => each === name)!
    void tellDeployment(seed, story).then((end) => process.send?.({ name, seed, ...end }))
  })
}

async function tellAll(tasks: readonly Task[]): Promise<readonly Told[]> {
  const left = [...tasks]
  const told: Told[] = []
  const helpers = Array.from({ length: Math.min(availableParallelism(), 8) }, async () => {
    const child = fork(import.meta.filename, ['work'])
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        const task = left.shift()
        if (task === undefined) resolve()
        else child.send(task)
      }
      child.on('message', (end: Told) => {
        told.push(end)
        next()
      })
      child.on('exit', (code) => reject(new Error(`a process of the simulation ended with code ${code}`)))
      next()
    })
    child.kill()
  })
  await Promise.all(helpers)
  return told
}

/** Tells so many deployments, and writes what became of them. */
export async function simulateDeployments(seed: number, runs: number): Promise<void> {
  const tasks = stories.flatMap(([name, part], nth) => {
    const count = Math.max(1, Math.round(runs * part))
    return Array.from({ length: count }, (_, i) => ({ name, seed: seed * 1_000_000 + nth * 10_000 + i }))
  })
  const beganMs = process.hrtime.bigint()
  const all = await tellAll(tasks)
  console.log('a plan of 25, 50 and 100 %, an hour each; judge: {}; looked at for twelve hours')
  console.log(
    '300 guilds and a call a second, for four hours before; the larger bot has 1,500 guilds and seven calls a second; of the even bot, 1,500 guilds call 33 times a second, all alike, for two hours before',
  )
  for (const [name] of stories) {
    const told = all.filter((each) => each.name === name)
    const share = (phase: string): string =>
      `${((100 * told.filter((each) => each.phase === phase).length) / told.length).toFixed(1)} %`.padStart(8)
    const found = told.filter(({ phase }) => phase === 'ROLLED_BACK').sort((a, b) => a.afterMs - b.afterMs)
    const half = found[Math.floor(found.length / 2)]
    const when =
      half === undefined ? '' : `half of them after ${Math.round(half.afterMs / minute)} min, in step ${half.step}`
    const seeds = told.map((each) => each.seed).sort((a, b) => a - b)
    const which = `seeds ${seeds[0]} to ${seeds.at(-1)}`
    console.log(
      `  ${name.padEnd(57)} ${share('ROLLED_BACK')} rolled back ${share('COMPLETE')} complete  ${when}  (${which})`,
    )
  }
  const seconds = Number((process.hrtime.bigint() - beganMs) / 1_000_000_000n)
  console.log(`${tasks.length} deployments in ${seconds} s`)
}

if (process.argv[2] === 'work') work()
