import { messageOf } from '../bounded.js'
import type { WritableStorage } from '../migration/ports.js'
import type { Snapshot } from '../migration/snapshot.js'
import { systemClock } from '../system-clock.js'

/** How long reads of a bot took while a migration ran. */
export interface Reads {
  /** How many there were. */
  readonly count: number
  /** The median, in ms. */
  readonly p50Ms: number
  /** The 99th of 100, in ms. */
  readonly p99Ms: number
  /** The longest, in ms. */
  readonly maxMs: number
}

/** Between two reads. */
const everyMs = 1

/**
 * Reads one row after the other, as a bot does, as long as something runs.
 *
 * @throws Error when a read fails, after what runs has ended
 */
export async function readMeanwhile(
  copy: WritableStorage,
  rows: Snapshot,
  signal: AbortSignal,
  run: () => Promise<unknown>,
): Promise<Reads | undefined> {
  const keys = [...rows].flatMap(([collection, marks]) => [...marks.keys()].map((key) => ({ collection, key })))
  const running = { isOver: keys.length === 0 }
  const tookMs: number[] = []
  const reader = async (): Promise<void> => {
    // By a stride that meets each row of a list of any length but its multiples, and all collections soon.
    for (let at = 0; !running.isOver && !signal.aborted; at = (at + 7_919) % keys.length) {
      const { collection, key } = keys[at]!
      const beganMs = systemClock.monotonic()
      await copy.collection(collection).get(key)
      tookMs.push(systemClock.monotonic() - beganMs)
      await new Promise<void>((resolve) => void systemClock.after(everyMs, resolve))
    }
  }
  let failure: Error | undefined
  const reading = reader().catch((error: unknown) => {
    failure = new Error(`a read failed while up ran: ${messageOf(error)}`, { cause: error })
  })
  try {
    await run()
  } finally {
    running.isOver = true
    await reading
  }
  if (failure !== undefined) throw failure
  if (tookMs.length === 0) return undefined
  tookMs.sort((a, b) => a - b)
  const at = (share: number): number => tookMs[Math.min(tookMs.length - 1, Math.floor(share * tookMs.length))]!
  return { count: tookMs.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}
