import { MemoryStorage, type Collection } from '../index.js'
import { Lease, runOnce, Schedule, type LeaseStore, type LeaseTerm, type RunStore } from '../lease.js'
import { SqliteStorage } from '../sqlite.js'
import type { BatchOperation } from '../storage.js'

const storage = new SqliteStorage({ path: 'a' })

// Collections of any type keep leases and runs.
export const leases: LeaseStore[] = [storage.collection('a'), new MemoryStorage().collection<{ text: string }>('b')]
export const runs: RunStore[] = [storage.collection('a'), {} as Collection<number>]

// A Map and a storage have no compare-and-set.
// @ts-expect-error a Map is no store
export const map: LeaseStore = new Map<string, unknown>()
// @ts-expect-error a storage is not one of its collections
new Lease({ store: storage, name: 'leader' })
// @ts-expect-error a lease has a name
new Lease({ store: storage.collection('a') })
// @ts-expect-error a misspelt option
new Lease({ store: storage.collection('a'), name: 'leader', leaseMS: 1_000 })
// @ts-expect-error a job has a function
new Schedule({ store: storage.collection('a'), jobs: { report: { everyMs: 1_000 } } })

export async function use(term: LeaseTerm): Promise<number | undefined> {
  const fence: BatchOperation = term.fence()
  await storage.batch([fence])
  // @ts-expect-error a token is read only
  term.token = 7
  const outcome = await runOnce({ store: storage.collection('a'), id: 'report', run: ({ attempt }) => attempt })
  // @ts-expect-error only who ran the job has its value
  void outcome.value
  return outcome.status === 'ran' ? outcome.value : undefined
}
