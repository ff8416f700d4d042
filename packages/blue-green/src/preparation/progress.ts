/** How far a backup, or a restore, is. */
export interface BackupProgress {
  /** What is done: the store is read into the archive, the archive is written into a store, that store is compared. */
  readonly step: 'reading' | 'restoring' | 'comparing'
  /** How many rows it has been done with. */
  readonly rows: number
}

/** Rows between two tellings. */
const tellEvery = 500

/** Tells of one step. A listener that throws is not heard of: a backup does not fail by it. */
export function teller(
  step: BackupProgress['step'],
  onProgress: ((progress: BackupProgress) => void) | undefined,
  every: number = tellEvery,
): (rows: number) => void {
  return (rows) => {
    if (rows % every !== 0) return
    try {
      onProgress?.({ step, rows })
    } catch {
      // Its own affair.
    }
  }
}
