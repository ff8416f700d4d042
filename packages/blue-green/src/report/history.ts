import { messageOf } from '../bounded.js'
import { checksumOf } from '../checksum.js'
import { withDeadline } from '../deadline.js'
import { StoreUnavailableError } from '../errors.js'
import type { Clock, StateStore } from '../ports.js'
import type { DeploymentReport } from './report.js'

interface HistoryEntry {
  readonly report: DeploymentReport
  readonly checksum: string
}

/** What the history needs. */
export interface HistorySettings {
  readonly store: StateStore
  readonly name: string
  readonly clock: Clock
  readonly storeTimeoutMs: number
  readonly historyLength: number
}

/** The reports of the last deployments, each under a key of its own: the numbers go round. */
export class History {
  readonly #settings: HistorySettings
  readonly #failed: (report: DeploymentReport, why: string) => void
  #settled: Promise<unknown> = Promise.resolve()

  /** @param failed - called when it is not known whether a report was written; must not throw */
  constructor(settings: HistorySettings, failed: (report: DeploymentReport, why: string) => void) {
    this.#settings = settings
    this.#failed = failed
  }

  /** Settles when every report is kept, or cannot be. Never rejects. */
  get settled(): Promise<unknown> {
    return this.#settled
  }

  /** Keeps a report where it belongs. To keep one twice is to keep it once, and a later one is never overwritten. */
  keep(report: DeploymentReport): void {
    const kept = this.#keep(report).catch((error: unknown) => this.#failed(report, messageOf(error)))
    this.#settled = Promise.all([this.#settled, kept])
  }

  async #keep(report: DeploymentReport): Promise<void> {
    if (this.#settings.historyLength === 0) return
    const key = this.#keyOf(report.number)
    const plain = JSON.parse(JSON.stringify(report)) as DeploymentReport
    const entry: HistoryEntry = { report: plain, checksum: checksumOf(plain) }
    for (let attempt = 0; attempt < 3; attempt++) {
      const found = await this.#ask('Reading', 'no', () => this.#settings.store.entry(key))
      const kept = found && readEntry(found.value)
      if (kept !== undefined && !isNewer(report, kept)) return
      const written = await this.#ask('Writing', 'unknown', () =>
        this.#settings.store.compareAndSet(key, found?.version, entry),
      )
      if (written !== undefined) return
    }
  }

  /**
   * The newest first, with what this process has just kept. What is damaged is left out.
   *
   * @throws StoreUnavailableError when the store does not answer
   */
  async read(): Promise<readonly DeploymentReport[]> {
    await this.#settled
    const keys = Array.from({ length: this.#settings.historyLength }, (_, i) => this.#keyOf(i))
    const found = await this.#ask('Reading', 'no', () =>
      Promise.all(keys.map((key) => this.#settings.store.entry(key))),
    )
    const reports = found.flatMap((entry) => (entry === undefined ? [] : (readEntry(entry.value) ?? [])))
    return reports.toSorted((a, b) => b.number - a.number)
  }

  #keyOf(number: number): string {
    return `blue-green:${this.#settings.name}:history:${number % this.#settings.historyLength}`
  }

  async #ask<T>(what: string, applied: 'no' | 'unknown', run: () => Promise<T>): Promise<T> {
    const { clock, storeTimeoutMs } = this.#settings
    const timedOut = (): Error => new Error(`no answer within ${storeTimeoutMs} ms`)
    try {
      return await withDeadline(run, storeTimeoutMs, clock, timedOut)
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(messageOf(error))
      throw new StoreUnavailableError(`${what} the history failed`, applied, cause)
    }
  }
}

/** A deployment that was complete and was taken back has one report: of how it ended last. */
function isNewer(report: DeploymentReport, kept: DeploymentReport): boolean {
  if (report.number !== kept.number) return report.number > kept.number
  return kept.outcome === 'COMPLETE' && report.outcome !== 'COMPLETE' && report.deploymentId === kept.deploymentId
}

function readEntry(value: unknown): DeploymentReport | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { report, checksum } = value as Partial<HistoryEntry>
  if (typeof report !== 'object' || report === null || report.format !== 1) return undefined
  return checksum === checksumOf(report) ? report : undefined
}
