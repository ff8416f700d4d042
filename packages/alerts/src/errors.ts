/** Another process, or another `Alerts` of this one, has the spool. */
export class SpoolLockedError extends Error {
  /** The class's name. */
  override readonly name = 'SpoolLockedError'
  /** Stable, for programs. */
  readonly code = 'ALERTS_SPOOL_LOCKED'
  /** When the other has ended, it can be had. */
  readonly retryable = true
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The spool's directory. */
  readonly path: string
  /** The process that has it. */
  readonly pid: number
  /** Since when, epoch ms. */
  readonly since: number

  /**
   * @param path - the spool's directory
   * @param pid - the process that has it
   * @param since - since when, epoch ms
   */
  constructor(path: string, pid: number, since: number) {
    super(
      `The alert spool ${path} belongs to process ${pid} since ${new Date(since).toISOString()}; ` +
        'give every process a path of its own, or stop that one',
    )
    this.path = path
    this.pid = pid
    this.since = since
  }
}

/** The spool was written by a newer version of this package. */
export class SpoolFormatError extends Error {
  /** The class's name. */
  override readonly name = 'SpoolFormatError'
  /** Stable, for programs. */
  readonly code = 'ALERTS_SPOOL_FORMAT'
  /** The same version cannot read it next time either. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The version of the file's format. */
  readonly found: number
  /** The newest that this package reads. */
  readonly known: number

  /**
   * @param path - the file
   * @param found - the version of its format
   * @param known - the newest that this package reads
   */
  constructor(path: string, found: number, known: number) {
    super(`${path} has format version ${found}, and this version of @evenkeel/alerts reads up to ${known}; update it`)
    this.found = found
    this.known = known
  }
}

/** What a failed sending means for what waits behind it. */
export type DeliveryScope = 'message' | 'channel'

/** What is known of a failed sending. */
export interface DeliveryFailure {
  /** Whether the same message may be accepted later. */
  readonly retryable: boolean
  /** Whether it is the message that was refused, or the channel that does not work at present. */
  readonly scope?: DeliveryScope
  /** How long the receiver asked to be left alone, in milliseconds. */
  readonly retryAfterMs?: number
  /** Whether it may have arrived all the same. */
  readonly applied?: 'no' | 'unknown'
}

/**
 * A channel did not take a message. A channel of your own may throw it to say how to go on; whatever else it throws is
 * tried again.
 *
 * @example
 * ```ts
 * import { DeliveryError } from '@evenkeel/alerts'
 *
 * const error = new DeliveryError('the pager asks for a pause', { retryable: true, retryAfterMs: 30_000 })
 * console.log(error.code, error.retryAfterMs) // => ALERTS_DELIVERY 30000
 * ```
 */
export class DeliveryError extends Error {
  /** The class's name. */
  override readonly name = 'DeliveryError'
  /** Stable, for programs. */
  readonly code = 'ALERTS_DELIVERY'
  /** Whether the same message may be accepted later. */
  readonly retryable: boolean
  /** Whether it may have arrived all the same. */
  readonly applied: 'no' | 'unknown'
  /** Whether it is the message that was refused, or the channel that does not work at present. */
  readonly scope: DeliveryScope
  /** How long the receiver asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined

  /**
   * @param reason - what happened, without secrets
   * @param failure - what it means
   */
  constructor(reason: string, failure: DeliveryFailure) {
    super(reason)
    this.retryable = failure.retryable
    this.applied = failure.applied ?? 'no'
    this.scope = failure.scope ?? 'channel'
    this.retryAfterMs = failure.retryAfterMs
  }
}

/** A package that a channel needs is not installed. */
export class MissingPackageError extends Error {
  /** The class's name. */
  override readonly name = 'MissingPackageError'
  /** Stable, for programs. */
  readonly code = 'ALERTS_MISSING_PACKAGE'
  /** It has to be installed first. */
  readonly retryable = false
  /** Nothing was sent. */
  readonly applied = 'no'

  /**
   * @param what - what needs it
   * @param packageName - the package
   */
  constructor(what: string, packageName: string) {
    super(`${what} needs the package ${packageName}, which cannot be loaded; run: npm install ${packageName}`)
  }
}
