import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { WebSocket, type RawData } from 'ws'
import type { Standin } from './contract.js'

interface Payload {
  readonly op: number
  readonly t: string | null
  readonly s: number | null
  readonly d: unknown
}

/** A bare gateway client, for what discord.js never does by itself. */
export class RawGateway {
  readonly socket: WebSocket
  /** The close code. */
  readonly closed: Promise<number>
  readonly #token: string
  readonly #received: Payload[] = []
  #notify: () => void = () => {}

  static async open(standin: Standin, query = 'v=10&encoding=json'): Promise<RawGateway> {
    const socket = new WebSocket(`${standin.api.replace(/^http(.*)api$/, 'ws$1gateway')}?${query}`)
    const gateway = new RawGateway(socket, standin.token)
    await once(socket, 'open')
    return gateway
  }

  private constructor(socket: WebSocket, token: string) {
    this.socket = socket
    this.#token = token
    this.closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('message', (raw: RawData) => {
      this.#received.push(JSON.parse((raw as Buffer).toString()) as Payload)
      this.#notify()
    })
    onTestFinished(() => socket.terminate())
  }

  identify(d: { token?: string; shard?: [number, number] } = {}): void {
    this.send(2, { token: this.#token, intents: 1, properties: { os: '', browser: '', device: '' }, ...d })
  }

  resume(d: { session_id: string; seq: number }): void {
    this.send(6, { token: this.#token, ...d })
  }

  send(op: number, d: unknown): void {
    this.socket.send(JSON.stringify({ op, d }))
  }

  /** The next dispatch of this type; those before it are skipped. */
  next(type: string): Promise<Payload> {
    return this.#take(({ t }) => t === type)
  }

  nextOp(op: number): Promise<Payload> {
    return this.#take((payload) => payload.op === op)
  }

  async #take(fits: (payload: Payload) => boolean): Promise<Payload> {
    for (;;) {
      for (let payload = this.#received.shift(); payload !== undefined; payload = this.#received.shift()) {
        if (fits(payload)) return payload
      }
      await new Promise<void>((resolve) => (this.#notify = resolve))
    }
  }
}
