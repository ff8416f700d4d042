import { fork, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { FeatureFlags } from '../feature-flags.js'

/** What changes flags. */
type ChangeName =
  'disable' | 'enable' | 'disableAll' | 'enableAll' | 'setPercentage' | 'setShare' | 'override' | 'removeOverride'

/** What a process is told. */
export interface ProcessOrder {
  readonly order: number
  readonly what: ChangeName | 'look' | 'churn' | 'stop' | 'cut' | 'mend' | 'told' | 'lag'
  readonly parameters: readonly unknown[]
}

/** What a process says: to an order, or of its own accord that so many changes are stored. */
export type ProcessReply =
  | { readonly order: number; readonly view: ProcessView }
  | { readonly order: number; readonly code: string }
  | { readonly order: number; readonly result: unknown }
  | { readonly stored: number }

/** How a process answers, and what it shows to an operator. */
export interface ProcessView {
  readonly epoch: number
  readonly feed: string
  /** A hash of all answers to 1,000 guilds and users. */
  readonly answers: string
  readonly flags: Readonly<Record<string, FlagView>>
}

interface FlagView {
  readonly state: string
  readonly percentage?: number | undefined
  readonly guildOverrides: number
  readonly sequence?: number | undefined
}

/** How long anything may take on a busy machine, in milliseconds. */
const patienceMs = 30_000

const running = new Set<FlagsProcess>()

/** A process of a bot whose flags are kept in the store of a URL, to be told what to do, to be stopped and to be killed. */
export class FlagsProcess {
  /** How many changes of `churn` it says are stored. */
  stored = -1
  readonly ended: Promise<void>
  #orders = 0
  #complaints = ''
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (reply: ProcessReply) => void>()

  private constructor(url: string) {
    const program = fileURLToPath(new URL('flags-child.ts', import.meta.url))
    // Node 22 calls its own SQLite experimental, on the standard error.
    const execArgv = ['--disable-warning=ExperimentalWarning', '--import', 'tsx', '--conditions=@evenkeel/source']
    this.#child = fork(program, [url], { execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#complaints += text))
    this.ended = new Promise((resolve) => this.#child.once('close', () => resolve()))
    this.#child.on('message', (reply: ProcessReply) => {
      if ('stored' in reply) this.stored = reply.stored
      else this.#waiting.get(reply.order)?.(reply)
    })
    running.add(this)
    void this.ended.then(() => running.delete(this))
  }

  /** Resolves when its flags have started. */
  static async start(url: string): Promise<FlagsProcess> {
    const started = new FlagsProcess(url)
    await started.hasStored(0)
    return started
  }

  /** Changes flags, and resolves when that is stored. */
  change<K extends ChangeName>(what: K, ...parameters: Parameters<FeatureFlags[K]>): Promise<unknown> {
    return this.#tell(what, parameters).then((reply) => {
      if ('code' in reply) throw Object.assign(new Error(reply.code), { code: reply.code })
      return 'result' in reply ? reply.result : undefined
    })
  }

  async look(): Promise<ProcessView> {
    const reply = await this.#tell('look', [])
    if ('view' in reply) return reply.view
    throw new Error(`It cannot be looked at: ${JSON.stringify(reply)}`)
  }

  /** The way to its database is cut, or mended. */
  async wayIs(what: 'cut' | 'mend'): Promise<void> {
    await this.#tell(what, [])
  }

  /** How long ago its copy of the database was known to have everything, in milliseconds; `undefined` for never. */
  async lagMs(): Promise<number | undefined> {
    const reply = await this.#tell('lag', [])
    return 'result' in reply ? (reply.result as number | undefined) : undefined
  }

  /** What its flags have told of the feed. */
  async toldOfFeed(): Promise<readonly string[]> {
    const reply = await this.#tell('told', [])
    return 'result' in reply ? (reply.result as string[]) : []
  }

  /** From now on it makes changes all the time, and says so. */
  churn(name: string): void {
    this.#child.send({ order: 0, what: 'churn', parameters: [name] } satisfies ProcessOrder)
  }

  async hasStored(changes: number): Promise<void> {
    await until(() => {
      if (this.#complaints !== '') throw new Error(`A process complains: ${this.#complaints}`)
      return this.stored >= changes
    }, `change ${changes} to be stored`)
  }

  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  /** Ends in order, without a word on the standard error. */
  async stop(): Promise<void> {
    this.#child.send({ order: 0, what: 'stop', parameters: [] } satisfies ProcessOrder)
    await this.ended
    expect(this.#complaints).toBe('')
  }

  #tell(what: ProcessOrder['what'], parameters: readonly unknown[]): Promise<ProcessReply> {
    const order = ++this.#orders
    const replied = new Promise<ProcessReply>((resolve) => this.#waiting.set(order, resolve))
    this.#child.send({ order, what, parameters } satisfies ProcessOrder)
    const gone = this.ended.then((): never => {
      throw new Error(`The process ended: ${this.#complaints}`)
    })
    return Promise.race([replied, gone]).finally(() => this.#waiting.delete(order))
  }
}

/** Ends at once what a test has left behind. */
export async function killAllProcesses(): Promise<void> {
  for (const each of running) each.kill('SIGKILL')
  await Promise.all([...running].map(({ ended }) => ended))
}

/** Waits until all processes see the store and answer alike, with one epoch. @returns how they all look */
export async function agreement(processes: readonly FlagsProcess[]): Promise<ProcessView> {
  let views: ProcessView[] = []
  const isReached = async (): Promise<boolean> => {
    views = await Promise.all(processes.map((each) => each.look()))
    return views.every((view) => view.feed === 'live' && JSON.stringify(view) === JSON.stringify(views[0]))
  }
  await until(isReached, () => `the processes to agree: ${JSON.stringify(views)}`)
  return views[0] as ProcessView
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string | (() => string)): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  while (!(await holds())) {
    if (performance.now() > deadlineMs)
      throw new Error(`Waited in vain for ${typeof what === 'string' ? what : what()}`)
    await sleep(10)
  }
}
