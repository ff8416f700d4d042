import { randomUUID } from 'node:crypto'
import { nextToken, see, timingOf, waitBeforeTaking, type Sighting } from './lease-decision.js'
import type { FenceRecord, LeaseRecord, LeaseRecords, RunRecord, Versioned } from './lease-records.js'
import { HeldTerm } from './lease-term.js'
import type { Clock } from '../ports.js'

/** What a claimant is made of. */
export interface ClaimantOptions {
  /** The name of the lease, for people. */
  readonly name: string
  readonly records: LeaseRecords
  /** Who competes, for people. */
  readonly owner: string
  readonly leaseMs: number
  readonly clock: Clock
}

/**
 * What a term would be for, judged by what earlier terms have left.
 *
 * @returns `undefined` when there is nothing to do, so that the lease is not taken
 */
export type Purpose = (before: FenceRecord | undefined) => { readonly run?: RunRecord } | undefined

/** What a try to take a lease has led to. */
export type Claim =
  | { readonly kind: 'taken'; readonly term: HeldTerm; readonly run: RunRecord | undefined }
  | { readonly kind: 'held'; readonly by: string; readonly fence: FenceRecord | undefined }
  | { readonly kind: 'unneeded'; readonly fence: FenceRecord | undefined }

/**
 * One competitor for one lease.
 *
 * @remarks
 * A term begins with two writes. The first takes the lease record, under the condition that it stood unchanged. The
 * second puts the new token on the fence record, and is what makes writes of earlier terms fail; the term begins only
 * after it. It is conditional, too: a competitor that froze between the two finds a greater token there.
 */
export class Claimant {
  /** A new one for each competitor, so that nobody takes the record of another for its own. */
  readonly #holder = randomUUID()
  readonly #options: ClaimantOptions
  #sighting: Sighting | undefined

  constructor(options: ClaimantOptions) {
    this.#options = options
  }

  /** Looks, and takes the lease if it may be taken and there is a purpose. */
  async claim(purpose: Purpose): Promise<Claim> {
    const { records, clock } = this.#options
    const [lease, fence] = await Promise.all([records.readLease(), records.readFence()])
    const nowMs = clock.monotonic()
    this.#sighting = see(this.#sighting, lease?.version, nowMs)
    if (purpose(fence?.value) === undefined) return { kind: 'unneeded', fence: fence?.value }
    const me = { holder: this.#holder, leaseMs: this.#options.leaseMs }
    if (waitBeforeTaking(lease, me, this.#sighting, nowMs) > 0) {
      return { kind: 'held', by: lease?.value.owner ?? '', fence: fence?.value }
    }
    return this.#take(lease, fence, purpose)
  }

  async #take(
    before: Versioned<LeaseRecord> | undefined,
    beforeFence: Versioned<FenceRecord> | undefined,
    purpose: Purpose,
  ): Promise<Claim> {
    const { name, records, owner, leaseMs, clock } = this.#options
    const holder = this.#holder
    const startedMs = clock.monotonic()
    const token = nextToken(before, beforeFence)
    const lease = { token, holder, owner, leaseMs, at: clock.now() }
    const leaseVersion = await records.writeLease(before?.version, lease)
    if (leaseVersion === undefined) return { kind: 'held', by: '', fence: beforeFence?.value }

    for (let fence = beforeFence; ; fence = await records.readFence()) {
      if (fence !== undefined && fence.value.token >= token) {
        return { kind: 'held', by: fence.value.owner, fence: fence.value }
      }
      // The holder before may have come to an end just now.
      const planned = purpose(fence?.value)
      if (planned === undefined) {
        await records.writeLease(leaseVersion, { ...lease, holder: null })
        return { kind: 'unneeded', fence: fence?.value }
      }
      const fenceVersion = await records.writeFence(fence?.version, { token, holder, owner, ...planned })
      if (fenceVersion === undefined) continue
      const term = new HeldTerm({ name, records, clock, lease, leaseVersion, fenceVersion, startedMs })
      if (term.isHeld) return { kind: 'taken', term, run: planned.run }
      // It took too long to believe in. The next try finds its own record, and need not wait.
      // Nothing was begun, so no attempt may be counted.
      const run = fence?.value.run
      await records.writeFence(fenceVersion, { token, holder, owner, ...(run && { run }) }).catch(() => undefined)
      await term.release()
      return { kind: 'held', by: owner, fence: fence?.value }
    }
  }

  /** How often to look again, in milliseconds. */
  get lookMs(): number {
    return timingOf(this.#options.leaseMs).lookMs
  }
}
