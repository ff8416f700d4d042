/** What the bot has in hand, and how long the last commands took. */
export class Load {
  /** Commands being worked on. */
  inFlight = 0
  #recentMs: number[] = []
  readonly #idle = new Set<() => void>()

  /** Notes that a command arrived; call the result when it is done. */
  begin(): () => void {
    const startedMs = performance.now()
    this.inFlight++
    return () => {
      this.inFlight--
      this.#recentMs.push(performance.now() - startedMs)
      if (this.inFlight > 0) return
      for (const resolve of this.#idle) resolve()
      this.#idle.clear()
    }
  }

  /** Resolves when nothing is worked on. */
  async idle(): Promise<void> {
    if (this.inFlight > 0) await new Promise<void>((resolve) => this.#idle.add(resolve))
  }

  /** What was done since the last call. */
  take(): { count: number; medianMs: number; p99Ms: number } {
    const sorted = this.#recentMs.sort((a, b) => a - b)
    this.#recentMs = []
    return { count: sorted.length, medianMs: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }
  }
}

/** The value below which the given share of sorted values lies; zero when there are none. */
export function quantile(sorted: readonly number[], ratio: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? 0
}
