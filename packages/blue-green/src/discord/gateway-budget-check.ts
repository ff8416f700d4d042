import { requireMethods } from '../checked-options.js'
import {
  identifyBudgetCheck,
  type IdentifyBudget,
  type IdentifyBudgetOptions,
} from '../preparation/identify-budget-check.js'

/** The `rest` of a discord.js client, or a `REST` of `@discordjs/rest`. It needs the token, not a connection. */
export interface GatewayRest {
  /** Asks Discord. */
  get(
    route: '/gateway/bot',
    options: {
      /** Aborted when the time of the check is up. */
      readonly signal: AbortSignal
    },
  ): Promise<unknown>
}

/**
 * Looks before a start whether Discord allows enough new sessions, by `GET /gateway/bot`, and how long the shards will take.
 *
 * @remarks
 * A bot has some 1,000 identifies a day, and when none is left Discord resets its token. A second process on the same token costs one for each
 * shard; RESUME costs none. The shards of one process identify `max_concurrency` at a time, each 5 s: `identifyMs`.
 *
 * @param rest - `client.rest` with `client.rest.setToken(token)`, or `new REST().setToken(token)`
 * @param options - how many shards, and how many identifies to leave
 * @returns one of the `checks` of a `BlueGreen`; by itself, `await check({ signal: AbortSignal.timeout(5_000) })`. It rejects with a
 *   {@link CheckFailedError} when too few are left
 * @throws TypeError or RangeError when a parameter is wrong
 *
 * @example
 * ```ts
 * import { gatewayBudgetCheck } from '@evenkeel/blue-green/discord'
 *
 * const session_start_limit = { total: 1_000, remaining: 300, reset_after: 3_600_000, max_concurrency: 1 }
 * const rest = { get: async () => ({ url: 'wss://gateway.discord.gg', shards: 4, session_start_limit }) }
 * const check = gatewayBudgetCheck(rest, { shards: 4 })
 * console.log((await check({ signal: AbortSignal.timeout(5_000) })).identifyMs) // => 20000
 * ```
 */
export function gatewayBudgetCheck(
  rest: GatewayRest,
  options: IdentifyBudgetOptions,
): (context: { readonly signal: AbortSignal }) => Promise<IdentifyBudget> {
  requireMethods('rest', rest, ['get'])
  return identifyBudgetCheck((signal) => rest.get('/gateway/bot', { signal }), options)
}
