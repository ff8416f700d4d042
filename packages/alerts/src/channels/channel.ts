import type { AlertMessage, AlertNotice } from '../alert.js'
import { requireSelection, selects, type Selection } from '../silences.js'

/** What a channel has to say about a message that it took. */
export interface SendReport {
  /** How long it wants to be left alone now, in milliseconds. */
  readonly waitMs?: number
  /** What went wrong although the message was taken; the channel is degraded then. */
  readonly trouble?: string
}

/** How every channel behaves. */
export interface ChannelOptions {
  /** Which alerts it takes; all unless told. What a filter refuses goes to the fallback channel if no other takes it. */
  readonly filter?: Selection | ((alert: Pick<AlertNotice, 'name' | 'labels' | 'severity'>) => boolean)
  /**
   * Milliseconds after which a sending has failed and is aborted.
   *
   * @defaultValue 10_000
   */
  readonly timeoutMs?: number
  /**
   * The most messages within a minute, from 1. What is more waits, and is told together.
   *
   * @defaultValue 10
   */
  readonly maxPerMinute?: number
}

/** What a channel gets when its options leave it open. */
export const channelDefaults: Required<Omit<ChannelOptions, 'filter'>> = {
  timeoutMs: 10_000,
  // Who gets a message every six seconds reads none of them.
  maxPerMinute: 10,
}

/**
 * Something that tells people. Write one of your own as an object with `send`.
 *
 * @example
 * ```ts
 * import type { Channel } from '@evenkeel/alerts'
 *
 * const pager: Channel = {
 *   async send(message) {
 *     for (const { name, severity } of message.notices) console.log(`${severity} ${name}`)
 *   },
 * }
 * const notice = { id: '1', fingerprint: 'f', kind: 'firing', name: 'database down', severity: 'CRITICAL' } as const
 * const notices = [{ ...notice, message: 'refused', labels: {}, at: 0, since: 0, count: 1 }]
 * await pager.send({ id: 'm1', at: 0, severity: 'CRITICAL', isDigest: false, notices }, AbortSignal.timeout(1_000))
 * // => CRITICAL database down
 * ```
 */
export interface Channel {
  /**
   * Tells people. Rejecting means that they were not told: it is tried again, unless the error says otherwise; see
   * {@link DeliveryError}.
   */
  send(message: AlertMessage, signal: AbortSignal): Promise<SendReport | undefined | void>
  /** Its filter, its deadline and its pace. */
  readonly options?: ChannelOptions
  /**
   * The most notices in one message, from 1.
   *
   * @defaultValue 100
   */
  readonly maxNotices?: number
  /** Whether it shows more notices than that as a digest; otherwise they become several messages. */
  readonly digests?: boolean
  /** The least milliseconds between two messages. */
  readonly minGapMs?: number
  /** What must never be shown: passwords, tokens, addresses with tokens in them. Asked once. */
  secrets?(): readonly string[]
  /** Lets go of connections. */
  close?(): Promise<void> | void
}

/** The most notices in one message of a channel that does not say. */
export const DEFAULT_MAX_NOTICES = 100

/** The most notices that one digest stands for. */
export const DIGEST_NOTICES = 1_000

const OPTION_NAMES = ['filter', 'timeoutMs', 'maxPerMinute']

/** Whether its filter takes the alert. A filter that throws takes it: too much is told rather than too little. */
export function takes(channel: Channel, alert: Pick<AlertNotice, 'name' | 'labels' | 'severity'>): boolean {
  const filter = channel.options?.filter
  if (filter === undefined) return true
  if (typeof filter !== 'function') return selects(filter, alert)
  try {
    return filter(alert)
  } catch {
    return true
  }
}

/** The options that every channel has, out of those of one; complete and valid. */
export function channelOptionsOf(where: string, options: ChannelOptions): ChannelOptions {
  const { filter, timeoutMs, maxPerMinute } = options
  const isSelection = typeof filter === 'object' && filter !== null
  if (filter !== undefined && typeof filter !== 'function' && !isSelection) {
    throw new TypeError(`${where}: filter must be { severity, matching } or a function`)
  }
  if (isSelection) {
    const stranger = Object.keys(filter).find((key) => key !== 'severity' && key !== 'matching')
    if (stranger !== undefined) {
      throw new TypeError(`${where}: filter has no "${stranger}"; there are severity, matching`)
    }
    requireSelection(`${where}: filter`, filter)
  }
  for (const [name, value] of Object.entries({ timeoutMs, maxPerMinute })) {
    if (value === undefined) continue
    if (typeof value !== 'number' || !(value > 0)) throw new RangeError(`${where}: ${name} must be above 0`)
  }
  return {
    ...(filter === undefined ? {} : { filter }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(maxPerMinute === undefined ? {} : { maxPerMinute }),
  }
}

/**
 * An option that is ignored is a promise broken in silence.
 *
 * @throws TypeError when `options` is no object, or has an option that is none of `known`
 */
export function requireChannelOptions(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${where} takes an object of options`)
  const all = [...known, ...OPTION_NAMES]
  const stranger = Object.keys(options).find((option) => !all.includes(option))
  if (stranger !== undefined) {
    throw new TypeError(`${where} has no option "${stranger}"; there are ${all.join(', ')}`)
  }
}
