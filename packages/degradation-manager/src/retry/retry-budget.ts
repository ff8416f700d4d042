import { checkNames } from '../options.js'

/** What a {@link RetryBudget} is made of. */
export interface RetryBudgetOptions {
  /**
   * How many retries each call pays for, 0 to 1: 0.2 is one retry for five calls.
   *
   * @defaultValue `0.2`
   */
  readonly ratio?: number | undefined
  /**
   * How many retries may be saved up, and how many there are at the beginning; 0 or more.
   *
   * @defaultValue `10`
   */
  readonly reserve?: number | undefined
}

/** The defaults of {@link RetryBudgetOptions}. */
export const retryBudgetDefaults: Readonly<Record<'ratio' | 'reserve', number>> = {
  ratio: 0.2,
  reserve: 10,
} satisfies Required<RetryBudgetOptions>

/**
 * Bounds how many retries there may be for all the calls of one or more guards, so that retries help against a hiccup and
 * do not multiply the load when everything fails (retry budget).
 *
 * @remarks
 * Each call puts `ratio` into it, up to `reserve`, and each retry takes 1 out; what is not covered is not tried again. It
 * needs no time: with no calls there is nothing to retry.
 *
 * @see gRPC A6, "Throttling Retry Attempts and Hedged RPCs"; the token bucket of Finagle's `RetryBudget`
 *
 * @example
 * ```ts
 * import { RetryBudget } from '@evenkeel/degradation-manager'
 *
 * const budget = new RetryBudget({ ratio: 0.1, reserve: 5 }) // hand the same to every guard of one service
 * console.log(budget.left) // => 5
 * ```
 */
export class RetryBudget {
  readonly #ratio: number
  readonly #reserve: number
  #left: number

  /** @throws TypeError or RangeError when an option does not exist or is out of range */
  constructor(options: RetryBudgetOptions = {}) {
    checkNames('A RetryBudget', options, Object.keys(retryBudgetDefaults))
    const { ratio = retryBudgetDefaults.ratio, reserve = retryBudgetDefaults.reserve } = options
    if (!(typeof ratio === 'number' && ratio >= 0 && ratio <= 1)) {
      throw new RangeError(`ratio is ${String(ratio)}; give retries per call, 0 to 1`)
    }
    if (!(typeof reserve === 'number' && reserve >= 0 && reserve < Infinity)) {
      throw new RangeError(`reserve is ${String(reserve)}; give 0 or more`)
    }
    this.#ratio = ratio
    this.#reserve = reserve
    this.#left = reserve
  }

  /** How many retries it covers now. */
  get left(): number {
    return this.#left
  }

  /** @internal */
  called(): void {
    const left = this.#left + this.#ratio
    this.#left = left < this.#reserve ? left : this.#reserve
  }

  /**
   * Whether a retry is covered, and if so pays for it.
   *
   * @internal
   */
  take(): boolean {
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
