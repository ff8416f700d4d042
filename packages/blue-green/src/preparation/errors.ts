/** A backup cannot be read back as it was written, or the archive did not take all of it. Do not deploy on it. */
export class BackupDamagedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'BackupDamagedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'BACKUP_DAMAGED'
  /** The same backup is read the same way again; another one may be made. */
  readonly retryable = false
  /** The store that was backed up is untouched; where a restore was under way, a part of it may be written. */
  readonly applied = 'unknown'
  /** The backup. */
  readonly id: string

  /** @internal */
  constructor(id: string, why: string) {
    super(`The backup "${id}" is damaged: ${why}. Keep an older one, and look at the disk.`)
    this.id = id
  }
}

/** There was nothing to back up. The path or the name of the database may be a wrong one. */
export class EmptyBackupError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'EmptyBackupError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'EMPTY_BACKUP'
  /** The same call succeeds when the source has a record, or with `allowEmpty: true`. */
  readonly retryable = false
  /** Nothing was written. */
  readonly applied = 'no'
  /** The collections with records that were left out. */
  readonly leftOut: readonly string[]

  /** @internal */
  constructor(leftOut: readonly string[]) {
    const beside = leftOut.length === 0 ? '' : ` beside what is left out (${leftOut.slice(0, 5).join(', ')})`
    super(
      `The backup has no row: the source holds nothing${beside}. Look whether it is the store of the bot: ` +
        'its path, or the name of its database. Where a bot without data is to be deployed, give allowEmpty: true.',
    )
    this.leftOut = leftOut
  }
}

/** The store to restore into holds something already. It was left as it is. */
export class NotEmptyError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'NotEmptyError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_EMPTY'
  /** The same call succeeds with an empty store. */
  readonly retryable = false
  /** Nothing was written. */
  readonly applied = 'no'
  /** The collections that hold something. */
  readonly collections: readonly string[]

  /** @internal */
  constructor(what: string, collections: readonly string[]) {
    super(`${what} is not empty: it has ${collections.slice(0, 5).join(', ')}. Give a new, empty store.`)
    this.collections = collections
  }
}

/** A restored store is not what was written into it: it lost or changed rows. The backup is sound; throw that store away. */
export class RestoreMismatchError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'RestoreMismatchError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'RESTORE_MISMATCH'
  /** The same call can succeed with another empty store. */
  readonly retryable = false
  /** The rows were written, and not all of them are there. */
  readonly applied = 'yes'
  /** The backup. */
  readonly id: string

  /** @internal */
  constructor(id: string, why: string) {
    super(`The store is not what the backup "${id}" says: ${why}. Throw it away, and restore into another one.`)
    this.id = id
  }
}
