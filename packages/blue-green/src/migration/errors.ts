import { messageOf } from '../bounded.js'

/**
 * What was to be a copy, or a scratch store, holds something, or reaches the original or another copy. Nothing was migrated, and no backup
 * was made. It was not stopped.
 */
export class NotIsolatedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'NotIsolatedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_ISOLATED'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was migrated, and no backup made. A probe that was written to find out was deleted again. */
  readonly applied = 'no'

  /** @internal */
  constructor(why: string, made: 'copy' | 'scratch' = 'copy') {
    super(`${remedies[made][0]} is not isolated: ${why}. ${remedies[made][1]}`)
  }
}

const remedies = {
  copy: ['The copy', 'Let `copy` make a new, empty store each time, in the folder that it is given, and nowhere else.'],
  scratch: [
    'The scratch store',
    'Let `scratch` make a new, empty store each time, such as `() => new MemoryStorage()`.',
  ],
} as const

/** What a step found, in words of ours: they may be told wherever the report goes. */
export class Finding extends Error {}

/** How a row is called, by its key: as that, or by another name where the report must not have it. */
export type NameOf = (key: string) => string

/** The same about rows. The message has their keys, for who runs it; the report has what `told` makes of them. */
export class RowFinding extends Finding {
  readonly told: (nameOf: NameOf) => string

  constructor(told: (nameOf: NameOf) => string, options?: ErrorOptions) {
    super(
      told((key) => key),
      options,
    )
    this.told = told
  }

  /** The same, with words before it. */
  static after(words: string | ((nameOf: NameOf) => string), error: unknown): RowFinding {
    const before = typeof words === 'string' ? (): string => words : words
    return new RowFinding((nameOf) => `${before(nameOf)}: ${toldOf(error, nameOf)}`, { cause: error })
  }
}

/** What was thrown, as words for the report. */
export function toldOf(error: unknown, nameOf: NameOf): string {
  return error instanceof RowFinding ? error.told(nameOf) : messageOf(error)
}
