import type { Announce, StorageEvents } from '../events.js'
import type { Quarantined } from './file-quarantine.js'

/** Tells what happened to the files of a directory, as events of the storage. */
export class FileNews {
  readonly #path: string
  readonly #announce: Announce<StorageEvents>
  #failure: string | undefined

  constructor(path: string, announce: Announce<StorageEvents>) {
    this.#path = path
    this.#announce = announce
  }

  /** Whether the last write failed. */
  get isDown(): boolean {
    return this.#failure !== undefined
  }

  down(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    const isNews = this.#failure === undefined
    this.#failure = why
    if (!isNews) return
    const message = `The files at ${this.#path} cannot be written: ${why}.`
    this.#announce('change', { what: 'file', from: 'up', to: 'down', why, severity: 'CRITICAL', message })
  }

  up(): void {
    if (this.#failure === undefined) return
    this.#failure = undefined
    const why = 'a write succeeded'
    const message = `The files at ${this.#path} can be written again.`
    this.#announce('change', { what: 'file', from: 'down', to: 'up', why, severity: 'INFO', message })
  }

  unclean({ pid, since }: { pid: number; since: number }): void {
    const owner =
      pid === 0 ? 'the last process' : `process ${pid}, which had them since ${new Date(since).toISOString()},`
    const why = `${owner} did not stop its storage`
    const message = `The files at ${this.#path} are open again after a crash or a kill: ${why}. What was acknowledged is there.`
    this.#announce('change', { what: 'file', from: 'unclean', to: 'up', why, severity: 'WARNING', message })
  }

  torn(bytes: number, copy: string): void {
    const why = 'a crash cut the last write short'
    const message = `The journal in ${this.#path} ended with a write that a crash had cut short, so nobody was told that it is done; its ${bytes} bytes were cut off, and a copy is in ${copy}.`
    this.#announce('repaired', { what: 'file', from: 'torn', to: 'whole', why, severity: 'INFO', message })
  }

  quarantined({ path, records }: Quarantined): void {
    this.#announce('quarantined', {
      what: 'file',
      from: 'damaged',
      to: 'whole',
      why: 'the checksums of some records did not match, or records were missing',
      severity: 'CRITICAL',
      message: `${records} damaged or missing records are not in the storage; what is left of them is in ${path}.`,
      path,
      records,
    })
  }
}
