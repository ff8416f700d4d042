import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { FailoverStorage, type Storage } from '@evenkeel/storage-adapter'
import { PostgresStorage } from '@evenkeel/storage-adapter/postgres'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { findPostgres } from '../../../packages/storage-adapter/src/test-support/postgres-server.js'
import { makeKeys, nextNote, type Note } from './documents.js'

const SCHEMA = 'evenkeel_bench'
const SWITCHES = 200
const DOCUMENTS = 100_000

/** How long a caller waits when the primary goes, and how fast an outage's writes come back. */
export async function failover(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'))
  const server = await findPostgres()
  // As a bot's connection would: nothing of ours keeps a process alive.
  const alive = setInterval(() => undefined, 60_000)
  try {
    console.log(`\nfail-over: the first set after the server is gone, ${SWITCHES} times, timeoutMs 100`)
    for (const fault of ['refused', 'frozen'] as const) await switches(join(directory, fault), server.url, fault)
    console.log(`\nfail-over: ${DOCUMENTS} documents that were written in an outage, replayed`)
    await replayIntoSqlite(directory)
    const postgres = new PostgresStorage({ url: server.url, schema: SCHEMA })
    await replayIntoPostgres(directory, server.url)
    await postgres.start()
    for (const name of await postgres.collections()) await postgres.collection(name).clear()
    await postgres.stop()
  } finally {
    clearInterval(alive)
    await server.release()
    await rm(directory, { recursive: true, force: true })
  }
}

async function switches(path: string, url: string, fault: 'refused' | 'frozen'): Promise<void> {
  const proxy = await Proxy.listen(url)
  const storage = new FailoverStorage({
    primary: new PostgresStorage({ url: proxy.url, schema: SCHEMA, poolSize: 2 }),
    ...{ path, writers: 'one', timeoutMs: 100, probeIntervalMs: 5, steadyProbes: 1, cooldownMs: 0 },
  })
  const notes = storage.collection<Note>('notes')
  await storage.start()
  const tookMs: number[] = []
  for (let round = 0; round < SWITCHES; round++) {
    await until(() => storage.state.on === 'primary' && storage.state.mirror.status === 'fresh')
    await notes.set('a', nextNote())
    await proxy[fault === 'refused' ? 'refuse' : 'freeze']()
    const startedAt = performance.now()
    // A frozen server may have taken the write, so the first caller is told that nobody knows.
    await notes.set('a', nextNote()).catch(() => undefined)
    tookMs.push(performance.now() - startedAt)
    await proxy.heal()
  }
  await storage.stop()
  await proxy.close()
  tookMs.sort((a, b) => a - b)
  const [p50 = 0, p99 = 0, max = 0] = [0.5, 0.99, 1].map((share) => tookMs[Math.ceil(tookMs.length * share) - 1])
  console.log(`  ${fault.padEnd(20)} p50 ${ms(p50)}  p99 ${ms(p99)}  max ${ms(max)}`)
}

/** Takes the primary away, and gives it back. */
interface Outage {
  begin(): Promise<void>
  end(): Promise<void>
}

/** A volume that goes and comes back. */
async function replayIntoSqlite(directory: string): Promise<void> {
  const volume = join(directory, 'volume')
  await mkdir(volume)
  await replay('into SQLite', join(directory, 'to-sqlite'), new SqliteStorage({ path: join(volume, 'primary.db') }), {
    async begin() {
      await rename(volume, `${volume}.away`)
      await writeFile(volume, '')
    },
    async end() {
      await rm(volume)
      await rename(`${volume}.away`, volume)
    },
  })
}

/** A server that goes and comes back. What the proxy costs is in the figures. */
async function replayIntoPostgres(directory: string, url: string): Promise<void> {
  const proxy = await Proxy.listen(url)
  const primary = new PostgresStorage({ url: proxy.url, schema: SCHEMA })
  await replay('into PostgreSQL', join(directory, 'to-postgres'), primary, {
    begin: () => proxy.refuse(),
    end: () => proxy.heal(),
  })
  await proxy.close()
}

async function replay(name: string, path: string, primary: Storage, outage: Outage): Promise<void> {
  const storage = new FailoverStorage({
    primary,
    ...{ path, writers: 'one', probeIntervalMs: 10, steadyProbes: 1, cooldownMs: 0 },
  })
  const notes = storage.collection<Note>('notes')
  await storage.start()
  await until(() => storage.state.mirror.status === 'fresh')
  await outage.begin()
  await notes.set('first', nextNote()).catch(() => undefined)
  const keys = makeKeys(DOCUMENTS)
  for (let at = 0; at < DOCUMENTS; at += 500) {
    await Promise.all(keys.slice(at, at + 500).map((key) => notes.set(key, nextNote())))
  }
  // Nothing but the replay is to be seen in the figures.
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const done = new Promise<number>((resolve) => storage.once('replayed', () => resolve(performance.now())))
  const back = new Promise<number>((resolve) =>
    storage.on('change', ({ what, to }) => what === 'storage' && to === 'primary' && resolve(performance.now())),
  )
  delay.enable()
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  await outage.end()
  const seconds = ((await done) - startedAt) / 1_000
  await back
  delay.disable()
  const { user, system } = process.cpuUsage(cpuBefore)
  const rate = Math.round(DOCUMENTS / seconds)
  const cpu = ms((user + system) / 1_000)
  console.log(
    `  ${name.padEnd(20)} ${rate} documents/s  (${ms(seconds * 1_000)}, cpu ${cpu})  longest pause of the event loop ${ms(delay.max / 1e6)}`,
  )
  await storage.stop()
}

/** A door in front of a server: open, shut, or open with nobody behind it. */
class Proxy {
  readonly url: string
  readonly #target: { readonly host: string; readonly port: number }
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  #server = createServer()
  #isFrozen = false

  private constructor(url: string, port: number) {
    const { hostname, port: target } = new URL(url)
    this.#target = { host: hostname, port: Number(target || 5432) }
    this.#port = port
    const own = new URL(url)
    own.host = `127.0.0.1:${port}`
    this.url = own.href
  }

  static async listen(url: string): Promise<Proxy> {
    const probe = createServer()
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
    const { port } = probe.address() as { port: number }
    await new Promise((resolve) => probe.close(resolve))
    const proxy = new Proxy(url, port)
    await proxy.#open()
    return proxy
  }

  /** Connections break, and new ones are refused. */
  async refuse(): Promise<void> {
    await this.close()
  }

  /** Connections stay, new ones are taken, and nothing comes through. */
  async freeze(): Promise<void> {
    this.#isFrozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  async heal(): Promise<void> {
    if (this.#isFrozen) {
      this.#isFrozen = false
      for (const socket of this.#sockets) socket.resume()
      return
    }
    await this.#open()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #open(): Promise<void> {
    this.#server = createServer((near) => {
      const far = connect(this.#target)
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.setNoDelay(true)
        from.on('data', (bytes) => to.write(bytes))
        from.on('error', () => undefined)
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
        if (this.#isFrozen) from.pause()
      }
    })
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}
