import type { Backend, ChangeLog, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { UnavailableError } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import type { SqliteBackendOptions } from './sqlite-backend.js'
import type { WorkerCalls } from './sqlite-worker-messages.js'
import { SqliteWorkerThread, workerFileBeside } from './sqlite-worker-thread.js'
import type { ChangePage, Kept, Scope, StorageHealth } from '../storage.js'

/** How much longer than for a lock the thread may take to answer, in milliseconds, before it is given up. */
const ANSWER_MS = 30_000

/** What a {@link SqliteWorkerBackend} works with. */
export interface SqliteWorkerBackendOptions extends SqliteBackendOptions {
  /** The program of the thread; by default the one beside this file. */
  readonly workerFile?: string | undefined
}

/**
 * The same as `SqliteBackend`, in a thread of its own: neither its work nor its disk holds up the event loop. Each answer
 * takes a little longer for that.
 */
export class SqliteWorkerBackend implements Backend {
  readonly scope: Scope = 'machine'
  readonly log: ChangeLog
  readonly #options: SqliteWorkerBackendOptions
  readonly #wakes = new Set<() => void>()
  #announce: Announce<StorageEvents> = () => undefined
  #thread: SqliteWorkerThread | undefined
  #opening: Promise<SqliteWorkerThread> | undefined
  #isClosed = true
  /** Whether a thread had the database open: then a missing file is a loss. */
  #wasOpen = false
  #hasCrashed = false
  #busyWaits = 0

  constructor(options: SqliteWorkerBackendOptions) {
    this.#options = options
    this.log = {
      changes: (cursor, limit) => this.#ask('changes', cursor, limit) as Promise<ChangePage>,
      onHint: (wake) => this.#watch(wake),
    }
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    this.#announce = announce
    this.#isClosed = false
    await this.#use()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#opening?.catch(() => undefined)
    const thread = this.#thread
    this.#thread = undefined
    if (thread === undefined) return
    await thread.ask('close', [], this.#timeoutMs).answer.catch(() => undefined)
    await thread.end()
  }

  read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    return this.#ask('read', collection, keys, now) as Promise<(StoredRecord | undefined)[]>
  }

  page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    return this.#ask('page', collection, range, now) as Promise<KeyedRecord[]>
  }

  count(collection: string, prefix: string, now: number): Promise<number> {
    return this.#ask('count', collection, prefix, now) as Promise<number>
  }

  collections(now: number): Promise<string[]> {
    return this.#ask('collections', now) as Promise<string[]>
  }

  commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    return this.#ask('commit', mutations, now) as Promise<Kept>
  }

  health(): Promise<StorageHealth> {
    return this.#ask('health') as Promise<StorageHealth>
  }

  async check(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const thread = await this.#use()
    signal?.throwIfAborted()
    const { id, answer } = thread.ask('check', [], Infinity)
    const end = (): void => void thread.ask('endCheck', [id], this.#timeoutMs).answer.catch(() => undefined)
    signal?.addEventListener('abort', end)
    try {
      return (await answer) as readonly string[]
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', end)
    }
  }

  gauges(): Readonly<Record<string, number>> {
    const { path, files } = this.#options
    return {
      'wal.bytes': files.identify(`${path}-wal`)?.size ?? 0,
      'queue.length': this.#thread?.length ?? 0,
      'busy.waits': this.#busyWaits,
    }
  }

  get #timeoutMs(): number {
    return this.#options.busyTimeoutMs + ANSWER_MS
  }

  async #ask<Name extends keyof WorkerCalls>(name: Name, ...parameters: WorkerCalls[Name]): Promise<unknown> {
    const thread = this.#thread?.hasEnded === false ? this.#thread : await this.#use()
    return thread.ask(name, parameters, this.#timeoutMs).answer
  }

  /** The thread, with the database open; after a crash it is another one. */
  async #use(): Promise<SqliteWorkerThread> {
    if (this.#isClosed) throw new UnavailableError(`${this.#options.path} is closed`)
    if (this.#thread?.hasEnded === false) return this.#thread
    this.#opening ??= this.#start().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #start(): Promise<SqliteWorkerThread> {
    const { path, driver, busyTimeoutMs, clock, workerFile = workerFileBeside() } = this.#options
    const settings = { path, driver, busyTimeoutMs, mustExist: this.#wasOpen }
    const earlierWaits = this.#busyWaits
    const thread = new SqliteWorkerThread(workerFile, settings, clock, {
      onMessage: (message) => {
        if (message.type === 'hint') for (const wake of this.#wakes) wake()
        else this.#announce(message.event, message.news)
      },
      onBusyWaits: (count) => (this.#busyWaits = earlierWaits + count),
      onCrash: (why) => this.#tellCrash(why),
    })
    try {
      // It may have to look at every page, however many there are.
      await thread.ask('open', [], Infinity).answer
    } catch (error) {
      await thread.end()
      throw error
    }
    this.#thread = thread
    this.#wasOpen = true
    if (this.#wakes.size > 0) this.#setWatched(true)
    this.#tellRecovery()
    return thread
  }

  #watch(wake: () => void): () => void {
    // Another function for each caller, as the same one may be given twice.
    const own = (): void => wake()
    this.#wakes.add(own)
    if (this.#wakes.size === 1) this.#setWatched(true)
    return () => {
      if (this.#wakes.delete(own) && this.#wakes.size === 0) this.#setWatched(false)
    }
  }

  #setWatched(isWatched: boolean): void {
    // A thread that is gone tells nobody; the next one is told when it starts.
    this.#thread?.ask('watch', [isWatched], this.#timeoutMs).answer.catch(() => undefined)
  }

  #tellCrash(why: string): void {
    this.#hasCrashed = true
    const message = `The thread that has the database ${this.#options.path} is gone: ${why}.`
    this.#announce('change', { what: 'sqlite', from: 'up', to: 'down', why, severity: 'CRITICAL', message })
  }

  #tellRecovery(): void {
    if (!this.#hasCrashed) return
    this.#hasCrashed = false
    const message = `The database ${this.#options.path} can be used again.`
    const why = 'another thread has opened it'
    this.#announce('change', { what: 'sqlite', from: 'down', to: 'up', why, severity: 'INFO', message })
  }
}
