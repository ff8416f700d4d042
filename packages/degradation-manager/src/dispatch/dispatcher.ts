import type { Admission, AdmissionOptions } from '../admission/admission.js'
import { optionalFunction } from '../breaker/breaker-options.js'
import type { DegradationManager } from '../degradation-manager.js'
import { ShedError } from '../errors.js'
import { checkAdmission } from '../guard/fallback.js'
import { checkTimeout } from '../guard/guard-options.js'
import { guard as guardAlone } from '../guard/stand-alone.js'
import { checkNames } from '../options.js'
import type { Priority } from '../priority.js'

/** What an event is, as far as it matters for whether and when it is handled. */
export interface EventClass<Feature extends string> {
  /** The feature that it belongs to: the mode says whether it is served, and its priority when. */
  readonly feature: Feature
  /** Its guild: every guild gets the same share. Without one the user is taken. */
  readonly guildId?: string | null | undefined
  /** Its user. */
  readonly userId?: string | null | undefined
  /** How much it matters, where that differs from its feature's priority. */
  readonly priority?: Priority | undefined
  /** Ends it: while it waits it is not handled any more. */
  readonly signal?: AbortSignal | undefined
}

/** What a {@link dispatcher} is made of. */
export interface DispatcherOptions<Feature extends string, Event, Result> {
  /** Knows the features, and which of them are served now. */
  readonly modes: Pick<DegradationManager<Feature, never, never>, 'guard' | 'feature'>
  /** Bounds how many events are handled at once: an `AdaptiveLimiter` or a `Bulkhead`. */
  readonly admission: Admission
  /** Says what an event is; undefined when it is to be handled at once and unbounded, as what has nothing to do with load. */
  readonly classify: (event: Event) => EventClass<Feature> | undefined
  /** Handles one event. */
  readonly handle: (event: Event) => Result | PromiseLike<Result>
  /** Answers an event that is not handled, politely; without it the {@link ShedError} is what the caller gets. */
  readonly onShed?: ((event: Event, error: ShedError) => Result | PromiseLike<Result>) | undefined
  /**
   * How long handling an event may take, waiting included, in ms, more than 0: then the caller gets a `TimeoutError`. What
   * is being handled goes on, and its place is free again when it ends, or `maxOverdueMs` later.
   *
   * @defaultValue `60_000`
   */
  readonly timeoutMs?: number | undefined
}

/** The defaults of {@link DispatcherOptions}. */
export const dispatcherDefaults: Readonly<Record<'timeoutMs', number>> = { timeoutMs: 60_000 } satisfies Required<
  Pick<DispatcherOptions<string, unknown, unknown>, 'timeoutMs'>
>

/**
 * Makes the one function that all events of a bot go through: what is switched off is answered politely, what matters is
 * handled first, and one noisy guild cannot starve the others.
 *
 * @remarks
 * A feature that the mode leaves to its fallback is handled: the guards inside its handler have the fallback.
 *
 * *Gotchas*: an event that was being handled and then failed is never answered by `onShed`: its handler may have answered
 * already. Its error passes through.
 *
 * @param options - who classifies, bounds and handles
 * @returns handles one event; give it to the client's listener
 * @throws TypeError when an option is missing or does not exist
 *
 * @example
 * ```ts
 * import { AdaptiveLimiter, DegradationManager, dispatcher } from '@evenkeel/degradation-manager'
 *
 * const modes = new DegradationManager({
 *   features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
 * })
 * interface Command {
 *   readonly commandName: 'remind' | 'translate'
 *   readonly guildId: string | null
 *   readonly user: { readonly id: string }
 * }
 * const handle = dispatcher({
 *   modes,
 *   admission: new AdaptiveLimiter({ name: 'commands' }),
 *   classify: ({ commandName, guildId, user }: Command) => ({ feature: commandName, guildId, userId: user.id }),
 *   handle: async ({ commandName }) => `${commandName} is done`,
 *   onShed: async ({ commandName }) => `${commandName} has a break`,
 * })
 * await modes.setMode('DEGRADED', { why: 'the translation service is slow' })
 * const user = { id: '53908099506183680' }
 * console.log(await handle({ commandName: 'remind', guildId: '81384788765712384', user })) // => remind is done
 * console.log(await handle({ commandName: 'translate', guildId: null, user })) // => translate has a break
 * ```
 */
export function dispatcher<Feature extends string, Event, Result>(
  options: DispatcherOptions<Feature, Event, Result>,
): (event: Event) => Promise<Result> {
  checkNames('A dispatcher', options, ['modes', 'admission', 'classify', 'handle', 'onShed', 'timeoutMs'])
  const { modes, admission, classify, handle, onShed, timeoutMs = dispatcherDefaults.timeoutMs } = options
  for (const name of ['classify', 'handle'] as const) {
    if (typeof options[name] !== 'function') throw new TypeError(`A dispatcher needs ${name}, a function of the event`)
  }
  if (typeof modes?.guard !== 'function') throw new TypeError('A dispatcher needs modes: a DegradationManager')
  if (admission === undefined) throw new TypeError('A dispatcher needs an admission: new AdaptiveLimiter()')
  checkAdmission('a dispatcher', admission)
  checkTimeout('a dispatcher', timeoutMs)
  optionalFunction('onShed', onShed)

  /** One event on its way. */
  interface Passage {
    readonly event: Event
    readonly its: EventClass<Feature>
    hasBegun: boolean
  }
  const asked = ({ guildId, userId, priority, signal }: EventClass<Feature>): AdmissionOptions => ({
    key: guildId ?? userId ?? '',
    priority,
    signal,
  })
  const begin = async (passage: Passage): Promise<Result> => {
    passage.hasBegun = true
    return handle(passage.event)
  }
  const makeDoors = (feature: Feature) => {
    const bounds = { admission, timeoutMs }
    return {
      served: modes.guard<typeof begin>(feature, begin, {
        ...bounds,
        call: ({ its }) => asked(its),
        // Where a mode leaves the feature to its fallback the other door is open, so this one needs none.
        fallback: [],
      }),
      // What is left to its fallback is bounded like everything else, but only its handler knows the fallback.
      leftToFallback: guardAlone<typeof begin>(feature, begin, {
        ...bounds,
        call: ({ its }) => ({ ...asked(its), priority: its.priority ?? modes.feature(feature).priority }),
      }),
    }
  }
  const doors = new Map<Feature, ReturnType<typeof makeDoors>>()

  return async (event) => {
    const its = classify(event)
    if (its === undefined) return handle(event)
    let door = doors.get(its.feature)
    if (door === undefined) doors.set(its.feature, (door = makeDoors(its.feature)))
    const passage: Passage = { event, its, hasBegun: false }
    try {
      return await (modes.feature(its.feature).state === 'fallback' ? door.leftToFallback : door.served)(passage)
    } catch (error) {
      if (onShed === undefined || passage.hasBegun || !(error instanceof ShedError)) throw error
      return onShed(event, error)
    }
  }
}
