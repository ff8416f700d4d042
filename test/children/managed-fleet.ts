import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startStandin, type StandinProcess } from '@evenkeel-examples/discord-standin'
import { buildSync } from 'esbuild'

/** A bot under some process manager, the platform that it serves, and what its processes say of themselves. */
export class ManagedFleet {
  /** `v2 4711 READY`. */
  readonly lines: string[] = []
  /** Everything that belongs to it: the bot's program, its database, and room for the manager. */
  readonly folder: string
  readonly program: string
  readonly #wakes = new Set<() => void>()
  #standin: StandinProcess | undefined
  #ear: Server | undefined

  constructor() {
    // Within the work tree, so that the program finds what is installed there.
    this.folder = mkdtempSync(fileURLToPath(new URL('../../node_modules/.managed-', import.meta.url)))
    this.program = join(this.folder, 'bot.mjs')
  }

  async start(): Promise<void> {
    buildSync({
      entryPoints: [fileURLToPath(new URL('managed-bot.ts', import.meta.url))],
      outfile: this.program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['@evenkeel/source'],
      external: ['discord.js', 'better-sqlite3'],
      logLevel: 'error',
    })
    this.#ear = createServer((socket) => {
      socket.on('error', () => undefined)
      createInterface({ input: socket }).on('line', (line) => {
        this.lines.push(line)
        for (const wake of this.#wakes) wake()
        this.#wakes.clear()
      })
    })
    await new Promise<void>((resolve) => this.#ear?.listen(0, '127.0.0.1', resolve))
    this.#standin = await startStandin({ guilds: 5 })
  }

  async stop(): Promise<void> {
    await this.standin.stop()
    this.#ear?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  get standin(): StandinProcess {
    if (this.#standin === undefined) throw new Error('the fleet has not been started')
    return this.#standin
  }

  /** What a process of the bot needs. */
  get environment(): Record<string, string> {
    return {
      BOT_API: this.standin.api,
      BOT_TOKEN: this.standin.token,
      BOT_PATH: join(this.folder, 'bot.db'),
      BOT_REPORT: String((this.#ear?.address() as AddressInfo).port),
    }
  }

  /** Waits until a version says something. */
  async said(version: string, what: string): Promise<string> {
    for (;;) {
      const line = this.lines.find((one) => one.startsWith(`${version} `) && one.includes(` ${what}`))
      if (line !== undefined) return line
      await new Promise<void>((resolve) => this.#wakes.add(resolve))
    }
  }

  pidOf(version: string): number {
    return Number(this.lines.find((line) => line.startsWith(`${version} `))?.split(' ')[1])
  }

  /** The last process that ended: why, and how. */
  ends(): string[] {
    return this.lines.filter((line) => / END(ING|ED) /.test(line)).slice(-2)
  }

  /** What was lost, answered twice or run twice, by the ledger of the platform, and what the bots themselves say went wrong. */
  async faults(): Promise<string[]> {
    const { events } = await this.standin.ledger()
    const wrong = events.flatMap(({ id, answer, attempts }) => {
      if (answer === undefined) return [`${id} has no answer`]
      return attempts.length === 1 ? [] : [`${id} was answered ${attempts.length} times`]
    })
    return [...wrong, ...this.lines.filter((line) => /REPEATED|FAILED/.test(line))]
  }

  /** Which versions have answered. */
  async answeredBy(): Promise<Set<string | undefined>> {
    const { events } = await this.standin.ledger()
    return new Set(events.map(({ answer }) => answer?.split(' ')[0]))
  }

  async load(perSecond: number): Promise<void> {
    await this.standin.traffic({ perSecond, mix: perSecond > 0 ? [{ name: 'ping', weight: 1 }] : [] })
  }

  /** Ends the traffic, and resolves when the last command was answered; then every earlier one should be. */
  async settle(): Promise<string | undefined> {
    await this.standin.ask({ name: 'ping' })
    await this.load(0)
    return (await this.standin.ask({ name: 'ping' })).content?.split(' ')[0]
  }
}
