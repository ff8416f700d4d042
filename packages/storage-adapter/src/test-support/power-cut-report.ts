/** What a series of power cuts or kills came to. */
export interface CrashReport {
  /** How often. */
  crashes: number
  /** How many acknowledged writes were looked for afterwards. */
  checked: number
  /** Acknowledged writes that were not there, or were there by half. */
  readonly lost: string[]
  /** Storages that did not open, or that took what a crash leaves for damage. */
  readonly unreadable: string[]
}

/** A report to begin with. */
export function emptyReport(): CrashReport {
  return { crashes: 0, checked: 0, lost: [], unreadable: [] }
}
