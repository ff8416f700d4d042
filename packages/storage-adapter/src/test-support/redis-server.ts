import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as ioredis from 'ioredis'

const LOCAL = 'redis://127.0.0.1:6379'

/** How long a server may take to start, in milliseconds. */
const START_MS = 10_000

/** ioredis 5 and 6: the contract is kept over both. */
export const ioredisPackages = ['ioredis', 'ioredis-6'] as const

/** Whether this machine can start a server. */
export const hasRedisServer: boolean = spawnSync('redis-server', ['--version']).status === 0

/** A client with its package's own settings, as a user would make it. */
export function redisClient(url: string, name: (typeof ioredisPackages)[number] = 'ioredis'): ioredis.Redis {
  const { Redis } = createRequire(import.meta.url)(name) as typeof ioredis
  return new Redis(url, { lazyConnect: true })
}

/** The same for a cluster. */
export function redisCluster(url: string, name: (typeof ioredisPackages)[number]): ioredis.Cluster {
  const { Cluster } = createRequire(import.meta.url)(name) as typeof ioredis
  return new Cluster([url], { lazyConnect: true })
}

/** Whether something listens there. */
async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 6379), timeout: 1_000 })
    const answer = (isThere: boolean) => (): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', answer(true)).once('error', answer(false)).once('timeout', answer(false))
  })
}

/** A server that others may use too. */
export interface FoundRedis {
  readonly url: string
  /** Ends it, if it was started here. */
  release(): Promise<void>
}

/**
 * The server of `REDIS_URL`, the one on the usual port, or one that is started.
 *
 * @returns `undefined` when there is none; in continuous integration nothing may be left out, so there it is an error
 */
export async function findRedis(): Promise<FoundRedis | undefined> {
  const release = (): Promise<void> => Promise.resolve()
  const named = process.env['REDIS_URL']
  if (named !== undefined) return { url: named, release }
  if (await isListening(LOCAL)) return { url: LOCAL, release }
  if (hasRedisServer) {
    const own = await OwnRedis.start()
    return { url: own.url, release: () => own[Symbol.asyncDispose]() }
  }
  if (process.env['CI'] !== undefined) throw new Error('There is no Redis: set REDIS_URL, or install redis-server')
  return undefined
}

/** How a server of our own is to be. */
export interface OwnRedisOptions {
  /** What to pass to redis-server, such as `['--requirepass', 'secret']`. */
  readonly settings?: readonly string[] | undefined
  /** The password by which the tests themselves get in. */
  readonly password?: string | undefined
}

/** A server that belongs to one test, to be stopped, frozen and killed. */
export class OwnRedis implements AsyncDisposable {
  readonly port: number
  readonly #directory: string
  readonly #options: OwnRedisOptions
  #process: ChildProcess | undefined

  private constructor(port: number, directory: string, options: OwnRedisOptions) {
    this.port = port
    this.#directory = directory
    this.#options = options
  }

  static async start(options: OwnRedisOptions = {}): Promise<OwnRedis> {
    const directory = await mkdtemp(join(tmpdir(), 'evenkeel-redis-'))
    const server = new OwnRedis(await freePort(), directory, options)
    await server.restart()
    return server
  }

  get url(): string {
    const { password } = this.#options
    return `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${this.port}`
  }

  /** Starts it again on the data that it kept; a write that it acknowledged is on its disk. */
  async restart(): Promise<void> {
    const settings = ['--port', String(this.port), '--dir', this.#directory, '--save', '', '--bind', '127.0.0.1']
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
    const all = [...settings, ...durable, ...(this.#options.settings ?? [])]
    this.#process = spawn('redis-server', all, { stdio: 'ignore' })
    const deadline = performance.now() + START_MS
    // It listens before it has loaded its data, so it is asked for more than that.
    while (!(await this.#answers())) {
      if (performance.now() > deadline) throw new Error(`redis-server did not start on port ${this.port}`)
    }
  }

  /** Runs a command as an operator would. */
  async admin(command: string, ...parameters: string[]): Promise<unknown> {
    const client = redisClient(this.url)
    client.on('error', () => undefined)
    try {
      return await client.call(command, ...parameters)
    } finally {
      client.disconnect()
    }
  }

  /** As a crash would: no farewell, nothing written any more. */
  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined || running.exitCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await ended
  }

  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  /** Removes what it keeps on its disk; to be done while it is down. */
  async wipe(): Promise<void> {
    await rm(join(this.#directory, 'appendonlydir'), { recursive: true, force: true })
    await rm(join(this.#directory, 'appendonly.aof'), { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #answers(): Promise<boolean> {
    if (!(await isListening(`redis://127.0.0.1:${this.port}`))) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      return false
    }
    return this.admin('PING').then(
      () => true,
      () => false,
    )
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
