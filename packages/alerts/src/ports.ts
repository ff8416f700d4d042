/** The time that alerts live by. `FakeClock` of `@evenkeel/testing` fits, and so does anything of this shape. */
export interface Clock {
  /** Wall time, epoch ms: for what people read. */
  now(): number
  /** Elapsed ms that never goes back: for every duration. */
  monotonic(): number
  /** Runs once after `delayMs`; returns cancel. Must not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** A piece of news, as every package of this family tells it with `change`. */
export interface WatchedNews {
  /** What it is about: a component, a mode, a deployment. */
  readonly what: string
  /** Tells apart what shares a `what`. */
  readonly name?: string
  /** How it is now. */
  readonly to?: unknown
  /** Why, for people. */
  readonly why?: string
  /** How much it matters; `INFO` says that all is well again. */
  readonly severity: 'INFO' | 'WARNING' | 'CRITICAL'
  /** All of it as one sentence. */
  readonly message: string
}

/** How a component of a health source is. */
export interface WatchedComponent {
  /** `up`, `degraded`, `down` or `unknown`. */
  readonly status: string
  /** Why, for people. */
  readonly reason: string
  /** Whether the whole is of no use without it. */
  readonly critical?: boolean
}

/** Whatever {@link Alerts.watch} can follow: a monitor, a storage, flags, a degradation manager, anything with `change`. */
export interface NewsSource {
  /** Its name in labels; else that of its class. Parts that would share one are numbered. */
  readonly name?: string
  /** Its components, when it is a health source: what is wrong already is told at once. */
  readonly components?: ReadonlyMap<string, WatchedComponent>
  /** Begins to listen. */
  on(event: 'change', listener: (news: WatchedNews) => void): unknown
  /** Ceases to listen. */
  off(event: 'change', listener: (news: WatchedNews) => void): unknown
}

/** Where lines go: `console`, a pino or winston logger, or anything with these three. */
export interface LineSink {
  /** For what is well. */
  info(message: string): unknown
  /** For what somebody should look at. */
  warn(message: string): unknown
  /** For what somebody must look at. */
  error(message: string): unknown
}
