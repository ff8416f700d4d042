import { checkKey } from '../keys.js'
import { Claimant } from './lease-claimant.js'
import { checkCompetitor, checkWait, COMPETITOR_OPTIONS, type CompetitorOptions } from './lease-options.js'
import type { RunStore } from './lease-ports.js'
import { LeaseRecords, type FenceRecord, type RunRecord } from './lease-records.js'
import { runInTerm, type JobRun } from './lease-run.js'
import { pause } from './lease-wait.js'
import { checkNumber, checkOptions } from '../options.js'
import type { Clock } from '../ports.js'
import { holdProcess } from '../system-clock.js'

/** What to run once, and where that is agreed upon. */
export interface RunOnceOptions<T> extends CompetitorOptions {
  /** Where runs are kept: a collection of a storage that all processes share, never a fail-over. */
  readonly store: RunStore
  /** What is to be done once, such as `daily-report 2026-11-20`. Another id is another job. */
  readonly id: string
  /** The job. Its value is given to the caller in whose process it ran; others learn only that it was done. */
  readonly run: (job: JobRun) => T | Promise<T>
  /**
   * How long to wait for a run in another process, in milliseconds, and to take over from it should it die; `Infinity`
   * needs a `signal`. To inherit from a process that died takes `leaseMs` and a little.
   *
   * @defaultValue 0
   */
  readonly waitMs?: number | undefined
  /**
   * How long it is remembered that the job was done or has failed, in milliseconds. It must be longer than anybody may
   * ask again; at least ten times `leaseMs`. A run that never ended, because its process died, is remembered until the
   * job is asked for again.
   *
   * @defaultValue 604_800_000, seven days
   */
  readonly retainMs?: number | undefined
  /** Ends the wait, and asks the run to end. */
  readonly signal?: AbortSignal | undefined
}

/** The defaults of {@link runOnce}, next to {@link leaseDefaults}. */
export const runOnceDefaults: Readonly<Record<'waitMs' | 'retainMs', number>> = {
  waitMs: 0,
  retainMs: 7 * 24 * 60 * 60 * 1_000,
}

/** What became of a job. */
export type RunOutcome<T> =
  | {
      /** It was run here, now. */
      readonly status: 'ran'
      /** What the job returned. */
      readonly value: T
      /** How often it had been begun, this time included. */
      readonly attempt: number
    }
  | {
      /** It had been done before, here or elsewhere. */
      readonly status: 'done'
      /** Who did it. */
      readonly by: string
      /** When, in epoch milliseconds. */
      readonly at: number
      /** How often it had been begun. */
      readonly attempt: number
    }
  | {
      /** Another process is at it, or was until a moment ago. */
      readonly status: 'running'
      /** Who is at it. */
      readonly by: string
    }

/**
 * Runs a job once across all processes that share a store. Whoever is first runs it, and all others learn that it was
 * done, or that it is under way.
 *
 * @remarks
 * *At least once*: when the process dies in the middle, nobody can know how far the job came, and another that waits, or
 * asks later, runs it again once the lease ran out; `attempt` tells. When nobody dies, it is exactly once. To make what
 * it does to a storage happen exactly once all the same, commit it in one batch with `fence()` and `{ once: id }`. To have
 * it *at most once*, return at once when `attempt` is above 1.
 *
 * A job that rejects is not done: the call rejects with the same error, and the next call tries again.
 *
 * @example
 * ```ts
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 * import { runOnce } from '@evenkeel/storage-adapter/lease'
 *
 * const storage = new MemoryStorage() // for real: SqliteStorage, PostgresStorage or RedisStorage
 * const store = storage.collection('evenkeel')
 * const report = () => runOnce({ store, id: 'report 2026-11-20', scope: 'process', run: () => '12 pages' })
 * console.log(await report()) // => { status: 'ran', value: '12 pages', attempt: 1 }
 * console.log((await report()).status) // => done
 * ```
 *
 * @param options - the job and the store
 * @returns what became of it
 * @throws what the job throws
 * @throws {@link LeaseLostError} when the job was done, and that could not be written down before another could take over
 * @throws {@link ScopeError} when the store does not reach far enough
 * @throws TypeError or RangeError when an option is wrong
 * @throws the error of the store when it cannot be reached, and the reason of `signal` when it aborts
 */
export async function runOnce<T>(options: RunOnceOptions<T>): Promise<RunOutcome<T>> {
  checkOptions('runOnce', options, ['store', 'id', 'run', 'waitMs', 'retainMs', 'signal', ...COMPETITOR_OPTIONS])
  const { store, id, run, signal } = options
  const { waitMs = runOnceDefaults.waitMs, retainMs = runOnceDefaults.retainMs } = options
  const { leaseMs, owner, clock } = checkCompetitor('runOnce', store, options, ['entry', 'compareAndSet', 'set'])
  checkKey(id, 'id')
  if (typeof run !== 'function') throw new TypeError('run must be a function')
  checkWait(waitMs, signal)
  checkNumber('retainMs', retainMs, 10 * leaseMs)
  const records = new LeaseRecords(store, { lease: `run-lease/${id}`, fence: `run/${id}` }, retainMs)
  const claimant = new Claimant({ name: id, records, owner, leaseMs, clock })
  const endsMs = clock.monotonic() + waitMs
  const letGo = holdProcess()
  try {
    for (;;) {
      signal?.throwIfAborted()
      const claim = await claimant.claim(purposeOf(clock))
      if (claim.kind === 'unneeded') return doneBefore(claim.fence)
      if (claim.kind === 'taken') {
        const record = claim.run as RunRecord
        const ended = await runInTerm({ name: id, term: claim.term, record, leaseMs, clock, signal, run })
        if (ended.kind !== 'done') throw ended.error
        return { status: 'ran', value: ended.value, attempt: record.attempt }
      }
      const leftMs = endsMs - clock.monotonic()
      if (leftMs <= 0) return { status: 'running', by: claim.by }
      await pause(clock, Math.min(claimant.lookMs, leftMs), signal)
    }
  } finally {
    letGo()
  }
}

/** A job that was not done is begun once more. */
function purposeOf(clock: Clock): (before: FenceRecord | undefined) => { run: RunRecord } | undefined {
  return (before) => {
    if (before?.run?.state === 'done') return undefined
    return { run: { state: 'running', attempt: (before?.run?.attempt ?? 0) + 1, at: clock.now() } }
  }
}

function doneBefore(fence: FenceRecord | undefined): { status: 'done'; by: string; at: number; attempt: number } {
  return { status: 'done', by: fence?.owner ?? '', at: fence?.run?.at ?? 0, attempt: fence?.run?.attempt ?? 1 }
}
