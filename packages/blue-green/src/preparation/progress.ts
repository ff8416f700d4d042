/** How far a backup, or a restore, is. */
export interface BackupProgress {
  /** What is done: the store is read into the archive, the archive is written into a store, that store is compared. */
  readonly step: 'reading' | 'restoring' | 'comparing'
  /** How many rows it has been done with. */
  readonly rows: number
}

/** Rows between two tellings. */
const tellEvery = 500

/** Tells of one step. A listener that throws or rejects is not heard of: a backup does not fail by it. */
export function teller(
  step: BackupProgress['step'],
  onProgress: ((progress: BackupProgress) => unknown) | undefined,
  every: number = tellEvery,
): (rows: number) => void {
  // An async function, so that what throws at once is a rejection like any other.
  const tell = async (rows: number): Promise<void> => void (await onProgress?.({ step, rows }))
  return (rows) => {
    // Its own affair.
    if (rows % every === 0) tell(rows).catch(() => undefined)
  }
}
