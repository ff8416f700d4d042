import type { Evidence } from './evidence.js'
import type { RolloutRecord } from './rollout-record.js'
import { passTime, timeBetween, type Input, type Run } from './transitions.js'

type Time = Extract<Input, { type: 'TICK' }>

const noTime: Time = { type: 'TICK', healthyMs: 0, heldMs: 0, fallenBackMs: 0 }

/**
 * What the driver knows beyond the record. Evidence is large, so it is written with each transition, and now and then; the
 * time in which it was gathered is not written before it, or a run would be healthier after a crash than anybody has seen.
 */
export class Knowledge {
  #evidence: Evidence | undefined
  /** What the record named when this was known. */
  #name: string | null = null
  #run: Run | undefined
  #sequence = 0
  #savedAtMs = 0

  /** What is known of the run of a record; `undefined` when it is still to be read. */
  evidenceOf({ evidence }: RolloutRecord): Evidence | undefined {
    return evidence === this.#name ? this.#evidence : undefined
  }

  /** The run of a record, with the time that is not written yet. */
  runOf(record: RolloutRecord): Run {
    return passTime(record.run, this.#timeOf(record))
  }

  /** The time that is not written yet. What somebody else has done to the run since ends it. */
  #timeOf({ run, sequence, evidence }: RolloutRecord): Time {
    if (this.#run === undefined || this.#sequence !== sequence || this.#name !== evidence) return noTime
    return timeBetween(run, this.#run)
  }

  /** This is known, and not written yet. @param run - with the time that has passed */
  learn(record: RolloutRecord, evidence: Evidence, run: Run): void {
    this.#evidence = evidence
    this.#name = record.evidence
    this.#run = run
    this.#sequence = record.sequence
  }

  /** This is known, and so it is written. */
  knows(record: RolloutRecord, evidence: Evidence, nowMs: number): void {
    this.learn(record, evidence, record.run)
    this.#savedAtMs = nowMs
  }

  /** Whether it would be too late to write at the next look. */
  isDue(nowMs: number, { intervalMs, evidenceMs }: { intervalMs: number; evidenceMs: number }): boolean {
    return nowMs + intervalMs > this.#savedAtMs + evidenceMs
  }

  /** Somebody else drives. */
  forget(): void {
    this.#evidence = undefined
    this.#run = undefined
  }
}
