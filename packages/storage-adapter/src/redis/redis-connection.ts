import { BusyError, StorageTimeoutError, UnavailableError, type Applied } from '../errors.js'
import type { Clock } from '../ports.js'
import type { FreshClient, RedisClient, RedisSource } from './redis-client.js'
import { isForbidden, isUnknownScript, translateRedisError } from './redis-errors.js'
import { meet, type CommitCall } from './redis-commit.js'
import { RedisLane, type Write } from './redis-lane.js'
import { COMMIT, type RedisScript } from './redis-scripts.js'
import { readFacts, type ServerFacts } from './redis-server-facts.js'
import { holdProcess } from '../system-clock.js'

/** How many commands are sent at once. */
const GATHER = 16

/** A command under way. */
interface Call {
  readonly deadlineMs: number
  readonly onLoss: Applied
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How connections are made and kept. */
export interface ConnectionOptions {
  readonly source: RedisSource
  readonly clock: Clock
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
}

/** What a connection tells by itself. */
export interface ConnectionListener {
  /** It is made: this is the last part of that, and bound by the same deadline. */
  readonly prepare?: ((connection: RedisConnection) => Promise<void>) | undefined
  /** It is lost, or was closed. */
  readonly onEnd?: ((connection: RedisConnection) => void) | undefined
  /** A deadline has passed. */
  readonly onOverdue?: ((connection: RedisConnection) => void) | undefined
}

interface CommitWrite extends Write {
  readonly commit: CommitCall
}

type Parameters = readonly (string | number)[]

/** One connection, from its beginning to its end, with a deadline on everything. */
export class RedisConnection {
  readonly #options: ConnectionOptions
  readonly #client: RedisClient
  readonly #secret: string | undefined
  readonly #listener: ConnectionListener
  /** In the order of their deadlines, which is that of their beginning. */
  readonly #pending = new Set<Call>()
  readonly #lane = new RedisLane()
  #gathered = 0
  #isTimed = false
  #cancelTimer: () => void = () => undefined
  #onIdle: (() => void) | undefined
  #replies = 0
  #lastError: unknown

  private constructor(options: ConnectionOptions, { client, secret }: FreshClient, listener: ConnectionListener) {
    this.#options = options
    this.#client = client
    this.#secret = secret
    this.#listener = listener
    // ioredis rejects with "Connection is closed" alone; why it was is in its events. And it goes on after a SELECT that
    // failed, with another database.
    client.on('error', (error) => (this.#lastError = error))
    client.on('end', () => {
      this.#cancelTimer()
      listener.onEnd?.(this)
    })
  }

  /**
   * Connects.
   *
   * @throws UnavailableError when that fails or takes too long
   */
  static async open(options: ConnectionOptions, listener: ConnectionListener = {}): Promise<RedisConnection> {
    const { source, clock, connectTimeoutMs } = options
    let connection: RedisConnection | undefined
    let isLate = false
    let cancel = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(connectTimeoutMs, () => {
        isLate = true
        const remedy = 'it may be frozen or overloaded, or raise connectTimeoutMs'
        reject(new UnavailableError(`${source.label} took no connection within ${connectTimeoutMs} ms; ${remedy}`))
      })
    })
    const connect = async (): Promise<RedisConnection> => {
      const fresh = await source.make()
      // The password may have been longer in coming than anybody waits.
      if (isLate) return late
      connection = new RedisConnection(options, fresh, listener)
      await connection.#connect()
      await listener.prepare?.(connection)
      return connection
    }
    const letGo = holdProcess()
    try {
      return await Promise.race([connect(), late])
    } catch (error) {
      connection?.close()
      throw translateRedisError(error, { label: source.label, secret: undefined, onLoss: 'no', reason: undefined })
    } finally {
      cancel()
      letGo()
    }
  }

  /** Whether commands can be sent. */
  get isOpen(): boolean {
    return this.#client.status === 'ready'
  }

  /** How many commands wait for their reply. */
  get pending(): number {
    return this.#pending.size
  }

  /** How many replies have come: as long as this grows, the connection works. */
  get replies(): number {
    return this.#replies
  }

  /**
   * Sends a command.
   *
   * @param onLoss - whether it may have taken effect when no reply comes: `unknown` for a write
   */
  send(onLoss: Applied, command: string, parameters: Parameters): Promise<unknown> {
    return this.#call(onLoss, () => this.#client.call(command, parameters))
  }

  /** Runs a script that may be run twice, by its name if Redis knows it. */
  run({ lua, sha }: RedisScript, keys: readonly string[], parameters: Parameters): Promise<unknown> {
    return this.#call(
      'no',
      () => this.#client.call('EVALSHA', toArguments(sha, keys, parameters)),
      () => this.#client.call('EVAL', toArguments(lua, keys, parameters)),
    )
  }

  /** Commits. Of two commits that meet, the one that was given first never takes effect last. */
  commit(commit: CommitCall): Promise<unknown> {
    const { clock, timeoutMs, source } = this.#options
    return new Promise((resolve, reject) => {
      const call = this.#begin('unknown', resolve, reject)
      if (call === undefined) return
      const write: CommitWrite = {
        commit,
        send: (withScript) => this.#sendCommit(call, write, withScript),
        drop: () => {
          this.#end(call)
          const waitedMs = timeoutMs - (call.deadlineMs - clock.monotonic())
          reject(new BusyError(`A record of ${source.label}`, waitedMs, undefined, 'try again'))
        },
        meets: (other) => meet(commit, (other as CommitWrite).commit),
      }
      this.#lane.add(write)
    })
  }

  /** Asks the server what it is. What it forbids to ask is left out. */
  async readFacts(): Promise<ServerFacts> {
    const allowed = (command: string, parameters: Parameters): Promise<unknown> =>
      this.send('no', command, parameters).catch((error: unknown) => {
        if (isForbidden((error as Error).cause)) return undefined
        throw error
      })
    const [info, appendFsync] = await Promise.all([allowed('INFO', []), allowed('CONFIG', ['GET', 'appendfsync'])])
    if (this.#lastError !== undefined) throw this.#translate(this.#lastError, 'no')
    return readFacts(info as string | undefined, appendFsync)
  }

  /** Listens to a channel. Afterwards the connection is good for nothing else. */
  async subscribe(channel: string, listener: () => void): Promise<void> {
    this.#client.on('message', listener)
    await this.#call('no', () => this.#client.subscribe(channel))
  }

  /** Waits until no command is under way; their deadlines bound it. */
  async idle(): Promise<void> {
    if (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }

  /** Closes it now; what is under way is rejected. */
  close(): void {
    this.#client.disconnect()
  }

  async #connect(): Promise<void> {
    try {
      await this.#client.connect()
    } catch (error) {
      throw this.#translate(error, 'no')
    }
    this.#rest()
  }

  /** Nobody waits for a reply: an open connection alone must not keep the process alive. */
  #rest(): void {
    this.#client.stream?.unref()
    this.#onIdle?.()
  }

  #sendCommit(call: Call, write: CommitWrite, withScript: boolean): void {
    const { keys, parameters } = write.commit
    // It may have waited until its deadline, or the end of the connection.
    if (!this.#pending.has(call) || !this.isOpen) {
      this.#forget(call)
      call.reject(this.#lost())
      return this.#lane.answered(write)
    }
    this.#gather()
    const sent = withScript
      ? this.#client.call('EVAL', toArguments(COMMIT.lua, keys, parameters))
      : this.#client.call('EVALSHA', toArguments(COMMIT.sha, keys, parameters))
    sent.then(
      (reply) => {
        this.#lane.answered(write)
        this.#succeed(call, reply)
      },
      (error: unknown) => {
        if (isUnknownScript(error) && this.#pending.has(call)) return this.#lane.refused(write)
        this.#lane.answered(write)
        this.#fail(call, error)
      },
    )
  }

  /** Notes a call as under way, or rejects when nothing can be sent. */
  #begin(onLoss: Applied, resolve: Call['resolve'], reject: Call['reject']): Call | undefined {
    const { clock, timeoutMs } = this.#options
    if (!this.isOpen) {
      reject(this.#lost())
      return undefined
    }
    const call: Call = { deadlineMs: clock.monotonic() + timeoutMs, onLoss, resolve, reject }
    if (this.#pending.size === 0) this.#client.stream?.ref()
    this.#pending.add(call)
    this.#time(call)
    return call
  }

  #lost(): UnavailableError {
    return new UnavailableError(`${this.#options.source.label} is out of reach: the connection was lost`)
  }

  #call(onLoss: Applied, issue: () => Promise<unknown>, reissue?: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = this.#begin(onLoss, resolve, reject)
      if (call === undefined) return
      this.#gather()
      issue().then(
        (reply) => this.#succeed(call, reply),
        (error: unknown) => {
          if (reissue === undefined || !isUnknownScript(error) || !this.#pending.has(call)) this.#fail(call, error)
          else void reissue().then(this.#succeed.bind(this, call), this.#fail.bind(this, call))
        },
      )
    })
  }

  #succeed(call: Call, reply: unknown): void {
    this.#end(call)
    call.resolve(reply)
  }

  #fail(call: Call, error: unknown): void {
    this.#end(call)
    call.reject(this.#translate(error, call.onLoss))
  }

  /**
   * Sends several commands of one turn of the event loop at once: a system call costs as much as a command. Not all of
   * them, for meanwhile the server can begin.
   */
  #gather(): void {
    const { stream } = this.#client
    // One alone goes at once.
    if (this.#pending.size <= 1 || !stream) return
    if (this.#gathered++ === 0) {
      stream.cork()
      process.nextTick(() => this.#sendGathered())
    } else if (this.#gathered % GATHER === 0) {
      stream.uncork()
      stream.cork()
    }
  }

  #sendGathered(): void {
    this.#gathered = 0
    this.#client.stream?.uncork()
  }

  #end(call: Call): void {
    this.#replies++
    this.#forget(call)
  }

  #forget(call: Call): void {
    if (this.#pending.delete(call) && this.#pending.size === 0) this.#rest()
  }

  /**
   * One timer serves all calls. It is not stopped when they end, as most do long before: it fires once, finds nothing to
   * do, and rests.
   */
  #time({ deadlineMs }: Call): void {
    if (this.#isTimed) return
    this.#isTimed = true
    const { clock } = this.#options
    this.#cancelTimer = clock.after(Math.max(0, deadlineMs - clock.monotonic()), () => {
      this.#isTimed = false
      this.#expire(clock.monotonic())
    })
  }

  #expire(nowMs: number): void {
    const { timeoutMs } = this.#options
    let isOverdue = false
    for (const call of this.#pending) {
      // Timers of Node may fire a moment early; a millisecond more or less is nothing to a deadline.
      if (call.deadlineMs > nowMs + 1) {
        this.#time(call)
        break
      }
      isOverdue = true
      this.#pending.delete(call)
      call.reject(new StorageTimeoutError(timeoutMs, call.onLoss))
    }
    if (!isOverdue) return
    if (this.#pending.size === 0) this.#rest()
    this.#listener.onOverdue?.(this)
  }

  #translate(error: unknown, onLoss: Applied): Error {
    const { label } = this.#options.source
    return translateRedisError(error, { label, secret: this.#secret, onLoss, reason: this.#lastError })
  }
}

function toArguments(script: string, keys: readonly string[], parameters: Parameters): Parameters {
  return [script, keys.length as string | number].concat(keys, parameters)
}
