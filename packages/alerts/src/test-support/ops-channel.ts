import type { AlertMessage } from '../alert.js'
import type { Channel, SendReport } from '../channels/channel.js'

/** A channel of one's own that writes down what people are told, and does what a test tells it to. */
export class OpsChannel implements Channel {
  readonly messages: AlertMessage[] = []
  readonly tries: AlertMessage[] = []
  readonly options: NonNullable<Channel['options']>
  readonly digests: boolean
  readonly maxNotices: number
  /** Called for each try; what it throws is what the channel answers. */
  answer: (message: AlertMessage, signal: AbortSignal) => Promise<SendReport | undefined> | SendReport | undefined =
    () => undefined

  constructor(options: Channel['options'] = {}, digests = false, maxNotices = 100) {
    this.options = { maxPerMinute: Infinity, ...options }
    this.digests = digests
    this.maxNotices = maxNotices
  }

  async send(message: AlertMessage, signal: AbortSignal): Promise<SendReport | undefined> {
    this.tries.push(message)
    const report = await this.answer(message, signal)
    this.messages.push(message)
    return report
  }

  /** What people were told, one word each. */
  get told(): string[] {
    return this.messages.flatMap(({ notices }) => notices.map(({ kind, name }) => `${kind} ${name}`))
  }
}
