import { LeaseLostError } from '../errors.js'
import { timingOf } from './lease-decision.js'
import type { RunRecord } from './lease-records.js'
import type { HeldTerm } from './lease-term.js'
import { pause } from './lease-wait.js'
import type { Clock } from '../ports.js'
import type { CheckOperation } from '../storage.js'

/** What a job is given when it runs. */
export interface JobRun {
  /** The fencing token of this run; greater than that of every earlier run of this job, while that is remembered. */
  readonly token: number
  /**
   * How often the job has been begun, this time included: 1 unless an earlier run failed, or ended without saying so. A
   * job that must rather not happen than happen twice returns at once when this is above 1.
   */
  readonly attempt: number
  /** Aborts when another may run the job, and when it has to end: the job then stops and rejects. */
  readonly signal: AbortSignal
  /**
   * An operation for `storage.batch`, on the storage that the run is kept in: the batch is refused by the store as soon
   * as another runs the job.
   *
   * @throws {@link LeaseLostError} when another may run the job by now
   */
  readonly fence: () => CheckOperation
}

/** How a run has ended: `interrupted` when it rejected after it was asked to end. */
export type Ended<T> =
  { readonly kind: 'done'; readonly value: T } | { readonly kind: 'failed' | 'interrupted'; readonly error: unknown }

/** What it takes to run a job. */
export interface RunSettings<T> {
  readonly name: string
  readonly term: HeldTerm
  readonly record: RunRecord
  readonly leaseMs: number
  readonly clock: Clock
  /** Asks the run to end. */
  readonly signal: AbortSignal | undefined
  readonly run: (job: JobRun) => T | Promise<T>
}

/**
 * Runs a job in its term, writes down what became of it, and gives the lease back. A job that ignores its signal keeps
 * the lease for as long as it runs: two at a time would be worse than a late one.
 *
 * @throws {@link LeaseLostError} when the job was done and that could not be written down before the term was over
 */
export async function runInTerm<T>(settings: RunSettings<T>): Promise<Ended<T>> {
  const { term, record, signal, run, clock } = settings
  const [either, unlink] = eitherOf(term.lost, signal)
  try {
    let ended: Ended<T>
    try {
      const job = { token: term.token, attempt: record.attempt, signal: either, fence: () => term.fence() }
      ended = { kind: 'done', value: await run(job) }
    } catch (error) {
      ended = { kind: either.aborted ? 'interrupted' : 'failed', error }
    }
    await writeDown(settings, { ...record, state: ended.kind, at: clock.now() })
    return ended
  } finally {
    unlink()
    await term.release()
  }
}

/**
 * Tries for as long as the term lasts, and once when it is over: work that is forgotten would be done again. That is safe,
 * since the store takes it only while nobody has begun another run.
 */
async function writeDown<T>({ name, term, leaseMs, clock }: RunSettings<T>, record: RunRecord): Promise<void> {
  let cause: unknown
  do {
    try {
      if (await term.record(record)) return
      break
    } catch (error) {
      cause = error
      await pause(clock, timingOf(leaseMs).retryMs, term.lost)
    }
  } while (term.isHeld)
  // Only what was done must be known: without a word, too, the job is run again.
  if (record.state !== 'done') return
  const why = 'the job has run, but that could not be written down in time, so it may run again'
  throw new LeaseLostError(name, term.token, why, 'unknown', { cause })
}

/** A signal that aborts with the first of two. By hand, as `AbortSignal.any` keeps what it made for as long as its parts. */
function eitherOf(first: AbortSignal, second: AbortSignal | undefined): [signal: AbortSignal, unlink: () => void] {
  const either = new AbortController()
  const sources = second === undefined ? [first] : [first, second]
  const abort = (): void => either.abort(sources.find((source) => source.aborted)?.reason)
  for (const source of sources) source.addEventListener('abort', abort)
  if (sources.some((source) => source.aborted)) abort()
  const unlink = (): void => {
    for (const source of sources) source.removeEventListener('abort', abort)
  }
  return [either.signal, unlink]
}
