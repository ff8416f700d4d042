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
  /** The bot as a whole; needed when a rule asks for it. */
  readonly status?: ComponentReport['status']
  /** The newest report on each component, by name. */
  readonly components: ReadonlyMap<Component, ComponentReport>
  /** Calls the listener whenever a report may have changed; the reports are then read from `components`. */
  on(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off(event: 'change', listener: () => void): unknown
}

/**
 * Whatever answers yes or no to a name: `FeatureFlags`, or anything of this shape. One that tells of changes is
 * followed; another is asked again and again.
 */
export interface FlagSource<Flag extends string = string> {
  /** Whether the flag is on. */
  isEnabled(flag: Flag): boolean
  /** Calls the listener whenever an answer may have changed. */
  on?(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off?(event: 'change', listener: () => void): unknown
}

/** The version that a stored value has: opaque, and another one after each write. */
export interface StoredVersion {
  /** What a later compare-and-set expects. */
  readonly version: string
}

/** A stored value with its version. */
export interface StoredValue extends StoredVersion {
  /** The value. */
  readonly value: unknown
}

/**
 * Where a mode set by hand is kept and shared: a collection of `@evenkeel/storage-adapter`, `memoryState()`, or anything
 * with a compare-and-set. A `Map` and a Keyv have none, so neither fits by mistake.
 */
export interface StateStore {
  /** Who sees what is written here: this process, those of this machine, or those of every machine. */
  readonly scope: 'process' | 'machine' | 'cluster'
  /** The value of a key and its version; `undefined` means that there is none. */
  entry(key: string): Promise<StoredValue | undefined>
  /**
   * Writes only if the version is still `expected`, where `undefined` stands for "no value yet".
   * Resolves `undefined` when somebody else was first.
   */
  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined>
  /**
   * Tells of whatever happens to the keys that begin with `prefix`, and at first that it listens. A store that has no
   * such thing is asked twice a second.
   */
  watch?(options: { readonly prefix: string; readonly signal: AbortSignal }): AsyncIterable<unknown>
}
