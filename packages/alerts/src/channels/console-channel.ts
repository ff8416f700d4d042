import type { AlertNotice } from '../alert.js'
import type { LineSink } from '../ports.js'
import { oneLine, shorten } from '../text.js'
import { headline } from '../wording.js'
import { type Channel, type ChannelOptions, channelOptionsOf, requireChannelOptions } from './channel.js'

/** How {@link consoleChannel} writes. */
export interface ConsoleChannelOptions extends ChannelOptions {
  /** Where the lines go: `console` unless told, or a logger with `info`, `warn` and `error`. */
  readonly sink?: LineSink
}

/**
 * Writes one line for each notice: `INFO` and what is resolved to `info`, `WARNING` to `warn`, `CRITICAL` to `error`.
 *
 * @param options - where to, and which alerts
 * @returns the channel
 * @throws TypeError when the sink lacks a method, or an option does not exist
 *
 * @example
 * ```ts
 * import { Alerts, consoleChannel } from '@evenkeel/alerts'
 *
 * const alerts = new Alerts({ channels: { log: consoleChannel() }, path: false, groupWaitMs: 0 })
 * await alerts.start()
 * alerts.fire({ name: 'database down', severity: 'WARNING', message: 'connection refused' })
 * await alerts.flush() // writes "[alert] WARNING database down: connection refused"
 * await alerts.stop()
 * ```
 */
export function consoleChannel(options: ConsoleChannelOptions = {}): Channel {
  requireChannelOptions('consoleChannel', options, ['sink'])
  const { sink = console } = options
  for (const method of ['info', 'warn', 'error'] as const) {
    if (typeof (sink as Partial<LineSink>)[method] !== 'function') {
      throw new TypeError(`consoleChannel: the sink has no ${method}(); give console or a logger`)
    }
  }
  return {
    options: { maxPerMinute: Infinity, ...channelOptionsOf('consoleChannel', options) },
    send(message) {
      for (const notice of message.notices) write(sink, notice)
      return Promise.resolve()
    },
  }
}

function write(sink: LineSink, notice: AlertNotice): void {
  const labels = Object.entries(notice.labels).map(([label, value]) => `${label}=${value}`)
  const about = labels.length === 0 ? '' : ` {${labels.join(' ')}}`
  const line = shorten(oneLine(`[alert] ${headline(notice)}: ${notice.message}${about}`), 4_000)
  if (notice.kind === 'resolved' || notice.severity === 'INFO') sink.info(line)
  else if (notice.severity === 'WARNING') sink.warn(line)
  else sink.error(line)
}
