import { affectedGuilds, GuildHistory, type GuildWindow } from '../affected-guilds.js'
import { errorRate } from '../error-rate.js'
import { Judge } from '../judge.js'
import { latency } from '../latency.js'

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What became of many rollouts. */
export interface Outcome {
  /** Which part of them was found harmful. */
  readonly found: number
  /** When half of those were, in looks. */
  readonly medianLook: number | undefined
}

/** One look at a rollout. */
type Look = (look: number) => 'HARMFUL' | undefined

/** Runs so many rollouts, each until it is found harmful or has been looked at so often. */
export function simulate(runs: number, looks: number, begin: () => Look): Outcome {
  const at: number[] = []
  for (let run = 0; run < runs; run++) {
    const lookAt = begin()
    for (let look = 1; look <= looks; look++) {
      if (lookAt(look) === undefined) continue
      at.push(look)
      break
    }
  }
  at.sort((a, b) => a - b)
  return { found: at.length / runs, medianLook: at[Math.floor(at.length / 2)] }
}

/** A rollout judged by its errors, a look a minute. */
export interface ErrorStory {
  readonly green: number
  readonly blue: number
  readonly ratio: number
  /** Which part of the requests fails ordinarily, and which part are the new version's, in which minute. */
  readonly errorRatio?: (minute: number) => number
  readonly share?: (minute: number) => number
}

/** The new version's share grows in steps, and the whole platform fails four times as often for twenty minutes. */
export const incident: Required<Pick<ErrorStory, 'errorRatio' | 'share'>> = {
  errorRatio: (minute) => (minute > 30 && minute <= 50 ? 0.04 : 0.01),
  share: (minute) => [0.05, 0.1, 0.25, 0.5][Math.floor((minute - 1) / 15)] ?? 0.5,
}

/** Errors that are independent of each other. */
export function errorStory(random: () => number, story: ErrorStory): () => Look {
  const { green, blue, ratio, errorRatio = () => 0.01, share } = story
  const judge = new Judge({ metrics: { errors: errorRate() } })
  return () => {
    let state = judge.start()
    return (minute) => {
      const greenRequests = share === undefined ? green : (green + blue) * share(minute)
      const blueRequests = green + blue - greenRequests
      const failing = errorRatio(minute)
      state = judge.observe(state, 'errors', {
        green: {
          requests: greenRequests,
          errors: Math.min(greenRequests, poisson(random, greenRequests * failing * ratio)),
        },
        blue: { requests: blueRequests, errors: Math.min(blueRequests, poisson(random, blueRequests * failing)) },
      })
      return judge.judge(state).verdict === 'HARMFUL' ? 'HARMFUL' : undefined
    }
  }
}

/** Four metrics over seven phases of growing share, one error budget, no difference in any. */
export function manyMetricsStory(random: () => number): () => Look {
  const metrics = { a: errorRate(), b: errorRate(), c: errorRate(), d: errorRate() }
  const judge = new Judge({ metrics })
  const shares = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9]
  return () => {
    let state = judge.start()
    return (look) => {
      const share = shares[Math.floor(((look - 1) / 240) * shares.length)] ?? 0.9
      const [green, blue] = [2_000 * share, 2_000 * (1 - share)]
      for (const name of ['a', 'b', 'c', 'd'] as const) {
        state = judge.observe(state, name, {
          green: { requests: green, errors: Math.min(green, poisson(random, green * 0.01)) },
          blue: { requests: blue, errors: Math.min(blue, poisson(random, blue * 0.01)) },
        })
      }
      return judge.judge(state).verdict === 'HARMFUL' ? 'HARMFUL' : undefined
    }
  }
}

/** A rollout judged by its latencies, a look a minute. */
export interface LatencyStory {
  readonly green: number
  readonly blue: number
  readonly ratio: number
  readonly sigma: number
  /** Which part of the calls stalls for seconds, on either version: 0 by default. */
  readonly stalls?: number
  readonly maxIncrease?: number
}

/** Latencies of a lognormal distribution, median 100 ms. */
export function latencyStory(random: () => number, story: LatencyStory): () => Look {
  const { green, blue, ratio, sigma, stalls = 0, maxIncrease = 0.2 } = story
  const judge = new Judge({ metrics: { latency: latency({ maxIncrease, random }) } })
  const draw = (count: number, times: number): number[] =>
    Array.from({ length: count }, () => {
      if (stalls > 0 && random() < stalls) return 5_000 * Math.exp(0.3 * normal(random))
      return 100 * times * Math.exp(sigma * normal(random))
    })
  return () => {
    let state = judge.start()
    return (minute) => {
      // The whole platform is three times as slow for a quarter of an hour.
      const spike = minute > 20 && minute <= 35 ? 3 : 1
      state = judge.observe(state, 'latency', { green: draw(green, spike * ratio), blue: draw(blue, spike) })
      return judge.judge(state).verdict === 'HARMFUL' ? 'HARMFUL' : undefined
    }
  }
}

/** How the guilds of a bot fail: `iid` each request alike, `persistent` some always, `bursts` some for half an hour. */
export type GuildModel = 'iid' | 'persistent' | 'bursts'

const GUILDS = 1_000
const HISTORY_WINDOWS = 24
/** Requests in a window of ten minutes. */
const REQUESTS = 20_000

/** Guilds that stay on one version, a tenth of them on the new one; a look each ten minutes, after four hours of history. */
export function guildStory(random: () => number, model: GuildModel, ratio: number): () => Look {
  const judge = new Judge({ metrics: { guilds: affectedGuilds() } })
  const weights = Array.from({ length: GUILDS }, (_, i) => 1 / (i + 1))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return () => {
    const order = weights.map((weight) => ({ requests: (REQUESTS * weight) / total, at: random() }))
    order.sort((a, b) => a.at - b.at)
    const failsAlways = order.map(() => model === 'persistent' && random() < 0.03)
    const burstUntil = order.map(() => 0)
    const isGreen = (guildId: string): boolean => Number(guildId) < GUILDS / 10
    let now = 0
    const window = (isRollout: boolean): GuildWindow[] => {
      now++
      return order.flatMap(({ requests }, i) => {
        const count = poisson(random, requests)
        if (count === 0) return []
        if (model === 'bursts' && random() < 0.005) burstUntil[i] = now + 3
        let failing = failsAlways[i] === true || (burstUntil[i] ?? 0) > now ? 0.25 : 0.01
        if (isRollout && isGreen(String(i))) failing = Math.min(1, failing * ratio)
        return [[String(i), random() < 1 - (1 - failing) ** count] as const]
      })
    }
    const history = new GuildHistory()
    for (let i = 0; i < HISTORY_WINDOWS; i++) history.add(window(false))
    let state = judge.start()
    return () => {
      state = judge.observe(state, 'guilds', history.sample(window(true), isGreen))
      return judge.judge(state).verdict === 'HARMFUL' ? 'HARMFUL' : undefined
    }
  }
}

function poisson(random: () => number, mean: number): number {
  if (mean > 100) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(random)))
  const limit = Math.exp(-mean)
  let count = 0
  for (let product = random(); product > limit; product *= random()) count++
  return count
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
