import type { News } from '../events.js'

/** What happened to a due time of a job, in this process. */
export interface JobNews extends News {
  /** The name of the job. */
  readonly job: string
  /** The due time, in epoch milliseconds. */
  readonly dueAt: number
  /** How often the job was begun for this due time; 0 when it was skipped. */
  readonly attempt: number
  /** What the job, or the store, rejected with; only of `failed`. */
  readonly error?: unknown
}

/** The events of a {@link Schedule}. Each is told in the one process that did it. */
export interface ScheduleEvents {
  /** A job went from `WAITING` to `RUNNING`, and on to `DONE`, `FAILED` or `INTERRUPTED`; or to and from `UNREACHABLE`. */
  change: [news: News]
  /** A job has run. */
  ran: [news: JobNews]
  /** A job rejected, was interrupted, or has run without that being written down. */
  failed: [news: JobNews]
  /** A due time was passed over on purpose. */
  skipped: [news: JobNews]
}
