import { AdaptiveLimiter, guard } from '@evenkeel/degradation-manager'
import { bulkhead } from 'cockatiel'
import Opossum from 'opossum'
import PQueue from 'p-queue'
import { setTimeout as sleep } from 'node:timers/promises'

/** How one strategy lets a call through to the backend. */
type Strategy = (backend: Backend) => {
  readonly call: (isHigh: boolean) => Promise<unknown>
  readonly left: () => number
  readonly close?: () => void
}

const SECONDS = 10
const WARM_UP_MS = 2_000
const SERVICE_MS = 10
const CAPACITY = 2
/** A caller has gone after so long. */
const PATIENCE_MS = 100

const strategies: Record<string, Strategy> = {
  nothing: (backend) => ({ call: () => backend.work(), left: () => backend.waiting }),
  'cockatiel bulkhead(2, 10)': (backend) => {
    const policy = bulkhead(2, 10)
    return { call: () => policy.execute(() => backend.work()), left: () => backend.waiting }
  },
  'opossum, capacity 10, deadline 100 ms': (backend) => {
    const breaker = new Opossum(() => backend.work(), { capacity: 10, timeout: PATIENCE_MS })
    return { call: () => breaker.fire(), left: () => backend.waiting, close: () => breaker.shutdown() }
  },
  'p-queue(2), priorities': (backend) => {
    const queue = new PQueue({ concurrency: 2 })
    return {
      call: (isHigh) => queue.add(() => backend.work(), { priority: isHigh ? 1 : 0 }),
      left: () => queue.size,
      close: () => queue.clear(),
    }
  },
  'evenkeel guard, AdaptiveLimiter': (backend) => {
    const admission = new AdaptiveLimiter({ maxWaitMs: 60, maxWaiting: 40 })
    const call = guard('work', (_isHigh: boolean) => backend.work(), {
      timeoutMs: 2_000,
      admission,
      call: (isHigh) => ({ priority: isHigh ? 'high' : 'optional' }),
    })
    return { call, left: () => admission.waiting }
  },
}

/**
 * An overload in real time: a pool of two that takes 10 ms a call and lets the others wait, as a database does. The figures
 * of the bars come from the simulation in the tests of the package; these are for comparison.
 */
export async function overload(): Promise<void> {
  for (const [times, highPerSecond, otherPerSecond] of [
    [3, 120, 480],
    [10, 120, 1_880],
  ] as const) {
    console.log(
      `\n${times} times the load that the backend can take, ${SECONDS} s in real time: answered within 100 ms`,
    )
    for (const [name, strategy] of Object.entries(strategies)) {
      console.log(`  ${name.padEnd(40)} ${await tell(strategy, highPerSecond, otherPerSecond)}`)
    }
  }
}

async function tell(strategy: Strategy, highPerSecond: number, otherPerSecond: number): Promise<string> {
  const backend = new Backend()
  const { call, left, close } = strategy(backend)
  const random = seeded(1)
  const tally = { high: { arrived: 0, inTime: 0 }, other: { arrived: 0, inTime: 0 } }
  const tookMs: number[] = []
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  const endMs = startedMs + SECONDS * 1_000
  const perSecond = highPerSecond + otherPerSecond
  let nextMs = startedMs
  for (let nowMs = performance.now(); nowMs < endMs; nowMs = performance.now()) {
    for (; nextMs <= nowMs; nextMs += (-Math.log(1 - random()) / perSecond) * 1_000) {
      const isHigh = random() < highPerSecond / perSecond
      const at = isHigh ? tally.high : tally.other
      const arrivedMs = nextMs
      const counts = arrivedMs > startedMs + WARM_UP_MS && arrivedMs < endMs - PATIENCE_MS
      if (counts) at.arrived++
      void call(isHigh).then(
        () => {
          const ms = performance.now() - arrivedMs
          if (!counts) return
          if (isHigh) tookMs.push(ms)
          if (ms <= PATIENCE_MS) at.inTime++
        },
        () => undefined,
      )
    }
    await sleep(1)
  }
  const waiting = left()
  const { user, system } = process.cpuUsage(cpuBefore)
  close?.()
  backend.close()
  tookMs.sort((a, b) => a - b)
  const share = ({ arrived, inTime }: { arrived: number; inTime: number }): string =>
    `${((100 * inTime) / arrived).toFixed(1)} %`
  const total = (tally.high.inTime + tally.other.inTime) / (SECONDS - (WARM_UP_MS + PATIENCE_MS) / 1_000)
  const p99 = tookMs[Math.floor(tookMs.length * 0.99)] ?? Number.NaN
  return `high ${share(tally.high)} (p99 ${p99.toFixed(0)} ms), others ${share(tally.other)}, ${total.toFixed(0)}/s, ${waiting} left waiting, CPU ${((user + system) / 1e6).toFixed(1)} s`
}

/** First come, first served. */
class Backend {
  readonly #queue: (() => void)[] = []
  #busy = 0
  #isClosed = false

  get waiting(): number {
    return this.#queue.length
  }

  work(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve)
      this.#begin()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#queue.length = 0
  }

  #begin(): void {
    if (this.#busy >= CAPACITY || this.#isClosed) return
    const resolve = this.#queue.shift()
    if (resolve === undefined) return
    this.#busy++
    setTimeout(() => {
      this.#busy--
      resolve()
      this.#begin()
    }, SERVICE_MS)
  }
}

/** Numbers from 0 to 1, 1 excluded, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
