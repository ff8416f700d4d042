import { writeSync } from 'node:fs'

/** What a process of the chaos run did, a line of JSON each. */
export interface Fact {
  /**
   * `up`: it runs; of a worker, with `pid` and `version`. `ready`: it gets the events. `got`: its client has an event, and passes it on. `owner`: they are its own. `taken`: an owner of versions
   * has an event, and no other process has it; `began`, `ended`, `failed`: a run of it. `answered`: the platform has heard the answer; `late`: it took it no more. `repeated`: told that an event runs once more; `unfinished`: told that
   * an event does not run again. `out`, `in`: whether the others count it in. `dies`: about to end by itself, as a process that
   * breaks. `left`: it has gone in good order. `refused`: something that it was asked for was not done. `undecided`: told that it
   * lets an event go without knowing who has it. `said`: anything else.
   */
  readonly fact:
    | 'up'
    | 'ready'
    | 'got'
    | 'owner'
    | 'taken'
    | 'began'
    | 'ended'
    | 'failed'
    | 'answered'
    | 'late'
    | 'repeated'
    | 'unfinished'
    | 'out'
    | 'in'
    | 'dies'
    | 'left'
    | 'refused'
    | 'undecided'
    | 'said'
  /** Who says so. */
  readonly by: string
  /** When, in epoch ms. */
  readonly at: number
  /** The event. */
  readonly id?: string
  readonly attempt?: number
  readonly why?: string
  readonly pid?: number
  readonly version?: string
}

export type Tell = (fact: Fact['fact'], more?: Omit<Fact, 'fact' | 'by' | 'at'>) => void

/** Says facts on standard output, each of them before this returns: what was said stands, even if the process is killed next. */
export function teller(by: string): Tell {
  return (fact, more = {}) => {
    const line = Buffer.from(`${JSON.stringify({ fact, by, at: Date.now(), ...more } satisfies Fact)}\n`)
    for (let written = 0; written < line.length;) {
      try {
        written += writeSync(1, line, written)
      } catch (error) {
        // The reader is slow, or gone.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      }
    }
  }
}

/** A line that is no fact is what a program under test printed. */
export function readFact(line: string): Fact | undefined {
  try {
    const found = JSON.parse(line) as Partial<Fact> | null
    return typeof found?.fact === 'string' && typeof found.by === 'string' ? (found as Fact) : undefined
  } catch {
    return undefined
  }
}

/** `p1/v2/4711` is a version of `p1`. */
export function ownerOf(by: string): string {
  return by.split('/', 1)[0] ?? by
}
