import type { JobRecord, Stretch } from './records.js'
import type { DueTimes } from './times.js'

/** More stretches than this become one: then a clock that goes back very far finds a due time dealt with that nobody ran. */
const maxStretches = 16

/** What a job makes of due times that it cannot keep. */
export interface DuePolicy {
  readonly times: DueTimes
  readonly missed: 'run-once' | 'skip'
  readonly missedAfterMs: number
  readonly overlap: 'wait' | 'skip'
}

/** The part of the record that says which due times have been dealt with. */
export type Progress = Pick<JobRecord, 'lastAt' | 'dealt'>

/** What is to be done now about the due times of a job. */
export type Tick =
  | { readonly do: 'wait'; readonly nextAt: number | undefined }
  /** `missed`: due times before it were not kept either. */
  | { readonly do: 'run'; readonly scheduledAt: number; readonly missed: boolean; readonly progress: Progress }
  | { readonly do: 'skip'; readonly scheduledAt: number; readonly why: string; readonly progress: Progress }
  /** It was run before, by a clock that was ahead. */
  | { readonly do: 'pass'; readonly scheduledAt: number; readonly progress: Progress }
  /** What was dealt with last is yet to come: the clock was ahead, then or elsewhere. */
  | { readonly do: 'rewind'; readonly progress: Progress }

/**
 * What to do about the due times of a job. Pure.
 *
 * @remarks
 * No due time is run twice, whatever the clocks do: each that was dealt with is remembered, also when the clock goes back before it. Of
 * several that are late the last one is run.
 *
 * @param record - as the store has it, with no run under way
 * @param nowAt - epoch ms
 */
export function planTick(record: JobRecord, policy: DuePolicy, nowAt: number): Tick {
  const { times, missed, missedAfterMs, overlap } = policy
  const { lastAt, dealt, run } = record
  const nextAt = times.after(nowAt)
  // Clocks of two machines may differ by less than a period, and then the next due time is merely waited for.
  if (nextAt !== undefined && lastAt > nextAt) return { do: 'rewind', progress: { lastAt: nowAt, dealt } }
  const dueAt = times.last(lastAt, nowAt)
  if (dueAt === undefined) return { do: 'wait', nextAt: times.after(lastAt) }
  const scheduledAt = lastOpen(times, record, dueAt)
  if (scheduledAt === undefined) return { do: 'pass', scheduledAt: dueAt, progress: { lastAt: dueAt, dealt } }
  const progress = withDealt(times, record, scheduledAt)
  if (overlap === 'skip' && run?.endedAt != null && run.scheduledAt < scheduledAt && scheduledAt <= run.endedAt) {
    return { do: 'skip', scheduledAt, why: 'the run before it had not ended when it was due', progress }
  }
  const lateMs = nowAt - scheduledAt
  if (missed === 'skip' && lateMs > missedAfterMs) {
    return { do: 'skip', scheduledAt, why: `it was due ${lateMs} ms ago, and missed runs are skipped`, progress }
  }
  return { do: 'run', scheduledAt, missed: scheduledAt !== times.after(lastAt), progress }
}

/** The last due time that nobody has dealt with. */
function lastOpen(times: DueTimes, { lastAt, dealt }: Progress, dueAt: number): number | undefined {
  let at: number | undefined = dueAt
  for (const [from, to] of [...dealt].reverse()) {
    if (at === undefined || at > to) continue
    if (at >= from) at = from > lastAt ? times.last(lastAt, from - 1) : undefined
  }
  return at
}

/** A stretch grows with each due time that follows the one before; a gap begins another. */
function withDealt(times: DueTimes, { lastAt, dealt }: Progress, at: number): Progress {
  const follows = times.after(lastAt) === at
  const before = follows ? dealt.find(([from, to]) => from <= lastAt && lastAt <= to) : undefined
  const rest = dealt.filter((stretch) => stretch !== before)
  return { lastAt: at, dealt: merged([...rest, [before?.[0] ?? at, Math.max(at, before?.[1] ?? at)]]) }
}

function merged(stretches: readonly Stretch[]): readonly Stretch[] {
  const result: [number, number][] = []
  for (const [from, to] of [...stretches].sort(([a], [b]) => a - b)) {
    const last = result.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else result.push([from, to])
  }
  if (result.length <= maxStretches) return result
  const oldest = result.splice(0, result.length - maxStretches + 1)
  return [[oldest[0]?.[0] ?? 0, oldest.at(-1)?.[1] ?? 0], ...result]
}
