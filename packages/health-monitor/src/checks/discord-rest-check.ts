import type { HealthCheck } from '../check-result.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { requireClock, resolveOptions } from './check-options.js'
import { isSurelyAbove, type Tally } from './evidence.js'
import { count, duration, percent } from './figures.js'
import { together, type Verdict } from './verdict.js'

/** A request that discord.js made. */
export interface DiscordRestRequest {
  /** Its path. */
  readonly path: string
}

/** An answer that discord.js got. */
export interface DiscordRestResponse {
  /** Its HTTP status. */
  readonly status: number
}

/** The part of a client that talks to Discord over HTTP. */
export interface DiscordRest {
  /** Listens to answers. */
  on(event: 'response', listener: (request: DiscordRestRequest, response: DiscordRestResponse) => void): unknown
  /** Listens to requests that have to wait for a rate limit. */
  on(event: 'rateLimited', listener: () => void): unknown
  /** Listens to answers no more. */
  off(event: 'response', listener: (request: DiscordRestRequest, response: DiscordRestResponse) => void): unknown
  /** Listens to requests that have to wait no more. */
  off(event: 'rateLimited', listener: () => void): unknown
}

/** A client as {@link discordRestCheck} needs it; the `Client` of discord.js 14 is one. */
export interface DiscordRestClient {
  /** Its HTTP part. */
  readonly rest: DiscordRest
}

/** How {@link discordRestCheck} judges. */
export interface DiscordRestCheckOptions {
  /**
   * Milliseconds that are looked at.
   *
   * @defaultValue 300_000
   */
  readonly windowMs?: number
  /**
   * The share of answers, 0 to 1, that may be errors of Discord or of the token before it is `degraded`.
   *
   * @defaultValue 0.05
   */
  readonly degradedErrorRatio?: number
  /**
   * The share of answers, 0 to 1, that may be errors of Discord or of the token before it is `down`.
   *
   * @defaultValue 0.5
   */
  readonly downErrorRatio?: number
  /**
   * The share of requests, 0 to 1, that may have to wait for a rate limit before it is `degraded`.
   *
   * @defaultValue 0.2
   */
  readonly degradedLimitedRatio?: number
  /**
   * The share of requests, 0 to 1, that may have to wait for a rate limit before it is `down`; 1 for never.
   *
   * @defaultValue 1
   */
  readonly downLimitedRatio?: number
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link discordRestCheck} uses when its options leave it open. */
export const discordRestCheckDefaults: Required<Omit<DiscordRestCheckOptions, 'clock'>> = {
  windowMs: 300_000,
  degradedErrorRatio: 0.05,
  downErrorRatio: 0.5,
  degradedLimitedRatio: 0.2,
  downLimitedRatio: 1,
}

/** The check that {@link discordRestCheck} makes. */
export interface DiscordRestCheck extends HealthCheck {
  /** Stops listening to the client. The next look begins anew. */
  stop(): void
}

/** The window moves in so many steps. */
const STEPS = 12

interface Step {
  readonly startMs: number
  answers: number
  errors: number
  limited: number
}

/**
 * Looks at what Discord answers over HTTP: the share of errors, and of requests that have to wait for a rate limit.
 *
 * @remarks
 * It listens to the client's own requests, so it costs Discord nothing. Errors are answers from 500 on, and 401 to the
 * bot's own token. Other answers from 400 to 499 are about what was asked for, and do not count. Each answer counts, also
 * those that discord.js asks again after. A request that had to wait, or was answered 429, was limited. A share must be
 * above its limit beyond what chance does, so a few requests are not enough: 20 of 20 are.
 *
 * *Gotchas*: it listens from the first look on, until `stop()`. A listener does not keep the process alive. When Discord
 * cannot be reached at all there is no answer to count: `discordCheck` sees that.
 *
 * @param client - a discord.js client, also before it has logged in
 * @param options - the window and the limits
 * @returns the check, with `stop()`; while there are too few answers it is up, and says so
 * @throws TypeError when the client has no `rest`, or an option does not exist or is of another type
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { EventEmitter } from 'node:events'
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { discordRestCheck } from '@evenkeel/health-monitor/discord'
 *
 * // With discord.js: const client = new Client({ intents })
 * const client = { rest: new EventEmitter() }
 * const health = new HealthMonitor({ checks: { rest: { check: discordRestCheck(client) } } })
 * await health.checkNow()
 * for (let i = 0; i < 20; i++) client.rest.emit('response', { path: '/channels/1/messages' }, { status: 503 })
 * console.log((await health.check('rest')).reason) // => 20 of 20 answers are errors (100 %), above 50 %
 * ```
 */
export function discordRestCheck(client: DiscordRestClient, options: DiscordRestCheckOptions = {}): DiscordRestCheck {
  const rest = (client as Partial<DiscordRestClient> | undefined)?.rest
  if (typeof rest?.on !== 'function' || typeof rest.off !== 'function') {
    throw new TypeError('discordRestCheck: give a discord.js 14 client, which has client.rest')
  }
  const limits = resolveOptions('discordRestCheck', options, discordRestCheckDefaults, ['clock'])
  const { windowMs, clock = systemClock } = limits
  requireClock('discordRestCheck', clock)
  let steps: Step[] = []
  let isListening = false

  function step(): Step {
    const nowMs = clock.monotonic()
    steps = steps.filter(({ startMs }) => startMs > nowMs - windowMs)
    let open = steps.at(-1)
    if (open === undefined || nowMs - open.startMs >= windowMs / STEPS) {
      open = { startMs: nowMs, answers: 0, errors: 0, limited: 0 }
      steps.push(open)
    }
    return open
  }
  function onResponse({ path }: DiscordRestRequest, { status }: DiscordRestResponse): void {
    const open = step()
    open.answers++
    if (status >= 500 || (status === 401 && !hasOwnToken(path))) open.errors++
    if (status === 429) open.limited++
  }
  function onRateLimited(): void {
    step().limited++
  }

  const check = (): Verdict => {
    if (!isListening) {
      isListening = true
      rest.on('response', onResponse)
      rest.on('rateLimited', onRateLimited)
      return { status: 'up', reason: 'listening to answers begins now' }
    }
    step()
    const sum = (what: 'answers' | 'errors' | 'limited'): number => steps.reduce((all, each) => all + each[what], 0)
    const [answers, errors, limited] = [sum('answers'), sum('errors'), sum('limited')]
    // Who waits has not been answered yet, and may wait more than once.
    const requests = Math.max(answers, limited)
    return together([
      judge({ calls: answers, hits: errors }, 'answers are errors', limits.degradedErrorRatio, limits.downErrorRatio),
      judge(
        { calls: requests, hits: limited },
        'requests met a rate limit',
        limits.degradedLimitedRatio,
        limits.downLimitedRatio,
      ),
    ])
  }
  return Object.assign(check, {
    stop(): void {
      isListening = false
      steps = []
      rest.off('response', onResponse)
      rest.off('rateLimited', onRateLimited)
    },
  })

  function judge(tally: Tally, what: string, degraded: number, down: number): Verdict {
    const { hits, calls } = tally
    if (calls === 0) return { status: 'up', reason: `there were no ${what.split(' ')[0]} within ${duration(windowMs)}` }
    const reason = `${count(hits)} of ${count(calls)} ${what} (${percent(hits / calls)})`
    if (isSurelyAbove(tally, down)) return { status: 'down', reason: `${reason}, above ${percent(down)}` }
    if (isSurelyAbove(tally, degraded)) return { status: 'degraded', reason: `${reason}, above ${percent(degraded)}` }
    const isUnsure = hits / calls > degraded
    return { status: 'up', reason: isUnsure ? `${reason}, which are too few to judge by` : reason }
  }
}

/** A webhook or an interaction is authorized by the token in its own path, which runs out by itself. */
function hasOwnToken(path: string): boolean {
  return path.startsWith('/webhooks/') || path.startsWith('/interactions/')
}
