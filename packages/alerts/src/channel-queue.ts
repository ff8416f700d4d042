import type { AlertMessage } from './alert.js'
import {
  afterDelivery,
  afterFailure,
  afterRefusal,
  type Condition,
  type Failure,
  readFailure,
  untried,
} from './channel-health.js'
import { type Channel, channelDefaults, DEFAULT_MAX_NOTICES, type SendReport } from './channels/channel.js'
import { messageOf, pick, seenOf } from './compose.js'
import type { Burials } from './burials.js'
import type { Composed, Ledger, SpoolRecord } from './ledger.js'
import { MAX_RETRY_AFTER_MS, paceNote, paceReadyMs, retryDelayMs } from './pace.js'
import type { ResolvedOptions } from './options.js'

/** A queue that waits for something looks at itself again at least so often. */
const LOOK_MS = 60_000
/** So long a sending that is under way may take when everything is stopped. */
const GRACE_MS = 1_000

/** What a queue needs of its surroundings. */
export interface QueueHost {
  readonly options: Pick<ResolvedOptions, 'fallback' | 'fallbackAfterMs' | 'groupBy' | 'groupWaitMs'>
  readonly ledger: Ledger
  readonly burials: Pick<Burials, 'bury' | 'free'>
  /** Changes the ledger, and writes it down. */
  record(record: SpoolRecord): void
  /** Resolves when what was recorded is on the disk, or cannot be. */
  sync(): Promise<unknown>
  steadyMs(): number
  now(): number
  after(delayMs: number, run: () => void): () => void
  /** As `after`, but time in which the event loop stood still does not count. */
  afterRunning(delayMs: number, run: () => void): () => void
  random(): number
  newId(): string
  redact(text: string): string
  /** Runs a channel's code so that an alert that it raises does not come back to it. */
  within<T>(channel: string, run: () => T): T
  /** The channel changed. */
  onCondition(channel: string, before: Condition, after: Condition): void
  onDelivered(channel: string, message: AlertMessage): void
  /** Notices ended here, or wait for another channel from now on. */
  onMoved(): void
}

/**
 * What waits for one channel, and when it is sent: one message at a time, in order, at the channel's pace. A pause that
 * the receiver asks for holds up the whole queue, not one message of it.
 */
export class ChannelQueue {
  readonly #name: string
  readonly #channel: Channel
  readonly #host: QueueHost
  #condition: Condition
  #sentMs: readonly number[] = []
  /** Our own wait after a failure. */
  #retryMs = -Infinity
  /** The pause that the receiver asked for. */
  #pausedUntilMs = -Infinity
  #isHurried = false
  #isRunning = false
  #busy: Promise<void> | undefined
  #abort: AbortController | undefined
  #cancelTimer: (() => void) | undefined

  constructor(name: string, channel: Channel, host: QueueHost) {
    this.#name = name
    this.#channel = channel
    this.#host = host
    this.#condition = untried(host.now())
  }

  get condition(): Condition {
    return this.#condition
  }

  start(): void {
    this.#isRunning = true
    this.poke()
  }

  /** Something came in. What came before it decides when to look, and in a storm there is no time to look each time. */
  nudge(): void {
    if (this.#cancelTimer === undefined) this.poke()
  }

  /** Something changed, or time has passed. */
  poke(): void {
    if (!this.#isRunning || this.#busy !== undefined) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const nowMs = this.#host.steadyMs()
    const readyMs = this.#readyMs(nowMs)
    if (readyMs === undefined) {
      this.#isHurried = false
      return
    }
    const fallbackMs = this.#offerToFallback(nowMs)
    if (readyMs > nowMs) {
      const waitMs = Math.min(readyMs, fallbackMs, nowMs + LOOK_MS) - nowMs
      this.#cancelTimer = this.#host.after(Math.max(1, waitMs), () => this.poke())
      return
    }
    this.#busy = this.#sendNext().finally(() => {
      this.#busy = undefined
      this.poke()
    })
  }

  /** Sends now what waits for company or for our own next try. A pause that the receiver asked for is kept. */
  hurry(): void {
    this.#isHurried = true
    this.#retryMs = -Infinity
    this.poke()
  }

  /** Ends what is under way, after a moment. What was not confirmed stays. */
  async stop(): Promise<void> {
    this.#isRunning = false
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#busy !== undefined) {
      const cancel = this.#host.after(GRACE_MS, () => this.#abort?.abort(new Error('The alerts were stopped')))
      await this.#busy
      cancel()
    }
    await this.#close()
  }

  /** What a channel does then is its own business, and it is not waited for longer than a moment. */
  async #close(): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#host.after(GRACE_MS, resolve)
      const end = (): void => {
        cancel()
        resolve()
      }
      void (async () => this.#channel.close?.())().then(end, end)
    })
  }

  /** When the next message may be sent; `undefined` when there is none. */
  #readyMs(nowMs: number): number | undefined {
    const { ledger, burials, options } = this.#host
    const { maxPerMinute = channelDefaults.maxPerMinute } = this.#channel.options ?? {}
    const paceMs = paceReadyMs(this.#sentMs, maxPerMinute, this.#channel.minGapMs ?? 0)
    const earliestMs = Math.max(this.#retryMs, this.#pausedUntilMs, paceMs)
    if (ledger.messages(this.#name).length > 0) return Math.max(nowMs, earliestMs)
    const [oldest] = burials.free(this.#name)
    if (oldest === undefined) return undefined
    const bornMs = ledger.pending.get(oldest)?.bornMs ?? nowMs
    return Math.max(earliestMs, this.#isHurried ? nowMs : bornMs + options.groupWaitMs)
  }

  async #sendNext(): Promise<void> {
    const { ledger } = this.#host
    this.#buryExpired()
    const composed = ledger.messages(this.#name)[0] ?? this.#compose()
    if (composed === undefined) return
    const message = messageOf(ledger, composed)
    if (message === undefined) {
      this.#host.record({ type: 'settled', channel: this.#name, message: composed.id })
      return
    }
    // Whatever becomes of us now, the same message with the same key is sent again.
    await this.#host.sync()
    if (!this.#isRunning) return
    this.#sentMs = paceNote(this.#sentMs, this.#host.steadyMs())
    const outcome = await this.#attempt(message)
    if ('failure' in outcome) this.#failed(composed, outcome.failure)
    else this.#delivered(message, outcome.report)
  }

  #compose(): Composed | undefined {
    const { ledger, burials, options } = this.#host
    const { notices, isDigest } = pick(ledger, burials.free(this.#name), this.#channel, options.groupBy)
    if (notices.length === 0) return undefined
    const composed = { id: this.#host.newId(), channel: this.#name, notices, isDigest, atMs: this.#host.steadyMs() }
    this.#host.record({ type: 'message', ...composed })
    return composed
  }

  /** By its deadline at the latest; what a channel says after that is ignored, and it is not waited for. */
  #attempt(message: AlertMessage): Promise<{ report: SendReport } | { failure: Failure }> {
    const { timeoutMs = channelDefaults.timeoutMs } = this.#channel.options ?? {}
    const abort = new AbortController()
    this.#abort = abort
    const read = (thrown: unknown): { failure: Failure } => ({
      failure: readFailure(thrown, (text) => this.#host.redact(text)),
    })
    return new Promise((resolve) => {
      const late = (): void => abort.abort(new Error(`no answer within ${timeoutMs} ms`))
      const cancel = this.#host.afterRunning(timeoutMs, late)
      abort.signal.addEventListener('abort', () => resolve(read(abort.signal.reason)), { once: true })
      const settle = (outcome: { report: SendReport } | { failure: Failure }): void => {
        cancel()
        resolve(outcome)
      }
      this.#host
        .within(this.#name, async () => this.#channel.send(message, abort.signal))
        .then(
          (report) => settle({ report: report ?? {} }),
          (thrown: unknown) => settle(read(thrown)),
        )
    })
  }

  #delivered(message: AlertMessage, { waitMs = 0, trouble }: SendReport): void {
    this.#retryMs = -Infinity
    this.#pausedUntilMs = this.#host.steadyMs() + Math.min(MAX_RETRY_AFTER_MS, Math.max(0, waitMs) || 0)
    const seen = seenOf(message)
    this.#host.record({ type: 'settled', channel: this.#name, message: message.id, ...seen })
    const clean = trouble === undefined ? undefined : this.#host.redact(trouble)
    this.#become(afterDelivery(this.#condition, clean, this.#host.now()))
    this.#host.onDelivered(this.#name, message)
    this.#host.onMoved()
  }

  #failed(composed: Composed, failure: Failure): void {
    const { retryable, scope, retryAfterMs, reason } = failure
    if (!this.#isRunning) return
    const nowMs = this.#host.steadyMs()
    this.#become(afterFailure(this.#condition, failure, this.#host.now()))
    if (!retryable && scope === 'message') return this.#refused(composed, reason)
    if (retryAfterMs !== undefined) this.#pausedUntilMs = nowMs + Math.min(MAX_RETRY_AFTER_MS, retryAfterMs)
    const delayMs = retryDelayMs(this.#condition.failures, !retryable, () => this.#host.random())
    if (retryAfterMs === undefined) this.#retryMs = nowMs + delayMs
  }

  /** One bad notice must not take the others with it: it is looked for by halves. */
  #refused({ id, notices }: Composed, reason: string): void {
    if (notices.length > 1) {
      const into = [this.#host.newId(), this.#host.newId()] as const
      const { maxNotices = DEFAULT_MAX_NOTICES } = this.#channel
      this.#host.record({ type: 'split', message: id, channel: this.#name, into, maxNotices })
      return
    }
    const [notice] = notices
    const fingerprint = this.#host.ledger.pending.get(notice ?? '')?.notice.fingerprint
    this.#giveUp(notices, reason, id)
    if (fingerprint !== undefined) {
      this.#become(afterRefusal(this.#condition, fingerprint, reason, this.#host.now()))
    }
  }

  #buryExpired(): void {
    const { ledger, burials } = this.#host
    const nowMs = this.#host.steadyMs()
    const isExpired = (id: string): boolean => (ledger.pending.get(id)?.expiresMs ?? Infinity) <= nowMs
    const why = `expired while the channel was ${this.#condition.status} (${this.#condition.reason})`
    this.#giveUp([...burials.free(this.#name)].filter(isExpired), why)
    for (const { id, notices } of ledger.messages(this.#name)) {
      const known = notices.filter((notice) => ledger.pending.has(notice))
      if (known.length > 0 && known.every(isExpired)) this.#giveUp(known, why, id)
    }
  }

  /** This channel will not get them; the fallback does. */
  #giveUp(notices: readonly string[], why: string, message?: string): void {
    if (notices.length === 0) return
    for (const id of notices) this.#alsoToFallback(id)
    if (message !== undefined) this.#host.record({ type: 'settled', channel: this.#name, message })
    this.#host.burials.bury(this.#name, notices, why)
    this.#host.onMoved()
  }

  /** What has waited long for a channel that fails is told elsewhere too. Says when that is to be looked at again. */
  #offerToFallback(nowMs: number): number {
    const { ledger, burials, options } = this.#host
    if (this.#condition.failures === 0 && this.#condition.status !== 'down') return Infinity
    let nextMs = Infinity
    let isMoved = false
    const held = ledger.messages(this.#name).flatMap(({ notices }) => notices)
    for (const id of [...held, ...burials.free(this.#name)]) {
      const pending = ledger.pending.get(id)
      if (pending === undefined || pending.channels.has(options.fallback)) continue
      const dueMs = pending.bornMs + options.fallbackAfterMs
      if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs)
      else isMoved = this.#alsoToFallback(id) || isMoved
    }
    if (isMoved) this.#host.onMoved()
    return nextMs
  }

  #alsoToFallback(id: string): boolean {
    const { ledger, options } = this.#host
    const pending = ledger.pending.get(id)
    if (pending === undefined || this.#name === options.fallback || pending.about === options.fallback) return false
    const isTold = [...pending.channels.values()].includes('delivered')
    if (isTold || pending.channels.has(options.fallback)) return false
    this.#host.record({ type: 'also', notice: id, channel: options.fallback })
    return true
  }

  #become(after: Condition): void {
    const before = this.#condition
    this.#condition = after
    if (before.status !== after.status) this.#host.onCondition(this.#name, before, after)
  }
}
