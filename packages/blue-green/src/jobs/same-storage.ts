import { withDeadline } from '../deadline.js'
import { joined } from './job-ledger.js'
import type { JobsSettings } from './options.js'
import type { JobStorage } from './ports.js'

/** More races than this, one after the other, are none. */
const maxLooks = 3

/**
 * Looks whether a batch of `storage` finds what was written to `store`. Each commit is such a batch: of another storage it would be refused,
 * for ever, and as if another process had been first. A store that does not answer tells nothing of that, and is looked at by whoever starts
 * next.
 *
 * @throws TypeError when it does not
 */
export async function requireSameStorage(settings: JobsSettings): Promise<void> {
  const { storage, store, name } = settings
  if (storage === undefined || store.name === undefined) return
  const key = joined('job-storage', name)
  if (!(await isAnother(settings, storage, store.name, key))) return
  const remedy = `give storage and storage.collection(${JSON.stringify(store.name)}) of one object`
  throw new TypeError(
    `storage is not the one that store is a collection of: what store has under "${key}" is not there, so that no commit would be taken; ${remedy}`,
  )
}

async function isAnother(
  { store, clock, storeTimeoutMs }: JobsSettings,
  storage: JobStorage,
  collection: string,
  key: string,
): Promise<boolean> {
  const ask = <T>(run: () => Promise<T>): Promise<T> =>
    withDeadline(run, storeTimeoutMs, clock, () => new Error(`no answer within ${storeTimeoutMs} ms`))
  const read = async (): Promise<string | undefined> => (await ask(() => store.entry(key)))?.version
  try {
    for (let look = 1; look <= maxLooks; look++) {
      // A record of its own, for it is written once: those of jobs have other versions all the time.
      const version = (await read()) ?? (await ask(() => store.compareAndSet(key, undefined, { format: 1 })))?.version
      if (version === undefined) continue
      const isThere = await ask(() => storage.batch([{ type: 'check', collection, key, ifVersion: version }])).then(
        () => true,
        unlessConflict,
      )
      if (isThere) return false
      if ((await read()) === version) return true
    }
  } catch {
    // It is out, which start() has no need to wait for.
  }
  return false
}

function unlessConflict(error: unknown): false {
  const { code } = Object(error) as { readonly code?: unknown }
  if (code === 'STORAGE_CONFLICT') return false
  throw error
}
