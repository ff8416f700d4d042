import type { Severity } from './alert.js'
import type { NewsSource, WatchedComponent, WatchedNews } from './ports.js'

/** What a piece of news means for alerts. */
export type Meaning =
  | {
      readonly does: 'fire'
      readonly name: string
      readonly component: string
      readonly severity: Severity
      readonly message: string
    }
  | { readonly does: 'resolve'; readonly name: string; readonly component: string; readonly message: string }

/** The name under which a monitor tells of its whole, which its components have told of before. */
const WHOLE = 'health'

/** @throws TypeError when a part has no events, or is `self` */
export function requireSources(sources: readonly unknown[], self: unknown): void {
  const given = sources as readonly (Partial<NewsSource> | null | undefined)[]
  const stranger = given.findIndex((source) => typeof source?.on !== 'function' || typeof source.off !== 'function')
  if (stranger !== -1)
    throw new TypeError(`Alerts.watch: part ${stranger + 1} has no on() and off(); give what emits "change"`)
  if (given.some((source) => Object.is(source, self))) {
    throw new TypeError('Alerts.watch: alerts cannot watch themselves; they tell of a dead channel anyway')
  }
}

/**
 * Hands out what a source's news mean, and first of what is wrong already.
 *
 * @param take - `isNews` is false for what is so already
 * @returns ceases to listen
 */
export function follow(source: NewsSource, take: (meaning: Meaning, isNews: boolean) => void): () => void {
  const listen = (news: unknown): void => {
    const meaning = meaningOf(news, source)
    if (meaning !== undefined) take(meaning, true)
  }
  source.on('change', listen)
  for (const [component, how] of source.components ?? []) {
    const meaning = meaningOfComponent(component, how)
    if (meaning !== undefined) take(meaning, false)
  }
  return () => source.off('change', listen)
}

/** Bad news begins an alert, good news ends it; news that nobody can read is none. */
function meaningOf(news: unknown, source: NewsSource): Meaning | undefined {
  const { what, name, severity, message } = (news as Partial<WatchedNews> | null | undefined) ?? {}
  if (typeof what !== 'string' || typeof message !== 'string') return undefined
  if (what === WHOLE && source.components !== undefined) return undefined
  const component = typeof name === 'string' && name !== '' ? name : what
  const alert = component === what ? what : `${what} ${component}`
  if (severity === 'INFO') return { does: 'resolve', name: alert, component, message }
  if (severity !== 'WARNING' && severity !== 'CRITICAL') return undefined
  return { does: 'fire', name: alert, component, severity, message }
}

/** What is wrong, or well again, already when somebody begins to watch. */
function meaningOfComponent(name: string, component: WatchedComponent): Meaning | undefined {
  const { status, reason, critical = true } = component
  const message = `${name} is ${status}: ${reason}`
  if (status === 'up') return { does: 'resolve', name, component: name, message }
  if (status !== 'down' && status !== 'degraded') return undefined
  return {
    does: 'fire',
    name,
    component: name,
    severity: status === 'down' && critical ? 'CRITICAL' : 'WARNING',
    message,
  }
}
