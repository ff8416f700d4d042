import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onLines, type BotLine, type PlatformEvent, type PlatformLine } from './messages.js'

const WORK_MS = 30

/** A bot's connection to the platform: as a chat library, it emits each event, and forgets those that nobody listens to. */
export class Session extends EventEmitter<{ event: [event: PlatformEvent] }> {
  /** Resolves when events come. */
  readonly ready: Promise<void>
  readonly #socket: Socket
  readonly #by: string
  readonly #running = new Set<Promise<void>>()

  /** @param by - what to call this bot in the ledger */
  constructor(port: number, shards: readonly number[], by = String(process.pid)) {
    super()
    this.#by = by
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setNoDelay(true)
    this.#socket.on('error', () => undefined)
    this.#say({ hello: { pid: process.pid, shards } })
    this.ready = new Promise((resolve) => {
      onLines(this.#socket, (line: PlatformLine) => {
        if ('ready' in line) resolve()
        else this.emit('event', line.event)
      })
    })
  }

  /** Does the work of an event, which takes a while, and then tells users. */
  handle({ id }: PlatformEvent): Promise<void> {
    const work = this.#work(id)
    this.#running.add(work)
    return work.finally(() => this.#running.delete(work))
  }

  /** Resolves when what runs now has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** Resolves when all that was said has been sent. */
  async close(): Promise<void> {
    this.#socket.end()
    await once(this.#socket, 'close')
  }

  async #work(id: string): Promise<void> {
    this.#say({ begun: id, by: this.#by, atNs: String(process.hrtime.bigint()) })
    await sleep(WORK_MS)
    this.#say({ done: id, by: this.#by })
  }

  #say(line: BotLine): void {
    this.#socket.write(`${JSON.stringify(line)}\n`)
  }
}
