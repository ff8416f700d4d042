import type { Severity } from './alert.js'
import { CONSOLE } from './options.js'
import { type Matchable, type Matching, selects } from './silences.js'

/** Where some alerts go. */
export interface Route<Name extends string = string> {
  /** Alerts that are this urgent, or more; without it, all. */
  readonly severity?: Severity
  /** Alerts with these labels; without it, all. */
  readonly matching?: Matching
  /** The channels by name. */
  readonly to: readonly Name[]
  /** Whether the routes after this one are asked too. Without it, the first that fits decides. */
  readonly continue?: boolean
}

/** What decides where an alert goes. */
export interface RoutingRules {
  readonly routes: readonly Route[]
  readonly fallback: string
  /** Whether the channel takes it; each has its filter. */
  readonly takes: (channel: string, alert: Matchable) => boolean
  /** Whether the channel is out of order. */
  readonly isDown: (channel: string) => boolean
}

/**
 * The channels that an alert goes to; none when every one, and the fallback too, filters it out.
 *
 * @param about - the channel that the alert is about. It is left out, and then those that are down are too: somebody
 * must hear that a channel is dead.
 */
export function route(alert: Matchable, about: string | undefined, rules: RoutingRules): readonly string[] {
  const { routes, fallback, takes, isDown } = rules
  const chosen = new Set<string>()
  for (const each of routes) {
    if (!selects(each, alert)) continue
    for (const channel of each.to) chosen.add(channel)
    if (each.continue !== true) break
  }
  const may = (channel: string): boolean => channel !== about && takes(channel, alert)
  const willing = [...chosen].filter((channel) => may(channel) && (about === undefined || !isDown(channel)))
  if (willing.length > 0) return willing
  if (may(fallback)) return [fallback]
  // The only channel is the dead one: somebody looks at the console one day.
  return about !== undefined && may(CONSOLE) ? [CONSOLE] : []
}
