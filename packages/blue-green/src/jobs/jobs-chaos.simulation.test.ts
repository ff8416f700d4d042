import { describe, expect, it } from 'vitest'
import { Fleet, type FleetProcess } from '../test-support/fleet.js'
import { JobFleet, startAt, type JobRunSeen } from '../test-support/job-fleet.js'
import { randomFrom } from '../test-support/random.js'

/** `EVENKEEL_RUNS=2000 EVENKEEL_SEED=1` for the long form. */
const runs = Number(process.env['EVENKEEL_RUNS'] ?? 60)
const seed = Number(process.env['EVENKEEL_SEED'] ?? 1)

/** What may happen to a bot. */
interface World {
  readonly kills?: boolean
  readonly freezes?: boolean
  readonly outages?: boolean
  /** Wall clocks differ between the processes, by less than the shortest period, and jump for all of them. */
  readonly clocks?: boolean
  /** Runs take longer than the period, at times. */
  readonly slow?: boolean
}

/** Due after 7, 9 and 14 s, again and again. */
function unevenly(afterAt: number): number {
  const round = Math.floor((afterAt - startAt) / 30_000)
  const due = [7_000, 16_000, 30_000, 37_000].map((ms) => startAt + round * 30_000 + ms)
  return due.find((at) => at > afterAt) ?? NaN
}

const jobs = {
  keyed: { everyMs: 5_000, effects: 'keyed' },
  once: { everyMs: 5_000, effects: 'atMostOnce' },
  skipping: { nextAt: unevenly, effects: 'atLeastOnce', missed: 'skip', missedAfterMs: 3_000, overlap: 'skip' },
  uneven: { nextAt: unevenly, effects: 'keyed' },
} as const

/** A bot for some minutes: processes come, take over, drain and go, and what the world has for them. */
async function live(random: () => number, world: World): Promise<JobFleet> {
  const fleet = new Fleet(random)
  const bot = new JobFleet(fleet)
  const { clock, store } = fleet
  const below = (end: number): number => Math.floor(random() * end)
  const leaving = new Set<FleetProcess>()
  bot.workMs = () => below(world.slow === true ? 9_000 : 2_000)
  const begin = (): void => {
    const process = fleet.process()
    if (world.clocks === true) process.skewMs = below(8_000) - 4_000
    bot.begin(jobs, {}, process).catch(() => undefined)
  }
  const staying = (): FleetProcess[] =>
    fleet.processes.filter((one) => one.isLoggedIn && !one.isDead && !leaving.has(one))
  const some = (): FleetProcess | undefined => staying()[below(staying().length)]
  store.slowMs = below(40)
  begin()
  await clock.advance(1_000)
  let [frozenMs, downMs] = [0, 0]
  let frozen: FleetProcess | undefined
  for (let elapsedMs = 0; elapsedMs < 240_000;) {
    const alive = staying()
    switch (below(20)) {
      case 0:
      case 1:
        if (alive.length < 3) begin()
        break
      case 2: {
        void some()
          ?.restart.takeOver()
          .catch(() => undefined)
        break
      }
      case 3: {
        const goes = some()
        if (goes === undefined || alive.length < 2 || frozen !== undefined) break
        leaving.add(goes)
        void bot.end(goes)
        break
      }
      case 4:
        if (world.kills === true && alive.length > 1 && frozen === undefined) some()?.kill()
        break
      case 5:
        if (world.freezes !== true || frozen !== undefined || alive.length < 2) break
        frozen = some()
        frozen?.freeze()
        frozenMs = below(40_000)
        break
      case 6:
        if (world.outages !== true || store.isDown) break
        store.isDown = true
        downMs = below(30_000)
        break
      case 7:
        if (world.clocks === true) clock.jump(below(60_000) - 30_000)
    }
    const passesMs = below(2_000)
    elapsedMs += passesMs
    await clock.advance(passesMs)
    frozenMs -= passesMs
    downMs -= passesMs
    if (frozenMs <= 0) {
      frozen?.thaw()
      frozen = undefined
    }
    if (downMs <= 0) store.isDown = false
  }
  store.isDown = false
  frozen?.thaw()
  await clock.advance(120_000)
  bot.workMs = () => 0
  await clock.advance(60_000)
  return bot
}

/** What no world may bring about. */
function faultsOf(bot: JobFleet, { clocks = false }: World): string[] {
  const faults: string[] = []
  const say = (run: JobRunSeen): string =>
    `${run.job} due ${run.scheduledAt - startAt}: attempt ${run.attempt} by ${run.by.version}`
  const byDue = new Map<string, JobRunSeen[]>()
  for (const run of bot.runs) {
    const runId = `${run.job}:${run.scheduledAt}`
    byDue.set(runId, [...(byDue.get(runId) ?? []), run])
  }
  for (const [runId, all] of byDue) {
    const attempts = all.map(({ attempt }) => attempt)
    if (new Set(attempts).size !== all.length) faults.push(`the same attempt twice: ${all.map(say).join(', ')}`)
    for (const run of all) {
      if (!clocks && run.at < run.scheduledAt) faults.push(`too early: ${say(run)}`)
      if (run.attempt === 1) continue
      if (run.job === 'once') faults.push(`atMostOnce, and again: ${say(run)}`)
      const isTold = bot.told.some((told) => {
        return told.by === run.by && told.to === 'repeated' && told.runId === runId && told.attempt === run.attempt
      })
      if (!isTold) faults.push(`repeated, and not told: ${say(run)}`)
    }
    const last = all.at(-1)
    const isReported = bot.told.some(({ to, runId: id }) => to === 'unfinished' && id === runId)
    if (last?.by.isDead === true && last.endedMs === undefined && !isReported) {
      faults.push(`died in the middle, neither repeated nor reported: ${say(last)}`)
    }
  }
  return faults
}

/** Runs of one job that overlap. One that stood still cannot know that another one has gone on, and what was killed has no end. */
function overlapsIn(bot: JobFleet): string[] {
  return Object.keys(jobs).flatMap((job) => {
    const all = bot.runsOf(job).filter((run) => !run.by.isDead && !run.by.hasStoodStill)
    return all.flatMap((run, i) => {
      const next = all[i + 1]
      const overlaps = next !== undefined && (run.endedMs ?? Infinity) > next.beganMs
      return overlaps ? [`${job}: ${run.scheduledAt - startAt} until ${run.endedMs}, next at ${next.beganMs}`] : []
    })
  })
}

/** Due times between the first and the last run for which there was none. */
function gapsIn(bot: JobFleet, job: 'keyed' | 'uneven', after: (at: number) => number): number[] {
  const ran = new Set(bot.runsOf(job).map(({ scheduledAt }) => scheduledAt))
  const [first, last] = [Math.min(...ran), Math.max(...ran)]
  const gaps: number[] = []
  for (let at = first; at <= last; at = after(at)) if (!ran.has(at)) gaps.push(at - startAt)
  return gaps
}

const every5s = (at: number): number => at + 5_000

/** By the law of large lives: it still runs at the end. */
function isAtWork(bot: JobFleet): boolean {
  const nowMs = bot.fleet.clock.monotonic()
  return Object.keys(jobs).every((job) => nowMs - (bot.runsOf(job).at(-1)?.beganMs ?? 0) < 45_000)
}

describe('jobs of processes that come, take over and go', () => {
  it('run each due time once, in time, and skip none, while nothing fails', async () => {
    for (let i = 0; i < runs / 6; i++) {
      const bot = await live(randomFrom(seed * 10_000 + i), {})
      const where = `seed ${seed}, run ${i}`
      expect(faultsOf(bot, {}), where).toEqual([])
      expect(overlapsIn(bot), where).toEqual([])
      expect(gapsIn(bot, 'keyed', every5s), where).toEqual([])
      expect(gapsIn(bot, 'uneven', unevenly), where).toEqual([])
      expect(
        bot.told.filter(({ to }) => to !== 'ran'),
        where,
      ).toEqual([])
      const late = bot.runs.filter(({ at, scheduledAt }) => at - scheduledAt > 4_000)
      expect(late.length, where).toBe(0)
    }
  })

  it.each([
    ['when runs are slow', { slow: true }],
    ['when processes are killed', { kills: true, slow: true }],
    ['when processes stand still', { freezes: true }],
    ['when processes are killed and stand still', { kills: true, freezes: true, slow: true }],
    ['when the store goes away', { outages: true }],
    ['when clocks differ and jump', { clocks: true }],
    ['when all of it happens', { kills: true, freezes: true, outages: true, clocks: true, slow: true }],
  ] as readonly [string, World][])('run no due time twice untold, %s', async (_, world) => {
    for (let i = 0; i < runs / 6; i++) {
      const bot = await live(randomFrom(seed * 20_000 + i), world)
      const where = `seed ${seed}, run ${i}`
      expect(faultsOf(bot, world), where).toEqual([])
      if (!world.outages) expect(overlapsIn(bot), where).toEqual([])
      if (bot.fleet.processes.some((one) => one.isLoggedIn && !one.isDead)) expect(isAtWork(bot), where).toBe(true)
    }
  })
})
