import { FakeClock } from '@evenkeel/testing'
import { BackendStorage } from '../backend-storage.js'
import type { News } from '../events.js'
import { FileBackend } from '../file/file-backend.js'
import type { Storage } from '../storage.js'
import type { CrashFiles } from './crash-files.js'

/** The directory of a {@link openFileStore}. */
export const PATH = '/data'
export const JOURNAL = `${PATH}/journal.jsonl`
export const SNAPSHOT = `${PATH}/snapshot.jsonl`

/** A file store on a disk in memory. */
interface OpenedStore {
  readonly clock: FakeClock
  readonly storage: BackendStorage
  /** The names of the events that it emitted, without the news that it had not been closed. */
  readonly events: string[]
  readonly news: News[]
}

/** Makes a file store on a disk in memory, which opens at first use. */
export function openFileStore(files: CrashFiles, compactBytes = 1_000_000): OpenedStore {
  const clock = new FakeClock()
  const storage = new BackendStorage(new FileBackend({ path: PATH, compactBytes, clock, files }), { clock })
  const events: string[] = []
  const news: News[] = []
  for (const event of ['repaired', 'quarantined', 'change'] as const) {
    storage.on(event, (each: News) => {
      news.push(each)
      // Every crash brings that.
      if (each.from !== 'unclean') events.push(event)
    })
  }
  return { clock, storage, events, news }
}

/** As when the process that had the store did not get to close it. */
export function leaveLocked(files: CrashFiles): void {
  files.plant(`${PATH}/lock`, Buffer.alloc(0))
}

/** Everything that the store holds in one collection. */
export async function contentOf(storage: Storage): Promise<Map<string, unknown>> {
  const content = new Map<string, unknown>()
  for await (const { key, value } of storage.collection('notes').scan()) content.set(key, value)
  return content
}
