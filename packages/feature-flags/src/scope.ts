import type { BucketBy, FlagContext, Subject } from './context.js'
import type { ToldFlag, ToldHandle } from './counted-id.js'
import { isOn } from './decide.js'
import type {
  BooleanFlagName,
  FlagDefinitions,
  FlagName,
  FlagValue,
  VariantAnswer,
  VariantFlagName,
} from './definitions.js'
import { explain, type Explanation } from './explain.js'
import { countedVariant, type FlagHandle, type VariantHandle } from './handle.js'
import { count, findBooleanFlag, findFlag, findVariantFlag, flagAt, type Table } from './table.js'

/** How {@link FeatureFlags.run} treats one call. */
export interface RunOptions {
  /**
   * Whether doing the operation twice does no more than doing it once. Only then does the old path also serve a call
   * of which the new path may have taken effect, such as one that timed out.
   * @defaultValue `false`
   */
  readonly idempotent?: boolean
}

/** Runs an operation on behalf of a scope. */
export type ScopedRun = <On, Off>(
  name: string,
  table: Table,
  subject: Subject,
  on: () => On | PromiseLike<On>,
  off: () => Off | PromiseLike<Off>,
  options: RunOptions | undefined,
) => Promise<On | Off>

/**
 * The flags for one guild and user at one moment: what {@link FeatureFlags.for} gives.
 *
 * @remarks
 * *Gotchas*: it keeps its answers however the flags change, so make one for each event and let it go afterwards. The
 * one exception is a trial: `run` may take the new path of a fallen-back flag to see whether it is well again.
 *
 * @typeParam D - the flags
 * @typeParam Untold - the ids that it was not told, `'guild'`, `'user'` or both: it does not answer for flags that count them
 */
export class FlagScope<const D extends FlagDefinitions = FlagDefinitions, Untold extends BucketBy = never> {
  readonly #table: Table
  readonly #subject: Subject
  readonly #run: ScopedRun

  /** @internal */
  constructor(table: Table, subject: Subject, run: ScopedRun) {
    this.#table = table
    this.#subject = subject
    this.#run = run
  }

  /**
   * Whether a flag is on.
   *
   * @param flag - a flag that is on or off, by its name or its handle
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  isEnabled(flag: ToldFlag<D, BooleanFlagName<D>, Untold>): boolean
  isEnabled<C extends FlagContext | undefined>(flag: FlagHandle<C> & ToldHandle<C, Untold>): boolean
  isEnabled(flag: string | FlagHandle): boolean {
    const found = typeof flag === 'string' ? findBooleanFlag(this.#table, flag) : flagAt(this.#table, flag)
    const answer = isOn(found, this.#subject)
    count(found, answer ? 1 : 0)
    return answer
  }

  /**
   * The variant of a flag.
   *
   * @param flag - a flag with variants, by its name or its handle
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  variant<V, C extends FlagContext | undefined>(flag: VariantHandle<V, C> & ToldHandle<C, Untold>): V
  variant<K extends ToldFlag<D, VariantFlagName<D>, Untold>>(flag: K): VariantAnswer<D, K>
  variant(flag: string | VariantHandle): unknown {
    const found = typeof flag === 'string' ? findVariantFlag(this.#table, flag) : flagAt(this.#table, flag)
    return countedVariant(found, this.#subject)
  }

  /**
   * The answer and how it came about.
   *
   * @param name - any flag
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  explain<K extends ToldFlag<D, FlagName<D>, Untold>>(name: K): Explanation<FlagValue<D, K>> {
    const { record } = findFlag(this.#table, name)
    return explain(record, this.#table, this.#subject) as Explanation<FlagValue<D, K>>
  }

  /**
   * Runs the new path or the old one by this scope's answer; see {@link FeatureFlags.run}.
   *
   * @param name - a flag that is on or off
   * @param on - the new path
   * @param off - the old path
   * @param options - how to treat this call
   */
  run<On, Off>(
    name: ToldFlag<D, BooleanFlagName<D>, Untold>,
    on: () => On | PromiseLike<On>,
    off: () => Off | PromiseLike<Off>,
    options?: RunOptions,
  ): Promise<On | Off> {
    return this.#run(name, this.#table, this.#subject, on, off, options)
  }
}
