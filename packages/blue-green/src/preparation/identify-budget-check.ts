import { readCount, requireKnown } from '../checked-options.js'
import { checkBy, CheckFailedError, found, type CheckFinding } from './check.js'

/** What Discord allows of new sessions: `session_start_limit` of its answer to `GET /gateway/bot`. */
export interface SessionStartLimit {
  /** How many a day. */
  readonly total: number
  /** How many are left. */
  readonly remaining: number
  /** When they are `total` again, in ms from now. */
  readonly reset_after: number
  /** How many at once, each 5 s. */
  readonly max_concurrency: number
}

/** What the deployment takes. */
export interface IdentifyBudgetOptions {
  /** How many shards the bot has, from 1. Each of them identifies once when green comes. */
  readonly shards: number
  /**
   * Identifies to leave for restarts after a crash, from 0. When none is left, Discord resets the token of the bot.
   *
   * @defaultValue 50
   */
  readonly reserve?: number | undefined
}

/** The value of each field of {@link IdentifyBudgetOptions} that is not given. */
export const identifyBudgetDefaults: Required<Pick<IdentifyBudgetOptions, 'reserve'>> = { reserve: 50 }

/** What the budget is good for. */
export interface IdentifyBudget extends CheckFinding {
  /** How many identifies are left. */
  readonly remaining: number
  /** How many deployments of two starts each (green's, and one more if it must be taken back cold) are left. */
  readonly deploysLeft: number
  /** How long the shards of one version take to identify, in ms. */
  readonly identifyMs: number
  /** When the budget is whole again, in ms from now. */
  readonly resetAfterMs: number
}

/** Identifies of one bucket are this far apart. @see https://discord.com/developers/docs/events/gateway#rate-limiting */
const bucketMs = 5_000

/**
 * Looks whether enough new sessions are left with Discord: `shards * 2 + reserve`. Green identifies once for each shard, and if it
 * has to be taken back when blue is gone, blue does so again.
 *
 * @param fetchLimit - asks `GET /gateway/bot`; with discord.js
 *   `async (signal) => client.rest.get('/gateway/bot', { signal })`. The answer as a whole, or its `session_start_limit`.
 * @param options - how many shards
 * @returns the check, which resolves an {@link IdentifyBudget}
 * @throws TypeError or RangeError when an option is wrong
 *
 * @example
 * ```ts
 * import { identifyBudgetCheck } from '@evenkeel/blue-green/preparation'
 *
 * const limit = { total: 1_000, remaining: 300, reset_after: 3_600_000, max_concurrency: 1 }
 * const check = identifyBudgetCheck(async () => ({ session_start_limit: limit }), { shards: 40 })
 * console.log((await check({ signal: AbortSignal.timeout(1_000) })).deploysLeft) // => 3
 * ```
 */
export function identifyBudgetCheck(
  fetchLimit: (signal: AbortSignal) => Promise<unknown>,
  options: IdentifyBudgetOptions,
): (context: { readonly signal: AbortSignal }) => Promise<IdentifyBudget> {
  if (typeof fetchLimit !== 'function') throw new TypeError('identifyBudgetCheck: give a function that asks Discord')
  requireKnown('identifyBudgetCheck', options, ['shards', 'reserve'])
  const shards = readCount('shards', options.shards, 1)
  const reserve = readCount('reserve', options.reserve ?? identifyBudgetDefaults.reserve, 0)
  return checkBy(async (signal) => {
    const { remaining, reset_after: resetAfterMs, max_concurrency: atOnce } = readLimit(await fetchLimit(signal))
    const deploysLeft = Math.max(0, Math.floor((remaining - reserve) / (shards * 2)))
    const identifyMs = Math.ceil(shards / atOnce) * bucketMs
    const why = `${remaining} identifies are left, which is enough for ${deploysLeft} deployments of ${shards} shards`
    if (deploysLeft === 0) {
      const needed = shards * 2 + reserve
      const wait = `wait ${Math.ceil(resetAfterMs / 60_000)} minutes, or hand the session over by RESUME`
      throw new CheckFailedError(
        `${remaining} identifies are left, and ${needed} are needed (${shards} shards twice and ${reserve} in reserve): ${wait}`,
      )
    }
    return { ...found(why), remaining, deploysLeft, identifyMs, resetAfterMs }
  })
}

function readLimit(answer: unknown): SessionStartLimit {
  const { session_start_limit: inside } = Object(answer) as { session_start_limit?: unknown }
  const limit = Object(inside ?? answer) as Record<keyof SessionStartLimit, unknown>
  for (const name of ['remaining', 'reset_after', 'max_concurrency'] as const) {
    const [value, min] = [limit[name], name === 'max_concurrency' ? 1 : 0]
    if (typeof value === 'number' && Number.isFinite(value) && value >= min) continue
    throw new CheckFailedError(`the answer of Discord has no ${name} that can be read, but a ${typeof value}`)
  }
  return limit as unknown as SessionStartLimit
}
