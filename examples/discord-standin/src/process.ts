import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Answer, AskRequest, CommandRequest, LedgerQuery, PressRequest, Standin, TrafficPlan } from './contract.js'
import { callControl } from './control.js'
import type { Fault } from './faults.js'
import type { Ledger } from './ledger.js'
import { settle, type StandinOptions } from './options.js'
import type { StandinGuild } from './world.js'

/** The one message of the child to its parent: where it listens, or why it does not. */
export type ChildMessage = ChildReady | { readonly failure: string }

/** What the parent needs to know of a child that listens. */
export interface ChildReady {
  readonly token: string
  readonly api: string
  readonly guilds: readonly StandinGuild[]
}

/** A stand-in in a process of its own, whose ledger no fault of the bot's process can touch. */
export interface StandinProcess extends Standin, AsyncDisposable {
  /** The child's process id. */
  readonly pid: number
}

/**
 * Starts a stand-in in a child process. It ends with {@link Standin.stop}, and with this process, however that ends.
 *
 * @returns when it listens
 * @throws RangeError when a number makes no sense, Error when the child cannot listen
 */
export async function startStandin(options: StandinOptions = {}): Promise<StandinProcess> {
  const child = spawnChild(settle(options))
  const message = await Promise.race([
    once(child, 'message').then(([message]) => message as ChildMessage),
    once(child, 'exit').then(([code]): ChildMessage => ({ failure: `its process ended with code ${String(code)}` })),
  ])
  if ('failure' in message) throw new Error(`The stand-in could not start: ${message.failure}`)
  // From here on it keeps nobody: a parent that is done may end, and takes the child along.
  child.unref()
  child.channel?.unref()
  return new ChildStandin(child, message)
}

class ChildStandin implements StandinProcess {
  readonly token: string
  readonly api: string
  readonly guilds: readonly StandinGuild[]
  readonly pid: number
  readonly #child: ChildProcess

  constructor(child: ChildProcess, ready: ChildReady) {
    this.#child = child
    this.pid = child.pid ?? 0
    this.token = ready.token
    this.api = ready.api
    this.guilds = ready.guilds
  }

  command(request: CommandRequest): Promise<{ id: string }> {
    return callControl(this.api, 'command', request) as Promise<{ id: string }>
  }

  press(request: PressRequest): Promise<{ id: string }> {
    return callControl(this.api, 'press', request) as Promise<{ id: string }>
  }

  ask(request: AskRequest): Promise<Answer> {
    return callControl(this.api, 'ask', request) as Promise<Answer>
  }

  async traffic(plan: TrafficPlan): Promise<void> {
    await callControl(this.api, 'traffic', plan)
  }

  inject(fault: Fault): Promise<{ id: string }> {
    return callControl(this.api, 'inject', fault) as Promise<{ id: string }>
  }

  async clear(id?: string): Promise<void> {
    await callControl(this.api, 'clear', id)
  }

  ledger(query?: LedgerQuery): Promise<Ledger> {
    return callControl(this.api, 'ledger', query) as Promise<Ledger>
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.ref()
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

function spawnChild(options: StandinOptions): ChildProcess {
  // By its address: a bare `tsx` would be looked for from the folder that the parent happens to run in.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const flags = Object.entries(options).map(([name, value]) => `--${name}=${String(value)}`)
  return spawn(process.execPath, ['--import', tsx, main, ...flags], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}
