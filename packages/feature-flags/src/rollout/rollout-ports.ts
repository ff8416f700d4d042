import type { BucketBy, FlagContext } from '../context.js'
import type { RanCall } from '../news.js'
import type { StoredRecord, StoredValue, StoredVersion } from '../ports.js'
import type { FlagShare } from '../table.js'
import type { PhaseJudgement, PhasePower, RolloutJudgement, RolloutTraffic } from './rollout-judge.js'

export type { FlagShare, RanCall }

/** What a flag is like at present. */
export interface RolledOutFlag {
  /** `active` while it decides by its own rules; anything else while something holds it off. */
  readonly state: string
  /** The percentage that counts, 0 to 100. */
  readonly percentage: number | undefined
  /** What that is a share of. */
  readonly by?: BucketBy | undefined
}

/** Where an id stands in a flag's order. */
export interface FlagPlace {
  /** 0 to 100; the flag is on for the id while the percentage is above. `undefined` where something else decides. */
  readonly place?: number | undefined
  /** What decides: `environment` where a variable of the environment does, whatever a rollout says. */
  readonly reason?: string | undefined
  /** The same as a sentence. */
  readonly why?: string | undefined
}

/** What a rollout asks of `FeatureFlags`, which fits. */
export interface RolloutFlags {
  /** Whether there is a flag of this name. */
  has(name: string): boolean
  /** What a flag is like at present. */
  status(name: string): RolledOutFlag
  /**
   * Puts a share in force: here at once, and in all processes when it resolves. Resolves `false` when one of the same or
   * a higher sequence is in force. Rejects when the store cannot be reached.
   */
  setShare(name: string, share: FlagShare, reason: { readonly why: string; readonly by?: string }): Promise<boolean>
  /** The share in force, as far as this process knows. */
  share(name: string): FlagShare | undefined
  /** Whether a flag is on for a guild or a user. */
  isEnabled(name: string, context?: FlagContext): boolean
  /** Why, and where the id stands in the flag's order, 0 to 100. */
  explain(name: string, context?: FlagContext): FlagPlace
  /** Calls the listener with each call of `flags.run`. */
  on(event: 'ran', listener: (call: RanCall) => void): unknown
  /** Calls the listener with each change of a flag. */
  on(event: 'change', listener: (change: { readonly what: string }) => void): unknown
  /** Takes a listener off again. */
  off(event: 'ran', listener: (call: RanCall) => void): unknown
  /** Takes a listener off again. */
  off(event: 'change', listener: (change: { readonly what: string }) => void): unknown
}

/**
 * Where a rollout keeps its record and its evidence: a collection of `@evenkeel/storage-adapter`, or anything of this shape.
 * With the methods that may be left out, the processes that share it also share what they see, and what a killed one has left
 * behind is removed.
 */
export interface RolloutStore {
  /** Who sees what is written here: this process, those of this machine, or those of every machine. */
  readonly scope: 'process' | 'machine' | 'cluster'
  /** The value of a key and its version; `undefined` means that there is none. */
  entry(key: string): Promise<StoredValue | undefined>
  /**
   * Writes only if the version is still `expected`, where `undefined` stands for "no value yet".
   * Resolves `undefined` when somebody else was first.
   */
  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined>
  /** Removes a record. An absent one may be removed too. */
  delete(key: string): Promise<unknown>
  /** Writes whatever was there. */
  set?(key: string, value: unknown): Promise<unknown>
  /** The records whose keys begin with `prefix`. */
  scan?(options: { readonly prefix: string }): AsyncIterable<StoredRecord>
}

/** What a judge says while a phase goes on; without a cause, what it pauses for is named by `why`. */
export type RolloutVerdict = Pick<RolloutJudgement, 'action' | 'why' | 'cause'>

/**
 * Judges a rollout. Remembers nothing itself: its state is JSON, and kept with the rollout. `acknowledged` names the causes
 * of a pause that a person has let pass.
 */
export interface EvidenceJudge<State, Interval> {
  /** Before the first interval. */
  start(): State
  /** Before the first interval of another rollout, with what may be kept of the last one. */
  startAgain?(state: State): State
  /** Takes in what happened since the last look. */
  observe(state: State, interval: Interval): State
  /** Says what is known, at any time. */
  judge(state: State, acknowledged: readonly string[]): RolloutVerdict
  /** Says how soon a harm would show, given the traffic; `undefined` where nothing is compared. */
  powers?(traffic: RolloutTraffic): readonly PhasePower[] | undefined
  /** Says what to do when the time of a phase is over; `phase` is that of the run, from 0. */
  endPhase(state: State, acknowledged: readonly string[], phase: number): PhaseJudgement
}
