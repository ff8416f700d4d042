import { bestMode } from './mode.js'
import type { FeatureOptions, FeatureState, Settings } from './options.js'
import { priorities, type Priority } from './priority.js'

/** What a mode does to a feature. */
export interface Effect {
  readonly state: FeatureState
  /** How many calls at once while the state is `limited`; else `Infinity`. */
  readonly maxConcurrent: number
}

const on: Effect = { state: 'on', maxConcurrent: Infinity }
const off: Effect = { state: 'off', maxConcurrent: Infinity }

/** From what serves most to what serves least. */
const strictness: readonly FeatureState[] = ['on', 'limited', 'fallback', 'off']

/**
 * A feature, found by its name once: what {@link DegradationManager.feature} gives. It follows every change of the mode,
 * so asking it is the fastest way to ask.
 */
export interface FeatureHandle {
  /** The feature's name. */
  readonly name: string
  /** Its priority. */
  readonly priority: Priority
  /** What the mode in force does to it. */
  readonly state: FeatureState
  /** How many calls at once while the state is `limited`; else `Infinity`. */
  readonly maxConcurrent: number
  /** How many guarded calls of it are under way. */
  readonly inFlight: number
  /** Whether the feature may be used now: its state is `on` or `limited`. */
  allows(): boolean
}

/** Work whose caller has gone is counted for so long at most, in ms: as long as a limiter does unless told otherwise. */
const MAX_OVERDUE_MS = 300_000

/** A feature as the manager and its guards see it: one object, changed in place. */
export class Feature implements FeatureHandle {
  readonly name: string
  readonly priority: Priority
  state: FeatureState = 'on'
  maxConcurrent: number = Infinity
  inFlight = 0
  /** `state` is `on` or `limited`: kept beside it, so that asking costs one read. */
  isAllowed = true
  /** Work whose caller has gone, in the order in which that happened, and when, monotonic ms. Made when first needed. */
  #overdue: Map<object, number> | undefined
  /** What each mode does, by the mode's place in the list of modes. */
  readonly effects: readonly Effect[]

  constructor(name: string, priority: Priority, effects: readonly Effect[]) {
    this.name = name
    this.priority = priority
    this.effects = effects
  }

  allows(): boolean {
    return this.isAllowed
  }

  /** The mode at this place is in force from now on. */
  follow(place: number): void {
    const { state, maxConcurrent } = this.effects[place] ?? on
    this.state = state
    this.maxConcurrent = maxConcurrent
    this.isAllowed = serves(state)
  }

  /** Whether one more call may begin. */
  get hasRoom(): boolean {
    return this.isAllowed && this.inFlight < this.maxConcurrent
  }

  /**
   * Notes that the caller of a call has gone. It counts on until its work ends; but some work never does.
   *
   * @returns notes that the work has ended
   */
  overdue(nowMs: number): () => void {
    const work = {}
    this.#overdue ??= new Map()
    this.#overdue.set(work, nowMs)
    return () => {
      if (this.#overdue?.delete(work) === true) this.inFlight--
    }
  }

  /** Counts no more what has not ended long after its caller has gone; whether there is room now. */
  reclaim(nowMs: number): boolean {
    for (const [work, sinceMs] of this.#overdue ?? []) {
      if (nowMs - sinceMs < MAX_OVERDUE_MS) break
      this.#overdue?.delete(work)
      this.inFlight--
    }
    return this.hasRoom
  }
}

/** Whether a feature in this state is served by the real thing. */
export function serves(state: FeatureState): boolean {
  return state === 'on' || state === 'limited'
}

/** The features by name, each as it is in the best mode. */
export function makeFeatures({ features, modes, serves }: Settings): ReadonlyMap<string, Feature> {
  const made = new Map<string, Feature>()
  for (const [name, { priority, in: exceptions }] of features) {
    const feature = new Feature(name, priority, effectsOf(modes, serves, priority, exceptions))
    feature.follow(0)
    made.set(name, feature)
  }
  return made
}

/**
 * What each mode does to a feature, best mode first. What a feature says of a mode holds in that mode, and in the worse
 * ones too, unless it says otherwise there or its priority is stricter: a worse mode never serves more by accident.
 */
function effectsOf(
  modes: readonly string[],
  serves: Settings['serves'],
  priority: Priority,
  exceptions: FeatureOptions<string>['in'],
): Effect[] {
  let declared = on
  return modes.map((mode) => {
    const exception = exceptions?.[mode]
    if (exception !== undefined) {
      declared = asEffect(exception)
      return declared
    }
    const least = serves.get(mode) ?? 'optional'
    const byPriority = mode === bestMode || priorities.indexOf(priority) <= priorities.indexOf(least) ? on : off
    return stricter(declared, byPriority)
  })
}

function asEffect(declared: NonNullable<FeatureOptions<string>['in']>[string]): Effect {
  if (typeof declared === 'object') return { state: 'limited', maxConcurrent: declared.maxConcurrent }
  return { state: declared ?? 'on', maxConcurrent: Infinity }
}

function stricter(one: Effect, other: Effect): Effect {
  return strictness.indexOf(other.state) > strictness.indexOf(one.state) ? other : one
}
