import { FakeClock } from '@evenkeel/testing'
import { BlueGreen } from '../blue-green.js'
import type { DeployOptions } from '../deploy-options.js'
import type { JudgeOptions } from '../judgement/judge-options.js'
import { memoryState } from '../memory-state.js'
import type { Clock } from '../ports.js'
import { FakeHealth } from './fake-health.js'
import { randomFrom } from './random.js'

const minute = 60_000
const windowMs = 10 * minute

/** A time in which part of the calls of both versions fail alike. */
export interface Incident {
  /** In which step of the plan, from 0, and how long after it began. */
  readonly step: number
  readonly afterMs: number
  readonly forMs: number
  /** Which part of the guilds is hit, each in nearly all of its calls. */
  readonly hitRatio: number
  /** Whether the bot has a `health`, which says `down` 20 s after it began and `up` 20 s after it ended. */
  readonly isNoticed: boolean
}

/** A bot under traffic, and how its new version differs. What is not given is alike. */
export interface DeploymentStory {
  /** So many times as many errors, so many times as slow, and so many times as many complaints. */
  readonly errors?: number
  readonly slowness?: number
  readonly complaints?: number
  /** So many of a hundred calls fail on top, in every guild. */
  readonly broken?: number
  readonly incident?: Incident
  readonly judge?: JudgeOptions
  readonly plan?: DeployOptions
  /** All guilds are alike: as busy, as fast, and their errors are chance alone. */
  readonly isEven?: boolean
  readonly guilds?: number
  readonly callsPerWindow?: number
  /** How long the bot has served before. */
  readonly beforeMs?: number
  /** How long it is looked at from the deployment on. */
  readonly forMs?: number
}

/** What became of a deployment. */
export interface DeploymentEnd {
  readonly phase: string
  readonly why: string
  /** How long after the deployment began. */
  readonly afterMs: number
  /** In which step it ended, from 1. */
  readonly step: number
  readonly calls: number
}

/** Steps long enough to learn something of a bot of some hundred guilds. */
const patientPlan: DeployOptions = { percentages: [25, 50, 100], stepMs: 60 * minute, maxHoldMs: 24 * 60 * minute }

/**
 * Tells a deployment call by call, from some hours of ordinary traffic to its end.
 *
 * Few guilds are busy and many are quiet (Zipf). Of a hundred calls one fails; three of a hundred guilds fail a quarter of
 * their calls, always; one of a hundred fails always; and any may do so for half an hour. Calls last as long as a lognormal
 * says, each guild in its own way, and the clock moves on while they run.
 */
export async function tellDeployment(seed: number, story: DeploymentStory): Promise<DeploymentEnd> {
  const { guilds = 300, callsPerWindow = 600, beforeMs = 4 * 60 * minute, forMs = 12 * 60 * minute } = story
  const { plan = patientPlan, incident, isEven = false } = story
  const random = randomFrom(seed)
  const time = new FakeClock()
  // To move the clock while a call runs, without a turn of the event loop for it; its timers follow when the call is over.
  let runningMs = 0
  const clock: Clock = {
    now: () => time.now() + runningMs,
    monotonic: () => time.monotonic() + runningMs,
    after: (ms, run) => time.after(ms, run),
  }
  const health = new FakeHealth()
  health.status = 'up'
  const blueGreen = new BlueGreen<Record<'v1' | 'v2', (guildId: string) => Promise<void>>>({
    versions: { v1: () => serve(false), v2: () => serve(true) },
    initial: 'v1',
    context: (guildId) => ({ eventId: null, guildId }),
    store: memoryState(),
    judge: story.judge ?? {},
    clock,
    random,
    ...(incident?.isNoticed === true && { health }),
  })
  const community = Array.from({ length: guilds }, (_, i) => ({
    id: `guild-${seed}-${i}`,
    speed: isEven ? 1 : Math.exp(0.5 * normal(random)),
    errorRatio: isEven ? 0.01 : random() < 0.01 ? 1 : random() < 0.03 ? 0.25 : 0.01,
    isHit: random() < (incident?.hitRatio ?? 0),
    burstUntilMs: 0,
  }))
  const reach: number[] = []
  let sum = 0
  for (let i = 0; i < guilds; i++) reach.push((sum += isEven ? 1 : 1 / (i + 5)))

  let guild = community[0]!
  let isDown = false
  let wasGreen = false
  let finish: (() => void) | undefined
  /** How long the call takes that runs. */
  let tookMs = 0
  function serve(isGreen: boolean): Promise<void> {
    const { errors = 1, slowness = 1, broken = 0 } = story
    wasGreen = isGreen
    const usual = guild.burstUntilMs > clock.monotonic() ? Math.max(guild.errorRatio, 0.25) : guild.errorRatio
    const failing = isGreen ? Math.min(1, usual * errors) + broken / 100 : usual
    const isFailing = random() < (isDown && guild.isHit ? 0.98 : failing)
    // Short beside the pause between two calls, since one ends before the next begins.
    tookMs = 2 * guild.speed * (isGreen ? slowness : 1) * Math.exp(0.8 * normal(random))
    return new Promise((resolve, reject) => {
      finish = () => (isFailing ? reject(new Error('no')) : resolve())
    })
  }
  let calls = 0
  const call = async (): Promise<void> => {
    guild = community[indexOf(reach, random() * sum)]!
    if (!isEven && random() < 0.005 / 2) guild.burstUntilMs = clock.monotonic() + 3 * windowMs
    const handled = blueGreen.handle(guild.id).catch(() => undefined)
    runningMs = tookMs
    finish?.()
    await handled
    calls += 1
    if (random() < 0.0005 * (wasGreen ? (story.complaints ?? 1) : 1)) blueGreen.report({ guildId: guild.id })
    runningMs = 0
    await time.advance(tookMs - (Math.log(1 - random()) * windowMs) / callsPerWindow)
  }
  await blueGreen.start()
  while (clock.monotonic() < beforeMs) await call()
  const beganMs = clock.monotonic()
  const deployment = await blueGreen.deploy('v2', plan)
  let [step, stepMs] = [0, beganMs]
  blueGreen.on('change', () => {
    const now = deployment.status.step
    if (now !== step) [step, stepMs] = [now, clock.monotonic()]
  })
  let noticeMs = Infinity
  while (blueGreen.deployment !== undefined && clock.monotonic() - beganMs < forMs) {
    if (incident !== undefined) {
      const sinceMs = clock.monotonic() - stepMs - incident.afterMs
      const isNow = step === incident.step && sinceMs >= 0 && sinceMs < incident.forMs
      if (isNow !== isDown) noticeMs = clock.monotonic() + 20_000
      isDown = isNow
      if (clock.monotonic() >= noticeMs) {
        health.becomes(isDown ? 'down' : 'up')
        noticeMs = Infinity
      }
    }
    await call()
  }
  const { phase, why } = deployment.status
  const end = { phase, why, afterMs: clock.monotonic() - beganMs, step: step + 1, calls }
  await blueGreen.stop()
  return end
}

/** The first that reaches so far. */
function indexOf(reach: readonly number[], far: number): number {
  let [low, high] = [0, reach.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (reach[middle]! < far) low = middle + 1
    else high = middle
  }
  return low
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
