import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A process of a bot, which runs a program of `children` from its source, and what it has said. */
export class BotProcess {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  /** It has ended, and all that it said has come. */
  readonly #ended: Promise<unknown>
  readonly #wakes = new Set<() => void>()

  constructor(program: string, ...parameters: readonly string[]) {
    const flags = ['--disable-warning=ExperimentalWarning', '--import', 'tsx', '--conditions=@evenkeel/source']
    this.#child = spawn(process.execPath, [...flags, program, ...parameters], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#ended = once(this.#child, 'close')
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.lines.push(line)
      for (const wake of this.#wakes) wake()
    })
    void this.#ended.then(() => {
      for (const wake of this.#wakes) wake()
    })
  }

  /** Waits until it has said so many lines that begin like this; fails when the process ends without them. */
  async said(start: string, times = 1): Promise<void> {
    const hasSaid = (): boolean => this.lines.filter((line) => line.startsWith(start)).length >= times
    while (!hasSaid()) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        await this.#ended
        if (hasSaid()) return
        throw new Error(`The bot ended without saying ${start}:\n${this.lines.join('\n')}`)
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wakes.delete(wake)
          resolve()
        }
        this.#wakes.add(wake)
      })
    }
  }

  /** What it has said that begins so, without the beginning. */
  all(start: string): string[] {
    return this.lines.filter((line) => line.startsWith(`${start} `)).map((line) => line.slice(start.length + 1))
  }

  /** Asks it for something, a line of its own. */
  ask(line: string): void {
    this.#child.stdin!.write(`${line}\n`)
  }

  /** `SIGSTOP` stops it where it stands, until `SIGCONT`. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal)
    await this.#ended
  }
}
