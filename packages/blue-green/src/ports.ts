/** Where time comes from. Tests pass a clock that they move themselves. */
export interface Clock {
  /** Wall time, epoch ms: for reports and absolute expiry only. */
  now(): number
  /** Elapsed ms that never goes back: for every duration. */
  monotonic(): number
  /** Runs once after `delayMs`; returns cancel. Must not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** How well something works, best first, and `unknown` while nobody has looked. */
export type HealthStatus = 'up' | 'degraded' | 'down' | 'unknown'

/** How one part of the bot is. */
export interface PartHealth {
  /** How well it works. */
  readonly status: HealthStatus
  /** Why, in words for people. */
  readonly reason: string
}

/** Whatever knows how the bot is: a `HealthMonitor`, or anything of this shape. */
export interface HealthSource {
  /** The bot as a whole. */
  readonly status: HealthStatus
  /** Each part by its name. Read only to say why a deployment holds. */
  readonly components: ReadonlyMap<string, PartHealth>
  /** Calls the listener whenever the status may have changed; it is then read from `status`. */
  on(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off(event: 'change', listener: () => void): unknown
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
 * Where the state of the deployment is kept: a collection of `@evenkeel/storage-adapter`, `memoryState()`, or
 * anything with a compare-and-set. A `Map` and a Keyv have none, so neither fits by mistake.
 */
export interface StateStore {
  /** Who sees what is written here. One process drives, so each scope will do. */
  readonly scope: 'process' | 'machine' | 'cluster'
  /** The value of a key and its version; `undefined` means that there is none. */
  entry(key: string): Promise<StoredValue | undefined>
  /**
   * Writes only if the version is still `expected`, where `undefined` stands for "no value yet".
   * Resolves `undefined` when somebody else was first.
   */
  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined>
}
