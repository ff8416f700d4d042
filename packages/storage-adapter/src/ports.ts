/** What the storages need from a clock. Any object of this shape fits, such as `FakeClock` of `@evenkeel/testing`. */
export interface Clock {
  /** Wall time, epoch ms: for reports and absolute expiry only. */
  now(): number
  /** Elapsed ms that never goes back: for every duration. */
  monotonic(): number
  /** Runs once after `delayMs`; returns cancel. Must not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}
