import type { Severity } from './alert.js'
import { type AlertsComponent, type AlertsStatus, whole } from './channel-health.js'
import { type AlertsNews, sentence } from './events.js'
import { SPOOL } from './options.js'

/** What the board shows of channels and tells of changes. */
export interface StatusBoardHost {
  /** Every channel as it is now. */
  channels(): Iterable<readonly [string, AlertsComponent]>
  now(): number
  /** @param what - the channel that it is about, or `spool`, or `alerts` */
  tell(news: AlertsNews): void
}

/** How urgent it is that something is so now. */
const SEVERITY: Readonly<Record<AlertsStatus, Severity>> = {
  up: 'INFO',
  degraded: 'WARNING',
  unknown: 'WARNING',
  down: 'CRITICAL',
}

/** How the channels are, the spool, and the whole; tells each change of them. */
export class StatusBoard {
  readonly #host: StatusBoardHost
  #spool: AlertsComponent
  #announced: AlertsStatus = 'unknown'

  constructor(host: StatusBoardHost) {
    this.#host = host
    this.#spool = { status: 'unknown', reason: 'not started', since: host.now() }
  }

  /** `down` when no channel works, `degraded` when one does not, or the disk does not. */
  get status(): AlertsStatus {
    const channels = whole([...this.#host.channels()].map(([, { status }]) => status))
    return this.#spool.status === 'down' && channels !== 'down' ? 'degraded' : channels
  }

  get components(): ReadonlyMap<string, AlertsComponent> {
    const channels = [...this.#host.channels()].map(([name, component]): [string, AlertsComponent] => {
      const { status, reason, since } = component
      return [name, { status, reason, since }]
    })
    return new Map([...channels, [SPOOL, this.#spool]])
  }

  /** @returns whether it is another than before */
  setSpool(status: AlertsStatus, reason: string): boolean {
    const before = this.#spool
    if (status === before.status) return false
    this.#spool = { status, reason, since: this.#host.now() }
    this.tell(SPOOL, before.status, status, reason)
    return true
  }

  /** Something changed, and the getters show it already; the whole may have changed with it. */
  tell(what: string, from: AlertsStatus, to: AlertsStatus, why: string): void {
    const all = [this.#news(what, from, to, why, sentence(what, from, to, why))]
    const { status } = this
    if (status !== this.#announced) {
      const cause = `${what} is ${to}`
      all.push(this.#news('alerts', this.#announced, status, cause, sentence('Alerts', this.#announced, status, cause)))
      this.#announced = status
    }
    for (const news of all) this.#host.tell(news)
  }

  #news(what: string, from: AlertsStatus, to: AlertsStatus, why: string, message: string): AlertsNews {
    return { what, from, to, at: this.#host.now(), why, severity: SEVERITY[to], message }
  }
}
