import type { OperationKind, OperationMetrics } from './storage.js'

const KINDS: readonly OperationKind[] = ['read', 'scan', 'count', 'write', 'changes']

/** Latencies are kept by the logarithm of their microseconds, so many steps to a doubling: an error of 4 %. */
const STEPS = 8
/** From 1 microsecond to 2^24, which is 16 s; what lies outside goes to the ends. */
const BUCKETS = 24 * STEPS
/** So long a part of the latest past is forgotten at once, in milliseconds. */
const WINDOW_MS = 60_000

/** Counts operations and how long they took. */
export class Meter {
  readonly #operations = new Map(KINDS.map((kind) => [kind, new Operation()]))

  /** @param nowMs - on a clock that never goes back, in milliseconds, as was `startedMs` */
  record(kind: OperationKind, startedMs: number, nowMs: number, isError: boolean): void {
    this.#operations.get(kind)?.record(nowMs - startedMs, nowMs, isError)
  }

  read(nowMs: number): Record<OperationKind, OperationMetrics> {
    const entries = [...this.#operations].map(([kind, operation]) => [kind, operation.read(nowMs)])
    return Object.fromEntries(entries) as Record<OperationKind, OperationMetrics>
  }
}

class Operation {
  #count = 0
  #errors = 0
  /** The window that is being filled, and the one before it. */
  #current = new Uint32Array(BUCKETS)
  #previous = new Uint32Array(BUCKETS)
  #currentMaxMs = 0
  #previousMaxMs = 0
  #startedMs = 0

  record(tookMs: number, nowMs: number, isError: boolean): void {
    if (nowMs - this.#startedMs >= WINDOW_MS) this.#turn(nowMs)
    this.#count++
    if (isError) this.#errors++
    if (tookMs > this.#currentMaxMs) this.#currentMaxMs = tookMs
    const bucket = tookMs <= 0.001 ? 0 : Math.min(BUCKETS - 1, (Math.log2(tookMs * 1_000) * STEPS) | 0)
    this.#current[bucket]!++
  }

  read(nowMs: number): OperationMetrics {
    if (nowMs - this.#startedMs >= WINDOW_MS) this.#turn(nowMs)
    const maxMs = Math.max(this.#currentMaxMs, this.#previousMaxMs)
    const counts = this.#current.map((count, i) => count + (this.#previous[i] ?? 0))
    const total = counts.reduce((sum, count) => sum + count, 0)
    const percentile = (share: number): number => Math.min(maxMs, percentileOf(counts, total * share))
    return {
      count: this.#count,
      errors: this.#errors,
      p50Ms: percentile(0.5),
      p95Ms: percentile(0.95),
      p99Ms: percentile(0.99),
      maxMs,
    }
  }

  #turn(nowMs: number): void {
    const isRecent = nowMs - this.#startedMs < 2 * WINDOW_MS
    this.#previous = isRecent ? this.#current : new Uint32Array(BUCKETS)
    this.#previousMaxMs = isRecent ? this.#currentMaxMs : 0
    this.#current = new Uint32Array(BUCKETS)
    this.#currentMaxMs = 0
    this.#startedMs = nowMs
  }
}

/** The middle, in milliseconds, of the bucket that holds the one of this rank. */
function percentileOf(counts: Uint32Array, rank: number): number {
  if (rank === 0) return 0
  let seen = 0
  for (const [bucket, count] of counts.entries()) {
    seen += count
    if (seen >= rank) return 2 ** ((bucket + 0.5) / STEPS) / 1_000
  }
  return 0
}
