/** A row of a backup. */
export interface ArchivedRow {
  /** The name of its collection. */
  readonly collection: string
  /** Its key. */
  readonly key: string
  /** A JSON value. */
  readonly value: unknown
  /** When it ceases to exist, in epoch ms; `undefined` for never. */
  readonly expiresAt?: number | undefined
}

/** What an archive says of a backup that it keeps. */
export interface KeptBackup {
  /** How large it is, where that is known. */
  readonly bytes?: number
}

/** Where backups are kept. {@link fileArchive} is one; two functions make one of whatever you have. */
export interface Archive {
  /**
   * Keeps all rows under a name, or rejects and keeps nothing. Before it resolves it must have taken the rows to their end.
   *
   * It rejects with an error of the code `EEXIST` when there is something of this name, which it leaves as it is.
   */
  write(name: string, rows: AsyncIterable<ArchivedRow>, signal: AbortSignal): Promise<KeptBackup>
  /** The rows that are kept under a name. It throws where they are not what was written. */
  read(name: string, signal: AbortSignal): AsyncIterable<ArchivedRow>
}
