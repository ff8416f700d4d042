import type { FlagExpiry } from './news.js'
import type { Clock } from './ports.js'
import type { Table } from './table.js'

/** What an expiry watch needs of the flags. */
export interface ExpiryHost {
  readonly clock: Clock
  readonly everyMs: number
  current(): Table
  tell(expiry: Omit<FlagExpiry, 'epoch'>): void
}

/** Looks from time to time whether the time of a flag is over, and tells it once for each such time. */
export class ExpiryWatch {
  readonly #host: ExpiryHost
  /** The time that was told to be over. Another one is told again. */
  readonly #told = new Map<string, number>()
  #cancel: () => void = () => undefined

  constructor(host: ExpiryHost) {
    this.#host = host
  }

  /** Looks at once, and from then on. */
  start(): void {
    this.stop()
    this.#cancel = this.#host.clock.after(this.#host.everyMs, () => this.start())
    this.#look()
  }

  stop(): void {
    this.#cancel()
  }

  #look(): void {
    const now = this.#host.clock.now()
    for (const [name, { record }] of this.#host.current().flags) {
      const { expiresAt, owner } = record.spec
      if (expiresAt === undefined || expiresAt > now || this.#told.get(name) === expiresAt) continue
      this.#told.set(name, expiresAt)
      this.#host.tell(expiryOf(name, expiresAt, owner, now))
    }
  }
}

function expiryOf(name: string, expiresAt: number, owner: string | undefined, at: number): Omit<FlagExpiry, 'epoch'> {
  const why = `its time was over on ${new Date(expiresAt).toISOString().slice(0, 10)}`
  const who = owner === undefined ? '' : `; ${owner} looks after it`
  const message = `Flag ${JSON.stringify(name)} is still there, and ${why}${who}`
  return { what: name, at, why, severity: 'WARNING', message, expiresAt, owner }
}
