import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { StorageTimeoutError, UnavailableError, type Applied } from '../errors.js'
import type { Clock } from '../ports.js'
import {
  decodeError,
  type WorkerCalls,
  type WorkerMessage,
  type WorkerRequest,
  type WorkerSettings,
} from './sqlite-worker-messages.js'

/** Who waits for an answer. */
interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly applied: Applied
  readonly stopTimer: () => void
}

/** What a {@link SqliteWorkerThread} tells. */
export interface WorkerThreadEvents {
  onMessage(message: Exclude<WorkerMessage, { type: 'answers' }>): void
  onBusyWaits(count: number): void
  /** The thread has ended without being asked to; all who waited have been told. */
  onCrash(why: string): void
}

/** The file of the worker, which lies beside this one, in the same module format. */
export function workerFileBeside(): string {
  // The one of the two that exists tells where this file is.
  const here = typeof __filename === 'string' ? __filename : fileURLToPath(import.meta.url)
  return join(dirname(here), `sqlite-worker${extname(here)}`)
}

/** One thread, and the questions that it has not answered yet. */
export class SqliteWorkerThread {
  readonly #path: string
  readonly #worker: Worker
  readonly #clock: Clock
  readonly #events: WorkerThreadEvents
  readonly #waiting = new Map<number, Waiting>()
  #requests: WorkerRequest[] = []
  #lastId = 0
  /** Why it can be asked no more. */
  #end: string | undefined

  constructor(file: string, settings: WorkerSettings, clock: Clock, events: WorkerThreadEvents) {
    this.#path = settings.path
    this.#clock = clock
    this.#events = events
    this.#worker = new Worker(file, { workerData: settings, name: 'evenkeel-sqlite' })
    // Only while somebody waits for an answer does the process wait too.
    this.#worker.unref()
    this.#worker.on('message', (message: WorkerMessage) => this.#receive(message))
    this.#worker.on('error', (error) => this.#crash(error instanceof Error ? error.message : String(error)))
    this.#worker.on('exit', (code) => this.#crash(`it ended with code ${code}`))
  }

  get hasEnded(): boolean {
    return this.#end !== undefined
  }

  /** How many questions have not been answered yet. */
  get length(): number {
    return this.#waiting.size
  }

  /**
   * Asks a question.
   *
   * @param timeoutMs - how long it may take, in milliseconds; `Infinity` for as long as it takes
   */
  ask<Name extends keyof WorkerCalls>(
    name: Name,
    parameters: WorkerCalls[Name],
    timeoutMs: number,
  ): { readonly id: number; readonly answer: Promise<unknown> } {
    const id = ++this.#lastId
    const applied = name === 'commit' ? 'unknown' : 'no'
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#ended('no'))
      const giveUp = (): void => this.#settle(id)?.reject(new StorageTimeoutError(timeoutMs, applied))
      const stopTimer = timeoutMs === Infinity ? (): void => undefined : this.#clock.after(timeoutMs, giveUp)
      if (this.#waiting.size === 0) this.#worker.ref()
      this.#waiting.set(id, { resolve, reject, applied, stopTimer })
      // What is asked in one turn goes in one message: so commits that belong together stay together.
      if (this.#requests.push({ id, name, parameters }) === 1) queueMicrotask(() => this.#send())
    })
    return { id, answer }
  }

  async end(): Promise<void> {
    this.#end ??= 'it was stopped'
    await this.#worker.terminate()
    this.#rejectAll()
  }

  #send(): void {
    this.#worker.postMessage(this.#requests)
    this.#requests = []
  }

  #receive(message: WorkerMessage): void {
    if (message.type !== 'answers') return this.#events.onMessage(message)
    this.#events.onBusyWaits(message.busyWaits)
    for (const answer of message.answers) {
      const waiting = this.#settle(answer.id)
      if ('error' in answer) waiting?.reject(decodeError(answer.error))
      else waiting?.resolve(answer.value)
    }
  }

  /** @returns who waits for it; nobody when it was given up */
  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return undefined
    waiting.stopTimer()
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#worker.unref()
    return waiting
  }

  #crash(why: string): void {
    if (this.#end !== undefined) return
    this.#end = why
    this.#rejectAll()
    this.#events.onCrash(why)
  }

  #rejectAll(): void {
    for (const [id, { applied }] of this.#waiting) this.#settle(id)?.reject(this.#ended(applied))
  }

  #ended(applied: Applied): UnavailableError {
    return new UnavailableError(
      `The thread that has ${this.#path} is gone (${this.#end}); the next use starts another`,
      applied,
    )
  }
}
