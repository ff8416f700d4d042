import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** The way to a server that can be cut: connections end, and new ones are refused. Or go silent: they stay open. */
export class CutProxy {
  readonly #target: URL
  readonly #sockets = new Set<Socket>()
  #server: Server
  #port = 0

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = this.#newServer()
  }

  static async to(url: string, defaultPort: number): Promise<CutProxy> {
    const target = new URL(url)
    if (target.port === '') target.port = String(defaultPort)
    const proxy = new CutProxy(target.href)
    await proxy.mend()
    return proxy
  }

  /** The address of the server by way of this. */
  get url(): string {
    const url = new URL(this.#target)
    url.hostname = '127.0.0.1'
    url.port = String(this.#port)
    return url.href
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
    await closed
  }

  /** Nothing passes over the connections of now any more, and neither end is told. New ones work. */
  silence(): void {
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  async mend(): Promise<void> {
    this.#server = this.#newServer()
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  #newServer(): Server {
    return createServer((near) => {
      const far = connect(Number(this.#target.port), this.#target.hostname)
      near.pipe(far).pipe(near)
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => this.#sockets.delete(socket))
      }
    })
  }
}
