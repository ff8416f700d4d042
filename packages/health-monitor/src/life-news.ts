import { describeFailure } from './check-result.js'
import { sentence } from './events.js'
import { warnWhenItFails } from './listener-warning.js'

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
  /** What was thrown, of a crash alone. */
  readonly error?: unknown
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
  crash?: { readonly error: unknown },
) => void

/**
 * News as {@link LifeNews}; a listener that throws or rejects harms nobody. Node tells of no crash that somebody catches, so
 * one that nobody listens to becomes a warning.
 */
export function lifeTeller(now: () => number, listener: ((news: LifeNews) => void) | undefined): TellLife {
  return (what, from, to, why, severity, text, crash) => {
    const message = sentence(text)
    if (listener !== undefined) {
      const news = { what, from, to, at: now(), why, severity, message, ...crash }
      warnWhenItFails('The listener onNews of runUntilSignal threw', () => listener(news))
    } else if (crash !== undefined) {
      const stack = (crash.error as { stack?: unknown } | null | undefined)?.stack
      const detail = typeof stack === 'string' ? stack : describeFailure(crash.error)
      process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_CRASH', detail })
    }
  }
}
