import { describeFailure } from './check-result.js'
import type { TellLife } from './life-news.js'
import type { Clock } from './ports.js'

/** What tells the outside whether work should come. */
export interface Readiness {
  /** From now on: no more. */
  off(): unknown
}

/** Anything with a life. Every method may be missing, may be synchronous, and may return anything. */
export interface Part {
  /** What to call it in reports; otherwise its class's name. */
  readonly name?: string
  /** Begins. The next part starts when this one has. */
  start?(): unknown
  /** Tells the outside whether work should come, by a readiness probe for instance. */
  readonly readiness?: Readiness
  /** Takes no new work and finishes what has begun. The signal aborts when it has to end. */
  drain?(options: { readonly signal: AbortSignal }): unknown
  /** Ends. */
  stop?(): unknown
  /** Ends what has no `stop()`. */
  [Symbol.asyncDispose]?(): unknown
  /** Ends what has neither. */
  [Symbol.dispose]?(): unknown
}

/** What ended the run: a signal, or one of the others. */
export type ShutdownCause = NodeJS.Signals | 'abort' | 'crash' | 'start-failed'

/** Something that did not end well. */
export interface ShutdownProblem {
  /** The part's name. */
  readonly part: string
  /** What it was asked to do. */
  readonly step: 'readiness' | 'drain' | 'stop'
  /** What happened, in one line. */
  readonly why: string
}

/** How a run ended. */
export interface ShutdownReport {
  /** What ended it. */
  readonly cause: ShutdownCause
  /** The parts that stopped, in the order in which they did. */
  readonly stopped: readonly string[]
  /** The parts that were asked to stop, and threw or had not finished when waiting ended. */
  readonly left: readonly string[]
  /** Everything that threw or took too long. */
  readonly problems: readonly ShutdownProblem[]
  /** What crashed, when nobody caught it and `catchCrashes` was asked for. */
  readonly error?: unknown
}

/** A part, and what to call it. */
export interface NamedPart {
  readonly name: string
  readonly part: Part
}

/** Ends parts within one deadline, and keeps account of it. */
export class Shutdown {
  readonly #parts: readonly NamedPart[]
  readonly #clock: Clock
  readonly #drainEndsMs: number
  readonly #endsMs: number
  readonly #tell: TellLife
  readonly #hurry: Promise<undefined>
  readonly #stopped: string[] = []
  readonly #left: string[] = []
  readonly #problems: ShutdownProblem[] = []
  #isHurried = false

  /** @param hurry - resolves when all waiting must end */
  constructor(
    parts: readonly NamedPart[],
    { clock, timeoutMs, drainMs }: { clock: Clock; timeoutMs: number; drainMs: number },
    hurry: Promise<undefined>,
    tell: TellLife,
  ) {
    this.#parts = parts
    this.#clock = clock
    this.#drainEndsMs = clock.monotonic() + drainMs
    this.#endsMs = clock.monotonic() + timeoutMs
    this.#hurry = hurry
    this.#tell = tell
    void hurry.then(() => (this.#isHurried = true))
  }

  /** Readiness off everywhere first, then every `drain()` at the same time. */
  async drain(): Promise<void> {
    const askAll = (step: 'readiness' | 'drain', act: (part: Part) => unknown): Promise<unknown> =>
      Promise.all(
        this.#parts.map((each) =>
          this.#ask(each, step, this.#drainEndsMs - this.#clock.monotonic(), () => act(each.part)),
        ),
      )
    await askAll('readiness', (part) => part.readiness?.off())
    const controller = new AbortController()
    await askAll('drain', (part) => part.drain?.({ signal: controller.signal }))
    controller.abort(new Error('The time for draining is over'))
  }

  /** Every `stop()`, one after the other, the last part first. */
  async stop(): Promise<void> {
    const waiting = this.#parts.filter(({ part }) => endOf(part) !== undefined)
    for (let each = waiting.pop(); each !== undefined; each = waiting.pop()) {
      const { name, part } = each
      const shareMs = (this.#endsMs - this.#clock.monotonic()) / (waiting.length + 1)
      const hasStopped = await this.#ask(each, 'stop', shareMs, () => endOf(part)?.())
      ;(hasStopped ? this.#stopped : this.#left).push(name)
    }
  }

  report(cause: ShutdownCause, crash?: { readonly error: unknown }): ShutdownReport {
    return { cause, stopped: this.#stopped, left: this.#left, problems: this.#problems, ...crash }
  }

  /** Whether the part did as it was asked, in time. */
  async #ask(
    { name }: NamedPart,
    step: ShutdownProblem['step'],
    allowedMs: number,
    act: () => unknown,
  ): Promise<boolean> {
    const action = settle(act)
    const beganMs = this.#clock.monotonic()
    // In a hurry too, what ends at once has ended.
    const waitMs = this.#isHurried ? 0 : Math.max(0, allowedMs)
    let cancel!: () => void
    const patience = new Promise<undefined>((resolve) => {
      cancel = this.#clock.after(waitMs, () => resolve(undefined))
    })
    const outcome = await Promise.race(this.#isHurried ? [action, patience] : [action, patience, this.#hurry])
    cancel()
    if (outcome?.failed === false) {
      this.#tellEnd(name, step, `took ${Math.round(this.#clock.monotonic() - beganMs)} ms`)
      return true
    }
    const why = outcome === undefined ? this.#whyLate(waitMs) : describeFailure(outcome.error)
    this.#problems.push({ part: name, step, why })
    const to = step === 'stop' ? 'left running' : 'ending'
    this.#tell(name, 'ending', to, why, 'WARNING', `${name} did not end well (${step}): ${why}`)
    return false
  }

  #tellEnd(name: string, step: ShutdownProblem['step'], took: string): void {
    // That there was nothing to do is no news.
    if (step === 'drain' && this.#parts.some(({ name: each, part }) => each === name && part.drain !== undefined)) {
      this.#tell(name, 'ending', 'drained', took, 'INFO', `${name} has drained (${took})`)
    }
    if (step === 'stop') this.#tell(name, 'ending', 'stopped', took, 'INFO', `${name} has stopped (${took})`)
  }

  #whyLate(waitMs: number): string {
    if (this.#isHurried) return 'it had not finished when a further signal came'
    return `it had not finished after ${Math.round(waitMs)} ms`
  }
}

/** What ends a part, if anything does. */
function endOf(part: Part): (() => unknown) | undefined {
  const name = (['stop', Symbol.asyncDispose, Symbol.dispose] as const).find((each) => typeof part[each] === 'function')
  return name === undefined ? undefined : () => part[name]?.()
}

/** How a call ended. */
type Outcome = { readonly failed: false } | { readonly failed: true; readonly error: unknown }

/** Calls a function that may throw, reject or return anything. Never rejects. */
export async function settle(act: () => unknown): Promise<Outcome> {
  try {
    await act()
    return { failed: false }
  } catch (error) {
    return { failed: true, error }
  }
}
