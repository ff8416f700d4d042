import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A process of a bot, which runs a program of `children` from its source, and what it has said. */
export class BotProcess {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #wakes = new Set<() => void>()

  constructor(program: string, ...parameters: readonly string[]) {
    const flags = ['--disable-warning=ExperimentalWarning', '--import', 'tsx', '--conditions=@evenkeel/source']
    this.#child = spawn(process.execPath, [...flags, program, ...parameters], { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.lines.push(line)
      for (const wake of this.#wakes) wake()
    })
    this.#child.once('exit', () => {
      for (const wake of this.#wakes) wake()
    })
  }

  /** Waits until it has said so many lines that begin like this; fails when the process ends without them. */
  async said(start: string, times = 1): Promise<void> {
    while (this.lines.filter((line) => line.startsWith(start)).length < times) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
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

  /** Asks it for something, a line of its own. */
  ask(line: string): void {
    this.#child.stdin!.write(`${line}\n`)
  }

  /** Stops it where it stands, until `goOn`. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  goOn(): void {
    this.#child.kill('SIGCONT')
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    await ended
  }
}
