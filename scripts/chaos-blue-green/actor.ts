import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { readFact, type Fact } from './facts.js'

/** One process of a bot, and what is done to it. */
export class Actor {
  readonly name: string
  /** Since when it gets each event. */
  readyAt = Infinity
  /** When it last said that the events are its own. */
  ownerAt = -Infinity
  /** It was told to go, and does not come back. */
  isLeaving = false
  isFrozen = false
  isGone = false
  /** Whether the others count it in. */
  isIn = true
  readonly #child: ChildProcess
  /** The last of its complaints. */
  #stderr = ''
  #isKilled = false
  #hasLeft = false
  /** It has said that it cannot start. */
  #hasRefused = false
  #whenEnded: (how: string | undefined, last: string) => void = () => undefined

  /** @param heard - takes what it says, and what processes say that it has started */
  constructor(name: string, program: string, parameters: readonly string[], heard: (fact: Fact) => void) {
    this.name = name
    const flags = ['--disable-warning=ExperimentalWarning']
    this.#child = spawn(process.execPath, [...flags, program, name, ...parameters], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-2_000)
    })
    this.#child.stdin?.on('error', () => undefined)
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const fact = readFact(line)
      if (fact === undefined) return
      if (fact.by === name) this.#heard(fact)
      heard(fact)
    })
    this.#child.once('close', (code, signal) => {
      this.isGone = true
      const isExpected = this.#isKilled || this.#hasLeft || this.#hasRefused
      this.#whenEnded(isExpected ? undefined : `code ${code}, signal ${signal}`, this.#stderr)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** It gets events, and will. */
  get isServing(): boolean {
    return this.readyAt < Infinity && !this.isGone && !this.isLeaving && !this.isFrozen && this.isIn
  }

  /** @param ended - is told how it ended, if nobody had asked for that */
  onEnd(ended: (how: string | undefined, last: string) => void): void {
    this.#whenEnded = ended
  }

  tell(line: string): void {
    if (!this.isGone) this.#child.stdin?.write(`${line}\n`)
  }

  kill(): void {
    this.isGone = this.#isKilled = true
    this.#child.kill('SIGKILL')
  }

  freeze(): void {
    this.isFrozen = true
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.isFrozen = false
    this.#child.kill('SIGCONT')
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.kill()
    await ended
  }

  #heard({ fact, at, why }: Fact): void {
    if (fact === 'ready') this.readyAt = at
    if (fact === 'owner') this.ownerAt = at
    if (fact === 'out') this.isIn = false
    if (fact === 'in') this.isIn = true
    if (fact === 'refused' && why?.startsWith('start:')) this.#hasRefused = true
    if (fact === 'left') this.#hasLeft = this.isGone = true
  }
}
