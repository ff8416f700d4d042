/** Where time comes from. Tests pass a clock that they move themselves. */
export interface Clock {
  /** Wall time, epoch ms: for reports and absolute expiry only. */
  now(): number
  /** Elapsed ms that never goes back: for every duration. */
  monotonic(): number
  /** Runs once after `delayMs`; returns cancel. Must not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** What a health source says of one component. */
export interface ComponentReport {
  /** `unknown` moves no rule: what was last known holds. */
  readonly status: 'up' | 'degraded' | 'down' | 'unknown'
  /** Why, in words for an operator. */
  readonly reason: string
}

/** Whatever knows how the bot's parts are: a `HealthMonitor`, or anything of this shape. */
export interface HealthSource<Component extends string = string> {
  /** The newest report on each component, by name. */
  readonly components: ReadonlyMap<Component, ComponentReport>
  /** Calls the listener whenever a report may have changed; the reports are then read from `components`. */
  on(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off(event: 'change', listener: () => void): unknown
}
