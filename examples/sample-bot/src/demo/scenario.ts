import { setTimeout as sleep } from 'node:timers/promises'
import type { StandinProcess } from '@evenkeel-examples/discord-standin'
import type { SampleBot } from '../bot.js'
import { breakDatabase } from './sabotage.js'
import { calmTraffic, peakTraffic } from './traffic.js'

/** How fast the scenario is played. */
export interface Pace {
  /** Milliseconds that one second of the script takes. */
  readonly secondMs: number
  /** How often a rollout is looked at and judged, milliseconds. */
  readonly lookIntervalMs: number
  /** How long a member's reminder waits. */
  readonly remindIn: string
  /** Commands a second while nothing special happens. */
  readonly calm: number
  /** Commands a second at the peak. */
  readonly peak: number
}

/** Ninety seconds, to watch. */
export const watchable: Pace = { secondMs: 1_000, lookIntervalMs: 1_000, remindIn: '5s', calm: 100, peak: 250 }
/** Some twenty seconds, for continuous integration. */
export const fast: Pace = { secondMs: 150, lookIntervalMs: 300, remindIn: '2s', calm: 120, peak: 250 }

/** What the scenario tells the audience. */
export interface Stage {
  act(title: string): void
  say(text: string): void
}

/** When the interesting things happened, epoch ms, so that the ledger can be read around them. */
export interface Marks {
  databaseFailedAt: number
  databaseHealedAt: number
  backOnDatabaseAt: number
  peakBeganAt: number
  goodDeployedAt: number
  goodOutcome: string
  faultyDeployedAt: number
  faultyOutcome: string
  crashingDeployedAt: number
  crashingOutcome: string
  /** Commands that its process had in hand when it died. */
  takenOver: number
  featureOutcome: string
  featurePercentage: number
  slowFeatureOutcome: string
  slowFeatureBegunAt: number
  slowFeatureCaughtAt: number
}

const patienceSeconds = 60

/** Plays the scenario on a running bot. Rejects when something that must happen does not. */
export async function play(bot: SampleBot, standin: StandinProcess, pace: Pace, stage: Stage): Promise<Marks> {
  const seconds = (count: number): Promise<void> => sleep(count * pace.secondMs)
  const calm = { perSecond: pace.calm, mix: calmTraffic(pace.remindIn) }
  const peak = { perSecond: pace.peak, mix: peakTraffic(pace.remindIn) }

  stage.act('1. Normal running: commands come in from every guild')
  await standin.traffic(calm)
  await seconds(2)
  stage.say('Meanwhile a new feature is rolled out by its plan: /reminders shows first what is due next')
  const { soonestFirst, keepNames } = bot.rollouts
  await soonestFirst.start()
  await seconds(10)

  stage.act('2. The database fails: its file is moved away and junk lies in its place')
  const databaseFailedAt = Date.now()
  const sabotage = await breakDatabase(bot.database.path ?? '')
  await until('the bot falls back', () => bot.storage.state.on === 'fallback')
  await seconds(10)

  stage.act('3. The load peaks while the database is away: what is optional yields')
  const peakBeganAt = Date.now()
  await standin.traffic(peak)
  await until('optional commands yield', () => bot.modes.mode === 'DEGRADED')
  await seconds(9)
  await standin.traffic(calm)
  await until('the bot serves everything again', () => bot.modes.mode === 'FULL')

  stage.act('4. The database heals: what it missed is replayed')
  const databaseHealedAt = Date.now()
  await sabotage.repair()
  await until('the bot returns to its database', () => bot.storage.state.on === 'primary')
  const backOnDatabaseAt = Date.now()
  await seconds(8)

  stage.act('5. A new version is rolled out in a process of its own: 10, 50, 100 % of the guilds')
  const goodDeployedAt = Date.now()
  const percentages = [10, 50, 100]
  const good = await bot.blueGreen.deploy('v2', { percentages, stepMs: 7 * pace.secondMs })
  const { outcome: goodOutcome } = await within('the new version takes over', good.finished)
  await seconds(5)

  stage.act('6. A faulty version is rolled out: it trips over members without a nickname')
  const faultyDeployedAt = Date.now()
  const faulty = await bot.blueGreen.deploy('v3', { percentages, stepMs: 20 * pace.secondMs })
  const { outcome: faultyOutcome, why } = await within('the faulty version is caught', faulty.finished)
  stage.say(why)
  await seconds(5)

  stage.act('7. A version that crashes is rolled out: its process dies over its first command')
  const takenOver = new Set<string | undefined>()
  bot.blueGreen.on('redelivered', ({ eventId, message }) => {
    takenOver.add(eventId)
    stage.say(message)
  })
  const crashingDeployedAt = Date.now()
  const crashing = await bot.blueGreen.deploy('v4', { percentages, stepMs: 20 * pace.secondMs })
  const { outcome: crashingOutcome } = await within('the version that crashes is caught', crashing.finished)
  await seconds(3)

  // It was judged all the while, but for the outage, and is through by now unless chance was against it.
  const { outcome: featureOutcome } = await within('the new feature is for everybody', soonestFirst.finished)

  await until('no command rests', () => bot.modes.mode === 'FULL')
  stage.act('8. A slow feature is rolled out: /translate leaves names alone, and asks for one word after the other')
  const slowFeatureBegunAt = Date.now()
  await keepNames.start()
  const { outcome: slowFeatureOutcome } = await within('the slow feature is caught', keepNames.finished)
  const slowFeatureCaughtAt = Date.now()
  await seconds(5)

  stage.act('9. Quiet: the last reminders come')
  await standin.traffic({ ...calm, perSecond: 0 })
  await until('every reminder has come', () => bot.reminders.pending === 0 && bot.load.inFlight === 0)
  await sleep(500)

  return {
    databaseFailedAt,
    databaseHealedAt,
    backOnDatabaseAt,
    peakBeganAt,
    goodDeployedAt,
    goodOutcome,
    faultyDeployedAt,
    faultyOutcome,
    crashingDeployedAt,
    crashingOutcome,
    takenOver: takenOver.size,
    featureOutcome,
    featurePercentage: soonestFirst.status.percentage,
    slowFeatureOutcome,
    slowFeatureBegunAt,
    slowFeatureCaughtAt,
  }
}

/** Polls, because the demo watches from outside; the bot itself never does. */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + patienceSeconds * 1_000
  while (!isTrue()) {
    if (performance.now() > deadlineMs) throw new Error(`Waited ${patienceSeconds} s in vain until ${what}`)
    await sleep(20)
  }
}

async function within<T>(what: string, result: Promise<T>): Promise<T> {
  const timeout = new AbortController()
  const late = sleep(patienceSeconds * 1_000, undefined, { signal: timeout.signal }).then(() => {
    throw new Error(`Waited ${patienceSeconds} s in vain until ${what}`)
  })
  try {
    return await Promise.race([result, late])
  } finally {
    late.catch(() => undefined)
    timeout.abort()
  }
}
