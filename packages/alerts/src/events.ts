import type { AlertNotice, Severity } from './alert.js'

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

/** A channel will not get these, and they are in the dead-letter file. */
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
