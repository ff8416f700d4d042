import type { Scope } from './storage.js'

/** Whether a rejected operation took effect: `no` for certain, or `unknown`. */
export type Applied = 'no' | 'unknown'

/**
 * What every error of a storage has. Tell errors apart by `code`, which also works when two copies of this package
 * are loaded.
 */
export abstract class StorageError extends Error {
  /** The name of the class. */
  abstract override readonly name: string
  /** Says in code what failed; stable. */
  abstract readonly code: `STORAGE_${string}`
  /** Whether the same call may succeed later. */
  abstract readonly retryable: boolean
  /** Whether the operation took effect. After `unknown`, repeat only what may happen twice. */
  readonly applied: Applied

  protected constructor(message: string, applied: Applied, options?: ErrorOptions) {
    super(message, options)
    this.applied = applied
  }
}

/** A condition (`ifVersion`, `ifAbsent`) did not hold. Nothing was written. */
export class ConflictError extends StorageError {
  override readonly name = 'ConflictError'
  readonly code = 'STORAGE_CONFLICT'
  readonly retryable = false
  /** The collection of the record in the way. */
  readonly collection: string
  /** The key of the record in the way. */
  readonly key: string
  /** The version that was asked for; `undefined` when the key had to be absent. */
  readonly expected: string | undefined
  /** The version that was found; `undefined` when the key is absent. */
  readonly found: string | undefined

  /**
   * @param collection - the collection of the record in the way
   * @param key - its key
   * @param expected - the version asked for; `undefined` for "absent"
   * @param found - the version found; `undefined` for "absent"
   */
  constructor(collection: string, key: string, expected: string | undefined, found: string | undefined) {
    const say = (version: string | undefined): string => (version === undefined ? 'absent' : `at version ${version}`)
    super(
      `${JSON.stringify(key)} in ${JSON.stringify(collection)} should be ${say(expected)} but is ${say(found)}; ` +
        'read it again and decide, or use update()',
      'no',
    )
    this.collection = collection
    this.key = key
    this.expected = expected
    this.found = found
  }
}

/** The backend cannot be reached or cannot keep anything at present. */
export class UnavailableError extends StorageError {
  override readonly name = 'UnavailableError'
  readonly code = 'STORAGE_UNAVAILABLE'
  readonly retryable = true

  /**
   * @param message - what is out of reach and what to do
   * @param applied - `unknown` when a write may have arrived
   * @param options - the cause
   */
  constructor(message: string, applied: Applied = 'no', options?: ErrorOptions) {
    super(message, applied, options)
  }
}

/** The backend did not answer in time. Reads took no effect; of a write nothing is known. */
export class StorageTimeoutError extends StorageError {
  override readonly name = 'StorageTimeoutError'
  readonly code = 'STORAGE_TIMEOUT'
  readonly retryable = true
  /** The deadline, in milliseconds. */
  readonly timeoutMs: number

  /**
   * @param timeoutMs - the deadline that passed, in milliseconds
   * @param applied - `unknown` for a write
   */
  constructor(timeoutMs: number, applied: Applied) {
    super(`The storage did not answer within ${timeoutMs} ms; it may be overloaded, or raise timeoutMs`, applied)
    this.timeoutMs = timeoutMs
  }
}

/** Others held the database, or had all its connections, for too long. Nothing was written. */
export class BusyError extends StorageError {
  override readonly name = 'BusyError'
  readonly code = 'STORAGE_BUSY'
  readonly retryable = true
  /** How long the write waited, in milliseconds. */
  readonly waitedMs: number

  /**
   * @param path - the database
   * @param waitedMs - how long the write waited, in milliseconds
   * @param options - the cause
   * @param remedy - what else to do, as the end of a sentence
   */
  constructor(path: string, waitedMs: number, options?: ErrorOptions, remedy = 'raise busyTimeoutMs') {
    super(
      `${path} was kept busy by others for ${Math.round(waitedMs)} ms; ` +
        `look for one that keeps a transaction open, or ${remedy}`,
      'no',
      options,
    )
    this.waitedMs = waitedMs
  }
}

/** Another process owns the files. */
export class LockedError extends StorageError {
  override readonly name = 'LockedError'
  readonly code = 'STORAGE_LOCKED'
  readonly retryable = false
  /** The directory that is owned. */
  readonly path: string
  /** The process that owns it. */
  readonly pid: number
  /** Since when, in epoch milliseconds. */
  readonly since: number

  /**
   * @param path - the directory that is owned
   * @param pid - the process that owns it
   * @param since - since when, in epoch milliseconds
   * @param remedy - what to do, as the end of a sentence
   */
  constructor(
    path: string,
    pid: number,
    since: number,
    remedy = 'stop that process, give this one a path of its own, or use SqliteStorage, which several may share',
  ) {
    super(`${path} is in use by process ${pid} since ${new Date(since).toISOString()}; ${remedy}`, 'no')
    this.path = path
    this.pid = pid
    this.since = since
  }
}

/** A file is damaged beyond what may be repaired without losing data in silence. It was left as it is. */
export class CorruptError extends StorageError {
  override readonly name = 'CorruptError'
  readonly code = 'STORAGE_CORRUPT'
  readonly retryable = false
  /** The damaged file. */
  readonly path: string

  /**
   * @param path - the damaged file
   * @param why - what is wrong with it, as the end of a sentence
   * @param applied - `unknown` when a write was under way
   * @param options - the cause, and what to do, as the end of a sentence
   */
  constructor(
    path: string,
    why: string,
    applied: Applied = 'no',
    {
      remedy = 'it was left untouched: restore it from a backup, or move it away to begin anew',
      ...options
    }: ErrorOptions & { readonly remedy?: string | undefined } = {},
  ) {
    super(`${path} ${why}; ${remedy}`, applied, options)
    this.path = path
  }
}

/** The files were written by a newer version of this package, or by another program. */
export class FormatError extends StorageError {
  override readonly name = 'FormatError'
  readonly code = 'STORAGE_FORMAT'
  readonly retryable = false
  /** The file that was refused. */
  readonly path: string
  /** The format that was found. */
  readonly found: string
  /** The newest format that this version reads. */
  readonly supported: string

  /**
   * @param path - the file that was refused
   * @param found - the format that was found
   * @param supported - the newest format that this version reads
   */
  constructor(path: string, found: string, supported: string) {
    super(`${path} has format ${found}, this version reads ${supported}; upgrade @evenkeel/storage-adapter`, 'no')
    this.path = path
    this.found = found
    this.supported = supported
  }
}

/** The package that talks to a database is missing, or would crash this Node. */
export class DriverError extends StorageError {
  override readonly name = 'DriverError'
  readonly code = 'STORAGE_DRIVER'
  readonly retryable = false

  /**
   * @param message - what was looked for, and the command that installs it
   * @param options - the cause
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, 'no', options)
  }
}

/** Another writer took over the primary, which `writers: 'one'` rules out. This one may write no more. */
export class FencedError extends StorageError {
  override readonly name = 'FencedError'
  readonly code = 'STORAGE_FENCED'
  readonly retryable = false

  /** @param options - the cause */
  constructor(options?: ErrorOptions) {
    super(
      "Another FailoverStorage with writers: 'one' took over this primary; " +
        'stop one of the two: a primary has one writer',
      'no',
      options,
    )
  }
}

/** The store reaches fewer processes than have to agree. */
export class ScopeError extends StorageError {
  override readonly name = 'ScopeError'
  readonly code = 'STORAGE_SCOPE'
  readonly retryable = false
  /** How far the store reaches. */
  readonly found: Scope
  /** How far it would have to reach. */
  readonly needed: Scope

  /**
   * @param what - what needs the agreement, such as `Lease`
   * @param found - how far the store reaches
   * @param needed - how far it would have to reach
   */
  constructor(what: string, found: Scope, needed: Scope) {
    super(
      `${what} needs a store whose scope is ${JSON.stringify(needed)} or wider, and this one has ${JSON.stringify(found)}: ` +
        'hand it a collection of SqliteStorage (one machine), PostgresStorage or RedisStorage (many machines), and of a ' +
        'FailoverStorage the primary; ' +
        `if nothing beyond that has to agree, say scope: ${JSON.stringify(found)}`,
      'no',
    )
    this.found = found
    this.needed = needed
  }
}

/** A lease is held no longer, so what it allowed must stop. */
export class LeaseLostError extends StorageError {
  override readonly name = 'LeaseLostError'
  readonly code = 'STORAGE_LEASE_LOST'
  readonly retryable = true
  /** The name of the lease. */
  readonly lease: string
  /** The fencing token of the term that is over. */
  readonly token: number

  /**
   * @param lease - the name of the lease
   * @param token - the fencing token of the term that is over
   * @param why - what ended it, as the end of a sentence
   * @param applied - `unknown` when work that it allowed was under way
   * @param options - the cause
   */
  constructor(lease: string, token: number, why: string, applied: Applied = 'no', options?: ErrorOptions) {
    super(
      `The lease ${JSON.stringify(lease)} (token ${token}) is held no longer: ${why}; ` +
        'stop what it allowed, and acquire it again before you go on',
      applied,
      options,
    )
    this.lease = lease
    this.token = token
  }
}

/**
 * The backend refused what it was given, such as a value that is too large for it. It is no outage: the same call fails
 * again. Nothing was written.
 */
export class RefusedError extends StorageError {
  override readonly name = 'RefusedError'
  readonly code = 'STORAGE_REFUSED'
  readonly retryable = false

  /**
   * @param message - who refused what, and why
   * @param options - the cause
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, 'no', options)
  }
}
