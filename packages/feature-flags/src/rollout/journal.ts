import type { Clock } from '../ports.js'
import type { ControllerLease } from './controller-lease.js'
import type { EvidenceShelf } from './evidence-shelf.js'
import type { Evidence } from './evidence.js'
import type { RolloutFlags } from './rollout-ports.js'
import { hasAttempt, withTransition, type Reason, type RolloutRecord } from './rollout-record.js'
import { FORMAT } from './shape.js'
import { isOver, isTime, transition, type Input, type PlanInForce, type RolloutState, type Run } from './transitions.js'
import { isSettled, type Wish } from './wish.js'

/** What a journal needs. */
export interface JournalSettings {
  readonly flags: RolloutFlags
  readonly flag: string
  readonly plan: PlanInForce
  readonly instance: string
  readonly clock: Clock
}

/** What is written together with a transition. */
export interface Along {
  /** Written only if the record is still this one. */
  readonly since?: RolloutRecord
  /** The time that has passed before it. */
  readonly time?: Input
  /** What is known at that time. */
  readonly evidence?: Evidence
}

/** The field of the record that changes with evidence. */
type Named = Partial<Pick<RolloutRecord, 'evidence'>>

/** Writes transitions into the record, each by one compare-and-set. */
export class Journal {
  readonly #settings: JournalSettings
  readonly #lease: ControllerLease
  readonly #shelf: EvidenceShelf
  #attempts = 0
  /** Of the share that has switched the flag off before that was written down. */
  #offSequence: number | undefined

  constructor(settings: JournalSettings, lease: ControllerLease, shelf: EvidenceShelf) {
    this.#settings = settings
    this.#lease = lease
    this.#shelf = shelf
  }

  /** The record as it was last seen. */
  get record(): RolloutRecord | undefined {
    return this.#lease.record
  }

  /** Whether this process drives, as far as it knows. */
  get isMine(): boolean {
    return this.#lease.isMine
  }

  /** Whether this process may take over. */
  get isFree(): boolean {
    return this.#lease.isFree
  }

  /** Reads the record anew. @throws RolloutStoreError, RolloutFormatError */
  look(): Promise<RolloutRecord | undefined> {
    return this.#lease.look()
  }

  /** What was known when a record was written; `undefined` when that is gone. @throws RolloutStoreError, RolloutFormatError */
  async evidence({ evidence }: RolloutRecord): Promise<Evidence | undefined> {
    return evidence === null ? undefined : this.#shelf.read(evidence)
  }

  /** Above all that were given, also when a record was lost whose share is still in force. */
  nextSequence(record: RolloutRecord | undefined = this.record): number {
    const { flags, flag } = this.#settings
    return Math.max(record?.sequence ?? 0, flags.share(flag)?.sequence ?? 0) + 1
  }

  /** For a share that switches the flag off now: the transition that does so gets the same sequence, if it still can. */
  offSequence(): number {
    this.#offSequence = this.nextSequence()
    return this.#offSequence
  }

  #sequenceOf(input: Input, record: RolloutRecord | undefined): number {
    const next = this.nextSequence(record)
    const isOffAlready = isAtOnce(input) && this.#offSequence === next - 1 && (record?.sequence ?? 0) < next - 1
    return isOffAlready ? next - 1 : next
  }

  /**
   * Becomes the driver, with a new run if that is the wish.
   *
   * @param seen - the record as it was when that was decided: if somebody was faster, nothing happens
   * @param evidence - what a new run begins with; left out where the old one goes on
   */
  async take(seen: RolloutRecord | undefined, wish: Wish, evidence?: Evidence): Promise<boolean> {
    const token = (seen?.token ?? 0) + 1
    const isTaken = await this.#with(token, evidence, (named) => this.#take(seen, wish, named))
    if (isTaken) await this.#shelf.sweep(token)
    return isTaken
  }

  #take(seen: RolloutRecord | undefined, wish: Wish, named: Named): Promise<boolean> {
    const { flag, plan, clock } = this.#settings
    const attempt = this.#nextAttempt()
    return this.#lease.write((record) => {
      if (record !== seen) return undefined
      const lease = this.#lease.take(record)
      if (wish === 'TAKE') return record && { ...record, ...lease, writes: record.writes + 1 }
      const sequence = this.nextSequence(record)
      const run = transition(record?.run, wish, plan, sequence)
      if (run === undefined) return undefined
      const isNew = wish.type === 'BEGIN' || record === undefined
      const why = isNew ? 'start() was called' : 'its plan was edited, so the phase begins anew'
      const told = record?.told ?? 0
      const base = { format: FORMAT, flag, told, ...lease, evidence: record?.evidence ?? null, ...named } as const
      return withTransition(record, base, {
        run,
        sequence,
        at: clock.now(),
        attempt,
        reason: { why, severity: 'INFO' },
      })
    })
  }

  /** Shows that the driver lives, and nothing else. @returns whether it was written */
  renew(since: RolloutRecord): Promise<boolean> {
    return this.#lease.write((record) => {
      return record === since && this.#lease.isMine ? { ...record, writes: record.writes + 1 } : undefined
    })
  }

  /** Writes a transition of the driver, or that time has passed. @returns whether it was written */
  async move(input: Input, reason: Reason, { since, time, evidence }: Along = {}): Promise<boolean> {
    const { plan, clock } = this.#settings
    const attempt = this.#nextAttempt()
    return this.#with(this.record?.token ?? 0, evidence, (named) =>
      this.#lease.write((record) => {
        if (record === undefined || !this.#lease.isMine) return undefined
        if (since !== undefined && record !== since) return undefined
        const sequence = this.#sequenceOf(input, record)
        const before = time === undefined ? record.run : (transition(record.run, time, plan, sequence) ?? record.run)
        const run = transition(before, input, plan, sequence)
        if (run === undefined) return undefined
        const base = { ...record, ...named }
        // Time that passes is no transition.
        if (isTime(input)) return { ...base, run, writes: record.writes + 1 }
        return withTransition(record, base, { run, sequence, at: clock.now(), attempt, reason })
      }),
    )
  }

  /** Evidence first, then the record that names it: a record never names what is not there. */
  #with(token: number, evidence: Evidence | undefined, write: (named: Named) => Promise<boolean>): Promise<boolean> {
    if (evidence === undefined) return write({})
    return this.#shelf.keep(token, evidence, (name) => write({ evidence: name }))
  }

  /**
   * Writes a transition that a person asks for, whoever drives.
   *
   * @param done - the states in which there is nothing to do
   * @returns the state in which it has no meaning, if it has none
   */
  async command(input: Input, reason: Reason, done: readonly RolloutState[]): Promise<RolloutState | undefined> {
    const { plan, clock } = this.#settings
    const attempt = this.#nextAttempt()
    let refused: RolloutState | undefined
    await this.#lease.write((record) => {
      refused = undefined
      // A store that tries again by itself may say that somebody was faster, and that was this very attempt.
      if (record !== undefined && (hasAttempt(record, attempt) || done.includes(record.run.state))) return undefined
      const sequence = this.#sequenceOf(input, record)
      const run = record && transition(record.run, input, plan, sequence)
      if (record === undefined || run === undefined) {
        refused = record?.run.state ?? 'PENDING'
        return undefined
      }
      const lease = this.#lease.isFree ? this.#lease.take(record) : {}
      return withTransition(record, { ...record, ...lease }, { run, sequence, at: clock.now(), attempt, reason })
    })
    return refused
  }

  /**
   * Writes down that everything up to this record was put in force and told. What is over is given back with it.
   *
   * @param keepsake - what is kept of the evidence of what is over
   */
  async told(upTo: RolloutRecord, keepsake?: Evidence): Promise<void> {
    await this.#with(upTo.token, keepsake, (named) =>
      this.#lease.write((record) => {
        if (record === undefined || !this.#lease.isMine || isSettled(record)) return undefined
        const told = Math.max(record.told, upTo.sequence)
        const isDone = isOver(record.run) && told === record.sequence
        const end = isDone ? { owner: null, ...named } : {}
        return { ...record, ...end, told, writes: record.writes + 1 }
      }),
    )
  }

  /** Lets another process drive, at once. */
  async giveBack(): Promise<void> {
    await this.#lease.write((record) => {
      return record && this.#lease.isMine ? { ...record, owner: null, writes: record.writes + 1 } : undefined
    })
  }

  #nextAttempt(): string {
    this.#attempts += 1
    return `${this.#settings.instance}:${this.#attempts}`
  }
}

/** Whether it switches the flag off for everyone at once. */
export function isAtOnce(input: Input): boolean {
  return input.type === 'ABORT' || (input.type === 'ROLL_BACK' && !input.isGradual)
}

/** Whether the evidence of a run is about what an edited plan is judged by, too. What is over has kept too little of it. */
export function keepsEvidence(run: Run, plan: PlanInForce): boolean {
  return !isOver(run) && judgedBy(run.fingerprint) === judgedBy(plan.fingerprint)
}

/** The part of a fingerprint that is about what it is judged by. */
function judgedBy(fingerprint: string): string {
  return fingerprint.slice(fingerprint.indexOf('-'))
}
