import type { Severity } from '../changes.js'

/** Something is different now. `what` says what `from` and `to` are. */
export interface JobsChange {
  /**
   * `owner`: whether the jobs are this process's, as the version that runs them, or `nobody here`. `store`: `up` or `down`. `fence`: this
   * process believes that it owns a job of which a later owner is known (`off`, `on`). `clock`: the last run of a job is yet to come, so a
   * clock was ahead, or is behind (`ahead`, `rewound`). `job`: a run takes longer than it may (`running`, `overrunning`), or the function
   * that says when a job is due does not (`due`, `broken`).
   */
  readonly what: 'owner' | 'store' | 'fence' | 'clock' | 'job'
  /** What it was. */
  readonly from: string
  /** What it is. */
  readonly to: string
  /** The job that it is about, if it is about one. */
  readonly job: string | undefined
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** What has become of one run. */
export interface JobNews {
  /** Which thing this is about. */
  readonly what: 'run'
  /** What it was before. */
  readonly from: string
  /** What has become of it. */
  readonly to: 'ran' | 'failed' | 'repeated' | 'unfinished' | 'skipped'
  /** The job. */
  readonly job: string
  /** For which due time, in epoch ms. */
  readonly scheduledAt: number
  /** Which attempt this is; 0 where none was begun. */
  readonly attempt: number
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `WARNING` where something may have happened twice, or not at all. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
  /** What it rejected with, for `failed`. */
  readonly error: unknown
}

/** The events of {@link Jobs}. */
export interface JobsEvents {
  /** Something is different now; `status` shows it already. */
  change: [change: JobsChange]
  /** A run has ended well. */
  ran: [news: JobNews]
  /** A run has rejected, perhaps after its commit. The job runs again when it is due next. */
  failed: [news: JobNews]
  /** A run whose process died, or was stopped, begins once more here. */
  repeated: [news: JobNews]
  /** A run whose process died, or was stopped, does not begin again: look whether it was done. */
  unfinished: [news: JobNews]
  /** A due time passes without a run, as `missed` or `overlap` says. */
  skipped: [news: JobNews]
}
