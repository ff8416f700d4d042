import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** A process of the benchmark, with which messages are exchanged one by one. */
export class Child {
  readonly #process: ChildProcess

  constructor(file: string, args: readonly string[] = []) {
    // discord-hybrid-sharding warns of the pause between its clusters, which is of no matter here.
    this.#process = fork(file, [...args], { execArgv: ['--disable-warning=CLUSTER_MANAGER'] })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** The next message. */
  async heard<T>(): Promise<T> {
    const ended = new AbortController()
    const message = once(this.#process, 'message', { signal: ended.signal }) as Promise<[T]>
    const exit = once(this.#process, 'exit', { signal: ended.signal }).then((how: unknown[]) => {
      throw new Error(`A process of the benchmark ended with ${how.join(' ')}`)
    })
    try {
      const [first] = await Promise.race([message, exit])
      return first
    } finally {
      ended.abort()
    }
  }

  async ask<T>(message: object | string): Promise<T> {
    const answer = this.heard<T>()
    this.#process.send(message)
    return answer
  }

  send(message: object | string): void {
    this.#process.send(message)
  }

  /** Resolves when it has ended. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill(signal)
    await ended
  }
}
