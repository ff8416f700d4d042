import type { AlertMessage, AlertNotice, Severity } from './alert.js'
import type { Burial } from './burials.js'

/** What every event says. */
export interface AlertsNews {
  /** What it is about: a channel, `spool`, or `alerts` for the whole. */
  readonly what: string
  /** How it was before. */
  readonly from: string
  /** How it is now. */
  readonly to: string
  /** When, epoch ms. */
  readonly at: number
  /** Why, in one line, without secrets. */
  readonly why: string
  /** How much it matters. */
  readonly severity: Severity
  /** All of it as one sentence. */
  readonly message: string
}

/** People were told. */
export interface DeliveredNews extends AlertsNews {
  /** The message's key. */
  readonly messageId: string
  /** What they were told. */
  readonly notices: readonly AlertNotice[]
}

/** A channel will not get these. `to` is `dead` when they are in the dead-letter file, and `lost` when they are nowhere. */
export interface DeadNews extends AlertsNews {
  /** What it will not get. */
  readonly notices: readonly AlertNotice[]
}

/** The events of {@link Alerts}. */
export interface AlertsEvents {
  /** A channel, the spool or the whole changed its status. The getters already show it. */
  change: [news: AlertsNews]
  /** A channel took a message. */
  delivered: [news: DeliveredNews]
  /** A channel will not get some notices. */
  dead: [news: DeadNews]
}

/** What {@link AlertsEvents.delivered} says. */
export function deliveredNews(channel: string, message: AlertMessage, at: number): DeliveredNews {
  const { id, notices, severity } = message
  const why = 'the channel confirmed it'
  const text = `Channel ${channel} told ${countOf(notices)}.`
  return { what: channel, from: 'pending', to: 'delivered', at, why, severity, message: text, messageId: id, notices }
}

/** What {@link AlertsEvents.dead} says. */
export function deadNews({ channel, notices, why, end }: Burial, at: number): DeadNews {
  const text = `Channel ${channel} will not get ${countOf(notices)}: ${why}.`
  return { what: channel, from: 'pending', to: end, at, why, severity: 'CRITICAL', message: text, notices }
}

function countOf({ length }: readonly AlertNotice[]): string {
  return `${length} ${length === 1 ? 'alert' : 'alerts'}`
}

/** A complete sentence about a change. */
export function sentence(what: string, from: string, to: string, why: string): string {
  return `${what} went from ${from} to ${to}: ${why}${/[.!?…]$/.test(why) ? '' : '.'}`
}

/** Tells whoever runs the bot of something that must break nothing else. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'EvenkeelWarning', code })
}

/** Tells news one after the other: what a listener sets off is told after what it was told. */
export class Announcer {
  readonly #outbox: (() => void)[] = []
  #isAnnouncing = false

  announce(tell: () => void): void {
    this.#outbox.push(tell)
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    for (let next = this.#outbox.shift(); next !== undefined; next = this.#outbox.shift()) {
      try {
        next()
      } catch {
        // What it threw may hold anything; the listener's own place is what helps.
        warn('EVENKEEL_LISTENER', 'A listener of Alerts threw; those registered after it missed the event')
      }
    }
    this.#isAnnouncing = false
  }
}
