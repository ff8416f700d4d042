import { sentence } from './events.js'

/** What happened in the life of a process. */
export interface LifeNews {
  /** The part's name, or `run` for all of them together. */
  readonly what: string
  /** How it was. */
  readonly from: LifeState
  /** How it is. */
  readonly to: LifeState
  /** When, epoch ms. */
  readonly at: number
  /** Why, or how long it took, in one line. */
  readonly why: string
  /** `INFO`; `WARNING` for what did not end as it should; `CRITICAL` for a crash. */
  readonly severity: 'INFO' | 'WARNING' | 'CRITICAL'
  /** All of it in one sentence, for people. */
  readonly message: string
}

/** The stages of a life, of a part or of all. */
export type LifeState = 'new' | 'running' | 'ending' | 'drained' | 'stopped' | 'left running'

/** Tells the life of a run. */
export type TellLife = (
  what: string,
  from: LifeState,
  to: LifeState,
  why: string,
  severity: LifeNews['severity'],
  text: string,
) => void

/** News as {@link LifeNews}; a listener that throws harms nobody. */
export function lifeTeller(now: () => number, listener: ((news: LifeNews) => void) | undefined): TellLife {
  return (what, from, to, why, severity, text) => {
    try {
      listener?.({ what, from, to, at: now(), why, severity, message: sentence(text) })
    } catch (error) {
      const message = `The listener onNews of runUntilSignal threw: ${String(error)}`
      process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER' })
    }
  }
}
