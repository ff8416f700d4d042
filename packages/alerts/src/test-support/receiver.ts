import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as it arrived. */
export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly url: string
  readonly text: string
  readonly atMs: number
}

/** What a receiver does with a request; the default takes it. */
export type Behaviour = (response: ServerResponse, request: Received) => void

export const accept: Behaviour = (response) => void response.writeHead(200).end('ok')

/** A real HTTP server that does what a test tells it to. */
export class Receiver implements AsyncDisposable {
  readonly received: Received[] = []
  behave: Behaviour
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { headers, url = '' } = request
      const received = { headers, url, text: Buffer.concat(chunks).toString('utf8'), atMs: performance.now() }
      this.received.push(received)
      for (const waiting of this.#waiting.splice(0)) waiting()
      this.behave(response, received)
    })
    request.on('error', () => undefined)
    response.on('error', () => undefined)
  })
  readonly #waiting: (() => void)[] = []

  private constructor(behave: Behaviour) {
    this.behave = behave
  }

  static async start(behave: Behaviour = accept): Promise<Receiver> {
    const receiver = new Receiver(behave)
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** An address with a token in it, as the platforms have it. */
  url(token: string = TOKEN): string {
    return `http://127.0.0.1:${this.port}/api/webhooks/11/${token}`
  }

  /** The bodies, parsed. */
  bodies<T>(): T[] {
    return this.received.map(({ text }) => JSON.parse(text) as T)
  }

  /** Resolves when so many requests have come in. */
  async hears(count: number): Promise<void> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** What must never be seen. */
export const TOKEN = 'tok-3nQ9xVb7LmZk2PsW8dTy'
